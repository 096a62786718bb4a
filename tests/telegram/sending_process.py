"""A sender as a process of its own, until it is killed: `python sending_process.py DATABASE API TOKEN`."""

import asyncio
import sys
from pathlib import Path

import yaml
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer

from holdfast.adapters.sql_store import SqlStore
from holdfast.adapters.telegram import TelegramTransport
from holdfast.domain.proofs import Keyring
from holdfast.outbox.holders import holder_name
from holdfast.outbox.sender import Sender
from holdfast.runbook.priorities import Priorities

POLICY = Path(__file__).parents[2] / "runbooks/escalation/priorities.yaml"
SECRET = "a key for this test only"


def store_at(database: str) -> SqlStore:
    return SqlStore(f"sqlite:///{database}", Keyring([SECRET]))


def shipped() -> Priorities:
    return Priorities.model_validate(yaml.safe_load(POLICY.read_text(encoding="utf-8")))


async def send(database: str, api: str, token: str) -> None:
    policy = shipped()
    async with Bot(token, session=AiohttpSession(api=TelegramAPIServer.from_base(api))) as bot:
        transport = TelegramTransport(bot)
        await Sender(store_at(database).outbox, transport, lambda: policy, str(bot.id), holder_name()).run()


if __name__ == "__main__":
    asyncio.run(send(*sys.argv[1:4]))
