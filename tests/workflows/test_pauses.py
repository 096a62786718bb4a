"""A paused run takes no step forward, watches what is out, and still goes back."""

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from temporalio.client import Client, WorkflowHandle

from holdfast.adapters.temporal.conversion import DATA_CONVERTER
from holdfast.domain.decisions import Answer
from holdfast.domain.errors import DecisionRefused
from holdfast.domain.view import RunState, RunView
from tests import signing
from tests.fakes import eventually
from tests.server import start_server, time_skipper
from tests.workflows.conftest import PEOPLE, House, Run, guarded
from tests.workflows.test_rollback import BAD, SETTINGS, SLOW, expand_then_contract, started, watching
from tests.workflows.test_rollback_races import replays
from workflows.options import RUNBOOK_QUEUE

# One share is watched for two seconds: long enough to say something meanwhile.
SHORT = {"default": {"settle": "0.1s", "window": "2s", "interval": "0.5s"}}


async def state(run: Run, wanted: RunState) -> RunView:
    """Wait until the run shows this state."""

    async def there() -> RunView | None:
        view = await run.view()
        return view if view.state is wanted else None

    return await eventually(there)


async def test_a_pause_in_the_middle_of_a_share_keeps_the_share_and_the_watch_until_it_is_resumed(
    house: House,
) -> None:
    run = await house.start(house.write(paces=SHORT))
    await run.answer()
    await watching(run, 5)

    reply = await run.say("pause", by="boris", reason="customers call")
    view = await run.view()
    assert reply.answer is Answer.ACCEPTED
    assert (view.state, view.paused_by) == (RunState.PAUSED, "boris")
    assert view.headline == "paused by boris: customers call"
    asked = house.metrics.asked[run.name]
    await eventually(lambda: house.metrics.asked[run.name] > asked + 60)  # well after the share's own window
    assert run.target.shares_seen == [5]
    assert (await run.view()).state is RunState.PAUSED

    await run.say("resume")
    view = await run.view()
    assert view.paused_by == ""
    await eventually(lambda: run.target.shares_seen[-1] > 5)
    await run.roll_back()
    assert (await run.result())["outcome"] == "rolled back"
    kinds = [e.text for e in house.audit.entries if e.run == run.handle.id]
    assert (
        "boris: The run is paused: no step forward until somebody resumes it. What is out is watched." in kinds
    )
    await replays(run)


async def test_what_is_out_is_rolled_back_by_verdict_while_the_run_is_paused(house: House) -> None:
    run = await house.start(house.write(paces=SHORT))
    await run.answer()
    await watching(run, 5)
    await run.say("pause")
    asked = house.metrics.asked[run.name]
    await eventually(lambda: house.metrics.asked[run.name] > asked + 60)
    for metric in BAD:
        run.show(metric, 10.0)

    report = await run.result()

    assert report["outcome"] == "rolled back"
    assert report["view"]["paused_by"] == ""
    assert run.target.shares_seen == [5, 0]
    assert run.target.parts["canary"] == SETTINGS
    assert "Undone and verified" in report["view"]["headline"]
    await replays(run)


async def test_a_paused_run_is_rolled_back_on_request(house: House) -> None:
    run = await house.start(house.write(paces=SLOW))
    await run.answer()
    await watching(run, 5)
    await run.say("pause")
    await run.roll_back(reason="enough")
    report = await run.result()
    assert report["outcome"] == "rolled back"
    assert "the pause is over: what goes back is not held up" in [
        line["text"] for line in report["view"]["log"]
    ]
    await replays(run)


async def test_an_approval_given_during_a_pause_acts_after_it_is_resumed_on_a_fresh_check(house: House) -> None:
    run = await house.start(house.write())
    gate = await run.gate()
    await run.say("pause", by="anna")
    assert (await run.view()).gate is not None, "the gate stays answerable"
    await run.answer(gate=gate)
    view = await run.view()
    assert (view.state, view.gate) == (RunState.PAUSED, None)
    assert run.target.audit == []
    for part in ("stable", "canary"):
        run.target.parts[part]["keep_alive"] = 99
    await run.say("resume", by="vera")
    again = await run.gate(lambda g: g.id != gate.id)
    assert "keep_alive" in again.again_because
    await run.answer("reject", gate=again)
    assert (await run.result())["outcome"] == "stopped"
    await replays(run)


async def test_a_pause_before_the_next_stage_holds_it_back(house: House) -> None:
    run = await house.start(
        house.write(paces={"default": {"settle": "3s", "window": "0.2s", "interval": "0.1s"}})
    )
    first = await run.answer()

    async def promoted() -> bool:
        return (await run.view()).stages[0].state == "promoted"

    await eventually(promoted)
    await run.say("pause")
    await eventually(lambda: house.chat.cards[run.handle.id].paused_by == "anna")
    assert (await state(run, RunState.PAUSED)).stages[1].state == "ahead"
    await run.say("resume")
    await run.answer("reject", gate=await run.gate(lambda g: g.id != first.id))
    await run.result()
    await replays(run)


async def test_a_pause_holds_for_ninety_days_without_filling_the_history(house: House, client: Client) -> None:
    name = house.write()
    skipper = time_skipper(client)
    handle = await skipper.client.start_workflow(
        "rollout", {"runbook": name, "requested_by": "anna"}, id=f"run-{name}", task_queue=RUNBOOK_QUEUE
    )
    run = Run(house, name, handle)
    gate = await run.gate()
    await run.say("pause")
    await run.answer(gate=gate)
    await eventually(
        lambda: run.handle.id in house.chat.cards and house.chat.cards[run.handle.id].paused_by == "anna"
    )
    before = await _length_at_rest(handle)
    await skipper.fast_forward(handle, timedelta(days=90))
    assert (await handle.describe()).history_length - before < 20
    assert run.target.audit == []
    await run.say("resume")
    await run.gate(lambda g: g.id != gate.id)
    await handle.cancel()


async def _length_at_rest(handle: WorkflowHandle[Any, Any]) -> int:
    """Return how long the history is once everything is in it that the last word led to."""
    length = 0
    while length < (newest := (await handle.describe()).history_length):
        length = newest
        await asyncio.sleep(1)
    return length


async def test_pauses_that_do_not_count_are_refused_in_words(house: House) -> None:
    run = await house.start(house.write())
    await run.gate()
    with pytest.raises(DecisionRefused, match="The run is not paused"):
        await run.say("resume")
    with pytest.raises(DecisionRefused, match="'gleb' may not say 'pause' to this run; anna, boris, vera may"):
        await run.say("pause", by="gleb")
    unsigned = signing.word(run.handle.id, "pause", "anna").model_copy(update={"code": "AAAA-AAAA-AAAA-AAAA"})
    with pytest.raises(DecisionRefused, match="approval code is not anna's"):
        await house.runs().say(run.handle.id, unsigned)
    with pytest.raises(DecisionRefused, match="takes no such thing"):
        await run.say("acknowledge")
    await run.say("pause")
    with pytest.raises(DecisionRefused, match="The run is paused already, by anna"):
        await run.say("pause", by="boris")
    await run.say("resume", by="boris")
    await run.answer("reject")
    await run.result()
    with pytest.raises(DecisionRefused, match="has ended"):
        await run.say("pause")


async def test_a_signalled_pause_counts_with_its_code_and_its_sender_is_told(house: House) -> None:
    run = await house.start(house.write())
    await run.gate()
    await run.handle.signal("pause", {"act": "pause", "by": "anna"})
    await run.handle.signal("pause", "what?")
    await eventually(lambda: any("did not count" in s.text and s.person == "anna" for s in house.private.said))
    assert (await run.view()).paused_by == ""
    await run.handle.signal("pause", signing.pasted(signing.word(run.handle.id, "pause", "anna")))

    async def paused() -> bool:
        return (await run.view()).paused_by == "anna"

    await eventually(paused)
    await run.handle.signal("resume", signing.pasted(signing.word(run.handle.id, "pause", "anna")))
    await eventually(
        lambda: any("this takes 'resume', but the message says 'pause'" in s.text for s in house.private.said)
    )
    assert (await run.view()).paused_by == "anna"
    await run.handle.cancel()


async def test_a_code_for_a_pause_is_sent_to_the_private_chat_and_opens_it(house: House) -> None:
    run = await house.start(house.write())
    await run.gate()
    await run.handle.execute_update("send_code", {"by": "anna", "gate": "pause", "reason": "wait"})
    sent = next(s for s in reversed(house.private.said) if s.person == "anna" and run.handle.id in s.text)
    assert f"say 'pause' to {run.handle.id}" in sent.text
    assert "the update 'pause'" in sent.text
    await run.handle.execute_update("pause", json.loads(sent.paste))
    assert (await run.view()).headline == "paused by anna: wait"
    await run.handle.cancel()


async def test_what_was_good_before_a_pause_is_looked_at_again_before_a_point_of_no_return(
    house: House,
) -> None:
    run = await started(house, stages=[expand_then_contract(shares_percent=[100])])
    await run.answer()
    own = await run.gate(lambda g: g.id.startswith("1-all-no-return"))
    await run.say("pause")
    await run.answer(gate=own, by="gleb")

    async def looked() -> int:
        events = (await run.handle.fetch_history()).events
        names = [e.activity_task_scheduled_event_attributes.activity_type.name for e in events]
        return names.count("before_acting")

    before = await eventually(looked)
    await state(run, RunState.PAUSED)
    begun = len(house.systems.begun[f"{run.name}-db"])
    await run.say("resume")
    assert (await run.result())["outcome"] == "promoted"
    assert begun < len(house.systems.begun[f"{run.name}-db"])
    assert await looked() > before
    await replays(run)


async def test_a_canary_that_must_go_goes_though_somebody_resumes_the_run_at_that_moment(
    tmp_path: Path,
) -> None:
    (tmp_path / "rollout").mkdir()
    (tmp_path / "people.yaml").write_text(yaml.safe_dump(PEOPLE))
    async with await start_server() as server, AsyncExitStack() as stack:
        house = House(server.client, tmp_path)
        stack.enter_context(guarded(house.guard))
        runbooks, *others = house.workers()
        for worker in others:
            await stack.enter_async_context(worker)
        async with runbooks:
            run = await house.start(house.write(paces=SHORT))
            await run.answer()
            await watching(run, 5)
            await run.say("pause")
            asked = house.metrics.asked[run.name]
            await eventually(lambda: house.metrics.asked[run.name] > asked + 60)
        for metric in BAD:
            run.show(metric, 10.0)

        async def waits_for_a_worker() -> bool:
            events = (await run.handle.fetch_history()).events
            last = [e for e in events if e.HasField("activity_task_completed_event_attributes")][-1]
            return b"rollback" in last.activity_task_completed_event_attributes.result.payloads[0].data

        await eventually(waits_for_a_worker)
        said = signing.pasted(signing.word(run.handle.id, "resume", "anna"))
        resuming = asyncio.create_task(run.handle.execute_update("resume", said))
        await asyncio.sleep(1)  # until the server has it; nothing tells
        other = await Client.connect(
            house.client.config()["service_client"].config.target_host, data_converter=DATA_CONVERTER
        )
        await stack.enter_async_context(replace(house, client=other).workers()[0])
        await resuming
        report = await run.result()
        assert report["outcome"] == "rolled back"
        assert run.target.shares_seen == [5, 0]
        await replays(run)
