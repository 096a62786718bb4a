"""Tickets know the customer's tier. The flag `vip` stays for as long as something reads it (expand)."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, fill it, and index it."""
    op.add_column("tickets", sa.Column("tier", sa.Text, nullable=False, server_default="standard"))
    op.execute("UPDATE tickets SET tier = 'gold' WHERE vip")
    op.create_index("tickets_by_tier", "tickets", ["tier", "order_value"])


def downgrade() -> None:
    """Drop both; `vip` is still there."""
    op.drop_index("tickets_by_tier", "tickets")
    op.drop_column("tickets", "tier")
