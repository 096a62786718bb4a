"""`/config`: what a change provider talks to."""

from typing import Annotated, Any, cast

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from holdfast.sim.shop.configuration import ConfigState, Configuration, VersionConflict
from holdfast.sim.shop.settings import PERCENT_A_POD, SIDES, Side, SideSettings

_SIDES: dict[str, Side] = {side: side for side in SIDES}
_VERSION = Field(description="give the version that GET /config shows")
_KEY = Field(min_length=1, max_length=200, description="give a text that says who changes this and why")


class _Change(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    expected_version: Annotated[int, _VERSION]
    key: Annotated[str, _KEY]


class _SideChange(_Change):
    settings: Annotated[SideSettings, Field(description="give the whole settings object")]


class _ShareChange(_Change):
    percent: Annotated[
        int,
        Field(
            ge=0,
            le=100,
            multiple_of=PERCENT_A_POD,
            description=f"give 0 to 100 in steps of {PERCENT_A_POD}, one pod each",
        ),
    ]


class ConfigApi:
    """Reads and conditionally writes the configuration."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    def add_routes(self, app: web.Application) -> None:
        """Put the addresses into the application."""
        app.router.add_get("/config", self._get)
        app.router.add_get("/config/log", self._get_log)
        app.router.add_put("/config/share", self._put_share)
        app.router.add_put("/config/{side}", self._put_side)

    async def _get(self, _: web.Request) -> web.Response:
        return _state(self._configuration.state)

    async def _get_log(self, _: web.Request) -> web.Response:
        return web.json_response([entry.model_dump(mode="json") for entry in self._configuration.log])

    async def _put_side(self, request: web.Request) -> web.Response:
        name = request.match_info["side"]
        side = _SIDES.get(name)
        if side is None:
            return _refused(404, "unknown_part", f"there is no part '{name}'; give one of {', '.join(SIDES)}")
        try:
            change = _SideChange.model_validate_json(await request.read())
            state = self._configuration.put_side(
                side, change.settings, expected_version=change.expected_version, key=change.key
            )
        except (ValidationError, VersionConflict) as error:
            return self._explained(error, _SideChange)
        return _state(state)

    async def _put_share(self, request: web.Request) -> web.Response:
        try:
            change = _ShareChange.model_validate_json(await request.read())
            state = self._configuration.put_share(
                change.percent, expected_version=change.expected_version, key=change.key
            )
        except (ValidationError, VersionConflict) as error:
            return self._explained(error, _ShareChange)
        return _state(state)

    def _explained(
        self, error: ValidationError | VersionConflict, model: type[_SideChange | _ShareChange]
    ) -> web.Response:
        if isinstance(error, VersionConflict):
            current = self._configuration.state.model_dump(mode="json")
            return web.json_response({"error": "version_conflict", "current": current}, status=409)
        first = error.errors(include_url=False)[0]
        path = [str(part) for part in first["loc"]]
        field = path[-1] if path else "body"
        remedy = _remedy(first["type"], path, model)
        message = f"{field}: {first['msg'].lower()}; {remedy}"
        return _refused(422, "invalid_settings", message, field=field, remedy=remedy)


def _remedy(problem: str, path: list[str], model: type[BaseModel]) -> str:
    if problem == "json_invalid":
        return "send a JSON object"
    if problem == "extra_forbidden":
        inner = SideSettings if path[:-1] else model
        return f"leave it out; known are {', '.join(inner.model_fields)}"
    known = cast("dict[str, Any]", {**SideSettings.model_fields, **model.model_fields})
    return str(known[path[-1]].description) if path and path[-1] in known else "send a JSON object"


def _state(state: ConfigState) -> web.Response:
    return web.json_response(state.model_dump(mode="json"))


def _refused(status: int, error: str, message: str, **more: str) -> web.Response:
    return web.json_response({"error": error, **more, "message": message}, status=status)
