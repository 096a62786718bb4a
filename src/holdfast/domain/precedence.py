"""Work that goes before other work: what one run tells another whose owner has agreed."""

from datetime import datetime
from typing import ClassVar

from holdfast.domain import run_phrases
from holdfast.domain.decisions import Answer, Choice, Decision, Message
from holdfast.domain.errors import DecisionRefused


def gate_before(run: str) -> str:
    """Return the id of the gate at which a fix is let go before this run, e.g. `before-rollout-4f7qk2mz`."""
    return f"before-{run}"


class GiveWay(Message):
    """Tells a run that a fix goes first. Runs send it; what it claims is looked up at the run that sent it.

    Attributes:
        run: which run goes first.
        title: of its runbook.
        unblocks: which journey of the customers.
        gate: id of the gate at which that was approved.
        decision: the approval, as that gate recorded it.
    """

    example: ClassVar[str] = '{"run": "rollout-…", "title": "…", "unblocks": "…", "gate": "…", "decision": {…}}'

    run: str
    title: str
    unblocks: str
    gate: str
    decision: Decision

    @property
    def agreed_by(self) -> str:
        """Whose approval it was."""
        return self.decision.by

    @property
    def agreed_at(self) -> datetime | None:
        """When it was given."""
        return self.decision.at


def check_way(way: GiveWay, run: str) -> None:
    """Check that this is an approved wish to go before this run.

    Raises:
        DecisionRefused: why it does not count.
    """
    # Sorts out what cannot be meant. It proves nothing: whoever can write to Temporal can send a signal, so
    # what it claims is looked up at the gate of the run that it names (docs/decisions/0018).
    if way.gate != gate_before(run) or way.run == run:
        raise DecisionRefused(Answer.NOT_THE_OPEN_GATE, run_phrases.WAY_NOT_OURS)
    if way.decision.decision is not Choice.APPROVE:
        raise DecisionRefused(Answer.NOT_PROVEN, run_phrases.WAY_NOT_APPROVED)
