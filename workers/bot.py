"""The role `holdfast bot`: answers people in Telegram."""

from datetime import UTC, datetime

import structlog
from prometheus_client import start_http_server

from activities.planning import PlanRequest, make_plan
from holdfast.adapters.charts import gate_chart
from holdfast.adapters.telegram import render_view
from holdfast.apps.bot.app import BotApp
from holdfast.apps.bot.services import Services
from holdfast.domain.people import Person
from workers import storing, telegram, wiring
from workers.secrets import keyring
from workers.settings import Settings

log = structlog.get_logger()


async def run_bot(settings: Settings) -> None:
    """Answer people in Telegram until cancelled; waits for Telegram and Temporal while they are down."""
    library = wiring.library(settings)

    def may_start(person: Person, runbook: str) -> None:
        make_plan(library, PlanRequest(runbook=runbook, requested_by=person.name, pace=settings.default_pace))

    keys = keyring(settings)
    if settings.metrics_port:
        start_http_server(settings.metrics_port, addr="127.0.0.1")
    async with storing.store(settings, keys, patiently=True) as store, telegram.telegram_bot(settings) as bot:
        services = Services(
            runs=wiring.runs(settings),
            people=library.people,
            library=library,
            may_start=may_start,
            render_view=render_view,
            default_runbook=settings.default_runbook,
            default_pace=settings.default_pace,
            keyring=keys,
            second_factor=store.second_factor,
            intents=store.intents,
            delegations=store.delegations,
            audit=store.audit,
            notices=store.notices,
            render_chart=gate_chart,
            now=lambda: datetime.now(UTC),
        )
        log.info("bot ready", api=settings.telegram_api or "Telegram")
        await BotApp(bot, services).run()
