"""Writes Alembic scripts as users have them."""

from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent

_FILE = """\
import os
import sys

import sqlalchemy as sa
from alembic import op

from tests.alembic_provider.alembic_gate import gate

revision = {revision!r}
down_revision = {down!r}


def upgrade():
{upgrade}


def downgrade():
{downgrade}
"""

CUSTOMERS = (
    """
    op.create_table(
        "customers",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("tier", sa.String(10), nullable=False, server_default="basic"),
        sa.CheckConstraint("tier IN ('basic', 'gold')", name="tier_is_known"),
    )
    op.create_index("customers_name", "customers", ["name"])
    """,
    """
    op.drop_table("customers")
    """,
)
ORDERS = (
    """
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("customer", sa.Integer, sa.ForeignKey("customers.id", name="orders_customer_fk")),
        sa.Column("total", sa.Numeric(10, 2), nullable=False),
    )
    op.execute("CREATE VIEW totals AS SELECT customer, sum(total) AS total FROM orders GROUP BY customer")
    """,
    """
    op.execute("DROP VIEW totals")
    op.drop_table("orders")
    """,
)
EMAIL = (
    """
    with op.batch_alter_table("customers") as batch:
        batch.add_column(sa.Column("email", sa.String(200)))
        batch.create_index("customers_email", ["email"], unique=True)
    op.execute("UPDATE customers SET email = lower(name) || '@example.org'")
    """,
    """
    with op.batch_alter_table("customers") as batch:
        batch.drop_index("customers_email")
        batch.drop_column("email")
    """,
)
SHOP = {"0001": CUSTOMERS, "0002": ORDERS, "0003": EMAIL}


@dataclass
class RevisionScripts:
    """A directory with a `versions` folder, each script building on the one before."""

    path: Path

    def add(self, revision: str, upgrade: str, downgrade: str = "pass", *, down: object = "") -> None:
        versions = self.path / "versions"
        versions.mkdir(parents=True, exist_ok=True)
        earlier = sorted(p.stem for p in versions.glob("*.py"))
        text = _FILE.format(
            revision=revision,
            down=(earlier[-1] if earlier else None) if down == "" else down,
            upgrade=indent(dedent(upgrade).strip(), "    "),
            downgrade=indent(dedent(downgrade).strip(), "    "),
        )
        (versions / f"{revision}.py").write_text(text)
