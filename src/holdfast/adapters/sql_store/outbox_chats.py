"""Chats that got another id, chats that must not be written to, and what is forgotten."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from holdfast.adapters.sql_store.outbox_rows import (
    HAS_VERSIONS,
    IS_HEAD,
    IS_QUEUED,
    IS_READY,
    OF_BOT,
    OF_CHAT,
    OF_IDS,
    OF_TIER,
    count,
    find_heads,
    hold,
    waiting_tiers,
)
from holdfast.adapters.sql_store.outbox_waiting import REPLACED, die
from holdfast.adapters.sql_store.tables import outbox, outbox_aliases, outbox_moves, outbox_pauses
from holdfast.outbox.message import RowState

_OF_MOVE: Final = outbox_moves.c.bot == bindparam("of_bot")
_SET_ASIDE: Final = delete(outbox_moves).where(_OF_MOVE, outbox_moves.c.old == bindparam("of_chat"))
_LEAD_ON: Final = (
    update(outbox_moves)
    .where(_OF_MOVE, outbox_moves.c.new == bindparam("of_chat"))
    .values(new=bindparam("new_chat"))
)
# The chat's rows of one tier at a time, whether ready or parked, are what `outbox_chat` finds at once.
_OF_LANE: Final = (OF_BOT, OF_TIER, OF_CHAT, outbox.c.parked.in_([0, 1]), IS_QUEUED)
_NO_HEAD: Final = update(outbox).where(OF_BOT, OF_TIER, OF_CHAT, IS_READY, IS_QUEUED, IS_HEAD).values(head=0)
_MOVE: Final = update(outbox).where(*_OF_LANE).values(chat=bindparam("new_chat"), head=0)
_OF_CHAT_VERSIONS: Final = (OF_BOT, OF_CHAT, HAS_VERSIONS, IS_QUEUED)
_TWICE: Final = (
    select(outbox.c.replaces, func.max(outbox.c.id).label("newest"))
    .where(*_OF_CHAT_VERSIONS)
    .group_by(outbox.c.replaces)
    .having(func.count() > 1)
)
_OLDER: Final = select(outbox.c.id, outbox.c.bot, outbox.c.tier, outbox.c.state).where(
    *_OF_CHAT_VERSIONS, outbox.c.replaces == bindparam("of_replaces"), outbox.c.id < bindparam("newest")
)
_OLD: Final = (
    select(outbox.c.id, outbox.c.tier)
    .where(OF_BOT, outbox.c.state == bindparam("of_state"), outbox.c.settled_at < bindparam("before"))
    .order_by(outbox.c.settled_at)
    .limit(bindparam("at_most"))
)
_FORGET: Final = delete(outbox).where(OF_IDS)
_FORGET_ALIASES: Final = delete(outbox_aliases).where(
    outbox_aliases.c.row_id.in_(bindparam("of_ids", expanding=True))
)
_FORGET_PAUSES: Final = delete(outbox_pauses).where(
    outbox_pauses.c.bot == bindparam("of_bot"), outbox_pauses.c.until < bindparam("before")
)
_PAUSES: Final = select(outbox_pauses.c.chat, outbox_pauses.c.until).where(
    outbox_pauses.c.bot == bindparam("of_bot"), outbox_pauses.c.until > bindparam("now")
)
_PAUSE: Final = select(outbox_pauses.c.until).where(
    outbox_pauses.c.bot == bindparam("of_bot"), outbox_pauses.c.chat == bindparam("of_chat")
)
_LENGTHEN: Final = (
    update(outbox_pauses)
    .where(outbox_pauses.c.bot == bindparam("of_bot"), outbox_pauses.c.chat == bindparam("of_chat"))
    .values(until=bindparam("new_until"))
)


def move_chat(connection: Connection, bot: str, old: str, new: str) -> None:
    """Send everything that waits for a chat, or will be put for it, to another id."""
    hold(connection, bot)
    if old == new:
        return
    of = {"of_bot": bot, "of_chat": old}
    # What led to the old id leads to the new one; the new id itself leads nowhere, so that there is no circle.
    connection.execute(_LEAD_ON, of | {"new_chat": new})
    for chat in (old, new):
        connection.execute(_SET_ASIDE, {"of_bot": bot, "of_chat": chat})
    connection.execute(insert(outbox_moves), {"bot": bot, "old": old, "new": new})
    tiers = waiting_tiers(connection, bot)
    for tier in tiers:
        connection.execute(_NO_HEAD, {"of_bot": bot, "of_tier": tier, "of_chat": new})
        connection.execute(_MOVE, of | {"of_tier": tier, "new_chat": new})
    _keep_newest_versions(connection, bot, new)
    find_heads(connection, bot, ((tier, new) for tier in tiers))


def _keep_newest_versions(connection: Connection, bot: str, chat: str) -> None:
    of = {"of_bot": bot, "of_chat": chat}
    for replaces, newest in connection.execute(_TWICE, of).all():
        older = connection.execute(_OLDER, of | {"of_replaces": replaces, "newest": newest})
        for row in older.mappings().all():
            die(connection, row, why=REPLACED)


def pause(connection: Connection, bot: str, chat: str, until: datetime) -> None:
    """Remember that a chat must not be written to before; the longer of two pauses counts."""
    hold(connection, bot)
    of = {"of_bot": bot, "of_chat": chat}
    present = connection.scalar(_PAUSE, of)
    if present is None:
        connection.execute(insert(outbox_pauses), {"bot": bot, "chat": chat, "until": until})
    elif present < until:
        connection.execute(_LENGTHEN, of | {"new_until": until})


def pauses(connection: Connection, bot: str, *, now: datetime) -> Mapping[str, datetime]:
    """Return the pauses that last, by chat."""
    found: list[Any] = list(connection.execute(_PAUSES, {"of_bot": bot, "now": now}))
    return {row.chat: row.until for row in found}


def forget(connection: Connection, bot: str, *, settled_before: datetime, at_most: int) -> int:
    """Delete rows that were sent or dead before, and pauses that ended before; return how many rows."""
    hold(connection, bot)
    gone = 0
    for state in (RowState.SENT, RowState.DEAD):
        of = {"of_bot": bot, "of_state": str(state), "before": settled_before, "at_most": at_most - gone}
        old = connection.execute(_OLD, of).all()
        if old:
            ids = {"of_ids": [row.id for row in old]}
            connection.execute(_FORGET_ALIASES, ids)
            connection.execute(_FORGET, ids)
            changes = Counter[tuple[str, RowState]]()
            changes.subtract((row.tier, state) for row in old)
            count(connection, bot, changes)
        gone += len(old)
    connection.execute(_FORGET_PAUSES, {"of_bot": bot, "before": settled_before})
    return gone
