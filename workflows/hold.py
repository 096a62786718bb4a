"""A system held by one run: as long as this workflow runs, no other run changes the system.

Its id names the system, so that the server lets only one of them run. Whoever wants the system and finds that
the holder has ended ends this, too.
"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from holdfast.ports.holds import Holder


@workflow.defn(name="hold")
class Hold:
    """One system in one run's hands."""

    @workflow.init
    def __init__(self, holder: Holder) -> None:
        """Begin held."""
        self._holder = holder
        self._released = False

    @workflow.run
    async def run(self, holder: Holder) -> Holder:
        """Wait until the holder lets go."""
        await workflow.wait_condition(lambda: self._released)
        return holder

    @workflow.signal(description="Let go of the system; only the run that holds it may, by its id.")
    def release(self, run: str) -> None:
        """Let go, if this is the holder."""
        self._released = self._released or run == self._holder.run
