"""Which gates wait for somebody: found by the run list's index, then asked of each run itself."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta

from temporalio.client import Client

from holdfast.domain import standing
from holdfast.domain.errors import EngineUnavailable, HoldfastError, Unavailable
from holdfast.domain.view import RunView
from holdfast.ports.runs import WaitingGate

# The index knows who may come to answer; only the run knows whose turn it is and since when. So more runs are
# looked at than are listed.
_LOOKED_AT = 500
_AT_ONCE = 16
_PATIENCE = timedelta(seconds=5)


async def indexed_runs(client: Client, person: str, *, within: timedelta) -> list[str]:
    """Return the ids of the running runs in which this person, or anybody, may be asked."""
    if "'" in person or "\\" in person:  # nobody's name, and a way out of the query's quotes
        return []
    whom = f"= '{person}'" if person else "IS NOT NULL"
    query = f'ExecutionStatus = "Running" AND HoldfastWaitsFor {whom}'
    listed = client.list_workflows(query, limit=_LOOKED_AT, rpc_timeout=within)
    return [run.id async for run in listed]


async def looked_at(
    look: Callable[[str], Awaitable[RunView]], run_ids: list[str]
) -> tuple[list[RunView], Unavailable | None]:
    """Return the views of those runs that answer in time, and why others do not, if any."""
    places = asyncio.Semaphore(_AT_ONCE)
    end = asyncio.get_running_loop().time() + _PATIENCE.total_seconds()

    async def one(run_id: str) -> RunView | HoldfastError:
        try:
            async with asyncio.timeout_at(end), places:
                return await look(run_id)
        except TimeoutError:
            return EngineUnavailable(f"run {run_id} does not answer in time")
        except HoldfastError as error:
            return error

    answers = await asyncio.gather(*map(one, run_ids))
    silent = next((a for a in answers if isinstance(a, Unavailable)), None)
    return [a for a in answers if isinstance(a, RunView)], silent


def longest_waiting(views: Iterable[RunView], person: str, now: datetime) -> list[WaitingGate]:
    """Return the open gates that wait for this person now, or for anybody; the longest waiting first."""
    waiting = [
        WaitingGate(
            run_id=view.run_id,
            runbook=view.runbook,
            title=view.title,
            gate=view.gate,
            waiting=standing.waiting_for(view.gate, view.people, now),
        )
        for view in views
        if view.gate is not None
    ]
    mine = (w for w in waiting if not person or person in w.waiting)
    return sorted(mine, key=lambda w: w.gate.opened_at)
