"""Messages on their way to chats, updates from them, and covers of duties."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_INDEXES = (
    ("outbox_chat", ("bot", "tier", "chat", "parked", "due", "id"), "state = 'queued'"),
    ("outbox_heads", ("bot", "tier", "due", "id", "chat"), "head = 1"),
    (
        "outbox_alike",
        ("bot", "tier", "chat", "kind", "thread", "due", "id"),
        "state = 'queued' AND parked = 0 AND line <> ''",
    ),
    ("outbox_lane", ("bot", "tier", "due", "id"), "state = 'queued'"),
    ("outbox_arrival", ("bot", "tier", "queued_at"), "state = 'queued'"),
    ("outbox_parked", ("bot", "not_before"), "parked = 1"),
    ("outbox_versions", ("bot", "chat", "replaces", "state", "id"), "replaces <> ''"),
    ("outbox_sending", ("bot", "id"), "state = 'sending'"),
    ("outbox_settled", ("bot", "state", "settled_at", "id", "chat"), "settled_at IS NOT NULL"),
    ("outbox_tried", ("bot", "tried_at"), "tried_at IS NOT NULL"),
)


def upgrade() -> None:
    """Create everything."""
    _outbox()
    _beside_the_outbox()
    _inbox()
    _duty()


def _text(*names: str, primary_key: bool = False) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False, primary_key=primary_key) for name in names]


def _moment(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        *_text("bot", "key", "chat", "kind", "tier"),
        sa.Column("value", sa.Double, nullable=False),
        *_text("delivery", "state"),
        sa.Column("head", sa.SmallInteger, nullable=False),
        sa.Column("parked", sa.SmallInteger, nullable=False),
        *_text("replaces", "line", "thread"),
        _moment("queued_at"),
        _moment("due"),
        _moment("not_before", nullable=True),
        _moment("tried_at", nullable=True),
        sa.Column("tried_with", sa.BigInteger),
        _moment("settled_at", nullable=True),
        _moment("sent_at", nullable=True),
        *_text("message_id"),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("repeated", sa.Boolean, nullable=False),
        *_text("why"),
        sa.Column("code", sa.Integer, nullable=False),
        *_text("request"),
        sqlite_autoincrement=True,
    )
    op.create_index("outbox_key", "outbox", ["bot", "key"], unique=True)
    for name, columns, where in _INDEXES:
        condition = sa.text(where)
        op.create_index(name, "outbox", list(columns), sqlite_where=condition, postgresql_where=condition)


def _beside_the_outbox() -> None:
    op.create_table(
        "outbox_aliases",
        *_text("bot", "key", primary_key=True),
        sa.Column("row_id", sa.BigInteger, nullable=False),
    )
    op.create_index("outbox_aliases_row", "outbox_aliases", ["row_id"])
    op.create_table(
        "outbox_counts",
        *_text("bot", "tier", "state", primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "outbox_leases",
        *_text("bot", primary_key=True),
        *_text("holder"),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        _moment("until"),
    )
    op.create_table("outbox_moves", *_text("bot", "old", primary_key=True), *_text("new"))
    op.create_table("outbox_pauses", *_text("bot", "chat", primary_key=True), _moment("until"))


def _inbox() -> None:
    op.create_table(
        "inbox",
        *_text("bot", primary_key=True),
        sa.Column("update_id", sa.BigInteger, primary_key=True, autoincrement=False),
        _moment("received_at"),
        *_text("state"),
        sa.Column("attempts", sa.Integer, nullable=False),
        *_text("why"),
        sa.Column("raw", sa.Text),
    )
    op.create_index("inbox_states", "inbox", ["bot", "state", "update_id"])


def _duty() -> None:
    op.create_table(
        "duty_covers",
        *_text("id", primary_key=True),
        *_text("rota", "person"),
        _moment("since"),
        _moment("until"),
        *_text("by_person", "note"),
        _moment("at"),
    )
    op.create_index("duty_covers_until", "duty_covers", ["until"])
