"""`holdfast gate-check` over a real server and real workers, on a server of its own."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
import yaml
from cyclopts import App

from activities import guard
from holdfast.adapters.temporal.runs import TemporalRuns
from holdfast.apps.cli import CliDeps
from holdfast.apps.cli.gate_check import add_gate_check
from holdfast.apps.cli.gate_following import GateExit
from holdfast.domain.ids import run_id
from holdfast.runbook.library import RunbookLibrary
from tests.cli.conftest import NO_CAMPAIGNS, NO_DUTY, NO_OUTBOX, NO_PLAN, NO_RECORDS, NO_VERDICTS
from tests.fakes import eventually
from tests.server import start_server
from tests.workflows.conftest import PEOPLE, House, Run, open_house, runbook

Check = Callable[..., Awaitable[int]]


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """Workers whose queues nobody else serves; their guard gives way to the one of before."""
    directory = tmp_path_factory.mktemp("runbooks")
    (directory / "rollout").mkdir()
    (directory / "people.yaml").write_text(yaml.safe_dump(PEOPLE))
    before = guard._Post.guard
    try:
        async with await start_server() as environment, open_house(environment.client, directory) as opened:
            yield opened
    finally:
        guard._Post.guard = before


@pytest.fixture
def check(house: House) -> Check:
    """Run the command in this loop; return its exit code."""

    @asynccontextmanager
    async def run_control() -> AsyncIterator[TemporalRuns]:
        yield house.runs()

    deps = CliDeps(
        library=lambda: RunbookLibrary([house.directory]),
        run_control=run_control,
        ui_url=lambda run_id: f"http://ui/{run_id}",
        start_worker=lambda: None,
        start_bot=lambda: None,
        start_web=lambda: None,
        records=NO_RECORDS,
        verdicts=NO_VERDICTS,
        plan=NO_PLAN,
        duty=NO_DUTY,
        outbox=NO_OUTBOX,
        **NO_CAMPAIGNS,
    )
    app = App(name="holdfast", result_action="return_value")
    add_gate_check(app, deps, poll=timedelta(milliseconds=100))

    async def command(name: str, *tokens: str) -> int:
        return int(await app.run_async(["gate-check", name, "--as", "anna", *tokens]))

    return command


def keyed(house: House, name: str) -> Run:
    """The run that `--key NAME` starts."""
    return Run(house, name, house.client.get_workflow_handle(run_id("rollout", name)))


async def started(house: House, name: str) -> Run:
    run = keyed(house, name)

    async def exists() -> bool:
        return any([True async for _ in house.client.list_workflows(f"WorkflowId = '{run.handle.id}'")])

    await eventually(exists)
    return run


async def test_a_rollout_that_is_approved_and_good_ends_with_zero(house: House, check: Check, capfd) -> None:
    name = house.write()
    checking = asyncio.create_task(check(name, "--key", name, "--json"))
    run = await started(house, name)
    before: list[str] = []

    def has_told_of_the_gate() -> bool:
        before.append(capfd.readouterr().err)
        return "gate 1-limit asks" in "".join(before)

    await eventually(has_told_of_the_gate)
    first = await run.answer()
    await run.answer(gate=await run.gate(lambda g: g.id != first.id))

    assert await checking == GateExit.PROMOTED
    told = capfd.readouterr()
    err = "".join(before) + told.err
    document = json.loads(told.out)
    assert (document["run_id"], document["state"], document["exit"]) == (run.handle.id, "promoted", 0)
    assert [s["state"] for s in document["stages"]] == ["promoted", "promoted"]
    assert re.search(r"gate 1-limit asks: .* waits for boris, vera \(1 of 1 approvals missing\)", err)
    assert "decided: gate '1-limit' is approved: boris said approve" in err
    assert "careful:" not in err
    assert run.target.parts["stable"]["pool"] == 8


async def test_a_bad_canary_is_rolled_back_and_ends_with_one(house: House, check: Check, capfd) -> None:
    name = house.write()
    run = keyed(house, name)
    for metric in ("latency_p95", "error_rate", "database_time", "cpu_memory"):
        run.show(metric, 10.0)
    checking = asyncio.create_task(check(name, "--key", name))
    await (await started(house, name)).answer()

    assert await checking == GateExit.NOT_PROMOTED
    told = capfd.readouterr().out
    assert f"{run.handle.id}: rolled back. " in told
    assert re.search(r"verdict: rollback, risk 1\.60 at 5 %", told)
    assert run.target.parts["canary"]["limit"] == 8


async def test_waiting_too_long_leaves_the_run_to_whoever_attaches_again(
    house: House, check: Check, capfd
) -> None:
    name = house.write(stages=runbook("NAME")["stages"][:1])

    assert await check(name, "--key", name, "--wait", "2s") == GateExit.GOES_ON
    told = capfd.readouterr().out
    run = keyed(house, name)
    assert f"--run {run.handle.id} --wait 2s" in told
    assert (await run.view()).gate is not None

    by_run, by_key = (
        asyncio.create_task(check(name, *tokens)) for tokens in (("--run", run.handle.id), ("--key", name))
    )
    await run.answer()

    assert await asyncio.gather(by_run, by_key) == [GateExit.PROMOTED] * 2
    assert capfd.readouterr().out.count(f"attached to {run.handle.id}, started by anna") == 2
    assert run.target.shares_seen == [5, 25, 100, 0]


async def test_a_rejected_stage_ends_with_one_and_says_who_and_why(house: House, check: Check, capfd) -> None:
    name = house.write()
    checking = asyncio.create_task(check(name, "--key", name))
    await (await started(house, name)).answer("reject", reason="not during the campaign")

    assert await checking == GateExit.NOT_PROMOTED
    assert re.search(r"boris said reject via .* because: not during the campaign", capfd.readouterr().out)


async def test_a_terminated_run_ends_with_one(house: House, check: Check, capfd) -> None:
    name = house.write()
    checking = asyncio.create_task(check(name, "--key", name))
    run = await started(house, name)
    await run.gate()
    await run.handle.terminate("by hand")

    assert await checking == GateExit.NOT_PROMOTED
    assert "ended from outside while waiting for a decision" in capfd.readouterr().out
