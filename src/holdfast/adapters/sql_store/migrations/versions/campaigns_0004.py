"""Campaigns, what their watch saw, reports of load tests and what the tests came to."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the five tables."""
    _campaigns()
    _load()


def _text(*names: str, primary_key: bool = False) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False, primary_key=primary_key) for name in names]


def _moment(name: str, *, primary_key: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, primary_key=primary_key)


def _campaigns() -> None:
    op.create_table(
        "campaigns",
        *_text("run", primary_key=True),
        *_text("campaign", "client"),
        *(_moment(name) for name in ("opens", "closes")),
        *_text("inventory", "view", "spec"),
    )
    op.create_index("campaigns_name", "campaigns", ["campaign", "opens"])
    op.create_index("campaigns_opens", "campaigns", ["opens"])
    op.create_table("campaign_shapes", *_text("run", "digest", primary_key=True), *_text("data"))
    op.create_table(
        "campaign_moments",
        *_text("run", primary_key=True),
        _moment("at", primary_key=True),
        *_text("shape", "numbers"),
    )


def _load() -> None:
    op.create_table(
        "load_reports",
        sa.Column("mark", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        *_text("run"),
        sa.Column("shard", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        *_text("report"),
        sqlite_autoincrement=True,
    )
    op.create_index("load_reports_key", "load_reports", ["run", "shard", "attempt", "number"], unique=True)
    op.create_index("load_reports_mark", "load_reports", ["run", "mark"])
    op.create_table(
        "load_tests",
        *_text("run", primary_key=True),
        *_text("campaign", "runbook"),
        _moment("at"),
        *_text("line"),
        sa.Column("go", sa.Text),
        *_text("decided_by", "result"),
    )
    op.create_index("load_tests_campaign", "load_tests", ["campaign", "at"])
    op.create_index("load_tests_at", "load_tests", ["at"])
