"""`holdfast load`: run a load test on this machine, look at what it would do, compare two results."""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import App, Parameter
from pydantic import ValidationError
from rich.console import Console
from rich.live import Live as Screen

from holdfast.apps.cli import load_views as views
from holdfast.apps.cli.output import Output, check_png, write_picture
from holdfast.apps.cli.parameters import AsJson
from holdfast.domain.campaign import TestVerdict
from holdfast.domain.errors import InvalidInput
from holdfast.domain.strict import read_duration
from holdfast.i18n import language
from holdfast.loadgen import words
from holdfast.loadgen.local import LocalTest, altered
from holdfast.loadgen.result import LoadResult
from holdfast.loadgen.safety import Limits
from holdfast.loadgen.totals import Live
from holdfast.runbook.kinds.load import LoadSpec
from holdfast.runbook.library import RunbookLibrary
from holdfast.runbook.loader import load_load_test

_RUN_EXAMPLES: Final = """\
Examples:
  holdfast load run autumn-sale
  holdfast load run autumn-sale --rate 50 --for 30s
  holdfast load run mine.yaml --url shop=http://127.0.0.1:8080 --shards 2
  holdfast load run autumn-sale --json > result.json
  holdfast load run autumn-sale --png load.png --html load.html

Exit codes:
  0  passed: every threshold held
  1  failed: a threshold did not hold
  2  wrong input, or a target that this machine must not load
  3  void: the generator itself could not keep up, so the figures do not count
  4  stopped by a person (Ctrl-C); the result so far is printed

Latency counts from the moment at which a request was due, whatever the target does.
Which hosts may be loaded: HOLDFAST_LOAD_HOSTS, this machine only without it."""

_CHECK_EXAMPLES: Final = """\
Examples:
  holdfast load check autumn-sale
  holdfast load check mine.yaml --rate 50 --for 30s --json"""

_COMPARE_EXAMPLES: Final = """\
Examples:
  holdfast load run autumn-sale --json > before.json
  holdfast load run autumn-sale --json > after.json
  holdfast load compare before.json after.json"""


class LoadExit(IntEnum):
    """The exit codes of `holdfast load run`."""

    PASSED = 0
    FAILED = 1
    BAD_INPUT = 2
    VOID = 3
    STOPPED = 4


_CODES: Final[Mapping[TestVerdict, LoadExit]] = {
    TestVerdict.PASSED: LoadExit.PASSED,
    TestVerdict.FAILED: LoadExit.FAILED,
    TestVerdict.VOID: LoadExit.VOID,
    TestVerdict.STOPPED: LoadExit.STOPPED,
}

_Which = Annotated[str, Parameter(help="Name of a load test, or its file.")]
_Rate = Annotated[
    float | None,
    Parameter(help="Sessions a second: one constant phase in place of all.", show_default=False),
]
_For = Annotated[str, Parameter(name="--for", help="How long: 30s, 10m.", show_default=False)]
_Urls = Annotated[
    list[str] | None,
    Parameter(name="--url", help="TARGET=URL: another address; may be repeated.", show_default=False),
]


@dataclass(frozen=True)
class LoadDeps:
    """What these commands work with.

    Attributes:
        library: the reviewed load tests.
        limits: what this machine may load, how hard and how long.
        secrets: the values of a test's secrets by reference, see `Share.secrets`.
        draw: makes the PNG of a result.
    """

    library: Callable[[], RunbookLibrary]
    limits: Callable[[], Limits]
    secrets: Callable[[LoadSpec], Mapping[str, str]]
    draw: Callable[[LoadResult], bytes]


def add_load(app: App, deps: LoadDeps, *, group: Any = None) -> None:
    """Add `load` to the `holdfast` command."""
    commands = LoadCommands(deps)
    load = App(
        name="load", help="Make load on this machine, and compare.", group=group, help_epilogue=_RUN_EXAMPLES
    )
    load.command(commands.run, help_epilogue=_RUN_EXAMPLES)
    load.command(commands.check, help_epilogue=_CHECK_EXAMPLES)
    load.command(commands.compare, help_epilogue=_COMPARE_EXAMPLES)
    app.command(load)


class LoadCommands:
    """Load tests of this machine; none of these needs a server."""

    def __init__(self, deps: LoadDeps) -> None:
        self._deps = deps

    async def run(
        self,
        which: _Which,
        /,
        *,
        rate: _Rate = None,
        lasts: _For = "",
        url: _Urls = None,
        shards: Annotated[int, Parameter(help="Generator processes; at most one a core.")] = 1,
        as_json: AsJson = False,
        png: Annotated[Path | None, Parameter(help="Draw it into this file.", show_default=False)] = None,
        html: Annotated[Path | None, Parameter(help="A page of it, as one file.", show_default=False)] = None,
    ) -> LoadExit:
        """Run a load test from this machine, told each second; Ctrl-C stops it within a second."""
        check_png(png)
        spec, out = self._spec(which, rate, lasts, url), Output(as_json=as_json)
        secrets = self._deps.secrets(spec)
        test = LocalTest(spec, limits=self._deps.limits(), shards=shards, secrets=secrets)
        result = await _followed(test, spec, out)
        out.document(result.model_dump(mode="json"))
        _tell(result, out)
        if png or html:
            self._write(result, png, html)
        return _CODES[result.verdict]

    def check(
        self,
        which: _Which,
        /,
        *,
        rate: _Rate = None,
        lasts: _For = "",
        url: _Urls = None,
        as_json: AsJson = False,
    ) -> LoadExit:
        """Say what a load test would do, and whether this machine may run it; nothing is sent."""
        spec, out = self._spec(which, rate, lasts, url), Output(as_json=as_json)
        plan = views.plan_of(spec)
        out.document(plan)
        if not as_json:
            _show_plan(plan, out)
        self._deps.limits().check(spec)
        out.say("This machine may run it.")
        return LoadExit.PASSED

    def compare(
        self,
        before: Annotated[Path, Parameter(help="A result, as `load run --json` wrote it.")],
        after: Annotated[Path, Parameter(help="Another one.")],
        /,
    ) -> None:
        """Put two results side by side."""
        out, one, other = Output(), _read(before), _read(after)
        for path, result in ((before, one), (after, other)):
            out.say(f"{path.name}: {words.verdict_word(result.verdict)}. {' '.join(words.sentences(result))}")
        if one.flaws or other.flaws:
            out.say("A void result shows the generator's limit, not the target's: do not compare with it.")
        out.show(views.compared_table(one, other))

    def _spec(self, which: str, rate: float | None, lasts: str, urls: list[str] | None) -> LoadSpec:
        path = Path(which)
        is_file = path.suffix in {".yaml", ".yml"} or path.is_file()
        loaded = load_load_test(path) if is_file else self._deps.library().load_test(which)
        duration = _duration(lasts) if lasts else None
        return altered(loaded.spec, rate=rate, lasts=duration, urls=dict(map(_address, urls or [])))

    def _write(self, result: LoadResult, png: Path | None, html: Path | None) -> None:
        picture = self._deps.draw(result)
        if png:
            write_picture(png, picture)
        if html:
            try:
                html.write_text(views.page(result, picture, language()), encoding="utf-8")
            except OSError as error:
                raise InvalidInput(f"--html: {html} cannot be written: {error.strerror}") from None


async def _followed(test: LocalTest, spec: LoadSpec, out: Output) -> LoadResult:
    """Run the test, with a table that changes each second on a terminal, and a line a second elsewhere."""
    console = Console(stderr=out.as_json)
    if console.is_terminal:
        with Screen(console=console, auto_refresh=False, transient=True) as screen:
            return await test.run(
                lambda live: screen.update(views.live_table(spec, live), refresh=True),
                signals=(signal.SIGINT, signal.SIGTERM),
            )

    def say(live: Live) -> None:
        if live.second >= 0:
            out.say(views.live_line(live))

    return await test.run(say, signals=(signal.SIGINT, signal.SIGTERM))


def _tell(result: LoadResult, out: Output) -> None:
    if not out.as_json:
        out.show(views.figures_table(result.figures, "Requests, latency from the moment they were due"))
        out.show(views.phases_table(result))
    out.say(f"{words.verdict_word(result.verdict)}: {result.runbook}")
    for sentence in words.sentences(result):
        out.say(sentence)


def _show_plan(plan: Mapping[str, Any], out: Output) -> None:
    out.say(f"{plan['title']} ({plan['name']})")
    long = words.clock(plan["lasts_seconds"])
    out.say(f"{long} long, {plan['sessions']} sessions, some {plan['requests']} requests")
    for stretch in plan["stretches"]:
        low, high = stretch["rates"]
        rates = f"{high:g}/s" if low == high else f"{low:g}/s to {high:g}/s"
        out.say(f"  {words.clock(stretch['from_seconds'])} to {words.clock(stretch['to_seconds'])}  {rates}")
    for name, address in plan["targets"].items():
        out.say(f"Target {name}: {address}")
    for scenario in plan["scenarios"]:
        out.say(f"A session of {scenario['name']} ({words.percent(scenario['share_percent'])} of all) sends:")
        for request in scenario["requests"]:
            out.say(f"  {views.request_line(request)}")


def _duration(option: str) -> timedelta:
    try:
        duration = read_duration(option)
    except ValueError as error:
        raise InvalidInput(f"--for: {error}") from None
    if not isinstance(duration, timedelta):
        raise InvalidInput(f"--for: write a number and its unit, such as 30s or 10m, not '{option}'")
    return duration


def _address(option: str) -> tuple[str, str]:
    target, equals, url = option.partition("=")
    if not (target and equals and url):
        raise InvalidInput(f"--url: write TARGET=URL, such as shop=http://127.0.0.1:8080, not '{option}'")
    return target, url


def _read(path: Path) -> LoadResult:
    try:
        return LoadResult.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError:
        raise InvalidInput(f"{path} is no result of a load test: write one with 'load run --json'") from None
