"""What tests of one campaign mean for each other: people are asked about the newest with a result."""

from types import MappingProxyType
from typing import Any, Final

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows import load_calls
from workflows.board import Board
from workflows.calls import reason
from workflows.gate import GateKeeper

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from holdfast.domain import run_phrases
    from holdfast.domain.campaign import LoadView, TestLine, TestVerdict
    from holdfast.ports.load import NewerTest
    from holdfast.runbook.load_plan import LoadPlan

# What says something about the client's system, and how the run of an older test says so.
_TOLD: Final = MappingProxyType(
    {
        TestVerdict.PASSED: run_phrases.LOAD_NEWER_PASSED,
        TestVerdict.FAILED: run_phrases.LOAD_NEWER_FAILED,
    }
)


class Overtaking:
    """Takes back the questions about older tests, and this one's where a newer test says more."""

    def __init__(self, board: Board, gates: GateKeeper, load: LoadView) -> None:
        """Speak for the test that is shown there."""
        self._board, self._gates, self._load = board, gates, load
        self._newer: TestLine | None = None

    def overtakes(self, line: TestLine) -> bool:
        """Whether a newer test than this one has come to a result."""
        return self._newer is not None and self._newer.at > line.at

    def hear(self, message: Any) -> None:
        """Learn of a newer test from what its run says."""
        try:
            newer = NewerTest.model_validate(message)
        except ValidationError:  # whatever anybody sends: it must not stop the run
            workflow.logger.warning("a newer load test cannot be read from what was signalled")
            return
        told = _TOLD.get(newer.line.verdict)
        if told is None or newer.campaign != self._load.campaign or self.overtakes(newer.line):
            return
        self._newer = newer.line
        if self._load.result and self.overtakes(self._load.result) and self._gates.gate is not None:
            why = told.format(run=newer.line.run)
            self._gates.supersede(why)
            self._board.show(headline=why, say=why)

    async def overtake(self, plan: LoadPlan, line: TestLine) -> None:
        """Take back what is asked about older tests of the campaign, so that one question is open."""
        if plan.campaign is None or line.verdict not in _TOLD or not workflow.patched("overtake-tests"):
            return
        try:
            await load_calls.overtake(plan.campaign.name, line)
        except ActivityError as error:
            self._board.show(say=run_phrases.LOAD_NOT_OVERTAKEN.format(why=reason(error)))
