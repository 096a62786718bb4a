"""The activities of a load test: reports that are kept late, looks that fail, clocks that differ."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.load_watching import (
    LoadWatchActivities,
    LoadWatchRequest,
    _due_in,  # pyright: ignore[reportPrivateUsage]  a rule by itself
)
from activities.loading import LoadActivities, MakeRequest, ReadyReport, ReadyRequest
from holdfast.domain.errors import Unavailable
from holdfast.loadgen.report import Report, Share
from holdfast.ports.load import KeptReport
from tests.fakes import eventually
from tests.loadgen.load_figures import load_test, report, said
from tests.workflows.load_house import MemoryLoadLog
from workflows.board import Board
from workflows.load_shards import _of_one_clock  # pyright: ignore[reportPrivateUsage]  a rule by itself


class Told:
    """A generation that has said everything at once."""

    def __init__(self, reports: Sequence[Report]) -> None:
        self._reports = reports

    async def reports(self) -> AsyncIterator[Report]:
        for each in self._reports:
            yield each
        if not self._reports[-1].done:
            raise Unavailable("the generator process ended with status -9 before it was done")

    async def stop(self, why: str) -> None:
        raise AssertionError(why)


class Generators:
    """`ports.generators.Generators` with one that has said everything."""

    def __init__(self, reports: Sequence[Report] = ()) -> None:
        self._reports = reports

    async def prepare(self) -> None:
        """Nothing takes time here."""

    @asynccontextmanager
    async def run(self, share: Share) -> AsyncGenerator[Told]:
        assert share.secrets == {}
        yield Told(self._reports)


@dataclass
class Slow(MemoryLoadLog):
    """A log that takes so many reports at once, as one that answers in time does."""

    most: int = 1000
    asked: list[int] = field(default_factory=list[int])

    def __post_init__(self) -> None:
        super().__init__()

    async def add(self, reports: Sequence[KeptReport]) -> None:
        if len(reports) > self.most:
            raise TimeoutError
        await super().add(reports)

    async def reports(self, run: str, *, after: int = 0) -> tuple[list[KeptReport], int]:
        self.asked.append(after)
        return await super().reports(run, after=after)


async def test_the_reports_of_a_long_outage_of_the_log_are_kept_piece_by_piece() -> None:
    log = Slow(most=500)
    said_ = [report(n / 4, {}, done=n == 1200) for n in range(1201)]
    making = LoadActivities(Generators(said_), lambda: log)
    request = MakeRequest(run="load-1", spec=load_test(), shard=0, shards=1, start_at=time.time())
    await asyncio.wait_for(ActivityEnvironment().run(making.make_load, request), 30)
    assert [each.number for each in log.kept["load-1"]] == list(range(1, 1202))


async def test_a_share_whose_generator_died_is_free_at_once_and_its_reports_are_kept_later() -> None:
    log = Slow()
    log.down = True
    making = LoadActivities(Generators([report(1.0, {})]), lambda: log)
    request = MakeRequest(run="load-1", spec=load_test(), shard=0, shards=1, start_at=time.time())
    with pytest.raises(ApplicationError, match="ended with status -9"):
        await asyncio.wait_for(ActivityEnvironment().run(making.make_load, request), 20)
    assert log.kept == {}
    log.down = False
    await eventually(lambda: [each.number for each in log.kept.get("load-1", [])] == [1])


async def test_a_look_that_failed_goes_on_where_the_one_before_was() -> None:
    log = Slow()
    watching = LoadWatchActivities(None, lambda: log)
    request = LoadWatchRequest(run="load-1", spec=load_test(), start_at=time.time() - 3, seconds=0)
    for number in (1, 2):
        asked = report(float(number), {number - 1: {"ask": said([10] * 10)}})
        await log.add([KeptReport(run="load-1", shard=0, number=number, report=asked)])
        assert (await ActivityEnvironment().run(watching.watch_load, request)).offset == number
        log.down = True
        with pytest.raises(ApplicationError, match="the database does not answer"):
            await ActivityEnvironment().run(watching.watch_load, request)
        log.down = False
    assert log.asked == [0, 1, 1, 2]


@given(offset=st.floats(-3, 10_000), every=st.sampled_from([1.0, 4.5, 12.0]))
def test_looks_are_told_at_full_multiples_from_the_start_and_never_twice_at_one(
    offset: float, every: float
) -> None:
    now = time.time()
    request = LoadWatchRequest(run="load-1", spec=load_test(), start_at=now - offset, seconds=every)
    due = _due_in(request, now)
    assert every / 4 <= due <= every * 5 / 4 + 1e-6
    beyond = (offset + due) % every
    assert min(beyond, every - beyond) < 1e-5


async def test_a_worker_says_how_far_its_clock_is_ahead_of_the_servers() -> None:
    environment = ActivityEnvironment()
    now = datetime.now(UTC)
    environment.info = replace(environment.info, started_time=now - timedelta(hours=1))
    answer = await environment.run(
        LoadActivities(Generators(), lambda: None).ready_for_load, ReadyRequest(spec=load_test())
    )
    assert answer.ahead >= 3600
    assert answer.refused == ""


def test_a_worker_whose_clock_differs_makes_no_load_and_is_named() -> None:
    shown: list[str] = []
    board = cast("Board", SimpleNamespace(show=lambda *, say, quietly: shown.append(say)))
    answers = {
        name: ReadyReport(now=1000.0 + ahead, ahead=ahead)
        for name, ahead in (("one", 0.02), ("late", -7.5), ("two", 0.4), ("early", 3.0))
    }
    assert [name for name, _ in _of_one_clock(board, answers)] == ["one", "two"]
    assert shown == [
        "the clock of late differs by 7.5 s, so it makes no load; set it right",
        "the clock of early differs by 3.0 s, so it makes no load; set it right",
    ]
    assert list(_of_one_clock(board, {})) == []
