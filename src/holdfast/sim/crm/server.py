"""The portal over HTTP: webhook addresses, parameters in any of PHP's forms, and the front before it."""

import json
import socket
import struct
import time
from typing import Any
from weakref import WeakKeyDictionary

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from holdfast.sim.crm.errors import RestError
from holdfast.sim.crm.methods import METHODS
from holdfast.sim.crm.php import Params, as_object, nest, parse_query
from holdfast.sim.crm.portal import BATCH, Portal
from holdfast.sim.crm.settings import CrmSettings
from holdfast.sim.serving import add_monitoring

_RESET_AT_ONCE = struct.pack("ii", 1, 0)
_BUCKETS = (
    0.02,
    0.03,
    0.04,
    0.05,
    0.06,
    0.08,
    0.1,
    0.125,
    0.15,
    0.2,
    0.25,
    0.3,
    0.4,
    0.5,
    0.75,
    1,
    1.5,
    2,
    3,
    5,
)
_LIMIT_STATUSES = frozenset({429, 503})


class CrmTelemetry:
    """What the portal tells Prometheus."""

    def __init__(self, registry: CollectorRegistry, portal: Portal) -> None:
        self._requests = Counter(
            "crm_requests", "Requests answered by the portal", ["method", "status"], registry=registry
        )
        self._durations = Histogram(
            "crm_request_duration_seconds", "From request to answer", buckets=_BUCKETS, registry=registry
        )
        self._limited = Counter("crm_rate_limited", "Requests refused by a limit", registry=registry)
        gauge = Gauge("crm_concurrent_requests", "Requests at work or queued", registry=registry)
        gauge.set_function(lambda: portal.workers.present)

    def record(self, method: str, status: int, seconds: float) -> None:
        """Count one request under its method and HTTP status."""
        known = method if method in METHODS or method == BATCH else "unknown"
        self._requests.labels(known, str(status)).inc()
        self._durations.observe(seconds)
        if status in _LIMIT_STATUSES:
            self._limited.inc()


class Front:
    """The balancer before the portal, which forgets idle connections and tells nobody.

    Args:
        idle_drop_seconds: how long a connection may be idle; 0 forgets none.
    """

    def __init__(self, idle_drop_seconds: float) -> None:
        self._limit = idle_drop_seconds
        self._idle_since: WeakKeyDictionary[object, float] = WeakKeyDictionary()

    def has_forgotten(self, request: web.Request) -> bool:
        """Whether the request came over a connection that was idle for too long; it is then reset."""
        since = self._idle_since.get(request.transport)
        if not self._limit or since is None or time.monotonic() - since <= self._limit:
            return False
        if request.transport is not None:
            connection = request.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_ONCE)
            request.transport.abort()
        return True

    def answered(self, request: web.Request) -> None:
        """Start the connection's idle time anew."""
        if request.transport is not None:
            self._idle_since[request.transport] = time.monotonic()


class RestApi:
    """`/rest/{user}/{code}/{method}`, with or without `.json`."""

    def __init__(self, portal: Portal, settings: CrmSettings, registry: CollectorRegistry) -> None:
        self._portal = portal
        self._webhook = (str(settings.user), settings.code)
        self._front = Front(settings.idle_drop_seconds)
        self._telemetry = CrmTelemetry(registry, portal)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request."""
        if self._front.has_forgotten(request):
            return web.Response(status=499)
        began, method = time.monotonic(), request.match_info["method"].removesuffix(".json")
        try:
            status, body = 200, await self._answer(request, method)
        except RestError as error:
            status, body = error.status, error.body
        self._telemetry.record(method, status, time.monotonic() - began)
        self._front.answered(request)
        return web.json_response(body, status=status)

    async def _answer(self, request: web.Request, method: str) -> dict[str, Any]:
        if (request.match_info["user"], request.match_info["code"]) != self._webhook:
            raise RestError(401, "NO_AUTH_FOUND", "Wrong authorization data")
        return await self._portal.answer(method, await _params(request))


async def _params(request: web.Request) -> Params:
    params = parse_query(request.rel_url.raw_query_string)
    if request.content_type == "application/json":
        try:
            text = await request.text()
            return params | as_object(json.loads(text) if text else {})
        except ValueError:
            return params
    if request.content_type in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        form = await request.post()
        return params | nest((name, value) for name, value in form.items() if isinstance(value, str))
    return params


def build(settings: CrmSettings) -> web.Application:
    """Make the application of one portal."""
    registry = CollectorRegistry()
    api = RestApi(Portal(settings), settings, registry)
    app = web.Application(client_max_size=8 * 1024 * 1024)
    app.router.add_route("*", "/rest/{user}/{code}/{method}", api.handle)
    app.router.add_route("*", "/rest/{user}/{code}/{method}/", api.handle)
    add_monitoring(app, registry)
    return app
