"""A server that gives the answers it was told, for those that the stand-in never gives."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer

Answer = Callable[[asyncio.StreamWriter], None]


def http(status: str, body: str, content_type: str = "application/json") -> Answer:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nConnection: close\r\n"
    return lambda writer: writer.write(f"{head}Content-Length: {len(body.encode())}\r\n\r\n{body}".encode())


def refused(code: int, description: str, **parameters: int) -> Answer:
    body: dict[str, object] = {"ok": False, "error_code": code, "description": description}
    return http(f"{code} X", json.dumps(body | ({"parameters": parameters} if parameters else {})))


@asynccontextmanager
async def scripted(*answers: Answer, requests: list[str] | None = None) -> AsyncIterator[Bot]:
    """A bot whose server gives these answers, one a request, and then no more; `requests` gets the bodies."""
    left, over = list(answers), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        body = await reader.readexactly(length)
        if requests is not None:
            requests.append(body.decode())
        if left:
            left.pop(0)(writer)
            await writer.drain()
        else:
            await over.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, bot_at(server.sockets[0].getsockname()[1]) as bot:
        yield bot
        over.set()


@asynccontextmanager
async def bot_at(port: int) -> AsyncIterator[Bot]:
    api = TelegramAPIServer.from_base(f"http://127.0.0.1:{port}")
    async with Bot("1:TEST", session=AiohttpSession(api=api)) as bot:
        yield bot
