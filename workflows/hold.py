"""A name held by one run: as long as this workflow runs, no other run changes the system of that name.

Its id is made of the name, so that the server lets only one of them run. Whoever wants the system and finds
that the holder has ended ends this, too. What is shared (a freeze) is held by everybody who has joined, until
the last one lets go; the memo lists them.
"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from holdfast.ports.holds import Holder


@workflow.defn(name="hold")
class Hold:
    """One name in the hands of one run, or of all who share it."""

    @workflow.init
    def __init__(self, holder: Holder) -> None:
        """Begin held."""
        self._holders = {holder.run: holder}
        self._shared = holder.shares

    @workflow.run
    async def run(self, holder: Holder) -> Holder:
        """Wait until the last holder lets go."""
        await workflow.wait_condition(lambda: not self._holders)
        return holder

    @workflow.signal(description="Let go of the system; only the run that holds it may, by its id.")
    def release(self, run: str) -> None:
        """Let go, if this is a holder."""
        if self._holders.pop(run, None) is not None and self._holders:
            self._list()

    @workflow.signal(description="For runs only: hold what is shared, such as a freeze, beside the others.")
    def join(self, holder: Holder) -> None:
        """Hold it too, where it is shared."""
        if self._shared and holder.shares and self._holders.get(holder.run) != holder:
            self._holders[holder.run] = holder
            self._list()

    def _list(self) -> None:
        holders = [holder.model_dump(mode="json") for holder in self._holders.values()]
        workflow.upsert_memo({"holders": holders})
