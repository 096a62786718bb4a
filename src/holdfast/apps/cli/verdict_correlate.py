"""`holdfast verdict correlate`: what moved first in an incident, and what moved together."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cyclopts import App, Parameter

from holdfast.apps.cli.moments import past_moment, span_typed
from holdfast.apps.cli.output import Output, check_png, write_picture
from holdfast.apps.cli.parameters import AsJson
from holdfast.apps.cli.tables import span
from holdfast.apps.cli.verdict_backtest import PastSeries
from holdfast.domain.errors import InvalidInput
from holdfast.runbook.library import RunbookLibrary
from holdfast.verdict.query import resolve
from holdfast.verdict.settings import Scoring

if TYPE_CHECKING:  # they bring numpy, and quick commands need not wait for it
    from holdfast.verdict.change_points import JointStep, Shift
    from holdfast.verdict.correlation import Link

Side = Literal["canary", "control"]
Series = Mapping[str, Sequence[float | None]]

_EXAMPLES: Final = """\
Examples:
  holdfast verdict correlate --runbook rollout/support-surge --from 2026-03-08T12:00Z --to 2026-03-08T13:00Z
  … --side canary --lag 5m                     of the canary, steps at most five minutes apart
  … --plot incident.png                        as a picture too
  … --json | jq -r '.steps[].words'

Take an hour or two with calm before and after. What came first is no proof of what caused it.
docs/correlate.md says what is found, what is not, and how sure it is."""

_FEWEST_POINTS: Final = 20
_MOST_POINTS: Final = 2_000
_MOST_LAG: Final = 60  # points; each of them costs certainty
_SHOWN: Final = 10


@dataclass(frozen=True)
class CorrelateDeps:
    """What the command works with; called only when needed.

    Attributes:
        series: lends the metrics database; entered once a command.
        library: the reviewed runbooks.
        draw: makes a PNG of the series, their steps, the pairs of steps, the time of the first point, the
            distance between two points, and a title.
    """

    series: Callable[[], AbstractAsyncContextManager[PastSeries]]
    library: Callable[[], RunbookLibrary]
    draw: "Callable[[Series, Sequence[Shift], Sequence[JointStep], datetime, timedelta, str], bytes]"


def add_correlate(verdict: App, commands: "CorrelateCommands") -> None:
    """Add `correlate` to the commands about verdicts."""
    verdict.command(commands.correlate, help_epilogue=_EXAMPLES)


class CorrelateCommands:
    """Looking back at the metrics of an incident."""

    def __init__(self, deps: CorrelateDeps) -> None:
        self._deps = deps

    async def correlate(
        self,
        *,
        runbook: Annotated[str, Parameter(help="Whose queries to ask, e.g. rollout/support-surge.")],
        start: Annotated[str, Parameter(name="--from", help="First minute, e.g. 2026-03-08T12:00Z.")],
        end: Annotated[str, Parameter(name="--to", help="Last minute.")],
        side: Annotated[Side, Parameter(help="Whose numbers.")] = "control",
        step: Annotated[
            str, Parameter(help="From one point to the next, and `$window`: at least four scrapes.")
        ] = "60s",
        lag: Annotated[str, Parameter(help="How far apart two movements may be.")] = "10m",
        as_json: AsJson = False,
        plot: Annotated[Path | None, Parameter(help="Write a picture (PNG).", show_default=False)] = None,
    ) -> None:
        """Say which metrics stepped to another level, in which order, and which moved together repeatedly."""
        check_png(plot)
        window = _window(start, end, step)
        longest_lag = _lag(lag, window.step)
        spec = self._deps.library().rollout(runbook.removeprefix("rollout/")).spec
        async with self._deps.series() as database:
            asking = _Asking(database, spec.scoring, side, window)
            asked = await asking.all()
        found = _found(spec.name, asking, asked, longest_lag)
        out = Output(as_json=as_json)
        out.document(found.document())
        if not as_json:
            for line in found.lines():
                out.say(line)
        self._draw(found, plot, out)

    def _draw(self, found: "_Found", path: Path | None, out: Output) -> None:
        if path is None:
            return
        window = found.window
        title = f"{found.runbook}, {found.side}"
        picture = self._deps.draw(found.series, found.steps, found.joint, window.start, window.step, title)
        write_picture(path, picture)
        out.say(f"\nDrawn: {path}")


# --- what is asked ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Window:
    """The points in time to ask for: `points` of them from `start` on."""

    start: datetime
    step: timedelta
    points: int

    @property
    def end(self) -> datetime:
        return self.start + (self.points - 1) * self.step


def _window(start: str, end: str, step: str) -> _Window:
    first, last = past_moment("--from", start), past_moment("--to", end)
    distance = span_typed("--step", step)
    points = (last - first) // distance + 1
    if points < _FEWEST_POINTS:
        raise InvalidInput(
            f"--to: from --from up to it must be {_FEWEST_POINTS} points or more, one each {step} "
            f"(got {max(points, 0)})"
        )
    if points > _MOST_POINTS:
        raise InvalidInput(f"--step: makes {points} points; choose one that makes at most {_MOST_POINTS}")
    return _Window(first, distance, points)


def _lag(typed: str, step: timedelta) -> timedelta:
    lag = span_typed("--lag", typed)
    if lag > _MOST_LAG * step:
        raise InvalidInput(f"--lag: must be at most {_MOST_LAG} times --step (got {typed})")
    return lag


@dataclass(frozen=True)
class _Asking:
    """The queries of a runbook, for one side, over one window."""

    database: PastSeries
    scoring: Scoring
    side: Side
    window: _Window

    async def all(self) -> dict[str, list[float | None]]:
        """Ask for every metric, and for the traffic.

        Raises:
            InvalidInput: there is not a single number.
        """
        asked = {name: await self._points(query) for name, query, _ in _queries(self.scoring)}
        if not any(value is not None for points in asked.values() for value in points):
            start, end = self.window.start, self.window.end
            raise InvalidInput(
                f"the metrics database has no numbers of the {self.side} (side '{self._label}') from "
                f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} {start:%Z}: check --from, --to, --side"
            )
        return asked

    @property
    def _label(self) -> str:
        return self.scoring.canary_label if self.side == "canary" else self.scoring.control_label

    async def _points(self, query: str) -> list[float | None]:
        start, step = self.window.start, self.window.step
        found = await self.database.series_at(
            resolve(query, side=self._label, window=step), start=start, end=self.window.end, step=step
        )
        by_point = {round((at - start) / step): value for at, value in found.items()}
        return [by_point.get(point) for point in range(self.window.points)]


def _queries(scoring: Scoring) -> Iterator[tuple[str, str, str]]:
    """Return name, query and unit of each series; several of one metric are told apart by number."""
    for metric, settings in scoring.metrics.items():
        several = len(settings.queries) > 1
        for number, query in enumerate(settings.queries):
            yield (f"{metric}[{number + 1}]" if several else metric), query, settings.unit_of(number)
    if scoring.traffic is not None and "traffic" not in scoring.metrics:
        yield "traffic", scoring.traffic, "/s"


# --- what is told -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """Everything that is told, in words or as JSON."""

    runbook: str
    side: Side
    window: _Window
    series: Series
    units: Mapping[str, str]
    steps: "Sequence[Shift]"
    joint: "Sequence[JointStep]"
    links: "Sequence[Link]"

    def lines(self) -> Iterator[str]:
        start, end = self.window.start, self.window.end
        yield (
            f"{self.runbook}, {self.side}, {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} {start:%Z}: "
            f"{len(self.series)} series, {self.window.points} points each"
        )
        silent = [name for name, points in self.series.items() if _known(points) < _needed(points)]
        if silent:
            yield f"Too few numbers to say anything of: {', '.join(silent)}"
        yield from _listed("Stepped to another level, the first one first:", [s.words for s in self.steps])
        yield from _listed("Of these, close to each other:", [_with_chance(pair) for pair in self.joint])
        yield from _listed("Moved together repeatedly:", [link.words for link in self.links])
        if self.steps or self.links:
            yield "\nWhat came first is no proof of what caused it."
        else:
            yield (
                "\nNothing stands out: no metric stepped to another level, "
                "and no two moved together more than chance allows."
            )

    def document(self) -> dict[str, Any]:
        return {
            "runbook": self.runbook,
            "side": self.side,
            "from": self.window.start.isoformat(),
            "to": self.window.end.isoformat(),
            "step_seconds": self.window.step.total_seconds(),
            "series": {
                name: {"unit": self.units[name], "points": _known(points)}
                for name, points in self.series.items()
            },
            "steps": [_step_document(step) for step in self.steps],
            "stepped_together": [_joint_document(pair) for pair in self.joint],
            "moved_together": [_link_document(link) for link in self.links],
        }


def _found(runbook: str, asking: _Asking, asked: Series, longest_lag: timedelta) -> _Found:
    """Look for steps, for steps close to each other, and for what moves together."""
    from holdfast.verdict.change_points import shifts, stepped_together  # noqa: PLC0415  as above
    from holdfast.verdict.correlation import moved_together  # noqa: PLC0415  as above

    window = asking.window
    units = {name: unit for name, _, unit in _queries(asking.scoring)}
    steps = shifts(asked, step=window.step, start=window.start, units=units)
    return _Found(
        runbook=runbook,
        side=asking.side,
        window=window,
        series=asked,
        units=units,
        steps=steps,
        joint=stepped_together(steps, longest_lag=longest_lag),
        links=moved_together(asked, step=window.step, longest_lag=longest_lag // window.step),
    )


def _known(points: Sequence[float | None]) -> int:
    return sum(value is not None for value in points)


def _needed(points: Sequence[float | None]) -> float:
    return max(_FEWEST_POINTS, len(points) / 2)


def _listed(title: str, lines: Sequence[str]) -> Iterator[str]:
    if not lines:
        return
    yield f"\n{title}"
    for line in islice(lines, _SHOWN):
        yield f"  {line}"
    if len(lines) > _SHOWN:
        yield f"  … and {len(lines) - _SHOWN} more; --json has all"


def _with_chance(pair: "JointStep") -> str:
    window = span(pair.leader.points * pair.leader.step)
    return f"{pair.words} [unrelated steps are this close in {100 * pair.coincidence:.0f} % of {window}]"


def _step_document(step: "Shift") -> dict[str, Any]:
    return {
        "metric": step.metric,
        "direction": step.direction,
        "at": step.at and step.at.isoformat(),
        "uncertainty_seconds": step.uncertainty.total_seconds(),
        "before": step.before,
        "after": step.after,
        "unit": step.unit,
        "back_at": step.back_at and step.back_at.isoformat(),
        "back": step.back,
        "p_value": step.p_value,
        "words": step.words,
    }


def _joint_document(pair: "JointStep") -> dict[str, Any]:
    return {
        "leader": pair.leader.metric,
        "follower": pair.follower.metric,
        "lag_seconds": pair.lag.total_seconds(),
        "uncertainty_seconds": round(pair.uncertainty.total_seconds(), 1),
        "sure_of_order": pair.sure_of_order,
        "coincidence": pair.coincidence,
        "words": pair.words,
    }


def _link_document(link: "Link") -> dict[str, Any]:
    return {
        "leader": link.leader,
        "follower": link.follower,
        "lag_seconds": link.lag.total_seconds(),
        "coefficient": link.coefficient,
        "points": link.points,
        "p_value": link.p_value,
        "words": link.words,
    }
