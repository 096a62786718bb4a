"""The `holdfast` command: its parts put together, and a clean way out of the process."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

import structlog
from pydantic import ValidationError

from holdfast.adapters.masking.logs import install as mask_logs
from holdfast.apps.cli.app import main as run_command
from holdfast.apps.cli.deps import CliDeps
from holdfast.apps.cli.inventory import InventoryDeps
from holdfast.apps.cli.outbox import OutboxDeps
from holdfast.apps.cli.records import RecordDeps
from holdfast.apps.cli.report import ReportDeps
from holdfast.apps.cli.slo import SloDeps
from holdfast.ports.runs import RunControl
from workers import wiring
from workers.campaigns import inventory, reports
from workers.judging import verdict_commands
from workers.loading import load_commands
from workers.planning import lent_metrics, plan_command
from workers.schedules import schedule_command
from workers.secrets import keyring
from workers.sending import bot_id
from workers.settings import Settings
from workers.systems import MASK

if TYPE_CHECKING:
    from holdfast.adapters.sql_store import SqlStore

T = TypeVar("T")
_Role = Callable[[Settings], Awaitable[None]]


def main() -> None:
    """Run one command and end the process with its exit code.

    The process is left without running Python's own clean-up: a Temporal client that is torn down there can
    crash a short command after its work is done, which would look like a failure of the work.
    """
    _configure_logs()
    code: object = 0
    try:
        run_command(_dependencies(), sys.argv[1:])
    except SystemExit as leaving:
        code = leaving.code
    for stream in (sys.stdout, sys.stderr):
        with suppress(BrokenPipeError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _dependencies() -> CliDeps:
    settings = _settings()
    return CliDeps(
        library=lambda: wiring.library(settings),
        run_control=lambda: _run_control(settings),
        ui_url=settings.run_url,
        start_worker=lambda: _serve("worker", settings),
        start_bot=lambda: _serve("bot", settings),
        start_web=lambda: _serve("web", settings),
        records=_records(settings),
        verdicts=verdict_commands(
            settings,
            run_control=lambda: _run_control(settings),
            log=lambda: _part(settings, lambda store: store.verdicts),
        ),
        default_pace=settings.default_pace,
        plan=plan_command(settings),
        duty=lambda: _part(settings, lambda store: store.duty),
        outbox=_outbox(settings),
        load=load_commands(settings, log=lambda: _part(settings, lambda store: store.load_log)),
        slo=SloDeps(library=lambda: wiring.library(settings), metrics=lambda: lent_metrics(settings)),
        schedule=schedule_command(settings),
        report=_report(settings),
        inventory=InventoryDeps(library=lambda: wiring.library(settings), taking=lambda: inventory(settings)),
        start_load=lambda: _serve("load", settings),
    )


def _records(settings: Settings) -> RecordDeps:
    return RecordDeps(
        audit=lambda: _part(settings, lambda store: store.audit),
        second_factor=lambda: _part(settings, lambda store: store.second_factor),
        people=lambda: wiring.library(settings).people(),
    )


def _outbox(settings: Settings) -> OutboxDeps:
    return OutboxDeps(
        store=lambda: _part(settings, lambda store: store.outbox),
        priorities=lambda: wiring.library(settings).priorities(),
        bot=lambda: bot_id(settings),
        people=lambda: wiring.library(settings).people(),
        rules=lambda: wiring.library(settings).commands(),
        audit=lambda: _part(settings, lambda store: store.audit),
    )


def _report(settings: Settings) -> ReportDeps:
    return ReportDeps(
        campaigns=lambda: _part(settings, lambda store: store.campaigns),
        reports=lambda: reports(lambda: _store(settings), wiring.runs(settings)),
    )


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(
            f"HOLDFAST_{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()
        )
        sys.stderr.write(f"the settings are wrong: {problems}\n")
        # A pipeline takes 2 of this one command for a rollout that goes on.
        raise SystemExit(3 if sys.argv[1:2] == ["gate-check"] else 2) from None


@asynccontextmanager
async def _run_control(settings: Settings) -> AsyncGenerator[RunControl]:
    yield wiring.runs(settings)


@asynccontextmanager
async def _part(settings: Settings, choose: "Callable[[SqlStore], T]") -> AsyncGenerator[T]:
    """Lend one part of the database."""
    async with _store(settings) as store:
        yield choose(store)


def _store(settings: Settings) -> "AbstractAsyncContextManager[SqlStore]":
    """Lend the database, which is loaded only here: quick commands need not wait for it."""
    lend: Callable[..., AbstractAsyncContextManager[SqlStore]] = import_module("workers.storing").store
    return lend(settings, keyring(settings))


def _serve(role: str, settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C; what is under way is brought to its end first.

    A role's module is loaded only here: quick commands need not wait for Telegram's types.
    """
    serve: _Role = import_module(f"workers.{role}").__dict__[f"run_{role}"]
    with suppress(asyncio.CancelledError):
        asyncio.run(_until_told_to_stop(serve(settings)))


async def _until_told_to_stop(serving: Awaitable[None]) -> None:
    task = asyncio.ensure_future(serving)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    await task


def _configure_logs() -> None:
    """Write lines for people at a desk, JSON for machines."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s", stream=sys.stderr)
    for chatty in ("httpx", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # Plain traces: the pretty ones print local variables, secrets among them, and take seconds.
    desk = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    renderer = desk if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    mask_logs(MASK)


if __name__ == "__main__":
    main()
