"""How long a worker process takes from its start to its first finished workflow task.

A run is started first and waits; then the process is started as `holdfast worker` does it. Prints a table and,
as its last line, one JSON object; the reference is the two seconds that an operator is promised.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table
from temporalio.client import Client, WorkflowHandle

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from holdfast.ports.runs import RolloutRequest
from tests.server import start_server
from workflows.options import RUNBOOK_QUEUE

ROUNDS = 7
PROMISED_SECONDS = 2.0


async def first_task_done_at(handle: WorkflowHandle) -> datetime:
    """Return when the run's first workflow task was finished, by the server's clock on this machine."""
    while True:
        async for event in handle.fetch_history_events():
            if event.HasField("workflow_task_completed_event_attributes"):
                return event.event_time.ToDatetime(tzinfo=UTC)
        await asyncio.sleep(0.02)


async def start_seconds(client: Client, address: str) -> float:
    """Start a run, then a worker process; return the seconds to the first finished workflow task."""
    request = RolloutRequest(runbook="support-surge", requested_by="anna")
    handle = await client.start_workflow(
        "rollout", request, id=f"start-{uuid.uuid4()}", task_queue=RUNBOOK_QUEUE
    )
    environment = {**os.environ, "HOLDFAST_TEMPORAL_ADDRESS": address}
    began = datetime.now(UTC)
    process = subprocess.Popen(  # noqa: ASYNC220  nothing else waits meanwhile
        [sys.executable, "-m", "workers.cli", "worker"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(30):
            done = await first_task_done_at(handle)
    finally:
        process.kill()
        process.wait()
        await handle.terminate()
    return (done - began).total_seconds()


async def measure() -> list[float]:
    """Return the seconds of each round."""
    async with await start_server() as server:
        address = server.client.service_client.config.target_host
        return [await start_seconds(server.client, address) for _ in range(ROUNDS)]


def main() -> int:
    """Measure, print, and return 0 when the promise holds."""
    seconds = asyncio.run(measure())
    median = statistics.median(seconds)
    table = Table("worker start → first workflow task, s", "median", "lowest", "highest", "n")
    table.add_row("holdfast worker", *(f"{x:.2f}" for x in (median, min(seconds), max(seconds))), str(ROUNDS))
    Console().print(table)
    ratio = median / PROMISED_SECONDS
    result = {
        "name": "worker_start",
        "ours": round(median, 3),
        "reference": PROMISED_SECONDS,
        "ratio": round(ratio, 3),
        "bound": 1.0,
        "holds": ratio <= 1.0,
    }
    print(json.dumps(result))
    return 0 if result["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
