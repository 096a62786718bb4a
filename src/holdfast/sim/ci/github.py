"""The CI system as GitHub Actions: the REST API of the repository `shop/bot`.

At the root it answers like github.com, below `/api/v3` like GitHub Enterprise Server 3.19, which does not tell
the run that a dispatch became. Both workflows, `deploy.yml` and `rollback.yml`, begin like this:

    run-name: deploy ${{ inputs.part }} ${{ inputs.version }} ${{ inputs.holdfast_key }}
    on:
      workflow_dispatch:
        inputs:
          part: {type: choice, options: [canary, stable, all], required: true}
          version: {type: string, required: true}
          holdfast_key: {type: string}
          strategy: {type: string}
          reason: {type: string}
"""

import hashlib
import hmac
import io
import json
import math
import secrets
import time
import zipfile
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from aiohttp import web

from holdfast.sim.ci.engine import Ci, CiRun
from holdfast.sim.ci.github_requests import (
    CONCLUSION,
    STATUS,
    Refused,
    invalid,
    matches,
    number_of,
    object_of,
    positive,
)
from holdfast.sim.ci.hangup import hang_up

REPOSITORY: Final = "shop/bot"
_ENTERPRISE: Final = "/api/v3"
_DOCUMENTATION: Final = "https://docs.github.com/rest"
_INPUTS: Final = ("part", "version", "holdfast_key", "strategy", "reason")
_STEPS: Final = ("Set up job", "Deploy", "Upload the version", "Complete job")
_FIRST_ID: Final = 30_433_642_000  # ids are counted over all of GitHub
_FIRST_ARTIFACT_ID: Final = 5_812_331_000
_PER_PAGE: Final = 30
_MOST_PER_PAGE: Final = 100
_MOST_FILTERED: Final = 1000  # a list with filters ends here
_RETENTION: Final = timedelta(days=90)
_LINK_LIVES_SECONDS: Final = 60
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def add_routes(app: web.Application, ci: Ci) -> None:
    """Put the API's addresses into the application."""
    for prefix in ("", _ENTERPRISE):
        GitHub(ci, prefix).add_routes(app)


class GitHub:
    """The API below one base path."""

    def __init__(self, ci: Ci, prefix: str) -> None:
        """Show this system below the path; empty is the root."""
        self._ci = ci
        self._prefix = prefix
        self._tells_runs = prefix != _ENTERPRISE
        self._signing_key = secrets.token_bytes(32)

    def add_routes(self, app: web.Application) -> None:
        """Put the addresses into the application."""
        base = f"{self._prefix}/repos/{{owner}}/{{repo}}/actions"
        app.router.add_post(f"{base}/workflows/{{workflow}}/dispatches", self._guarded(self._dispatch))
        app.router.add_get(f"{base}/workflows/{{workflow}}/runs", self._guarded(self._list_runs))
        app.router.add_get(f"{base}/runs/{{run}}", self._guarded(self._get_run))
        app.router.add_get(f"{base}/runs/{{run}}/jobs", self._guarded(self._list_jobs))
        app.router.add_get(f"{base}/runs/{{run}}/artifacts", self._guarded(self._list_artifacts))
        app.router.add_post(f"{base}/runs/{{run}}/cancel", self._guarded(self._cancel))
        app.router.add_get(f"{base}/artifacts/{{artifact}}/zip", self._guarded(self._zip))
        app.router.add_get(f"{self._prefix}/_storage/{{artifact}}", self._storage)

    def _guarded(self, handler: _Handler) -> _Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                self._admit(request)
                response = await handler(request)
            except Refused as refused:
                body = {"message": str(refused), "documentation_url": _DOCUMENTATION}
                response = web.json_response({**body, "status": str(refused.status)}, status=refused.status)
            response.headers.update(self._limits())
            return response

        return guarded

    def _admit(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if token and (scheme not in {"Bearer", "token"} or token != self._ci.settings.token):
            raise Refused(401, "Bad credentials")
        if self._ci.allowed() > 0:
            raise Refused(403, "API rate limit exceeded for user ID 583231.")
        there = f"{request.match_info['owner']}/{request.match_info['repo']}".lower()
        if not token or there != REPOSITORY:  # who may not see a repository is not told that it exists
            raise Refused(404, "Not Found")

    def _limits(self) -> dict[str, str]:
        limit, left = self._ci.request_limit, self._ci.requests_left
        return {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(left),
            "X-RateLimit-Used": str(limit - left),
            "X-RateLimit-Reset": str(math.ceil(time.time() + self._ci.resets_in_seconds)),
            "X-RateLimit-Resource": "core",
            "X-GitHub-Media-Type": "github.v3; format=json",
        }

    async def _dispatch(self, request: web.Request) -> web.Response:
        name = self._workflow(request)
        body = object_of(await request.read())
        self._check_dispatch(body)
        given = cast("dict[str, Any]", body.get("inputs") or {})
        inputs = {name: str(value) for name, value in given.items()}
        self._check_inputs(inputs)
        run = self._ci.start(
            name=name,
            action="deploy" if name == self._ci.settings.deploy_name else "rollback",
            part=inputs["part"],
            version=inputs["version"],
            key=inputs.get("holdfast_key", ""),
            ref=str(body["ref"]).removeprefix("refs/heads/"),
            parameters=inputs,
        )
        if self._ci.drops_answer():
            return hang_up(request)
        if not body.get("return_run_details"):
            return web.Response(status=204)
        addresses = self._addresses(request, run)
        return web.json_response(
            {
                "workflow_run_id": _id(run),
                "run_url": addresses["url"],
                "html_url": addresses["html_url"],
            }
        )

    def _check_dispatch(self, body: dict[str, Any]) -> None:
        if "ref" not in body:
            raise invalid('"ref" wasn\'t supplied.')
        permitted = {"ref", "inputs", *(["return_run_details"] if self._tells_runs else [])}
        for key in body:
            if key not in permitted:
                raise invalid(f'"{key}" is not a permitted key.')
        ref = body["ref"]
        if not isinstance(ref, str) or ref.removeprefix("refs/heads/") not in self._ci.settings.refs:
            raise Refused(422, f"No ref found for: {ref}")
        if not isinstance(body.get("inputs") or {}, dict):
            raise invalid(f"For 'properties/inputs', {json.dumps(body['inputs'])} is not an object.")

    def _check_inputs(self, inputs: Mapping[str, str]) -> None:
        if unexpected := [name for name in inputs if name not in _INPUTS]:
            raise Refused(422, f"Unexpected inputs provided: {json.dumps(unexpected)}")
        for required in ("part", "version"):
            if not inputs.get(required):
                raise Refused(422, f"Required input '{required}' not provided")
        part = inputs["part"]
        if part not in self._ci.settings.parts:
            raise Refused(422, f"Provided value '{part}' for input 'part' not in the list of allowed values")

    async def _list_runs(self, request: web.Request) -> web.Response:
        name = self._workflow(request)
        query = request.query
        runs = [run for run in self._ci.listed() if run.name == name and matches(run, query)]
        if set(query) - {"page", "per_page"}:
            runs = runs[:_MOST_FILTERED]
        return self._page(request, "workflow_runs", [self._run(request, run) for run in runs])

    async def _get_run(self, request: web.Request) -> web.Response:
        return web.json_response(self._run(request, self._named_run(request)))

    async def _list_jobs(self, request: web.Request) -> web.Response:
        return self._page(request, "jobs", [self._job(request, self._named_run(request))])

    async def _list_artifacts(self, request: web.Request) -> web.Response:
        run = self._named_run(request)
        shown = [self._artifact(request, run)] if run.artifacts else []
        wanted = request.query.get("name")
        return self._page(request, "artifacts", [a for a in shown if wanted in {None, a["name"]}])

    async def _cancel(self, request: web.Request) -> web.Response:
        if not self._ci.cancel(self._named_run(request).number):
            raise Refused(409, "Cannot cancel a workflow run that is completed.")
        return web.json_response({}, status=202)

    async def _zip(self, request: web.Request) -> web.Response:
        number = number_of(request.match_info["artifact"], _FIRST_ARTIFACT_ID)
        run = self._ci.run(number)
        if run is None or not run.artifacts:
            raise Refused(404, "Not Found")
        expires = str(int(time.time()) + _LINK_LIVES_SECONDS)
        # Another host than the API's, as far as one machine has several.
        host = "localhost" if request.url.host == "127.0.0.1" else request.url.host
        storage = request.url.with_host(host or "localhost").with_path(f"{self._prefix}/_storage/{number}")
        signed = storage.with_query({"se": expires, "sig": self._signature(number, expires)})
        return web.Response(status=302, headers={"Location": str(signed)})

    async def _storage(self, request: web.Request) -> web.Response:
        """Serve a file to whoever has its signed address, and to nobody who brings other credentials."""
        number, expires = number_of(request.match_info["artifact"], 0), request.query.get("se", "")
        run = self._ci.run(number)
        expected = self._signature(number, expires)
        genuine = hmac.compare_digest(expected, request.query.get("sig", ""))
        if run is None or not genuine or "Authorization" in request.headers or int(expires) < time.time():
            said = '<?xml version="1.0" encoding="utf-8"?><Error><Code>AuthenticationFailed</Code></Error>'
            return web.Response(status=403, text=said, content_type="application/xml")
        return web.Response(body=_zipped(run), content_type="application/zip")

    def _signature(self, number: int, expires: str) -> str:
        return hmac.new(self._signing_key, f"{number} {expires}".encode(), hashlib.sha256).hexdigest()

    def _workflow(self, request: web.Request) -> str:
        name = request.match_info["workflow"]
        if name not in {self._ci.settings.deploy_name, self._ci.settings.rollback_name}:
            raise Refused(404, "Not Found")
        return name

    def _named_run(self, request: web.Request) -> CiRun:
        run = self._ci.run(number_of(request.match_info["run"], _FIRST_ID))
        if run is None:
            raise Refused(404, "Not Found")
        return run

    def _page(self, request: web.Request, name: str, entries: list[dict[str, Any]]) -> web.Response:
        size = min(_MOST_PER_PAGE, positive(request.query.get("per_page"), _PER_PAGE))
        number = positive(request.query.get("page"), 1)
        last = max(1, math.ceil(len(entries) / size))
        body = {"total_count": len(entries), name: entries[(number - 1) * size : number * size]}
        links = {"prev": number - 1, "next": number + 1, "last": last, "first": 1}
        shown = {rel: page for rel, page in links.items() if 1 <= page <= last and page != number}
        response = web.json_response(body)
        if shown:
            response.headers["Link"] = ", ".join(
                f'<{request.url.update_query(page=str(page))}>; rel="{rel}"' for rel, page in shown.items()
            )
        return response

    def _run(self, request: web.Request, run: CiRun) -> dict[str, Any]:
        earlier = [other for other in self._ci.runs[: run.number] if other.name == run.name]
        return {
            "id": _id(run),
            "name": run.action,
            "head_branch": run.ref,
            "head_sha": hashlib.sha1(run.ref.encode(), usedforsecurity=False).hexdigest(),
            "path": f".github/workflows/{run.name}",
            "display_title": " ".join(filter(None, (run.action, run.part, run.version, run.key))),
            "run_number": len(earlier),
            "run_attempt": 1,
            "event": "workflow_dispatch",
            "status": STATUS.get(run.state, "completed"),
            "conclusion": CONCLUSION.get(run.state),
            "workflow_id": 161335 if run.action == "deploy" else 161336,
            **self._addresses(request, run),
            "created_at": _moment(run.created_at),
            "updated_at": _moment(run.ended_at or run.started_at or run.created_at),
            "run_started_at": _moment(run.created_at),
            "actor": {"login": self._ci.settings.user, "id": 583231, "type": "User"},
            "repository": {"id": 1296269, "name": REPOSITORY.split("/")[1], "full_name": REPOSITORY},
        }

    def _addresses(self, request: web.Request, run: CiRun) -> dict[str, str]:
        origin = request.url.origin()
        api = f"{origin}{self._prefix}/repos/{REPOSITORY}/actions/runs/{_id(run)}"
        below = {f"{what}_url": f"{api}/{what}" for what in ("jobs", "logs", "artifacts", "cancel", "rerun")}
        return {"url": api, "html_url": f"{origin}/{REPOSITORY}/actions/runs/{_id(run)}", **below}

    def _job(self, request: web.Request, run: CiRun) -> dict[str, Any]:
        status, conclusion = STATUS.get(run.state, "completed"), CONCLUSION.get(run.state)
        begun = run.started_at is not None
        return {
            "id": _id(run) * 2,
            "run_id": _id(run),
            "run_attempt": 1,
            "name": f"{run.action}-{run.part}",
            "workflow_name": run.action,
            "head_branch": run.ref,
            "status": status,
            "conclusion": conclusion,
            "html_url": f"{self._addresses(request, run)['html_url']}/job/{_id(run) * 2}",
            "created_at": _moment(run.created_at),
            "started_at": _moment(run.started_at or run.created_at),
            "completed_at": _moment(run.ended_at) if run.ended_at else None,
            "steps": _steps(run) if begun else [],
            "labels": ["ubuntu-latest"],
            "runner_name": "GitHub Actions 1" if begun else None,
        }

    def _artifact(self, request: web.Request, run: CiRun) -> dict[str, Any]:
        number = _FIRST_ARTIFACT_ID + run.number
        url = f"{request.url.origin()}{self._prefix}/repos/{REPOSITORY}/actions/artifacts/{number}"
        made = run.ended_at or run.created_at
        return {
            "id": number,
            "name": f"version-{run.part}",
            "size_in_bytes": len(_zipped(run)),
            "url": url,
            "archive_download_url": f"{url}/zip",
            "expired": False,
            "digest": f"sha256:{hashlib.sha256(_zipped(run)).hexdigest()}",
            "created_at": _moment(made),
            "updated_at": _moment(made),
            "expires_at": _moment(made + _RETENTION),
            "workflow_run": {"id": _id(run), "head_branch": run.ref},
        }


def _steps(run: CiRun) -> list[dict[str, Any]]:
    """Return the steps: the one that deploys ends as the run does, and what comes after it is skipped then."""
    conclusion = CONCLUSION.get(run.state)
    at_work = _STEPS.index("Deploy")
    ends = ["success" if n < at_work or conclusion == "success" else "skipped" for n in range(len(_STEPS))]
    if conclusion != "success":
        ends[at_work] = conclusion or ""
    return [
        {
            "name": name,
            "number": number,
            "status": "completed" if conclusion or number <= at_work else "in_progress",
            "conclusion": end if conclusion or number <= at_work else None,
        }
        for number, (name, end) in enumerate(zip(_STEPS, ends, strict=True), start=1)
        if conclusion or number <= at_work + 1
    ]


def _zipped(run: CiRun) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in run.artifacts.items():
            archive.writestr(zipfile.ZipInfo(path), content)
    return held.getvalue()


def _id(run: CiRun) -> int:
    return _FIRST_ID + run.number


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
