"""Puts `holdfast schedule` together."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from holdfast.adapters.temporal.schedules import TemporalSchedules
from holdfast.apps.cli.schedule import ScheduleDeps
from holdfast.ports.schedules import Schedules
from workers import wiring
from workers.client import connect
from workers.settings import Settings
from workflows.options import RUNBOOK_QUEUE


def schedule_command(settings: Settings) -> ScheduleDeps:
    """Return what the command needs on this machine; nothing is connected to before it is used."""
    return ScheduleDeps(library=lambda: wiring.library(settings), schedules=lambda: _schedules(settings))


@asynccontextmanager
async def _schedules(settings: Settings) -> AsyncGenerator[Schedules]:
    yield TemporalSchedules(
        lambda: connect(settings), task_queue=RUNBOOK_QUEUE, address=settings.temporal_address
    )
