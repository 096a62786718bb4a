"""Shapes shared by the whole package."""

from typing import Any, NamedTuple

Json = dict[str, Any]
"""One JSON object as the Bot API sends it; its fields are the API's, not ours."""


class Room(NamedTuple):
    """Where a conversation lives.

    A private conversation belongs to one bot and one user (`chat_id` is the user's id). A group has one
    conversation that all its bots see; its `bot_id` is 0.
    """

    bot_id: int
    chat_id: int

    @property
    def is_private(self) -> bool:
        """Whether this is the conversation of one bot with one user."""
        return self.bot_id != 0
