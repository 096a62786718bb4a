"""A Telegram Bot API server as a process of its own, and what people do in it."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer

OLGA, PAVEL, LENA, STRANGER = 1, 2, 3, 9
NEWCOMER = 10  # has never written to a bot and is in no group
PLACES = 100
FORUMS = range(100, 130)  # with topics, which the bot may open
GROUPS = range(130, 150)  # not yet supergroups


@dataclass(frozen=True)
class Place:
    """A bot of its own with a group of its own, so that tests do not hear each other."""

    token: str
    chat: int

    @property
    def bot_id(self) -> int:
        return int(self.token.partition(":")[0])


def place(number: int) -> Place:
    return Place(token=f"{1000 + number}:TEST", chat=-(1000 + number))


def write_people(path: Path) -> None:
    names = {OLGA: "Olga", PAVEL: "Pavel", LENA: "Lena", STRANGER: "Stranger"}
    users = [{"id": i, "first_name": name, "started": True} for i, name in names.items()]
    users.append({"id": NEWCOMER, "first_name": "Newcomer"})
    chats = [
        {"id": p.chat, "type": "supergroup", "title": "Incidents", "members": [*names], "bots": [p.bot_id]}
        for p in map(place, range(PLACES))
    ]
    chats += [
        {"id": p.chat, "type": "supergroup", "title": "Forum", "members": [*names], "bots": [p.bot_id]}
        | {"admins": [p.bot_id], "forum": True}
        for p in map(place, FORUMS)
    ]
    chats += [
        {"id": p.chat, "type": "group", "title": "Group", "members": [*names], "bots": [p.bot_id]}
        for p in map(place, GROUPS)
    ]
    old = {"id": -5000, "type": "group", "title": "Old", "members": [*names], "migrated_to": place(0).chat}
    path.write_text(json.dumps({"users": users, "chats": [*chats, old]}))


class TelegramServer:
    """The process and its human side."""

    def __init__(self, directory: Path) -> None:
        self._people = directory / "people.json"
        self._state = directory / "state.sqlite"
        write_people(self._people)
        self._process: asyncio.subprocess.Process | None = None
        self._port = 0
        self._session: AiohttpSession | None = None
        self._http = httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_keepalive_connections=0))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Start, again on the same port after a stop, with the state it had."""
        tokens = [word for number in range(GROUPS.stop) for word in ("--token", place(number).token)]
        limits = ["--overall-per-second", "9999", "--private-burst", "9999", "--group-per-minute", "9999"]
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "holdfast.sim.telegram", "--port", str(self._port)),
            *("--people", str(self._people), "--state", str(self._state), *tokens, *limits),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert self._process.stdout
        line = (await asyncio.wait_for(self._process.stdout.readline(), 30)).decode()
        found = re.search(r":(\d+)\s*$", line)
        assert found, line
        self._port = int(found[1])

    async def stop(self) -> None:
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def close(self) -> None:
        await self.stop()
        await self._http.aclose()
        if self._session:
            await self._session.close()

    async def say(self, user: int, text: str, *, chat: int) -> dict[str, Any]:
        return await self._post("send", user=user, chat=chat, text=text)

    async def press(self, user: int, message: dict[str, Any], button: str, *, wait: int = 15) -> dict[str, Any]:
        chat, number = message["chat"]["id"], message["message_id"]
        return await self._post(
            "press", user=user, chat=chat, message_id=number, button=button, wait_seconds=wait
        )

    async def messages(self, chat: int, **query: int) -> list[dict[str, Any]]:
        return (await self._get("messages", chat=chat, **query))["messages"]

    async def chats(self, user: int) -> list[dict[str, Any]]:
        return (await self._get("state", user=user))["chats"]

    async def from_bot(self, place: Place) -> list[dict[str, Any]]:
        return [m for m in await self.messages(place.chat) if m["from"]["is_bot"]]

    async def in_private(self, user: int, place: Place) -> list[dict[str, Any]]:
        """What a person reads in the private chat with the bot of a place."""
        return await self.messages(place.bot_id, user=user)

    async def block(self, user: int, place: Place, *, blocked: bool) -> None:
        await self._post("block", user=user, bot=place.bot_id, blocked=blocked)

    async def file(self, file_id: str) -> str:
        """What is in a text file that a bot sent."""
        answer = await self._http.get(f"{self.url}/human/file/{file_id}")
        return answer.raise_for_status().text

    async def upgrade(self, chat: int) -> int:
        """Make a group a supergroup; its other id."""
        return (await self._post("upgrade", chat=chat))["migrated_to"]

    async def raw_update(self, place: Place, update: dict[str, Any]) -> int:
        answer = await self._http.post(
            f"{self.url}/human/raw_update", params={"bot": place.bot_id}, json=update
        )
        return answer.raise_for_status().json()["update_id"]

    async def faults(self, **counts: Any) -> None:
        await self._post("faults", **counts)

    async def log(self) -> dict[str, Any]:
        return await self._get("log")

    def client(self, token: str) -> Bot:
        """A client of one of the bots; all share the connections, which `close` ends."""
        if self._session is None:
            self._session = AiohttpSession(api=TelegramAPIServer.from_base(self.url))
        return Bot(token, session=self._session)

    async def _get(self, what: str, **query: int) -> dict[str, Any]:
        answer = await self._http.get(f"{self.url}/human/{what}", params=query)
        return answer.raise_for_status().json()

    async def _post(self, what: str, **body: Any) -> dict[str, Any]:
        answer = await self._http.post(f"{self.url}/human/{what}", json=body)
        return answer.raise_for_status().json()


@asynccontextmanager
async def running_server(directory: Path) -> AsyncIterator[TelegramServer]:
    server = TelegramServer(directory)
    try:
        await server.start()
        yield server
    finally:
        await server.close()
