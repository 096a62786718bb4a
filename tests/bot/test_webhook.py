import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from holdfast.apps.bot.webhook import WebhookSettings
from holdfast.domain.errors import InvalidInput
from tests.bot.intake_fakes import IntakeWorld
from tests.fakes import eventually
from tests.telegram.standin import OLGA, PAVEL, TelegramServer, place

SECRET = "a-secret_of-the-tests"
HOME = WebhookSettings(url="http://127.0.0.1:1/telegram", secret=SECRET, port=0, networks=("127.0.0.0/8",))
HEADERS = {"X-Telegram-Bot-Api-Secret-Token": SECRET}
TELEGRAM = "149.154.167.220"


@pytest.fixture
def world(telegram: TelegramServer, places: Iterator[int], tmp_path: Path) -> IntakeWorld:
    return IntakeWorld(telegram, place(next(places)), tmp_path, webhook=HOME)


@asynccontextmanager
async def serving(world: IntakeWorld, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A bot in webhook mode, and a client that posts to it."""
    world.webhook = replace(HOME, **settings)
    app = world.app()
    running = asyncio.create_task(app.run())
    try:
        server = app.intake.server
        assert server is not None
        await eventually(lambda: server.port or running.done())
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
            yield client
    finally:
        running.cancel()
        await asyncio.wait({running})


def update(world: IntakeWorld, number: int = 1, user: int = OLGA) -> dict[str, Any]:
    return {"update_id": number, **world.command(user, "/whoami")}


def counted(world: IntakeWorld, status: int) -> float:
    return world.counted("holdfast_bot_webhook_requests_total", status=str(status))


async def test_a_posted_update_is_stored_before_it_is_answered_and_then_handled(world: IntakeWorld) -> None:
    async with serving(world) as client:
        answer = await client.post("/telegram", json=update(world), headers=HEADERS)
        assert answer.status_code == 200
        assert sum((await world.states()).values()) == 1
        again = await client.post("/telegram", json=update(world), headers=HEADERS)
        [text] = await world.said()
        await eventually(lambda: counted(world, 200) == 2)
    assert again.status_code == 200
    assert text.startswith("You are Olga")
    assert len(world.handled) == 1
    assert await world.states() == {"done": 1}


@pytest.mark.parametrize("secret", ["", "wrong", SECRET + "x", SECRET[:-1], "секрет"])
async def test_without_the_right_secret_nothing_is_taken(world: IntakeWorld, secret: str) -> None:
    headers = [(b"X-Telegram-Bot-Api-Secret-Token", secret.encode())] if secret else []
    async with serving(world) as client:
        answer = await client.post("/telegram", json=update(world), headers=headers)
    assert answer.status_code == 401
    assert await world.states() == {}
    assert counted(world, 401) == 1


async def test_who_is_not_telegram_is_turned_away_before_the_secret_is_looked_at(world: IntakeWorld) -> None:
    async with serving(world, networks=("149.154.160.0/20", "91.108.4.0/22")) as client:
        answer = await client.post("/telegram", json=update(world), headers=HEADERS)
    assert answer.status_code == 403
    assert await world.states() == {}


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [
        ([TELEGRAM], 200),
        ([f"8.8.8.8, {TELEGRAM}"], 200),
        ([f"{TELEGRAM}, 8.8.8.8"], 403),
        ([TELEGRAM, "8.8.8.8"], 403),
        ([f"{TELEGRAM}, 8.8.8.8, 127.0.0.1"], 403),
        ([f"8.8.8.8, {TELEGRAM}, 127.0.0.1"], 200),
        (["::ffff:" + TELEGRAM], 200),
        ([f"{TELEGRAM}, nonsense"], 403),
        ([""], 403),
        ([], 403),
    ],
)
async def test_behind_our_proxy_the_right_most_address_that_is_not_ours_counts(
    world: IntakeWorld, forwarded: list[str], status: int
) -> None:
    headers = [*HEADERS.items(), *(("X-Forwarded-For", line) for line in forwarded)]
    async with serving(world, proxies=("127.0.0.1",), networks=("149.154.160.0/20",)) as client:
        answer = await client.post("/telegram", json=update(world), headers=headers)
    assert answer.status_code == status


async def test_a_forwarded_address_is_not_believed_from_anybody_but_the_proxy(world: IntakeWorld) -> None:
    forged = {**HEADERS, "X-Forwarded-For": TELEGRAM}
    async with serving(world, proxies=("10.0.0.7",), networks=("149.154.160.0/20",)) as client:
        answer = await client.post("/telegram", json=update(world), headers=forged)
    assert answer.status_code == 403
    assert await world.states() == {}


async def test_while_the_store_is_down_telegram_is_asked_to_send_again(world: IntakeWorld) -> None:
    async with serving(world) as client:
        world.inbox.down = True
        refused = await client.post("/telegram", json=update(world), headers=HEADERS)
        world.inbox.down = False
        taken = await client.post("/telegram", json=update(world), headers=HEADERS)
        await world.said()
    assert (refused.status_code, taken.status_code) == (503, 200)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"update_id": 1, "mess', 400),
        (b"\xff\xfe", 400),
        (b"[" * 100_000, 400),
        (b'{"message": {}}', 200),
        (b"[]", 200),
        (b'{"update_id": "7"}', 200),
        (b'{"update_id": 99999999999999999999999}', 200),
    ],
)
async def test_a_body_that_is_no_update_is_counted_and_does_not_stop_the_next_one(
    world: IntakeWorld, body: bytes, status: int
) -> None:
    async with serving(world) as client:
        answer = await client.post("/telegram", content=body, headers=HEADERS)
        await client.post("/telegram", json=update(world), headers=HEADERS)
        await world.said()
    assert answer.status_code == status
    assert world.counted("holdfast_bot_updates_unidentified_total") == 1


async def test_a_body_that_is_too_long_is_not_read(world: IntakeWorld) -> None:
    long = json.dumps({**update(world), "x": "y" * 3000}).encode()

    async def in_chunks() -> AsyncIterator[bytes]:
        yield long

    async with serving(world, body_limit=2000) as client:
        whole = await client.post("/telegram", content=long, headers=HEADERS)
        unannounced = await client.post("/telegram", content=in_chunks(), headers=HEADERS)
    assert (whole.status_code, unannounced.status_code) == (413, 413)
    assert await world.states() == {}


async def test_other_paths_and_methods_are_not_there(world: IntakeWorld) -> None:
    async with serving(world) as client:
        assert (await client.get("/telegram", headers=HEADERS)).status_code == 405
        assert (await client.post("/", json=update(world), headers=HEADERS)).status_code == 404


async def test_a_bot_that_does_not_lead_stores_what_comes_and_the_leader_handles_it(world: IntakeWorld) -> None:
    world.leading = asyncio.Event()
    async with serving(world) as client:
        answer = await client.post("/telegram", json=update(world), headers=HEADERS)
        assert answer.status_code == 200
        await asyncio.sleep(0.2)
        assert await world.states() == {"new": 1}
        assert world.handled == []
        assert (await world.client.get_webhook_info()).url == ""
        world.leading.set()
        await world.said()


async def test_telegram_is_told_where_to_post_and_posts_there_with_the_secret(world: IntakeWorld) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/telegram"
    async with serving(world, url=url, port=port):
        await world.say(PAVEL, "/whoami")
        [text] = await world.said()
        info = await world.client.get_webhook_info()
    assert text.startswith("You are Pavel")
    assert (info.url, info.max_connections, info.allowed_updates) == (url, 40, ["message", "callback_query"])


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"secret": ""}, "secret"),
        ({"secret": "with space"}, "secret"),
        ({"secret": "x" * 257}, "secret"),
        ({"secret": "newline\n"}, "secret"),
        ({"url": "bot.example.com"}, "url"),
        ({"networks": ()}, "networks"),
        ({"networks": ("149.154.160.0/33",)}, "networks"),
        ({"proxies": ("the proxy",)}, "proxies"),
        ({"max_connections": 0}, "max_connections"),
    ],
)
def test_settings_that_are_not_safe_are_refused_by_name(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInput, match=f"webhook {named}: "):
        replace(HOME, **wrong)


def test_the_secret_is_not_shown() -> None:
    assert SECRET not in repr(HOME)


async def test_a_port_that_is_taken_is_named(world: IntakeWorld) -> None:
    async with serving(world) as client:
        rival = replace(
            world, webhook=replace(HOME, port=client.base_url.port or 0), registry=CollectorRegistry()
        )
        with pytest.raises(InvalidInput, match="webhook port: cannot listen at"):
            await rival.app().run()
