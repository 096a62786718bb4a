"""The report as a file: from the stores alone, in a real browser, in both languages."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from matplotlib.image import imread
from playwright.async_api import Browser, async_playwright

from holdfast.adapters.reports import build_report
from holdfast.domain.errors import EngineUnavailable, UnknownName
from holdfast.domain.view import RunView
from holdfast.ports.campaigns import KeptCampaign, KeptMoment
from holdfast.ports.load import KeptTest
from holdfast.ports.reports import CampaignReport
from holdfast.slo.status import Moment
from tests.browser.chromium import CHROMIUM, FLAGS
from tests.reports.made import (
    CLOSES,
    INCIDENT,
    LASTS,
    RUN,
    counting,
    former,
    incident_view,
    kept,
    load_test,
    look,
)

SECTIONS = [
    *("summary", "proposals", "timeline", "levels", "load", "tests", "incidents", "gates", "people"),
    *("bottlenecks", "inventory", "former"),
]


@dataclass
class Store:
    """What is kept, in this process; asks are counted."""

    held: dict[str, KeptCampaign] = field(default_factory=lambda: {k.run: k for k in (kept(), former())})
    seen: list[Moment] = field(default_factory=lambda: [look(minute) for minute in range(LASTS)])
    parts: list[int] = field(default_factory=list)

    async def saw(self, moments: Sequence[KeptMoment]) -> None:
        self.seen += [each.moment for each in moments]

    async def moments(
        self, run: str, *, since: datetime | None = None, limit: int | None = None
    ) -> list[Moment]:
        part = [moment for moment in self.seen if since is None or moment.at >= since][:limit]
        self.parts.append(len(part))
        return part

    async def keep(self, campaign: KeptCampaign) -> None:
        self.held[campaign.run] = campaign

    async def campaign(self, run: str) -> KeptCampaign | None:
        return self.held.get(run)

    async def campaigns(self, campaign: str = "", *, limit: int = 20) -> list[KeptCampaign]:
        newest = sorted(self.held.values(), key=lambda each: each.opens, reverse=True)
        return [each.model_copy(update={"view": {}, "spec": {}}) for each in newest][:limit]


class Tests:
    """The load tests that are kept."""

    __test__ = False

    async def tests(self, campaign: str, *, limit: int = 50) -> list[KeptTest]:  # noqa: PT028  no test
        return [load_test().model_copy(update={"result": {}})]

    async def test(self, run: str) -> KeptTest | None:
        return load_test()


async def incident(run: str) -> RunView | None:
    assert run == INCIDENT
    return incident_view()


async def made(store: Store | None = None, language: str = "en", **more) -> CampaignReport:
    now = CLOSES + timedelta(hours=1)
    return await build_report(RUN, campaigns=store or Store(), load=Tests(), language=language, now=now, **more)


def written(folder: Path, html: str) -> Path:
    path = folder / "report.html"
    path.write_text(html, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


async def test_a_report_is_made_from_the_store_alone():
    report = await made(incident=incident)

    assert report.summary[0] == "1 of 2 promises were kept. Not measured: 2."
    assert report.analysis["incidents"][0]["owner"] == "anna"
    assert report.analysis["former"][0]["run"] == "campaign-before"
    assert report.analysis["load"]["requests_a_session"] == 2.5


async def test_looks_are_read_in_parts_and_only_those_of_the_window(monkeypatch):
    monkeypatch.setattr("holdfast.adapters.reports.building._PAGE", 50)
    store = Store()
    store.seen = [look(minute) for minute in range(-10, LASTS + 20)]
    report = await made(store)

    assert store.parts == [50, 50, 50, 50]
    assert report.analysis["looked"] == LASTS + 1


async def test_a_run_that_nobody_kept_lists_those_that_are():
    with pytest.raises(UnknownName, match="known: campaign-4f7qk2mz, campaign-before"):
        await build_report("campaign-x", campaigns=Store(), load=Tests())


async def test_an_incident_that_cannot_be_asked_leaves_the_report_whole():
    async def away(run: str) -> RunView | None:
        raise EngineUnavailable("the Temporal server does not answer")

    report = await made(incident=away)
    assert report.analysis["incidents"][0]["acknowledged_minutes"] is None
    assert "not measured" in report.html


async def test_the_picture_is_a_png_that_a_chat_shows_as_it_is():
    report = await made()

    height, width, _ = imread(BytesIO(report.png), format="png").shape
    assert (width, height) == (1080, 1280)
    assert len(report.png) < 1_000_000


@pytest.mark.slow
@pytest.mark.parametrize(("language", "word"), [("en", "What to tune"), ("ru", "Что настроить")])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_browser_shows_every_section_and_asks_for_nothing_else(
    browser, tmp_path, language, word, scheme
):
    path = written(tmp_path, (await made(language=language, incident=incident)).html)
    said: list[str] = []
    page = await browser.new_page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url))
    await page.goto(path.as_uri())

    assert said == [path.as_uri()]
    assert await page.locator("section").evaluate_all("all => all.map(one => one.id)") == SECTIONS
    assert await page.locator("html").get_attribute("lang") == language
    assert await page.get_by_role("heading", name=word).is_visible()
    assert await page.locator("svg.plot").count() == 3
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 31)"}[scheme]
    await page.close()


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "ru"])
async def test_the_tables_fit_a_window_of_1100_pixels_and_no_moment_is_broken(browser, tmp_path, language):
    store = Store(seen=[counting(minute) for minute in range(LASTS)])
    path = written(tmp_path, (await made(store, language)).html)
    page = await browser.new_page(viewport={"width": 1100, "height": 1200})
    await page.goto(path.as_uri())

    wide = "all => all.filter(one => one.scrollWidth > one.clientWidth).length"
    assert await page.locator(".wide").evaluate_all(wide) == 0
    lines = "all => Math.max(...all.map(one => one.getClientRects().length))"
    assert await page.locator(".moment").evaluate_all(lines) == 1
    await page.close()


async def test_load_tests_within_the_period_come_with_what_they_sent():
    report = await made()

    assert [(test["run"], test["requests"]) for test in report.analysis["period_tests"]] == [("load-1", 2480)]


async def test_a_load_test_of_another_campaign_or_before_the_period_is_not_counted():
    class Others(Tests):
        async def tests(self, campaign: str, *, limit: int = 50) -> list[KeptTest]:
            mine = load_test()
            if campaign:
                return [mine.model_copy(update={"run": "old", "at": CLOSES - timedelta(days=31)})]
            other = {"run": "other", "runbook": "another-shop", "campaign": ""}
            return [mine.model_copy(update=other), mine.model_copy(update={"run": "alone", "campaign": ""})]

    now = CLOSES + timedelta(hours=1)
    report = await build_report(RUN, campaigns=Store(), load=Others(), now=now)

    assert [test["run"] for test in report.analysis["period_tests"]] == ["alone"]


async def test_what_people_typed_cannot_become_part_of_the_page():
    evil = "<script>alert(1)</script>"
    held = kept(client=evil)
    held.view["campaign"]["breaches"][0] |= {"title": evil, "said": evil, "journey": ""}
    report = await made(Store(held={RUN: held}))

    assert "<script" not in report.html
    assert report.html.count("&lt;script&gt;") >= 3
