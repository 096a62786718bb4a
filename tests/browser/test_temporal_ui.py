"""An approver who has never seen the Temporal UI: reads the details, pastes the JSON, reads the answer."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml
from playwright.async_api import Page, async_playwright, expect

from tests.fakes import eventually
from tests.server import start_server
from tests.workflows.conftest import PEOPLE, House, Run, open_house
from workers.processes import free_port

CHROMIUM = os.environ.get("HOLDFAST_CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
pytestmark = pytest.mark.slow


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page(viewport={"width": 1400, "height": 1300})
        yield page
        await browser.close()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[House, str]]:
    """A server with its UI, workers, and the UI's address."""
    (tmp_path / "rollout").mkdir()
    (tmp_path / "people.yaml").write_text(yaml.safe_dump(PEOPLE))
    port = free_port()
    async with (
        await start_server(ui=True, ui_port=port) as server,
        open_house(server.client, tmp_path) as house,
    ):
        yield house, f"http://127.0.0.1:{port}"


async def open_dialog(page: Page, kind: str) -> None:
    await page.get_by_role("button", name="More Actions").first.click()
    await page.locator("[role=menuitem]:visible", has_text=f"Send {kind}").first.click()
    select = "update-select-button" if kind == "an Update" else "signal-select-button"
    await page.locator(f"[data-testid={select}]:visible").click()
    await page.locator("[role=option]:visible", has_text="decide").first.click()


async def send(page: Page, kind: str, pasted: str) -> None:
    await open_dialog(page, kind)
    if pasted:
        await page.locator(".cm-content:visible").last.click()
        await page.keyboard.insert_text(pasted)
        # The editor reformats when it loses the focus, and moves the button: leave it before clicking.
        await page.get_by_text("Single JSON payload supported").locator("visible=true").first.click()
    await page.locator("button:visible", has_text="Submit").last.click()


async def opened(page: Page, ui: str, run: Run) -> None:
    await page.goto(f"{ui}/namespaces/default/workflows/{run.handle.id}")
    await page.get_by_text("User Metadata").first.click()


async def test_the_details_say_where_the_run_stands_and_what_to_paste(
    page: Page, served: tuple[House, str]
) -> None:
    house, ui = served
    run = await house.start(house.write())
    gate = await run.gate()
    await opened(page, ui, run)
    frame = page.frame_locator("iframe").last
    await expect(frame.get_by_text("WAITING FOR A DECISION")).to_be_visible()
    await expect(frame.locator("pre")).to_contain_text(f'"evidence": "{gate.evidence}"')
    await expect(frame.get_by_text("Widen the pool")).to_be_visible()
    await run.handle.terminate()


async def test_what_the_details_show_can_be_pasted_as_an_update_and_the_run_goes_on(
    page: Page, served: tuple[House, str]
) -> None:
    house, ui = served
    run = await house.start(house.write())
    await run.gate()
    await opened(page, ui, run)
    pasted = await page.frame_locator("iframe").last.locator("pre").inner_text()
    await send(page, "an Update", pasted)
    assert (await run.gate(lambda g: g.id == "2-pool")).id == "2-pool"
    assert (await run.view()).closed_gates[0].decisions[0].channel == "temporal-ui"
    await run.handle.terminate()


@pytest.mark.parametrize(
    ("pasted", "says"),
    [
        ('{"gate": "1-limit", "decision": "approve", "by": "mallory"}', "'mallory' is not an approver"),
        ('{"gate": "2-pool", "decision": "approve", "by": "boris"}', "the open gate is '1-limit'"),
        ('"approve"', "A decision is a JSON object"),
    ],
)
async def test_a_refused_update_tells_the_approver_why_and_shows_no_traceback(
    page: Page, served: tuple[House, str], pasted: str, says: str
) -> None:
    house, ui = served
    run = await house.start(house.write())
    await run.gate()
    await opened(page, ui, run)
    await send(page, "an Update", pasted)
    await expect(page.get_by_text(says).locator("visible=true").first).to_be_visible()
    assert "Traceback" not in await page.content()
    assert 'File "/' not in await page.content()
    assert (await run.gate()).id == "1-limit"
    await run.handle.terminate()


@pytest.mark.parametrize("pasted", ["", '{"gate": 1}'])
async def test_a_wrong_signal_wedges_nothing_and_is_named_in_the_timeline(
    page: Page, served: tuple[House, str], pasted: str
) -> None:
    house, ui = served
    run = await house.start(house.write())
    await run.gate()
    await opened(page, ui, run)
    await send(page, "a Signal", pasted)

    async def told() -> bool:
        return any("did not count" in line.text for line in (await run.view()).log)

    await eventually(told)
    await page.reload()  # the page shows details as of when it was opened
    frame = page.frame_locator("iframe").last
    await expect(frame.get_by_text("a signalled decision did not count").first).to_be_visible()
    await run.answer()
    await run.gate(lambda g: g.id == "2-pool")
    await run.handle.terminate()
