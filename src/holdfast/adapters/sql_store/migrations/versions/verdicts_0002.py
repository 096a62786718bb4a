"""What every model said of every share, and what people found of each stage."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the three tables."""
    op.create_table(
        "judged_shares",
        *_share_and_model(),
        sa.Column("runbook", sa.Text, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("deciding", sa.Boolean, nullable=False),
        sa.Column("watch_started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("newest_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("newest_outcome", sa.Text, nullable=False),
        sa.Column("first_stop_at", sa.DateTime(timezone=True)),
        sa.Column("first_rollback_at", sa.DateTime(timezone=True)),
    )
    op.create_index("judged_shares_newest", "judged_shares", ["newest_at"])
    op.create_table(
        "verdict_changes",
        *_share_and_model(),
        sa.Column("at", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("risk_percent", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_table(
        "release_labels",
        sa.Column("run", sa.Text, primary_key=True),
        sa.Column("stage", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("label", "fault", "why", "person")),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )


def _share_and_model() -> list[sa.Column[Any]]:
    return [
        sa.Column("run", sa.Text, primary_key=True),
        sa.Column("stage", sa.Text, primary_key=True),
        sa.Column("share_percent", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("model", sa.Text, primary_key=True),
    ]
