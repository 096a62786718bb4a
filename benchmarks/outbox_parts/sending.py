"""The sender as a process of its own: `python -m benchmarks.outbox_parts.sending DIRECTORY URL [POLICY]`."""

import asyncio
import sys
from pathlib import Path

import yaml
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer

from benchmarks.outbox_parts.ours import BOT, store_in
from benchmarks.outbox_parts.world import TOKEN
from holdfast.adapters.telegram.transport import TelegramTransport
from holdfast.outbox.holders import holder_name
from holdfast.outbox.sender import Sender
from holdfast.runbook.priorities import Priorities

SHIPPED = Path(__file__).resolve().parents[2] / "runbooks/escalation/priorities.yaml"


def priorities_in(path: Path) -> Priorities:
    """Return the policy of a file."""
    return Priorities.model_validate(yaml.safe_load(path.read_text()))


async def send(directory: Path, url: str, policy: Path = SHIPPED) -> None:
    """Send what is in the store of a directory until told to stop."""
    priorities = priorities_in(policy)
    store = store_in(directory)
    async with Bot(TOKEN, session=AiohttpSession(api=TelegramAPIServer.from_base(url))) as bot:
        sender = Sender(store.outbox, TelegramTransport(bot), lambda: priorities, BOT, holder_name())
        await sender.run()


if __name__ == "__main__":
    asyncio.run(send(Path(sys.argv[1]), sys.argv[2], *map(Path, sys.argv[3:4])))
