"""A try of rows: claimed before, settled after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, update

from holdfast.adapters.sql_store.chain import storable
from holdfast.adapters.sql_store.outbox_rows import (
    HAS_LINE,
    IS_QUEUED,
    IS_READY,
    IS_SENDING,
    OF_BOT,
    OF_CHAT,
    OF_IDS,
    OF_TIER,
    ROW,
    count,
    find_heads,
    moves,
    row_of,
)
from holdfast.adapters.sql_store.tables import outbox
from holdfast.outbox.message import Row, RowState
from holdfast.outbox.store import Head

_LEFT: Final = "the process that was sending it ended before it knew what became of it"
_Fields = Mapping[Any, Any]

# By the ids alone: a condition on bot or state makes SQLite read an index of all that waits.
_BY_ID: Final = ROW.add_columns(outbox.c.head).where(OF_IDS)
_ALIKE: Final = (
    ROW.add_columns(outbox.c.head)
    .where(OF_BOT, OF_TIER, OF_CHAT, IS_QUEUED, IS_READY, HAS_LINE)
    .where(outbox.c.kind == bindparam("of_kind"), outbox.c.thread == bindparam("of_thread"))
    .order_by(outbox.c.due, outbox.c.id)
    .limit(bindparam("at_most"))
)
_CLAIM: Final = (
    update(outbox)
    .where(OF_IDS)
    .values(
        state=str(RowState.SENDING),
        head=0,
        parked=0,
        attempts=outbox.c.attempts + 1,
        tried_at=bindparam("now"),
        tried_with=func.coalesce(bindparam("with_id", type_=outbox.c.id.type), outbox.c.id),
    )
)
_SETTLE: Final = (
    update(outbox)
    .where(OF_IDS, OF_BOT, outbox.c.state == str(RowState.SENDING))
    .values(
        state=bindparam("new_state"),
        message_id=bindparam("new_message_id"),
        why=bindparam("new_why"),
        code=bindparam("new_code"),
        settled_at=bindparam("now"),
        sent_at=bindparam("new_sent_at"),
        tried_at=bindparam("new_tried_at"),
    )
    .returning(outbox.c.tier)
)
_SENDING: Final = ROW.where(OF_BOT, IS_SENDING).order_by(outbox.c.id)
_LEAVE: Final = (
    update(outbox).where(OF_IDS).values(state=str(RowState.UNCERTAIN), settled_at=bindparam("now"), why=_LEFT)
)


def claim(connection: Connection, bot: str, ids: Sequence[int], *, now: datetime) -> list[Row]:
    """Turn queued rows into `sending`, in the order of the ids."""
    found = connection.execute(_BY_ID, {"of_ids": list(ids)}).mappings().all()
    waiting = [row for row in found if row["bot"] == bot and row["state"] == RowState.QUEUED]
    order = {row_id: index for index, row_id in enumerate(ids)}
    return _claimed(connection, bot, sorted(waiting, key=lambda row: order[row["id"]]), now=now, with_id=None)


def claim_alike(connection: Connection, bot: str, head: Head, *, at_most: int, now: datetime) -> list[Row]:
    """Turn the first rows that are like this one into `sending`."""
    like = {"of_tier": head.tier, "of_chat": head.chat, "of_kind": head.kind, "of_thread": head.thread}
    found = connection.execute(_ALIKE, {"of_bot": bot, **like, "at_most": at_most}).mappings().all()
    return _claimed(connection, bot, found, now=now, with_id=found[0]["id"] if found else None)


def _claimed(
    connection: Connection, bot: str, found: Sequence[_Fields], *, now: datetime, with_id: int | None
) -> list[Row]:
    if not found:
        return []
    ids = [row["id"] for row in found]
    connection.execute(_CLAIM, {"of_ids": ids, "now": now, "with_id": with_id})
    find_heads(connection, bot, ((row["tier"], row["chat"]) for row in found if row["head"]))
    count(connection, bot, moves((row["tier"] for row in found), RowState.QUEUED, RowState.SENDING))
    return [row_of(row, state=RowState.SENDING, attempts=row["attempts"] + 1) for row in found]


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What became of a try; see `OutboxStore.settle`."""

    state: RowState
    now: datetime
    message_id: str
    why: str
    code: int


def settle(connection: Connection, bot: str, ids: Sequence[int], fate: Fate) -> None:
    """Write down what became of rows in `sending`."""
    values = {
        "new_state": str(fate.state),
        "new_message_id": storable(fate.message_id),
        "new_why": storable(fate.why),
        "new_code": fate.code,
        "new_sent_at": fate.now if fate.state is RowState.SENT else None,
        "new_tried_at": None if fate.state is RowState.DEAD else fate.now,
    }
    of = {"of_ids": list(ids), "of_bot": bot, "now": fate.now}
    tiers = connection.scalars(_SETTLE, of | values).all()
    count(connection, bot, moves(tiers, RowState.SENDING, fate.state))


def recover(connection: Connection, bot: str, *, now: datetime) -> list[Row]:
    """Turn all rows in `sending` into `uncertain`."""
    found = connection.execute(_SENDING, {"of_bot": bot}).mappings().all()
    if found:
        connection.execute(_LEAVE, {"of_ids": [row["id"] for row in found], "now": now})
        count(connection, bot, moves((row["tier"] for row in found), RowState.SENDING, RowState.UNCERTAIN))
    return [row_of(row, state=RowState.UNCERTAIN, why=_LEFT) for row in found]
