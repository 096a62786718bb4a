"""What is asked of the rows: by the sender before each message, by people and metrics every few seconds."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Select,
    bindparam,
    case,
    func,
    literal_column,
    select,
    tuple_,
)

from holdfast.adapters.sql_store.outbox_rows import (
    IS_HEAD,
    IS_QUEUED,
    IS_SENDING,
    OF_BOT,
    OF_CHAT,
    OF_TIER,
    ROW,
    row_of,
    waiting_tiers,
)
from holdfast.adapters.sql_store.tables import outbox, outbox_counts
from holdfast.outbox.message import Row, RowState
from holdfast.outbox.store import Head, LaneState

ALIKE_AT_MOST: Final = 200
"""So far are rows that could become one digest counted."""
_ONE: Final[ColumnElement[int]] = literal_column("1")
_SETTLED: Final = tuple(state for state in RowState if state.settled)
_PLACE: Final = (outbox.c.due, outbox.c.id)
_AT_MOST: Final[BindParameter[Any]] = bindparam("at_most")


def _heads_query() -> Select[Any]:
    other = outbox.alias("alike")
    alike = (
        select(_ONE)
        .select_from(other)
        .where(*(other.c[name] == outbox.c[name] for name in ("bot", "tier", "chat", "kind", "thread")))
        .where(
            other.c.state == literal_column("'queued'"),
            other.c.parked == literal_column("0"),
            other.c.line != literal_column("''"),
        )
        .limit(ALIKE_AT_MOST)
        .correlate(outbox)
        .subquery()
    )
    number = select(func.count()).select_from(alike).correlate(outbox).scalar_subquery()
    columns = (outbox.c[name] for name in ("id", "chat", "tier", "kind", "thread", "due"))
    return (
        select(*columns, case((outbox.c.line != "", number), else_=0).label("alike"))
        .where(OF_BOT, OF_TIER, IS_HEAD, outbox.c.chat.not_in(bindparam("skip", expanding=True)))
        .order_by(*_PLACE)
        .limit(_AT_MOST)
    )


_HEADS: Final = _heads_query()
_ROW: Final = ROW.where(outbox.c.id == bindparam("of_id"))
_IN_SENDING: Final = ROW.where(OF_BOT, IS_SENDING).order_by(outbox.c.id).limit(_AT_MOST)
_IN_LANE: Final = ROW.where(OF_BOT, OF_TIER, IS_QUEUED).order_by(*_PLACE).limit(_AT_MOST)
_FOR_CHAT: Final = (
    ROW.where(OF_BOT, OF_TIER, OF_CHAT, outbox.c.parked == bindparam("is_parked"), IS_QUEUED)
    .order_by(*_PLACE)
    .limit(_AT_MOST)
)
_IN_STATE: Final = (
    ROW.where(OF_BOT, outbox.c.state == bindparam("of_state"), outbox.c.settled_at.is_not(None))
    .add_columns(outbox.c.settled_at)
    .order_by(outbox.c.settled_at.desc(), outbox.c.id.desc())
    .limit(_AT_MOST)
)
_AHEAD: Final = select(func.count()).select_from(
    select(_ONE)
    .select_from(outbox)
    .where(OF_BOT, OF_TIER, IS_QUEUED)
    .where(
        tuple_(*_PLACE)
        < tuple_(bindparam("due", type_=outbox.c.due.type), bindparam("id", type_=outbox.c.id.type))
    )
    .limit(_AT_MOST)
    .subquery()
)
_COUNTS: Final = select(outbox_counts).where(outbox_counts.c.bot == bindparam("of_bot"))
_OLDEST: Final = (
    select(outbox.c.queued_at).where(OF_BOT, OF_TIER, IS_QUEUED).order_by(outbox.c.queued_at).limit(1)
)
_RECENT: Final = (
    select(outbox.c.chat, outbox.c.tried_at, outbox.c.tried_with)
    .where(OF_BOT, outbox.c.tried_at >= bindparam("since"))
    .order_by(outbox.c.tried_at)
)


def heads(connection: Connection, bot: str, *, skip: Collection[str], per_lane: int) -> list[Head]:
    """Return the first ready rows of at most `per_lane` chats in each lane."""
    found: list[Head] = []
    for tier in waiting_tiers(connection, bot):
        of = {"of_bot": bot, "of_tier": tier, "skip": list(skip), "at_most": per_lane}
        found += [Head(**row) for row in connection.execute(_HEADS, of).mappings()]
    return found


def row(connection: Connection, row_id: int) -> Row | None:
    """Return a row."""
    found = connection.execute(_ROW, {"of_id": row_id}).mappings().first()
    return None if found is None else row_of(found)


def rows(connection: Connection, bot: str, *, states: Collection[RowState], chat: str, limit: int) -> list[Row]:
    """Return rows: in `sending`, then queued by place, then settled, newest first."""
    wanted = frozenset(states or RowState)
    found: list[Mapping[Any, Any]] = []
    of = {"of_bot": bot, "at_most": limit}
    if RowState.SENDING in wanted:
        query = _IN_SENDING.where(OF_CHAT) if chat else _IN_SENDING
        found += connection.execute(query, of | ({"of_chat": chat} if chat else {})).mappings()
    if RowState.QUEUED in wanted:
        found += _queued(connection, bot, chat=chat, limit=limit)
    found += _settled(connection, of, [state for state in _SETTLED if state in wanted], chat=chat)
    return [row_of(each) for each in found[:limit]]


def _queued(connection: Connection, bot: str, *, chat: str, limit: int) -> list[Mapping[Any, Any]]:
    found: list[Mapping[Any, Any]] = []
    for tier in waiting_tiers(connection, bot):
        of = {"of_bot": bot, "of_tier": tier, "at_most": limit}
        if not chat:
            found += connection.execute(_IN_LANE, of).mappings()
        for is_parked in (0, 1) if chat else ():
            more = {"of_chat": chat, "is_parked": is_parked}
            found += connection.execute(_FOR_CHAT, of | more).mappings()
    return sorted(found, key=lambda each: (each["due"], each["id"]))[:limit]


def _settled(
    connection: Connection, of: Mapping[str, Any], states: Collection[RowState], *, chat: str
) -> list[Mapping[Any, Any]]:
    query = _IN_STATE.where(OF_CHAT) if chat else _IN_STATE
    found: list[Mapping[Any, Any]] = []
    for state in states:
        more = {"of_state": str(state)} | ({"of_chat": chat} if chat else {})
        found += connection.execute(query, {**of, **more}).mappings()
    return sorted(found, key=lambda each: (each["settled_at"], each["id"]), reverse=True)


def ahead(connection: Connection, row: Row, *, limit: int) -> int:
    """Count the queued rows of the same lane that are due before."""
    of = {"of_bot": row.bot, "of_tier": row.tier, "due": row.due, "id": row.id, "at_most": limit}
    return connection.scalar(_AHEAD, of) or 0


def lanes(connection: Connection, bot: str) -> Mapping[str, LaneState]:
    """Return each lane that has rows waiting."""
    found: dict[str, LaneState] = {}
    for each in connection.execute(_COUNTS, {"of_bot": bot}).mappings().all():
        if each["state"] == RowState.QUEUED and each["number"]:
            oldest = connection.scalar(_OLDEST, {"of_bot": bot, "of_tier": each["tier"]})
            found[each["tier"]] = LaneState(queued=each["number"], oldest=oldest)
    return found


def counts(connection: Connection, bot: str) -> Mapping[RowState, int]:
    """Count the rows in each state."""
    found = dict.fromkeys(RowState, 0)
    for each in connection.execute(_COUNTS, {"of_bot": bot}).mappings():
        found[RowState(each["state"])] += each["number"]
    return found


def recent(connection: Connection, bot: str, *, since: datetime) -> list[tuple[str, datetime]]:
    """Return chat and moment of what was sent, or may have been; a digest is one message."""
    tries: dict[tuple[str, int], datetime] = {}
    for chat, at, first in connection.execute(_RECENT, {"of_bot": bot, "since": since}):
        tries[chat, first] = at
    return sorted(((chat, at) for (chat, _), at in tries.items()), key=lambda each: each[1])
