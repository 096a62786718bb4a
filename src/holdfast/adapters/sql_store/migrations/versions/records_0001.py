"""Audit log, authenticator apps, intents, delegations, notices."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_REFUSAL = "the audit log is append-only: nothing in it may be changed or removed"
_REFUSE = f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
# REPLACE would remove a row without asking the trigger on DELETE, so it is refused before.
_KNOWN = "WHEN EXISTS (SELECT 1 FROM audit WHERE number >= NEW.number OR key = NEW.key)"
_SQLITE_TRIGGERS = (
    f"CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit {_REFUSE}",
    f"CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit {_REFUSE}",
    f"CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit {_KNOWN} {_REFUSE}",
)
_POSTGRESQL_TRIGGERS = (
    f"""
    CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$
    """,
    """
    CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()
    """,
)


def upgrade() -> None:
    """Create everything."""
    _audit()
    _second_factors()
    _intents()
    _delegations()
    _notices()


def _audit() -> None:
    texts = ("at", "kind", "run", "gate", "person", "channel", "text", "data", "previous", "hash")
    op.create_table(
        "audit",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("key", sa.Text, nullable=False, unique=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in texts),
    )
    op.create_index("audit_of_gate", "audit", ["run", "gate", "number"])
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _SQLITE_TRIGGERS if on_sqlite else _POSTGRESQL_TRIGGERS:
        op.execute(statement)


def _second_factors() -> None:
    op.create_table(
        "second_factors",
        sa.Column("person", sa.Text, primary_key=True),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True)),
        sa.Column("last_step", sa.BigInteger, nullable=False),
        sa.Column("wrong", sa.Integer, nullable=False),
        sa.Column("locks", sa.Integer, nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True)),
    )


def _intents() -> None:
    op.create_table(
        "intents",
        sa.Column("person", sa.Text, primary_key=True),
        sa.Column("chat", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )


def _delegations() -> None:
    op.create_table(
        "delegations",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("by_person", sa.Text, nullable=False),
        sa.Column("to_person", sa.Text, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("delegations_until", "delegations", ["until"])


def _notices() -> None:
    texts = ("run", "gate", "person", "channel", "kind", "state")
    op.create_table(
        "notices",
        sa.Column("key", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in texts),
        sa.Column("message", sa.Text),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("notices_of_gate", "notices", ["run", "gate"])
