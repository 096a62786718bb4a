"""Why a verdict is what it is: every number with its unit, what it is compared with, and its query."""

import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, Group, Parameter
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.text import Text

from holdfast.apps.cli.output import Output, write_picture
from holdfast.apps.cli.parameters import AsJson
from holdfast.apps.cli.render import LEVEL_STYLES
from holdfast.apps.cli.tables import table
from holdfast.domain.errors import InvalidInput
from holdfast.domain.view import MetricLine, VerdictView
from holdfast.ports.runs import RunControl
from holdfast.verdict.words import measured_or_dash

_EXAMPLES = """\
Examples:
  holdfast verdict explain rollout-4f7qk2mz
  holdfast verdict explain rollout-4f7qk2mz --plot verdict.png
  holdfast verdict explain rollout-4f7qk2mz --json | jq -r '.verdict.lines[].query'
  holdfast verdict explain releases/ --release 0142 --minute 7 --model attributed

Allowed is how far the canary may be from what it is compared with; used is how much of that it is away."""

_WIDEST, _INDENT = 300, (0, 0, 0, 2)
_LEVELS: Final = {"green": 0, "yellow": 1, "red": 2}
_COLUMNS: Final = (
    "metric", "canary", "compared with", "control", "past", "allowed", "used", "level", "weight", "adds",
)  # fmt: skip


@dataclass(frozen=True)
class ExplainDeps:
    """What these commands work with.

    Attributes:
        run_control: the way to the runs; entered once a command.
        draw: a verdict and whose it is, as PNG.
        release_verdict: for a folder of labelled releases, the id of one of them, a minute (None for the one
            that decides) and the name of a model (empty for the one that decides): its verdict, and what it is
            in words. Raises InvalidInput for what is not there.
    """

    run_control: Callable[[], AbstractAsyncContextManager[RunControl]]
    draw: Callable[[VerdictView, str], bytes]
    release_verdict: Callable[[Path, str, float | None, str], tuple[VerdictView, str]]


@dataclass(frozen=True)
class _Explained:
    title: str
    verdict: VerdictView
    baseline: str = ""


class ExplainCommands:
    """Looking behind verdicts."""

    def __init__(self, deps: ExplainDeps) -> None:
        self._deps = deps

    async def explain(
        self,
        run: Annotated[
            str, Parameter(help="The run's id; with --release the folder of the labelled releases.")
        ],
        /,
        *,
        release: Annotated[
            str, Parameter(help="Explain a labelled release of this folder instead.", show_default=False)
        ] = "",
        minute: Annotated[
            float | None,
            Parameter(help="Of the release, since its first traffic; without it the minute that decides."),
        ] = None,
        model: Annotated[
            str, Parameter(help="Of the release: which model judges it.", show_default=False)
        ] = "",
        plot: Annotated[Path | None, Parameter(help="Write a chart there, as PNG.")] = None,
        as_json: AsJson = False,
    ) -> None:
        """Explain the newest verdict of a run: each number, what it is compared with and adds, its query."""
        out = Output(as_json=as_json)
        if release:
            verdict, title = self._deps.release_verdict(Path(run), release, minute, model)
            found = _Explained(title, verdict)
        else:
            _only_with_release(minute, model)
            found = await self._of_run(run)
        if plot is not None:
            write_picture(plot, self._deps.draw(found.verdict, found.title))
        out.document(_document(found))
        if not as_json:
            for part in explanation(found.verdict, found.title, found.baseline):
                out.show(part)
        if plot is not None:
            out.say(f"Chart: {plot}")

    async def _of_run(self, run: str) -> _Explained:
        async with self._deps.run_control() as control:
            view = await control.view(run)
        if view.verdict is None:
            raise InvalidInput(
                f"run {run} has no verdict yet, it is {view.state}: {view.headline} "
                "Verdicts come while a share is watched."
            )
        return _Explained(f"{view.run_id}: {view.title}", view.verdict, view.baseline)


def add_verdict(app: App, commands: ExplainCommands, *, group: Group | None = None) -> App:
    """Add `holdfast verdict explain`, and return `verdict` for more commands."""
    verdict = App(name="verdict", help="Look behind verdicts.", group=group, help_epilogue=_EXAMPLES)
    verdict.command(commands.explain, help_epilogue=_EXAMPLES)
    app.command(verdict)
    return verdict


def explanation(verdict: VerdictView, title: str, baseline: str = "") -> Iterator[RenderableType]:
    """Lay out everything that is known about a verdict.

    Args:
        verdict: one of an older record is shown without what it lacks.
        title: whose it is.
        baseline: on how much history the past rests, in words.
    """
    yield Text(title, style="bold")
    yield Text(f"{verdict.said.upper()} at {verdict.share_percent} %, risk {verdict.risk}", style="bold")
    yield Text(f"{verdict.reason} (taken at {verdict.at:%Y-%m-%d %H:%M:%S} UTC)")
    if verdict.rests_on:
        yield Text(f"This {verdict.rests_on}.")
    if verdict.lines:
        yield _Numbers(verdict.lines)
    if text := "\n".join(_sum(verdict)):
        yield Text(text)
    yield from _block("Held against the canary on its call edges", verdict.edges)
    yield from _block("Where each number comes from", _sources(verdict))
    yield from _block(f"How model {verdict.model or '(not recorded)'} judges", verdict.settings)
    if baseline:
        yield Text(f"\nBaseline: {baseline}")


class _Numbers:
    """The metrics as a table, or below each other where a window is too narrow for it."""

    def __init__(self, lines: list[MetricLine]) -> None:
        self._lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        whole = table(_COLUMNS, (_row(line) for line in self._lines))
        if console.measure(whole, options=options.update(max_width=_WIDEST)).maximum <= options.max_width:
            yield whole
            return
        for line in self._lines:
            yield Text(f"{line.metric}: {line.level}", style=LEVEL_STYLES.get(line.level, ""))
            cells = zip(_COLUMNS[1:], _row(line)[1:], strict=True)
            told = (f"{name} {cell}" for name, cell in cells if name != "level" and str(cell) != "–")
            yield Padding(Text("; ".join(told)), _INDENT, expand=False)


def _row(line: MetricLine) -> tuple[str | Text, ...]:
    return (
        line.metric,
        line.value,
        line.comparison,
        measured_or_dash(line.control, line.unit),
        measured_or_dash(line.past, line.unit),
        line.allowed or "–",
        line.used,
        Text(line.level, style=LEVEL_STYLES.get(line.level, "")),
        "–" if line.weight_percent is None else f"{line.weight_percent} %",
        "–" if (adds := _adds(line)) is None else f"{adds / 100:.2f}",
    )


def _adds(line: MetricLine) -> int | None:
    """Return 100 times what a metric adds to the weighted risk; None where that is not known."""
    level = _LEVELS.get(line.level)
    return None if level is None or line.weight_percent is None else line.weight_percent * level


def _sum(verdict: VerdictView) -> Iterator[str]:
    added = [adds for line in verdict.lines if (adds := _adds(line)) is not None]
    if added:
        terms = " + ".join(f"{adds / 100:.2f}" for adds in added)
        bound = ", a lower bound: not every metric has a level" if len(added) < len(verdict.lines) else ""
        yield f"weight × level: {terms} = {sum(added) / 100:.2f}{bound}"
        if verdict.risk_percent is not None and verdict.risk_percent != sum(added):
            yield f"by its own rules below, the model makes {verdict.risk_percent / 100:.2f} of it"
    if verdict.thresholds:
        yield f"risk {verdict.risk}: {verdict.thresholds}"


def _sources(verdict: VerdictView) -> Iterator[str]:
    for line in verdict.lines:
        query = line.query or "its query was not recorded"
        yield f"{line.metric} = {line.value}\n{textwrap.indent(query, '  ')}"


def _block(title: str, texts: Iterable[str]) -> Iterator[RenderableType]:
    shown = [Padding(Text(text), _INDENT, expand=False) for text in texts]
    if shown:
        yield Text(f"\n{title}", style="bold")
        yield from shown


def _document(found: _Explained) -> dict[str, object]:
    adds = {line.metric: None if (a := _adds(line)) is None else a / 100 for line in found.verdict.lines}
    return {
        "title": found.title,
        "baseline": found.baseline,
        "adds_to_the_risk": adds,
        "verdict": found.verdict.model_dump(mode="json"),
    }


def _only_with_release(minute: float | None, model: str) -> None:
    for name, given in (("--minute", minute is not None), ("--model", bool(model))):
        if given:
            raise InvalidInput(f"{name} belongs to --release; of a run the newest verdict is explained")
