"""Months of waiting, continued runs and replays, on the real server."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer

from holdfast.adapters.temporal.conversion import DATA_CONVERTER
from holdfast.domain.errors import DecisionRefused
from tests import signing
from tests.fakes import eventually
from tests.server import start_server, time_skipper
from tests.workflows.conftest import PEOPLE, House, Run, open_house
from workers.queues import RUNNER
from workers.registry import HELPERS, WORKFLOWS
from workflows.options import RUNBOOK_QUEUE

HISTORIES = sorted((Path(__file__).parents[1] / "replay").glob("*/*.json"))


async def test_a_run_waits_ninety_days_for_an_approval_and_then_goes_on(house: House, client: Client) -> None:
    name = house.write()
    skipper = time_skipper(client)
    handle = await skipper.client.start_workflow(
        "rollout", {"runbook": name, "requested_by": "anna"}, id=f"long-{name}", task_queue=RUNBOOK_QUEUE
    )
    run = Run(house, name, handle)
    gate = await run.gate()
    await eventually(lambda: asked(house, run))
    await asyncio.sleep(1)  # the rest of asking: the chat's card, the record
    events = (await handle.describe()).history_length

    assert await skipper.fast_forward(handle, timedelta(days=90))

    assert (await handle.describe()).history_length - events < 10, "waiting must not fill the history"
    assert await run.gate() == gate
    await run.answer(gate=gate)
    second = await run.gate(lambda g: g.id == "2-pool")
    assert second.opened_at - gate.opened_at >= timedelta(days=90)
    assert run.target.parts["stable"]["limit"] == 25
    await handle.cancel()


async def asked(house: House, run: Run) -> bool:
    """Whether both approvers were called."""
    return sum(n.run_id == run.handle.id for _, n in house.private.notices) >= 2


async def test_a_long_run_continues_as_new_at_a_stage_boundary_and_forgets_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / "rollout").mkdir()
    (tmp_path / "people.yaml").write_text(yaml.safe_dump(PEOPLE))
    async with (
        await start_server({"limit.historyCount.suggestContinueAsNew": "30"}) as server,
        open_house(server.client, tmp_path) as house,
    ):
        run = await house.start(house.write())
        first = await run.answer()
        second = await run.gate(lambda g: g.id != first.id)
        late = signing.decision(run.handle.id, first, "vera")
        with pytest.raises(DecisionRefused, match=r"Too late: .*boris said approve"):
            await house.runs().decide(run.handle.id, late)
        await run.answer(gate=second)
        report = await run.result()

        parts = [w async for w in server.client.list_workflows(f'WorkflowId = "{run.handle.id}"')]
        assert len(parts) > 1, "the run never continued as new"
        assert report["outcome"] == "promoted"
        assert [e["status"] for e in report["view"]["journal"]] == ["applied"] * 12
        assert house.chat.cards[run.handle.id].state == "promoted"
        assert house.chat.messages_sent[run.handle.id] == 1, "the message is edited, not sent again"


async def test_the_history_of_a_fresh_run_replays(house: House) -> None:
    run = await house.start(house.write())
    run.show("latency_p95", 10.0)
    first = await run.answer()
    await run.answer("reject", gate=await run.gate(lambda g: g.id != first.id))
    await run.result()
    await _replayer().replay_workflow(await run.handle.fetch_history())


@pytest.mark.parametrize("path", HISTORIES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_stored_histories_replay(path: Path) -> None:
    text = path.read_text()
    started = json.loads(text)["events"][0]["workflowExecutionStartedEventAttributes"]
    # What a run names after itself must be named so again: its incidents, and the gates that ask about it.
    history = WorkflowHistory.from_json(started["workflowId"], text)
    asyncio.run(_replayer().replay_workflow(history))


def test_there_is_a_stored_history_of_every_workflow() -> None:
    helpers = {helper.__temporal_workflow_definition.name for helper in HELPERS}
    assert {p.parent.name for p in HISTORIES} == {*WORKFLOWS, *helpers}


def _replayer() -> Replayer:
    workflows = [*WORKFLOWS.values(), *HELPERS]
    return Replayer(workflows=workflows, data_converter=DATA_CONVERTER, workflow_runner=RUNNER)
