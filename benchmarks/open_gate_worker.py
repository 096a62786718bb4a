"""The worker process of `open_gates.py`: `holdfast worker` with two more workflows, and chats that take all.

Its address, key and database come from the same environment variables. Says on standard output when it serves
runs and when it is ready, by the machine's monotonic clock.
"""

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import structlog
from temporalio.client import Client

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from activities.guard import Guard, install
from activities.signing import SigningActivities
from benchmarks.bare import Bare
from benchmarks.open_gate import OpenGate
from holdfast.adapters.temporal.history import TemporalHistory
from holdfast.domain.people import Person
from holdfast.domain.proofs import Keyring
from holdfast.domain.view import MessageRef, RunView
from holdfast.ports.notices import Notice
from workers import wiring
from workers.client import connect_patiently, register_search_attributes
from workers.queues import run_workers
from workers.registry import WORKFLOWS
from workers.secrets import keyring
from workers.settings import Settings


class PatientPeople:
    """A `PrivateChannel` that reaches everybody and keeps nothing."""

    name = "telegram"

    def reaches(self, person: Person) -> bool:
        """Everybody with a Telegram id."""
        return person.telegram_id is not None

    async def notify(self, person: Person, notice: Notice) -> MessageRef:
        """Take it."""
        return MessageRef(chat=person.name, message_id=notice.run_id)

    async def say(self, person: Person, text: str, *, paste: str = "") -> None:
        """Take it."""

    async def retire(self, message: MessageRef, text: str) -> None:
        """Take it."""


class PatientChat:
    """A `Chat` that takes every card and keeps none."""

    async def publish(self, view: RunView, *, message: MessageRef | None) -> MessageRef:
        """Take it."""
        return message or MessageRef(chat="chat", message_id=view.run_id)

    async def ping(self, text: str, *, reply_to: MessageRef) -> None:
        """Take it."""


async def serve(settings: Settings) -> NoReturn:
    """Serve until killed, in the order in which `holdfast worker` begins."""
    keys = keyring(settings)
    guard = Guard(keys)
    install(guard)
    client = await connect_patiently(settings)
    await register_search_attributes(client)
    library = wiring.library(settings)
    signing = SigningActivities(
        keyring=keys, history=TemporalHistory(client), file_digest=lambda name: library.rollout(name).digest
    )
    async with AsyncExitStack() as stack:
        for worker in run_workers(
            client,
            library=library,
            providers=wiring.change_providers(settings),
            metrics=wiring.metrics(settings),
            signing=signing,
        ):
            await stack.enter_async_context(worker)
        say_now("serving")
        await asyncio.to_thread(import_module, "workers.records")
        await call_and_record(settings, client, keys, guard)


async def call_and_record(settings: Settings, client: Client, keys: Keyring, guard: Guard) -> NoReturn:
    """Do what `workers.records` does, with chats of our own."""
    from activities.calling import CallingActivities  # noqa: PLC0415  after runs are served
    from activities.signing import RecordActivities  # noqa: PLC0415
    from workers import storing  # noqa: PLC0415
    from workers.queues import chat_worker, record_worker  # noqa: PLC0415
    from workers.refusals import keep_refusals  # noqa: PLC0415

    async with storing.store(settings, keys, patiently=True) as store:
        calling = CallingActivities(
            [PatientPeople()], store.notices, store.audit, keyring=keys, run_url=settings.run_url
        )
        records = RecordActivities(audit=store.audit, delegations=store.delegations)
        async with (
            record_worker(client, records),
            chat_worker(client, PatientChat(), calling, run_url=settings.run_url),
        ):
            say_now("ready")
            await keep_refusals(guard, store.audit)


def say_now(mark: str) -> None:
    """Tell the parent process that something is so from now on."""
    print(mark, time.monotonic(), flush=True)


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    WORKFLOWS.update(bare=Bare, open_gate=OpenGate)
    asyncio.run(serve(Settings()))
