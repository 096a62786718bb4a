"""A stand-in of a campaign: freezes, and goes on until it is told to thaw, to fail, or to end as it is."""

from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel

    from workflows.freezing import Freezing


class FreezeWish(BaseModel):
    """What to freeze."""

    systems: tuple[str, ...]
    why: str
    until: datetime | None = None


@workflow.defn(name="freezer")
class Freezer:
    """Freezes systems with what campaigns freeze with."""

    def __init__(self) -> None:
        self._wanted = ""
        self._frozen = False

    @workflow.run
    async def run(self, wish: FreezeWish) -> bool:
        """Return whether nothing is frozen any more at the end."""
        freezing = Freezing()
        await freezing.freeze(wish.systems, wish.why, until=wish.until)
        self._frozen = True
        await workflow.wait_condition(lambda: bool(self._wanted))
        if self._wanted == "fail":
            raise ApplicationError("as it was told", non_retryable=True)
        if self._wanted == "thaw":
            await freezing.thaw()
        return not freezing.frozen

    @workflow.signal
    def end(self, how: str) -> None:
        """End by `thaw`, `fail` or without either."""
        self._wanted = how

    @workflow.query
    def frozen(self) -> bool:
        """Whether the freeze stands."""
        return self._frozen
