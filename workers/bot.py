"""The role `holdfast bot`: answers people in Telegram, and sends what is in line."""

import asyncio
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from aiogram import Bot
from prometheus_client import start_http_server

from activities.planning import PlanRequest, make_plan
from holdfast.adapters.charts import gate_chart
from holdfast.adapters.sql_store import SqlStore
from holdfast.adapters.telegram import TelegramTransport, ThroughOutbox, answering, render_view
from holdfast.apps.bot.app import BotApp
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.webhook import TELEGRAM_NETWORKS, WebhookSettings
from holdfast.domain.people import People, Person
from holdfast.domain.proofs import Keyring
from holdfast.outbox.bell import Bell
from holdfast.outbox.holders import holder_name
from holdfast.outbox.metrics import OutboxMetrics
from holdfast.outbox.sender import Sender
from holdfast.outbox.steady import LastGood
from holdfast.runbook.priorities import DEFAULT_PRIORITIES
from workers import sending, storing, telegram, wiring
from workers.freezes import LateFreezes
from workers.secrets import keyring
from workers.settings import Settings

log = structlog.get_logger()
# The threads of the database compute; the loop lets go of the interpreter at each system call, and would get it
# back only after Python's usual 5 ms.
_SWITCH_SECONDS = 0.0005
_REMEMBERED_SECONDS = 0.2
# Two messages of one handler, far down in a queue, must not look like a Temporal that does not answer.
_PATIENCE = timedelta(seconds=3)


async def run_bot(settings: Settings) -> None:
    """Answer people in Telegram, and send what is in line, until cancelled.

    Of several processes with one token one does so, and the others stand by. Waits for Telegram, Temporal and
    the database while they are down.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    keys = keyring(settings)
    if settings.metrics_port:
        start_http_server(settings.metrics_port, addr="127.0.0.1")
    async with storing.store(settings, keys, patiently=True) as store, telegram.telegram_bot(settings) as bot:
        bell, metrics = Bell(), OutboxMetrics()
        sender = _sender(settings, store, bot, bell, metrics)
        outbox = sending.outbox(settings, store.outbox, bell=bell, metrics=metrics)
        # Before the app's own: what is an answer goes through the outbox, and only the rest waits out floods.
        bot.session.middleware(ThroughOutbox(outbox, patience=_PATIENCE))
        app = BotApp(
            bot,
            _services(settings, store, keys),
            inbox=store.inbox,
            leading=sender.leading,
            around=lambda update: answering(update.update_id),
            webhook=_webhook(settings),
        )
        log.info("bot ready", api=settings.telegram_api or "Telegram")
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(sender.run())
                both.create_task(app.run())
        except ExceptionGroup as failed:
            # A wrong token, say, is told to whoever started it in one sentence.
            raise failed.exceptions[0] from None


def _sender(settings: Settings, store: SqlStore, bot: Bot, bell: Bell, metrics: OutboxMetrics) -> Sender:
    priorities = LastGood(wiring.library(settings).priorities, DEFAULT_PRIORITIES, what="priorities")
    transport = TelegramTransport(
        bot,
        language=sending.language_of_chat(settings),
        paid_broadcast=lambda: priorities().limits.paid_broadcast,
    )
    return Sender(
        store.outbox,
        transport,
        priorities,
        sending.bot_id(settings),
        holder_name(),
        bell=bell,
        metrics=metrics,
    )


def _services(settings: Settings, store: SqlStore, keys: Keyring) -> Services:
    library = wiring.library(settings)

    def may_start(person: Person, runbook: str) -> None:
        make_plan(library, PlanRequest(runbook=runbook, requested_by=person.name, pace=settings.default_pace))

    return Services(
        runs=wiring.runs(settings),
        people=_remembering(library.people),
        library=library,
        may_start=may_start,
        render_view=render_view,
        default_runbook=settings.default_runbook,
        default_pace=settings.default_pace,
        keyring=keys,
        second_factor=store.second_factor,
        intents=store.intents,
        delegations=store.delegations,
        duty=store.duty,
        audit=store.audit,
        notices=store.notices,
        render_chart=gate_chart,
        now=lambda: datetime.now(UTC),
        holds=LateFreezes(settings),
    )


def _remembering(people: Callable[[], People]) -> Callable[[], People]:
    """Ask for the people anew only after a moment: one update asks several times."""
    known: People | None = None
    asked_at = 0.0

    def remembered() -> People:
        nonlocal known, asked_at
        now = time.monotonic()
        if known is None or now - asked_at > _REMEMBERED_SECONDS:
            known, asked_at = people(), now
        return known

    return remembered


def _webhook(settings: Settings) -> WebhookSettings | None:
    if not settings.webhook_url:
        return None
    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
    return WebhookSettings(
        url=settings.webhook_url,
        secret=secret,
        host=settings.webhook_host,
        port=settings.webhook_port,
        proxies=(settings.webhook_proxy,) if settings.webhook_proxy else (),
        networks=settings.webhook_networks or TELEGRAM_NETWORKS,
    )
