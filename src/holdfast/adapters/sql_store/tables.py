"""The tables as the newest migration leaves them; a test compares the two."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    TypeDecorator,
    text,
)


class Moment(TypeDecorator[datetime]):
    """An aware datetime, kept in UTC to the microsecond by both databases."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn into UTC; a time without a zone is a mistake of the caller."""
        _ = dialect
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Give the zone back, which SQLite does not keep."""
        _ = dialect
        if not isinstance(value, datetime):
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _partial(name: str, *columns: str, where: str) -> Index:
    """Index some rows; SQLite uses it for queries that say `where` in the same words, without parameters."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


metadata = MetaData()

audit = Table(
    "audit",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("key", Text, nullable=False, unique=True),
    Column("at", Text, nullable=False),  # as it was hashed
    Column("kind", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("gate", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("data", Text, nullable=False),  # JSON as it was hashed
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Index("audit_of_gate", "run", "gate", "number"),
)

second_factors = Table(
    "second_factors",
    metadata,
    Column("person", Text, primary_key=True),
    Column("secret", Text, nullable=False),  # encrypted
    Column("begun_at", Moment, nullable=False),
    Column("confirmed_at", Moment),
    Column("last_step", BigInteger, nullable=False),  # of the newest code that counted
    Column("wrong", Integer, nullable=False),  # guesses since the last good code or lock
    Column("locks", Integer, nullable=False),  # since the last good code
    Column("locked_until", Moment),
)

intents = Table(
    "intents",
    metadata,
    Column("person", Text, primary_key=True),
    Column("chat", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("data", Text, nullable=False),  # JSON
    Column("expires_at", Moment, nullable=False),
)

delegations = Table(
    "delegations",
    metadata,
    Column("key", Text, primary_key=True),
    Column("by_person", Text, nullable=False),
    Column("to_person", Text, nullable=False),
    Column("since", Moment, nullable=False),
    Column("until", Moment, nullable=False),
    Index("delegations_until", "until"),
)

notices = Table(
    "notices",
    metadata,
    Column("key", Text, primary_key=True),
    Column("run", Text, nullable=False),
    Column("gate", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("message", Text),  # JSON
    Column("at", Moment, nullable=False),
    Index("notices_of_gate", "run", "gate"),
)

judged_shares = Table(
    "judged_shares",
    metadata,
    Column("run", Text, primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("share_percent", Integer, primary_key=True, autoincrement=False),
    Column("model", Text, primary_key=True),
    Column("runbook", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("deciding", Boolean, nullable=False),
    Column("watch_started_at", Moment, nullable=False),
    Column("newest_at", Moment, nullable=False),  # of its verdicts
    Column("newest_outcome", Text, nullable=False),
    Column("first_stop_at", Moment),
    Column("first_rollback_at", Moment),
    Index("judged_shares_newest", "newest_at"),
)

verdict_changes = Table(
    "verdict_changes",
    metadata,
    Column("run", Text, primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("share_percent", Integer, primary_key=True, autoincrement=False),
    Column("model", Text, primary_key=True),
    Column("at", Moment, primary_key=True),
    Column("outcome", Text, nullable=False),  # holds until the next row of this share and model
    Column("risk_percent", Integer, nullable=False),
    Column("reason", Text, nullable=False),
)

release_labels = Table(
    "release_labels",
    metadata,
    Column("run", Text, primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("label", Text, nullable=False),
    Column("fault", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("at", Moment, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    # SQLite numbers only this type; with autoincrement the number of a forgotten row never comes again.
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("bot", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("chat", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("tier", Text, nullable=False),
    Column("value", Double, nullable=False),
    Column("delivery", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("head", SmallInteger, nullable=False),  # 1: of the ready rows of its tier and chat the first
    Column("parked", SmallInteger, nullable=False),  # 1: queued, and not ready before `not_before`
    Column("replaces", Text, nullable=False),
    Column("line", Text, nullable=False),
    Column("thread", Text, nullable=False),
    Column("queued_at", Moment, nullable=False),
    Column("due", Moment, nullable=False),
    Column("not_before", Moment),
    Column("tried_at", Moment),  # when it was, or may have been, sent
    Column("tried_with", BigInteger),  # the first row of the same try: a digest's rows are one message
    Column("settled_at", Moment),
    Column("sent_at", Moment),
    Column("message_id", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("repeated", Boolean, nullable=False),
    Column("why", Text, nullable=False),
    Column("code", Integer, nullable=False),
    Column("request", Text, nullable=False),  # JSON; last, because SQLite reads a row from its beginning
    Index("outbox_key", "bot", "key", unique=True),
    _partial("outbox_chat", "bot", "tier", "chat", "parked", "due", "id", where="state = 'queued'"),
    _partial("outbox_heads", "bot", "tier", "due", "id", "chat", where="head = 1"),
    _partial(
        "outbox_alike",
        *("bot", "tier", "chat", "kind", "thread", "due", "id"),
        where="state = 'queued' AND parked = 0 AND line <> ''",
    ),
    _partial("outbox_lane", "bot", "tier", "due", "id", where="state = 'queued'"),
    _partial("outbox_arrival", "bot", "tier", "queued_at", where="state = 'queued'"),
    _partial("outbox_parked", "bot", "not_before", where="parked = 1"),
    _partial("outbox_versions", "bot", "chat", "replaces", "state", "id", where="replaces <> ''"),
    _partial("outbox_sending", "bot", "id", where="state = 'sending'"),
    _partial("outbox_settled", "bot", "state", "settled_at", "id", "chat", where="settled_at IS NOT NULL"),
    _partial("outbox_tried", "bot", "tried_at", where="tried_at IS NOT NULL"),
    sqlite_autoincrement=True,
)

outbox_aliases = Table(
    "outbox_aliases",
    metadata,
    Column("bot", Text, primary_key=True),
    Column("key", Text, primary_key=True),  # of a message that took the place of the row's
    Column("row_id", BigInteger, nullable=False),
    Index("outbox_aliases_row", "row_id"),
)

outbox_counts = Table(
    "outbox_counts",
    metadata,
    Column("bot", Text, primary_key=True),
    Column("tier", Text, primary_key=True),
    Column("state", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),  # changed together with the rows
)

outbox_leases = Table(
    "outbox_leases",
    metadata,
    Column("bot", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("until", Moment, nullable=False),
)

outbox_moves = Table(
    "outbox_moves",
    metadata,
    Column("bot", Text, primary_key=True),
    Column("old", Text, primary_key=True),
    Column("new", Text, nullable=False),  # never itself the old one of another move
)

outbox_pauses = Table(
    "outbox_pauses",
    metadata,
    Column("bot", Text, primary_key=True),
    Column("chat", Text, primary_key=True),  # empty: the whole bot
    Column("until", Moment, nullable=False),
)

inbox = Table(
    "inbox",
    metadata,
    Column("bot", Text, primary_key=True),
    Column("update_id", BigInteger, primary_key=True, autoincrement=False),
    Column("received_at", Moment, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("why", Text, nullable=False),
    Column("raw", Text),  # JSON; gone once it is handled
    Index("inbox_states", "bot", "state", "update_id"),
)

duty_covers = Table(
    "duty_covers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("rota", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("since", Moment, nullable=False),
    Column("until", Moment, nullable=False),
    Column("by_person", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Index("duty_covers_until", "until"),
)

campaigns = Table(
    "campaigns",
    metadata,
    Column("run", Text, primary_key=True),
    Column("campaign", Text, nullable=False),
    Column("client", Text, nullable=False),
    Column("opens", Moment, nullable=False),
    Column("closes", Moment, nullable=False),
    Column("inventory", Text, nullable=False),  # JSON
    Column("view", Text, nullable=False),  # JSON
    Column("spec", Text, nullable=False),  # JSON
    Index("campaigns_name", "campaign", "opens"),
    Index("campaigns_opens", "opens"),
)

campaign_shapes = Table(
    "campaign_shapes",
    metadata,
    Column("run", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("data", Text, nullable=False),  # JSON: of a look, what is the same in the next
)

campaign_moments = Table(
    "campaign_moments",
    metadata,
    Column("run", Text, primary_key=True),
    Column("at", Moment, primary_key=True),
    Column("shape", Text, nullable=False),  # digest
    Column("numbers", Text, nullable=False),  # JSON
)

load_reports = Table(
    "load_reports",
    metadata,
    Column("mark", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("run", Text, nullable=False),
    Column("shard", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("report", Text, nullable=False),  # JSON
    Index("load_reports_key", "run", "shard", "attempt", "number", unique=True),
    Index("load_reports_mark", "run", "mark"),
    sqlite_autoincrement=True,
)

load_tests = Table(
    "load_tests",
    metadata,
    Column("run", Text, primary_key=True),
    Column("campaign", Text, nullable=False),
    Column("runbook", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("line", Text, nullable=False),  # JSON
    Column("go", Text),
    Column("decided_by", Text, nullable=False),
    Column("result", Text, nullable=False),  # JSON; last, because lists do without it
    Index("load_tests_campaign", "campaign", "at"),
    Index("load_tests_at", "at"),
)
