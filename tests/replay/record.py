"""Records the histories that every later version must replay: `python -m tests.replay.record NAME`.

Run it once for a release and commit what it writes; never record an old name again.
"""

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from holdfast.domain.decisions import Extension, Handover
from tests import signing
from tests.server import start_server
from tests.workflows.conftest import PEOPLE, House, Run, open_house


async def promoted(run: Run) -> None:
    """Both stages approved, one by an update and one by a signal; a wrong signal between them."""
    first = await run.answer()
    second = await run.gate(lambda g: g.id != first.id)
    await run.handle.signal("decide", "what?")
    answer = signing.pasted(signing.decision(run.handle.id, second, "vera"))
    await run.handle.signal("decide", answer)


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


async def asked_again(run: Run) -> None:
    """Extended, handed over, approved by the delegate; void because the target changed; then let expire."""
    gate = await run.gate()
    more: dict[str, Any] = {"gate": gate.id, "by": "vera", "evidence": gate.evidence, "proofs": ("code",)}
    for update, said in (
        ("extend", Extension(until=gate.opened_at + timedelta(days=30), **more)),
        ("delegate", Handover(to="gleb", **more)),
    ):
        sealed = signing.seal(said, run=run.handle.id, execution=gate.execution)
        await run.handle.execute_update(update, signing.pasted(sealed))
    for part in ("stable", "canary"):
        run.target.parts[part]["keep_alive"] = 99
    await run.answer(by="gleb", gate=gate)
    await run.gate(lambda g: g.id != gate.id)


async def attributed(run: Run) -> None:
    """Judged by whose fault it is, with shadows: bad on the first share, rolled back by a veto."""
    run.show("error_rate", 40.0)
    await run.answer()


POLICIES: dict[str, dict[str, Any]] = {
    "asked-again": {
        "approvers": ["vera"],
        "deadline": {"after": "5s", "then": "rollback", "warn_before": ["3s"]},
        "remind": {"after": ["1s"], "in_working_hours": False},
    }
}
SCENARIOS: dict[str, Callable[[Run], Awaitable[None]]] = {
    "promoted": promoted,
    "rolled-back": rolled_back,
    "stopped": stopped,
    "asked-again": asked_again,
    "attributed": attributed,
}


async def record(house: House, version: str, folder: Path) -> None:
    """Play each scenario and write its history."""
    for name, play in SCENARIOS.items():
        if name == "attributed":
            runbook = house.write_attributed(shadow=["weighted", "judge", "weighted-seed"])
        else:
            runbook = house.write(**_stages(POLICIES.get(name)))
        house.targets.targets[runbook].down = name == "stopped"
        run = await house.start(runbook)
        await play(run)
        await run.result()
        history = await run.handle.fetch_history()
        (folder / f"{version}-{name}.json").write_text(history.to_json())


def _stages(policy: dict[str, Any] | None) -> dict[str, Any]:
    """One stage with this gate; the usual two where there is no policy."""
    if policy is None:
        return {}
    change = {"kind": "http_config", "set": {"limit": 25}}
    return {
        "stages": [{"name": "limit", "title": "Limit", "why": "It hurts.", "change": change, "gate": policy}]
    }


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
