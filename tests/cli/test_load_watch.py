"""`holdfast load watch` over a log that fills second by second, and what `run load --wait` shows of it."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from cyclopts import App, Parameter

from holdfast.apps.cli import load_live
from holdfast.apps.cli.load import LoadDeps, add_load
from holdfast.apps.cli.load_live import LoadWatching
from holdfast.apps.cli.output import Output
from holdfast.domain.campaign import Go, TestLine, TestVerdict
from holdfast.domain.errors import EngineUnavailable, InvalidInput, Unavailable, UnknownName
from holdfast.loadgen.outcome import result_of
from holdfast.loadgen.totals import Totals
from holdfast.ports.load import KeptReport, KeptTest, MadeTest
from tests.cli.conftest import Told, told_by
from tests.fakes import eventually
from tests.loadgen.load_figures import load_test, report, said, steady
from tests.workflows.load_house import MemoryLoadLog

RUN = "load-aaaaaaaa"
SPEC = load_test()
Command = Callable[..., Told]


def kept_test(verdict: TestVerdict = TestVerdict.PASSED, **line: Any) -> KeptTest:
    totals = Totals(SPEC)
    totals.add(steady(10, done=True))
    result = result_of(totals, started_at=datetime.now(UTC), run=RUN)
    result.verdict = verdict
    told = TestLine(run=RUN, at=result.started_at, verdict=verdict, said="so it is", **line)
    return KeptTest(
        run=RUN, runbook="some", at=told.at, line=told, result=result.model_dump(mode="json", by_alias=True)
    )


class Filling(MemoryLoadLog):
    """A log that has one more second at each look, and then the result, where there is one."""

    def __init__(self, *, seconds: int = 3, end: KeptTest | None = None) -> None:
        super().__init__()
        self._seconds, self._end = seconds, end
        self.looks = 0
        self.silent_at: set[int] = set()

    async def reports(self, run: str, *, after: int = 0) -> tuple[list[KeptReport], int]:
        self.looks += 1
        if self.looks in self.silent_at:
            raise Unavailable("the database does not answer")
        if len(self.kept.get(run, [])) < self._seconds:
            number = len(self.kept.get(run, [])) + 1
            made = report(float(number), {number - 1: {"ask": said([10.0 * number] * 10)}})
            await self.add([KeptReport(run=run, shard=0, number=number, report=made)])
        elif self._end is not None:
            await self.finish(self._end)
        return await super().reports(run, after=after)


@dataclass
class Runs:
    """`ports.load.LoadRuns` of one run."""

    made_test: MadeTest = field(default_factory=lambda: MadeTest(spec=SPEC, start_at=time.time() - 60))
    error: Exception | None = None

    async def made(self, run: str) -> MadeTest:
        if run != RUN:
            raise UnknownName("run", run, ["those that 'holdfast runs' lists"])
        if self.error:
            raise self.error
        return self.made_test


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_live, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(load_live, "_ASK_SECONDS", 0.02)


@pytest.fixture
def runs() -> Runs:
    return Runs()


@pytest.fixture
def watch(runs: Runs, capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    def command(log: MemoryLoadLog, *tokens: str) -> Told:
        app = App(name="holdfast", default_parameter=Parameter(negative=()), error_formatter=str)
        add_load(app, _deps(log, runs))
        return told_by(app, ["load", "watch", *tokens], capsys)

    return command


def _deps(log: MemoryLoadLog, runs: Runs) -> LoadDeps:
    @asynccontextmanager
    async def watching() -> AsyncGenerator[LoadWatching]:
        yield LoadWatching(log, runs)

    def unused(*_: Any) -> Any:
        pytest.fail("watching needs none of it")

    return LoadDeps(library=unused, limits=unused, secrets=unused, draw=unused, watching=watching)


def test_each_second_is_told_once_and_then_the_result(watch: Command) -> None:
    told = watch(Filling(end=kept_test()), RUN)
    assert told.code == 0
    seconds = [line.split()[0] for line in told.out.splitlines() if "in flight" in line]
    assert seconds == ["0:00", "0:01", "0:02"]
    assert "p95 10 ms" in told.out
    assert "passed: some" in told.out


def test_json_is_an_object_a_second_and_the_result_at_last(watch: Command) -> None:
    told = watch(Filling(end=kept_test(TestVerdict.FAILED)), RUN, "--json")
    *live, last = map(json.loads, told.out.splitlines())
    assert told.code == 1
    assert [(each["run"], each["second"]) for each in live] == [(RUN, 0), (RUN, 1), (RUN, 2)]
    assert live[0]["lines"][0]["answered_per_s"] == 10
    assert (last["run"], last["verdict"], last["said"]) == (RUN, "failed", "so it is")
    assert last["result"]["runbook"] == "some"


def test_a_test_that_is_over_is_told_without_asking_its_run(watch: Command, runs: Runs) -> None:
    log, runs.error = MemoryLoadLog(), EngineUnavailable("the Temporal server does not answer")
    log.finished[RUN] = kept_test(TestVerdict.FAILED, go=Go.LIMITS, decided_by="boris")
    told = watch(log, RUN)
    assert told.code == 1
    assert "boris decided: go with limits" in told.out
    assert "in flight" not in told.out


@pytest.mark.parametrize(
    ("verdict", "code"), [(TestVerdict.VOID, 3), (TestVerdict.STOPPED, 4), (TestVerdict.SKIPPED, 3)]
)
def test_a_run_that_ended_without_figures_is_told_by_its_headline(
    watch: Command, runs: Runs, verdict: TestVerdict, code: int
) -> None:
    runs.made_test = MadeTest(headline="no test is made: a blackout", verdict=verdict, open=False)
    told = watch(MemoryLoadLog(), RUN)
    assert (told.code, told.out) == (code, "no test is made: a blackout\n")


def test_a_run_that_was_terminated_is_not_told_as_if_it_went_on(watch: Command, runs: Runs) -> None:
    runs.made_test = MadeTest(headline="Customers: 20 of 40 sessions a second", open=False)
    told = watch(MemoryLoadLog(), RUN)
    said = "The run has ended without a result. The last that it said: Customers: 20 of 40 sessions a second"
    assert (told.code, told.out) == (3, f"{said}\n")


@pytest.mark.parametrize(
    ("run", "error", "expected"),
    [
        ("load-x", None, (2, "unknown run 'load-x'")),
        (RUN, InvalidInput("run 'x' is no load test"), (2, "is no load test")),
        (RUN, EngineUnavailable("the Temporal server does not answer"), (3, "does not answer")),
    ],
)
def test_what_cannot_be_watched_is_an_error_at_once(
    watch: Command, runs: Runs, run: str, error: Exception | None, expected: tuple[int, str]
) -> None:
    runs.error = error
    told = watch(MemoryLoadLog(), run)
    code, sentence = expected
    assert (told.code, told.out) == (code, "")
    assert sentence in told.err


def test_a_store_that_is_away_for_a_while_is_waited_for_and_told_once(watch: Command) -> None:
    log = Filling(end=kept_test())
    log.silent_at = {2, 3, 4}
    told = watch(log, RUN)
    assert told.code == 0
    assert told.out.count("the database does not answer; the test itself goes on, still listening …") == 1
    assert told.out.count("It is heard of again.") == 1
    assert "0:02" in told.out


def test_a_server_that_is_away_does_not_end_the_watching_while_reports_come(watch: Command, runs: Runs) -> None:
    log = Filling(seconds=30, end=kept_test())
    made = runs.made

    async def once(run: str) -> MadeTest:
        answer = await made(run)
        runs.error = EngineUnavailable("the Temporal server does not answer")
        return answer

    runs.made = once  # type: ignore[method-assign]  the same, and then silence
    told = watch(log, RUN)
    assert told.code == 0
    assert sum("in flight" in line for line in told.out.splitlines()) == 30


def test_a_server_that_gives_no_answer_holds_no_second_up(watch: Command, runs: Runs) -> None:
    log = Filling(seconds=30, end=kept_test())
    made, asked = runs.made, 0

    async def once(run: str) -> MadeTest:
        nonlocal asked
        asked += 1
        if asked > 1:
            await asyncio.Event().wait()
        return await made(run)

    runs.made = once  # type: ignore[method-assign]  the same, and then nothing comes back
    told = watch(log, RUN)
    assert told.code == 0
    assert asked == 2
    assert sum("in flight" in line for line in told.out.splitlines()) == 30
    assert "still listening" not in told.out


def test_ctrl_c_ends_the_watching_and_says_that_the_test_goes_on(watch: Command) -> None:
    log = Filling()
    looking = log.reports

    async def interrupted(run: str, *, after: int = 0) -> tuple[list[KeptReport], int]:
        if len(log.kept.get(run, [])) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return await looking(run, after=after)

    log.reports = interrupted  # type: ignore[method-assign]  the same, with a person at the keyboard
    told = watch(log, RUN)
    assert told.code == 130
    assert f"the test goes on. To stop it: holdfast stop {RUN} --as NAME" in told.out
    assert "0:01" in told.out


def test_a_run_that_is_not_ready_yet_says_what_it_does(watch: Command, runs: Runs) -> None:
    ready, looks = runs.made_test, 0
    made = runs.made

    async def getting_ready(run: str) -> MadeTest:
        nonlocal looks
        looks += 1
        runs.made_test = (
            MadeTest(headline="reading what is to be tested")
            if looks == 1
            else MadeTest(spec=SPEC, headline="asking which load workers there are")
            if looks == 2
            else ready
        )
        return await made(run)

    runs.made = getting_ready  # type: ignore[method-assign]  the same, step by step
    told = watch(Filling(end=kept_test()), RUN)
    assert told.out.splitlines()[:2] == ["reading what is to be tested", "asking which load workers there are"]
    assert "0:00" in told.out


async def test_a_run_that_is_waited_for_shows_each_second_beside_its_timeline(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    log, out = Filling(), Output()
    async with load_live.shown_beside(_deps(log, runs).watching, RUN, out):
        await eventually(lambda: len(log.kept.get(RUN, [])) == 3)
        out.say("12:00:00  a line of its timeline")
        await eventually(lambda: log.looks > 5)
    told = capsys.readouterr().out
    assert "0:02" in told
    assert "a line of its timeline" in told


async def test_without_the_store_a_run_is_waited_for_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    @asynccontextmanager
    async def down() -> AsyncGenerator[LoadWatching]:
        raise Unavailable("the database does not answer")
        yield

    said_so = []
    out = Output()
    async with load_live.shown_beside(down, RUN, out):
        await eventually(lambda: said_so.append(capsys.readouterr().out) or any(said_so))
    assert "".join(said_so) == "The figures of each second are not shown: the database does not answer\n"
