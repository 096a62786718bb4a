"""An approver with a browser and a link from a mail."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import uvicorn
from playwright.async_api import Browser, Page, ViewportSize, async_playwright, expect

from holdfast.adapters.charts import gate_chart
from holdfast.apps.web import build_app
from tests.browser.chromium import CHROMIUM, FLAGS
from tests.web.fakes import House

DESK: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page without JavaScript: nothing may need it."""
    context = await browser.new_context(viewport=DESK, java_script_enabled=False)
    yield await context.new_page()
    await context.close()


@asynccontextmanager
async def serving(house: House) -> AsyncIterator[str]:
    """Serve the page of this house; yields its base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(build_app(house.services()), lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    served = asyncio.create_task(server._serve(sockets=[listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await served


@pytest.fixture
def house() -> House:
    house = House()
    house.draw = gate_chart
    return house


@pytest.fixture
async def base_url(house: House) -> AsyncIterator[str]:
    async with serving(house) as url:
        yield url


async def screenshots(directory: Path) -> list[Path]:
    """Take the pictures for the documentation: at a desk, on a phone, and on a phone at night."""
    house = House()
    house.draw = gate_chart
    house.second_factor.app_of("olga")
    taken: list[Path] = []
    async with serving(house) as url, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name, viewport, night in (("desk", DESK, False), ("phone", PHONE, False), ("night", PHONE, True)):
            page = await browser.new_page(viewport=viewport, color_scheme="dark" if night else "light")
            await page.goto(house.link(base_url=url))
            taken.append(directory / f"web-{name}.png")
            await page.screenshot(path=taken[-1], full_page=True)
        await browser.close()
    return taken


async def test_an_approver_sees_the_evidence_and_approves(page: Page, house: House, base_url: str) -> None:
    app = house.second_factor.app_of("olga")
    await page.goto(house.link(base_url=base_url))
    await expect(page.get_by_role("heading", level=1)).to_have_text("stage 2, widen the CRM pool")
    await expect(page.get_by_role("row", name="pool_size 10 40")).to_be_visible()
    await expect(page.get_by_role("row", name="queue_length red 410 92 131 %")).to_be_visible()
    chart = page.get_by_role("img")
    await expect(chart).to_be_visible()
    size = await chart.bounding_box()
    assert size is not None
    assert size["height"] > 100  # a picture that was blocked has no height

    await page.get_by_role("button", name="Reject").click()
    await expect(page.get_by_role("alert")).to_contain_text("give a reason")

    await page.get_by_label("Code", exact=False).first.fill(house.second_factor.wrong_code("olga", house.now))
    await page.get_by_label("Reason").fill("the numbers look calm")
    await page.get_by_role("button", name="Approve").click()
    await expect(page.get_by_role("alert")).to_contain_text("That code is wrong")
    await expect(page.get_by_label("Reason")).to_have_value("the numbers look calm")

    await page.get_by_label("Code", exact=False).first.fill(app.at(house.now))
    await page.get_by_role("button", name="Approve").click()
    await expect(page.get_by_role("status")).to_have_text(
        "Recorded. Gate '2-crm-pool' waits for 1 more approval(s)."
    )
    await expect(page.get_by_text("olga said approve via web")).to_be_visible()
    await expect(page.get_by_role("button", name="Approve")).to_have_count(0)


async def test_enter_in_a_field_decides_nothing(page: Page, house: House, base_url: str) -> None:
    house.second_factor.app_of("olga")
    await page.goto(house.link(base_url=base_url))
    await page.get_by_label("Code", exact=False).first.press("Enter")
    await expect(page.get_by_role("alert")).to_have_count(0)
    assert not house.audit.entries


async def test_a_second_answer_from_another_tab_is_told_the_first(
    page: Page, house: House, base_url: str
) -> None:
    app = house.second_factor.app_of("olga")
    other = await page.context.new_page()
    for tab in (page, other):
        await tab.goto(house.link(base_url=base_url))
    for tab in (page, other):
        await tab.get_by_label("Code", exact=False).first.fill(app.at(house.now))
        await tab.get_by_role("button", name="Approve").click()
        house.pass_time(timedelta(seconds=30))
    await expect(page.get_by_role("status")).to_contain_text("Recorded.")
    await expect(other.get_by_role("alert")).to_contain_text("You have already said 'approve'")


async def test_a_pin_is_asked_for_by_mail_and_approves(page: Page, house: House, base_url: str) -> None:
    await page.goto(house.link("clara", base_url=base_url))
    await page.get_by_role("button", name="Send me a PIN by e-mail").click()
    await expect(page.get_by_role("status")).to_contain_text("A PIN is on its way to c…@client.example")
    await page.get_by_label("PIN", exact=False).first.fill(house.mail.sent[0][2])
    await page.get_by_role("button", name="Approve").click()
    await expect(page.get_by_role("status")).to_contain_text("Recorded.")


async def test_a_forged_and_an_old_link_are_told_in_words(page: Page, house: House, base_url: str) -> None:
    link = house.link(base_url=base_url)
    await page.goto(f"{link[:-4]}AAAA")
    await expect(page.get_by_role("main")).to_contain_text("This link is not one that Holdfast has made")
    house.pass_time(timedelta(days=2))
    await page.goto(link)
    await expect(page.get_by_role("main")).to_contain_text("This link was good until 2026-11-22 03:12 UTC")


async def test_the_pictures_for_the_documentation_fit_a_phone(browser: Browser, tmp_path: Path) -> None:
    taken = await screenshots(Path(os.environ.get("HOLDFAST_PICTURES", tmp_path)))
    assert all(path.stat().st_size > 50_000 for path in taken)
    widths = {path.stem: int.from_bytes(path.read_bytes()[16:20]) for path in taken}
    assert widths == {"web-desk": 1280, "web-phone": 390, "web-night": 390}  # nothing sticks out sideways
