"""Rollbacks at any time: asked for, partial, stuck; and stages of several changes, undone together."""

from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from holdfast.domain.decisions import Answer
from holdfast.domain.errors import DecisionRefused
from holdfast.domain.view import RunState, RunView
from holdfast.ports.runs import UndoRequest
from tests.fakes import eventually
from tests.workflows.conftest import House, Run, runbook

BAD = ("latency_p95", "error_rate", "database_time", "cpu_memory")
SLOW = {"default": {"settle": "0.1s", "window": "600s", "interval": "1s"}}
SETTINGS = {"limit": 8, "pool": 2, "keep_alive": 60}


def five_changes(**more: Any) -> dict[str, Any]:
    """A stage of configuration, pipeline, migration, share and command."""
    return {
        "name": "all",
        "title": "All at once",
        "why": "They belong together.",
        "changes": [
            {"kind": "alembic", "system": "NAME-db", "revision": "0007"},
            {"kind": "gitlab", "system": "NAME-ci", "version": "1.5.0"},
            {"kind": "http_config", "set": {"limit": 25}},
            {"kind": "command", "system": "NAME-tool", "when": "after"},
        ],
        "gate": {"approvers": ["lead"]},
        **more,
    }


def seed(run: Run) -> None:
    run.house.systems.states[(f"{run.name}-db", "all")] = {"revision": "0006"}


def states(run: Run) -> dict[str, Any]:
    """What every system of the five changes shows."""
    systems = run.house.systems
    found = {part: systems._state((f"{run.name}-ci", part))["version"] for part in ("canary", "stable")}
    return {
        **found,
        "db": systems._state((f"{run.name}-db", "all"))["revision"],
        "tool": systems._state((f"{run.name}-tool", "all"))["state"],
        "limit": run.target.parts["stable"]["limit"],
        "share": run.target.parts["share"]["percent"],
    }


BEFORE = {"canary": "1.4.2", "stable": "1.4.2", "db": "0006", "tool": "off", "limit": 8, "share": 0}
AFTER = {"canary": "1.5.0", "stable": "1.5.0", "db": "0007", "tool": "on", "limit": 25, "share": 0}


async def started(house: House, **changes: Any) -> Run:
    name = house.write(**changes)
    house.systems.states[(f"{name}-db", "all")] = {"revision": "0006"}
    return await house.start(name)


async def watching(run: Run, share: int) -> RunView:
    """Wait until this share is watched."""

    async def there() -> RunView | None:
        view = await run.view()
        percent = max(stage.share_percent for stage in view.stages) if view.stages else 0
        return view if view.state is RunState.WATCHING and percent == share else None

    return await eventually(there)


async def test_a_rollback_can_be_asked_for_while_a_share_is_watched(house: House) -> None:
    run = await house.start(house.write(paces=SLOW))
    await run.answer()
    await watching(run, 5)

    reply = await run.roll_back(reason="customers call")
    report = await run.result()

    assert reply.answer is Answer.ACCEPTED
    assert "Raise the limit" in reply.text
    assert report["outcome"] == "rolled back"
    assert "anna asked for a rollback: customers call" in report["view"]["headline"]
    assert "verified" in report["view"]["headline"]
    assert run.target.parts["stable"] == run.target.parts["canary"] == SETTINGS
    assert run.target.shares_seen == [5, 0]


async def test_a_rollback_while_a_gate_waits_undoes_what_is_promoted_and_closes_the_gate(
    house: House,
) -> None:
    run = await house.start(house.write())
    first = await run.answer()
    second = await run.gate(lambda g: g.id != first.id)

    await run.roll_back()
    report = await run.result()

    assert report["outcome"] == "rolled back"
    assert run.target.parts["stable"] == SETTINGS
    assert [s["state"] for s in report["view"]["stages"]] == ["rolled back", "ahead"]
    assert report["view"]["gate"] is None
    closed = {g["id"]: g["state"] for g in report["view"]["closed_gates"]}
    assert closed[second.id] == "superseded"


async def test_a_partial_rollback_keeps_the_stages_up_to_the_named_one(house: House) -> None:
    stages = runbook("NAME")["stages"]
    stages.append(
        {
            **stages[0],
            "name": "third",
            "title": "Third",
            "change": {"kind": "http_config", "set": {"limit": 30}},
        }
    )
    run = await house.start(house.write(stages=stages))
    first = await run.answer()
    second = await run.answer(gate=await run.gate(lambda g: g.id != first.id))
    await run.gate(lambda g: g.id not in {first.id, second.id})

    reply = await run.roll_back(by="boris", to="limit")
    report = await run.result()

    assert "Widen the pool" in reply.text
    assert "'limit'" in reply.text
    assert [s["state"] for s in report["view"]["stages"]] == ["promoted", "rolled back", "ahead"]
    assert run.target.parts["stable"] == {"limit": 25, "pool": 2, "keep_alive": 60}


async def test_rollbacks_that_do_not_count_are_refused_with_the_reason(house: House) -> None:
    run = await house.start(house.write())
    await run.gate()
    with pytest.raises(DecisionRefused, match="nothing to undo"):
        await run.roll_back()
    first = await run.answer()
    await run.gate(lambda g: g.id != first.id)
    with pytest.raises(DecisionRefused, match="may not roll this run back; anna, boris, vera may"):
        await run.roll_back(by="gleb")
    with pytest.raises(DecisionRefused, match="'pool' is no promoted stage"):
        await run.roll_back(to="pool")
    with pytest.raises(DecisionRefused, match="nothing to undo"):
        await run.roll_back(to="limit")
    assert run.target.parts["stable"]["limit"] == 25
    await run.answer("reject", gate=await run.gate())
    await run.result()


async def test_a_revert_that_is_impossible_stops_pages_and_is_tried_again_when_told(house: House) -> None:
    run = await house.start(house.write())
    run.target.stuck = {"canary"}
    for metric in BAD:
        run.show(metric, 10.0)
    first = await run.answer()
    stuck = await run.gate(lambda g: g.id != first.id)

    assert "does not take canary back" in stuck.question
    assert f"Still standing: {run.name}/canary limit: 8 → 25." in stuck.question
    assert f"Undone: {run.name}/share percent: 5 → 0." in stuck.question
    assert set(stuck.approvers) >= {"anna", "boris"}
    await eventually(lambda: any("stuck" in text for text in house.chat.pings[run.handle.id]))

    run.target.stuck = set()
    await run.answer(gate=stuck, by="anna")
    report = await run.result()

    assert report["outcome"] == "rolled back"
    assert run.target.parts["canary"] == SETTINGS
    assert [e["attempts"] for e in report["view"]["journal"]] == [2, 1]
    keys = [key for _, key in run.target.audit]
    assert keys[-1].endswith("/undo-2")


async def test_a_stuck_revert_that_is_left_is_named_and_the_older_ones_are_undone(house: House) -> None:
    run = await house.start(house.write())
    run.target.stuck = {"share"}
    for metric in BAD:
        run.show(metric, 10.0)
    first = await run.answer()
    await run.answer("reject", by="anna", gate=await run.gate(lambda g: g.id != first.id))
    report = await run.result()

    assert report["outcome"] == "rolled back"
    assert "was left: " in report["view"]["headline"]
    assert "percent: 0 was recorded, 5 is there" in report["view"]["headline"]
    assert run.target.parts["canary"] == SETTINGS
    assert [e["status"] for e in report["view"]["journal"]] == ["reverted", "left"]


async def test_a_system_that_stays_silent_longer_than_the_file_allows_pages_a_person(house: House) -> None:
    run = await house.start(house.write(rollback={"keep_trying_for": "1s", "page": ["stand-in"]}))
    for metric in BAD:
        run.show(metric, 10.0)

    async def share_is_out() -> bool:
        return run.target.shares_seen == [5]

    first = await run.answer()
    await eventually(share_is_out)
    run.target.down = True
    stuck = await run.gate(lambda g: g.id != first.id)
    assert stuck.approvers == ("gleb",)
    run.target.down = False
    await run.answer(gate=stuck, by="gleb")
    report = await run.result()
    assert "verified" in report["view"]["headline"]


async def test_five_changes_are_made_in_order_and_everybody_gets_them(house: House) -> None:
    run = await started(house, stages=[five_changes()])
    gate = await run.answer()
    report = await run.result()

    assert report["outcome"] == "promoted"
    assert states(run) == AFTER
    assert f"{run.name}-db to revision 0007; {run.name}-ci deploys 1.5.0; limit = 25" in gate.question
    titles = [e["effect"]["title"] for e in report["view"]["journal"]]
    assert [title.replace(run.name, "NAME") for title in titles] == [
        "NAME-db to revision 0007",
        "canary: NAME-ci deploys 1.5.0",
        "canary: limit = 25",
        "canary share 5 %",
        "canary share 25 %",
        "canary share 100 %",
        "stable: NAME-ci deploys 1.5.0",
        "stable: limit = 25",
        "canary share 0 %",
        "NAME-tool is run",
    ]


async def test_five_changes_are_undone_together_in_the_opposite_order(house: House) -> None:
    second = {**runbook("NAME")["stages"][1], "change": {"kind": "http_config", "set": {"pool": 8}}}
    run = await started(house, stages=[five_changes(), second])
    first = await run.answer()
    await run.gate(lambda g: g.id != first.id)
    assert states(run) == AFTER

    await run.roll_back()
    report = await run.result()

    assert states(run) == BEFORE
    assert {e["status"] for e in report["view"]["journal"]} == {"reverted"}
    assert "verified" in report["view"]["headline"]
    for system in ("ci", "db", "tool"):
        keys = house.systems.begun[f"{run.name}-{system}"]
        assert len(keys) == len(set(keys))


async def test_a_pipeline_that_fails_half_way_is_rolled_back_though_its_version_looks_old(house: House) -> None:
    run = await started(house, stages=[five_changes()])
    house.systems.failing.add(f"{run.name}-ci")
    first = await run.answer()
    stuck = await run.gate(lambda g: g.id != first.id)  # its rollback job fails as well
    assert "job 17 failed" in stuck.question
    house.systems.failing.clear()
    await run.answer(gate=stuck, by="anna")
    with pytest.raises(WorkflowFailureError):
        await run.result()

    assert states(run) == BEFORE
    keys = [key.rpartition("/")[2] for key in house.systems.begun[f"{run.name}-ci"]]
    assert keys == [f"{run.name}-ci-canary", "undo", "undo-2"]


async def test_a_pipeline_under_way_is_stopped_at_its_system_when_a_rollback_is_asked_for(house: House) -> None:
    run = await started(house, stages=[five_changes()])
    house.systems.holds_up.add(f"{run.name}-ci")
    await run.answer()
    await eventually(lambda: house.systems.begun[f"{run.name}-ci"])

    await run.roll_back()
    await eventually(lambda: house.systems.stopped[f"{run.name}-ci"])
    house.systems.holds_up.clear()
    report = await run.result()

    assert report["outcome"] == "rolled back"
    assert states(run) == BEFORE
    assert len(house.systems.stopped[f"{run.name}-ci"]) == 1


def expand_then_contract(**more: Any) -> dict[str, Any]:
    """Settings first, and a step that cannot be undone when everybody has them."""
    last = {
        "kind": "alembic",
        "system": "NAME-db",
        "revision": "0007",
        "when": "after",
        "point_of_no_return": {"approvers": ["stand-in"]},
    }
    return five_changes(changes=[{"kind": "http_config", "set": {"limit": 25}}, last], **more)


async def test_a_point_of_no_return_needs_its_own_gate(house: House) -> None:
    run = await started(house, stages=[expand_then_contract()])
    first = await run.answer()
    own = await run.gate(lambda g: g.id != first.id)

    assert own.approvers == ("gleb",)
    assert "no rollback takes it back" in own.question
    assert states(run)["db"] == "0006"
    assert run.target.parts["stable"]["limit"] == 25
    await run.answer(gate=own, by="gleb")
    report = await run.result()
    assert report["outcome"] == "promoted"
    assert states(run)["db"] == "0007"


async def test_a_refused_point_of_no_return_leaves_the_rest_of_the_stage_in_place(house: House) -> None:
    run = await started(house, stages=[expand_then_contract()])
    first = await run.answer()
    await run.answer("reject", gate=await run.gate(lambda g: g.id != first.id), by="gleb")
    report = await run.result()

    assert report["outcome"] == "stopped"
    assert "promoted without its last step" in report["view"]["headline"]
    assert states(run) == {**BEFORE, "limit": 25}


@pytest.mark.parametrize(("choice", "limit"), [("approve", 8), ("reject", 25)])
async def test_a_rollback_stops_at_a_point_of_no_return_and_a_person_decides(
    house: House, choice: str, limit: int
) -> None:
    stages = [expand_then_contract(), runbook("NAME")["stages"][1]]
    run = await started(house, stages=stages)
    first = await run.answer()
    own = await run.answer(gate=await run.gate(lambda g: g.id != first.id), by="gleb")
    last = await run.gate(lambda g: g.id not in {first.id, own.id})

    await run.roll_back()
    stuck = await run.gate(lambda g: g.id not in {first.id, own.id, last.id})
    assert "it is a point of no return" in stuck.question
    await run.answer(choice, gate=stuck, by="anna")
    report = await run.result()

    assert states(run) == {**BEFORE, "db": "0007", "limit": limit}
    assert "revision: '0006' was recorded, '0007' is there" in report["view"]["headline"]


async def test_what_has_no_canary_side_is_given_to_everybody_and_everybody_is_watched(house: House) -> None:
    stage = five_changes(changes=[{"kind": "command", "system": "NAME-tool"}], shares_percent=[])
    run = await started(house, stages=[stage])
    for metric in BAD:
        run.show(metric, 10.0, side="stable")
    gate = await run.answer()
    report = await run.result()

    assert "everybody gets it at once and is watched" in gate.if_approved
    assert report["outcome"] == "rolled back"
    assert report["view"]["verdict"]["share_percent"] == 100
    assert states(run) == BEFORE
    assert run.target.audit == []


async def test_a_change_that_cannot_be_made_is_found_before_anybody_is_asked(house: House) -> None:
    run = await started(house, stages=[five_changes()])
    house.systems.unsettled[(f"{run.name}-ci", "canary")] = "somebody-elses"
    gate = await run.gate()
    assert gate.id == "1-all-check-1"
    assert "somebody-elses has not ended well" in gate.question
    await run.answer("reject", gate=gate)
    await run.result()
    assert states(run) == BEFORE


async def test_an_ended_run_is_undone_by_a_run_of_its_own_after_one_approval(house: House) -> None:
    run = await started(house, stages=[five_changes()])
    await run.answer()
    await run.result()
    assert states(run) == AFTER

    wanted = UndoRequest(run=run.handle.id, requested_by="anna", reason="the invoices are wrong")
    assert await house.runs().undo(wanted, run_id=f"undo-{run.name}")
    undoing = Run(house, run.name, house.client.get_workflow_handle(f"undo-{run.name}"))
    gate = await undoing.gate()
    assert gate.approvers == ("anna", "boris", "vera")
    assert "the invoices are wrong" in gate.question
    assert states(run) == AFTER
    await undoing.answer(gate=gate)
    view = RunView.model_validate(await undoing.result())

    assert view.state is RunState.ROLLED_BACK
    assert "verified" in view.headline
    assert states(run) == BEFORE


@pytest.mark.parametrize(
    ("by", "run_id", "why"),
    [("gleb", "", "may not roll"), ("anna", "rollout-nowhere", "the server has no run 'rollout-nowhere'")],
)
async def test_an_undo_that_makes_no_sense_fails_and_says_why(
    house: House, by: str, run_id: str, why: str
) -> None:
    run = await house.start(house.write())
    await run.answer("reject")
    await run.result()
    wanted = UndoRequest(run=run_id or run.handle.id, requested_by=by)
    await house.runs().undo(wanted, run_id=f"undo-{run.name}")
    undoing = Run(house, run.name, house.client.get_workflow_handle(f"undo-{run.name}"))
    with pytest.raises(WorkflowFailureError):
        await undoing.result()
    assert why in (await undoing.view()).headline


async def test_an_undo_that_is_rejected_leaves_everything_as_it_is(house: House) -> None:
    run = await started(house, stages=[five_changes()])
    await run.answer()
    await run.result()
    await house.runs().undo(UndoRequest(run=run.handle.id, requested_by="anna"), run_id=f"undo-{run.name}")
    undoing = Run(house, run.name, house.client.get_workflow_handle(f"undo-{run.name}"))
    await undoing.answer("reject")
    assert RunView.model_validate(await undoing.result()).state is RunState.STOPPED
    assert states(run) == AFTER


async def test_a_terminated_run_is_undone_with_what_it_left_half_made(house: House) -> None:
    run = await house.start(house.write(paces=SLOW))
    await run.answer()
    await watching(run, 5)
    await run.handle.terminate("by mistake")
    assert run.target.parts["share"] == {"percent": 5}

    await house.runs().undo(UndoRequest(run=run.handle.id, requested_by="anna"), run_id=f"undo-{run.name}")
    undoing = Run(house, run.name, house.client.get_workflow_handle(f"undo-{run.name}"))
    gate = await undoing.answer()
    view = RunView.model_validate(await undoing.result())

    assert f"{run.name}/share percent: 5 → 0" in gate.question
    assert "verified" in view.headline
    assert run.target.parts["share"] == {"percent": 0}
    assert run.target.parts["canary"] == SETTINGS


async def test_the_chat_is_called_to_the_end_and_not_to_what_is_over(house: House) -> None:
    run = await house.start(house.write())
    first = await run.answer()
    await run.gate(lambda g: g.id != first.id)
    await run.roll_back()
    await run.result()

    pings = house.chat.pings[run.handle.id]
    assert pings[-1].startswith("Rolled back: anna asked for a rollback.")
    assert f"Undone and verified: {run.name} is as before." in pings[-1]


async def test_without_a_canary_side_what_comes_after_is_watched_too(house: House) -> None:
    last = {"kind": "command", "system": "NAME-tool", "when": "after"}
    stage = five_changes(changes=[last], shares_percent=[])
    run = await started(house, stages=[stage])
    for metric in BAD:
        run.show(metric, 10.0, side="stable")
    await run.answer()
    report = await run.result()

    assert report["outcome"] == "rolled back"
    keys = [key.rpartition("/")[2] for key in house.systems.begun[f"{run.name}-tool"]]
    assert keys == [f"{run.name}-tool", "undo"]


async def test_what_was_left_by_decision_can_be_undone_later_as_one_more_try(house: House) -> None:
    run = await house.start(house.write())
    run.target.stuck = {"share"}
    for metric in BAD:
        run.show(metric, 10.0)
    first = await run.answer()
    await run.answer("reject", by="anna", gate=await run.gate(lambda g: g.id != first.id))
    await run.result()
    assert run.target.parts["share"] == {"percent": 5}

    run.target.stuck = set()
    await house.runs().undo(UndoRequest(run=run.handle.id, requested_by="anna"), run_id=f"undo-{run.name}")
    undoing = Run(house, run.name, house.client.get_workflow_handle(f"undo-{run.name}"))
    await undoing.answer()
    view = RunView.model_validate(await undoing.result())

    assert view.state is RunState.ROLLED_BACK
    assert run.target.parts["share"] == {"percent": 0}
    assert run.target.audit[-1] == ("share", f"{run.handle.id}/limit/share-5/undo-2")
