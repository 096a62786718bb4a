"""Speaks GitHub's REST API for one repository."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final, TypeVar

import httpx
from pydantic import BaseModel

from holdfast.adapters.github.answers import check, parsed
from holdfast.domain.errors import InvalidInput, Unavailable
from holdfast.runbook.systems import GitHubSystem, Secret

TIMEOUT: Final = timedelta(seconds=10)
# Every GitHub Enterprise Server that is still maintained knows this version.
_API_VERSION: Final = "2022-11-28"
_PER_PAGE: Final = 100  # the most that GitHub gives
_LARGEST_DOWNLOAD_BYTES: Final = 10_000_000

M = TypeVar("M", bound=BaseModel)


class GitHubApi:
    """Calls below `/repos/{owner}/{name}`; holds no connection between calls.

    All methods raise `Unavailable` and `InvalidInput` as `answers.check` does.
    """

    def __init__(
        self,
        name: str,
        system: GitHubSystem,
        reveal: Callable[[Secret], str],
        *,
        timeout: timedelta,
        tls: ssl.SSLContext,
    ) -> None:
        """Speak for the pipeline of this name; a call takes at most `timeout`."""
        self._name = name
        self._base = f"{str(system.url).rstrip('/')}/repos/{system.repository}"
        self._token = system.token
        self._reveal = reveal
        self._timeout_seconds = timeout.total_seconds()
        self._tls = tls

    async def get(self, path: str, model: type[M], params: Mapping[str, str] | None = None) -> M:
        """Return what is at a path below the repository."""
        response = await self._call("GET", path, params=params)
        check(self._name, response)
        return parsed(self._name, response, model)

    async def pages(self, path: str, model: type[M], params: Mapping[str, str]) -> AsyncGenerator[M]:
        """Yield one page of a list after the other, as far as they are asked for."""
        number = 1
        while True:
            asked = {**params, "per_page": str(_PER_PAGE), "page": str(number)}
            response = await self._call("GET", path, params=asked)
            check(self._name, response)
            yield parsed(self._name, response, model)
            if "next" not in response.links:
                return
            number += 1

    async def post(self, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        """Send a request and return its answer unchecked."""
        return await self._call("POST", path, body=body)

    async def download(self, path: str) -> bytes:
        """Return a file, which GitHub keeps at another host."""
        response = await self._call("GET", path)
        if not response.has_redirect_location or response.status_code == HTTPStatus.MOVED_PERMANENTLY:
            check(self._name, response)
            return response.content
        return await self._fetch(response.headers["location"], response.url)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self._checked_token()}",
            "X-GitHub-Api-Version": _API_VERSION,
        }
        try:
            async with asyncio.timeout(self._timeout_seconds), httpx.AsyncClient(verify=self._tls) as client:
                return await client.request(
                    method, self._base + path, params=params, json=body, headers=headers
                )
        except TimeoutError:
            raise self._silent(f"in {self._timeout_seconds:g} s") from None
        except httpx.RequestError as error:
            raise self._silent(f"({str(error) or type(error).__name__})") from error

    async def _fetch(self, location: str, asked: httpx.URL) -> bytes:
        """Read a file from its storage. The address is signed: whoever has it may read, so it is never shown.

        The storage refuses a request that has an `Authorization` beside the signature.
        """
        content = bytearray()
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                httpx.AsyncClient(verify=self._tls) as client,
                client.stream("GET", asked.join(location)) as response,
            ):
                if not response.is_success:
                    raise self._silent(f"with an artefact (its storage says HTTP {response.status_code})")
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > _LARGEST_DOWNLOAD_BYTES:
                        raise self._too_large()
        except (TimeoutError, httpx.InvalidURL, httpx.RequestError) as error:
            raise self._silent(f"with an artefact ({type(error).__name__} at its storage)") from None
        return bytes(content)

    def _checked_token(self) -> str:
        token = self._reveal(self._token).strip()
        # An HTTP library would show what it cannot send.
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise InvalidInput(f"pipeline '{self._name}': its 'token' is empty or has signs that no token has")
        return token

    def _silent(self, why: str) -> Unavailable:
        return Unavailable(f"pipeline '{self._name}': GitHub did not answer {why}")

    def _too_large(self) -> InvalidInput:
        return InvalidInput(
            f"pipeline '{self._name}': the version's artefact has more than {_LARGEST_DOWNLOAD_BYTES} bytes; "
            "let the workflow upload the version's file alone"
        )
