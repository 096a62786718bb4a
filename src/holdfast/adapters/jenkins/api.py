"""Speaks Jenkins' remote access API and turns its refusals into errors that people can act on."""

import asyncio
import html
import re
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import urljoin, urlsplit

import httpx
from pydantic import BaseModel, ValidationError

from holdfast.adapters.jenkins.shapes import Crumb
from holdfast.domain.errors import InvalidInput, Unavailable
from holdfast.runbook.systems import JenkinsSystem, Secret

TIMEOUT: Final = timedelta(seconds=10)

# Client errors by their number, but about the moment and not about what was asked.
_ASK_LATER: Final = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_ELSEWHERE: Final = {
    HTTPStatus.MOVED_PERMANENTLY,
    HTTPStatus.TEMPORARY_REDIRECT,
    HTTPStatus.PERMANENT_REDIRECT,
}
_LONGEST_ANSWER_SHOWN: Final = 300
_HEADERS_READ: Final = ("Content-Type", "Location", "Retry-After")

_UNSEEN: Final = re.compile(r"<(script|style|head)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>", re.DOTALL | re.IGNORECASE)
_JETTY_MESSAGE: Final = re.compile(r"MESSAGE:</th><td>(.*?)</td>", re.DOTALL)

Shape = TypeVar("Shape", bound=BaseModel)


class NotThere(InvalidInput):
    """Jenkins has no such thing, or does not show it to our user."""


class JenkinsApi:
    """One Jenkins, spoken to with basic authentication; holds no connection between calls.

    Credentials go to its own address only: a redirect is not followed, except by `download` and then without
    them.
    """

    def __init__(
        self,
        name: str,
        system: JenkinsSystem,
        reveal: Callable[[Secret], str],
        *,
        timeout: timedelta,
        tls: ssl.SSLContext,
    ) -> None:
        """Reach the Jenkins of this name in `systems.yaml`; a call takes at most `timeout`.

        Raises:
            InvalidInput: the address has a password in it.
        """
        if system.url.username or system.url.password:
            raise InvalidInput(f"url of Jenkins '{name}': take the user out of it; give 'user' and 'token'")
        self._name = name
        self._system = system
        self._reveal = reveal
        self._timeout_seconds = timeout.total_seconds()
        self._tls = tls
        self.base = str(system.url).rstrip("/")

    async def get(self, path: str, shape: type[Shape], what: str, *, tree: str) -> Shape:
        """Return what is at an address, read into its shape.

        Args:
            path: below Jenkins' address, without `/api/json`.
            shape: how it has to look.
            what: for people: `job 'shop/deploy'`.
            tree: the fields that are wanted.

        Raises:
            NotThere: there is no such thing.
            InvalidInput: Jenkins refuses the request.
            Unavailable: it does not answer, or not with this shape.
        """
        response = await self._send("GET", f"{path}/api/json", params={"tree": tree})
        if response.status_code != HTTPStatus.OK:
            raise self.refusal(response, what)
        try:
            return shape.model_validate_json(response.content)
        except ValidationError:
            words = _own_words(response)
            raise Unavailable(f"Jenkins '{self._name}' did not answer with its {what}, but: {words}") from None

    async def post(
        self, path: str, *, params: Mapping[str, str] | None = None, form: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Return the answer to a POST, whatever it is.

        Raises:
            Unavailable: there was none; whether it was taken is not known.
        """
        return await self._send("POST", path, params=params, form=form)

    async def download(self, path: str, what: str, *, limit_bytes: int) -> bytes | None:
        """Return a file, or None where it is longer than the limit.

        Raises:
            NotThere: there is no such file.
            InvalidInput: Jenkins refuses the request.
            Unavailable: it does not answer.
        """
        url = self.base + path
        async with self._connected() as client:
            async with client.stream("GET", url) as response:
                if not response.has_redirect_location:
                    return await self._content(response, what, limit_bytes)
                elsewhere = _target(response, url)
            # Artefacts may lie in a store with addresses that are signed; our credentials are not for it.
            async with client.stream("GET", elsewhere, auth=None) as response:
                return await self._content(response, what, limit_bytes)

    def refusal(self, response: httpx.Response, what: str) -> InvalidInput | Unavailable:
        """Return the error that this answer to a request for something means."""
        said = f"HTTP {response.status_code}: {_own_words(response)}"
        user = self._system.user
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            return InvalidInput(
                f"Jenkins '{self._name}' does not know user '{user}' with this token ({said}): make an API "
                f"token for the user in Jenkins and put it where 'token' points"
            )
        if response.status_code == HTTPStatus.NOT_FOUND:
            return NotThere(
                f"Jenkins '{self._name}' has no {what}, or user '{user}' may not see it ({said}): check it "
                f"and 'url' in systems.yaml"
            )
        if response.has_redirect_location:
            host = urlsplit(_target(response, self.base)).netloc.rpartition("@")[2] or "nowhere"
            return InvalidInput(
                f"Jenkins '{self._name}' sends requests for {what} elsewhere, to {host} (HTTP "
                f"{response.status_code}): give in 'url' the address at which Jenkins itself answers"
            )
        if response.is_client_error and response.status_code not in _ASK_LATER:
            return InvalidInput(f"Jenkins '{self._name}' refuses {what} to user '{user}': {said}")
        return Unavailable(
            f"Jenkins '{self._name}' has trouble with {what}: {said}",
            retry_after_seconds=_retry_after_seconds(response),
        )

    def leads_away(self, response: httpx.Response) -> bool:
        """Whether a redirect is somebody else's (a proxy's, a login page's), so that Jenkins did not act."""
        if not response.has_redirect_location:
            return False
        target = urlsplit(_target(response, self.base))
        elsewhere = target.netloc != urlsplit(self.base).netloc or "login" in target.path.lower()
        return elsewhere or response.status_code in _ELSEWHERE

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        url = self.base + path
        async with self._connected() as client:
            response = await client.request(method, url, params=params, data=form)
            if response.status_code == HTTPStatus.FORBIDDEN and "No valid crumb" in response.text:
                # Only where 'token' is a password: Jenkins asks it with a session and a crumb of that session.
                headers = await self._crumb(client)
                response = await client.request(method, url, params=params, data=form, headers=headers)
        return response

    async def _crumb(self, client: httpx.AsyncClient) -> dict[str, str]:
        response = await client.get(f"{self.base}/crumbIssuer/api/json")
        try:
            crumb = Crumb.model_validate_json(response.content)
        except ValidationError:
            raise self.refusal(response, "crumb against forged requests") from None
        return {crumb.crumbRequestField: crumb.crumb}

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[httpx.AsyncClient]:
        auth = httpx.BasicAuth(self._system.user, self._reveal(self._system.token))
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                httpx.AsyncClient(auth=auth, verify=self._tls, timeout=self._timeout_seconds) as client,
            ):
                yield client
        except TimeoutError:
            raise Unavailable(f"Jenkins '{self._name}' did not answer in {self._timeout_seconds:g} s") from None
        except (httpx.RequestError, httpx.InvalidURL) as error:
            why = str(error) or type(error).__name__
            raise Unavailable(f"Jenkins '{self._name}' does not answer: {why}") from error

    async def _content(self, response: httpx.Response, what: str, limit_bytes: int) -> bytes | None:
        content = bytearray()
        async for piece in response.aiter_bytes():
            content += piece
            if len(content) > limit_bytes:
                return None
        if response.status_code != HTTPStatus.OK:
            kept = {name: response.headers[name] for name in _HEADERS_READ if name in response.headers}
            raise self.refusal(httpx.Response(response.status_code, headers=kept, content=bytes(content)), what)
        return bytes(content)


def _target(response: httpx.Response, base: str) -> str:
    """Return where a redirect leads; empty where its address is none."""
    try:
        return urljoin(base, response.headers["Location"])
    except ValueError:
        return ""


def _own_words(response: httpx.Response) -> str:
    """Return what Jenkins says, on one line and not too long; its errors are pages for browsers."""
    said = response.text
    if message := _JETTY_MESSAGE.search(said):
        said = message[1]
    elif "html" in response.headers.get("Content-Type", "") or said.lstrip().startswith("<"):
        said = _UNSEEN.sub(" ", said)
    said = " ".join(html.unescape(said).split())
    return said if len(said) <= _LONGEST_ANSWER_SHOWN else said[:_LONGEST_ANSWER_SHOWN] + "…"


def _retry_after_seconds(response: httpx.Response) -> float | None:
    """Return how long we are asked to wait: `Retry-After` is a number of seconds or a date."""
    given = response.headers.get("Retry-After", "").strip()
    if given.isdecimal():
        return float(given)
    try:
        at = parsedate_to_datetime(given)
    except ValueError:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
