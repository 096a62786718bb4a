import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from aiogram import Bot

from holdfast.adapters.telegram import DirectSending, TelegramChat, TelegramTransport
from holdfast.domain.errors import Unavailable
from holdfast.outbox.message import Message, Row, RowState
from holdfast.outbox.transport import Moved, Never, Sent, Unknown
from holdfast.runbook.priorities import Delivery
from tests.telegram.standin import FORUMS, GROUPS, Place, TelegramServer, place, running_server

_places = itertools.count(1)  # number 0 is where the old group has moved to
_forums, _groups = iter(FORUMS), iter(GROUPS)


@pytest.fixture(scope="session")
async def telegram(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TelegramServer]:
    async with running_server(tmp_path_factory.mktemp("telegram")) as server:
        yield server


@pytest.fixture
def room() -> Place:
    return place(next(_places))


@pytest.fixture
def forum() -> Place:
    return place(next(_forums))


@pytest.fixture
def basic_group() -> Place:
    return place(next(_groups))


@pytest.fixture
def bot(telegram: TelegramServer, room: Place) -> Bot:
    return telegram.client(room.token)


@pytest.fixture
def chat(bot: Bot, room: Place) -> TelegramChat:
    return TelegramChat(DirectSending(bot), room.chat)


def a_row(message: Message, row_id: int = 1, **changes: object) -> Row:
    now = datetime.now(UTC)
    row = Row(
        id=row_id,
        bot="1",
        tier=message.tier or "silver",
        delivery=Delivery.AT_MOST_ONCE,
        state=RowState.QUEUED,
        queued_at=now,
        due=now,
        **{name: getattr(message, name) for name in ("key", "chat", "kind", "value", "request")},
        **{name: getattr(message, name) for name in ("replaces", "line", "thread")},
    )
    return row.model_copy(update=changes)


class SmallOutbox:
    """The least that keeps the promises of an outbox: one row a key, the newest version of what waits.

    Without a transport nothing is sent. Raises `Unavailable` while `is_down`.
    """

    def __init__(self, transport: TelegramTransport | None = None) -> None:
        self.transport = transport
        self.rows: dict[int, Row] = {}
        self.is_down = False
        self._ids: dict[str, int] = {}

    async def put(self, message: Message) -> int:
        if self.is_down:
            raise Unavailable("the store is down")
        if message.key not in self._ids:
            self._ids[message.key] = self._place(message)
        return self._ids[message.key]

    def _place(self, message: Message) -> int:
        for row in self.rows.values():
            is_version = message.replaces and row.replaces == message.replaces
            if is_version and row.state is RowState.QUEUED:
                self.rows[row.id] = row.model_copy(update={"request": message.request})
                return row.id
        row_id = len(self.rows) + 1
        self.rows[row_id] = a_row(message, row_id)
        return row_id

    async def settled(self, row_id: int, *, within: timedelta) -> Row:
        assert within > timedelta(0)
        if self.is_down:
            raise Unavailable("the store is down")
        if self.transport is not None and self.rows[row_id].state is RowState.QUEUED:
            await self._try(self.transport, row_id)
        return self.rows[row_id]

    def settle(self, row_id: int, **changes: object) -> None:
        """Say what became of a row, as if it had been sent."""
        self.rows[row_id] = self.rows[row_id].model_copy(update=changes)

    async def _try(self, transport: TelegramTransport, row_id: int) -> None:
        match await transport.send(self.rows[row_id]):
            case Sent(message_id=message_id):
                self.settle(row_id, state=RowState.SENT, message_id=message_id)
            case Never(why=why, code=code):
                self.settle(row_id, state=RowState.DEAD, why=why, code=code)
            case Unknown(why=why):
                self.settle(row_id, state=RowState.UNCERTAIN, why=why)
            case Moved(chat=moved_to):
                self.settle(row_id, chat=moved_to)
                await self._try(transport, row_id)
            case _:
                pass  # it waits
