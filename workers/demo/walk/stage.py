"""A stack for a walk: a system in normal traffic, in a group that speaks the language."""

import asyncio
import os
import tempfile
from pathlib import Path

from playwright.async_api import async_playwright

from workers.demo.scene import Scene
from workers.demo.screen import Screen
from workers.demo.stack import ROOT, Ports, Stack
from workers.demo.walk.files import write_runbooks
from workers.demo.walk.pictures import Walk
from workers.demo.world import World
from workers.engine import find_engine, find_prometheus

LANGUAGES = ("en", "ru")
_CHROMIUM = os.environ.get("HOLDFAST_CHROMIUM", "/usr/bin/chromium")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
_MEASURED_SECONDS = 30


def walk(folder: Path, language: str) -> None:
    """Walk through the screens of a stack in this language."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        stack = Stack(
            Path(directory),
            Ports.pick(familiar=False),
            engine=find_engine(),
            prometheus=find_prometheus(),
            runbook_dirs=(write_runbooks(Path(directory) / "runbooks", language), ROOT / "runbooks"),
            language=language,
            time_zone="Europe/Moscow",
        )
        try:
            stack.start()
            asyncio.run(_take(stack, folder, language))
        finally:
            stack.stop()


async def _take(stack: Stack, folder: Path, language: str) -> None:
    async with World(stack) as world, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=_CHROMIUM, args=_FLAGS)
        await asyncio.sleep(_MEASURED_SECONDS)
        await Walk(Scene(world, Screen()), browser, folder, language).take()
        await browser.close()
