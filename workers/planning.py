"""Puts `holdfast plan` together: it reads the same systems and metrics as a worker on this machine."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from holdfast.apps.cli.plan import PlanDeps
from holdfast.ports.metrics import MetricsSource
from workers import wiring
from workers.freezes import LateFreezes
from workers.settings import Settings


def plan_command(settings: Settings) -> PlanDeps:
    """Return what the command needs on this machine; nothing is read before it is used."""
    return PlanDeps(
        library=lambda: wiring.library(settings),
        providers=lambda: wiring.change_providers(settings),
        metrics=lambda: lent_metrics(settings),
        default_pace=settings.default_pace,
        frozen=LateFreezes(settings).frozen,
    )


@asynccontextmanager
async def lent_metrics(settings: Settings) -> AsyncGenerator[MetricsSource]:
    """Lend the metrics backend."""
    metrics = wiring.metrics(settings)
    try:
        yield metrics
    finally:
        await metrics.aclose()
