"""What every transaction of the outbox is made of.

Three things keep a million waiting rows as cheap as a thousand, however they are spread over chats:

- Of the ready rows of a tier and chat the first has `head` set, in the same transaction that makes it first.
  The first rows of the first chats of a lane are then the beginning of one small index.
- `outbox_counts` has a number for each tier and state, changed together with the rows.
- Each statement finds its rows by one of the partial indexes, whose conditions it repeats in the same words:
  a parameter in their place would make SQLite read the table.

Whoever changes rows of a bot holds it first (`hold`): no bot has two writers, on either database.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, cast

from pydantic_core import PydanticSerializationError
from sqlalchemy import Connection, Select, bindparam, insert, literal_column, select, text, update

from holdfast.adapters.sql_store.chain import storable
from holdfast.adapters.sql_store.tables import outbox, outbox_counts, outbox_moves
from holdfast.outbox.message import Request, Row, RowState

Lane = tuple[str, str]
"""A tier and a chat in it."""
Changes = Counter[tuple[str, RowState]]
"""By how much the number of a tier's rows in a state changes."""


class Place(NamedTuple):
    """Where a row stands in its lane."""

    due: datetime
    id: int
    tier: str
    chat: str


IS_QUEUED: Final = outbox.c.state == literal_column("'queued'")
IS_SENDING: Final = outbox.c.state == literal_column("'sending'")
IS_READY: Final = outbox.c.parked == literal_column("0")
IS_PARKED: Final = outbox.c.parked == literal_column("1")
IS_HEAD: Final = outbox.c.head == literal_column("1")
HAS_LINE: Final = outbox.c.line != literal_column("''")
HAS_VERSIONS: Final = outbox.c.replaces != literal_column("''")
OF_BOT: Final = outbox.c.bot == bindparam("of_bot")
OF_TIER: Final = outbox.c.tier == bindparam("of_tier")
OF_CHAT: Final = outbox.c.chat == bindparam("of_chat")
OF_IDS: Final = outbox.c.id.in_(bindparam("of_ids", expanding=True))

_HOLD: Final = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_FIRST: Final = (
    select(outbox.c.due, outbox.c.id, outbox.c.head)
    .where(OF_BOT, OF_TIER, OF_CHAT, IS_READY, IS_QUEUED)
    .order_by(outbox.c.due, outbox.c.id)
    .limit(1)
)
_SET_HEAD: Final = update(outbox).where(OF_IDS).values(head=bindparam("is_head"))
_COUNT: Final = (
    update(outbox_counts)
    .where(
        outbox_counts.c.bot == bindparam("of_bot"),
        outbox_counts.c.tier == bindparam("of_tier"),
        outbox_counts.c.state == bindparam("of_state"),
    )
    .values(number=outbox_counts.c.number + bindparam("more"))
)
_NEW_COUNT: Final = insert(outbox_counts)
_TIERS: Final = (
    select(outbox_counts.c.tier)
    .where(
        outbox_counts.c.bot == bindparam("of_bot"),
        outbox_counts.c.state == str(RowState.QUEUED),
        outbox_counts.c.number > 0,
    )
    .order_by(outbox_counts.c.tier)
)
_MOVED: Final = select(outbox_moves.c.old, outbox_moves.c.new).where(
    outbox_moves.c.bot == bindparam("of_bot"), outbox_moves.c.old.in_(bindparam("of_chats", expanding=True))
)
_NOT_OF_ROW: Final = {"head", "parked", "tried_at", "tried_with", "settled_at"}
ROW: Final[Select[Any]] = select(*(column for column in outbox.c if column.name not in _NOT_OF_ROW))


def hold(connection: Connection, bot: str) -> None:
    """Wait until no other transaction changes the rows of a bot; to be called before anything is read."""
    # On SQLite there is one writer anyway. The lock is PostgreSQL's own and ends with the transaction.
    if connection.dialect.name == "postgresql":
        connection.execute(_HOLD, {"name": f"holdfast outbox {bot}"})


def row_of(fields: Mapping[Any, Any], **changes: Any) -> Row:
    """Return a row as it was read, apart from `changes`."""
    return Row.model_validate({**fields, "request": Request.model_validate_json(fields["request"]), **changes})


def stored_request(request: Request) -> str:
    """Return the JSON of a request, without the characters that no database takes."""
    try:
        return request.model_dump_json()
    except PydanticSerializationError:  # half of a character, where a text was cut
        return Request.model_validate(_storable(request.model_dump())).model_dump_json()


def _storable(value: object) -> object:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        fields = cast("Mapping[object, object]", value)
        return {_storable(name): _storable(inner) for name, inner in fields.items()}
    if isinstance(value, list | tuple):
        return [_storable(inner) for inner in cast("Iterable[object]", value)]
    return value


def arrive(connection: Connection, bot: str, places: Collection[Place]) -> tuple[set[int], set[int]]:
    """Return which of these rows become heads of their chats, and which rows cease to be.

    To be called before the rows are made ready; then `set_heads` has to be called.
    """
    firsts: dict[Lane, Place] = {}
    for place in sorted(places):
        firsts.setdefault((place.tier, place.chat), place)
    become: set[int] = set()
    cease: set[int] = set()
    for (tier, chat), place in firsts.items():
        present = connection.execute(_FIRST, {"of_bot": bot, "of_tier": tier, "of_chat": chat}).first()
        if present is None or place[:2] < (present.due, present.id):
            become.add(place.id)
            cease |= {present.id} if present else set()
    return become, cease


def set_heads(connection: Connection, become: Collection[int], cease: Collection[int]) -> None:
    """Note which rows are heads, and which are not."""
    if cease:
        connection.execute(_SET_HEAD, {"of_ids": list(cease), "is_head": 0})
    if become:
        connection.execute(_SET_HEAD, {"of_ids": list(become), "is_head": 1})


def find_heads(connection: Connection, bot: str, lanes: Iterable[Lane]) -> None:
    """Set the heads of tiers and chats whose head went away."""
    become: list[int] = []
    for tier, chat in set(lanes):
        first = connection.execute(_FIRST, {"of_bot": bot, "of_tier": tier, "of_chat": chat}).first()
        if first is not None and not first.head:
            become.append(first.id)
    set_heads(connection, become, ())


def count(connection: Connection, bot: str, changes: Changes) -> None:
    """Keep the numbers of rows in step."""
    for (tier, state), more in changes.items():
        of = {"of_bot": bot, "of_tier": tier, "of_state": str(state), "more": more}
        if more and not connection.execute(_COUNT, of).rowcount:
            row = {"bot": bot, "tier": tier, "state": str(state), "number": more}
            connection.execute(_NEW_COUNT, row)


def moves(tiers: Iterable[str], old: RowState, new: RowState) -> Changes:
    """Return the change of the numbers when a row of each of these tiers goes from one state to another."""
    changes: Changes = Counter()
    for tier in tiers:
        changes[tier, old] -= 1
        changes[tier, new] += 1
    return changes


def waiting_tiers(connection: Connection, bot: str) -> list[str]:
    """Return the tiers that have queued rows."""
    return list(connection.scalars(_TIERS, {"of_bot": bot}))


def moved_chats(connection: Connection, bot: str, chats: Collection[str]) -> dict[str, str]:
    """Return the ids that those of these chats have now which were given another one."""
    found = connection.execute(_MOVED, {"of_bot": bot, "of_chats": list(chats)})
    return {row.old: row.new for row in found}
