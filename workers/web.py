"""The role `holdfast web`: shows approvers what is asked, and takes their answers."""

import asyncio
import socket
from collections.abc import Generator
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, datetime
from ipaddress import ip_address

import structlog
import uvicorn

from holdfast.adapters.charts import gate_chart
from holdfast.adapters.email import EmailChannel
from holdfast.apps.web import WebServices, build_app
from holdfast.domain.errors import InvalidInput
from holdfast.domain.links import WebLinks
from workers import channels, sending, storing, wiring
from workers.campaigns import reports
from workers.secrets import keyring
from workers.settings import Settings

log = structlog.get_logger()
_GRACE_SECONDS = 10


class _Server(uvicorn.Server):
    """uvicorn in a loop that is stopped by others, who listen for signals too."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def run_web(settings: Settings) -> None:
    """Serve the web page until cancelled; answers that are under way are brought to their end.

    Raises:
        InvalidInput: the address cannot be listened on, or a setting is wrong.
    """
    keys = keyring(settings)
    with closing(_listening(settings)) as listener:
        url = _url(settings, listener)
        async with storing.store(settings, keys, patiently=True) as store:
            runs = wiring.runs(settings)
            outbox = sending.outbox(settings, store.outbox) if settings.telegram_token else None
            async with reports(lambda: nullcontext(store), runs) as making:
                services = WebServices(
                    runs=runs,
                    people=wiring.library(settings).people,
                    keyring=keys,
                    second_factor=store.second_factor,
                    intents=store.intents,
                    audit=store.audit,
                    links=WebLinks(keys, settings.web_url or url),
                    render_chart=gate_chart,
                    email=_email(settings),
                    channels=channels.private(settings, outbox),
                    campaigns=store.campaigns,
                    reports=making,
                    now=lambda: datetime.now(UTC),
                )
                links = settings.web_url or "none: HOLDFAST_WEB_URL is not set"
                log.info("web ready", listens=url, links=links)
                await _serve(services, listener)


async def _serve(services: WebServices, listener: socket.socket) -> None:
    config = uvicorn.Config(
        build_app(services),
        lifespan="off",
        log_config=None,
        access_log=False,  # an address is a person's key; the page writes its own log without it
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving


def _listening(settings: Settings) -> socket.socket:
    """Return a socket that listens already, so that a port that is taken is told in words."""
    try:
        return socket.create_server((settings.web_host, settings.web_port), family=_family(settings.web_host))
    except OSError as error:
        raise InvalidInput(
            f"holdfast web cannot listen on {settings.web_host}:{settings.web_port} ({error.strerror}); choose "
            "another HOLDFAST_WEB_HOST or HOLDFAST_WEB_PORT"
        ) from None


def _family(host: str) -> socket.AddressFamily:
    try:
        return socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET  # noqa: PLR2004
    except ValueError:
        return socket.AF_INET


def _url(settings: Settings, listener: socket.socket) -> str:
    host = f"[{settings.web_host}]" if ":" in settings.web_host else settings.web_host
    return f"http://{host}:{listener.getsockname()[1]}"


def _email(settings: Settings) -> EmailChannel | None:
    url = settings.email_url.get_secret_value() if settings.email_url else ""
    return EmailChannel(url) if url else None
