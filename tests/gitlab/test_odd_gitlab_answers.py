"""What GitLab answers on bad days, and in projects that are not only ours."""

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from pydantic import HttpUrl

from holdfast.adapters.gitlab import GitLabPipelines
from holdfast.domain.errors import InvalidInput, Unavailable
from holdfast.ports.pipelines import RunStatus
from holdfast.runbook.systems import GitLabSystem, GitLabVersion
from holdfast.sim.ci.engine import Ci
from holdfast.sim.ci.server import create_app, settings_for
from holdfast.sim.serving import running
from tests.pipelines.contract import CI_TOKEN, KEY, NEW, OLD, SYSTEM, TOKEN, order, reveal


def pipelines_at(url: str, **changed: Any) -> GitLabPipelines:
    system = GitLabSystem.model_validate(
        {"kind": "gitlab", "url": HttpUrl(url), "token": TOKEN, "project": "shop/bot", **changed}
    )
    return GitLabPipelines({SYSTEM: system}, reveal, timeout=timedelta(seconds=2))


@dataclass
class Answers:
    """A GitLab that says what the test says, by the end of the path; the first that fits."""

    by_end: Mapping[str, web.Response | Any]
    asked: list[str] = field(default_factory=list[str])
    tokens: list[str] = field(default_factory=list[str])

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        self.tokens.append(request.headers.get("PRIVATE-TOKEN", ""))
        for end, answer in self.by_end.items():
            if request.path.endswith(end):
                if isinstance(answer, web.Response):
                    return web.Response(status=answer.status, text=answer.text, headers=answer.headers)
                return web.json_response(answer)
        return web.json_response({"message": "404 Not found"}, status=404)

    @asynccontextmanager
    async def served(self) -> AsyncGenerator[str]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        async with running(app) as url:
            yield url


def pipeline(number: int, status: str, *, source: str = "api") -> dict[str, Any]:
    url = f"https://gitlab.example/{number}"
    return {
        "id": number,
        "status": status,
        "source": source,
        "updated_at": "then",
        "web_url": url,
        "ref": "main",
    }


def job(number: int, name: str, status: str, *, started: bool = True) -> dict[str, Any]:
    return {"id": number, "name": name, "status": status, "started_at": "then" if started else None}


def old_deployment() -> dict[str, Any]:
    """Pipeline 1, which deployed the old version to the canary."""
    return {
        "/1/jobs": [job(11, "deploy-canary", "success")],
        "/jobs/11/artifacts/version.txt": web.Response(text=OLD),
    }


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("created", RunStatus.QUEUED),
        ("waiting_for_resource", RunStatus.QUEUED),
        ("preparing", RunStatus.QUEUED),
        ("pending", RunStatus.QUEUED),
        ("manual", RunStatus.QUEUED),
        ("scheduled", RunStatus.QUEUED),
        ("running", RunStatus.RUNNING),
        ("canceling", RunStatus.RUNNING),
        ("a word of a later version", RunStatus.RUNNING),
        ("success", RunStatus.SUCCEEDED),
        ("failed", RunStatus.FAILED),
        ("skipped", RunStatus.FAILED),
        ("canceled", RunStatus.CANCELLED),
    ],
)
async def test_every_word_of_gitlab_is_understood(word: str, status: RunStatus) -> None:
    answers = Answers({"/pipelines/5": pipeline(5, word), "/5/jobs": []})
    async with answers.served() as url:
        assert (await pipelines_at(url).look(order(), "5")).status is status


async def test_a_failed_job_is_named_with_its_reason() -> None:
    failed = {**job(51, "deploy-canary", "failed"), "failure_reason": "runner_system_failure"}
    answers = Answers({"/pipelines/5": pipeline(5, "failed"), "/5/jobs": [job(50, "build", "success"), failed]})
    async with answers.served() as url:
        run = await pipelines_at(url).look(order(), "5")
    assert run.said == "job deploy-canary failed: runner_system_failure"


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(status=502, text="<html>Bad gateway</html>"),
        web.Response(status=200, text="<html>Maintenance</html>"),
        web.Response(status=409, text='{"message":"409 Conflict: Resource lock"}'),
    ],
    ids=["proxy", "page", "lock"],
)
async def test_an_answer_that_is_none_is_unavailable(answer: web.Response) -> None:
    async with Answers({"/pipelines": answer}).served() as url:
        with pytest.raises(Unavailable, match=SYSTEM):
            await pipelines_at(url).find(order())


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"Retry-After": "7"}, 7, 7),
        # Later than any suite that computes it while its tests are collected.
        ({"RateLimit-Reset": str(int(time.time()) + 30_000)}, 20_000, 30_000),
        ({"RateLimit-Reset": "1"}, 1, 1),
    ],
)
async def test_gitlab_says_how_long_to_wait(headers: dict[str, str], least: float, most: float) -> None:
    answer = web.Response(status=429, text="Retry later\n", headers=headers)
    async with Answers({"/pipelines": answer}).served() as url:
        with pytest.raises(Unavailable) as refused:
            await pipelines_at(url).find(order())
    assert least <= (refused.value.retry_after_seconds or 0) <= most


async def test_a_redirect_is_refused_and_the_token_stays_here() -> None:
    elsewhere = Answers({"/pipelines": []})
    async with elsewhere.served() as other:
        moved = web.Response(status=302, headers={"Location": f"{other}/pipelines"})
        async with Answers({"/pipelines": moved}).served() as url:
            with pytest.raises(InvalidInput, match="'url'"):
                await pipelines_at(url).find(order())
    assert elsewhere.asked == []


async def test_a_token_that_gitlab_repeats_is_not_shown() -> None:
    answer = web.Response(status=400, text=f'{{"message":"no good: {CI_TOKEN}"}}')
    answers = Answers({"/pipeline": answer})
    async with answers.served() as url:
        with pytest.raises(InvalidInput, match=r"no good: \*\*\*") as refused:
            await pipelines_at(url).start(order())
    assert answers.tokens == [CI_TOKEN]
    assert CI_TOKEN not in str(refused.value)


async def test_a_token_without_the_right_to_start_is_named() -> None:
    answers = Answers({"/pipeline": web.Response(status=403, text='{"message":"403 Forbidden"}')})
    async with answers.served() as url:
        with pytest.raises(InvalidInput, match=r"403 Forbidden.*'token'.*scope 'api'"):
            await pipelines_at(url).start(order())


async def test_a_missing_project_is_named() -> None:
    ci = Ci(settings_for("gitlab", token=CI_TOKEN))
    async with running(create_app("gitlab", ci)) as url:
        with pytest.raises(InvalidInput, match=r"404 Project Not Found.*'project' \(shop/bots\)"):
            await pipelines_at(url, project="shop/bots").deployed(SYSTEM, "canary")
        assert (await pipelines_at(url, project="42").deployed(SYSTEM, "canary")).version == OLD


async def test_somebody_elses_pipeline_whose_variables_are_hidden_is_passed_over() -> None:
    hidden = web.Response(status=403, text='{"message":"403 Forbidden"}')
    ours = [{"key": "HOLDFAST_KEY", "value": KEY}]
    answers = Answers(
        {
            "/pipelines": [pipeline(9, "running"), pipeline(8, "running")],
            "/9/variables": hidden,
            "/8/variables": ours,
        }
    )
    async with answers.served() as url:
        found = await pipelines_at(url).find(order())
    assert found is not None
    assert found.id == "8"


async def test_variables_are_read_once_and_pages_are_followed() -> None:
    ci = Ci(settings_for("gitlab", token=CI_TOKEN, runners=0))
    async with running(create_app("gitlab", ci)) as url:
        pipelines = pipelines_at(url)
        first = await pipelines.start(order())
        for number in range(120):
            start = order(key=f"other/{number}")
            variables = {"HOLDFAST_KEY": start.key, "HOLDFAST_PART": "all"}
            ci.start(
                name="deploy",
                action="deploy",
                part="all",
                version=NEW,
                key=start.key,
                ref="main",
                parameters=variables,
            )
        found = await pipelines.find(order())
        assert found is not None
        assert found.id == first.id
        asked = ci.request_limit - ci.requests_left
        await pipelines.find(order())
        assert ci.request_limit - ci.requests_left - asked == 2  # the two pages of the list


async def test_a_persons_failed_pipeline_leaves_the_part_in_doubt_under_its_address() -> None:
    answers = Answers(
        {
            "/pipelines": [pipeline(2, "failed", source="web"), pipeline(1, "success", source="push")],
            "/2/jobs": [job(21, "deploy-canary", "failed")],
            **old_deployment(),
        }
    )
    async with answers.served() as url:
        there = await pipelines_at(url).deployed(SYSTEM, "canary")
    assert (there.version, there.unsettled) == (OLD, "https://gitlab.example/2")
    assert there.doubt.startswith("pipeline 2 is 'failed' (job deploy-canary failed")


@pytest.mark.parametrize(
    ("status", "deploying"),
    [
        ("manual", job(21, "deploy-canary", "manual", started=False)),
        ("failed", job(21, "deploy-canary", "skipped", started=False)),
        ("canceled", job(21, "deploy-canary", "canceled", started=False)),
        ("failed", job(21, "test", "failed")),
        ("success", job(21, "deploy-canary", "manual", started=False)),
        ("running", job(21, "deploy-stable", "running")),
    ],
    ids=["waits for a person", "build failed", "cancelled before", "other job", "never played", "other part"],
)
async def test_a_pipeline_that_never_touched_the_part_leaves_no_doubt(
    status: str, deploying: dict[str, Any]
) -> None:
    answers = Answers(
        {
            "/pipelines": [pipeline(2, status, source="push"), pipeline(1, "success", source="push")],
            "/2/jobs": [deploying],
            **old_deployment(),
        }
    )
    async with answers.served() as url:
        there = await pipelines_at(url).deployed(SYSTEM, "canary")
    assert (there.version, there.unsettled) == (OLD, "")


async def test_a_pipeline_of_ours_without_any_known_job_is_in_doubt_until_it_succeeds() -> None:
    ours = [{"key": "HOLDFAST_KEY", "value": KEY}, {"key": "HOLDFAST_PART", "value": "canary"}]
    answers = Answers(
        {
            "/pipelines": [pipeline(2, "failed"), pipeline(1, "success", source="push")],
            "/2/jobs": [job(21, "prepare", "failed")],
            "/2/variables": ours,
            **old_deployment(),
        }
    )
    async with answers.served() as url:
        assert (await pipelines_at(url).deployed(SYSTEM, "canary")).unsettled == KEY


async def test_nothing_deployed_is_no_version() -> None:
    async with Answers({"/pipelines": []}).served() as url:
        assert (await pipelines_at(url).deployed(SYSTEM, "canary")).version == ""


async def test_an_artefact_that_expired_names_the_job_and_the_remedy() -> None:
    answers = Answers(
        {"/pipelines": [pipeline(1, "success")], "/1/jobs": [job(11, "deploy-canary", "success")]}
    )
    async with answers.served() as url:
        with pytest.raises(InvalidInput, match=r"deploy-canary \(11\).*'version\.txt'.*expire_in"):
            await pipelines_at(url).deployed(SYSTEM, "canary")


async def test_jobs_and_artefacts_may_have_other_names() -> None:
    answers = Answers(
        {
            "/pipelines": [pipeline(1, "success")],
            "/1/jobs": [job(11, "release canary", "success")],
            "/jobs/11/artifacts/out/canary.txt": web.Response(text="2.0.0\n"),
        }
    )
    version = GitLabVersion(jobs=("release {part}",), artifact="out/{part}.txt")
    async with answers.served() as url:
        assert (await pipelines_at(url, version=version).deployed(SYSTEM, "canary")).version == "2.0.0"


async def test_the_runbooks_parameters_go_along_and_cannot_replace_ours() -> None:
    ci = Ci(settings_for("gitlab", token=CI_TOKEN, runners=0))
    async with running(create_app("gitlab", ci)) as url:
        given = {"REGION": "eu", "HOLDFAST_KEY": "another"}
        await pipelines_at(url).start(order().model_copy(update={"parameters": given}))
    assert ci.runs[-1].parameters == {
        "REGION": "eu",
        "HOLDFAST_ACTION": "deploy",
        "HOLDFAST_PART": "canary",
        "HOLDFAST_VERSION": NEW,
        "HOLDFAST_KEY": KEY,
    }
