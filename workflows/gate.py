"""The open gate of a run: asks, checks every answer by the same rules, and waits for as long as it takes."""

import json
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from holdfast.domain import gates
    from holdfast.domain.errors import DecisionRefused
    from holdfast.domain.gates import Decision, DecisionReply, Gate, GateState, Question
    from holdfast.domain.ids import digest_of
    from holdfast.domain.people import People
    from holdfast.domain.view import RunView
    from holdfast.runbook.kinds.rollout import SignOff

# The newest replies are kept so that a repeated delivery of a decision gets its first answer again.
_REPLIES_KEPT = 100


class GateKeeper:
    """Opens one gate at a time on a run's view; `replies` is carried into a continued run."""

    def __init__(self, view: RunView, replies: dict[str, DecisionReply] | None = None) -> None:
        """Keep gates on this view; nobody is known until `people` is set from the plan."""
        self.view = view
        self.replies = replies or {}
        self.people = People()

    def open(self, gate_id: str, sign_off: SignOff, question: Question, *, evidence: object) -> Gate:
        """Ask a question; `evidence` is whatever it rests on: another evidence is another question."""
        self.view.gate = Gate(
            id=gate_id,
            approvers=tuple(p.name for p in self.people.holding(sign_off.approvers)),
            quorum=sign_off.quorum,
            evidence=digest_of(json.dumps(evidence, sort_keys=True, default=str)),
            token=workflow.uuid4().hex[:16],
            opened_at=workflow.now(),
            **question.model_dump(),
        )
        return self.view.gate

    async def decided(self, gate: Gate) -> bool:
        """Wait, for a year if need be, until the gate is closed; True when it was approved."""
        await workflow.wait_condition(lambda: gate.state is not GateState.OPEN)
        return gate.state is GateState.APPROVED

    def supersede(self) -> None:
        """Close the open gate unanswered, because what it asks about is no longer so."""
        if self.view.gate is not None:
            self.view.gate.state = GateState.SUPERSEDED
            self._close(self.view.gate)

    def validate(self, message: Any) -> None:
        """Refuse what does not count; the text of the error is what the approver reads.

        Raises:
            ApplicationError: its type is a `gates.Answer`.
        """
        try:
            self._read(message)
        except DecisionRefused as refusal:
            raise ApplicationError(str(refusal), type=refusal.answer, non_retryable=True) from None

    def decide(self, message: Any) -> DecisionReply:
        """Record a decision that `validate` has let through."""
        decision = gates.parse_decision(message)
        known = self.replies.get(decision.id)
        if known is not None:
            return known
        gate = self.view.gate
        if gate is None:  # the validator ran on this very state
            raise ApplicationError("no gate is open", non_retryable=True)
        reply = gates.record(decision, gate, now=workflow.now())
        if decision.id:
            self.replies = dict([*self.replies.items(), (decision.id, reply)][-_REPLIES_KEPT:])
        if gate.state is not GateState.OPEN:
            self._close(gate)
        return reply

    def decide_or_explain(self, message: Any) -> str:
        """Record a signalled decision, or return why it did not count: a signal's sender gets no answer."""
        try:
            self._read(message)
        except DecisionRefused as refusal:
            return f"a signalled decision did not count: {refusal}"
        return self.decide(message).text

    def _read(self, message: Any) -> Decision:
        decision = gates.parse_decision(message)
        if decision.id not in self.replies:
            gates.check(decision, self.view.gate, closed=self.view.closed_gates, people=self.people)
        return decision

    def _close(self, gate: Gate) -> None:
        self.view.closed_gates.append(gate)
        self.view.gate = None
