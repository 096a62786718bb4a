"""Recalls what an ended run did, so that it can be undone."""

from pydantic import BaseModel
from temporalio import activity

from activities.failures import as_failures
from holdfast.domain.errors import InvalidInput, UnknownName
from holdfast.domain.view import RunView
from holdfast.ports.history import RunHistory
from holdfast.runbook.plan import Plan, may_roll_back


class RecallRequest(BaseModel):
    """Which run is to be undone, who wants it, and which stage is the last that stays; empty: none."""

    run: str
    requested_by: str
    to: str = ""


class Recalled(BaseModel):
    """What the run was, how it ended, and whether the server has closed it: a terminated run does not know."""

    plan: Plan
    view: RunView
    closed: bool = False


class RecallActivities:
    """Reads ended runs."""

    def __init__(self, history: RunHistory) -> None:
        """Read from this history."""
        self._history = history

    @activity.defn
    async def recall_run(self, request: RecallRequest) -> Recalled:
        """Return the plan and the last view of a run that has ended."""
        with as_failures():
            recalled = Recalled.model_validate(await self._history.recall(request.run))
            if not (recalled.view.state.ended or recalled.closed):
                raise InvalidInput(f"{request.run} has not ended: ask that run itself to roll back")
            allowed = may_roll_back(recalled.plan)
            if request.requested_by.strip().lower() not in allowed:
                raise InvalidInput(
                    f"'{request.requested_by}' may not roll {request.run} back; {', '.join(allowed)} may"
                )
            names = [stage.name for stage in recalled.view.stages]
            if request.to and request.to not in names:
                raise UnknownName("stage", request.to, names)
            return recalled
