"""The face of GitLab: the part of REST v4 that starts pipelines, follows them and fetches artefacts."""

import math
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from hashlib import sha1
from http import HTTPStatus
from typing import Any, Final, cast

from aiohttp import web

from holdfast.sim.ci.engine import Ci, CiRun, RunState
from holdfast.sim.ci.hangup import hang_up

PROJECT: Final = "shop/bot"
_PROJECT_ID: Final = 42
# Ids count over the whole installation, and pipelines and jobs have their own.
_FIRST_PIPELINE: Final = 2100
_FIRST_JOB: Final = 9300
_PER_PAGE: Final = 20
_MOST_PER_PAGE: Final = 100
_EMPTY: Final = (
    "The resulting pipeline would have been empty. Review the rules configuration for the relevant jobs."
)

_Handler = Callable[[web.Request], Awaitable[web.Response]]


def add_routes(app: web.Application, ci: Ci) -> None:
    """Put the API of one project, `shop/bot`, into the application."""
    face = _Face(ci)
    base = "/api/v4/projects/{project}"
    one = base + r"/pipelines/{pipeline:\d+}"
    get, post = app.router.add_get, app.router.add_post
    post(base + "/pipeline", face.guarded(face.create))
    get(base + "/pipelines", face.guarded(face.pipelines))
    get(one, face.guarded(face.pipeline))
    get(one + "/variables", face.guarded(face.variables))
    get(one + "/jobs", face.guarded(face.jobs))
    post(one + "/cancel", face.guarded(face.cancel))
    get(base + r"/jobs/{job:\d+}/artifacts/{path:.+}", face.guarded(face.artifact))
    get(base + r"/jobs/{job:\d+}/trace", face.guarded(face.trace))


class _Face:
    def __init__(self, ci: Ci) -> None:
        self._ci = ci

    def guarded(self, handler: _Handler) -> _Handler:
        """Check the budget, the token and the project first, as GitLab does, in this order."""

        async def handle(request: web.Request) -> web.Response:
            if self._ci.allowed() > 0:
                return self._too_many()
            token = request.headers.get("PRIVATE-TOKEN") or _bearer(request)
            if token != self._ci.settings.token:
                return _message(HTTPStatus.UNAUTHORIZED, "401 Unauthorized")
            if request.match_info["project"] not in {PROJECT, str(_PROJECT_ID)}:
                return _message(HTTPStatus.NOT_FOUND, "404 Project Not Found")
            return await handler(request)

        return handle

    async def create(self, request: web.Request) -> web.Response:
        body = await _body(request)
        ref = str(body.get("ref") or request.query.get("ref") or "")
        if not ref:
            return web.json_response({"error": "ref is missing"}, status=HTTPStatus.BAD_REQUEST)
        if ref not in self._ci.settings.refs:
            return _base_error("Reference not found")
        try:
            variables = {str(v["key"]): str(v["value"]) for v in body.get("variables", [])}
        except (KeyError, TypeError):
            return web.json_response({"error": "variables is invalid"}, status=HTTPStatus.BAD_REQUEST)
        action, part = variables.get("HOLDFAST_ACTION", ""), variables.get("HOLDFAST_PART", "")
        if action not in {"deploy", "rollback"} or part not in self._ci.settings.parts:
            return _base_error(_EMPTY)
        run = self._ci.start(
            name=self._ci.settings.deploy_name if action == "deploy" else self._ci.settings.rollback_name,
            action="deploy" if action == "deploy" else "rollback",
            part=part,
            version=variables.get("HOLDFAST_VERSION", ""),
            key=variables.get("HOLDFAST_KEY", ""),
            ref=ref,
            parameters=variables,
        )
        if self._ci.drops_answer():
            return hang_up(request)
        return web.json_response(_whole(request, run), status=HTTPStatus.CREATED)

    async def pipelines(self, request: web.Request) -> web.Response:
        shown = [_brief(request, run) for run in self._ci.listed()]
        for field in ("ref", "source", "status"):
            if wanted := request.query.get(field):
                shown = [pipeline for pipeline in shown if pipeline[field] == wanted]
        if after := request.query.get("created_after"):
            shown = [p for p in shown if _moment(p["created_at"]) >= _moment(after)]
        if request.query.get("sort") == "asc":
            shown.reverse()
        return _page(request, shown)

    async def pipeline(self, request: web.Request) -> web.Response:
        run = self._run(request)
        return web.json_response(_whole(request, run)) if run else _not_found()

    async def variables(self, request: web.Request) -> web.Response:
        run = self._run(request)
        if run is None:
            return _not_found()
        named = run.parameters.items()
        return _page(
            request, [{"variable_type": "env_var", "key": k, "value": v, "raw": False} for k, v in named]
        )

    async def jobs(self, request: web.Request) -> web.Response:
        run = self._run(request)
        return _page(request, [_job(request, run)]) if run else _not_found()

    async def cancel(self, request: web.Request) -> web.Response:
        run = self._run(request)
        if run is None:
            return _not_found()
        self._ci.cancel(run.number)
        return web.json_response(_whole(request, run))

    async def artifact(self, request: web.Request) -> web.Response:
        run = self._run(request)
        content = run.artifacts.get(request.match_info["path"]) if run else None
        if content is None:
            return _message(HTTPStatus.NOT_FOUND, "404 Not Found")
        return web.Response(body=content, content_type="application/octet-stream")

    async def trace(self, request: web.Request) -> web.Response:
        run = self._run(request)
        return web.Response(text=run.log) if run else _message(HTTPStatus.NOT_FOUND, "404 Not found")

    def _run(self, request: web.Request) -> CiRun | None:
        given = request.match_info
        if "pipeline" in given:
            return self._ci.run(int(given["pipeline"]) - _FIRST_PIPELINE)
        return self._ci.run(int(given["job"]) - _FIRST_JOB)

    def _too_many(self) -> web.Response:
        wait_seconds = math.ceil(self._ci.resets_in_seconds)
        resets_at = math.ceil(time.time() + self._ci.resets_in_seconds)
        limit = self._ci.request_limit
        headers = {
            "RateLimit-Name": "throttle_authenticated_api",
            "RateLimit-Limit": str(limit),
            "RateLimit-Observed": str(limit + 1),
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(resets_at),
            "RateLimit-ResetTime": formatdate(resets_at, usegmt=True),
            "Retry-After": str(wait_seconds),
        }
        return web.Response(status=HTTPStatus.TOO_MANY_REQUESTS, text="Retry later\n", headers=headers)


def _brief(request: web.Request, run: CiRun) -> dict[str, Any]:
    """What the list of pipelines shows."""
    return {
        "id": _FIRST_PIPELINE + run.number,
        "iid": run.number,
        "project_id": _PROJECT_ID,
        "sha": _sha(run),
        "ref": run.ref,
        "status": _status(run),
        "source": "api" if run.parameters else "push",
        "created_at": _text(run.created_at),
        "updated_at": _text(run.ended_at or run.started_at or run.created_at),
        "web_url": f"{request.url.origin()}/{PROJECT}/-/pipelines/{_FIRST_PIPELINE + run.number}",
        "name": None,
    }


def _whole(request: web.Request, run: CiRun) -> dict[str, Any]:
    """What one pipeline shows when it is asked for."""
    return {
        **_brief(request, run),
        "before_sha": "0" * 40,
        "tag": False,
        "yaml_errors": None,
        "user": _user(request),
        "started_at": _text(run.started_at),
        "finished_at": _text(run.ended_at),
        "committed_at": None,
        "duration": _seconds(run.started_at, run.ended_at),
        "queued_duration": _seconds(run.created_at, run.started_at),
        "coverage": None,
        "archived": False,
    }


def _job(request: web.Request, run: CiRun) -> dict[str, Any]:
    number = _FIRST_JOB + run.number
    pipeline = _brief(request, run)
    shown: dict[str, Any] = {
        "id": number,
        "status": pipeline["status"],
        "stage": "deploy",
        "name": f"{run.action}-{run.part}",
        "ref": run.ref,
        "tag": False,
        "coverage": None,
        "allow_failure": False,
        "created_at": _text(run.created_at),
        "started_at": _text(run.started_at),
        "finished_at": _text(run.ended_at),
        "duration": _seconds(run.started_at, run.ended_at),
        "queued_duration": _seconds(run.created_at, run.started_at),
        "user": _user(request),
        "pipeline": {key: pipeline[key] for key in ("id", "iid", "project_id", "sha", "ref", "status")},
        "web_url": f"{request.url.origin()}/{PROJECT}/-/jobs/{number}",
        "artifacts": [
            {"file_type": "archive", "size": len(content), "filename": "artifacts.zip", "file_format": "zip"}
            for content in run.artifacts.values()
        ],
        "runner": None,
        "artifacts_expire_at": None,
    }
    if run.state is RunState.FAILED:
        shown["failure_reason"] = "script_failure"
    return shown


def _user(request: web.Request) -> dict[str, Any]:
    return {
        "id": 7,
        "username": "project_42_bot",
        "name": "holdfast",
        "state": "active",
        "web_url": f"{request.url.origin()}/project_42_bot",
    }


def _status(run: CiRun) -> str:
    if run.state is RunState.QUEUED:
        return "pending"
    return "canceling" if run.canceling and not run.over else run.state.value


def _sha(run: CiRun) -> str:
    return sha1(run.ref.encode(), usedforsecurity=False).hexdigest()


def _page(request: web.Request, rows: list[dict[str, Any]]) -> web.Response:
    size = min(_whole_number(request, "per_page", _PER_PAGE), _MOST_PER_PAGE)
    page = _whole_number(request, "page", 1)
    pages = max(1, math.ceil(len(rows) / size))
    headers = {
        "X-Page": str(page),
        "X-Per-Page": str(size),
        "X-Total": str(len(rows)),
        "X-Total-Pages": str(pages),
        "X-Next-Page": str(page + 1) if page < pages else "",
        "X-Prev-Page": str(page - 1) if page > 1 else "",
    }
    return web.json_response(rows[(page - 1) * size : page * size], headers=headers)


def _whole_number(request: web.Request, name: str, default: int) -> int:
    given = request.query.get(name, "")
    return max(1, int(given)) if given.isdigit() else default


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        return {}
    return cast("dict[str, Any]", body) if isinstance(body, dict) else {}


def _bearer(request: web.Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else None


def _seconds(begin: datetime | None, end: datetime | None) -> float | None:
    return (end - begin) / timedelta(seconds=1) if begin and end else None


def _message(status: HTTPStatus, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)


def _not_found() -> web.Response:
    return _message(HTTPStatus.NOT_FOUND, "404 Not found")


def _base_error(text: str) -> web.Response:
    return web.json_response({"message": {"base": [text]}}, status=HTTPStatus.BAD_REQUEST)
