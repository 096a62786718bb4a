"""What carries messages to the chat, and what becomes of one try."""

from dataclasses import dataclass
from typing import Protocol

from holdfast.outbox.message import Row


@dataclass(frozen=True)
class Sent:
    """It arrived, under this id; empty where the chat gives none."""

    message_id: str = ""


@dataclass(frozen=True)
class Refused:
    """Too many: nothing was sent, and the chat names the seconds to wait."""

    retry_after: float


@dataclass(frozen=True)
class NotSent:
    """Nothing was sent and the message is sound: no connection, or an edit, which may be repeated."""

    why: str


@dataclass(frozen=True)
class Unknown:
    """It may have arrived."""

    why: str


@dataclass(frozen=True)
class Never:
    """The chat does not take this message, however often it is tried.

    Attributes:
        why: the chat's own description.
        code: its error code.
    """

    why: str
    code: int = 400


@dataclass(frozen=True)
class Moved:
    """Nothing was sent: the group has another id."""

    chat: str


Fate = Sent | Refused | NotSent | Unknown | Never | Moved


class Transport(Protocol):
    """Tries one row, once."""

    async def send(self, row: Row) -> Fate:
        """Send it; never raises for what the chat or the network does.

        Where `row.repeated` is set the message says that an earlier copy may have arrived.
        """
        ...

    async def send_digest(self, rows: list[Row]) -> Fate:
        """Send the lines of these rows, all of one chat and topic, as one message."""
        ...
