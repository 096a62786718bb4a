"""How long a decision takes to reach the next activity, beside a bare Temporal workflow of the same shape.

Both run on the same server in the same run, in turns; the time is taken from sending the update until the next
activity begins on the worker. Prints a table and, as its last line, one JSON object.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.bare import Bare
from tests import signing
from tests.server import start_server
from tests.workflows.conftest import PEOPLE, House, open_house
from workers.queues import RUNNER, STICKY_TIMEOUT

ROUNDS = 40
BOUND = 1.5


async def bare_seconds(client: Client, queue: str, began: "asyncio.Queue[float]") -> float:
    """Decide one bare workflow and return how long its activity took to begin."""
    handle = await client.start_workflow("bare", id=f"bare-{uuid.uuid4()}", task_queue=queue)
    await asyncio.sleep(0.3)
    sent = time.perf_counter()
    await handle.execute_update("decide", {"decision": "approve"})
    seconds = await began.get() - sent
    await handle.result()
    return seconds


async def our_seconds(house: House) -> float:
    """Decide one gate of a rollout and return how long the check after it took to begin."""
    run = await house.start(house.write())
    gate = await run.gate()
    await asyncio.sleep(0.3)
    said = signing.pasted(signing.decision(run.handle.id, gate, "boris"))
    reads = house.targets.first_read_after[run.name] = []
    sent = time.perf_counter()
    await run.handle.execute_update("decide", said)
    while not reads:  # noqa: ASYNC110  the fake's list is what is looked at, at a millisecond's cost
        await asyncio.sleep(0.001)
    await run.handle.cancel()
    return reads[0] - sent


async def measure(directory: Path) -> tuple[list[float], list[float]]:
    """Return the seconds of our decisions and of the bare ones, taken in turns."""
    began: asyncio.Queue[float] = asyncio.Queue()

    @activity.defn(name="bare_activity")
    async def note_begin(_sent: float) -> float:
        began.put_nowait(time.perf_counter())
        return 0.0

    async with (
        await start_server() as server,
        open_house(server.client, directory) as house,
        Worker(
            server.client,
            task_queue="bare",
            workflows=[Bare],
            activities=[note_begin],
            workflow_runner=RUNNER,
            sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
        ),
    ):
        ours, bare = [], []
        for _ in range(ROUNDS):
            bare.append(await bare_seconds(server.client, "bare", began))
            ours.append(await our_seconds(house))
        return ours, bare


def main() -> int:
    """Measure, print, and return 0 when the bound holds."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "rollout").mkdir()
        (directory / "people.yaml").write_text(yaml.safe_dump(PEOPLE))
        ours, bare = asyncio.run(measure(directory))
    table = Table("decision → next activity, ms", "median", "p90", "lowest", "n")
    for title, seconds in (("a gate of a rollout", ours), ("bare workflow", bare)):
        low, p90 = min(seconds), statistics.quantiles(seconds, n=10)[-1]
        cells = (f"{1000 * x:.1f}" for x in (statistics.median(seconds), p90, low))
        table.add_row(title, *cells, str(len(seconds)))
    Console().print(table)
    ratio = statistics.median(ours) / statistics.median(bare)
    result = {
        "name": "decision_latency",
        "ours": round(statistics.median(ours), 5),
        "reference": round(statistics.median(bare), 5),
        "ratio": round(ratio, 3),
        "bound": BOUND,
        "holds": ratio <= BOUND,
    }
    print(json.dumps(result))
    return 0 if result["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
