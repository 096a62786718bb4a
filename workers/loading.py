"""Puts `holdfast load` together: load that is made on this machine, and watching what load workers make."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from holdfast.adapters.generators.processes import revealed
from holdfast.adapters.temporal.load_workers import TemporalLoadRuns
from holdfast.apps.cli.load import LoadDeps
from holdfast.apps.cli.load_live import LoadWatching
from holdfast.loadgen.result import LoadResult
from holdfast.ports.load import LoadLog
from holdfast.runbook.kinds.load import LoadSpec
from workers import wiring
from workers.client import connect
from workers.load import LoadSettings
from workers.settings import Settings
from workers.systems import reveal


def load_commands(settings: Settings, *, log: Callable[[], AbstractAsyncContextManager[LoadLog]]) -> LoadDeps:
    """Return what the commands need on this machine; nothing is read before it is used."""
    return LoadDeps(
        library=lambda: wiring.library(settings),
        limits=lambda: LoadSettings().limits,
        secrets=_secrets,
        draw=_draw,
        watching=lambda: _watching(settings, log),
    )


@asynccontextmanager
async def _watching(
    settings: Settings, log: Callable[[], AbstractAsyncContextManager[LoadLog]]
) -> AsyncGenerator[LoadWatching]:
    runs = TemporalLoadRuns(lambda: connect(settings), address=settings.temporal_address)
    async with log() as reports:
        yield LoadWatching(reports, runs)


def _secrets(spec: LoadSpec) -> Mapping[str, str]:
    return revealed(spec, reveal)


def _draw(result: LoadResult) -> bytes:
    # By name, because plots load Matplotlib, which takes a second that no quick command has.
    from holdfast.adapters.charts.load import load_chart  # noqa: PLC0415

    return load_chart(result)
