"""What protects the page: headers, sealed forms, limits, and a log without keys."""

import io
from collections.abc import Iterator

import pytest
import structlog

from tests.web.conftest import Visitor
from tests.web.fakes import House


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    written = io.StringIO()
    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(written),
        cache_logger_on_first_use=False,
    )
    yield written
    structlog.configure(**before)


async def test_every_answer_is_safe_to_show(house: House, visitor: Visitor) -> None:
    for url in (house.link(), "/g/forged", "/nowhere"):
        await visitor.open(url)
        headers = visitor.page.headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "script-src" not in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "set-cookie" not in headers


async def test_the_page_needs_nothing_from_elsewhere(house: House, visitor: Visitor) -> None:
    await visitor.open(house.link())
    for needed in ("<script", "http://", "https://", "style="):
        assert needed not in visitor.page.text
    style = await visitor.client.get("/static/page.css")
    assert style.headers["content-type"].startswith("text/css")
    assert "url(" not in style.text


async def test_a_form_of_another_page_is_refused(house: House, visitor: Visitor) -> None:
    code = house.second_factor.app_of("olga").at(house.now)
    await visitor.open(house.link("pavel"))
    of_pavel = visitor.hidden
    await visitor.open(house.link("olga"))
    for wrong in ({"seal": "0" * 64}, {"seal": "ü"}, {"form": "mine"}, {"evidence": "another"}, of_pavel):
        await visitor.press(
            "approve", hidden={**visitor.hidden, **wrong} if visitor.hidden else wrong, code=code
        )
        assert visitor.page.status_code == 403
        assert "does not belong to this page" in visitor.text
        await visitor.open(house.link("olga"))
    assert not house.runs.delivered


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_another_site_cannot_send_the_form(house: House, visitor: Visitor, site: str) -> None:
    await visitor.open(house.link())
    visitor.client.headers["Sec-Fetch-Site"] = site
    await visitor.press("approve", code=house.second_factor.app_of("olga").at(house.now))
    assert visitor.page.status_code == 403
    assert not house.runs.delivered


async def test_what_is_no_form_is_refused(house: House, visitor: Visitor) -> None:
    link = house.link()
    for content, kind, status in (
        (b"x=" + b"y" * 20_000, "application/x-www-form-urlencoded", 413),
        (b"&".join(b"a=b" for _ in range(50)), "application/x-www-form-urlencoded", 400),
        (b"x=\xff\xfe", "application/x-www-form-urlencoded", 400),
        (b"{}", "application/json", 415),
    ):
        answer = await visitor.client.post(link, content=content, headers={"content-type": kind})
        assert answer.status_code == status
        assert "<h1>" in answer.text


async def test_a_forged_or_old_link_takes_no_answer(house: House, visitor: Visitor) -> None:
    await visitor.open(house.link())
    visitor.url = visitor.url[:-3] + "AAA"
    await visitor.press("approve", code=house.second_factor.app_of("olga").at(house.now))
    assert visitor.page.status_code == 403
    assert not house.runs.delivered


async def test_the_log_has_requests_but_no_keys(house: House, visitor: Visitor, log: io.StringIO) -> None:
    code = house.second_factor.app_of("olga").at(house.now)
    await visitor.open(house.link())
    await visitor.press("approve", code=code)
    house.broken = RuntimeError("boom")
    await visitor.open(house.link())
    written = log.getvalue()
    assert '"page": "/g"' in written
    assert "boom" in written
    assert visitor.url.rpartition("/")[2] not in written
    assert code not in written
