"""Incidents under test: opened with time skipping or without, and what was done to people."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio.testing import TimeSkipper

from holdfast.domain.view import IncidentView, RunState, RunView
from holdfast.ports.runs import IncidentRequest
from tests.fakes import eventually
from tests.server import time_skipper
from tests.workflows.conftest import House, Run
from workflows.options import RUNBOOK_QUEUE


class Incident(Run):
    """An incident, and a clock that can be moved on."""

    skipper: TimeSkipper | None = None

    async def pass_(self, **time: float) -> None:
        """Let this much of the run's time pass."""
        assert self.skipper is not None
        await self.skipper.fast_forward(self.handle, timedelta(**time))

    async def incident(self) -> IncidentView:
        view = await self.view()
        assert view.incident is not None
        return view.incident

    async def until(self, wanted: Callable[[RunView], bool]) -> RunView:
        async def there() -> RunView | None:
            view = await self.view()
            return view if wanted(view) else None

        return await eventually(there)

    async def called(self, count: int) -> list[str]:
        """Wait until so many calls were sent; return who got them."""

        async def there() -> bool:
            view = await self.view()
            return len(self.calls()) >= count and bool(view.incident and view.incident.next_call)

        await eventually(there)
        return self.calls()

    def calls(self) -> list[str]:
        """Return who was called, oldest first."""
        return [name for name, page in self.house.private.pages if page.view.run_id == self.handle.id]

    def recorded(self) -> list[tuple[str, str]]:
        """Return kind and text of what is on record."""
        return [(e.kind, e.text) for e in self.house.audit.entries if e.run == self.handle.id]


async def opened(house: House, *, skipping: bool = True, by_run: str = "", **policy: Any) -> Incident:
    """Open an incident; `skipping` lets its time be moved on; `by_run` is the run that opens it."""
    name = house.write_incident(**policy)
    request = IncidentRequest(
        runbook=name, requested_by="anna", title="The bot is slow", tier="gold", value=9e5, by_run=by_run
    )
    skipper = time_skipper(house.client) if skipping else None
    client = skipper.client if skipper else house.client
    handle = await client.start_workflow("incident", request, id=f"run-{name}", task_queue=RUNBOOK_QUEUE)
    incident = Incident(house, name, handle)
    incident.skipper = skipper
    return incident


async def state(incident: Incident, wanted: RunState) -> RunView:
    return await incident.until(lambda view: view.state is wanted)
