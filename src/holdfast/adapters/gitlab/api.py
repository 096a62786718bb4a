"""Speaks GitLab's REST v4 for one project: the token, errors in our words, pages."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final, NoReturn, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from holdfast.domain.errors import InvalidInput, Unavailable
from holdfast.runbook.systems import GitLabSystem, Secret

TIMEOUT: Final = timedelta(seconds=10)
_PAGE_SIZE: Final = 100
_ASK_LATER: Final = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.CONFLICT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
}
_LONGEST_ANSWER_SHOWN: Final = 300

T = TypeVar("T")
Params = Mapping[str, str | int]


class Missing(InvalidInput):
    """GitLab has nothing at this address, or does not show it to this token."""


class Forbidden(InvalidInput):
    """The token's role does not reach that far."""


class Project:
    """Requests to one project over one connection; see `GitLabApi.project`."""

    def __init__(self, name: str, system: GitLabSystem, token: str, client: httpx.AsyncClient) -> None:
        self._name = name
        self._system = system
        self._token = token
        self._client = client
        base = str(system.url).rstrip("/")
        self._base = f"{base}/api/v4/projects/{quote(system.project, safe='')}"

    async def get(self, path: str, model: TypeAdapter[T], params: Params | None = None) -> T:
        """Return what is at a path below the project."""
        return self._read(await self._call("GET", path, params=params), model)

    async def post(self, path: str, model: TypeAdapter[T], body: Mapping[str, Any] | None = None) -> T:
        """Send and return the answer."""
        return self._read(await self._call("POST", path, body=body), model)

    async def content(self, path: str) -> bytes:
        """Return a file."""
        return (await self._call("GET", path)).content

    async def pages(
        self, path: str, model: TypeAdapter[list[T]], params: Params, *, most: int
    ) -> AsyncGenerator[T]:
        """Yield the rows of a list, page by page, at most so many."""
        page, count = "1", 0
        while page and count < most:
            response = await self._call("GET", path, params={**params, "per_page": _PAGE_SIZE, "page": page})
            for row in self._read(response, model)[: most - count]:
                count += 1
                yield row
            page = response.headers.get("X-Next-Page", "")

    async def _call(
        self, method: str, path: str, *, params: Params | None = None, body: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        try:
            response = await self._client.request(
                method,
                self._base + path,
                params=params,
                json=body,
                headers={"PRIVATE-TOKEN": self._token},
            )
        except httpx.RequestError as error:
            why = str(error) or type(error).__name__
            raise Unavailable(f"GitLab of pipeline '{self._name}' does not answer: {why}") from error
        if not response.is_success:
            self._refuse(response)
        return response

    def _read(self, response: httpx.Response, model: TypeAdapter[T]) -> T:
        try:
            return model.validate_json(response.content)
        except ValidationError:
            said = self._own_words(response)
            raise Unavailable(f"GitLab of pipeline '{self._name}' answers something else: {said}") from None

    def _refuse(self, response: httpx.Response) -> NoReturn:
        status = response.status_code
        who = f"GitLab of pipeline '{self._name}'"
        said = f"HTTP {status}: {self._own_words(response)}"
        if response.is_redirect:
            there = response.headers.get("Location", "")
            raise InvalidInput(f"{who} sends elsewhere ({status}, {there}): correct 'url' in systems.yaml")
        if status == HTTPStatus.UNAUTHORIZED:
            raise InvalidInput(f"{who} refuses the token ({said}): renew what 'token' in systems.yaml names")
        if status == HTTPStatus.FORBIDDEN:
            raise Forbidden(
                f"{who} does not allow this to the token ({said}): give what 'token' in systems.yaml names "
                "the scope 'api' and the role that may run pipelines"
            )
        if status == HTTPStatus.NOT_FOUND:
            raise Missing(
                f"{who} has no such thing ({said}): check 'project' ({self._system.project}) in systems.yaml, "
                "and that the token may see it"
            )
        if "Reference not found" in response.text:
            raise InvalidInput(
                f"{who} has no branch or tag for 'ref' ({self._system.ref}): correct it in systems.yaml"
            )
        if response.is_client_error and status not in _ASK_LATER:
            raise InvalidInput(f"{who} refuses ({said})")
        raise Unavailable(f"{who} has trouble ({said})", retry_after_seconds=_retry_after(response))

    def _own_words(self, response: httpx.Response) -> str:
        """Return what GitLab says, on one line, not too long, and never the token."""
        said = " ".join(response.text.split()).replace(self._token, "***")
        return said if len(said) <= _LONGEST_ANSWER_SHOWN else said[:_LONGEST_ANSWER_SHOWN] + "…"


class GitLabApi:
    """Opens connections to projects; holds none in between, so that none can have gone stale."""

    def __init__(self, reveal: Callable[[Secret], str], *, timeout: timedelta = TIMEOUT) -> None:
        self._reveal = reveal
        self._timeout_seconds = timeout.total_seconds()
        self._tls = httpx.create_ssl_context()  # reads the trusted certificates, slow enough to do it once

    @asynccontextmanager
    async def project(self, name: str, system: GitLabSystem) -> AsyncGenerator[Project]:
        """Open one connection for a few requests in a row; redirects are not followed, the token stays here."""
        async with httpx.AsyncClient(verify=self._tls, timeout=self._timeout_seconds) as client:
            yield Project(name, system, self._reveal(system.token), client)


def _retry_after(response: httpx.Response) -> float | None:
    """Return for how many seconds GitLab wants to be left alone; None where it does not say."""
    if (wait := response.headers.get("Retry-After", "")).isdigit():
        return float(wait)
    if (moment := response.headers.get("RateLimit-Reset", "")).isdigit():
        return max(1.0, int(moment) - datetime.now(UTC).timestamp())
    return None
