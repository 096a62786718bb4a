"""What is remembered of an update while it is handled, and how a handler says that it must be tried again."""

from collections.abc import Hashable
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from aiogram.types import Update

from holdfast.domain.errors import EngineUnavailable
from holdfast.ports.inbox import KeptUpdate


class Postponed(Exception):
    """What was asked for is idempotent and must wait for Temporal: it is to be tried again.

    Attributes:
        told: the person knows already.
        slow: Temporal may have done it, and did not say so in time.
    """

    def __init__(self, *, told: bool = False, slow: bool = False) -> None:
        super().__init__("kept until Temporal answers")
        self.told = told
        self.slow = slow


@dataclass
class TapState:
    """Whether Telegram has an answer to a tap already; what else there is to say then needs a message."""

    answered: bool = False


@dataclass(eq=False, kw_only=True)
class Ticket:
    """One update between its arrival and its end.

    Attributes:
        kept: the row of the inbox.
        received_at: the `time.monotonic()` of its arrival.
        lane: updates of one lane are handled one after the other.
        update: what it says, once it was read.
        until: what is kept for Temporal is given up then.
        attempts: how often it was handled in vain.
        postponed: it is kept for Temporal, and the person knows.
        must_wait: Temporal is known to be down, or something of the same person and chat is kept for it and has
            to come first.
        tap: of an update that is one.
    """

    kept: KeptUpdate
    received_at: float
    lane: Hashable
    update: Update | None = None
    until: datetime | None = None
    attempts: int = 0
    postponed: bool = False
    must_wait: bool = False
    tap: TapState = field(default_factory=TapState)

    @property
    def id(self) -> int:
        """The update's id."""
        return self.kept.update_id


CURRENT: Final[ContextVar[Ticket | None]] = ContextVar("holdfast_ticket", default=None)


def ticket() -> Ticket | None:
    """Return the ticket of the update that is handled; None outside of any handling."""
    return CURRENT.get()


class InTurn:
    """Runs, which do not answer to a command that must wait, without asking Temporal.

    Without it a later command would overtake an earlier one in the moment in which Temporal comes back, and
    each command would wait for seconds to learn that it is down.

    Args:
        runs: a `RunControl`.
    """

    def __init__(self, runs: object) -> None:
        self._runs = runs

    def __getattr__(self, name: str) -> Any:
        here = ticket()
        if here is not None and here.must_wait:
            raise EngineUnavailable(
                "Temporal does not answer, or an earlier command of the same person is kept"
            )
        return getattr(self._runs, name)


def lane_of(raw: Any, update_id: int) -> Hashable:
    """Return whose turn an update has to await: messages by chat and sender; anything else goes by itself."""
    match raw:
        case {"message": {"chat": {"id": int(chat)}, "from": {"id": int(sender)}}}:
            return chat, sender
        case _:
            return update_id


def is_tap(raw: Any) -> bool:
    """Whether somebody waits in front of a button."""
    return isinstance(raw, dict) and "callback_query" in raw


def can_be_kept(update: Update) -> bool:
    """Whether it may be carried out later: commands and taps, which say all that is needed by themselves."""
    message = update.message
    return update.callback_query is not None or (message is not None and (message.text or "").startswith("/"))


def asked_at(update: Update, kept: KeptUpdate) -> datetime:
    """Return when the person asked; taps do not tell, so for them it is when they arrived."""
    return update.message.date if update.message else kept.received_at
