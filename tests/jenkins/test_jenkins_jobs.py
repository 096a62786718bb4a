"""Folders, encodings, the way from queue item to build, and whole changes with the driver."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from holdfast.adapters.jenkins import JenkinsPipelines
from holdfast.adapters.jenkins.shapes import QueueItem, job_address
from holdfast.adapters.pipelines import PipelineProvider
from holdfast.domain.errors import InvalidInput
from holdfast.ports.pipelines import PipelineRun, RunStatus
from holdfast.runbook.systems import JenkinsSystem
from holdfast.sim.ci import jenkins
from holdfast.sim.ci.engine import Ci, CiRun, RunState
from holdfast.sim.ci.settings import CiSettings
from holdfast.sim.serving import running
from tests.pipelines.contract import (
    CI_TOKEN,
    KEY,
    NEW,
    OLD,
    SYSTEM,
    TOKEN,
    Timing,
    Watch,
    World,
    begin,
    cut,
    ended,
    order,
    reveal,
    until,
    write,
)

TEN_MINUTES = timedelta(minutes=10)


def pipelines(url: str, **changed: Any) -> JenkinsPipelines:
    fields = {"kind": "jenkins", "user": "holdfast", "deploy": "shop/deploy", "rollback": "shop/rollback"}
    return JenkinsPipelines(
        {SYSTEM: JenkinsSystem.model_validate({"url": url, "token": TOKEN, **fields, **changed})}, reveal
    )


@asynccontextmanager
async def world(
    *, deploy: str = "shop/deploy", prefix: str = "", declared: Any = jenkins.DECLARED, **changed: Any
) -> AsyncGenerator[World]:
    """Serve a Jenkins, below a prefix if there is one, as some are."""
    quick = {"queue_seconds": 0.02, "job_seconds": 0.1, "cancel_seconds": 0.05}
    names = {"deploy_name": deploy, "rollback_name": "shop/rollback"}
    ci = Ci(CiSettings.model_validate({"token": CI_TOKEN, **names, **quick, **changed}))
    app = inner = web.Application()
    jenkins.add_routes(inner, ci, declared)
    if prefix:
        app = web.Application()
        app.add_subapp(prefix, inner)
    async with running(app) as url:
        made = pipelines(url + prefix, deploy=deploy)
        yield World(ci, made, PipelineProvider(made, {SYSTEM: Timing()}), url + prefix)
        await ci.close()


async def built(w: World) -> tuple[str, PipelineRun]:
    """Start a run and wait until it is a build; returns its first id and the build."""
    waiting = await begin(w, order())
    await until(lambda: w.keyed() != [RunState.QUEUED])
    return waiting.id, await ended(w, order(), waiting)


segments = st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="/"), min_size=1)


@given(st.lists(segments.filter(lambda name: name not in {".", ".."}), min_size=1, max_size=4))
def test_every_job_is_recognised_by_its_address_and_no_other_is(names: list[str]) -> None:
    job = "/".join(names)
    url = f"https://ci.example/jenkins{job_address(job)}/"
    item = QueueItem.model_validate({"id": 1, "task": {"url": url}})

    assert item.is_of(job)
    assert not item.is_of(f"{job}x")
    assert not item.is_of(f"folder/{job}")


@pytest.mark.parametrize("job", ["deploy", "shop team/Ünïcode/deploy", "shop/deploy/feature%2Ffast", "job/job"])
@pytest.mark.parametrize("prefix", ["", "/jenkins"])
async def test_jobs_in_folders_with_any_name_are_reached(job: str, prefix: str) -> None:
    async with world(deploy=job, prefix=prefix) as w:
        done = await ended(w, order(), await begin(w, order()))

        assert (done.status, done.id) == (RunStatus.SUCCEEDED, f"{job}/4")
        assert (await w.pipelines.deployed(SYSTEM, "canary")).version == NEW


async def test_parameters_arrive_as_they_are_given() -> None:
    version, region = "1.5.0+b&x=1;ü %41", "a=b&PART=stable\nc"
    wanted = order(version).model_copy(update={"parameters": {"REGION": region}})
    async with world() as w:
        await ended(w, wanted, await begin(w, wanted))

        given_values = {"PART": "canary", "VERSION": version, "HOLDFAST_KEY": KEY, "REGION": region}
        assert w.ci.runs[-1].parameters == given_values
        assert (await w.pipelines.deployed(SYSTEM, "canary")).version == version


async def test_a_job_that_does_not_exist_is_named() -> None:
    async with world() as w:
        with pytest.raises(InvalidInput, match=r"has no job 'shop/deplyo', or user 'holdfast' may not see it"):
            await pipelines(w.url, deploy="shop/deplyo").start(order())
        with pytest.raises(InvalidInput, match="has no job 'shop/deplyo'"):
            await pipelines(w.url, deploy="shop/deplyo").deployed(SYSTEM, "canary")


async def test_a_job_without_parameters_is_told_which_to_declare() -> None:
    async with world(declared=()) as w:
        with pytest.raises(InvalidInput, match="declare PART, VERSION and HOLDFAST_KEY"):
            await w.pipelines.start(order())
        assert w.keyed() == []


async def test_an_item_that_jenkins_has_forgotten_is_found_as_its_build() -> None:
    async with world() as w:
        item, _ = await built(w)
        run = w.ci.runs[-1]
        run.started_at = run.created_at - TEN_MINUTES

        found = await w.pipelines.look(order(), item)

        assert (found.id, found.status) == ("shop/deploy/4", RunStatus.SUCCEEDED)


async def test_an_item_that_was_cancelled_and_forgotten_is_cancelled() -> None:
    async with world(runners=0) as w:
        item = (await begin(w, order())).id
        await w.pipelines.cancel(order(), item)
        await until(lambda: w.keyed() == [RunState.CANCELED])
        assert (await w.pipelines.look(order(), item)).said == "cancelled while it waited"
        run = w.ci.runs[-1]
        run.ended_at = run.created_at - TEN_MINUTES

        gone = await w.pipelines.look(order(), item)
        await w.pipelines.cancel(order(), item)

        assert (gone.id, gone.status) == (item, RunStatus.CANCELLED)
        assert "queue item 4 is gone" in gone.said


async def test_an_item_that_became_a_build_is_stopped_as_one() -> None:
    async with world(job_seconds=30) as w:
        item = (await begin(w, order())).id
        await until(lambda: w.keyed() == [RunState.RUNNING])

        await w.pipelines.cancel(order(), item)

        stopped = await ended(w, order(), await w.pipelines.look(order(), item))
        assert stopped.status is RunStatus.CANCELLED
        assert "ended with ABORTED" in stopped.said


async def test_a_failed_build_says_the_last_line_of_its_console() -> None:
    async with world(failing_versions={NEW}) as w:
        _, build = await built(w)

        assert build.said == "build 4 of job 'shop/deploy' ended with FAILURE: exit code 1"
        assert build.url == f"{w.url}/job/shop/job/deploy/4/"


async def test_a_version_is_found_behind_hundreds_of_builds_for_other_parts() -> None:
    async with world() as w:
        model = w.ci.runs[1]
        for _ in range(230):
            run: CiRun = model.model_copy(update={"number": len(w.ci.runs) + 1})
            w.ci.runs.append(run)

        assert (await w.pipelines.deployed(SYSTEM, "canary")).version == OLD


async def test_a_waiting_item_leaves_its_part_unsettled_and_no_other() -> None:
    async with world(runners=0) as w:
        await begin(w, order())

        canary = await w.pipelines.deployed(SYSTEM, "canary")
        stable = await w.pipelines.deployed(SYSTEM, "stable")

    assert (canary.version, canary.unsettled, canary.doubt) == (OLD, KEY, "queue item 4 waits")
    assert (stable.version, stable.unsettled) == (OLD, "")


async def test_of_builds_that_overlap_the_one_that_ends_last_counts() -> None:
    async with world() as w:
        long, brief = await begin(w, order("2.0.0")), await begin(w, order("3.0.0", key="another"))
        await ended(w, order(), long)
        await ended(w, order(key="another"), brief)
        early, late = w.ci.runs[-2:]
        assert early.started_at is not None
        late.started_at, late.ended_at = early.started_at, early.started_at + timedelta(milliseconds=1)
        assert (await w.pipelines.deployed(SYSTEM, "canary")).version == "2.0.0"

        early.state, early.ended_at = RunState.RUNNING, None
        there = await w.pipelines.deployed(SYSTEM, "canary")

        assert (there.version, there.unsettled) == ("3.0.0", KEY)
        assert there.doubt == "build 4 of job 'shop/deploy' is not over"


async def test_a_whole_change_is_deployed_and_rolled_back_once_each() -> None:
    async with world() as w:
        before = await w.provider.read(SYSTEM, "canary")
        assert await w.provider.foresee(write().effect, before) == {"version": NEW}

        there = await w.provider.write(write(), Watch())
        back = await w.provider.write(write(undo=True), Watch())

        assert (there.values, back.values) == ({"version": NEW}, before.values)
        assert [(run.name, run.key) for run in w.ci.runs[-2:]] == [
            ("shop/deploy", KEY),
            ("shop/rollback", f"{KEY}/undo"),
        ]
        assert w.ci.effects == {KEY: 1, f"{KEY}/undo": 1}
        assert w.ci.deployed["canary"] == OLD


async def test_a_start_whose_answer_is_lost_is_started_once() -> None:
    async with world(drop_starts=1, runners=0) as w:
        task = asyncio.create_task(w.provider.write(write(), Watch()))
        await until(lambda: w.keyed() == [RunState.QUEUED])
        await w.ci.change_weather({"runners": 1})

        assert (await task).values == {"version": NEW}
        assert w.keyed() == [RunState.SUCCESS]


@pytest.mark.parametrize("item", ["known", "forgotten"])
async def test_a_run_that_became_a_build_while_its_worker_was_dead_is_followed(item: str) -> None:
    async with world(runners=0) as w:
        watch = Watch()
        first = asyncio.create_task(w.provider.write(write(), watch))
        await until(lambda: bool(watch.kept))
        await cut(first)
        assert watch.kept[-1]["run"] == "queue/4"
        await w.ci.change_weather({"runners": 1})
        await until(lambda: w.keyed() == [RunState.SUCCESS])
        if item == "forgotten":
            w.ci.runs[-1].started_at = w.ci.runs[-1].created_at - TEN_MINUTES

        again = Watch(repeated=True, memory=watch.kept[-1])
        state = await w.provider.write(write(), again)

        assert state.values == {"version": NEW}
        assert again.kept[-1]["run"] == "shop/deploy/4"
        assert w.ci.effects == {KEY: 1}


async def test_the_stand_in_answers_with_what_the_tree_asks_for() -> None:
    async with world() as w, httpx.AsyncClient(auth=("holdfast", CI_TOKEN), trust_env=False) as client:

        async def get(tree: str) -> Any:
            answer = await client.get(f"{w.url}/job/shop/job/deploy/api/json", params={"tree": tree})
            return answer.json()

        assert await get("fullName,allBuilds[number,nothing]{1,3}") == {
            "_class": "hudson.model.FreeStyleProject",
            "fullName": "shop/deploy",
            "allBuilds": [
                {"_class": "hudson.model.FreeStyleBuild", "number": 2},
                {"_class": "hudson.model.FreeStyleBuild", "number": 1},
            ],
        }
        assert len((await get("builds[number]{1}"))["builds"]) == 1
        assert (await client.get(f"{w.url}/job/shop/job/no/api/json")).status_code == 404
        assert (await client.get(f"{w.url}/queue/api/json", auth=("holdfast", "no"))).status_code == 401
        async with httpx.AsyncClient(trust_env=False) as nobody:
            assert (await nobody.get(f"{w.url}/queue/api/json")).status_code == 403
