"""A stand-in for Telegram on a real socket, an unmodified aiogram bot, and the people who talk to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer

from holdfast.sim.telegram import LimitSettings, People, Settings, create_app, start

TOKEN = "4242:DEMO"
ANNA, BORIS, CLARA = 1001, 1002, 1003
GROUP, TEAM, OTHER_GROUP = -1001, -1002, -1003
PEOPLE = People.model_validate(
    {
        "users": [
            {"id": ANNA, "first_name": "Anna", "username": "anna", "language_code": "en", "started": True},
            {"id": BORIS, "first_name": "Boris", "username": "boris", "language_code": "de"},
            {"id": CLARA, "first_name": "Clara", "started": True, "blocked": True},
        ],
        "chats": [
            {
                "id": GROUP,
                "type": "supergroup",
                "title": "On-call",
                "members": [ANNA, BORIS],
                "owner": BORIS,
                "admins": [ANNA],
                "topics": [{"id": 7, "name": "Incidents"}],
            },
            {"id": TEAM, "type": "group", "title": "Team", "members": [ANNA, BORIS]},
            {"id": OTHER_GROUP, "type": "group", "title": "Elsewhere", "members": [ANNA], "bots": []},
            {"id": -1004, "type": "group", "title": "Moved", "members": [ANNA], "migrated_to": GROUP},
        ],
        "bots": [{"id": 4242, "first_name": "Holdfast", "username": "holdfast_bot"}],
    }
)


open_bots: list[Bot] = []


@pytest.fixture(scope="session", autouse=True)
async def close_bots() -> AsyncIterator[None]:
    """Close all together at the end: aiogram sleeps a quarter of a second for each."""
    yield
    await asyncio.gather(*(bot.session.close() for bot in open_bots))


@dataclass
class Clock:
    """Time that passes when a test says so."""

    seconds: float = 1_750_000_000.0

    def unix_time(self) -> float:
        return self.seconds

    def monotonic_ns(self) -> int:
        return round(self.seconds * 1_000_000_000)


@dataclass
class Human:
    """The JSON side of a server, as a tool uses it."""

    url: str
    session: aiohttp.ClientSession

    async def get(self, path: str, **query: Any) -> dict[str, Any]:
        async with self.session.get(f"{self.url}/human/{path}", params=query) as response:
            response.raise_for_status()
            return await response.json()

    async def post(self, path: str, *, expect: int = 200, **body: Any) -> dict[str, Any]:
        async with self.session.post(f"{self.url}/human/{path}", json=body) as response:
            answer = await response.json()
            assert response.status == expect, answer
            return answer

    async def send(self, user: int, chat: int, text: str, **more: Any) -> dict[str, Any]:
        return await self.post("send", user=user, chat=chat, text=text, **more)

    async def messages(self, chat: int, user: int = ANNA, **query: Any) -> list[dict[str, Any]]:
        return (await self.get("messages", chat=chat, user=user, **query))["messages"]


@dataclass
class Server:
    """A running server with its clients."""

    url: str
    human: Human
    session: aiohttp.ClientSession
    clock: Clock

    def bot(self, token: str = TOKEN) -> Bot:
        bot = Bot(token, session=AiohttpSession(api=TelegramAPIServer.from_base(self.url)))
        open_bots.append(bot)
        return bot

    async def call(self, method: str, *, token: str = TOKEN, **params: Any) -> dict[str, Any]:
        async with self.session.post(f"{self.url}/bot{token}/{method}", json=params) as response:
            answer = await response.json()
            assert answer["ok"] == (response.status == 200)
            return answer


@asynccontextmanager
async def running(clock: Clock | None = None, **settings: Any) -> AsyncIterator[Server]:
    clock = clock or Clock()
    defaults: dict[str, Any] = {"tokens": [TOKEN], "people": PEOPLE, "limits": LimitSettings(private_burst=100)}
    app = create_app(Settings(**{**defaults, **settings}))
    runner, port = await start(app, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{port}"
    async with AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Server(url, Human(url, session), session, clock)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as running_server:
        yield running_server


@pytest.fixture
async def timed_server() -> AsyncIterator[Server]:
    """With Telegram's own limits and a clock that the test moves."""
    clock = Clock()
    clocks = {"monotonic_ns": clock.monotonic_ns, "unix_time": clock.unix_time}
    async with running(clock, limits=LimitSettings(), **clocks) as running_server:
        yield running_server


@pytest.fixture
def serve() -> Callable[..., AbstractAsyncContextManager[Server]]:
    """Start a server with other settings, for the length of a block."""
    return running


@pytest.fixture
def eventually() -> Callable[..., Awaitable[Any]]:
    """Ask again until the answer is true, for some seconds at most; that answer."""

    async def ask(look: Callable[[], Awaitable[Any]], seconds: float = 10) -> Any:
        async with asyncio.timeout(seconds):
            while not (found := await look()):  # noqa: ASYNC110 - it happens in another process or client
                await asyncio.sleep(0.02)
        return found

    return ask


@asynccontextmanager
async def _polling(dispatcher: Dispatcher, bot: Bot) -> AsyncIterator[None]:
    task = asyncio.create_task(dispatcher.start_polling(bot, polling_timeout=5, handle_signals=False))
    try:
        yield
    finally:
        await dispatcher.stop_polling()
        await task


@pytest.fixture
def polling() -> Callable[[Dispatcher, Bot], AbstractAsyncContextManager[None]]:
    """Let aiogram's own loop fetch and handle updates, for the length of a block."""
    return _polling


@pytest.fixture
def bot(server: Server) -> Bot:
    return server.bot()
