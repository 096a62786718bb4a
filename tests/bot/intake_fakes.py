"""Inboxes that break and inboxes that outlive a process, and a world around them."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import MISSING, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from aiogram import Bot, Router
from aiogram.filters import Command
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup, Message, Update

from holdfast.apps.bot import BotApp, Services
from holdfast.apps.bot.app import nothing_around
from holdfast.apps.bot.intake import Leading, always_leading
from holdfast.apps.bot.memory_inbox import MemoryInbox
from holdfast.apps.bot.middlewares import ErrorsInWords
from holdfast.apps.bot.replies import command_id, reply
from holdfast.apps.bot.tickets import InTurn
from holdfast.apps.bot.webhook import WebhookSettings
from holdfast.domain.errors import Unavailable
from holdfast.domain.ids import run_id
from holdfast.ports.inbox import KeptUpdate, UpdateState
from holdfast.ports.runs import RolloutRequest
from tests.bot.conftest import World
from tests.bot.fakes import MemoryRuns

APPROVE = "a:rollout-4f7qk2mz:k3jd92ksla0a"
_SERVICES = {
    *("runs", "people", "library", "may_start", "render_view", "keyring", "second_factor", "intents"),
    *("delegations", "audit", "notices", "render_chart", "now"),
}


class BreakableInbox(MemoryInbox):
    """An inbox that outlives the bot of a test.

    Attributes:
        down: nothing answers.
        unmarkable: how many times marking an update as done fails.
        poison: update ids that cannot be stored with their content.
    """

    def __init__(self) -> None:
        super().__init__()
        self.down = False
        self.unmarkable = 0
        self.poison: set[int] = set()

    async def keep(self, bot: str, updates: Mapping[int, Any], *, now: datetime) -> list[int]:
        self._check()
        if any(i in self.poison and "message" in raw for i, raw in updates.items()):
            raise ValueError("a character that no database takes")
        return await super().keep(bot, updates, now=now)

    async def waiting(self, bot: str, *, after: int = 0, limit: int = 100) -> Sequence[KeptUpdate]:
        self._check()
        return await super().waiting(bot, after=after, limit=limit)

    async def done(self, bot: str, update_id: int) -> None:
        self._check()
        if self.unmarkable:
            self.unmarkable -= 1
            raise Unavailable("the store is down")
        await super().done(bot, update_id)

    def _check(self) -> None:
        if self.down:
            raise Unavailable("the store is down")


class SqliteInbox(MemoryInbox):
    """What is kept here outlives the process."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS kept (bot TEXT, id INTEGER, row TEXT, PRIMARY KEY (bot, id))"
        )
        for (text,) in self._db.execute("SELECT row FROM kept"):
            row = KeptUpdate.model_validate_json(text)
            self._rows[row.bot, row.update_id] = row

    async def keep(self, bot: str, updates: Mapping[int, Any], *, now: datetime) -> list[int]:
        new = await super().keep(bot, updates, now=now)
        self._db.execute("BEGIN")
        for update_id in new:
            self._write(bot, update_id)
        self._db.execute("COMMIT")
        return new

    async def done(self, bot: str, update_id: int) -> None:
        await super().done(bot, update_id)
        self._write(bot, update_id)

    async def quarantine(self, bot: str, update_id: int, why: str) -> None:
        await super().quarantine(bot, update_id, why)
        self._write(bot, update_id)

    def _write(self, bot: str, update_id: int) -> None:
        text = self._rows[bot, update_id].model_dump_json()
        self._db.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", (bot, update_id, text))


def states_in(file: Path) -> list[UpdateState]:
    """What a process has written down, read beside it."""
    with sqlite3.connect(file) as db:
        return [UpdateState(json.loads(text)["state"]) for (text,) in db.execute("SELECT row FROM kept")]


def services_beside() -> dict[str, Any]:
    """The services with which the intake has nothing to do."""
    others = (f.name for f in fields(Services) if f.default is MISSING and f.name not in _SERVICES)
    return {name: object() for name in others}


def commands(services: Services) -> Router:
    """Route `/work`, which starts a run, and `/look`, which reads from the engine."""
    runs = cast("MemoryRuns", InTurn(services.runs))
    router = Router(name="commands-of-the-test")
    router.message.middleware(ErrorsInWords(services))

    async def work(message: Message, bot: Bot, event_update: Update) -> None:
        run = run_id("rollout", command_id(bot, event_update))
        started = await runs.start(RolloutRequest(runbook="surge", requested_by="olga"), run_id=run)
        await reply(message, "Started." if started else "It is there already.")

    async def look(message: Message) -> None:
        await runs.recent()
        await reply(message, "Seen.")

    router.message.register(work, Command("work"))
    router.message.register(look, Command("look"))
    return router


@dataclass
class IntakeWorld(World):
    """A world whose inbox, leadership and webhook the test holds, with `/work` and `/look` in the group."""

    inbox: BreakableInbox = field(default_factory=BreakableInbox)
    leading: Leading = field(default_factory=always_leading)
    webhook: WebhookSettings | None = None
    handled: list[int] = field(default_factory=list)

    def around(self, update: Update) -> AbstractContextManager[None]:
        self.handled.append(update.update_id)
        return nothing_around(update)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.services |= services_beside()

    def app(self) -> BotApp:
        app = self._app()
        app.dispatcher.include_router(commands(app.services))
        return app

    def _app(self) -> BotApp:
        return BotApp(
            self.client,
            super().app().services,
            metrics=self.metrics,
            intake=self.intake,
            inbox=self.inbox,
            leading=self.leading,
            around=self.around,
            webhook=self.webhook,
        )

    async def card(self) -> dict[str, Any]:
        """A message with the group's button of a run's gate."""
        button = InlineKeyboardButton(text="Continue", callback_data=APPROVE)
        await self.client.send_message(
            self.place.chat, "card", reply_markup=InlineKeyboardMarkup(inline_keyboard=[[button]])
        )
        return (await self.telegram.from_bot(self.place))[-1]

    async def states(self) -> dict[str, int]:
        counts = await self.inbox.counts(str(self.place.bot_id))
        return {str(state): count for state, count in counts.items() if count}

    def command(self, user: int, text: str, *, chat: int = 0, **more: Any) -> dict[str, Any]:
        """A raw message, as Telegram sends it."""
        group = {"id": chat or self.place.chat, "type": "supergroup", "title": "Incidents"}
        return {
            "message": {
                "message_id": 1_000_000,
                "date": int(datetime.now(UTC).timestamp()),
                "chat": {"id": user, "type": "private", "first_name": "U"} if chat == user else group,
                "from": {"id": user, "is_bot": False, "first_name": f"User {user}", **more},
                "text": text,
                "entities": [{"type": "bot_command", "offset": 0, "length": len(text.split(maxsplit=1)[0])}],
            }
        }
