"""Forum topics: those of the people file, and those that were opened since."""

from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.sim.telegram.database import Database
from holdfast.sim.telegram.people import Group

GENERAL_TOPIC = 1
ICON_COLORS = (7322096, 16766590, 13338331, 9367192, 16749490, 16478047)


@dataclass(frozen=True)
class ForumTopic:
    """A topic; its id is the `message_thread_id` of its messages."""

    id: int
    name: str
    icon_color: int = ICON_COLORS[0]
    creator_id: int = 0
    is_closed: bool = False


GENERAL = ForumTopic(GENERAL_TOPIC, "General")


class Topics:
    """Keeps the topics of all groups; every write belongs into a transaction of the caller."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, group: Group) -> list[ForumTopic]:
        """The topics of a group except General, the oldest first."""
        return list(self._known(group).values())

    def find(self, group: Group, thread_id: int) -> ForumTopic | None:
        """One topic, None when it never was or was deleted."""
        return self._known(group).get(thread_id) if group.is_forum else None

    def store(self, group: Group, topic: ForumTopic, *, deleted: bool = False) -> None:
        """Keep a topic as it is now."""
        self._database.execute(
            "INSERT OR REPLACE INTO topics VALUES (?, ?, ?, ?, ?, ?, ?)",
            *(group.id, topic.id, topic.name, topic.icon_color, topic.creator_id, topic.is_closed, deleted),
        )

    def _known(self, group: Group) -> Mapping[int, ForumTopic]:
        found = {topic.id: ForumTopic(topic.id, topic.name) for topic in group.topics}
        for row in self._database.rows("SELECT * FROM topics WHERE chat_id = ? ORDER BY thread_id", group.id):
            found[row["thread_id"]] = ForumTopic(
                row["thread_id"], row["name"], row["icon_color"], row["creator_id"], bool(row["closed"])
            )
            if row["deleted"]:
                del found[row["thread_id"]]
        return found
