import pytest
from temporalio.client import WorkflowFailureError

from holdfast.domain.view import RunView
from tests.fakes import eventually
from tests.workflows.conftest import House


async def test_two_approved_stages_are_promoted_and_every_effect_happens_once(house: House) -> None:
    run = await house.start(house.write())

    first = await run.answer()
    second = await run.answer(gate=await run.gate(lambda g: g.id != first.id))
    report = await run.result()

    assert report["outcome"] == "promoted"
    assert (first.id, second.id) == ("1-limit", "2-pool")
    assert run.target.parts["stable"] == {"limit": 25, "pool": 8, "keep_alive": 1}
    assert run.target.shares_seen == [5, 25, 100, 0, 5, 25, 100, 0]
    keys = [key for _part, key in run.target.audit]
    assert len(keys) == len(set(keys)) == 12
    assert [e["status"] for e in report["view"]["journal"]] == ["applied"] * 12


async def test_nothing_is_changed_before_the_gate_is_approved(house: House) -> None:
    run = await house.start(house.write())
    gate = await run.gate()

    assert run.target.audit == []
    assert "limit = 25" in gate.question
    assert "now limit = 8" in gate.question


async def test_a_rejected_stage_stops_the_run_and_keeps_what_was_promoted(house: House) -> None:
    run = await house.start(house.write())
    first = await run.answer()
    await run.answer("reject", gate=await run.gate(lambda g: g.id != first.id))
    report = await run.result()

    assert report["outcome"] == "stopped"
    assert run.target.parts["stable"]["limit"] == 25
    assert run.target.parts["stable"]["pool"] == 2
    assert [s["state"] for s in report["view"]["stages"]] == ["promoted", "rejected"]


async def test_a_bad_canary_is_rolled_back_by_itself_and_verified(house: House) -> None:
    run = await house.start(house.write())
    for metric in ("latency_p95", "error_rate", "database_time", "cpu_memory"):
        run.show(metric, 10.0)
    await run.answer()
    report = await run.result()

    assert report["outcome"] == "rolled back"
    assert "verified" in report["view"]["headline"]
    assert run.target.parts["stable"] == run.target.parts["canary"] == {"limit": 8, "pool": 2, "keep_alive": 60}
    assert run.target.shares_seen == [5, 0]
    assert {e["status"] for e in report["view"]["journal"]} == {"reverted"}


async def test_a_doubtful_canary_waits_for_a_person_who_lets_it_go_on(house: House) -> None:
    run = await house.start(house.write())
    run.show("latency_p95", 10.0)  # red alone: risk 0.6
    first = await run.answer()
    pause = await run.gate(lambda g: g.id != first.id)
    assert pause.id == "1-limit-at-5-1"
    assert run.target.shares_seen == [5]

    run.show("latency_p95", 1.0)
    await run.answer(gate=pause)
    second = await run.gate(lambda g: g.id == "2-pool")
    assert run.target.shares_seen == [5, 25, 100, 0]
    await run.answer("reject", gate=second)
    await run.result()


async def test_a_doubtful_canary_that_turns_bad_is_rolled_back_while_the_person_still_thinks(
    house: House,
) -> None:
    run = await house.start(house.write())
    run.show("latency_p95", 10.0)
    first = await run.answer()
    await run.gate(lambda g: g.id != first.id)
    run.show("error_rate", 10.0)
    run.show("message_volume", 0.1)
    report = await run.result()

    assert report["outcome"] == "rolled back"
    assert report["view"]["closed_gates"][-1]["state"] == "superseded"
    assert run.target.shares_seen == [5, 0]


async def test_stages_that_are_in_place_already_need_no_sign_off(house: House) -> None:
    run = await house.start(house.write())
    await run.answer(gate=await run.gate())
    await run.answer(gate=await run.gate(lambda g: g.id == "2-pool"))
    await run.result()

    again = await house.client.start_workflow(
        "rollout",
        {"runbook": run.name, "requested_by": "anna"},
        id=f"again-{run.name}",
        task_queue="holdfast-runbooks",
    )
    report = await again.result()

    assert report["outcome"] == "promoted"
    assert [s["state"] for s in report["view"]["stages"]] == ["already in place"] * 2


async def test_cancelling_a_run_undoes_the_stage_that_is_under_way(house: House) -> None:
    run = await house.start(house.write())
    run.show("latency_p95", 10.0)
    first = await run.answer()
    await run.gate(lambda g: g.id != first.id)
    await run.handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await run.result()

    assert run.target.shares_seen == [5, 0]
    assert run.target.parts["canary"]["limit"] == 8
    assert house.chat.cards[run.handle.id].state == "stopped"
    assert house.chat.cards[run.handle.id].gate is None


async def test_a_target_that_is_down_is_asked_about_and_checked_again(house: House) -> None:
    name = house.write()
    house.targets.targets[name].down = True
    run = await house.start(name)
    gate = await run.gate()
    assert gate.id == "1-limit-check-1"
    assert "does not answer" in gate.question

    run.target.down = False
    await run.answer(gate=gate)
    assert (await run.gate(lambda g: g.id == "1-limit")).approve_label == "Approve"
    await run.handle.cancel()


async def test_an_answer_lost_after_the_write_does_not_apply_the_change_twice(house: House) -> None:
    run = await house.start(house.write())
    await run.gate()
    run.target.lose_answers = 3
    await run.answer()
    await run.gate(lambda g: g.id == "2-pool")

    keys = [key for _part, key in run.target.audit]
    assert len(keys) == len(set(keys)) == 6
    await run.handle.cancel()


async def test_somebody_elses_change_during_a_rollback_is_left_alone_and_named(house: House) -> None:
    run = await house.start(house.write())
    run.show("latency_p95", 10.0)
    first = await run.answer()
    pause = await run.gate(lambda g: g.id != first.id)
    run.target.write("canary", {"limit": 99, "pool": 2, "keep_alive": 60}, "somebody")
    await run.answer("reject", gate=pause)
    report = await run.result()

    assert report["outcome"] == "rolled back"
    assert "limit: 8 was recorded, 99 is there" in report["view"]["headline"]
    assert run.target.parts["canary"]["limit"] == 99
    assert run.target.parts["share"] == {"percent": 0}


async def test_a_metrics_outage_asks_a_person_and_never_rolls_back(house: House) -> None:
    run = await house.start(house.write())
    gate = await run.gate()
    await run.answer(gate=gate)
    await eventually(lambda: run.target.shares_seen == [5])
    house.metrics.down.add(run.name)
    unclear = await run.gate(lambda g: g.id.startswith("1-limit-at-"))
    assert unclear.approve_label == "Watch again"
    assert (await run.view()).verdict.outcome == "inconclusive"

    house.metrics.down.discard(run.name)
    await run.answer(gate=unclear)
    await run.gate(lambda g: g.id == "2-pool")
    await run.handle.cancel()


async def test_a_query_that_goes_wrong_under_way_asks_a_person_and_is_no_evidence_against_the_canary(
    house: House,
) -> None:
    run = await house.start(house.write())
    await run.answer()
    await eventually(lambda: run.target.shares_seen == [5])
    house.metrics.wrong.add(run.name)
    blind = await run.gate(lambda g: g.id.startswith("1-limit-at-"))
    assert "aggregate it" in blind.question
    assert 0 not in run.target.shares_seen

    house.metrics.wrong.discard(run.name)
    await run.answer(gate=blind)
    await run.gate(lambda g: g.id == "2-pool")
    await run.handle.cancel()


async def test_metrics_that_are_down_before_the_stage_are_a_failed_check(house: House) -> None:
    name = house.write()
    house.metrics.down.add(name)
    run = await house.start(name)
    gate = await run.gate()
    assert gate.id == "1-limit-check-1"
    assert "metrics backend does not answer" in gate.question
    await run.handle.cancel()


async def test_a_chat_that_is_down_does_not_hold_the_run_up_and_hears_of_the_end_later(house: House) -> None:
    name = house.write()
    house.chat.down.add(f"run-{name}")
    run = await house.start(name)
    await run.answer()
    await run.answer(gate=await run.gate(lambda g: g.id == "2-pool"))

    async def promoted() -> bool:
        return (await run.view()).state == "promoted"

    await eventually(promoted)
    assert run.handle.id not in house.chat.cards
    house.chat.down.clear()
    await run.result()
    assert house.chat.cards[run.handle.id].state == "promoted"


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"runbook": "nowhere", "requested_by": "anna"}, "unknown runbook 'nowhere'"),
        (
            {"runbook": "{name}", "requested_by": "mallory"},
            "unknown person 'mallory'; known: anna, boris, gleb, hermit, vera",
        ),
        ({"runbook": "{name}", "requested_by": "boris"}, "'boris' may not start"),
        ({"runbook": "{name}", "requested_by": "anna", "pace": "hasty"}, "known: default"),
    ],
)
async def test_a_wrong_start_ends_the_run_with_the_reason(
    house: House, request_: dict[str, str], says: str
) -> None:
    name = house.write()
    request = {k: v.format(name=name) for k, v in request_.items()}
    handle = await house.client.start_workflow(
        "rollout", request, id=f"wrong-{name}", task_queue="holdfast-runbooks"
    )
    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()
    assert says in failure.value.cause.message
    view = await handle.query("view", result_type=RunView)
    assert view.state == "failed"


async def test_the_card_loses_its_gate_when_the_gate_is_decided(house: House) -> None:
    run = await house.start(house.write())
    gate = await run.gate()
    await eventually(lambda: (c := house.chat.cards.get(run.handle.id)) is not None and c.gate is not None)
    await run.answer("reject", gate=gate)
    await run.result()

    card = house.chat.cards[run.handle.id]
    assert card.gate is None
    assert card.closed_gates[0].decisions[0].by == "boris"
    assert card.ui_url == f"http://ui/{run.handle.id}"
    assert any("your decision is asked" in ping for ping in house.chat.pings[run.handle.id])
