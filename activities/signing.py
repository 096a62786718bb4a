"""What a gate needs from outside of its run: the server's own record, the audit log, standing delegations."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, Field
from temporalio import activity

from activities.failures import as_failures
from holdfast.domain.decisions import Answer, Decision, RollBack, Signed, parse
from holdfast.domain.errors import DecisionRefused, InvalidInput
from holdfast.domain.gates import Delegation
from holdfast.domain.proofs import Keyring
from holdfast.domain.words import Act, Word
from holdfast.ports.audit import AuditEntry, AuditLog
from holdfast.ports.delegations import StandingDelegations
from holdfast.ports.history import RunHistory

_SIGNALS: Final[Mapping[str, type[Signed]]] = {
    "decide": Decision,
    "roll_back": RollBack,
    **dict.fromkeys(Act, Word),
}


class Asked(BaseModel):
    """Who is asked by a gate, and since when."""

    names: tuple[str, ...]
    now: datetime


class StandingFor(BaseModel):
    """The standing delegations of the people who are asked."""

    delegations: list[Delegation] = Field(default_factory=list[Delegation])


class AuditBatch(BaseModel):
    """What happened, in order."""

    entries: list[AuditEntry]


class Signalled(BaseModel):
    """What came as a signal, as it was sent: a decision, or what the name of the signal says."""

    run: str
    execution: str
    message: Any = None
    signal: str = "decide"


class SignalProof(BaseModel):
    """Whether the code of a signalled decision is good, and what the server knows of its sender.

    Attributes:
        answer, text: why it does not count; empty when it does.
        principal: who the server says it was.
    """

    answer: str = ""
    text: str = ""
    principal: str = ""


class BeforeActing(BaseModel):
    """An approved gate whose approvals are about to be acted on; `approved_at` is the oldest of them."""

    run: str
    runbook: str
    approved_at: datetime


class StillGood(BaseModel):
    """What may make given approvals void.

    Attributes:
        problem: why they are; empty when they are good.
        file: digest of the runbook's file as it is now.
    """

    problem: str = ""
    file: str = ""


class RecordActivities:
    """The record of gates in the store."""

    def __init__(self, *, audit: AuditLog, delegations: StandingDelegations) -> None:
        """Use this audit log and these delegations."""
        self._audit, self._delegations = audit, delegations

    @activity.defn
    async def standing_delegations(self, asked: Asked) -> StandingFor:
        """Return who of the people who are asked has handed over all gates, and to whom."""
        with as_failures():
            everything = await self._delegations.active_after(asked.now)
        return StandingFor(delegations=_reachable(list(everything), set(asked.names)))

    @activity.defn
    async def record_audit(self, batch: AuditBatch) -> None:
        """Put what happened on record."""
        with as_failures():
            await self._audit.append(batch.entries)


class SigningActivities:
    """What is checked against the server's own record before an approval counts or is acted on."""

    def __init__(self, *, keyring: Keyring, history: RunHistory, file_digest: Callable[[str], str]) -> None:
        """Use these; `file_digest` gives the digest of a runbook's file as it is now."""
        self._keyring, self._history, self._file_digest = keyring, history, file_digest

    @activity.defn
    async def check_signalled(self, signalled: Signalled) -> SignalProof:
        """Check the code of a signalled decision as of the moment when the server took the signal.

        As an activity, so that its result stands in the history: a new key must not change what was decided.
        """
        try:
            said: Signed = parse(_SIGNALS[signalled.signal], signalled.message)
            return SignalProof(principal=await self._principal(said, signalled))
        except DecisionRefused as refusal:
            return SignalProof(answer=refusal.answer, text=str(refusal))

    async def _principal(self, said: Signed, signalled: Signalled) -> str:
        """Check the code and return who the server says has sent the signal."""
        run, execution = signalled.run, signalled.execution
        with as_failures():
            stamp = await self._history.stamp(run, execution, signal=signalled.signal, code=said.code)
            bound = said.gate and not isinstance(said, Word)
            reset_at = None if bound else await self._history.reset_at(run, execution)
        # A button knows its gate's token only, which is the same in the copy of a run that a reset makes; a
        # word knows the run only.
        if stamp is None or reset_at is not None:
            raise DecisionRefused(Answer.NOT_PROVEN, "The run was reset since: say it again.")
        self._keyring.check(said, run=run, execution=execution, now=stamp.at)
        return stamp.principal

    @activity.defn
    async def before_acting(self, request: BeforeActing) -> StillGood:
        """Look whether the approvals were given to this very execution, and at the file as it is now."""
        with as_failures():
            reset_at = await self._history.reset_at(request.run, activity.info().workflow_run_id or "")
        problem = ""
        if reset_at is not None and request.approved_at <= reset_at:
            problem = f"the run was reset at {reset_at:%Y-%m-%d %H:%M:%S} UTC, after it was approved"
        try:
            return StillGood(problem=problem, file=self._file_digest(request.runbook))
        except InvalidInput as error:
            return StillGood(problem=problem, file=f"cannot be read: {str(error).partition(chr(10))[0]}")


def _reachable(everything: list[Delegation], names: set[str]) -> list[Delegation]:
    """Keep the delegations of these people and of those to whom they lead."""
    kept: list[Delegation] = []
    while True:
        more = [d for d in everything if d.by in names and d not in kept]
        if not more:
            return kept
        kept += more
        names = names | {d.to for d in more}
