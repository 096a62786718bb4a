"""The smallest workflow of the same shape as a gate: wait for an update, then call an activity."""

from datetime import timedelta
from typing import Any

from temporalio import workflow


@workflow.defn(name="bare")
class Bare:
    """Waits for one update and calls one activity."""

    def __init__(self) -> None:
        self._decided = False

    @workflow.run
    async def run(self) -> None:
        """Wait, then act."""
        await workflow.wait_condition(lambda: self._decided)
        await workflow.execute_activity("bare_activity", 0.0, start_to_close_timeout=timedelta(seconds=10))

    @workflow.update
    def decide(self, message: Any) -> str:
        """Let the run go on."""
        del message
        self._decided = True
        return "accepted"

    @decide.validator
    def check(self, message: Any) -> None:
        """Refuse nothing, but be called, as a real validator is."""
