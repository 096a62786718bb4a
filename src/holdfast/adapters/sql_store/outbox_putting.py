from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import BindParameter, Connection, bindparam, insert, select, union_all, update

from holdfast.adapters.sql_store.chain import storable
from holdfast.adapters.sql_store.outbox_rows import (
    HAS_VERSIONS,
    IS_QUEUED,
    OF_BOT,
    OF_CHAT,
    Place,
    arrive,
    count,
    hold,
    moved_chats,
    set_heads,
    stored_request,
)
from holdfast.adapters.sql_store.tables import outbox, outbox_aliases
from holdfast.outbox.message import Ranked, RowState

_AT_ONCE: Final = 500
_NO_ID_YET: Final = 2**62  # above every id: of rows that are due at one moment the new one comes later
_KEYS: Final[BindParameter[Any]] = bindparam("of_keys", expanding=True)
_KNOWN: Final = union_all(
    select(outbox.c.key, outbox.c.id).where(OF_BOT, outbox.c.key.in_(_KEYS)),
    select(outbox_aliases.c.key, outbox_aliases.c.row_id).where(
        outbox_aliases.c.bot == bindparam("of_bot"), outbox_aliases.c.key.in_(_KEYS)
    ),
)
_OLDER_VERSION: Final = select(outbox.c.id).where(
    OF_BOT, OF_CHAT, outbox.c.replaces == bindparam("of_replaces"), HAS_VERSIONS, IS_QUEUED
)
_REPLACE: Final = (
    update(outbox)
    .where(outbox.c.id == bindparam("of_id"))
    .values(request=bindparam("new_request"), line=bindparam("new_line"))
)
_INSERT: Final = insert(outbox)
_INSERT_MANY: Final = insert(outbox).returning(outbox.c.id, sort_by_parameter_order=True)
_FRESH: Final[dict[str, Any]] = {
    "state": str(RowState.QUEUED),
    "parked": 0,
    "message_id": "",
    "attempts": 0,
    "repeated": False,
    "why": "",
    "code": 0,
}


def put(connection: Connection, bot: str, messages: Sequence[Ranked]) -> list[int]:
    """Store messages; see `OutboxStore.put`."""
    hold(connection, bot)
    keys = [storable(each.message.key) for each in messages]
    plan = _Plan(connection, bot, ids=_known(connection, bot, keys))
    chats = _present_chats(connection, bot, messages)
    for key, each in zip(keys, messages, strict=True):
        if key not in plan.ids:
            plan.add(key, each, chat=chats.get(each.message.chat, each.message.chat))
    plan.carry_out()
    return [plan.ids[key] for key in keys]


def _known(connection: Connection, bot: str, keys: Sequence[str]) -> dict[str, int]:
    known: dict[str, int] = {}
    for start in range(0, len(keys), _AT_ONCE):
        of = {"of_bot": bot, "of_keys": list(keys[start : start + _AT_ONCE])}
        known |= {row.key: row.id for row in connection.execute(_KNOWN, of)}
    return known


def _present_chats(connection: Connection, bot: str, messages: Sequence[Ranked]) -> dict[str, str]:
    chats, present = list({each.message.chat for each in messages}), dict[str, str]()
    for start in range(0, len(chats), _AT_ONCE):
        present |= moved_chats(connection, bot, chats[start : start + _AT_ONCE])
    return present


@dataclass
class _Plan:
    """What a put comes to.

    Attributes:
        ids: the id that each key has; `_NO_ID_YET` and an index in `rows` until it has one.
        rows: to be inserted.
        contents: newer contents of queued rows, by id.
        aliases: keys whose messages take the place of others.
        versions: the queued row of a chat and `replaces`.
    """

    connection: Connection
    bot: str
    ids: dict[str, int]
    rows: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    contents: dict[int, dict[str, str]] = field(default_factory=dict[int, dict[str, str]])
    aliases: list[str] = field(default_factory=list[str])
    versions: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])

    def add(self, key: str, ranked: Ranked, *, chat: str) -> None:
        """Plan one message whose key is not known."""
        message = ranked.message
        content = {"request": stored_request(message.request), "line": storable(message.line)}
        version = chat, storable(message.replaces)
        older = self._waiting(version) if message.replaces else None
        if older is None:
            older = self.versions[version] = _NO_ID_YET + len(self.rows)
            self.rows.append(_FRESH | self._place(key, ranked, version) | content)
        else:
            self.aliases.append(key)
            self._renew(older, content)
        self.ids[key] = older

    def _place(self, key: str, ranked: Ranked, version: tuple[str, str]) -> dict[str, Any]:
        return {
            "bot": self.bot,
            "key": key,
            "chat": version[0],
            "replaces": version[1],
            "kind": storable(ranked.message.kind),
            "thread": storable(ranked.message.thread),
            "tier": storable(ranked.tier),
            "value": ranked.message.value,
            "delivery": str(ranked.delivery),
            "queued_at": ranked.queued_at,
            "due": ranked.due,
        }

    def _waiting(self, version: tuple[str, str]) -> int | None:
        """Return the queued row of a chat and `replaces`."""
        if version not in self.versions:
            of = {"of_bot": self.bot, "of_chat": version[0], "of_replaces": version[1]}
            older = self.connection.scalar(_OLDER_VERSION, of)
            if older is None:
                return None
            self.versions[version] = older
        return self.versions[version]

    def _renew(self, row_id: int, content: dict[str, str]) -> None:
        if row_id >= _NO_ID_YET:
            self.rows[row_id - _NO_ID_YET] |= content
        else:
            self.contents[row_id] = content

    def carry_out(self) -> None:
        """Write everything that is planned."""
        if self.rows:
            self._insert()
        for row_id, content in self.contents.items():
            new = {"new_request": content["request"], "new_line": content["line"]}
            self.connection.execute(_REPLACE, {"of_id": row_id, **new})
        if self.aliases:
            rows = [{"bot": self.bot, "key": key, "row_id": self.ids[key]} for key in self.aliases]
            self.connection.execute(insert(outbox_aliases), rows)

    def _insert(self) -> None:
        places = [Place(r["due"], _NO_ID_YET + i, r["tier"], r["chat"]) for i, r in enumerate(self.rows)]
        become, cease = arrive(self.connection, self.bot, places)
        set_heads(self.connection, (), cease)
        for place, row in zip(places, self.rows, strict=True):
            row["head"] = int(place.id in become)
        ids = _inserted(self.connection, self.rows)
        for key, row_id in self.ids.items():
            if row_id >= _NO_ID_YET:
                self.ids[key] = ids[row_id - _NO_ID_YET]
        changes = Counter((row["tier"], RowState.QUEUED) for row in self.rows)
        count(self.connection, self.bot, changes)


def _inserted(connection: Connection, rows: list[dict[str, Any]]) -> Sequence[int]:
    if len(rows) == 1:  # most often, and cheaper
        key = connection.execute(_INSERT, rows[0]).inserted_primary_key
        return list(key or ())
    return connection.scalars(_INSERT_MANY, rows).all()
