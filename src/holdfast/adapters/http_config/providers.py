from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, Literal, get_args

from holdfast.adapters.http_config.api import TIMEOUT, ConfigApi, ConfigState, no_token
from holdfast.domain.errors import InvalidInput, UnknownName
from holdfast.domain.journal import Effect, TargetState, Write
from holdfast.ports.changes import Progress

_Side = Literal["stable", "canary"]
_SIDES: Final[tuple[_Side, ...]] = get_args(_Side)
_SHARE: Final = "share"
_WHOLE_PERCENT: Final = 100


class _OverHttp:
    """What both kinds of change have in common: one API, and values that replace those of the same name."""

    def __init__(
        self,
        endpoints: Mapping[str, str],
        *,
        token: Callable[[str], str] = no_token,
        timeout: timedelta = TIMEOUT,
    ) -> None:
        """Reach targets at these base URLs, by endpoint name, with the token that is got for that name."""
        self._api = ConfigApi(endpoints, token=token, timeout=timeout)

    async def foresee(self, effect: Effect, state: TargetState) -> dict[str, Any]:
        """Return the values with those of the effect in place."""
        return {**state.values, **effect.values}


class HttpConfigProvider(_OverHttp):
    """Changes of kind `http_config`: the settings of the parts `stable` and `canary`. See `ports.changes`."""

    async def read(self, endpoint: str, part: str) -> TargetState:
        """Return all settings of one side."""
        side = _side(part)
        return _settings(await self._api.get(endpoint), side)

    async def write(self, write: Write, progress: Progress) -> TargetState:  # noqa: ARG002  one request, at once done
        """Replace all settings of one side."""
        side = _side(write.effect.part)
        body = {"expected_version": write.version, "settings": write.goal, "key": write.key}
        return _settings(await self._api.put(write.effect.endpoint, side, body), side)


class CanaryShareProvider(_OverHttp):
    """Changes of kind `canary_share`: part `share`, values `{"percent": 0…100}`. See `ports.changes`."""

    async def read(self, endpoint: str, part: str) -> TargetState:
        """Return which percentage of the traffic the canary gets."""
        _check_share(part)
        return _share(await self._api.get(endpoint))

    async def write(self, write: Write, progress: Progress) -> TargetState:  # noqa: ARG002  one request, at once done
        """Set which percentage of the traffic the canary gets."""
        _check_share(write.effect.part)
        body = {"expected_version": write.version, "percent": _percent(write.goal), "key": write.key}
        return _share(await self._api.put(write.effect.endpoint, write.effect.part, body))


def _side(part: str) -> _Side:
    for side in _SIDES:
        if part == side:
            return side
    raise UnknownName("part of http_config", part, _SIDES)


def _check_share(part: str) -> None:
    if part != _SHARE:
        raise UnknownName("part of canary_share", part, [_SHARE])


def _settings(state: ConfigState, side: _Side) -> TargetState:
    return TargetState(version=state.version, values=state.stable if side == "stable" else state.canary)


def _share(state: ConfigState) -> TargetState:
    return TargetState(version=state.version, values={"percent": state.canary_share_percent})


def _percent(values: dict[str, Any]) -> int:
    percent = values.get("percent")
    if set(values) != {"percent"} or type(percent) is not int or not 0 <= percent <= _WHOLE_PERCENT:
        raise InvalidInput(
            f"canary_share takes {{'percent': 0…100}}, a whole number, and nothing else; got {values}"
        )
    return percent
