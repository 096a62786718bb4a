"""`holdfast load`: run a load test on this machine, watch one on the load workers, compare two results."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import App, Parameter
from pydantic import ValidationError

from holdfast.apps.cli import load_views as views
from holdfast.apps.cli.load_exits import CODES, LoadExit
from holdfast.apps.cli.load_live import ONLY_WATCHING, LoadWatching, Watcher, Watching, drawn
from holdfast.apps.cli.output import Output, check_png, warn, write_picture
from holdfast.apps.cli.parameters import AsJson, RunId
from holdfast.domain.errors import InvalidInput
from holdfast.domain.strict import read_duration
from holdfast.i18n import language
from holdfast.loadgen import words
from holdfast.loadgen.local import LocalTest, altered
from holdfast.loadgen.result import LoadResult
from holdfast.loadgen.safety import Limits
from holdfast.loadgen.totals import Live
from holdfast.ports.load import KeptTest, MadeTest
from holdfast.runbook.kinds.load import LoadSpec
from holdfast.runbook.library import RunbookLibrary
from holdfast.runbook.load_review import warnings_of
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


_WATCH_EXAMPLES: Final = """\
Examples:
  holdfast load watch load-4f7qk2mz
  holdfast load watch load-4f7qk2mz --json | jq -c '[.second, .lines[0].p99]'

Exit codes, for a test that is over:
  0  passed
  1  failed: a threshold did not hold
  2  there is no such load test
  3  void or skipped: there are no figures that count; or the database or the server does not answer
  4  stopped by a person
  130  Ctrl-C: nobody watches any more, and the test goes on

It reads the reports of the generators in the database, each second; a run of any age shows its result.
With --json each line is one object: a second of the test, and at last `result` with what it came to."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
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
        watching: lends what a test on the load workers is watched by.
    """

    library: Callable[[], RunbookLibrary]
    limits: Callable[[], Limits]
    secrets: Callable[[LoadSpec], Mapping[str, str]]
    draw: Callable[[LoadResult], bytes]
    watching: Watching


def add_load(app: App, deps: LoadDeps, *, group: Any = None) -> None:
    """Add `load` to the `holdfast` command."""
    commands = LoadCommands(deps)
    load = App(
        name="load",
        help="Make load on this machine, watch load tests, and compare.",
        group=group,
        help_epilogue=_RUN_EXAMPLES,
    )
    load.command(commands.run, help_epilogue=_RUN_EXAMPLES)
    load.command(commands.watch, help_epilogue=_WATCH_EXAMPLES)
    load.command(commands.check, help_epilogue=_CHECK_EXAMPLES)
    load.command(commands.compare, help_epilogue=_COMPARE_EXAMPLES)
    app.command(load)


class LoadCommands:
    """Load tests of this machine, which need no server, and watching those of the load workers."""

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
        return CODES[result.verdict]

    async def watch(self, run: RunId, /, *, as_json: AsJson = False) -> LoadExit:
        """Watch a load test on the load workers, second by second, and tell its result."""
        out = Output(as_json=as_json)
        async with self._deps.watching() as lent:
            ended = await _until_over(lent, run, out)
        if ended is None:
            out.say(f"Not watched any more; the test goes on. To stop it: holdfast stop {run} --as NAME")
            return LoadExit.UNWATCHED
        if isinstance(ended, MadeTest) or not ended.result:
            return _tell_without_result(run, ended, out)
        result = LoadResult.model_validate(ended.result)
        line = ended.line
        out.object({"run": run, **line.model_dump(mode="json", exclude={"run"}), "result": ended.result})
        _tell(result, out)
        if line.go:
            out.say(f"{line.decided_by} decided: {line.go}")
        return CODES[result.verdict]

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
        warn(warnings_of(spec, self._deps.library()))
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
    with drawn(out, ctrl_c="Ctrl-C stops") as show:
        return await test.run(lambda live: show(spec, live), signals=_SIGNALS)


async def _until_over(watching: LoadWatching, run: str, out: Output) -> KeptTest | MadeTest | None:
    """Watch a test, which nothing here can stop; return how it ended, None where a person watches no more."""

    def print_object(_spec: LoadSpec, live: Live) -> None:
        out.object({"run": run, **live.model_dump(mode="json")})

    loop, unwatched = asyncio.get_running_loop(), asyncio.Event()
    for each in _SIGNALS:
        loop.add_signal_handler(each, unwatched.set)
    with contextlib.nullcontext(print_object) if out.as_json else drawn(out, ctrl_c=ONLY_WATCHING) as show:
        ending = asyncio.create_task(Watcher(watching, run, show=show, say=out.say).end())
        leaving = asyncio.create_task(unwatched.wait())
        try:
            await asyncio.wait({ending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            return ending.result() if ending.done() else None
        finally:
            for each in _SIGNALS:
                loop.remove_signal_handler(each)
            for task in (ending, leaving):
                task.cancel()
            await asyncio.gather(ending, leaving, return_exceptions=True)


def _tell_without_result(run: str, ended: KeptTest | MadeTest, out: Output) -> LoadExit:
    """Tell of a test that came to no figures: it was skipped, or no load could be made."""
    line = ended.line if isinstance(ended, KeptTest) else None
    made = ended if isinstance(ended, MadeTest) else MadeTest()
    said, verdict = (line.said, line.verdict) if line else (made.headline, made.verdict)
    if verdict is None:  # its headline is from before its end, as if the test went on
        said = f"The run has ended without a result. The last that it said: {said}"
    out.object({"run": run, "verdict": verdict, "said": said, "result": None})
    out.say(said)
    return CODES[verdict] if verdict else LoadExit.VOID


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
