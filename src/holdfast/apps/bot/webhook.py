"""Takes updates that Telegram posts, where the bot can be reached from outside.

Only a request that comes from Telegram's networks and carries our secret is read. It is answered 200 once the
update is stored, and not before: what is answered otherwise, Telegram sends again.

- 400 for a body that is no JSON: it was damaged on the way, and the next try brings it whole.
- 200 for JSON without an `update_id`: it cannot be stored, and sent again it would only hold up what follows;
  it is counted and logged.
- 503 while the store does not answer.
"""

import asyncio
import hmac
import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from aiogram import Bot
from aiogram.exceptions import TelegramNotFound, TelegramUnauthorizedError
from aiogram.utils.backoff import Backoff, BackoffConfig
from aiohttp import web

from holdfast.apps.bot.metrics import BotMetrics
from holdfast.apps.bot.polling import TELEGRAM_FAILURES, Storing
from holdfast.domain.errors import InvalidInput, Unavailable

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

TELEGRAM_NETWORKS: Final = ("149.154.160.0/20", "91.108.4.0/22")
PATH: Final = "/telegram"
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
_HEADER = "X-Telegram-Bot-Api-Secret-Token"
_MOST_CONNECTIONS = 100
_READ_SECONDS = 10
_SHUTDOWN_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class WebhookSettings:
    """How Telegram reaches the bot.

    Attributes:
        url: what Telegram is told; whatever stands in front of the bot passes it on to `/telegram`.
        secret: 1-256 characters of A-Z, a-z, 0-9, `_` and `-`; Telegram sends it with every update.
        host, port: where the bot listens; 0 for any free port.
        proxies: addresses or networks of our own proxies; `X-Forwarded-For` is believed from them alone.
        networks: who may post updates.
        max_connections: how many updates Telegram posts at the same time, 1-100.
        body_limit: bytes of the longest body that is read.

    Raises:
        InvalidInput: one of them is not valid; the text names it.
    """

    url: str
    secret: str = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 8443
    proxies: tuple[str, ...] = ()
    networks: tuple[str, ...] = TELEGRAM_NETWORKS
    max_connections: int = 40
    body_limit: int = 1024 * 1024

    def __post_init__(self) -> None:
        url = urlsplit(self.url)
        if url.scheme not in {"https", "http"} or not url.hostname:
            raise InvalidInput(
                "webhook url: write where Telegram reaches the bot, https://bot.example.com/telegram"
            )
        if not _SECRET.fullmatch(self.secret):
            raise InvalidInput(
                "webhook secret: 1 to 256 characters of A-Z, a-z, 0-9, _ and - are needed, "
                "e.g. what `openssl rand -hex 32` prints"
            )
        if not 1 <= self.max_connections <= _MOST_CONNECTIONS:
            raise InvalidInput(f"webhook max_connections: 1 to 100, not {self.max_connections}")
        _networks("proxies", self.proxies)
        if not _networks("networks", self.networks):
            raise InvalidInput("webhook networks: nobody could post updates; leave it out for Telegram's own")


class WebhookServer:
    """The HTTP server that Telegram posts to; every process may run one, whoever leads.

    Args:
        settings: where it listens and whom it believes.
        storing: takes what came.
    """

    def __init__(self, settings: WebhookSettings, storing: Storing, *, metrics: BotMetrics) -> None:
        self._settings = settings
        self._storing = storing
        self._metrics = metrics
        self._proxies = _networks("proxies", settings.proxies)
        self._networks = _networks("networks", settings.networks)
        self.port = 0

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Listen within the block; `port` tells where.

        Raises:
            InvalidInput: the port cannot be had.
        """
        app = web.Application(client_max_size=self._settings.body_limit)
        app.router.add_post(PATH, self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._settings.host, self._settings.port)
            try:
                await site.start()
            except OSError as error:
                where = f"{self._settings.host}:{self._settings.port}"
                raise InvalidInput(f"webhook port: cannot listen at {where}: {error.strerror}") from error
            self.port = int(runner.addresses[0][1])
            _log.info("bot_webhook_listens", host=self._settings.host, port=self.port)
            yield
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        try:
            status, why = await self._status(request)
        except web.HTTPRequestEntityTooLarge:
            status, why = 413, f"the body is longer than {self._settings.body_limit} bytes"
        except TimeoutError:
            status, why = 408, f"the body did not arrive within {_READ_SECONDS} seconds"
        self._metrics.webhook_requests.labels(str(status)).inc()
        if why:
            _log.warning("bot_webhook_refused", status=status, reason=why, peer=request.remote)
        return web.Response(status=status)

    async def _status(self, request: web.Request) -> tuple[int, str]:
        """Take the update; the HTTP status, and why it is not taken."""
        if not self._may_post(self._sender(request)):
            return 403, "it does not come from Telegram's networks"
        given = request.headers.get(_HEADER, "")
        if not hmac.compare_digest(given.encode(errors="replace"), self._settings.secret.encode()):
            return 401, "the secret is missing or wrong"
        async with asyncio.timeout(_READ_SECONDS):
            body = await request.read()
        try:
            raw: Any = json.loads(body)
        except (ValueError, RecursionError):
            self._metrics.unidentified.inc()
            return 400, "the body is no JSON"
        try:
            await self._storing.store([raw])
        except Unavailable:
            return 503, "the store does not answer; Telegram sends it again"
        return 200, ""

    def _sender(self, request: web.Request) -> Address | None:
        """Return who sent the request: the peer, or whom our proxy names; None where that is unreadable."""
        peer = _address(request.remote or "")
        if peer is None or not _within(peer, self._proxies):
            return peer
        # Whatever stands left of the right-most foreign address was written by the sender, and may be a lie.
        for word in reversed(",".join(request.headers.getall("X-Forwarded-For", [])).split(",")):
            named = _address(word.strip())
            if named is None or not _within(named, self._proxies):
                return named
        return None

    def _may_post(self, sender: Address | None) -> bool:
        return sender is not None and _within(sender, self._networks)


async def announce(bot: Bot, settings: WebhookSettings, allowed_updates: list[str]) -> None:
    """Tell Telegram where to post updates; waits until Telegram can be reached.

    Raises:
        InvalidInput: Telegram does not accept the token.
    """
    for pause_seconds in Backoff(BackoffConfig(min_delay=1, max_delay=60, factor=2, jitter=0.1)):
        try:
            await bot.set_webhook(
                settings.url,
                secret_token=settings.secret,
                allowed_updates=allowed_updates,
                max_connections=settings.max_connections,
                drop_pending_updates=False,
            )
        except (TelegramUnauthorizedError, TelegramNotFound):
            raise InvalidInput(
                "telegram token: Telegram does not accept it; take a valid one from @BotFather"
            ) from None
        except TELEGRAM_FAILURES as error:
            _log.warning("bot_webhook_not_set", error=type(error).__name__, pause_seconds=round(pause_seconds))
            await asyncio.sleep(pause_seconds)
        else:
            _log.info("bot_webhook_set", host=urlsplit(settings.url).hostname)
            return


def _networks(what: str, written: tuple[str, ...]) -> list[Network]:
    try:
        return [ip_network(word) for word in written]
    except ValueError as error:
        raise InvalidInput(f"webhook {what}: {error}; write addresses or networks like 10.0.0.0/8") from None


def _address(word: str) -> Address | None:
    try:
        address = ip_address(word.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _within(address: Address, networks: list[Network]) -> bool:
    return any(address in network for network in networks)
