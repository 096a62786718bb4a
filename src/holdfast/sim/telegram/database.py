"""The one store: SQLite, in memory or in the state file.

In write-ahead mode every committed statement outlives the process, also when it is killed.
"""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from typing import cast

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rooms (
    bot_id INTEGER, chat_id INTEGER, last_message_id INTEGER NOT NULL, PRIMARY KEY (bot_id, chat_id)
);
CREATE TABLE IF NOT EXISTS messages (
    bot_id INTEGER, chat_id INTEGER, message_id INTEGER, author_id INTEGER NOT NULL, thread_id INTEGER NOT NULL,
    body TEXT NOT NULL, sent_as TEXT NOT NULL, silent INTEGER NOT NULL, text_edited INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (bot_id, chat_id, message_id)
);
CREATE TABLE IF NOT EXISTS updates (
    bot_id INTEGER, update_id INTEGER, created_at REAL NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (bot_id, update_id)
);
CREATE TABLE IF NOT EXISTS intakes (
    bot_id INTEGER PRIMARY KEY, last_update_id INTEGER NOT NULL, allowed TEXT, webhook TEXT
);
CREATE TABLE IF NOT EXISTS callbacks (
    callback_id TEXT PRIMARY KEY, bot_id INTEGER NOT NULL, user_id INTEGER NOT NULL, created_at REAL NOT NULL,
    answered INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS contacts (
    bot_id INTEGER, user_id INTEGER, started INTEGER NOT NULL, blocked INTEGER NOT NULL,
    PRIMARY KEY (bot_id, user_id)
);
CREATE TABLE IF NOT EXISTS commands (
    bot_id INTEGER, scope TEXT, language TEXT, body TEXT NOT NULL, PRIMARY KEY (bot_id, scope, language)
);
CREATE TABLE IF NOT EXISTS topics (
    chat_id INTEGER, thread_id INTEGER, name TEXT NOT NULL, icon_color INTEGER NOT NULL,
    creator_id INTEGER NOT NULL, closed INTEGER NOT NULL DEFAULT 0, deleted INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (chat_id, thread_id)
);
CREATE TABLE IF NOT EXISTS upgrades (
    old_id INTEGER PRIMARY KEY, new_id INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS reactions (
    bot_id INTEGER, chat_id INTEGER, message_id INTEGER, author_id INTEGER, emoji TEXT NOT NULL,
    PRIMARY KEY (bot_id, chat_id, message_id, author_id)
);
CREATE TABLE IF NOT EXISTS files (
    file_id TEXT PRIMARY KEY, name TEXT NOT NULL, mime_type TEXT NOT NULL, content BLOB NOT NULL
);
"""


class Database:
    """A connection with its tables made.

    Args:
        path: the state file, or ":memory:" for a state that ends with the process.
    """

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        # Enough against a killed process; only a power cut could lose the last moments.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(_SCHEMA)

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Everything inside is stored together or not at all."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def execute(self, statement: str, *values: object) -> int:
        """Run a statement; the number of rows it changed."""
        return self._connection.execute(statement, values).rowcount

    def rows(self, statement: str, *values: object) -> list[sqlite3.Row]:
        """All rows of a query."""
        return self._connection.execute(statement, values).fetchall()

    def row(self, statement: str, *values: object) -> sqlite3.Row | None:
        """The first row of a query."""
        return cast("sqlite3.Row | None", self._connection.execute(statement, values).fetchone())

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
