"""Puts the parts together and serves them."""

import asyncio
import signal
from collections.abc import AsyncIterator

from aiohttp import web

from holdfast.sim.telegram.api import BotApi
from holdfast.sim.telegram.humanapi import HumanApi
from holdfast.sim.telegram.page import Page
from holdfast.sim.telegram.settings import Settings
from holdfast.sim.telegram.telegram import Telegram
from holdfast.sim.telegram.weather import Weather

_MAX_BODY_BYTES = 50 << 20
_SHUTDOWN_SECONDS = 1.0


def create_app(settings: Settings, weather: Weather | None = None) -> web.Application:
    """The whole server as an aiohttp application; its state is open from start-up to clean-up."""
    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    telegram = Telegram(settings, weather or Weather())

    async def run(_app: web.Application) -> AsyncIterator[None]:
        for bot in telegram.directory.bots:
            telegram.webhooks.wake(bot.id)
        yield
        await telegram.close()

    # Long polls and event streams would otherwise hold the shutdown up until it gives up on them.
    async def stop_waiting(_app: web.Application) -> None:
        telegram.updates.end_all_polls()
        telegram.hub.close()

    async def metrics(_request: web.Request) -> web.Response:
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(body=telegram.telemetry.exposition(), headers=headers)

    async def healthz(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    app.cleanup_ctx.append(run)
    app.on_shutdown.append(stop_waiting)
    app.router.add_route("*", "/bot{token:[^/]*}/{method:[^/]*}", BotApi(telegram).handle)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", healthz)
    app.router.add_routes([*HumanApi(telegram).routes(), *Page(telegram).routes()])
    return app


async def start(app: web.Application, host: str, port: int) -> tuple[web.AppRunner, int]:
    """Listen; the runner to be cleaned up, and the port, which is a free one for port 0."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner, int(runner.addresses[0][1])


async def serve(app: web.Application, host: str, port: int, announce: str) -> None:
    """Serve until the process is told to end; says where on standard output.

    Args:
        app: what to serve.
        host: the address to bind to.
        port: the port, 0 for a free one.
        announce: the line to write, with `{url}` in it.
    """
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    runner, actual_port = await start(app, host, port)
    print(announce.format(url=f"http://{host}:{actual_port}"), flush=True)  # noqa: T201 - the command's output
    try:
        await stopped.wait()
    finally:
        await runner.cleanup()
