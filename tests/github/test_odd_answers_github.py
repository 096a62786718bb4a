"""What the adapter makes of answers that GitHub's documentation does not promise, or that a proxy gives."""

import io
import zipfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from holdfast.adapters.github import GitHubPipelines
from holdfast.domain.errors import InvalidInput, Unavailable
from holdfast.ports.pipelines import Action, PipelineOrder, RunStatus
from holdfast.runbook.systems import GitHubSystem, Secret
from holdfast.sim.serving import running

SECRET = "github_pat_that_nobody_may_see"
KEY = "rollout-4f7qk2mz/fix/shop-ci-canary"
ORDER = PipelineOrder(system="shop-ci", action=Action.DEPLOY, part="canary", version="1.5.0", key=KEY)
RUNS = "/actions/workflows/deploy.yml/runs"
ROLLBACKS = "/actions/workflows/rollback.yml/runs"
DISPATCHES = "/actions/workflows/deploy.yml/dispatches"
NOW = datetime.now(UTC)

Answers = dict[str, Callable[[], web.Response]]


def said(body: object, status: int = 200, **headers: str) -> Callable[[], web.Response]:
    """An answer in JSON."""
    return lambda: web.json_response(body, status=status, headers=headers)


def typed(body: str | bytes, status: int = 200, **headers: str) -> Callable[[], web.Response]:
    """An answer as it is written here."""
    content = body.encode() if isinstance(body, str) else body
    return lambda: web.Response(body=content, status=status, headers=headers)


def in_turn(*answers: Callable[[], web.Response]) -> Callable[[], web.Response]:
    """One answer after the other, for one request each."""
    left = iter(answers)

    def answer() -> web.Response:
        return next(left)()

    return answer


def a_run(number: int, title: str, **fields: object) -> dict[str, object]:
    ended = {"status": "completed", "conclusion": "success", "event": "workflow_dispatch"}
    made = {"created_at": (NOW - timedelta(hours=100 - number)).isoformat()}
    shown = {"display_title": title, "html_url": f"https://github.com/shop/bot/actions/runs/{number}"}
    return {"id": number, "run_number": number, **ended, **made, **shown, **fields}


def runs(*listed: dict[str, object]) -> Callable[[], web.Response]:
    return said({"total_count": len(listed), "workflow_runs": sorted(listed, key=str, reverse=True)})


def artifacts(name: str = "version-canary", number: int = 1, **fields: object) -> Callable[[], web.Response]:
    return said({"total_count": 1, "artifacts": [{"id": number, "name": name, **fields}]})


def jobs(conclusion: str) -> Callable[[], web.Response]:
    steps = [{"name": "Set up job", "conclusion": "success"}, {"name": "Ship", "conclusion": conclusion}]
    return said({"jobs": [{"name": "ship", "conclusion": conclusion, "steps": steps}]})


def zipped(**files: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in files.items():
            # An entry without a date of its own carries the clock's: these bytes would differ each two seconds.
            archive.writestr(zipfile.ZipInfo(name.replace("_", ".")), content)
    return held.getvalue()


def deployed(version: str) -> Answers:
    """A successful run 7 with this version in its artefact."""
    return {
        RUNS: runs(a_run(7, f"deploy canary {version} {KEY}")),
        ROLLBACKS: runs(),
        "/actions/runs/7/artifacts": artifacts(),
        "/actions/artifacts/1/zip": typed(zipped(version_txt=f"{version}\n")),
    }


class Asked(list[tuple[str, str, Any]]):
    """Requests as method, path below the repository, and body."""


@asynccontextmanager
async def answering(answers: Answers, token: str = SECRET) -> AsyncGenerator[tuple[GitHubPipelines, Asked]]:
    """Serve these answers by path; yields the adapter and what it asks."""
    asked = Asked()

    async def handle(request: web.Request) -> web.Response:
        path = request.path.removeprefix("/repos/shop/bot")
        asked.append((request.method, path, await request.json() if request.can_read_body else None))
        return answers.get(path, said({"message": "Not Found"}, 404))()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with running(app) as url:
        system = GitHubSystem.model_validate(
            {"kind": "github", "url": url, "repository": "shop/bot", "token": Secret(env="T")}
        )
        yield (
            GitHubPipelines({"shop-ci": system}, lambda _: token, timeout=timedelta(seconds=2)),
            asked,
        )


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (typed("<html>sign in</html>"), "cannot be read: <html>sign in</html>"),
        (typed("<html>blocked</html>", 403), "has trouble: HTTP 403: <html>blocked</html>"),
        (typed('{"workflow_runs": [{"id": 1, "stat'), "cannot be read"),
        (said({"workflow_runs": [{"id": "x"}]}), "cannot be read"),
        (said([1, 2]), "cannot be read"),
        (said({"message": "Server Error"}, 500), "has trouble: HTTP 500: Server Error"),
        (typed("oops " * 500, 502), "has trouble: HTTP 502: oops"),
    ],
)
async def test_an_answer_that_is_not_githubs_is_no_answer(
    answer: Callable[[], web.Response], words: str
) -> None:
    async with answering({RUNS: answer}) as (pipelines, _):
        with pytest.raises(Unavailable) as caught:
            await pipelines.find(ORDER)

    assert words in str(caught.value)
    assert len(str(caught.value)) < 450


@pytest.mark.parametrize(
    ("answer", "error", "wait_seconds"),
    [
        (said({"message": "You have exceeded a secondary rate limit"}, 403), Unavailable, 60),
        (said({"message": "slow down"}, 403, **{"Retry-After": "17"}), Unavailable, 17),
        (said({"message": "slow down"}, 429, **{"Retry-After": "9"}), Unavailable, 9),
        (said({"message": "slow down"}, 429), Unavailable, 60),
        (typed("", 503, **{"Retry-After": "5"}), Unavailable, 5),
        (typed("", 503), Unavailable, None),
    ],
)
async def test_a_limit_tells_how_long_it_lasts(
    answer: Callable[[], web.Response], error: type[Unavailable], wait_seconds: float | None
) -> None:
    async with answering({RUNS: answer}) as (pipelines, _):
        with pytest.raises(error) as caught:
            await pipelines.find(ORDER)

    assert caught.value.retry_after_seconds == wait_seconds


async def test_the_reset_of_a_limit_is_counted_by_githubs_own_clock() -> None:
    there = datetime(2031, 5, 1, 12, 0, 0, tzinfo=UTC)
    limited = said(
        {"message": "API rate limit exceeded for user ID 1."},
        403,
        **{
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": str(int(there.timestamp()) + 90),
            "Date": "Thu, 01 May 2031 12:00:00 GMT",
        },
    )
    async with answering({RUNS: limited}) as (pipelines, _):
        with pytest.raises(Unavailable, match="used up for 90 s") as caught:
            await pipelines.find(ORDER)

    assert caught.value.retry_after_seconds == 90


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (said({"message": "Bad credentials"}, 401), "correct its 'token'"),
        (said({"message": "Resource not accessible by personal access token"}, 403), "permission Actions"),
        (said({"message": "Moved Permanently"}, 301, Location="/repositories/1"), "the repository was moved"),
        (said({"message": "Validation Failed", "errors": ["no such"]}, 422), "no such"),
    ],
)
async def test_a_refusal_comes_in_githubs_words_with_a_remedy(
    answer: Callable[[], web.Response], words: str
) -> None:
    async with answering({RUNS: answer}) as (pipelines, _):
        with pytest.raises(InvalidInput) as caught:
            await pipelines.find(ORDER)

    assert "pipeline 'shop-ci'" in str(caught.value)
    assert words in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("token", ["", "  ", f"{SECRET}\nsecond line", f"{SECRET} and more", f"{SECRET}ä"])
async def test_a_token_that_cannot_be_one_is_refused_and_never_shown_or_sent(token: str) -> None:
    async with answering({}, token) as (pipelines, asked):
        with pytest.raises(InvalidInput, match="its 'token' is empty or has signs") as caught:
            await pipelines.find(ORDER)

    assert asked == []
    assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"


async def test_a_server_that_does_not_know_run_details_is_asked_without_and_starts_once() -> None:
    refused = said({"message": 'Invalid request.\n\n"return_run_details" is not a permitted key.'}, 422)
    async with answering({DISPATCHES: in_turn(refused, typed("", 204))}) as (pipelines, asked):
        assert await pipelines.start(ORDER) is None

    bodies = [body for _, _, body in asked]
    inputs = {"part": "canary", "version": "1.5.0", "holdfast_key": KEY}
    assert bodies == [
        {"ref": "main", "inputs": inputs, "return_run_details": True},
        {"ref": "main", "inputs": inputs},
    ]


@pytest.mark.parametrize("answer", [typed("<html>ok</html>"), typed('{"workflow_run_'), typed("", 504)])
async def test_a_start_without_a_readable_answer_may_have_started(answer: Callable[[], web.Response]) -> None:
    async with answering({DISPATCHES: answer}) as (pipelines, asked):
        with pytest.raises(Unavailable):
            await pipelines.start(ORDER)

    assert len(asked) == 1


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (zipped(other_txt="1.5.0"), InvalidInput, "no file 'version.txt' in it, but other.txt"),
        (zipped(), InvalidInput, "no file 'version.txt' in it, but nothing"),
        (zipped(version_txt=""), InvalidInput, "does not hold a version"),
        (zipped(version_txt="1.5.0\n1.6.0"), InvalidInput, "does not hold a version"),
        (zipped(version_txt="1" * 5000), InvalidInput, "does not hold a version"),
        (zipped(version_txt="1.5.0" * 9)[:40], Unavailable, "no whole zip file"),
        (b"<html>sign in</html>", Unavailable, "no whole zip file"),
    ],
    ids=["another file", "no file", "an empty file", "two lines", "a long line", "half an archive", "a page"],
)
async def test_an_artefact_without_a_version_is_an_error_that_names_it(
    content: bytes, error: type[Exception], words: str
) -> None:
    answers = {**deployed("1.5.0"), "/actions/artifacts/1/zip": typed(content)}
    async with answering(answers) as (pipelines, _):
        with pytest.raises(error) as caught:
            await pipelines.deployed("shop-ci", "canary")

    assert words in str(caught.value)
    assert "'version-canary' of https://github.com/shop/bot/actions/runs/7" in str(caught.value)


@pytest.mark.parametrize(
    "expired",
    [
        {"/actions/runs/7/artifacts": artifacts(expired=True)},
        {"/actions/artifacts/1/zip": said({"message": "Artifact has expired"}, 410)},
    ],
)
async def test_an_expired_artefact_is_an_error_with_a_remedy(expired: Answers) -> None:
    async with answering({**deployed("1.5.0"), **expired}) as (pipelines, _):
        with pytest.raises(InvalidInput, match=r"expired.*run the workflow again.*'retention-days'"):
            await pipelines.deployed("shop-ci", "canary")


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("/storage?sig=s1gned", "its storage says HTTP 404"),
        ("http://127.0.0.1:1/storage?sig=s1gned", "ConnectError at its storage"),
        ("ftp://elsewhere/storage?sig=s1gned", "at its storage"),
    ],
)
async def test_a_storage_that_does_not_answer_is_unavailable_and_its_address_is_not_shown(
    location: str, words: str
) -> None:
    redirect = typed("", 302, Location=location)
    async with answering({**deployed("1.5.0"), "/actions/artifacts/1/zip": redirect}) as (pipelines, _):
        with pytest.raises(Unavailable) as caught:
            await pipelines.deployed("shop-ci", "canary")

    assert words in str(caught.value)
    assert "s1gned" not in f"{caught.value!r} {caught.value.__cause__!r}"


async def test_a_version_that_nobody_ever_deployed_is_empty() -> None:
    async with answering({RUNS: runs(), ROLLBACKS: runs()}) as (pipelines, _):
        there = await pipelines.deployed("shop-ci", "canary")

    assert (there.version, there.unsettled, there.doubt) == ("", "", "")


async def test_an_old_run_that_was_run_again_is_the_newest_deployment() -> None:
    again = a_run(3, f"deploy canary 1.4.0 {KEY}", run_started_at=NOW.isoformat())
    answers = deployed("1.5.0")
    answers[RUNS] = runs(a_run(7, f"deploy canary 1.5.0 {KEY}"), again)
    answers["/actions/runs/3/artifacts"] = artifacts(number=2)
    answers["/actions/artifacts/2/zip"] = typed(zipped(version_txt="1.4.0"))
    async with answering(answers) as (pipelines, _):
        assert (await pipelines.deployed("shop-ci", "canary")).version == "1.4.0"


async def test_a_deployment_from_last_year_is_found() -> None:
    answers = deployed("1.5.0")
    long_ago = (NOW - timedelta(days=300)).isoformat()
    answers[RUNS] = runs(a_run(7, f"deploy canary 1.5.0 {KEY}", created_at=long_ago))
    async with answering(answers) as (pipelines, _):
        assert (await pipelines.deployed("shop-ci", "canary")).version == "1.5.0"


async def test_a_rollback_on_a_later_page_than_an_older_deployment_is_found() -> None:
    def ago(days: int) -> str:
        return (NOW - timedelta(days=days)).isoformat()

    answers = deployed("1.5.0")
    answers[RUNS] = runs(a_run(7, f"deploy canary 1.5.0 {KEY}", created_at=ago(300)))
    others = [a_run(9, "rollback stable 1.4.0 a/b/c", created_at=ago(40))]
    first = said({"workflow_runs": others}, Link=f'<{ROLLBACKS}?page=2>; rel="next"')
    second = runs(a_run(8, f"rollback canary 1.4.0 {KEY}/undo", created_at=ago(100)))
    answers[ROLLBACKS] = in_turn(first, first, second)
    answers["/actions/runs/8/artifacts"] = artifacts(number=2)
    answers["/actions/artifacts/2/zip"] = typed(zipped(version_txt="1.4.0"))
    async with answering(answers) as (pipelines, _):
        assert (await pipelines.deployed("shop-ci", "canary")).version == "1.4.0"


async def test_a_run_that_a_list_shows_too_late_is_looked_at_itself() -> None:
    answers = deployed("1.5.0")
    late = a_run(7, f"deploy canary 1.5.0 {KEY}", status="in_progress", conclusion=None)
    answers[RUNS] = runs(late)
    answers["/actions/runs/7"] = said(a_run(7, f"deploy canary 1.5.0 {KEY}"))
    async with answering(answers) as (pipelines, _):
        there = await pipelines.deployed("shop-ci", "canary")

    assert (there.version, there.unsettled) == ("1.5.0", "")


async def test_a_success_that_left_no_artefact_leaves_its_part_in_doubt() -> None:
    answers = deployed("1.5.0")
    answers[ROLLBACKS] = runs(a_run(9, f"rollback canary 1.4.0 {KEY}/undo"))
    answers["/actions/runs/9/artifacts"] = artifacts("something-else")
    async with answering(answers) as (pipelines, _):
        there = await pipelines.deployed("shop-ci", "canary")

    assert (there.version, there.unsettled) == ("1.5.0", f"{KEY}/undo")
    assert there.doubt == "GitHub run 9 succeeded without the artefact 'version-canary'"


async def test_a_failed_run_whose_title_names_no_part_leaves_every_part_in_doubt() -> None:
    answers = deployed("1.5.0")
    pushed = a_run(9, "Fix stable ordering of all pages", event="push", conclusion="failure")
    answers[RUNS] = runs(a_run(7, f"deploy canary 1.5.0 {KEY}"), pushed)
    answers["/actions/runs/9/jobs"] = jobs("failure")
    async with answering(answers) as (pipelines, _):
        there = await pipelines.deployed("shop-ci", "canary")

    assert (there.version, there.unsettled) == ("1.5.0", pushed["html_url"])
    assert there.doubt == "GitHub run 9 failed: job 'ship' failed at step 'Ship'"


async def test_the_newest_of_several_doubts_is_told() -> None:
    answers = deployed("1.5.0")
    first = a_run(8, f"deploy canary 1.6.0 {KEY}-b", conclusion="failure")
    second = a_run(9, f"rollback canary 1.5.0 {KEY}-b/undo", conclusion="timed_out")
    answers[RUNS], answers[ROLLBACKS] = (
        runs(a_run(7, f"deploy canary 1.5.0 {KEY}"), first),
        runs(second),
    )
    answers["/actions/runs/9/jobs"] = jobs("timed_out")
    async with answering(answers) as (pipelines, _):
        there = await pipelines.deployed("shop-ci", "canary")

    assert (there.version, there.unsettled) == ("1.5.0", f"{KEY}-b/undo")


async def test_a_newer_failure_is_told_rather_than_an_older_run_that_goes_on() -> None:
    answers = deployed("1.5.0")
    older = a_run(8, f"deploy canary 1.6.0 {KEY}-b", status="in_progress", conclusion=None)
    newer = a_run(9, f"deploy canary 1.7.0 {KEY}-c", conclusion="failure")
    answers[RUNS] = runs(a_run(7, f"deploy canary 1.5.0 {KEY}"), older, newer)
    answers["/actions/runs/8"] = said(older)
    answers["/actions/runs/9/jobs"] = jobs("failure")
    async with answering(answers) as (pipelines, _):
        there = await pipelines.deployed("shop-ci", "canary")

    assert there.unsettled == f"{KEY}-c"
    assert there.doubt.startswith("GitHub run 9 failed")


async def test_a_failed_run_is_told_without_its_jobs_where_they_are_not_to_be_had() -> None:
    failed = a_run(7, f"deploy canary 1.5.0 {KEY}", conclusion="failure")
    answers = {"/actions/runs/7": said(failed), "/actions/runs/7/jobs": typed("", 502)}
    async with answering(answers) as (pipelines, _):
        run = await pipelines.look(ORDER, "7")

    assert (run.status, run.said) == (RunStatus.FAILED, "failed")


async def test_a_run_is_found_on_the_last_of_several_pages() -> None:
    first = said({"workflow_runs": [a_run(9, "deploy canary 1 x/y/z")]}, Link=f'<{RUNS}?page=2>; rel="next"')
    second = said({"workflow_runs": [a_run(7, f"deploy canary 1.5.0 {KEY}"), a_run(8, f"deploy {KEY}")]})
    async with answering({RUNS: in_turn(first, second)}) as (pipelines, asked):
        found = await pipelines.find(ORDER)

    assert found is not None
    assert found.id == "7"
    assert len(asked) == 2
