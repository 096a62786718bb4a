"""What the providers make of a target that is down, slow, or not what it should be; a raw socket answers."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from holdfast.adapters.http_config import CanaryShareProvider, HttpConfigProvider
from holdfast.domain.errors import ChangeConflict, InvalidInput, Unavailable, UnknownName
from tests.http_config.writing import send


@asynccontextmanager
async def answering(status: str, body: str = "", *, delay_seconds: float = 0) -> AsyncIterator[str]:
    """Serve one HTTP answer to everybody; yields the base URL."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(delay_seconds)
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body.encode())}\r\nConnection: close\r\n\r\n"
        writer.write((head + body).encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


def provider(url: str, *, seconds: float = 20) -> HttpConfigProvider:
    return HttpConfigProvider({"shop": url}, timeout=timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("status", "body", "error", "text"),
    [
        (
            "200 OK",
            "<html>welcome</html>",
            Unavailable,
            "did not answer with a configuration: <html>welcome</html>",
        ),
        ("200 OK", '{"version": 1}', Unavailable, "did not answer with a configuration"),
        ("302 Found", "", Unavailable, "HTTP 302"),
        ("401 Unauthorized", "who are you?", InvalidInput, "refuses: HTTP 401: who are you?"),
        ("404 Not Found", "no such page", InvalidInput, "refuses: HTTP 404: no such page"),
        ("409 Conflict", '{"error": "version_conflict"}', ChangeConflict, "version_conflict"),
        ("422 Unprocessable Content", '{"error": "pool\\nsize"}', InvalidInput, "pool"),
        ("429 Too Many Requests", "slow down", Unavailable, "HTTP 429: slow down"),
        ("500 Internal Server Error", "oops " * 500, Unavailable, "HTTP 500: oops"),
        ("503 Service Unavailable", "", Unavailable, "HTTP 503"),
    ],
)
async def test_every_answer_has_its_error_in_the_targets_own_words(status, body, error, text):
    async with answering(status, body) as url:
        with pytest.raises(error, match="endpoint 'shop'") as caught:
            await provider(url).read("shop", "stable")

    assert text in str(caught.value)
    assert len(str(caught.value)) < 400


async def test_a_target_that_takes_too_long_is_unavailable():
    async with answering("200 OK", delay_seconds=2) as url:
        with pytest.raises(Unavailable, match=r"did not answer in 0\.5 s"):
            await provider(url, seconds=0.5).read("shop", "stable")


async def test_a_target_that_is_down_is_unavailable():
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]

    with pytest.raises(Unavailable, match="endpoint 'shop' does not answer"):
        await provider(f"http://127.0.0.1:{port}").read("shop", "stable")


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:80", "http://127.0.0.1:99999999"])
def test_a_wrong_address_is_refused_at_once(url):
    with pytest.raises(InvalidInput, match="the address of endpoint 'shop' is no HTTP address"):
        provider(url)


async def test_unknown_endpoints_and_parts_list_the_known_ones():
    settings, share = provider("http://127.0.0.1:1"), CanaryShareProvider({"shop": "http://127.0.0.1:1"})

    with pytest.raises(UnknownName, match="unknown endpoint 'shopp'; known: shop"):
        await settings.read("shopp", "stable")
    with pytest.raises(UnknownName, match="unknown part of http_config 'share'; known: canary, stable"):
        await send(settings, "shop", "share", {}, expected_version=1, key="k")
    with pytest.raises(UnknownName, match="unknown part of canary_share 'canary'; known: share"):
        await share.read("shop", "canary")


@pytest.mark.parametrize(
    "values", [{}, {"percent": 101}, {"percent": -1}, {"percent": True}, {"percent": 5, "x": 1}]
)
async def test_a_share_that_is_none_is_refused_before_anything_is_sent(values):
    share = CanaryShareProvider({"shop": "http://127.0.0.1:1"})

    with pytest.raises(InvalidInput, match="canary_share takes"):
        await send(share, "shop", "share", values, expected_version=1, key="k")
