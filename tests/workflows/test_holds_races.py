"""Holds that two runs want at the same moment."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from temporalio.client import WorkflowFailureError

from holdfast.adapters.temporal.holds import TemporalHolds, hold_id
from holdfast.domain.view import RunState
from holdfast.ports.holds import Holder
from tests.fakes import eventually
from tests.server import start_server
from tests.workflows.conftest import PEOPLE, House, Run, open_house, runbook
from tests.workflows.test_holds import SLOW, headline
from tests.workflows.test_rollback import BEFORE, five_changes, started, states, watching
from tests.workflows.test_rollback_races import in_its_pipeline
from workflows.options import RUNBOOK_QUEUE

_numbers = itertools.count(1)


@dataclass
class Claims:
    """Systems and runs of one test; a run is alive as long as a workflow of its id runs."""

    house: House
    prefix: str

    def system(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    async def alive(self, name: str) -> Holder:
        holder = Holder(run=f"{self.prefix}-run-{name}", stage="s")
        await self.house.client.start_workflow("hold", holder, id=holder.run, task_queue=RUNBOOK_QUEUE)
        return holder

    async def who(self, name: str) -> str:
        """Return the run that holds a system."""
        found = await self.house.client.get_workflow_handle(hold_id(self.system(name))).describe()
        return Holder.model_validate(await found.memo_value("holder")).run if found.status == 1 else ""


@pytest.fixture
def claims(house: House) -> Claims:
    return Claims(house, f"claims-{next(_numbers)}")


class Overtaken(TemporalHolds):
    """Holds of a run that another one overtakes as soon as it has found a holder that is gone."""

    first: TemporalHolds
    by: Holder
    system: str

    async def _has_ended(self, run: str) -> bool:
        ended = await super()._has_ended(run)
        if ended:
            assert await self.first.claim([self.system], self.by) is None
        return ended


async def test_a_claim_that_fails_keeps_what_the_run_held_before_and_nothing_else(claims: Claims) -> None:
    holds = TemporalHolds(claims.house.client, task_queue=RUNBOOK_QUEUE)
    ours, other = await claims.alive("ours"), await claims.alive("other")
    a, b, c = (claims.system(name) for name in "abc")
    assert await holds.claim([b], ours) is None
    assert await holds.claim([c], other) is None

    held = await holds.claim([a, b, c], ours)

    assert held is not None
    assert (held.system, held.by.run) == (c, other.run)
    assert [await claims.who(name) for name in "bc"] == [ours.run, other.run]
    assert await holds.claim([a], other) is None  # that was let go of again
    assert await holds.claim([b], ours) is None  # and this may be claimed twice


async def test_two_runs_that_take_over_from_a_dead_one_do_not_both_get_it(claims: Claims) -> None:
    client, system = claims.house.client, claims.system("a")
    holds = TemporalHolds(client, task_queue=RUNBOOK_QUEUE)
    assert await holds.claim([system], Holder(run="run-that-is-gone")) is None
    overtaken = Overtaken(client, task_queue=RUNBOOK_QUEUE)
    overtaken.first, overtaken.system, overtaken.by = holds, system, await claims.alive("first")

    held = await overtaken.claim([system], await claims.alive("second"))

    assert held is not None
    assert held.by.run == overtaken.by.run == await claims.who("a")


async def test_nobody_lets_go_of_what_somebody_else_holds(claims: Claims) -> None:
    holds = TemporalHolds(claims.house.client, task_queue=RUNBOOK_QUEUE)
    ours, other = await claims.alive("ours"), await claims.alive("other")
    await holds.claim([claims.system("a")], ours)
    await holds.release([claims.system("a"), claims.system("never")], other.run)
    assert await claims.who("a") == ours.run
    await holds.release([claims.system("a")], ours.run)
    assert await holds.claim([claims.system("a")], other) is None


async def test_a_rollback_waits_for_another_run_says_that_it_rolls_back_and_holds_nothing_meanwhile(
    house: House,
) -> None:
    schema = {"kind": "alembic", "system": "NAME-db", "revision": "0007"}
    code = {"kind": "gitlab", "system": "NAME-ci", "version": "1.5.0"}
    stages = [_stage("schema", schema, shares_percent=[]), _stage("code", code)]
    first = await in_its_pipeline(house, stages)
    ci, database = (f"{first.name}-{system}" for system in ("ci", "db"))
    target = {"endpoint": first.name, "environment": "rehearsal"}
    later = _stage("later", {**schema, "system": database, "revision": "r8"}, shares_percent=[])
    second = await house.start(house.write(target=target, stages=[later], paces=SLOW))
    await second.answer()
    await eventually(lambda: house.systems.begun[database][1:])

    await first.roll_back()
    await eventually(lambda: house.systems.stopped[ci])
    house.systems.holds_up.clear()
    waiting = await headline(first, "waits")
    assert waiting.state is RunState.ROLLING_BACK
    assert f"{database} is held by {second.handle.id}" in waiting.headline
    await eventually(lambda: _is_free(house, ci))
    await second.roll_back()
    await second.result()
    report = await first.result()
    assert report["outcome"] == "rolled back"
    assert "verified" in report["view"]["headline"]
    assert states(first) == BEFORE


def _stage(name: str, change: dict[str, Any], **more: Any) -> dict[str, Any]:
    return five_changes(name=name, title=name.title(), changes=[change], **more)


async def test_a_run_that_is_cancelled_while_it_waits_for_a_system_leaves_none_held(house: House) -> None:
    name = house.write()
    first = await _watching_on(house, name)
    stages = runbook("NAME")["stages"][:1]
    second = await house.start(house.write(target={"endpoint": name, "environment": "x"}, stages=stages))
    await headline(second, "waits")
    await second.handle.cancel()
    await first.roll_back()
    await first.result()
    with pytest.raises(WorkflowFailureError):
        await second.result()
    assert await _is_held(house, name) is False


async def test_a_question_about_the_checks_holds_nobody_up(house: House) -> None:
    name = house.write()
    house.metrics.down.add(name)
    run = await house.start(name)
    gate = await run.gate()
    assert gate.id == "1-limit-check-1"
    assert await _is_free(house, name)
    await run.answer("reject", gate=gate)
    await run.result()


async def test_a_run_that_has_continued_as_new_lets_go_of_what_it_held_before(tmp_path: Path) -> None:
    (tmp_path / "rollout").mkdir()
    (tmp_path / "people.yaml").write_text(yaml.safe_dump(PEOPLE))
    async with (
        await start_server({"limit.historyCount.suggestContinueAsNew": "30"}) as server,
        open_house(server.client, tmp_path) as house,
    ):
        last = runbook("NAME")["stages"][1]
        target = {"endpoint": "NAME", "environment": "rehearsal", "hold": "run"}
        run = await started(house, stages=[five_changes(), last], target=target)
        gate = await run.answer()
        second = await run.gate(lambda g: g.id != gate.id)
        execution = await run.handle.describe()
        assert execution.raw_description.workflow_execution_info.first_run_id != execution.run_id
        assert [await _is_held(house, f"{run.name}{part}") for part in ("", "-ci", "-db")] == [True] * 3
        await run.answer("reject", gate=second)
        assert (await run.result())["outcome"] == "stopped"
        assert [await _is_held(house, f"{run.name}{part}") for part in ("", "-ci", "-db")] == [False] * 3


async def _watching_on(house: House, name: str) -> Run:
    """Start a run that watches its canary on the target of another runbook."""
    stages = runbook("NAME")["stages"][1:]
    target = {"endpoint": name, "environment": "rehearsal"}
    run = await house.start(house.write(target=target, stages=stages, paces=SLOW))
    await run.answer()
    await watching(run, 5)
    return run


async def _is_free(house: House, system: str) -> bool:
    return not await _is_held(house, system)


async def _is_held(house: House, system: str) -> bool:
    found = await house.client.get_workflow_handle(hold_id(system)).describe()
    return bool(found.status == 1)
