"""Stored messages of all conversations."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.sim.telegram.database import Database
from holdfast.sim.telegram.shapes import Json, Room
from holdfast.sim.telegram.topics import GENERAL_TOPIC


@dataclass(frozen=True)
class StoredMessage:
    """A message: `body` as the Bot API shows it, and what only Telegram itself knows of it."""

    room: Room
    body: Json
    author_id: int
    is_silent: bool
    is_text_edited: bool

    @property
    def message_id(self) -> int:
        """The number of the message in its conversation."""
        return int(self.body["message_id"])


@dataclass(frozen=True)
class Repetition:
    """The same content that one author sent more than once to one chat."""

    chat_id: int
    text: str
    message_ids: Sequence[int]


class Messages:
    """Read and write messages; every write belongs into a transaction of the caller."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, room: Room, body: Json, *, author_id: int, silent: bool = False, opens_topic: bool = False
    ) -> Json:
        """Store a message under the next number of its conversation; the body with `message_id`.

        The first message of a topic gives the topic its id.
        """
        # Number 1 of a forum is General, so that no other topic begins with it.
        first = GENERAL_TOPIC + 1 if opens_topic else 1
        row = self._database.row(
            "INSERT INTO rooms VALUES (?, ?, ?) "
            "ON CONFLICT DO UPDATE SET last_message_id = last_message_id + 1 RETURNING last_message_id",
            *(*room, first),
        )
        message_id = row["last_message_id"] if row else first
        topic = {"message_thread_id": message_id, "is_topic_message": True} if opens_topic else {}
        complete = {"message_id": message_id, **body, **topic}
        thread_id = int(complete.get("message_thread_id", 0))
        self._database.execute(
            "INSERT INTO messages (bot_id, chat_id, message_id, author_id, thread_id, body, sent_as, silent) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            *(
                *room,
                complete["message_id"],
                author_id,
                thread_id,
                json.dumps(complete),
                _content(body),
                silent,
            ),
        )
        return complete

    def replace(self, message: StoredMessage, body: Json, *, text_edited: bool) -> None:
        """Put an edited body in the place of the old one."""
        self._database.execute(
            "UPDATE messages SET body = ?, text_edited = MAX(text_edited, ?) "
            "WHERE bot_id = ? AND chat_id = ? AND message_id = ?",
            *(json.dumps(body), text_edited, *message.room, message.message_id),
        )

    def remove(self, message: StoredMessage) -> None:
        """Delete a message; its number is never used again."""
        self._database.execute(
            "DELETE FROM messages WHERE bot_id = ? AND chat_id = ? AND message_id = ?",
            *(*message.room, message.message_id),
        )

    def find(self, room: Room, message_id: int) -> StoredMessage | None:
        """One message, None when it does not exist or was deleted."""
        row = self._database.row(
            "SELECT * FROM messages WHERE bot_id = ? AND chat_id = ? AND message_id = ?", *room, message_id
        )
        return _stored(row) if row else None

    def latest(self, room: Room, *, thread_id: int | None = None, limit: int = 100) -> list[StoredMessage]:
        """The newest messages of a conversation, or of one topic of it (0 is General), oldest first."""
        rows = self._database.rows(
            "SELECT * FROM messages WHERE bot_id = ?1 AND chat_id = ?2 AND (?3 IS NULL OR thread_id = ?3) "
            "ORDER BY message_id DESC LIMIT ?4",
            *(*room, thread_id, limit),
        )
        return [_stored(row) for row in reversed(rows)]

    def remove_topic(self, room: Room, thread_id: int) -> None:
        """Delete everything that was written in a topic."""
        self._database.execute(
            "DELETE FROM messages WHERE bot_id = ? AND chat_id = ? AND thread_id = ?", *room, thread_id
        )

    def react(self, message: StoredMessage, author_id: int, emoji: str) -> bool:
        """Put an author's reaction in the place of the earlier one, "" for none; whether anything changed."""
        key = (*message.room, message.message_id, author_id)
        if emoji:
            self._database.execute("INSERT OR REPLACE INTO reactions VALUES (?, ?, ?, ?, ?)", *key, emoji)
            return True
        return bool(
            self._database.execute(
                "DELETE FROM reactions WHERE bot_id = ? AND chat_id = ? AND message_id = ? AND author_id = ?",
                *key,
            )
        )

    def reactions(self, room: Room, message_ids: Sequence[int]) -> dict[int, list[str]]:
        """The reactions to messages, by the message's number."""
        rows = self._database.rows(
            "SELECT message_id, emoji FROM reactions WHERE bot_id = ? AND chat_id = ? "
            "AND message_id IN (SELECT value FROM json_each(?)) ORDER BY rowid",
            *(*room, json.dumps(message_ids)),
        )
        found: dict[int, list[str]] = {}
        for row in rows:
            found.setdefault(row["message_id"], []).append(row["emoji"])
        return found

    def count_by(self, author_ids: Sequence[int]) -> int:
        """How many messages that still exist these authors sent."""
        row = self._database.row(
            "SELECT COUNT(*) AS number FROM messages WHERE author_id IN (SELECT value FROM json_each(?))",
            json.dumps(author_ids),
        )
        return int(row["number"]) if row else 0

    def repetitions(self, author_ids: Sequence[int]) -> list[Repetition]:
        """What these authors sent more than once with the same content to the same chat."""
        rows = self._database.rows(
            "SELECT chat_id, sent_as, GROUP_CONCAT(message_id) AS message_ids FROM messages "
            "WHERE author_id IN (SELECT value FROM json_each(?)) "
            "GROUP BY bot_id, chat_id, author_id, sent_as HAVING COUNT(*) > 1",
            json.dumps(author_ids),
        )
        return [
            Repetition(row["chat_id"], json.loads(row["sent_as"])[0], _numbers(row["message_ids"]))
            for row in rows
        ]


def _numbers(listed: str) -> list[int]:
    return sorted(int(number) for number in listed.split(","))


def _content(body: Json) -> str:
    text = body.get("text", body.get("caption", ""))
    files: list[Json] = [*body.get("photo", ()), *([body["document"]] if "document" in body else ())]
    parts = (body.get(part) for part in ("entities", "reply_markup", "message_thread_id"))
    return json.dumps([text, *parts, *(file["file_unique_id"] for file in files)], sort_keys=True)


def _stored(row: sqlite3.Row) -> StoredMessage:
    return StoredMessage(
        room=Room(row["bot_id"], row["chat_id"]),
        body=json.loads(row["body"]),
        author_id=row["author_id"],
        is_silent=bool(row["silent"]),
        is_text_edited=bool(row["text_edited"]),
    )
