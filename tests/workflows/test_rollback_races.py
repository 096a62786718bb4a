"""Rollbacks and cancellations that meet something else that happens at the same moment."""

import asyncio
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.worker import Replayer

from holdfast.adapters.temporal.conversion import DATA_CONVERTER
from holdfast.domain.decisions import RollBack
from holdfast.domain.gates import Gate
from holdfast.domain.view import RunState, RunView
from holdfast.ports.runs import UndoRequest
from tests import signing
from tests.fakes import eventually
from tests.workflows.conftest import House, Run, runbook
from tests.workflows.test_rollback import (
    BEFORE,
    SETTINGS,
    expand_then_contract,
    five_changes,
    started,
    states,
)
from workers.queues import RUNNER
from workers.registry import HELPERS, WORKFLOWS


async def asked(run: Run, gate_id: str) -> Gate:
    """Wait for the gate whose id begins so."""
    return await run.gate(lambda g: g.id.startswith(gate_id))


async def replays(run: Run) -> None:
    """Check that another worker could take the run over at its end."""
    history = await run.handle.fetch_history()
    await Replayer(
        workflows=[*WORKFLOWS.values(), *HELPERS], data_converter=DATA_CONVERTER, workflow_runner=RUNNER
    ).replay_workflow(history)


async def in_its_pipeline(house: House, stages: list[dict[str, Any]]) -> Run:
    """Start a run whose pipeline is under way and does not end by itself."""
    run = await started(house, stages=stages)
    ci = f"{run.name}-ci"
    house.systems.holds_up.add(ci)
    for number, _stage in enumerate(stages, start=1):
        await run.answer(gate=await asked(run, f"{number}-"))
    await eventually(lambda: house.systems.begun[ci])
    return run


async def stuck_in_its_pipeline(house: House, *, cancel: bool) -> tuple[Run, Gate]:
    """Take a run whose second stage is called off, and whose pipeline cannot be taken back."""
    run = await in_its_pipeline(house, [runbook("NAME")["stages"][0], five_changes()])
    ci = f"{run.name}-ci"
    house.systems.failing.add(ci)
    if cancel:
        await run.handle.cancel()
    else:
        await run.roll_back()
    await eventually(lambda: house.systems.stopped[ci] or len(house.systems.begun[ci]) > 1)
    assert house.systems.stopped[ci], "it is stopped before it is taken back"
    house.systems.holds_up.clear()
    return run, await asked(run, "all-undo")


@pytest.mark.parametrize("how", ["roll back", "cancel"])
async def test_a_long_effect_that_comes_to_its_end_all_the_same_does_not_make_the_run_go_on(
    house: House, how: str
) -> None:
    run = await in_its_pipeline(house, [five_changes()])
    if how == "cancel":
        await run.handle.cancel()
    else:
        await run.roll_back()
    house.systems.holds_up.clear()  # it ends before anybody tells it to stop
    if how == "cancel":
        with pytest.raises(WorkflowFailureError):
            await run.result()
    else:
        await run.result()

    view = await run.view()
    assert view.state is (RunState.STOPPED if how == "cancel" else RunState.ROLLED_BACK)
    assert states(run) == BEFORE
    assert run.target.shares_seen == []
    await replays(run)


async def test_who_wants_less_undone_does_not_take_back_what_was_promised_to_somebody_else(
    house: House,
) -> None:
    run, stuck = await stuck_in_its_pipeline(house, cancel=False)
    reply = await run.roll_back(by="boris", to="limit")
    house.systems.failing.clear()
    await run.answer(gate=stuck, by="anna")
    report = await run.result()

    assert reply.text == "At least as much is being undone already: anna asked for a rollback."
    assert [s["state"] for s in report["view"]["stages"]] == ["rolled back", "rolled back"]
    assert states(run) == BEFORE


async def test_who_wants_more_undone_while_a_stage_is_undone_gets_it(house: House) -> None:
    run, stuck = await stuck_in_its_pipeline(house, cancel=True)
    assert (await run.roll_back(to="limit")).text.startswith("Rolling back")
    assert (await run.roll_back(by="boris")).text == "Rolling back: All at once, Raise the limit."
    house.systems.failing.clear()
    await run.answer(gate=stuck, by="anna")
    with pytest.raises(WorkflowFailureError):
        await run.result()

    view = await run.view()
    assert view.state is RunState.ROLLED_BACK
    assert "boris asked for a rollback" in " ".join(line.text for line in view.log)
    await replays(run)
    assert states(run) == BEFORE


async def test_a_cancelled_run_says_what_was_left(house: House) -> None:
    run, stuck = await stuck_in_its_pipeline(house, cancel=True)
    house.audit.down = True
    await run.answer("reject", gate=stuck, by="anna")
    view = await run.view()
    assert view.gate is None
    assert view.headline.startswith("rollback of All at once is stuck"), "not before it is on record"
    house.audit.down = False
    with pytest.raises(WorkflowFailureError):
        await run.result()

    view = await run.view()
    assert view.state is RunState.STOPPED
    assert "cancelled by request" in view.headline
    assert "has not ended well" in view.headline
    assert "what was under way is undone" not in view.headline
    house.systems.failing.clear()


async def test_what_a_person_let_stand_can_be_undone_later_and_the_stages_before_stay_promoted(
    house: House,
) -> None:
    first, last = runbook("NAME")["stages"]
    first["change"]["set"] = {"keep_alive": 5}
    run = await started(house, stages=[first, expand_then_contract(), last])
    for gate_id, by in [("1-limit", "boris"), ("2-all", "boris"), ("2-all-no-return-1", "gleb")]:
        await run.answer(gate=await asked(run, gate_id), by=by)
    await asked(run, "3-pool")
    await run.roll_back()
    await run.answer("reject", gate=await asked(run, "all-undo"), by="anna")
    report = await run.result()

    assert [s["state"] for s in report["view"]["stages"]] == ["promoted", "failed", "ahead"]
    assert run.target.parts["stable"] == {"limit": 25, "pool": 2, "keep_alive": 5}

    await house.runs().undo(UndoRequest(run=run.handle.id, requested_by="anna"), run_id=f"undo-{run.name}")
    undoing = Run(house, run.name, house.client.get_workflow_handle(f"undo-{run.name}"))
    await undoing.answer()
    await undoing.result()
    assert run.target.parts["stable"] == SETTINGS


async def test_the_baseline_is_taken_after_a_point_of_no_return_is_answered(house: House) -> None:
    last = {
        "kind": "alembic",
        "system": "NAME-db",
        "revision": "0007",
        "point_of_no_return": {"approvers": ["stand-in"]},
    }
    stage = five_changes(changes=[{"kind": "http_config", "set": {"limit": 25}}, last])
    run = await started(house, stages=[stage])
    first = await run.answer()
    own = await run.gate(lambda g: g.id != first.id)

    assert (await run.view()).baseline == ""
    assert run.target.audit == []
    await run.answer("reject", gate=own, by="gleb")
    report = await run.result()
    assert report["outcome"] == "rolled back"
    assert states(run) == BEFORE


async def test_a_rollback_that_comes_as_update_and_signal_counts_once_and_is_not_refused(house: House) -> None:
    run = await house.start(house.write())
    first = await run.answer()
    await run.gate(lambda g: g.id != first.id)
    execution = (await run.handle.describe()).run_id
    said = signing.seal(RollBack(by="anna", id="twice"), run=run.handle.id, execution=execution)
    await asyncio.gather(
        run.handle.signal("roll_back", said.model_dump(mode="json")),
        house.runs().roll_back(run.handle.id, said),
    )
    report = await run.result()

    assert report["outcome"] == "rolled back"
    log = " ".join(line["text"] for line in report["view"]["log"])
    assert log.count("anna via temporal-ui: Rolling back: Raise the limit.") == 1
    assert "did not count" not in log
    assert len([key for _, key in run.target.audit if key.endswith("/undo")]) == 6


async def test_an_undo_that_is_cancelled_closes_its_gate(house: House) -> None:
    run = await house.start(house.write(stages=runbook("NAME")["stages"][:1]))
    await run.answer()
    await run.result()
    await house.runs().undo(UndoRequest(run=run.handle.id, requested_by="anna"), run_id=f"undo-{run.name}")
    undoing = Run(house, run.name, house.client.get_workflow_handle(f"undo-{run.name}"))
    await undoing.gate()
    await undoing.handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await undoing.result()

    view: RunView = await undoing.view()
    assert view.gate is None
    assert [g.state for g in view.closed_gates] == ["superseded"]
    assert view.headline == "cancelled by request; nothing was undone"
    assert run.target.parts["stable"]["limit"] == 25


async def test_an_undo_to_a_stage_that_the_run_has_not_undoes_nothing(house: House) -> None:
    run = await house.start(house.write(stages=runbook("NAME")["stages"][:1]))
    await run.answer()
    await run.result()
    wanted = UndoRequest(run=run.handle.id, requested_by="anna", to="limmit")
    await house.runs().undo(wanted, run_id=f"undo-{run.name}")
    undoing = Run(house, run.name, house.client.get_workflow_handle(f"undo-{run.name}"))
    with pytest.raises(WorkflowFailureError):
        await undoing.result()
    assert "unknown stage 'limmit'; known: limit" in (await undoing.view()).headline


async def test_a_point_of_no_return_that_was_in_place_at_the_checks_is_asked_for_when_it_is_not_any_more(
    house: House,
) -> None:
    slow = {"default": {"settle": "0.1s", "window": "2s", "interval": "1s"}}
    name = house.write(stages=[expand_then_contract(shares_percent=[100])], paces=slow)
    database = (f"{name}-db", "all")
    house.systems.states[database] = {"revision": "0007"}
    run = await house.start(name)
    await run.answer()
    await eventually(lambda: run.target.shares_seen == [100])
    house.systems.states[database] = {"revision": "0006"}  # somebody goes back by hand

    own = await asked(run, "1-all-no-return-1")
    assert house.systems.begun[f"{name}-db"] == []
    await run.answer(gate=own, by="gleb")
    report = await run.result()
    assert report["outcome"] == "promoted"
    assert states(run)["db"] == "0007"


async def test_a_point_of_no_return_that_nobody_answered_in_time_for_its_evidence_is_asked_again(
    house: House,
) -> None:
    stage = expand_then_contract(shares_percent=[100])
    stage["changes"][1]["point_of_no_return"]["evidence_max_age"] = "1s"
    run = await started(house, stages=[stage])
    await run.answer()
    await asked(run, "1-all-no-return-2")

    closed = {gate.id: gate.state for gate in (await run.view()).closed_gates}
    assert closed["1-all-no-return-1"] == "voided"
    assert house.systems.begun[f"{run.name}-db"] == []
    await run.handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await run.result()
    assert states(run) == BEFORE
