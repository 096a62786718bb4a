"""Takes the pictures in the documentation from a live system: `python -m workers.demo.screenshots docs/images`.

Needs the development dependencies and Chromium (`scripts/setup --for-tests`); about 15 minutes, of which
`python -m workers.demo.walk docs/images` alone takes the last five.
"""

import asyncio
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from holdfast.domain.gates import Gate
from holdfast.domain.links import WebLinks
from workers.demo.campaign_pictures import CampaignPictures
from workers.demo.scene import ANNA, BORIS, VERA
from workers.demo.screen import Screen
from workers.demo.stack import NORMAL_RATE, Ports, Stack
from workers.demo.story import SURGE, Story
from workers.demo.story_campaign import CampaignStory, campaign_stack
from workers.demo.story_changes import OneChange
from workers.demo.walk.stage import LANGUAGES, walk
from workers.demo.world import World
from workers.engine import find_engine, find_prometheus
from workers.secrets import keyring
from workers.settings import Settings

_CHROMIUM = os.environ.get("HOLDFAST_CHROMIUM", "/usr/bin/chromium")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
_SICK_SECONDS = 35
_CALM_SECONDS = 30


async def take(stack: Stack, folder: Path) -> None:
    """Take pictures of a run at its second gate, as its approver sees it, and of another that was undone."""
    async with World(stack) as world, async_playwright() as playwright:
        story = Story(world, Screen())
        await asyncio.sleep(15)
        await world.set_rate(NORMAL_RATE * SURGE)
        await asyncio.sleep(_SICK_SECONDS)
        run_id = await story.start_from_chat(ANNA, "support-surge")
        await story.approve_in_telegram(run_id, "bot-rate-limit", BORIS)
        gate = await story.until_gate(run_id, "crm-pool")
        await world.command("verdict", "explain", run_id, "--plot", str(folder / "verdict.png"))
        await world.say(VERA, f"/gate {run_id}", chat=VERA)
        await asyncio.sleep(4)
        browser = await playwright.chromium.launch(executable_path=_CHROMIUM, args=_FLAGS)
        await _telegram(browser, stack.chat_page(VERA), folder / "telegram.png")
        await _telegram(browser, stack.chat_page(VERA, VERA), folder / "telegram-private.png")
        await _web(browser, _link(stack, run_id, gate), folder)
        await _temporal_ui(browser, world.run_url(run_id), folder)
        await story.approve_in_telegram(run_id, "crm-pool", VERA)  # so that the shop bears its customers
        await story.until_stage(run_id, "crm-pool", "promoted")
        await asyncio.sleep(_CALM_SECONDS)
        run_id = await OneChange(story).play()
        await world.runs.result(run_id)  # the chat and the page have the end as well then
        await _telegram(browser, stack.chat_page(ANNA), folder / "telegram-rollback.png")
        await _rolled_back_in_ui(browser, world.run_url(run_id), folder)
        await browser.close()


async def take_campaign(stack: Stack, folder: Path) -> None:
    """Take pictures of a campaign while it is played."""
    async with World(stack) as world, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=_CHROMIUM, args=_FLAGS)
        story = CampaignStory(world, Screen())
        story.camera = CampaignPictures(browser, folder).take
        await story.play()
        await browser.close()


async def _telegram(browser: Browser, url: str, path: Path) -> None:
    page = await browser.new_page(viewport={"width": 1100, "height": 1400})
    await page.goto(url)
    await page.wait_for_timeout(2000)
    await page.screenshot(path=path)


async def _web(browser: Browser, url: str, folder: Path) -> None:
    page = await browser.new_page(viewport={"width": 1280, "height": 1100})
    await page.goto(url)
    await page.screenshot(path=folder / "web.png", full_page=True)


def _link(stack: Stack, run_id: str, gate: Gate) -> str:
    """Return the link that Vera would get by e-mail."""
    settings = Settings(state_dir=stack.state, _env_file=None)  # type: ignore[call-arg]  # pydantic-settings' own
    return WebLinks(keyring(settings), stack.web_page).link(run_id, gate, "vera", datetime.now(UTC))


async def _temporal_ui(browser: Browser, url: str, folder: Path) -> None:
    await _metadata(browser, url, "WAITING FOR A DECISION", folder / "temporal-ui.png")


async def _rolled_back_in_ui(browser: Browser, url: str, folder: Path) -> None:
    # High enough for the journal, which stands below plan and verdict.
    await _metadata(browser, url, "ROLLED BACK", folder / "temporal-ui-rollback.png", height=2200)


async def _metadata(browser: Browser, url: str, state: str, path: Path, *, height: int = 1500) -> None:
    page = await browser.new_page(viewport={"width": 1500, "height": height})
    await page.goto(url)
    await page.get_by_text("User Metadata").first.click()
    await page.frame_locator("iframe").last.get_by_text(state).first.wait_for()
    await page.wait_for_timeout(1000)
    await page.screenshot(path=path)


def main() -> None:
    """Take the pictures into the folder named on the command line."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        stack = Stack(
            Path(directory),
            Ports.pick(),
            engine=find_engine(),
            prometheus=find_prometheus(),
            web=True,
            systems=True,
        )
        try:
            stack.start()
            asyncio.run(take(stack, folder))
        finally:
            stack.stop()
    with tempfile.TemporaryDirectory() as directory:
        stack = campaign_stack(Path(directory))
        try:
            stack.start()
            asyncio.run(take_campaign(stack, folder))
        finally:
            stack.stop()
    for language in LANGUAGES:
        walk(folder, language)


if __name__ == "__main__":
    main()
