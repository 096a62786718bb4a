"""Speaks the versioned configuration API of a target: one version for all its parts, conditional writes."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

import httpx
from pydantic import BaseModel, HttpUrl, TypeAdapter, ValidationError

from holdfast.domain.errors import ChangeConflict, InvalidInput, Unavailable, UnknownName

TIMEOUT: Final = timedelta(seconds=5)

# Client errors by their number, but about the moment and not about what was asked.
_ASK_LATER: Final = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_LONGEST_ANSWER_SHOWN: Final = 300


def no_token(endpoint: str) -> str:  # noqa: ARG001  that of no endpoint
    """Return no token for any endpoint."""
    return ""


class ConfigState(BaseModel):
    """The whole configuration of a target.

    Attributes:
        version: grows with every write to any part.
        stable, canary: all settings of either side.
    """

    version: int
    stable: dict[str, Any]
    canary: dict[str, Any]
    canary_share_percent: int


class ConfigApi:
    """Reads and writes configurations by endpoint name; holds no connection between calls.

    Calls are rare and may be days apart: a connection of its own for each cannot have gone stale, so a failed
    call means that the target has trouble now.
    """

    def __init__(
        self,
        endpoints: Mapping[str, str],
        *,
        token: Callable[[str], str] = no_token,
        timeout: timedelta = TIMEOUT,
    ) -> None:
        """Know these endpoints; a call takes at most `timeout`.

        Args:
            endpoints: base URL by name.
            token: what an endpoint of this name is shown as `Authorization: Bearer …`; empty for none. Asked
                at each call.
            timeout: how long a call may take.

        Raises:
            InvalidInput: a base URL is no HTTP address.
        """
        self._endpoints = {name: _checked(name, url) for name, url in endpoints.items()}
        self._token = token
        self._timeout_seconds = timeout.total_seconds()
        self._tls = httpx.create_ssl_context()  # reads the trusted certificates, slow enough to do it once

    async def get(self, endpoint: str) -> ConfigState:
        """Return the configuration as it is.

        Raises:
            UnknownName: no such endpoint.
            InvalidInput: the target refuses the request; the text is its own.
            Unavailable: it does not answer, or not with a configuration.
        """
        return await self._call(endpoint, "GET", "/config")

    async def put(self, endpoint: str, part: str, body: Mapping[str, Any]) -> ConfigState:
        """Write one part and return the whole new configuration.

        Args:
            endpoint: the target's name.
            part: the last segment of the address: `stable`, `canary` or `share`.
            body: has `expected_version` and `key`, and what to write.

        Raises:
            ChangeConflict: the target is at another version; nothing was written.
            InvalidInput: the target refuses the values; the text is its own.
            Unavailable: as for `get`; whether it wrote is not known.
        """
        return await self._call(endpoint, "PUT", f"/config/{part}", body)

    async def _call(
        self, endpoint: str, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> ConfigState:
        if endpoint not in self._endpoints:
            raise UnknownName("endpoint", endpoint, self._endpoints)
        url, headers = self._endpoints[endpoint] + path, _authorization(endpoint, self._token(endpoint))
        try:
            # Redirects are not followed: a token is for the address that was reviewed.
            client = httpx.AsyncClient(verify=self._tls, follow_redirects=False)
            async with asyncio.timeout(self._timeout_seconds), client:
                response = await client.request(method, url, json=body, headers=headers)
        except TimeoutError:
            raise Unavailable(f"endpoint '{endpoint}' did not answer in {self._timeout_seconds:g} s") from None
        except httpx.RequestError as error:
            why = str(error) or type(error).__name__
            raise Unavailable(f"endpoint '{endpoint}' does not answer: {why}") from error
        return _read(endpoint, response)


def _authorization(endpoint: str, token: str) -> dict[str, str]:
    if not token:
        return {}
    if not (token.isascii() and token.isprintable()):
        raise InvalidInput(
            f"the token of endpoint '{endpoint}' has characters that no token has: look at its file"
        )
    return {"Authorization": f"Bearer {token}"}


def _checked(endpoint: str, url: str) -> str:
    try:
        TypeAdapter(HttpUrl).validate_python(url)
    except ValidationError as error:
        why = error.errors()[0]["msg"]
        raise InvalidInput(f"the address of endpoint '{endpoint}' is no HTTP address: {why}") from None
    return url.rstrip("/")


def _read(endpoint: str, response: httpx.Response) -> ConfigState:
    if response.status_code == HTTPStatus.OK:
        return _state(endpoint, response)
    said = f"HTTP {response.status_code}: {_own_words(response)}"
    if response.status_code == HTTPStatus.CONFLICT:
        raise ChangeConflict(f"endpoint '{endpoint}' was changed by somebody else meanwhile ({said})")
    if response.is_client_error and response.status_code not in _ASK_LATER:
        raise InvalidInput(f"endpoint '{endpoint}' refuses: {said}")
    raise Unavailable(f"endpoint '{endpoint}' has trouble: {said}")


def _state(endpoint: str, response: httpx.Response) -> ConfigState:
    try:
        return ConfigState.model_validate_json(response.content)
    except ValidationError:
        raise Unavailable(
            f"endpoint '{endpoint}' did not answer with a configuration: {_own_words(response)}"
        ) from None


def _own_words(response: httpx.Response) -> str:
    """Return what the target says, on one line and not too long."""
    said = " ".join(response.text.split())
    return said if len(said) <= _LONGEST_ANSWER_SHOWN else said[:_LONGEST_ANSWER_SHOWN] + "…"
