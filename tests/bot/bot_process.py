"""The bot as a process that may be killed; what it does to runs is kept in a file.

Arguments: URL of the Bot API, token, directory, and where to hang: `before`, `after` an effect, or `never`.
Its effects are in `effects.txt` of the directory, and the updates that it took in `inbox.sqlite`.
"""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from prometheus_client import CollectorRegistry

from holdfast.adapters.telegram import render_view
from holdfast.apps.bot import BotApp, BotMetrics, Services
from holdfast.domain.decisions import Answer, Decision, DecisionReply
from holdfast.domain.people import Person
from holdfast.ports.runs import RolloutRequest
from holdfast.runbook.library import RunbookLibrary
from tests.activities.gate_fakes import MemoryBook
from tests.bot.fakes import (
    KEYRING,
    PEOPLE,
    MemoryAudit,
    MemoryDelegations,
    MemoryIntents,
    MemoryRuns,
    MemorySecondFactor,
    a_view,
)
from tests.bot.intake_fakes import SqliteInbox, commands, services_beside


class FileRuns(MemoryRuns):
    """Keeps each effect as a line of a file, once for each id, as a durable engine does."""

    def __init__(self, file: Path, hang: str) -> None:
        super().__init__()
        self._file = file
        self._hang = hang
        self.add(a_view())

    async def start(self, request: RolloutRequest, *, run_id: str) -> bool:
        return await self._once(f"start {run_id} {request.runbook}")

    async def decide(self, run_id: str, decision: Decision) -> DecisionReply:
        await self._once(f"{decision.decision} {run_id} {decision.id}")
        return DecisionReply(answer=Answer.ACCEPTED, text="Recorded.", gate="")

    async def _once(self, line: str) -> bool:
        await self._hang_at("before")
        is_new = line not in self._file.read_text().splitlines()
        if is_new:
            with self._file.open("a") as file:
                file.write(f"{line}\n")
        await self._hang_at("after")
        return is_new

    async def _hang_at(self, moment: str) -> None:
        if self._hang == moment:
            self._file.with_suffix(".hangs").touch()
            await asyncio.sleep(3600)


def anybody(person: Person, runbook: str) -> None:
    """Let everybody start everything."""


async def main(url: str, token: str, directory: Path, hang: str) -> None:
    services = Services(
        runs=FileRuns(directory / "effects.txt", hang),
        people=lambda: PEOPLE,
        library=RunbookLibrary([directory]),
        may_start=anybody,
        render_view=render_view,
        keyring=KEYRING,
        second_factor=MemorySecondFactor(),
        intents=MemoryIntents(),
        delegations=MemoryDelegations(),
        audit=MemoryAudit(),
        notices=MemoryBook(),
        render_chart=lambda view: None,
        now=lambda: datetime.now(UTC),
        **services_beside(),
    )
    async with Bot(token, session=AiohttpSession(api=TelegramAPIServer.from_base(url))) as bot:
        app = BotApp(
            bot,
            services,
            metrics=BotMetrics(CollectorRegistry()),
            inbox=SqliteInbox(directory / "inbox.sqlite"),
        )
        app.dispatcher.include_router(commands(services))
        await app.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4]))
