"""What people are told while no worker is up: the truth, and nothing is lost."""

from pathlib import Path

import pytest
import yaml
from temporalio.client import Client

from holdfast.adapters.temporal.runs import TemporalRuns
from holdfast.domain.decisions import Answer, Decision
from holdfast.domain.errors import EngineUnavailable
from holdfast.ports.runs import RolloutRequest
from tests import signing
from tests.fakes import eventually
from tests.server import start_server
from tests.workflows.conftest import PEOPLE, Run, open_house
from workflows.options import RUNBOOK_QUEUE


async def test_a_decision_is_stored_while_no_worker_is_up_and_counted_when_one_is(
    tmp_path: Path,
) -> None:
    (tmp_path / "rollout").mkdir()
    (tmp_path / "people.yaml").write_text(yaml.safe_dump(PEOPLE))
    async with await start_server() as server:

        async def connect() -> Client:
            return server.client

        runs = TemporalRuns(connect, task_queue=RUNBOOK_QUEUE, address="the test server")
        async with open_house(server.client, tmp_path) as house:
            run = await house.start(house.write())
            gate = await run.gate()

        with pytest.raises(EngineUnavailable):
            await runs.view(run.handle.id)
        tap = signing.seal(
            Decision(token=gate.token, decision="approve", by="boris", channel="telegram", id="telegram:1"),
            run=run.handle.id,
            execution="",
        )
        reply = await runs.decide(run.handle.id, tap)
        assert reply.answer is Answer.STORED
        assert await runs.start(RolloutRequest(runbook="x", requested_by="anna"), run_id="run-later")

        async with open_house(server.client, tmp_path) as house:
            again = Run(house, run.name, run.handle)

            async def decided() -> bool:
                return bool((await again.view()).closed_gates)

            await eventually(decided)
            assert (await again.view()).closed_gates[0].decisions[0].id == "telegram:1"
