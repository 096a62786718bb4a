"""Read by Alembic, which is called by `migrating`, with the connection to work on."""

from alembic import context

from holdfast.adapters.sql_store.migrating import VERSION_TABLE
from holdfast.adapters.sql_store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE
)
with context.begin_transaction():
    context.run_migrations()
