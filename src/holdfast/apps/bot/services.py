"""What the bot needs from the outside, handed in by the composition root."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Protocol

from aiogram.types import InlineKeyboardMarkup

from holdfast.domain.people import People, Person
from holdfast.domain.proofs import Keyring
from holdfast.domain.view import RunView
from holdfast.ports.audit import AuditLog
from holdfast.ports.delegations import StandingDelegations
from holdfast.ports.duty import DutyBook
from holdfast.ports.holds import Freezes
from holdfast.ports.identity import Intents, SecondFactor
from holdfast.ports.notices import NoticeBook
from holdfast.ports.runs import RunControl
from holdfast.runbook.commands import CommandRules
from holdfast.runbook.library import RunbookLibrary

RenderView = Callable[[RunView, str, tzinfo], tuple[str, InlineKeyboardMarkup | None]]


class MayStart(Protocol):
    """Decides who may start what."""

    def __call__(self, person: Person, runbook: str) -> None:
        """Return when this person may start the runbook of this name.

        Raises:
            DecisionRefused: the person may not; the text says who may.
            InvalidInput: the runbook cannot be started by anybody as it is.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything the handlers call.

    Attributes:
        people: who is who now; asked for every update, so that an added person need not wait for a restart;
            may raise InvalidInput, which is told to the person.
        library: what can be started.
        render_view: a run, a line to stand above it and whose clock it tells → HTML of at most 4096 characters,
            and buttons.
        keyring: signs what people say, once they are recognised.
        second_factor: codes of authenticator apps.
        intents: what people have begun and still have to finish by a message.
        delegations: who stands for whom from date to date.
        audit: the record.
        notices: which messages have buttons, so that they go when the gate is closed.
        render_chart: a run → PNG of its newest numbers, or None without any; may take a second.
        now: the present moment, aware.
        duty: who covers for whom.
        default_runbook: what a bare `/rollout` starts; empty to ask when there are several.
        answer_within: after this a person is told that the engine does not answer. Telegram forgets a tap
            about 15 seconds after it was made.
        holds: says what is frozen before something is started; None leaves that to the run.
    """

    runs: RunControl
    people: Callable[[], People]
    library: RunbookLibrary
    may_start: MayStart
    render_view: RenderView
    keyring: Keyring
    second_factor: SecondFactor
    intents: Intents
    delegations: StandingDelegations
    audit: AuditLog
    notices: NoticeBook
    render_chart: Callable[[RunView], bytes | None]
    now: Callable[[], datetime]
    duty: DutyBook
    default_runbook: str = ""
    default_pace: str = "default"
    answer_within: timedelta = timedelta(seconds=11)
    holds: Freezes | None = None

    @property
    def commands(self) -> CommandRules:
        """Who may use which command; read anew, raises InvalidInput for a wrong file."""
        return self.library.commands()
