"""What became of updates, as it stands in the bot's database and at the stand-in."""

import re
import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

_ANSWER = re.compile(r"answer/\d+/(-?\d+)/\d+")


@dataclass
class Answers:
    """What was sent in answer to updates.

    Attributes:
        arrived: messages at the stand-in, by update.
        uncertain: updates with an answer of which nobody knows whether it arrived.
        notices: messages about updates, such as that one is kept.
        unexplained: messages at the stand-in that no row stands for, beyond those of unknown fate.
        last_sent_at: Unix seconds.
    """

    arrived: Counter[int] = field(default_factory=Counter[int])
    uncertain: set[int] = field(default_factory=set[int])
    notices: int = 0
    unexplained: int = 0
    last_sent_at: float = 0


def answers_in(database: Path, state: Path, bot: str) -> Answers:
    """Count what arrived; rows and messages must stand for each other, one for one."""
    answers, there = Answers(), _messages(state, bot)
    with closing(reading(database)) as rows:
        sent = rows.execute("SELECT key, chat, message_id, state, replaces, sent_at FROM outbox").fetchall()
    unsure: Counter[str] = Counter()
    for key, chat, message_id, fate, replaces, sent_at in sent:
        update_id = _update_of(key)
        if fate == "uncertain":
            answers.uncertain.add(update_id)
            unsure[chat] += not replaces
        elif fate == "sent":
            answers.last_sent_at = max(answers.last_sent_at, _unix(sent_at))
            if not replaces and (chat, message_id) in there:
                there.remove((chat, message_id))
                answers.notices += update_id < 0
                answers.arrived[update_id] += 1
    left = Counter(chat for chat, _ in there)
    answers.unexplained = (left - unsure).total()
    return answers


def states_in(database: Path) -> Mapping[int, str]:
    """Return where each update stands."""
    with closing(reading(database)) as rows:
        return dict(rows.execute("SELECT update_id, state FROM inbox"))


def reading(path: Path) -> sqlite3.Connection:
    """Open a database that another process writes."""
    database = sqlite3.connect(path, timeout=30)
    database.execute("PRAGMA query_only = ON")
    return database


def _messages(state: Path, bot: str) -> set[tuple[str, str]]:
    with closing(reading(state)) as database:
        found = database.execute("SELECT chat_id, message_id FROM messages WHERE author_id = ?", (int(bot),))
        return {(str(chat), str(number)) for chat, number in found}


def _update_of(key: str) -> int:
    found = _ANSWER.match(key)
    return int(found[1]) if found else 0


def _unix(stored: str) -> float:
    return datetime.fromisoformat(stored).replace(tzinfo=UTC).timestamp()
