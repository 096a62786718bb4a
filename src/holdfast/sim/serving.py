"""How each stand-in runs as a process of its own: one aiohttp application, `/metrics`, `/healthz`, SIGTERM."""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import uvloop
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest

_LAST_PORT = 65535
_NEVER_SECONDS = 24 * 3600.0


def add_monitoring(app: web.Application, registry: CollectorRegistry) -> None:
    """Give an application `/metrics` (the registry and the process's own CPU and memory) and `/healthz`."""
    ProcessCollector(registry=registry)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", healthz)


@asynccontextmanager
async def running(
    app: web.Application, *, host: str = "127.0.0.1", port: int = 0, notice_disconnects: bool = False
) -> AsyncGenerator[str]:
    """Serve an application; yields its base URL.

    Args:
        app: what to serve.
        host: the address to listen on.
        port: 0 takes any free one.
        notice_disconnects: cancel a request's handler when its client closes the connection.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        handler_cancellation=notice_disconnects,
        keepalive_timeout=_NEVER_SECONDS,
        shutdown_timeout=1,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def run(
    name: str,
    build: Callable[[], web.Application],
    *,
    host: str,
    port: int,
    notice_disconnects: bool = False,
) -> None:
    """Serve until SIGTERM or SIGINT; exits with status 1 and a plain sentence when the port is taken."""

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with running(build(), host=host, port=port, notice_disconnects=notice_disconnects) as url:
            sys.stderr.write(f"{name} listens on {url}\n")
            await stop.wait()

    if not 0 <= port <= _LAST_PORT:
        sys.exit(f"{name} cannot listen on port {port}: ports go up to {_LAST_PORT}")
    try:
        uvloop.run(main())
    except (OSError, OverflowError) as error:
        sys.exit(f"{name} cannot listen on {host}:{port}: {error}. Choose another --port.")
