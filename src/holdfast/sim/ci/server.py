"""Puts a CI system behind a face: the HTTP API of GitLab, GitHub or Jenkins."""

import importlib
from collections.abc import AsyncIterator
from typing import Any, Final, cast

from aiohttp import web
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from holdfast.sim.ci.engine import Ci, CiRun
from holdfast.sim.ci.settings import WEATHER, CiSettings
from holdfast.sim.serving import add_monitoring

# What each face calls the pipeline that deploys and the one that rolls back.
FACES: Final = {
    "gitlab": ("deploy", "rollback"),
    "github": ("deploy.yml", "rollback.yml"),
    "jenkins": ("shop/deploy", "shop/rollback"),
}


def settings_for(face: str, **settings: Any) -> CiSettings:
    """Return settings in which the pipelines have names that the face knows."""
    deploy, rollback = FACES[face]
    return CiSettings.model_validate({"deploy_name": deploy, "rollback_name": rollback, **settings})


def create_app(face: str, ci: Ci) -> web.Application:
    """Return the application; the system is closed with it.

    Args:
        face: `gitlab`, `github` or `jenkins`.
        ci: what is behind it; made in the event loop that serves.
    """
    app = web.Application()
    add_monitoring(app, CollectorRegistry())
    _add_operation(app, ci)
    importlib.import_module(f"holdfast.sim.ci.{face}").add_routes(app, ci)

    async def living(_: web.Application) -> AsyncIterator[None]:
        yield
        await ci.close()

    app.cleanup_ctx.append(living)
    return app


def _add_operation(app: web.Application, ci: Ci) -> None:
    """Add what the people see and do who run the CI system; no client of its API needs it."""

    async def runs(_: web.Request) -> web.Response:
        return web.json_response([_shown(run) for run in ci.runs])

    async def deployed(_: web.Request) -> web.Response:
        return web.json_response(ci.deployed)

    async def effects(_: web.Request) -> web.Response:
        return web.json_response(dict(ci.effects))

    async def weather(request: web.Request) -> web.Response:
        return await _change_weather(request, ci)

    app.router.add_get("/_ci/runs", runs)
    app.router.add_get("/_ci/deployed", deployed)
    app.router.add_get("/_ci/effects", effects)
    app.router.add_post("/_ci/weather", weather)


async def _change_weather(request: web.Request, ci: Ci) -> web.Response:
    try:
        wanted = await request.json()
    except ValueError:
        return _refused("send a JSON object")
    if not isinstance(wanted, dict):
        return _refused("send a JSON object")
    fields = cast("dict[str, Any]", wanted)
    if unknown := sorted(set(fields) - set(WEATHER)):
        return _refused(f"{unknown[0]}: unknown; known are {', '.join(WEATHER)}")
    try:
        await ci.change_weather(fields)
    except ValidationError as error:
        first = error.errors()[0]
        return _refused(f"{first['loc'][0]}: {first['msg'].lower()}")
    return web.json_response(ci.settings.weather)


def _refused(message: str) -> web.Response:
    return web.json_response({"error": message}, status=400)


def _shown(run: CiRun) -> dict[str, Any]:
    return {
        **run.model_dump(mode="json", exclude={"artifacts"}),
        "artifacts": {path: content.decode(errors="replace") for path, content in run.artifacts.items()},
    }
