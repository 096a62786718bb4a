"""Records the histories that every later version must replay: `python -m tests.replay.record NAME`.

Run it once for a release and commit what it writes; never record an old name again.
"""

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from temporalio.client import WorkflowFailureError, WorkflowHandle

from holdfast.domain.decisions import Extension, Handover, RollBack
from holdfast.ports.runs import UndoRequest
from tests import signing
from tests.fakes import eventually
from tests.replay.keeping import keep
from tests.replay.record_campaigns import record_campaigns, record_precedence
from tests.server import start_server
from tests.workflows import test_rollback
from tests.workflows.conftest import PEOPLE, House, Run, open_house, runbook
from tests.workflows.incident_house import Incident, opened
from tests.workflows.test_rollback import watching


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


async def five_changes(run: Run) -> None:
    """Schema, code, settings, share and command are promoted; then somebody asks for a rollback."""
    first = await run.answer()
    await run.gate(lambda g: g.id != first.id)
    await run.roll_back(reason="customers call")


async def stuck(run: Run) -> None:
    """Bad, and a step back that cannot be made: tried again, then left."""
    run.target.stuck = {"canary"}
    for metric in ("latency_p95", "error_rate", "database_time", "cpu_memory"):
        run.show(metric, 10.0)
    first = await run.answer()
    again = await run.answer(gate=await run.gate(lambda g: g.id != first.id), by="anna")
    last = await run.gate(lambda g: g.id not in {first.id, again.id})
    await run.answer("reject", gate=last, by="anna")


async def no_return(run: Run) -> None:
    """A point of no return is passed; the rollback stops there and is told to go on."""
    first = await run.answer()
    own = await run.answer(gate=await run.gate(lambda g: g.id != first.id), by="gleb")
    await run.gate(lambda g: g.id not in {first.id, own.id})
    await run.roll_back()
    last = await run.gate(lambda g: "undo" in g.id)
    await run.answer(gate=last, by="anna")


async def called_off(run: Run) -> None:
    """A pipeline is under way when a rollback is asked for by a signal."""
    systems, ci = run.house.systems, f"{run.name}-ci"
    systems.holds_up.add(ci)
    await run.answer()
    await eventually(lambda: systems.begun[ci])
    execution = (await run.handle.describe()).run_id
    said = signing.seal(RollBack(by="anna"), run=run.handle.id, execution=execution)
    await run.handle.signal("roll_back", said)
    await eventually(lambda: systems.stopped[ci])
    systems.holds_up.clear()


async def paused(run: Run) -> None:
    """Paused while a share is watched, resumed; paused at a gate that is approved meanwhile, resumed."""
    first = await run.answer()
    await watching(run, 5)
    await run.say("pause", by="boris", reason="customers call")
    asked = run.house.metrics.asked[run.name]
    await eventually(lambda: run.house.metrics.asked[run.name] > asked + 60)  # the guard watches
    await run.say("resume")
    second = await run.gate(lambda g: g.id != first.id)
    await run.say("pause")
    await run.answer(gate=second)
    await run.handle.signal("resume", signing.pasted(signing.word(run.handle.id, "resume", "vera")))


async def acknowledged(incident: Incident) -> None:
    """Acknowledged, noted by a signal, handed over, taken over, resolved; somebody else is refused."""
    await incident.called(1)
    await incident.say("acknowledge")
    note = signing.word(incident.handle.id, "note", "gleb", reason="the portal answers 503")
    await incident.handle.signal("note", signing.pasted(note))
    await incident.handle.signal("resolve", "what?")
    await incident.say("hand_over", to="vera")
    await incident.called(2)
    await incident.say("acknowledge", by="vera")
    await incident.say("hand_over", by="boris", to="boris")
    await incident.say("resolve", by="boris", reason="the pool was too small")


async def expired_ack(incident: Incident) -> None:
    """Nobody in the first step; every round in vain; then an acknowledgement that runs out."""
    await incident.until(lambda v: "nobody has answered" in v.headline)
    await incident.say("acknowledge", by="boris")
    await incident.called(3)
    await incident.say("resolve", by="boris", reason="it went away")


INCIDENTS: dict[str, tuple[Callable[[Incident], Awaitable[None]], dict[str, Any]]] = {
    "acknowledged": (acknowledged, {}),
    "expired-ack": (
        expired_ack,
        {
            "steps": [{"page": ["hermit"], "wait": "1s"}, {"page": ["boris"], "wait": "1s"}],
            "rounds": 2,
            "acknowledged_for": "2s",
        },
    ),
}
STAGES: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "five-changes": lambda: [test_rollback.five_changes(), runbook("NAME")["stages"][1]],
    "no-return": lambda: [test_rollback.expand_then_contract(), runbook("NAME")["stages"][1]],
    "called-off": lambda: [test_rollback.five_changes()],
}
POLICIES: dict[str, dict[str, Any]] = {
    "asked-again": {
        "approvers": ["vera"],
        "deadline": {"after": "5s", "then": "rollback", "warn_before": ["3s"]},
        "remind": {"after": ["1s"], "in_working_hours": False},
    }
}
PACES: dict[str, dict[str, Any]] = {
    "paused": {"paces": {"default": {"settle": "0.1s", "window": "2s", "interval": "0.5s"}}}
}
SCENARIOS: dict[str, Callable[[Run], Awaitable[None]]] = {
    "promoted": promoted,
    "rolled-back": rolled_back,
    "stopped": stopped,
    "asked-again": asked_again,
    "attributed": attributed,
    "five-changes": five_changes,
    "stuck": stuck,
    "no-return": no_return,
    "called-off": called_off,
    "paused": paused,
}


async def record(house: House, version: str, folder: Path) -> None:
    """Play each scenario and write its history."""
    for name, play in SCENARIOS.items():
        if name == "attributed":
            file = house.write_attributed(shadow=["weighted", "judge", "weighted-seed"])
        elif name in STAGES:
            file = house.write(stages=STAGES[name]())
            house.systems.states[(f"{file}-db", "all")] = {"revision": "0006"}
        else:
            file = house.write(**_stages(POLICIES.get(name)), **PACES.get(name, {}))
        house.targets.targets[file].down = name == "stopped"
        run = await house.start(file)
        await play(run)
        with suppress(WorkflowFailureError):  # how some runs are meant to end
            await run.result()
        await keep(run.handle, folder / "rollout" / f"{version}-{name}.json")
        if name == "promoted":
            await keep(
                house.client.get_workflow_handle(f"hold-{file}"), folder / "hold" / f"{version}-let-go.json"
            )
            await keep(await _undone(house, run), folder / "undo" / f"{version}-approved.json")

    for name, (play_incident, policy) in INCIDENTS.items():
        incident = await opened(house, skipping=False, **policy)
        await play_incident(incident)
        await incident.result()
        await keep(incident.handle, folder / "incident" / f"{version}-{name}.json")


async def _undone(house: House, run: Run) -> WorkflowHandle[Any, Any]:
    """Undo an ended run by a run of its own."""
    run_id = f"undo-{run.name}"
    await house.runs().undo(UndoRequest(run=run.handle.id, requested_by="anna"), run_id=run_id)
    undoing = Run(house, run.name, house.client.get_workflow_handle(run_id))
    await undoing.answer()
    await undoing.result()
    return undoing.handle


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
    folder = Path(__file__).parent
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "rollout").mkdir()
        (Path(directory) / "people.yaml").write_text(yaml.safe_dump(PEOPLE))
        async with (
            await start_server() as server,
            open_house(server.client, Path(directory)) as house,
        ):
            await record(house, version, folder)
            await record_precedence(house, version, folder)
    await record_campaigns(version, folder)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
