"""A campaign, a load test and a report in a browser without JavaScript, at a desk and on a phone."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, ViewportSize, async_playwright, expect

from holdfast.adapters.reports.analysis import analyse
from holdfast.adapters.reports.building import report_of
from holdfast.domain.campaign import Phase
from holdfast.domain.decisions import Choice, Decision
from holdfast.domain.gates import GateState
from holdfast.ports.campaigns import KeptCampaign
from tests.browser.chromium import CHROMIUM, FLAGS
from tests.browser.test_web_page import DESK, PHONE, serving
from tests.campaign_views import LOAD, NOW, a_campaign, a_load_test, shown
from tests.reports.made import material
from tests.web.fakes import PEOPLE, RUN, House, a_gate

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


def house_of(phase: Phase, **changes: object) -> House:
    """A house whose run is a campaign that was signed off."""
    house = House()
    signed = Decision(gate="sign-off-1", decision=Choice.APPROVE, by="olga", at=NOW, proofs=("totp",))
    gate = a_gate(
        id="sign-off-1",
        title="sign-off of Autumn sale",
        facts=[
            "Load test of 2026-12-09 02:30 MSK: Every threshold held.",
            "Carried: 60 sessions a second. Expected at the peak: 40, with the safety factor: 60.",
        ],
        question="May the window open on 2026-12-11 10:00 MSK?",
        state=GateState.APPROVED,
        closed_at=NOW,
        decisions=[signed],
    )
    view = a_campaign(shown(phase=phase, **changes), run_id=RUN, people=PEOPLE, gate=gate)
    house.runs.run = view
    house.runs.others[LOAD] = a_load_test()
    house.runs.close()
    return house


@pytest.mark.parametrize(("name", "size"), [("desk", DESK), ("phone", PHONE)])
async def test_a_campaign_fits_every_screen(
    browser: Browser, tmp_path: Path, name: str, size: ViewportSize
) -> None:
    pictures = Path(os.environ.get("HOLDFAST_PICTURES", tmp_path))
    house = house_of(Phase.OPEN, test_running=LOAD)
    async with serving(house) as url:
        page = await browser.new_page(viewport=size, java_script_enabled=False)
        await page.goto(house.link(base_url=url))
        await expect(page.get_by_role("heading", name="How the contexts stand")).to_be_visible()
        await expect(page.get_by_role("row", name="Support breach")).to_contain_text("12 %")
        await expect(page.get_by_role("row", name="all 51.2")).to_be_visible()
        await expect(page.get_by_role("heading", name="Checklist: 1 of 3 done")).to_be_visible()
        path = pictures / f"web-campaign-{name}.png"
        await page.screenshot(path=path, full_page=True)
        await page.close()

    assert int.from_bytes(path.read_bytes()[16:20]) == size["width"]  # nothing sticks out sideways


async def test_live_figures_renew_themselves(browser: Browser) -> None:
    house = house_of(Phase.PREPARING, test_running=LOAD)
    async with serving(house) as url:
        page = await browser.new_page(viewport=DESK, java_script_enabled=False)
        await page.goto(house.link(base_url=url))
        await expect(page.get_by_role("row", name="all 51.2")).to_be_visible()

        lines = house.runs.others[LOAD].load
        assert lines is not None
        lines.lines[0].due_per_s = 58.7
        await expect(page.get_by_role("row", name="all 58.7")).to_be_visible(timeout=15_000)
        await page.close()


async def test_the_report_opens_from_the_campaigns_page_and_shows_its_plots(
    browser: Browser, tmp_path: Path
) -> None:
    pictures = Path(os.environ.get("HOLDFAST_PICTURES", tmp_path))
    house = house_of(Phase.CLOSED, report="ready")
    view = house.runs.run
    assert view.campaign is not None
    house.campaigns.kept[RUN] = KeptCampaign(
        run=RUN,
        campaign="autumn-sale",
        client="Example Retail",
        opens=view.campaign.opens,
        closes=view.campaign.closes,
        view=view.model_dump(mode="json"),
    )
    house.reports.html = report_of(analyse(material())).html
    async with serving(house) as url:
        page = await browser.new_page(viewport=DESK, java_script_enabled=False)
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text))
        await page.goto(house.link(base_url=url))
        await page.get_by_role("link", name="Read the report").click()
        await expect(page.locator("#summary")).to_be_visible()
        await page.screenshot(path=pictures / "web-report.png", full_page=True)
        plots = await page.locator("svg, img").count()
        await page.close()

    assert plots > 0
    assert errors == []  # no style and no picture was refused


async def test_a_link_is_asked_for_by_name(browser: Browser, tmp_path: Path) -> None:
    pictures = Path(os.environ.get("HOLDFAST_PICTURES", tmp_path))
    house = house_of(Phase.CLOSED)
    async with serving(house) as url:
        page = await browser.new_page(viewport=PHONE, java_script_enabled=False)
        await page.goto(f"{url}/reports/{RUN}")
        await page.get_by_label("Your short name").fill("clara")
        await page.get_by_role("button", name="Send me a link").click()
        await expect(page.get_by_role("status")).to_contain_text("If clara may read this report")
        await page.screenshot(path=pictures / "web-report-link.png", full_page=True)
        await page.close()
