"""A run that is nothing but one open gate: what a rollout does from the question on, without the rollout.

It takes what a rollout takes, so its sandbox loads every module that a rollout's does.
"""

import asyncio

from temporalio import workflow

from workflows import questions
from workflows.board import Board
from workflows.gate import GateKeeper
from workflows.gated import GatedRun
from workflows.hearing import Hearing
from workflows.rollout import RolloutInput, RolloutReport

with workflow.unsafe.imports_passed_through():
    from holdfast.domain.evidence import Evidence
    from holdfast.domain.gates import Question
    from holdfast.domain.people import People
    from holdfast.domain.signoff import SignOff
    from holdfast.domain.view import RunState, RunView

PEOPLE = People.model_validate(
    {
        "people": [
            {"name": "anna", "title": "Anna (on-call)", "telegram_id": 1, "roles": ["oncall"]},
            {"name": "boris", "title": "Boris (SRE lead)", "telegram_id": 2, "roles": ["lead"]},
            {"name": "vera", "title": "Vera (SRE lead)", "telegram_id": 3, "roles": ["lead"]},
        ]
    }
)
POLICY = SignOff.model_validate(
    {
        "approvers": ["lead"],
        "deadline": {"after": "90d", "then": "reject", "warn_before": ["7d", "1d"]},
        "remind": {"after": ["1d"], "then_every": "1d"},
    }
)
QUESTION = Question(
    title="stage 1, Raise the limit",
    question="Customers wait for answers. Set limit = 25 (now limit = 15)?",
    if_approved="The system is checked again, then the canary gets 5 % → 50 % of the traffic.",
    if_rejected="The run stops here; stages promoted before stay.",
    if_nothing=questions.if_nothing(POLICY, "nothing changes", rejected="the run stops here"),
)


@workflow.defn(name="open_gate")
class OpenGate(GatedRun):
    """Asks once and waits for the answer, as a stage of a rollout does."""

    @workflow.init
    def __init__(self, start: RolloutInput) -> None:
        """Begin with an empty view."""
        view = RunView(
            run_id=workflow.info().workflow_id,
            runbook=start.runbook,
            title="A sign-off that takes weeks",
            requested_by=start.requested_by,
            started_at=workflow.now(),
        )
        self._board = Board(view)
        self._gates = GateKeeper(self._board)
        self._hearing = Hearing(self._gates)

    @workflow.run
    async def run(self, start: RolloutInput) -> RolloutReport:
        """Ask, and wait until somebody has decided and everything is on record."""
        self._gates.begin(protocol=True, requester=start.requested_by)
        publishing = asyncio.create_task(self._board.keep_publishing())
        self._gates.know(PEOPLE, mfa=False)
        gate = self._gates.open("1-limit", POLICY, QUESTION, _evidence())
        self._board.show(
            RunState.WAITING, gate.title, say=f"asked: {gate.title}", ping=questions.call_for(gate)
        )
        await self._gates.decided(gate)
        outcome = self._board.end(RunState.STOPPED, f"the gate is {gate.state}")
        await self._gates.settled()
        await self._board.published()
        publishing.cancel()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return RolloutReport(outcome=outcome, view=self._board.view)


def _evidence() -> Evidence:
    return Evidence(
        plan={"stage": "limit", "shares_percent": [5, 50]},
        file="0123456789abcdef",
        risk={"continue_up_to_percent": 20, "pause_up_to_percent": 40},
        target={"limit": 15, "pool": 4, "keep_alive": 30},
        wanted={"limit": 25},
        taken_at=workflow.now(),
    )
