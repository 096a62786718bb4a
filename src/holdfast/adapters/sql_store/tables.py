"""The tables as the newest migration leaves them; a test compares the two."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
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
