"""The face of Jenkins: its remote access API for the jobs that deploy and roll back, and a proxy before it."""

import base64
import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import quote

from aiohttp import web

from holdfast.sim.ci.engine import Ci, CiRun, RunState
from holdfast.sim.ci.hangup import hang_up
from holdfast.sim.ci.jenkins_pages import error_page, login_page, proxy_refuses
from holdfast.sim.ci.jenkins_tree import chosen
from holdfast.sim.ci.runs import CiAction

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

DECLARED: Final = ("PART", "VERSION", "HOLDFAST_KEY", "REGION")
_LEFT_ITEMS_STAY: Final = timedelta(minutes=5)
_SHORT_LIST: Final = 100
_RESULTS: Final = {RunState.SUCCESS: "SUCCESS", RunState.FAILED: "FAILURE", RunState.CANCELED: "ABORTED"}


def add_routes(app: web.Application, ci: Ci, declared: tuple[str, ...] = DECLARED) -> None:
    """Serve Jenkins' addresses; its jobs take the declared parameters and drop all others, as Jenkins does."""
    _Jenkins(ci, declared).add_routes(app)


class _Jenkins:
    def __init__(self, ci: Ci, declared: tuple[str, ...]) -> None:
        self._ci = ci
        self._declared = declared
        self._actions: dict[str, CiAction] = {
            ci.settings.deploy_name: "deploy",
            ci.settings.rollback_name: "rollback",
        }

    def add_routes(self, app: web.Application) -> None:
        """Put the addresses into the application."""
        gets: dict[str, Handler] = {
            "/queue/api/json": self._queue,
            r"/queue/item/{item:\d+}/api/json": self._item,
            r"/job/{job:.+?}/{build:\d+}/api/json": self._build,
            r"/job/{job:.+?}/{build:\d+}/consoleText": self._console,
            r"/job/{job:.+?}/{build:\d+}/artifact/{path:.+}": self._artifact,
            r"/job/{job:.+}/api/json": self._job,
        }
        posts: dict[str, Handler] = {
            "/queue/cancelItem": self._cancel_item,
            r"/job/{job:.+?}/{build:\d+}/stop": self._stop,
            r"/job/{job:.+}/buildWithParameters": self._start,
        }
        for path, handler in gets.items():
            app.router.add_get(path, self._guarded(handler))
        for path, handler in posts.items():
            app.router.add_post(path, self._guarded(handler))
        for prefix in ("/job/{rest:.*}", "/queue/{rest:.*}"):
            app.router.add_route("*", prefix, self._guarded(self._nothing))

    def _guarded(self, handler: Handler) -> Handler:
        """Count the request at the proxy, then let Jenkins ask who it is."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            if wait_seconds := self._ci.allowed():
                return proxy_refuses(wait_seconds)
            if "Authorization" not in request.headers:
                return login_page(request)
            user, token = self._ci.settings.user, self._ci.settings.token
            if request.headers["Authorization"] != _basic(user, token):
                return error_page(request, HTTPStatus.UNAUTHORIZED, "Invalid password/token for user: " + user)
            return await handler(request)

        return guarded

    async def _nothing(self, request: web.Request) -> web.Response:
        return error_page(request, HTTPStatus.NOT_FOUND, "Not Found")

    async def _start(self, request: web.Request) -> web.Response:
        name = _job_name(request)
        if name not in self._actions:
            return await self._nothing(request)
        if not self._declared:
            return error_page(request, HTTPStatus.BAD_REQUEST, f"{name} is not parameterized")
        given = {**request.query, **cast("dict[str, str]", dict(await request.post()))}
        parameters = {declared: given.get(declared, "") for declared in self._declared}
        run = self._same_in_queue(name, parameters) or self._ci.start(
            name=name,
            action=self._actions[name],
            part=parameters.get("PART", ""),
            version=parameters.get("VERSION", ""),
            key=parameters.get("HOLDFAST_KEY", ""),
            ref="",
            parameters=parameters,
        )
        if self._ci.drops_answer():
            return hang_up(request)
        location = f"{_root(request)}/queue/item/{run.number}/"
        return web.Response(status=HTTPStatus.CREATED, headers={"Location": location})

    def _same_in_queue(self, name: str, parameters: dict[str, str]) -> CiRun | None:
        """Return the item that waits with the same parameters: Jenkins builds for both once."""
        same = (r for r in self._ci.runs if r.name == name and r.parameters == parameters)
        return next((run for run in same if run.state is RunState.QUEUED), None)

    async def _queue(self, request: web.Request) -> web.Response:
        waiting = [run for run in self._ci.listed() if run.state is RunState.QUEUED]
        items = [self._item_shape(request, run) for run in waiting]
        return _json(
            request,
            {"_class": "hudson.model.Queue", "discoverableItems": [], "items": items},
        )

    async def _item(self, request: web.Request) -> web.Response:
        run = self._ci.run(int(request.match_info["item"]))
        if run is None or _forgotten(run):
            return await self._nothing(request)
        return _json(request, self._item_shape(request, run))

    async def _cancel_item(self, request: web.Request) -> web.Response:
        given = {**request.query, **cast("dict[str, str]", dict(await request.post()))}.get("id", "")
        run = self._ci.run(int(given)) if given.isdecimal() else None
        if run is None or _forgotten(run):
            return error_page(request, HTTPStatus.NOT_FOUND, f"Provided id ({given}) not found")
        if run.state is not RunState.QUEUED:
            return error_page(request, HTTPStatus.INTERNAL_SERVER_ERROR, f"Could not cancel run for id {given}")
        self._ci.cancel(run.number)
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def _job(self, request: web.Request) -> web.Response:
        name = _job_name(request)
        if name not in self._actions:
            return await self._nothing(request)
        builds = [
            self._build_shape(request, run)
            for run in self._ci.listed()
            if run.name == name and run.started_at is not None
        ]
        shape: dict[str, Any] = {
            **_task(request, name),
            "_class": "hudson.model.FreeStyleProject",
            "fullName": name,
            "buildable": True,
            "builds": builds[:_SHORT_LIST],
            "allBuilds": builds,
            "inQueue": any(r.name == name and r.state is RunState.QUEUED for r in self._ci.runs),
            "property": [{"_class": "jenkins.model.BuildDiscarderProperty"}, *self._definitions()],
        }
        if "tree" not in request.query:
            del shape["allBuilds"]  # shown only when asked for
        return _json(request, shape)

    def _definitions(self) -> list[dict[str, Any]]:
        if not self._declared:
            return []
        definitions = [
            {
                "_class": "hudson.model.StringParameterDefinition",
                "defaultParameterValue": {"_class": "hudson.model.StringParameterValue", "value": ""},
                "name": name,
                "type": "StringParameterDefinition",
            }
            for name in self._declared
        ]
        one = {
            "_class": "hudson.model.ParametersDefinitionProperty",
            "parameterDefinitions": definitions,
        }
        return [one]

    async def _build(self, request: web.Request) -> web.Response:
        run = self._built(request)
        return _json(request, self._build_shape(request, run)) if run else await self._nothing(request)

    async def _console(self, request: web.Request) -> web.Response:
        if (run := self._built(request)) is None:
            return await self._nothing(request)
        return web.Response(text=_console_text(run), content_type="text/plain", charset="utf-8")

    async def _artifact(self, request: web.Request) -> web.Response:
        run = self._built(request)
        content = run.artifacts.get(request.match_info["path"]) if run else None
        if content is None:
            return await self._nothing(request)
        return web.Response(body=content, content_type="text/plain")

    async def _stop(self, request: web.Request) -> web.Response:
        if (run := self._built(request)) is None:
            return await self._nothing(request)
        self._ci.cancel(run.number)
        return web.Response(status=HTTPStatus.FOUND, headers={"Location": f"{_root(request)}/"})

    def _built(self, request: web.Request) -> CiRun | None:
        name, number = _job_name(request), int(request.match_info["build"])
        builds = self._builds_of(name)
        return builds[number - 1] if 0 < number <= len(builds) else None

    def _builds_of(self, name: str) -> list[CiRun]:
        """Return a job's builds in the order of their numbers, which they get when they leave the queue."""
        return [run for run in self._ci.runs if run.name == name and run.started_at is not None]

    def _item_shape(self, request: web.Request, run: CiRun) -> dict[str, Any]:
        quiet_until = run.created_at + timedelta(seconds=self._ci.settings.queue_seconds)
        rest = (quiet_until - datetime.now(UTC)).total_seconds()
        waits = run.state is RunState.QUEUED
        shape: dict[str, Any] = {
            "_class": f"hudson.model.Queue${_item_class(waits=waits, quiet=rest > 0)}",
            "actions": _actions(run),
            "blocked": False,
            "buildable": waits and rest <= 0,
            "id": run.number,
            "inQueueSince": _millis(run.created_at),
            "params": "".join(f"\n{name}={value}" for name, value in run.parameters.items()),
            "stuck": False,
            "task": {"_class": "hudson.model.FreeStyleProject", **_task(request, run.name)},
            "url": f"queue/item/{run.number}/",
            "why": _why(rest) if waits else None,
        }
        if not waits:
            shape["cancelled"] = run.started_at is None
            shape["executable"] = self._executable(request, run)
        return shape

    def _executable(self, request: web.Request, run: CiRun) -> dict[str, Any] | None:
        if run.started_at is None:
            return None
        number = self._builds_of(run.name).index(run) + 1
        url = f"{_job_url(request, run.name)}{number}/"
        return {"_class": "hudson.model.FreeStyleBuild", "number": number, "url": url}

    def _build_shape(self, request: web.Request, run: CiRun) -> dict[str, Any]:
        executable = self._executable(request, run) or {}
        number, began = executable["number"], run.started_at or run.created_at
        artifacts = [
            {"displayPath": path, "fileName": path.rpartition("/")[2], "relativePath": path}
            for path in run.artifacts
        ]
        return {
            **executable,
            "actions": [*_actions(run), {}],
            "artifacts": artifacts,
            "building": not run.over,
            "displayName": f"#{number}",
            "duration": _millis(run.ended_at) - _millis(began) if run.ended_at else 0,
            "fullDisplayName": f"{run.name.replace('/', ' » ')} #{number}",
            "id": str(number),
            "queueId": run.number,
            "result": _RESULTS.get(run.state),
            "timestamp": _millis(began),
        }


def _item_class(*, waits: bool, quiet: bool) -> str:
    if not waits:
        return "LeftItem"
    return "WaitingItem" if quiet else "BuildableItem"


def _why(rest_seconds: float) -> str:
    if rest_seconds > 0:
        return f"In the quiet period. Expires in {math.ceil(rest_seconds * 1000)} ms"
    return "Waiting for next available executor"


def _forgotten(run: CiRun) -> bool:
    """Whether the item left the queue so long ago that Jenkins does not know it any more."""
    left_at = run.started_at or run.ended_at
    return left_at is not None and datetime.now(UTC) - left_at > _LEFT_ITEMS_STAY


def _actions(run: CiRun) -> list[dict[str, Any]]:
    given = run.parameters or {"PART": run.part, "VERSION": run.version, "HOLDFAST_KEY": run.key}
    values = [
        {"_class": "hudson.model.StringParameterValue", "name": name, "value": value}
        for name, value in given.items()
    ]
    cause = {"_class": "hudson.model.Cause$UserIdCause", "shortDescription": "Started by user holdfast"}
    return [
        {"_class": "hudson.model.ParametersAction", "parameters": values},
        {"_class": "hudson.model.CauseAction", "causes": [cause]},
    ]


def _console_text(run: CiRun) -> str:
    lines = ["Started by user holdfast", "Running as SYSTEM", *run.log.splitlines()]
    if run.state is RunState.FAILED:
        lines.append("Build step 'Execute shell' marked build as failure")
    if run.state is RunState.CANCELED:
        lines.append("Build was aborted")
    if run.over:
        lines.append(f"Finished: {_RESULTS[run.state]}")
    return "\n".join(lines) + "\n"


def _task(request: web.Request, name: str) -> dict[str, Any]:
    return {"name": name.rpartition("/")[2], "url": _job_url(request, name), "color": "blue"}


def _job_url(request: web.Request, name: str) -> str:
    return _root(request) + "".join(f"/job/{quote(segment, safe='')}" for segment in name.split("/")) + "/"


def _job_name(request: web.Request) -> str:
    """Return the job's name with its folders: `shop/deploy` from `shop/job/deploy`."""
    return "/".join(request.match_info["job"].split("/job/"))


def _root(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}"


def _millis(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _basic(user: str, token: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()


def _json(request: web.Request, shape: dict[str, Any]) -> web.Response:
    tree = request.query.get("tree")
    return web.json_response(chosen(shape, tree) if tree else shape)
