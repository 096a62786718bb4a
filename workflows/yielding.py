"""What a run takes from other runs: somebody's fix goes first."""

from typing import Any

from temporalio import workflow

from workflows.holding import Holding
from workflows.pausable import PausableRun
from workflows.precedence import GivingWay


class YieldingRun(PausableRun):
    """Base of the workflows that give way to fixes; they set these in `__init__`."""

    _giving_way: GivingWay
    _holding: Holding | None = None

    @workflow.signal(
        name="give_way",
        description="For runs only: a fix that unblocks customers goes first, as the owner has approved at a "
        "gate of its run. What it claims is looked up there. People stop a run with 'pause' or 'roll_back'.",
    )
    async def give_way(self, message: Any = None) -> None:
        """Begin no further stage before that run has ended; let go at once where nothing is half done."""
        if self._giving_way.hear(message, self._board) and self._holding is not None and self._holding.at_rest:
            await self._holding.release()
