"""Around every request: safe headers, a log without secrets, and words instead of a broken page."""

import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",  # the address is a person's key
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Guarded:
    """Wraps an application; `broken` makes the page that is shown when nobody foresaw what happened."""

    def __init__(self, app: ASGIApp, broken: Callable[[], Response]) -> None:
        """Guard this application."""
        self._app = app
        self._broken = broken

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 0

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(message)
            await send(message)

        try:
            await self._served(scope, receive, sent, started=lambda: status > 0)
        finally:
            milliseconds = round(1000 * (time.monotonic() - began))
            _log.info(
                "web request",
                method=scope["method"],
                page=_page(scope),
                status=status,
                milliseconds=milliseconds,
            )

    async def _served(self, scope: Scope, receive: Receive, send: Send, *, started: Callable[[], bool]) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception:
            _log.exception("web request failed", page=_page(scope))
            if started():
                raise
            answer: Callable[[Scope, Receive, Send], Awaitable[None]] = self._broken()
            await answer(scope, receive, send)


def _add_headers(message: Message) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("Cache-Control", "no-store")


def _page(scope: Scope) -> str:
    """Name the page without the link's token."""
    first = str(scope["path"]).split("/")[1:2]
    return f"/{first[0]}" if first and first[0] in {"g", "reports", "static", "healthz"} else "other"
