from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, Literal, get_args

from holdfast.adapters.http_config.api import TIMEOUT, ConfigApi, ConfigState
from holdfast.domain.errors import InvalidInput, UnknownName
from holdfast.domain.journal import TargetState

_Side = Literal["stable", "canary"]
_SIDES: Final[tuple[_Side, ...]] = get_args(_Side)
_SHARE: Final = "share"
_WHOLE_PERCENT: Final = 100


class HttpConfigProvider:
    """Changes of kind `http_config`: the settings of the parts `stable` and `canary`. See `ports.changes`."""

    def __init__(self, endpoints: Mapping[str, str], *, timeout: timedelta = TIMEOUT) -> None:
        """Reach targets at these base URLs, by endpoint name."""
        self._api = ConfigApi(endpoints, timeout=timeout)

    async def read(self, endpoint: str, part: str) -> TargetState:
        """Return all settings of one side."""
        side = _side(part)
        return _settings(await self._api.get(endpoint), side)

    async def write(
        self, endpoint: str, part: str, values: dict[str, Any], *, expected_version: int, key: str
    ) -> TargetState:
        """Replace all settings of one side."""
        side = _side(part)
        body = {"expected_version": expected_version, "settings": values, "key": key}
        return _settings(await self._api.put(endpoint, side, body), side)


class CanaryShareProvider:
    """Changes of kind `canary_share`: part `share`, values `{"percent": 0…100}`. See `ports.changes`."""

    def __init__(self, endpoints: Mapping[str, str], *, timeout: timedelta = TIMEOUT) -> None:
        """Reach targets at these base URLs, by endpoint name."""
        self._api = ConfigApi(endpoints, timeout=timeout)

    async def read(self, endpoint: str, part: str) -> TargetState:
        """Return which percentage of the traffic the canary gets."""
        _check_share(part)
        return _share(await self._api.get(endpoint))

    async def write(
        self, endpoint: str, part: str, values: dict[str, Any], *, expected_version: int, key: str
    ) -> TargetState:
        """Set which percentage of the traffic the canary gets."""
        _check_share(part)
        body = {"expected_version": expected_version, "percent": _percent(values), "key": key}
        return _share(await self._api.put(endpoint, part, body))


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
