import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
from aiogram import Bot
from prometheus_client import CollectorRegistry

from holdfast.adapters.telegram import DirectSending, TelegramChat, render_view
from holdfast.apps.bot import BotApp, BotMetrics, IntakeSettings, Services
from holdfast.domain.errors import DecisionRefused
from holdfast.domain.people import Person
from holdfast.runbook.library import RunbookLibrary
from tests.activities.gate_fakes import MemoryBook
from tests.bot.fakes import (
    KEYRING,
    PEOPLE,
    MemoryAudit,
    MemoryDelegations,
    MemoryDuty,
    MemoryIntents,
    MemoryRuns,
    MemorySecondFactor,
)
from tests.fakes import eventually
from tests.telegram.standin import Place, TelegramServer, place, running_server

QUICK = IntakeSettings(
    long_poll=timedelta(seconds=20),
    retry_pause=timedelta(milliseconds=20),
    longest_pause=timedelta(seconds=1),
    conflict_pause=timedelta(milliseconds=100),
    stop_within=timedelta(seconds=2),
)
RUNBOOK = """
kind: rollout
name: {name}
title: Relieve the <{name}>
summary: Three small fixes.
target: {{endpoint: shop}}
starters: [lead]
paces:
  default: {{settle: 2m, window: 10m, interval: 1m}}
  demo: {{settle: 6s, window: 8s, interval: 8s}}
scoring:
  metrics:
    error_rate: {{weight_percent: 100, query: "up"}}
stages:
  - name: rate
    title: Let the bot send faster
    why: It is held back.
    change: {{kind: http_config, set: {{limit: 25}}}}
    gate: {{approvers: [lead]}}
    shares_percent: [5, 100]
"""


@dataclass
class World:
    """One bot, the place where it works, and what it works on."""

    telegram: TelegramServer
    place: Place
    runbooks: Path
    runs: MemoryRuns = field(default_factory=MemoryRuns)
    factor: MemorySecondFactor = field(default_factory=MemorySecondFactor)
    intents: MemoryIntents = field(default_factory=MemoryIntents)
    delegations: MemoryDelegations = field(default_factory=MemoryDelegations)
    audit: MemoryAudit = field(default_factory=MemoryAudit)
    duty: MemoryDuty = field(default_factory=MemoryDuty)
    notices: MemoryBook = field(default_factory=MemoryBook)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    intake: IntakeSettings = QUICK
    services: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.metrics = BotMetrics(self.registry)

    @property
    def client(self) -> Bot:
        return self.telegram.client(self.place.token)

    def write_runbook(self, name: str, text: str = "") -> None:
        folder = self.runbooks / "rollout"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.yaml").write_text(text or RUNBOOK.format(name=name))

    def write_file(self, name: str, text: str) -> None:
        """Write one of the files that stand beside the runbooks, e.g. `escalation/duty.yaml`."""
        path = self.runbooks / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def may_start(self, person: Person, runbook: str) -> None:
        if "lead" not in person.roles:
            raise DecisionRefused("not_a_starter", f"{person.title} may not start {runbook}; leads may")

    async def say(self, user: int, text: str) -> None:
        await self.telegram.say(user, text, chat=self.place.chat)

    async def said(self, count: int = 1) -> list[str]:
        """Wait until the bot has written so many messages, and return the texts of all it wrote."""

        async def enough() -> list[dict[str, Any]] | None:
            written = await self.telegram.from_bot(self.place)
            return written if len(written) >= count else None

        return [m["text"] for m in await eventually(enough, seconds=60)]

    async def whisper(self, user: int, text: str) -> dict[str, Any]:
        """Write to the bot in the private chat."""
        return await self.telegram.say(user, text, chat=self.place.bot_id)

    async def private(self, user: int) -> list[dict[str, Any]]:
        """Everything in the private chat of the person with the bot."""
        return await self.telegram.messages(self.place.bot_id, user=user)

    async def told(self, user: int, words: str) -> dict[str, Any]:
        """Wait until the bot has written these words in the private chat, and return the newest one."""

        async def found() -> list[dict[str, Any]]:
            texts = [m for m in await self.private(user) if m["from"]["is_bot"]]
            return [m for m in texts if words in m.get("text", m.get("caption", ""))]

        newest: dict[str, Any] = (await eventually(found, seconds=60))[-1]
        return newest

    async def ask(self, user: int, text: str, words: str) -> dict[str, Any]:
        """Write to the bot in the private chat, and wait for what it answers."""
        await self.whisper(user, text)
        return await self.told(user, words)

    async def press(self, user: int, message: dict[str, Any], button: str) -> dict[str, Any]:
        """Tap a button, which in a private chat is the chat with the bot."""
        private = message["chat"]["type"] == "private"
        chat = {**message["chat"], "id": self.place.bot_id} if private else message["chat"]
        return await self.telegram.press(user, {**message, "chat": chat}, button)

    async def newest(self, count: int = 1) -> dict[str, Any]:
        """Wait until the bot has written so many messages in the group, and return the last one."""
        await self.said(count)
        newest: dict[str, Any] = (await self.telegram.from_bot(self.place))[-1]
        return newest

    async def reads(self, message: dict[str, Any], words: str) -> dict[str, Any]:
        """Wait until a message in the group says these words, and return it as it is then."""

        async def found() -> list[dict[str, Any]]:
            there = await self.telegram.from_bot(self.place)
            return [m for m in there if m["message_id"] == message["message_id"] and words in m["text"]]

        newest: dict[str, Any] = (await eventually(found, seconds=60))[0]
        return newest

    async def card(self) -> dict[str, Any]:
        """Publish the newest run's card, as a worker does, and return the message."""
        view = list(self.runs.views.values())[-1]
        sent = await TelegramChat(DirectSending(self.client), self.place.chat).publish(view, message=None)
        messages = await self.telegram.from_bot(self.place)
        return next(m for m in messages if str(m["message_id"]) == sent.message_id)

    def counted(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    def app(self) -> BotApp:
        services = {
            "runs": self.runs,
            "people": lambda: PEOPLE,
            "library": RunbookLibrary([self.runbooks]),
            "may_start": self.may_start,
            "render_view": render_view,
            "keyring": KEYRING,
            "second_factor": self.factor,
            "intents": self.intents,
            "delegations": self.delegations,
            "audit": self.audit,
            "notices": self.notices,
            "duty": self.duty,
            "render_chart": lambda view: None,
            "now": lambda: datetime.now(UTC),
            **self.services,
        }
        return BotApp(self.client, Services(**services), metrics=self.metrics, intake=self.intake)

    @asynccontextmanager
    async def bot(self) -> AsyncIterator[asyncio.Task[NoReturn]]:
        task = asyncio.create_task(self.app().run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait({task})


@pytest.fixture(scope="module")
async def telegram(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TelegramServer]:
    async with running_server(tmp_path_factory.mktemp("telegram")) as server:
        yield server


@pytest.fixture(scope="module")
def places() -> Iterator[int]:
    return itertools.count(1)


@pytest.fixture
def world(telegram: TelegramServer, places: Iterator[int], tmp_path: Path) -> World:
    return World(telegram, place(next(places)), tmp_path)


@pytest.fixture
async def fresh_world(tmp_path: Path) -> AsyncIterator[World]:
    """A world whose server the test may stop and start."""
    async with running_server(tmp_path) as server:
        yield World(server, place(1), tmp_path)
