"""What `JenkinsPipelines` makes of a Jenkins, or its proxy, that answers oddly; canned answers, real HTTP."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from aiohttp import web

from holdfast.adapters.jenkins import JenkinsPipelines
from holdfast.domain.errors import InvalidInput, Unavailable
from holdfast.ports.pipelines import PipelineRun, RunStatus
from holdfast.runbook.systems import JenkinsSystem
from holdfast.sim.serving import running
from tests.pipelines.contract import CI_TOKEN, KEY, SYSTEM, TOKEN, order, reveal

JOB = "/job/shop/job/deploy"
Answer = Callable[[web.Request], web.StreamResponse]
DECLARED: dict[str, Any] = {
    "buildable": True,
    "property": [
        {},
        None,
        {"parameterDefinitions": [{"name": name} for name in ("PART", "VERSION", "HOLDFAST_KEY")]},
    ],
}


@dataclass
class Canned:
    """Answers by method and path, `*` for all others; remembers what was asked."""

    answers: dict[str, Answer]
    asked: list[str] = field(default_factory=list[str])
    authorized: list[str] = field(default_factory=list[str])

    async def handle(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        asked = f"{request.method} {request.path}"
        self.asked.append(asked)
        if "Authorization" in request.headers:
            self.authorized.append(asked)
        answer = self.answers.get(asked, self.answers.get("*", not_found))
        return answer(request)


def not_found(_: web.Request) -> web.Response:
    return web.Response(status=404, text="<html><body>Not Found</body></html>", content_type="text/html")


def says(status: int = 200, text: str = "", **headers: str) -> Answer:
    kept = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: web.Response(status=status, text=text, headers=kept)


def shows(shape: Any) -> Answer:
    return lambda _: web.json_response(shape)


@asynccontextmanager
async def serving(
    answers: dict[str, Answer],
) -> AsyncGenerator[tuple[str, Canned]]:
    canned = Canned(answers)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", canned.handle)
    async with running(app) as url:
        yield url, canned


def pipelines(url: str, **changed: Any) -> JenkinsPipelines:
    fields = {"kind": "jenkins", "user": "holdfast", "deploy": "shop/deploy", "rollback": "shop/rollback"}
    system = JenkinsSystem.model_validate({"url": url, "token": TOKEN, **fields, **changed})
    return JenkinsPipelines({SYSTEM: system}, reveal, timeout=timedelta(seconds=1))


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (200, "<html><title>Welcome</title></html>", Unavailable, "did not answer with its queue"),
        (200, '{"items": [{"why": "no id"}]}', Unavailable, "did not answer with its queue"),
        (200, '{"items": [', Unavailable, "did not answer with its queue"),
        (401, "Invalid password/token", InvalidInput, "does not know user 'holdfast' with this token"),
        (403, "holdfast is missing the Overall/Read permission", InvalidInput, "Overall/Read permission"),
        (404, "<html><p>Not Found</p></html>", InvalidInput, "has no queue"),
        (408, "", Unavailable, "HTTP 408"),
        (418, "teapot " * 200, InvalidInput, "teapot"),
        (429, "", Unavailable, "HTTP 429"),
        (500, "<table><tr><th>MESSAGE:</th><td>a &lt;b&gt;</td></tr></table>", Unavailable, "HTTP 500: a <b>"),
        (502, "<html><head><title>no</title></head><h1>Bad Gateway</h1></html>", Unavailable, ": Bad Gateway"),
        (503, "Please wait while Jenkins is getting ready to work", Unavailable, "getting ready to work"),
    ],
)
async def test_every_answer_has_its_error_in_plain_words(
    status: int, body: str, error: type[Exception], words: str
) -> None:
    async with serving({"*": says(status, body)}) as (url, _):
        with pytest.raises(error, match=f"Jenkins '{SYSTEM}'") as caught:
            await pipelines(url).find(order())

    assert words in str(caught.value)
    assert len(str(caught.value)) < 600
    assert CI_TOKEN not in str(caught.value)


async def test_the_time_to_wait_is_taken_from_seconds_and_from_dates() -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    for given, least, most in (("7", 7, 7), (at, 60, 90), ("soon", None, None)):
        async with serving({"*": says(503, Retry_After=given)}) as (url, _):
            with pytest.raises(Unavailable) as caught:
                await pipelines(url).find(order())
        waits = caught.value.retry_after_seconds
        assert (waits is None) == (least is None)
        assert waits is None or (least or 0) <= waits <= (most or 0)


async def test_a_jenkins_that_takes_too_long_is_unavailable() -> None:
    async def sleeps(_: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    app = web.Application()
    app.router.add_get("/{path:.*}", sleeps)
    async with running(app, notice_disconnects=True) as url:
        with pytest.raises(Unavailable, match="did not answer in 1 s"):
            await pipelines(url).find(order())


async def test_credentials_do_not_follow_a_redirect() -> None:
    async with serving({"*": shows({})}) as (elsewhere, other):
        moved = says(302, Location=f"{elsewhere}/queue/api/json")
        async with serving({"*": moved}) as (url, _):
            with pytest.raises(
                InvalidInput, match=r"elsewhere, to 127\.0\.0\.1:\d+ \(HTTP 302\): give in 'url'"
            ):
                await pipelines(url).find(order())
    assert other.asked == []


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("url", "https://me:secret@ci.example", "take the user out of it"),
        ("deploy", "shop//deploy", "'deploy' of Jenkins 'shop-ci'"),
        ("rollback", "../deploy", "'rollback' of Jenkins 'shop-ci'"),
        ("artifact", "a/../../b", "'artifact' of Jenkins 'shop-ci'"),
        ("deploy", "queue", "put it in a folder"),
    ],
)
def test_what_cannot_be_right_is_refused_at_once(field: str, value: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        pipelines(**{"url": "http://ci.example", field: value})

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("setup", "words"),
    [
        ({"buildable": True, "property": []}, "does not take PART, VERSION, HOLDFAST_KEY: declare PART"),
        ({"property": [{"parameterDefinitions": [{"name": "PART"}]}]}, "does not take VERSION, HOLDFAST_KEY"),
        ({**DECLARED, "buildable": False}, "is disabled: enable it"),
    ],
)
async def test_a_job_that_could_not_be_found_again_is_never_started(setup: dict[str, Any], words: str) -> None:
    async with serving({f"GET {JOB}/api/json": shows(setup)}) as (url, canned):
        with pytest.raises(InvalidInput, match=words):
            await pipelines(url).start(order())

    assert canned.asked == [f"GET {JOB}/api/json"]


@pytest.mark.parametrize("parameters", [{"REGION": "eu"}, {"PART": "stable"}])
async def test_parameters_that_do_not_arrive_as_they_are_given_are_refused(parameters: dict[str, str]) -> None:
    async with serving({f"GET {JOB}/api/json": shows(DECLARED)}) as (url, canned):
        with pytest.raises(InvalidInput, match=next(iter(parameters))):
            await pipelines(url).start(order().model_copy(update={"parameters": parameters}))

    assert not [asked for asked in canned.asked if asked.startswith("POST")]


def start_answers(answer: Answer) -> Any:
    return {f"GET {JOB}/api/json": shows(DECLARED), f"POST {JOB}/buildWithParameters": answer}


@pytest.mark.parametrize("answer", [says(201), says(201, Location="somewhere"), says(302, Location=f"{JOB}/")])
async def test_a_start_that_does_not_say_which_run_it_became_is_taken(answer: Answer) -> None:
    async with serving(start_answers(answer)) as (url, _):
        assert await pipelines(url).start(order()) is None


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (says(302, Location="/securityRealm/commenceLogin"), InvalidInput, "elsewhere"),
        (says(302, Location="https://sso.example/"), InvalidInput, r"elsewhere, to sso\.example"),
        (says(302, Location="http://["), InvalidInput, "elsewhere, to nowhere"),
        (says(308, Location=f"https://127.0.0.1{JOB}/buildWithParameters"), InvalidInput, "elsewhere"),
        (says(400, "Illegal choice for parameter PART"), InvalidInput, "Illegal choice"),
        (says(403, "is missing the Job/Build permission"), InvalidInput, "Job/Build permission"),
        (says(409, "shop/deploy is not buildable"), InvalidInput, "is not buildable"),
        (says(500, "oops"), Unavailable, "oops"),
    ],
)
async def test_a_start_that_jenkins_did_not_take_is_an_error(
    answer: Answer, error: type[Exception], words: str
) -> None:
    async with serving(start_answers(answer)) as (url, _):
        with pytest.raises(error, match=words):
            await pipelines(url).start(order())


async def test_a_crumb_is_fetched_and_sent_with_its_session_where_jenkins_wants_one() -> None:
    def start(request: web.Request) -> web.Response:
        if request.headers.get("Jenkins-Crumb") != "c1" or request.cookies.get("JSESSIONID") != "s1":
            return web.Response(status=403, text="HTTP ERROR 403 No valid crumb was included in the request")
        return web.Response(status=201, headers={"Location": "/queue/item/12/"})

    def crumb(_: web.Request) -> web.Response:
        answer = web.json_response({"crumb": "c1", "crumbRequestField": "Jenkins-Crumb"})
        answer.set_cookie("JSESSIONID", "s1")
        return answer

    answers: dict[str, Answer] = {**start_answers(start), "GET /crumbIssuer/api/json": crumb}
    async with serving(answers) as (url, canned):
        run = await pipelines(url).start(order())

    assert run is not None
    assert run.id == "queue/12"
    assert canned.asked.count(f"POST {JOB}/buildWithParameters") == 2


async def test_no_crumb_is_an_error_that_names_it() -> None:
    refused = says(403, "No valid crumb was included in the request")
    async with serving(start_answers(refused)) as (url, _):
        with pytest.raises(InvalidInput, match="has no crumb against forged requests"):
            await pipelines(url).start(order())


async def looked(build: dict[str, Any], console: Answer) -> PipelineRun:
    shape = {"number": 45, "url": "https://ci.example/45/", **build}
    answers = {f"GET {JOB}/45/api/json": shows(shape), f"GET {JOB}/45/consoleText": console}
    async with serving(answers) as (url, _):
        return await pipelines(url).look(order(), "shop/deploy/45")


@pytest.mark.parametrize(
    ("build", "status", "said"),
    [
        ({"building": True, "result": None}, RunStatus.RUNNING, ""),
        ({"building": True, "result": "FAILURE"}, RunStatus.RUNNING, ""),
        ({"building": False, "result": None}, RunStatus.RUNNING, ""),
        ({"building": False, "result": "SUCCESS"}, RunStatus.SUCCEEDED, ""),
        (
            {"building": False, "result": "UNSTABLE"},
            RunStatus.FAILED,
            "UNSTABLE, which counts as failed: exit 1",
        ),
        ({"building": False, "result": "ABORTED"}, RunStatus.CANCELLED, "ended with ABORTED: exit 1"),
        ({"building": False, "result": "NOT_BUILT"}, RunStatus.FAILED, "ended with NOT_BUILT: exit 1"),
        ({"building": False, "result": "WEIRD"}, RunStatus.FAILED, "ended with WEIRD: exit 1"),
    ],
)
async def test_every_result_has_its_status_and_what_is_not_well_is_said(
    build: dict[str, Any], status: RunStatus, said: str
) -> None:
    run = await looked(build, says(200, "exit 1\nFinished: x\n"))

    assert run.status is status
    assert run.url == "https://ci.example/45/"
    assert run.said.endswith(said)
    assert bool(run.said) == bool(said)


@pytest.mark.parametrize(
    ("console", "ends_with"),
    [
        (says(200, "a\n\x1b[31mERROR: no\x1b[0m\n[Pipeline] }\n\nFinished: FAILURE\n"), "FAILURE: ERROR: no"),
        (says(200, "no\nBuild step 'Execute shell' marked build as failure\nFinished: FAILURE\n"), ": no"),
        (says(200, "x" * 5000 + "\nFinished: FAILURE"), "FAILURE: " + "x" * 200 + "…"),
        (says(200, "Finished: FAILURE\n"), "ended with FAILURE"),
        (says(200, "exit 1\n" * 400_000), "ended with FAILURE"),
        (says(503, "busy"), "ended with FAILURE"),
    ],
)
async def test_of_a_console_only_the_last_line_that_tells_something_is_said(
    console: Answer, ends_with: str
) -> None:
    run = await looked({"building": False, "result": "FAILURE"}, console)

    assert run.status is RunStatus.FAILED
    assert run.said.endswith(ends_with)


async def test_a_run_id_that_is_no_run_of_these_jobs_is_refused() -> None:
    for run_id in ("shop/other/4", "shop/deploy/x", "queue/x", ""):
        with pytest.raises(InvalidInput, match="is no run of the jobs of Jenkins 'shop-ci'"):
            await pipelines("http://127.0.0.1:1").look(order(), run_id)


def deployed_answers(build: dict[str, Any], **more: Any) -> Any:
    parameters = [{"parameters": [{"name": "PART", "value": "canary"}]}, {}, None]
    shape = {"number": 45, "building": False, "result": "SUCCESS", "actions": parameters, **build}
    return {
        "GET /queue/api/json": shows({"items": []}),
        f"GET {JOB}/api/json": shows({"allBuilds": [shape]}),
        "GET /job/shop/job/rollback/api/json": shows({"allBuilds": []}),
        **more,
    }


async def test_an_artefact_in_a_store_elsewhere_is_fetched_without_our_credentials() -> None:
    async with serving({"*": says(200, "1.5.0\n")}) as (elsewhere, store):
        away = says(302, Location=f"{elsewhere}/signed?x=1")
        answers = deployed_answers({}, **{f"GET {JOB}/45/artifact/version.txt": away})
        async with serving(answers) as (url, canned):
            there = await pipelines(url).deployed(SYSTEM, "canary")

    assert (there.version, there.unsettled) == ("1.5.0", "")
    assert store.asked == ["GET /signed"]
    assert store.authorized == []
    assert canned.authorized == canned.asked


@pytest.mark.parametrize(
    ("artifact", "words"),
    [
        (not_found, "has no file 'version.txt' among the artefacts of build 45 of job 'shop/deploy'"),
        (says(200, ""), "does not hold a version and nothing else"),
        (says(200, "1.5.0\nand more\n"), "does not hold a version and nothing else"),
        (says(200, "1" * 5000), "does not hold a version and nothing else"),
    ],
)
async def test_an_artefact_that_is_no_version_is_an_error(artifact: Answer, words: str) -> None:
    answers = deployed_answers({}, **{f"GET {JOB}/45/artifact/version.txt": artifact})
    async with serving(answers) as (url, _):
        with pytest.raises(InvalidInput, match=words):
            await pipelines(url).deployed(SYSTEM, "canary")


async def test_a_part_that_was_never_deployed_has_no_version() -> None:
    async with serving(deployed_answers({})) as (url, _):
        there = await pipelines(url).deployed(SYSTEM, "stable")

    assert (there.version, there.unsettled, there.doubt) == ("", "", "")


async def test_what_somebody_else_has_begun_is_named_by_its_address() -> None:
    build = {"result": "FAILURE", "url": "https://ci.example/job/shop/job/deploy/45/"}
    async with serving(deployed_answers(build)) as (url, _):
        built = await pipelines(url).deployed(SYSTEM, "canary")
    item = {
        "id": 7,
        "task": {"url": "https://elsewhere.example/ci/job/shop/job/rollback/"},
        "actions": [{"parameters": [{"name": "PART", "value": "canary"}]}],
    }
    placeholder = {"id": 8, "task": {"url": "https://ci.example/job/shop/job/deploy/45/"}}
    waiting = {"GET /queue/api/json": shows({"items": [placeholder, item]})}
    async with serving(deployed_answers({"result": "FAILURE"}, **waiting)) as (url, _):
        queued = await pipelines(url).deployed(SYSTEM, "canary")

    assert (built.version, built.unsettled) == ("", build["url"])
    assert built.doubt == "build 45 of job 'shop/deploy' ended with FAILURE"
    assert queued.unsettled.endswith("/queue/item/7/")
    assert queued.doubt == "queue item 7 waits"


@pytest.mark.parametrize("status", [200, 204, 302, 404])
async def test_a_cancellation_reaches_the_build_of_an_item_that_has_just_left_the_queue(status: int) -> None:
    left = {"id": 7, "cancelled": False, "executable": {"number": 45}}
    answers = {
        "POST /queue/cancelItem": says(status, Location="/"),
        "GET /queue/item/7/api/json": shows(left),
        f"GET {JOB}/45/api/json": shows({"number": 45, "building": True}),
        f"POST {JOB}/45/stop": says(302, Location="/"),
    }
    async with serving(answers) as (url, canned):
        await pipelines(url).cancel(order(), "queue/7")

    assert canned.asked[-1] == f"POST {JOB}/45/stop"


async def test_a_cancellation_that_jenkins_refuses_is_an_error() -> None:
    answers = {
        "POST /queue/cancelItem": says(422, "Item for id (7) is not cancellable"),
        "GET /queue/item/7/api/json": shows({"id": 7, "why": "waits"}),
        f"POST {JOB}/45/stop": says(403, "holdfast is missing the Job/Cancel permission"),
    }
    async with serving(answers) as (url, _):
        with pytest.raises(InvalidInput, match="is not cancellable"):
            await pipelines(url).cancel(order(), "queue/7")
        with pytest.raises(InvalidInput, match="Job/Cancel permission"):
            await pipelines(url).cancel(order(), "shop/deploy/45")


async def test_the_oldest_build_with_a_key_is_found_among_odd_actions() -> None:
    def build(number: int, key: Any) -> dict[str, Any]:
        return {"number": number, "building": True, "actions": [None, {}, {"parameters": [key]}]}

    ours, longer = {"name": "HOLDFAST_KEY", "value": KEY}, {"name": "HOLDFAST_KEY", "value": f"{KEY}/undo"}
    builds = [build(10, ours), build(9, {"name": "HOLDFAST_KEY"}), build(8, ours), build(7, longer)]
    answers = {
        "GET /queue/api/json": shows({"items": []}),
        f"GET {JOB}/api/json": shows({"allBuilds": builds}),
    }
    async with serving(answers) as (url, _):
        found = await pipelines(url).find(order())

    assert found is not None
    assert found.id == "shop/deploy/8"
