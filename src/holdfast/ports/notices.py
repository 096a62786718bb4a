from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from pydantic import BaseModel

from holdfast.domain.gates import Gate
from holdfast.domain.ladder import NoticeKind
from holdfast.domain.people import Person
from holdfast.domain.view import MessageRef, RunView
from holdfast.domain.words import Act

__all__ = ["Errand", "Notice", "NoticeBook", "NoticeKind", "Page", "PrivateChannel", "SentNotice"]


class Notice(BaseModel):
    """A message to one person about one open gate.

    Attributes:
        run_id, run_title, run_url: of the run that asks.
        gate: as it is now, with its evidence.
        kind: why now.
        number: counts the notices of this kind, from 1.
        waiting: who else has not answered.
        button: opaque text for the callback data of the buttons; bound to this person, gate and evidence.
        link: address of the web page for this person; empty where there is none.
        next_at: when the person is reminded again; None for never.
        key: names this notice to this person; what is sent again under it is sent once. Empty: never the same.
    """

    run_id: str
    run_title: str
    run_url: str = ""
    gate: Gate
    kind: NoticeKind
    number: int = 1
    waiting: tuple[str, ...] = ()
    button: str = ""
    link: str = ""
    next_at: datetime | None = None
    key: str = ""


class Page(BaseModel):
    """A call for a person to an incident.

    Attributes:
        key: names this call to this person; what is sent again under it is sent once.
        view: of the incident's run.
        number: counts the calls of this person in this incident, from 1.
        because: why this person, and why now, one sentence.
        button: opaque text for the callback data of the buttons; bound to this person and run.
    """

    key: str
    view: RunView
    number: int = 1
    because: str = ""
    button: str = ""


class Errand(BaseModel):
    """Something that one person is asked to take or to do: a role, a task.

    Attributes:
        key: names this request to this person; what is sent again under it is sent once.
        run_id, run_title, run_url: of the run that asks.
        text: what is wanted, one English sentence, translated where it is shown.
        act: what the button says to the run: `accept` a role, or a task is `done`.
        to: name of the role, or id of the task.
        label: what stands on the button; empty: what fits the act.
        button: opaque text for the callback data of the button; bound to this person, run, act and `to`.
        due: until when; None where nothing is due.
        overdue: whether that has passed.
        number: how often this person was asked for it, from 1.
    """

    key: str
    run_id: str
    run_title: str
    run_url: str = ""
    text: str
    act: Act
    to: str
    label: str = ""
    button: str = ""
    due: datetime | None = None
    overdue: bool = False
    number: int = 1


class PrivateChannel(Protocol):
    """A way to write to one person: a private chat, e-mail."""

    name: str

    def reaches(self, person: Person) -> bool:
        """Whether the person can be written to by this channel at all."""
        ...

    async def notify(self, person: Person, notice: Notice) -> MessageRef:
        """Write to the person about an open gate.

        Raises:
            ChatUnavailable: nothing was sent; try again.
            DeliveryUncertain: it may have arrived although no answer came.
            InvalidInput: the person cannot be written to, e.g. has never started the bot; the text says why.
        """
        ...

    async def page(self, person: Person, page: Page) -> MessageRef:
        """Call the person to an incident; errors as above."""
        ...

    async def errand(self, person: Person, errand: Errand) -> MessageRef:
        """Ask the person to take a role or to do a task; errors as above."""
        ...

    async def say(self, person: Person, text: str, *, paste: str = "") -> None:
        """Write plain text to the person, then `paste` as a block to copy whole; errors as above."""
        ...

    async def retire(self, message: MessageRef, text: str) -> None:
        """Take the buttons off an earlier notice and say in it what became of the gate; errors as above.

        A message that is gone, or a channel where nothing can be changed afterwards, is a success.
        """
        ...


class SentNotice(BaseModel):
    """One notice on record.

    Attributes:
        key: unique; made by whoever sends from run, gate, kind, number, person and channel.
        state: `sending` is written before a notice is tried; what stays so after a crash is uncertain.
        at: when it was sent.
    """

    key: str
    run: str
    gate: str
    person: str
    channel: str
    kind: NoticeKind
    # Written before it is tried: what a crash leaves so is uncertain, and not repeated (docs/decisions/0006).
    state: str = "sending"
    message: MessageRef | None = None
    at: datetime


class NoticeBook(Protocol):
    """Which notices were sent where, so that none is sent twice and all can be retired.

    All methods raise `Unavailable` when the store does not answer.
    """

    async def begin(self, notice: SentNotice) -> bool:
        """Write a notice down as `sending`; False when its key is there already."""
        ...

    async def finish(self, key: str, *, state: str, message: MessageRef | None = None) -> None:
        """Set its fate: `sent`, `uncertain`, `failed`, `retired`; `unsent` removes it, to try again."""
        ...

    async def of_gate(self, run: str, gate: str) -> Sequence[SentNotice]:
        """Return everything that was sent about a gate, oldest first."""
        ...
