"""Puts the commands about verdicts together; what they draw, read and ask is loaded when it is used."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from holdfast.apps.cli.verdict_backtest import BacktestDeps, PastSeries
from holdfast.apps.cli.verdict_compare import CompareDeps
from holdfast.apps.cli.verdict_correlate import CorrelateDeps
from holdfast.apps.cli.verdict_explain import ExplainDeps
from holdfast.apps.cli.verdicts import VerdictDeps
from holdfast.domain.errors import InvalidInput, UnknownName
from holdfast.domain.view import VerdictView
from holdfast.ports.metrics import MetricsSource
from holdfast.ports.runs import RunControl
from holdfast.ports.verdicts import VerdictLog
from holdfast.verdict.comparison import Comparison
from holdfast.verdict.models import judge
from holdfast.verdict.releases import RELEASE_SCORING, Release
from holdfast.verdict.scores import Judged, ModelScore
from holdfast.verdict.view import to_view
from workers import wiring
from workers.settings import Settings


def verdict_commands(
    settings: Settings,
    *,
    run_control: Callable[[], AbstractAsyncContextManager[RunControl]],
    log: Callable[[], AbstractAsyncContextManager[VerdictLog]],
) -> VerdictDeps:
    """Return what the commands need on this machine."""
    return VerdictDeps(
        explain=ExplainDeps(run_control=run_control, draw=_draw_verdict, release_verdict=release_verdict),
        backtest=BacktestDeps(
            read=_read,
            series=lambda: _series(settings),
            library=lambda: wiring.library(settings),
            draw=_draw_backtest,
        ),
        compare=CompareDeps(log=log, draw=_draw_comparison, people=lambda: wiring.library(settings).people()),
        correlate=CorrelateDeps(
            series=lambda: _series(settings), library=lambda: wiring.library(settings), draw=_draw_correlation
        ),
    )


def release_verdict(folder: Path, name: str, minute: float | None, model: str) -> tuple[VerdictView, str]:
    """Judge one past release at a minute; without one, at the first stop, or at the end where there is none.

    Raises:
        InvalidInput: the folder cannot be read, or nothing was observed by that minute.
        UnknownName: there is no such release or model.
    """
    releases = {release.id: release for release in _read(folder)}
    if name not in releases:
        raise UnknownName("release", name, releases)
    release = releases[name]
    seen = release.observations[: _observed(release, minute, model)]
    if not seen:
        raise InvalidInput(f"--minute: nothing was observed of {name} by then")
    chosen = model or RELEASE_SCORING.model
    after = (seen[-1].at - release.started_at) / timedelta(minutes=1)
    verdict = judge(RELEASE_SCORING, release.baseline, seen, model=chosen)
    label = release.label or "not labelled"
    kind = f"{label} ({release.fault})" if release.fault else label
    return to_view(verdict, RELEASE_SCORING), f"{name}, minute {after:.1f}, by {chosen}; it was {kind}"


def _observed(release: Release, minute: float | None, model: str) -> int:
    from holdfast.verdict.backtest import outcomes_of  # noqa: PLC0415  numpy, which few commands need

    if minute is not None:
        until = release.started_at + timedelta(minutes=minute)
        return sum(observation.at <= until for observation in release.observations)
    outcomes = outcomes_of(release, RELEASE_SCORING, model or RELEASE_SCORING.model)
    stops = (number for number, outcome in enumerate(outcomes, start=1) if outcome.stops)
    return next(stops, len(outcomes))


class _PrometheusPast:
    """A metrics database, asked for what it remembers."""

    def __init__(self, metrics: MetricsSource) -> None:
        self._metrics = metrics

    async def series_at(
        self, query: str, *, start: datetime, end: datetime, step: timedelta
    ) -> dict[datetime, float]:
        return dict(await self._metrics.points(query, start=start, end=end, step=step))


@asynccontextmanager
async def _series(settings: Settings) -> AsyncGenerator[PastSeries]:
    metrics = wiring.metrics(settings)
    try:
        yield _PrometheusPast(metrics)
    finally:
        await metrics.aclose()


# Readers and pictures are loaded when they are used: quick commands need not wait for them.


def _read(folder: Path) -> list[Release]:
    from holdfast.adapters.releases import read_releases  # noqa: PLC0415

    return read_releases(folder)


def _draw_verdict(verdict: VerdictView, title: str) -> bytes:
    from holdfast.adapters.charts.verdict import verdict_chart  # noqa: PLC0415

    return verdict_chart(verdict, title)


def _draw_backtest(judged: Sequence[Judged], scores: Sequence[ModelScore]) -> bytes | None:
    from holdfast.adapters.charts.backtest import backtest_chart  # noqa: PLC0415

    return backtest_chart(judged, scores)


def _draw_comparison(comparison: Comparison) -> bytes:
    from holdfast.adapters.charts.comparison import comparison_chart  # noqa: PLC0415

    return comparison_chart(comparison)


def _draw_correlation(*what: Any) -> bytes:
    from holdfast.adapters.charts.correlation import correlation_chart  # noqa: PLC0415

    return correlation_chart(*what)
