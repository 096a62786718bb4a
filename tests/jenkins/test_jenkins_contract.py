"""What `ports.pipelines` promises, kept against the stand-in's Jenkins face."""

from holdfast.adapters.jenkins import JenkinsPipelines
from holdfast.ports.pipelines import RunStatus
from holdfast.runbook.systems import JenkinsSystem
from holdfast.sim.ci.engine import RunState
from tests.pipelines.contract import (
    CI_TOKEN,
    POLL,
    SYSTEM,
    TOKEN,
    VISIBLE_WITHIN,
    PipelinesContract,
    begin,
    order,
    reveal,
    until,
)


def jenkins(url: str) -> JenkinsPipelines:
    system = JenkinsSystem.model_validate(
        {
            "kind": "jenkins",
            "url": url,
            "user": "holdfast",
            "token": TOKEN,
            "deploy": "shop/deploy",
            "rollback": "shop/rollback",
            "poll": POLL,
            "visible_within": VISIBLE_WITHIN,
        }
    )
    return JenkinsPipelines({SYSTEM: system}, reveal)


class TestJenkins(PipelinesContract):
    face = "jenkins"
    make = staticmethod(jenkins)
    has_refs = False

    async def test_of_two_runs_with_one_key_the_oldest_is_found(self) -> None:
        # Jenkins builds once for two equal items that wait: a second run needs a first one that is built.
        async with self.world(runners=1, job_seconds=30) as w:
            await begin(w, order())
            await until(lambda: w.keyed() == [RunState.RUNNING])
            second = await begin(w, order())
            found = await w.pipelines.find(order())
            assert found is not None
            assert (found.status, found.id) == (RunStatus.RUNNING, "shop/deploy/4")
            assert second.id == "queue/5"
            assert w.keyed() == [RunState.RUNNING, RunState.QUEUED]

    async def test_the_same_start_twice_while_it_waits_is_one_run(self) -> None:
        async with self.world(runners=0) as w:
            first = await w.pipelines.start(order())
            assert await w.pipelines.start(order()) == first
            assert w.keyed() == [RunState.QUEUED]

    async def test_a_run_waits_as_a_queue_item_and_becomes_a_build_of_its_job(self) -> None:
        async with self.world(runners=0, queue_seconds=0) as w:
            waiting = await w.pipelines.start(order())
            assert waiting is not None
            assert (waiting.id, waiting.url) == ("queue/4", f"{w.url}/job/shop/job/deploy/")
            looked = await w.pipelines.look(order(), waiting.id)
            assert (looked.status, looked.said) == (RunStatus.QUEUED, "Waiting for next available executor")
            await w.ci.change_weather({"runners": 1})
            await until(lambda: w.keyed() != [RunState.QUEUED])
            built = await w.pipelines.look(order(), waiting.id)
            assert built.id == "shop/deploy/4"
            assert built.url == f"{w.url}/job/shop/job/deploy/4/"
            assert CI_TOKEN not in str(built)
