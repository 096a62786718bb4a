"""Records the histories that every later version must replay: `python -m tests.replay.record NAME`.

Run it once for a release and commit what it writes; never record an old name again.
"""

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import yaml

from tests.server import start_server
from tests.workflows.conftest import PEOPLE, House, Run, open_house


async def promoted(run: Run) -> None:
    """Both stages approved, one by an update and one by a signal; a wrong signal between them."""
    first = await run.answer()
    second = await run.gate(lambda g: g.id != first.id)
    await run.handle.signal("decide", "what?")
    await run.handle.signal("decide", {"gate": second.id, "decision": "approve", "by": "vera"})


async def rolled_back(run: Run) -> None:
    """Paused, then bad while the person still thinks."""
    run.show("latency_p95", 10.0)
    first = await run.answer()
    await run.gate(lambda g: g.id != first.id)
    for metric in ("error_rate", "database_time", "cpu_memory"):
        run.show(metric, 10.0)


async def stopped(run: Run) -> None:
    """A failed check, checked again, then rejected."""
    gate = await run.gate()
    run.target.down = False
    await run.answer(gate=gate)
    await run.answer("reject", gate=await run.gate(lambda g: g.id != gate.id))


SCENARIOS: dict[str, Callable[[Run], Awaitable[None]]] = {
    "promoted": promoted,
    "rolled-back": rolled_back,
    "stopped": stopped,
}


async def record(house: House, version: str, folder: Path) -> None:
    """Play each scenario and write its history."""
    for name, play in SCENARIOS.items():
        runbook = house.write()
        house.targets.targets[runbook].down = name == "stopped"
        run = await house.start(runbook)
        await play(run)
        await run.result()
        history = await run.handle.fetch_history()
        (folder / f"{version}-{name}.json").write_text(history.to_json())


async def main(version: str) -> None:
    """Record everything on a server of its own."""
    folder = Path(__file__).parent / "rollout"
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "rollout").mkdir()
        (Path(directory) / "people.yaml").write_text(yaml.safe_dump(PEOPLE))
        async with (
            await start_server() as server,
            open_house(server.client, Path(directory)) as house,
        ):
            await record(house, version, folder)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
