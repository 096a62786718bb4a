"""Rows that wait again, wait no more, or are ready after a while."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select, update

from holdfast.adapters.sql_store.chain import storable
from holdfast.adapters.sql_store.outbox_rows import (
    HAS_VERSIONS,
    IS_PARKED,
    IS_QUEUED,
    OF_BOT,
    OF_CHAT,
    OF_IDS,
    Place,
    arrive,
    count,
    find_heads,
    hold,
    moved_chats,
    moves,
    set_heads,
)
from holdfast.adapters.sql_store.tables import outbox
from holdfast.outbox.message import RowState

REPLACED: Final = "replaced by a newer version"
_Fields = Mapping[Any, Any]

_COLUMNS: Final = (
    "id",
    "bot",
    "chat",
    "tier",
    "state",
    "replaces",
    "queued_at",
    "due",
    "repeated",
    "tried_at",
)
_CHANGEABLE: Final = select(*(outbox.c[name] for name in _COLUMNS)).where(OF_IDS)
_BOT: Final = select(outbox.c.bot).where(outbox.c.id == bindparam("of_id"))
_QUEUE: Final = (
    update(outbox)
    .where(outbox.c.id == bindparam("of_id"))
    .values(
        state=str(RowState.QUEUED),
        chat=bindparam("new_chat"),
        queued_at=bindparam("new_queued_at"),
        due=bindparam("new_due"),
        repeated=bindparam("new_repeated"),
        why=bindparam("new_why"),
        not_before=bindparam("new_not_before"),
        parked=bindparam("new_parked"),
        tried_at=bindparam("new_tried_at"),
        settled_at=None,
        code=0,
    )
)
_DIE: Final = (
    update(outbox)
    .where(outbox.c.id == bindparam("of_id"))
    .values(state=str(RowState.DEAD), head=0, parked=0, why=bindparam("new_why"), settled_at=bindparam("now"))
)
_VERSIONS: Final = select(outbox.c.id).where(
    OF_BOT, OF_CHAT, outbox.c.replaces == bindparam("of_replaces"), HAS_VERSIONS
)
_WAITING_VERSION: Final = _VERSIONS.where(IS_QUEUED, outbox.c.id != bindparam("of_id")).limit(1)
_LATER_VERSION: Final = _VERSIONS.where(
    outbox.c.state.in_([str(state) for state in (RowState.SENDING, RowState.SENT, RowState.UNCERTAIN)]),
    outbox.c.id > bindparam("of_id"),
).limit(1)
_RIPE: Final = (
    select(outbox.c.due, outbox.c.id, outbox.c.tier, outbox.c.chat)
    .where(OF_BOT, IS_PARKED, outbox.c.not_before <= bindparam("now", type_=outbox.c.not_before.type))
    .order_by(outbox.c.not_before)
    .limit(bindparam("at_most"))
)
_WAKE: Final = update(outbox).where(OF_IDS).values(parked=0)


def requeue(
    connection: Connection,
    bot: str,
    ids: Sequence[int],
    *,
    repeated: bool,
    why: str,
    not_before: datetime | None,
) -> None:
    """Put rows in `sending` or `uncertain` back; see `OutboxStore.requeue`."""
    found = connection.execute(_CHANGEABLE, {"of_ids": list(ids)}).mappings().all()
    # The newest first, so that an older version among them finds it waiting.
    for row in sorted(found, key=lambda row: -row["id"]):
        if row["bot"] == bot and row["state"] in {RowState.SENDING, RowState.UNCERTAIN}:
            again = {"why": storable(why), "not_before": not_before, "repeated": repeated or row["repeated"]}
            _queue(connection, {**row, **again})


def retry(connection: Connection, row_id: int, *, why: str, now: datetime) -> bool:
    """Queue an uncertain or dead row again, as if it arrived now; see `OutboxStore.retry`."""
    row = _held(connection, row_id)
    if row is None or row["state"] not in {RowState.UNCERTAIN, RowState.DEAD}:
        return False
    times = {"queued_at": now, "due": now + (row["due"] - row["queued_at"]), "not_before": None}
    repeated = row["repeated"] or row["state"] == RowState.UNCERTAIN
    return _queue(connection, {**row, **times, "why": storable(why), "repeated": repeated})


def drop(connection: Connection, row_id: int, *, why: str) -> bool:
    """Make a queued or uncertain row dead."""
    row = _held(connection, row_id)
    if row is None or row["state"] not in {RowState.QUEUED, RowState.UNCERTAIN}:
        return False
    die(connection, row, why=storable(why))
    find_heads(connection, row["bot"], [(row["tier"], row["chat"])])
    return True


def _held(connection: Connection, row_id: int) -> _Fields | None:
    """Return a row after holding its bot."""
    bot = connection.scalar(_BOT, {"of_id": row_id})
    if bot is None:
        return None
    hold(connection, bot)
    return connection.execute(_CHANGEABLE, {"of_ids": [row_id]}).mappings().first()


def _queue(connection: Connection, row: _Fields) -> bool:
    """Queue a row of another state with these fields; False where a newer version is there, and it is dead."""
    bot, row_id, state = row["bot"], row["id"], RowState(row["state"])
    old: str = row["chat"]
    chat = moved_chats(connection, bot, [old]).get(old, old)
    if row["replaces"] and _has_newer(connection, bot, chat, row["replaces"], row_id):
        die(connection, row, why=REPLACED)
        return False
    ready = row["not_before"] is None
    place = Place(row["due"], row_id, row["tier"], chat)
    become, cease = arrive(connection, bot, [place] if ready else [])
    values = {f"new_{name}": row[name] for name in ("queued_at", "due", "repeated", "why", "not_before")}
    values |= {"new_chat": chat, "new_parked": int(not ready)}
    values |= {"new_tried_at": row["tried_at"] if row["repeated"] else None}
    connection.execute(_QUEUE, {"of_id": row_id, **values})
    set_heads(connection, become, cease)
    count(connection, bot, moves([row["tier"]], state, RowState.QUEUED))
    return True


def _has_newer(connection: Connection, bot: str, chat: str, replaces: str, row_id: int) -> bool:
    """Return whether another version waits, or a later one was tried: an older one would undo it."""
    of = {"of_bot": bot, "of_chat": chat, "of_replaces": replaces, "of_id": row_id}
    return any(connection.scalar(query, of) is not None for query in (_WAITING_VERSION, _LATER_VERSION))


def die(connection: Connection, row: _Fields, *, why: str) -> None:
    """Make a row dead; where it was queued the heads have to be found afterwards."""
    # The callers know no moment, and a row must not be forgotten at once because of that.
    connection.execute(_DIE, {"of_id": row["id"], "new_why": why, "now": datetime.now(UTC)})
    count(connection, row["bot"], moves([row["tier"]], RowState(row["state"]), RowState.DEAD))


def is_any_ripe(connection: Connection, bot: str, *, now: datetime) -> bool:
    """Return whether rows wait whose `not_before` is over."""
    return connection.execute(_RIPE, {"of_bot": bot, "now": now, "at_most": 1}).first() is not None


def wake(connection: Connection, bot: str, *, now: datetime, at_most: int) -> int:
    """Make rows ready whose `not_before` is over; return how many."""
    hold(connection, bot)
    found = connection.execute(_RIPE, {"of_bot": bot, "now": now, "at_most": at_most}).all()
    places = [Place(*row) for row in found]
    become, cease = arrive(connection, bot, places)
    if places:
        connection.execute(_WAKE, {"of_ids": [place.id for place in places]})
    set_heads(connection, become, cease)
    return len(places)
