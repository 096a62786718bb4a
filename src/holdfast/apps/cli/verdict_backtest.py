"""`holdfast verdict backtest`: what the scoring models would have made of past releases."""

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, Protocol, cast

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import Progress, TaskID

from holdfast.apps.cli.exits import Exit
from holdfast.apps.cli.moments import past_moment, span_typed
from holdfast.apps.cli.output import Output, write_picture
from holdfast.apps.cli.parameters import AsJson
from holdfast.apps.cli.verdict_backtest_views import backtest_document, tell_backtest
from holdfast.domain.errors import InvalidInput, UnknownName
from holdfast.runbook.library import RunbookLibrary
from holdfast.runbook.source import read_source
from holdfast.runbook.validation import validated
from holdfast.verdict.backtest import Report, report, timeline
from holdfast.verdict.baseline import affordable_step
from holdfast.verdict.models import model_named
from holdfast.verdict.query import resolve
from holdfast.verdict.releases import (
    RELEASE_METRICS,
    RELEASE_SCORING,
    PastQuery,
    PastWindow,
    Release,
    release_of,
)
from holdfast.verdict.scores import Judged, Label, ModelScore
from holdfast.verdict.settings import ModelName, Scoring

_EXAMPLES = """\
Examples:
  holdfast verdict backtest releases/                          every model on a folder of past releases
  holdfast verdict backtest releases/ --decide weighted --plot backtest.png
  holdfast verdict backtest releases/ --release 2026-03-08/cart   one release, minute by minute
  holdfast verdict backtest --runbook rollout/support-surge --from 2026-03-08T12:00Z --to 2026-03-08T12:30Z

docs/backtest.md says what the folder holds and how to read the figures."""

_MOST_MINUTES: Final = 5_000


class PastSeries(Protocol):
    """A metrics database that remembers."""

    async def series_at(
        self, query: str, *, start: datetime, end: datetime, step: timedelta
    ) -> dict[datetime, float]:
        """Return the finite numbers of the query's single series by their time, oldest first, gaps left out.

        Raises:
            MetricsUnavailable: the database does not answer.
            InvalidInput: the query is wrong, or gives several series.
        """
        ...


@dataclass(frozen=True)
class BacktestDeps:
    """What the command works with; called only when needed.

    Attributes:
        read: reads a folder of past releases; raises InvalidInput.
        series: lends the metrics database; entered once a command.
        library: the reviewed runbooks.
        draw: makes a PNG of judged releases and their scores; None where there is nothing to draw.
    """

    read: Callable[[Path], list[Release]]
    series: Callable[[], AbstractAsyncContextManager[PastSeries]]
    library: Callable[[], RunbookLibrary]
    draw: Callable[[Sequence[Judged], Sequence[ModelScore]], bytes | None]


@dataclass(frozen=True)
class BacktestOptions:
    """What the command can be told, beside the folder.

    Attributes:
        models: which to replay; all that the scoring names where none is given.
        start, end: the past window, with `runbook`.
    """

    models: Annotated[
        tuple[str, ...], Parameter(name="--model", help="Only this one; may be repeated.", show_default=False)
    ] = ()
    decide: Annotated[
        str, Parameter(help="Which model decides; without it the scoring's.", show_default=False)
    ] = ""
    scoring: Annotated[
        Path | None, Parameter(help="YAML with the fields of a runbook's `scoring`.", show_default=False)
    ] = None
    as_json: AsJson = False
    plot: Annotated[Path | None, Parameter(help="Write a picture (PNG).", show_default=False)] = None
    no_cross_validation: Annotated[
        bool,
        Parameter(
            name="--no-cross-validation",
            help="Do not choose settings without each day and service in turn.",
            show_default=False,
        ),
    ] = False
    release: Annotated[str, Parameter(help="Only this release, minute by minute.", show_default=False)] = ""
    runbook: Annotated[
        str,
        Parameter(help="In place of a folder: ask the database by this runbook's queries.", show_default=False),
    ] = ""
    start: Annotated[
        str, Parameter(name="--from", help="When the share was set, with its zone.", show_default=False)
    ] = ""
    end: Annotated[str, Parameter(name="--to", help="When it ended.", show_default=False)] = ""
    share: Annotated[int, Parameter(help="Percent of the traffic that the canary had.")] = 5
    label: Annotated[Label | None, Parameter(help="What it turned out to be.", show_default=False)] = None
    window: Annotated[str, Parameter(help="From one verdict to the next, and `$window`.")] = "60s"


AllOptions = Annotated[BacktestOptions, Parameter(name="*")]


def add_backtest(verdict: App, commands: "BacktestCommands") -> None:
    """Add `backtest` to the commands about verdicts."""
    verdict.command(commands.backtest, help_epilogue=_EXAMPLES)


class BacktestCommands:
    """Replaying past releases."""

    def __init__(self, deps: BacktestDeps) -> None:
        self._deps = deps

    async def backtest(
        self,
        directory: Annotated[
            Path | None, Parameter(help="Folder of past releases.", show_default=False)
        ] = None,
        /,
        *,
        options: AllOptions | None = None,
    ) -> Exit:
        """Replay past releases through the scoring models, and say what each would have stopped, and when."""
        asked = options or BacktestOptions()
        if (directory is None) == (not asked.runbook):
            raise InvalidInput("name a folder of past releases, or a --runbook with --from and --to")
        if directory is None:
            scoring, release = await self._past(asked)
            releases, source = [release], ("runbook", asked.runbook)
        else:
            _refuse_window(asked)
            scoring = _scoring(asked, RELEASE_SCORING)
            _check_metrics(scoring, asked)
            releases, source = _chosen(self._deps.read(directory), asked.release), ("directory", str(directory))
        models = _models(scoring, asked)
        with _progress(asked) as progress:
            found = report(
                releases, scoring, models, cross_validate=not asked.no_cross_validation, progress=progress
            )
        minutes = timeline(releases[0], scoring, models) if asked.release or asked.runbook else []
        self._draw(found, asked.plot)
        out = Output(as_json=asked.as_json)
        without_edges = bool(asked.runbook and scoring.edges)
        out.document(backtest_document(source, found, minutes) | {"without_edges": without_edges})
        if not asked.as_json:
            tell_backtest(found, minutes, out)
            if without_edges:
                out.say("Call edges are not asked of the past: every model judged without them here.")
        return Exit.DONE

    async def _past(self, asked: BacktestOptions) -> tuple[Scoring, Release]:
        """Ask the database what it keeps of a past share."""
        if asked.release:
            raise InvalidInput("--release: a past window is one release; leave it out")
        for option, typed in (("--from", asked.start), ("--to", asked.end)):
            if not typed:
                raise InvalidInput(f"{option}: is needed with --runbook, e.g. 2026-03-08T12:00Z")
        start, end = past_moment("--from", asked.start), past_moment("--to", asked.end)
        interval = span_typed("--window", asked.window)
        if not 1 <= (end - start) // interval <= _MOST_MINUTES:
            raise InvalidInput(f"--to: must be 1 to {_MOST_MINUTES} times --window after --from")
        if not 1 <= asked.share <= 100:  # noqa: PLR2004  percent
            raise InvalidInput(f"--share: must be 1 to 100 (got {asked.share})")
        loaded = self._deps.library().rollout(asked.runbook.removeprefix("rollout/"))
        scoring = _scoring(asked, loaded.spec.scoring)
        async with self._deps.series() as database:
            asking = _Asking(database, scoring, start, end, interval)
            past = await asking.window(f"{loaded.spec.name}/{start:%Y-%m-%dT%H:%MZ}", asked.share)
        return scoring, release_of(past, scoring, asked.label)

    def _draw(self, found: Report, path: Path | None) -> None:
        if path is None:
            return
        picture = self._deps.draw(found.judged, found.scores)
        if picture is None:
            raise InvalidInput("--plot: no release is labelled bad, so there is nothing to draw")
        write_picture(path, picture)


@dataclass(frozen=True)
class _Asking:
    """The queries of a scoring, over one past window."""

    database: PastSeries
    scoring: Scoring
    start: datetime
    end: datetime
    interval: timedelta

    async def window(self, name: str, share_percent: int) -> PastWindow:
        """Ask for both sides, and for the control before."""
        count = (self.end - self.start) // self.interval
        edges = self.scoring.edges
        return PastWindow(
            name=name,
            service=edges.service if edges else "",
            started_at=self.start,
            times=[self.start + self.interval * (minute + 1) for minute in range(count)],
            interval=self.interval,
            share_percent=share_percent,
            metrics={
                metric: [await self._query(query) for query in settings.queries]
                for metric, settings in self.scoring.metrics.items()
            },
            step=self._step,
            canary_requests=await self._requests(self.scoring.canary_label),
            control_requests=await self._requests(self.scoring.control_label),
        )

    @property
    def _step(self) -> timedelta:
        return affordable_step(self.scoring.baseline.window, self.scoring.baseline.step)

    async def _query(self, query: str) -> PastQuery:
        control = resolve(query, side=self.scoring.control_label, window=self.interval)
        return PastQuery(
            query=control,
            before=await self.database.series_at(
                control, start=self.start - self.scoring.baseline.window, end=self.start, step=self._step
            ),
            canary=await self._by_minute(query, self.scoring.canary_label),
            control=await self._by_minute(query, self.scoring.control_label),
        )

    async def _by_minute(self, query: str, side: str) -> dict[int, float]:
        points = await self.database.series_at(
            resolve(query, side=side, window=self.interval),
            start=self.start + self.interval,
            end=self.end,
            step=self.interval,
        )
        return {round((at - self.start) / self.interval) - 1: number for at, number in points.items()}

    async def _requests(self, side: str) -> dict[int, float]:
        if self.scoring.traffic is None:
            return {}
        rates = await self._by_minute(self.scoring.traffic, side)
        return {minute: rate * self.interval.total_seconds() for minute, rate in rates.items()}


def _refuse_window(asked: BacktestOptions) -> None:
    given = {"--from": asked.start, "--to": asked.end, "--label": asked.label}
    for option, value in given.items():
        if value:
            raise InvalidInput(f"{option}: belongs to --runbook; a folder says it for each release")


def _scoring(asked: BacktestOptions, default: Scoring) -> Scoring:
    """Return the settings with the deciding model and its shadows as asked."""
    scoring = default if asked.scoring is None else validated(read_source(asked.scoring), Scoring)
    if not asked.decide:
        return scoring
    deciding = _known(asked.decide)
    shadow = tuple(name for name in (scoring.model, *scoring.shadow) if name != deciding)
    return scoring.model_copy(update={"model": deciding, "shadow": shadow})


def _known(model: str) -> ModelName:
    model_named(model)
    return cast("ModelName", model)


def _check_metrics(scoring: Scoring, asked: BacktestOptions) -> None:
    """Refuse metrics that no folder has."""
    for name, metric in scoring.metrics.items():
        if name not in RELEASE_METRICS:
            raise InvalidInput(
                f"{asked.scoring}: metrics.{name}: unknown metric; a folder has {', '.join(RELEASE_METRICS)}"
            )
        if len(metric.queries) != 1:
            raise InvalidInput(f"{asked.scoring}: metrics.{name}.query: a folder gives one number; name one")


def _models(scoring: Scoring, asked: BacktestOptions) -> list[str]:
    """Return the models to replay, the deciding one first."""
    named = [_known(name) for name in asked.models] or [scoring.model, *scoring.shadow]
    return list(dict.fromkeys([scoring.model, *named]))


def _chosen(releases: list[Release], name: str) -> list[Release]:
    if not name:
        return releases
    found = [r for r in releases if r.id == name]
    if not found:
        raise UnknownName("release", name, (r.id for r in releases))
    return found


@contextmanager
def _progress(asked: BacktestOptions) -> Generator[Callable[[str, int, int], None]]:
    """Show how far it is, to a person who watches; silent in a pipe and where JSON is wanted."""
    silent = asked.as_json or not sys.stderr.isatty()
    with Progress(console=Console(file=sys.stderr), transient=True, disable=silent) as bar:
        tasks: dict[str, TaskID] = {}

        def told(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)

        yield told
