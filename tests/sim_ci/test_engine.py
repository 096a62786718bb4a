import asyncio
import json
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from holdfast.sim.ci.engine import Ci, CiRun, RunState
from holdfast.sim.ci.server import FACES, create_app, settings_for
from holdfast.sim.serving import running

Began = Callable[..., AbstractAsyncContextManager[Ci]]
WaitUntil = Callable[[Callable[[], bool]], Awaitable[None]]


def start(ci: Ci, version: str = "1.5.0", *, part: str = "canary", key: str = "run/stage/step") -> CiRun:
    return ci.start(
        name="deploy", action="deploy", part=part, version=version, key=key, ref="main", parameters={"k": "v"}
    )


def states(ci: Ci) -> list[RunState]:
    return [run.state for run in ci.runs if run.key]


async def test_every_part_has_the_initial_version_from_a_run_that_succeeded(began: Began) -> None:
    async with began(initial_version="1.0.7") as ci:
        assert ci.deployed == {"canary": "1.0.7", "stable": "1.0.7", "all": "1.0.7"}
        assert [run.number for run in ci.runs] == [1, 2, 3]
        assert {run.artifacts["version.txt"] for run in ci.runs} == {b"1.0.7\n"}
        assert {run.state for run in ci.runs} == {RunState.SUCCESS}


async def test_a_run_waits_is_picked_up_deploys_and_leaves_its_version(
    began: Began, wait_until: WaitUntil
) -> None:
    async with began() as ci:
        run = start(ci)
        assert (run.number, run.state, run.started_at) == (4, RunState.QUEUED, None)
        await wait_until(lambda: run.over)
        assert run.state is RunState.SUCCESS
        assert run.started_at is not None
        assert run.ended_at is not None
        assert run.created_at < run.started_at < run.ended_at
        assert run.artifacts == {"version.txt": b"1.5.0\n"}
        assert ci.deployed == {"canary": "1.5.0", "stable": "1.4.2", "all": "1.4.2"}
        assert ci.effects == {"run/stage/step": 1}
        assert "1.5.0" in run.log


async def test_no_more_jobs_run_than_there_are_runners_and_the_oldest_is_next(
    began: Began, wait_until: WaitUntil
) -> None:
    async with began(runners=2, job_seconds=30) as ci:
        runs = [start(ci, key=str(number)) for number in range(4)]
        await wait_until(lambda: states(ci).count(RunState.RUNNING) == 2)
        assert states(ci) == [RunState.RUNNING, RunState.RUNNING, RunState.QUEUED, RunState.QUEUED]
        ci.cancel(runs[0].number)
        await wait_until(lambda: runs[2].state is RunState.RUNNING)
        assert states(ci) == [RunState.CANCELED, RunState.RUNNING, RunState.RUNNING, RunState.QUEUED]


async def test_a_runner_that_comes_takes_what_waits(began: Began, wait_until: WaitUntil) -> None:
    async with began(runners=0, queue_seconds=0) as ci:
        run = start(ci)
        await ci.change_weather({"job_seconds": 0.01})
        assert run.state is RunState.QUEUED
        await ci.change_weather({"runners": 1})
        await wait_until(lambda: run.state is RunState.SUCCESS)


async def test_two_runs_with_one_key_deploy_twice(began: Began, wait_until: WaitUntil) -> None:
    async with began() as ci:
        start(ci)
        start(ci)
        await wait_until(lambda: states(ci) == [RunState.SUCCESS] * 2)
        assert ci.effects == {"run/stage/step": 2}


async def test_a_failing_version_is_half_deployed_and_leaves_no_artefact(
    began: Began, wait_until: WaitUntil
) -> None:
    async with began(failing_versions={"1.5.0"}) as ci:
        run = start(ci)
        await wait_until(lambda: run.over)
        assert run.state is RunState.FAILED
        assert run.artifacts == {}
        assert ci.deployed["canary"] == "1.4.2 and 1.5.0"
        assert ci.effects["run/stage/step"] == 1


async def test_a_queued_run_is_cancelled_at_once_and_never_deploys(began: Began) -> None:
    async with began(runners=0) as ci:
        run = start(ci)
        assert ci.cancel(run.number)
        assert run.state is RunState.CANCELED
        await ci.change_weather({"runners": 2})
        assert not ci.cancel(run.number)
        assert ci.effects == {}


async def test_a_running_run_that_is_cancelled_ends_soon_and_halfway(
    began: Began, wait_until: WaitUntil
) -> None:
    async with began(job_seconds=30) as ci:
        run = start(ci)
        await wait_until(lambda: run.state is RunState.RUNNING)
        assert ci.cancel(run.number)
        assert (run.state, run.canceling) == (RunState.RUNNING, True)
        await wait_until(lambda: run.over)
        assert run.state is RunState.CANCELED
        assert ci.deployed["canary"] == "1.4.2 and 1.5.0"


async def test_lists_show_a_run_later_than_its_number_does(began: Began, wait_until: WaitUntil) -> None:
    async with began(visible_after_seconds=0.05) as ci:
        run = start(ci)
        assert ci.run(run.number) is run
        assert run not in ci.listed()
        await wait_until(lambda: run in ci.listed())
        assert [shown.number for shown in ci.listed()] == [4, 3, 2, 1]
        assert ci.run(5) is None
        assert ci.run(0) is None


async def test_a_budget_is_used_up_and_begins_anew(began: Began, wait_until: WaitUntil) -> None:
    async with began(requests_per_minute=600, window_seconds=0.2) as ci:
        assert ci.request_limit == 2
        assert [ci.allowed(), ci.allowed()] == [0.0, 0.0]
        assert 0 < ci.allowed() <= 0.2
        assert (ci.requests_left, ci.refused) == (0, 1)
        await wait_until(lambda: ci.allowed() == 0.0)


async def test_as_many_answers_are_dropped_as_were_asked_for(began: Began) -> None:
    async with began(drop_starts=2) as ci:
        assert [ci.drops_answer() for _ in range(3)] == [True, True, False]


async def test_weather_that_cannot_be_changes_nothing(began: Began) -> None:
    async with began() as ci:
        with pytest.raises(ValueError, match="runners"):
            await ci.change_weather({"runners": -1, "job_seconds": 9})
        assert ci.settings.job_seconds == 0.05


async def test_a_restart_goes_on_with_what_was_begun_and_repeats_no_effect(
    began: Began, wait_until: WaitUntil, tmp_path: Path
) -> None:
    file = tmp_path / "ci.json"
    async with began(deployments_file=file, runners=1, job_seconds=30) as ci:
        first, second = start(ci, key="a"), start(ci, key="b", part="stable")
        await wait_until(lambda: first.state is RunState.RUNNING)
        assert second.state is RunState.QUEUED
    async with began(deployments_file=file) as ci:
        await wait_until(lambda: states(ci) == [RunState.SUCCESS] * 2)
        assert ci.effects == {"a": 1, "b": 1}
        assert ci.deployed == {"canary": "1.5.0", "stable": "1.5.0", "all": "1.4.2"}
        assert ci.runs[3].artifacts == {"version.txt": b"1.5.0\n"}


@pytest.mark.parametrize("face", ["gitlab"])
async def test_people_see_runs_and_change_the_weather(face: str) -> None:
    ci = Ci(settings_for(face, token="secret", runners=0))
    async with running(create_app(face, ci)) as url, httpx.AsyncClient(base_url=url) as client:
        start(ci)
        runs = (await client.get("/_ci/runs")).json()
        assert runs[3]["key"] == "run/stage/step"
        assert runs[0]["artifacts"] == {"version.txt": "1.4.2\n"}
        assert (await client.get("/_ci/deployed")).json()["canary"] == "1.4.2"
        assert (await client.get("/_ci/effects")).json() == {}
        changed = await client.post("/_ci/weather", json={"runners": 1, "failing_versions": ["9"]})
        assert changed.json()["runners"] == 1
        assert ci.settings.failing_versions == {"9"}
        assert "token" not in changed.json()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"token": "mine"}', "token: unknown; known are runners"),
        ('{"runners": -1}', "runners: input should be"),
        ("[]", "send a JSON object"),
        ("{", "send a JSON object"),
    ],
)
async def test_weather_that_is_not_understood_is_named(body: str, said: str) -> None:
    ci = Ci(settings_for("gitlab", token="secret"))
    before = ci.settings
    async with running(create_app("gitlab", ci)) as url, httpx.AsyncClient(base_url=url) as client:
        refused = await client.post("/_ci/weather", content=body)
    assert refused.status_code == 400
    assert refused.json()["error"].startswith(said)
    assert ci.settings == before


def test_every_face_has_names_for_both_pipelines() -> None:
    assert {face: len(set(names)) for face, names in FACES.items()} == dict.fromkeys(FACES, 2)


@asynccontextmanager
async def process(*arguments: str) -> AsyncGenerator[str]:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    command = [sys.executable, "-m", "holdfast.sim.ci", "gitlab", "--port", str(port), *arguments]
    ran = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(30), httpx.AsyncClient() as client:
            while True:
                with suppress(httpx.TransportError):
                    await client.get(f"{url}/healthz")
                    break
                await asyncio.sleep(0.05)
        yield url
    finally:
        ran.kill()
        await ran.wait()


async def test_a_killed_process_has_lost_nothing(tmp_path: Path) -> None:
    arguments = ["--state", str(tmp_path / "ci.json"), "--token", "secret", "--runners", "0"]
    variables = {"HOLDFAST_ACTION": "deploy", "HOLDFAST_PART": "canary", "HOLDFAST_KEY": "k"}
    body: dict[str, Any] = {"ref": "main", "variables": [{"key": k, "value": v} for k, v in variables.items()]}
    async with process(*arguments) as url, httpx.AsyncClient(headers={"PRIVATE-TOKEN": "secret"}) as client:
        created = await client.post(f"{url}/api/v4/projects/shop%2Fbot/pipeline", json=body)
        assert created.status_code == 201
    async with process(*arguments) as url, httpx.AsyncClient() as client:
        runs = json.loads((await client.get(f"{url}/_ci/runs")).content)
    assert [(run["key"], run["state"]) for run in runs[3:]] == [("k", "queued")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--runners", "-1"], "--runners"), (["--token", ""], "--token"), (["--state", "{file}"], "--state")],
)
async def test_a_command_line_that_cannot_be_is_refused_by_name(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    other = tmp_path / "other.json"
    other.write_text("[]")
    given = [argument.format(file=other) for argument in arguments]
    ran = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "holdfast.sim.ci",
        "gitlab",
        "--port",
        "0",
        *given,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await ran.communicate()
    assert ran.returncode == 1
    assert said in errors.decode()
    assert "Traceback" not in errors.decode()
    assert other.read_text() == "[]"
