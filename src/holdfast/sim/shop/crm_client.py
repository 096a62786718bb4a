"""The shop's own connection to the CRM: one TCP connection each, kept between requests, never retried."""

import asyncio
import json
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import aiohttp

from holdfast.sim.shop.message_log import MessageLog
from holdfast.sim.shop.metrics import CallResult, CrmFailureKind, CrmPart, SideMetrics

_OK, _TOO_MANY, _BUSY, _SERVER_ERRORS = 200, 429, 503, 500
_NEVER_SECONDS = 24 * 3600.0
_WRITES = frozenset({"crm.item.add", "crm.item.update", "crm.timeline.comment.add"})
_PARTS: Mapping[int, CrmPart] = MappingProxyType({1: "crm-leads", 2: "crm-deals", 3: "crm-contacts"})
_MESSAGES: Mapping[CrmPart, str] = MappingProxyType(
    {
        "crm-leads": "crm.lead",
        "crm-deals": "crm.deal",
        "crm-contacts": "crm.contact",
        "crm-timeline": "crm.comment",
    }
)
_LIMITS: Mapping[str, CrmFailureKind] = MappingProxyType(
    {"OPERATION_TIME_LIMIT": "operation_limit", "QUERY_LIMIT_EXCEEDED": "query_limit"}
)


class CrmFailure(Exception):
    """The CRM did not do what it was asked, or nobody knows whether it did; `kind` says how it failed."""

    def __init__(self, message: str, kind: CrmFailureKind) -> None:
        super().__init__(message)
        self.kind: CrmFailureKind = kind


class CrmNotFound(CrmFailure):
    """The CRM has no such item."""


class CrmBusy(CrmFailure):
    """One of the CRM's own limits refused the call."""


class StaleConnection(CrmFailure):
    """A connection that was kept idle turned out to be dead; whether the CRM saw the call is not known."""


class CrmConnection:
    """One connection; opened by the first call.

    Args:
        webhook_url: base address with the secret, without a slash at the end.
        timeout_seconds: how long a call may take.
    """

    def __init__(self, webhook_url: str, timeout_seconds: float) -> None:
        self.broken = False
        self.idle_since = 0.0
        self._used = False
        self._url = webhook_url
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1, keepalive_timeout=_NEVER_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=timeout_seconds),
        )

    async def close(self) -> None:
        """Close the connection."""
        await self._session.close()

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        """Call a method of the CRM and return its `result`.

        Raises:
            CrmFailure: one of its kinds; after any but a refusal the connection is broken.
        """
        try:
            status, body = await self._post(method, params)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            self.broken = True
            kind = StaleConnection if self._used else CrmFailure
            raise kind(f"{method}: the connection broke ({type(error).__name__})", "dropped") from error
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self.broken = True
            how: CrmFailureKind = "timeout" if isinstance(error, TimeoutError) else "server_error"
            raise CrmFailure(f"{method}: {type(error).__name__}", how) from error
        except asyncio.CancelledError:
            self.broken = True  # the answer is still under way
            raise
        self._used = True
        return _result(method, status, body)

    async def _post(self, method: str, params: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        async with self._session.post(f"{self._url}/{method}", json=params) as response:
            return response.status, await response.json()


class CrmSession:
    """A leased connection whose calls count for one side."""

    def __init__(
        self, connection: CrmConnection, metrics: SideMetrics, messages: MessageLog | None = None
    ) -> None:
        self._connection = connection
        self._metrics = metrics
        self._messages = messages or MessageLog()

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        """Call a method, measure the time on the wire; errors as for `CrmConnection.call`."""
        began, part = time.perf_counter(), _part_of(params)
        result: CallResult = "abandoned"  # unless an answer comes
        name = _MESSAGES[part] if method in _WRITES else f"{_MESSAGES[part]}.read"
        try:
            with self._messages.exchange(name, "shop", part, len(json.dumps(params))):
                answer = await self._connection.call(method, params)
            result = "ok"
        except CrmFailure as error:
            result = self._failed(method, error)
            raise
        else:
            return answer
        finally:
            self._metrics.crm_call(method, time.perf_counter() - began)
            self._metrics.edge("shop", part, result)
            if method in _WRITES:
                self._metrics.synced(failed=result == "error")

    def _failed(self, method: str, error: CrmFailure) -> CallResult:
        if isinstance(error, CrmNotFound) and method not in _WRITES:
            return "ok"  # asked for what is not there, the CRM said so
        if isinstance(error, StaleConnection):
            self._metrics.stale_connections.inc()
        self._metrics.crm_failed(error.kind)
        return "error"


def _part_of(params: dict[str, Any]) -> CrmPart:
    return _PARTS.get(params.get("entityTypeId", 0), "crm-timeline")


def _result(method: str, status: int, body: dict[str, Any]) -> Any:
    if status == _OK and "error" not in body:
        return body["result"]
    code = str(body.get("error", ""))
    message = f"{method}: {status} {code}"
    if code == "NOT_FOUND":
        raise CrmNotFound(message, "refused")
    kind = _LIMITS.get(code, "server_error" if status >= _SERVER_ERRORS else "refused")
    raise (CrmBusy if status in (_TOO_MANY, _BUSY) else CrmFailure)(message, kind)
