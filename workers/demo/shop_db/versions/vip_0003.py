"""The flag `vip` goes, and what it said goes with it (contract): there is no way back, so no downgrade."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drop the column."""
    op.drop_column("tickets", "vip")


def downgrade() -> None:
    """Refuse: the values are gone."""
    raise NotImplementedError("what 'vip' said is gone: restore the table from a backup")
