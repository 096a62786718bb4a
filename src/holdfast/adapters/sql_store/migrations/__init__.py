"""Alembic's scripts. They only ever add: the release before has to work on what the next one left."""
