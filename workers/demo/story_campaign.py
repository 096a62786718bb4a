"""The demo's other story: a marketing campaign, from its load test to its report."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from holdfast.domain.view import RunState
from workers.demo.campaign_before import BeforeTheWindow
from workers.demo.campaign_files import DEMO_RUNBOOKS, write_campaign
from workers.demo.campaign_scene import CampaignScene, text_of
from workers.demo.campaign_window import TheWindow
from workers.demo.stack import CHAT_ID, CLIENT_CHAT_ID, ROOT, Ports, Stack
from workers.engine import find_engine, find_prometheus

NORMAL_RATE: Final = 10.0
BOT_RATE: Final = 60.0
CLIENT: Final = "Example Retail"
_OPENS_IN: Final = timedelta(seconds=95)
_LASTS: Final = timedelta(seconds=115)
_PNG: Final = b"\x89PNG"


class CampaignStory(CampaignScene):
    """Plays the story on a running stack; `facts` collects what was seen."""

    async def play(self) -> None:
        """Play it all.

        Raises:
            StoryFailed: at the first thing that did not happen.
        """
        # The bot is quick enough since its last rollout: here only the pool is too small.
        await self.world.configure(bot_rate_limit_per_s=BOT_RATE)
        self._plan()
        await BeforeTheWindow(self).play()
        await TheWindow(self).play()
        await self._report()
        await self._nothing_waits()
        await self.moment("over")

    def _plan(self) -> None:
        """Write the campaign's file: the window is known only when the story begins."""
        opens = datetime.now(UTC).replace(microsecond=0) + _OPENS_IN
        stack = self.world.stack
        shop = f"http://127.0.0.1:{stack.ports.shop}"
        write_campaign(_runbooks_of(stack.directory), opens=opens, closes=opens + _LASTS, shop=shop)

    async def _report(self) -> None:
        self.screen.enter("the report is made from the store")
        view = await self.until_state(self.run, RunState.FINISHED)
        where = view.campaign.report if view.campaign else ""
        pictures = {chat: await self._pictures(chat) for chat in (CHAT_ID, CLIENT_CHAT_ID)}
        seen = " · ".join(text for texts in pictures.values() for text in texts)
        claim = "the report's picture is in the team's chat and in the client's"
        self.facts.check(claim, holds=where and all(pictures.values()), seen=seen[:300])
        html, png = self._path("report.html"), self._path("report.png")
        printed = await self.command("report", self.run, "--html", str(html), "--png", str(png))
        self.screen.print_out(printed)
        made = (self.world.stack.state / "reports" / f"{self.run}.html").read_text()
        again = html.read_text()
        holds = "crm-pool" in made and "crm-pool" in again and png.read_bytes().startswith(_PNG)
        seen = f"{html.name} {len(again) // 1024} kB, {png.name} {png.stat().st_size // 1024} kB"
        self.facts.check("`holdfast report` makes it again from the store alone", holds=holds, seen=seen)

    async def _pictures(self, chat: int) -> list[str]:
        async def shown() -> list[str]:
            return [text_of(m) for m in await self.world.messages(chat) if m.get("photo")]

        return await self.until(f"the chat {chat} has the report's picture", shown)

    async def _nothing_waits(self) -> None:
        async def sent() -> dict[str, int] | None:
            counts: dict[str, int] = json.loads(await self.command("outbox", "list", "--json"))["counts"]
            return counts if not counts.get("queued", 0) and not counts.get("sending", 0) else None

        counts = await self.until("every message is sent", sent)
        doubtful, dead = counts.get("uncertain", 0), counts.get("dead", 0)
        seen = f"{counts.get('sent', 0)} sent, {doubtful} uncertain, {dead} dead"
        self.facts.check("every message was sent", holds=not doubtful and not dead, seen=seen)

    def _path(self, name: str) -> Path:
        return self.world.stack.directory / name


def campaign_stack(directory: Path) -> Stack:
    """Return a stack on which the story can be played; nothing is started yet."""
    return Stack(
        directory,
        Ports.pick(),
        engine=find_engine(),
        prometheus=find_prometheus(),
        scrape_seconds=1,
        systems=True,
        client=CLIENT,
        rate=NORMAL_RATE,
        runbook_dirs=(_runbooks_of(directory), DEMO_RUNBOOKS, ROOT / "runbooks"),
    )


def _runbooks_of(directory: Path) -> Path:
    """Return where the story's own runbooks are, below the stack's directory."""
    return directory / "runbooks"
