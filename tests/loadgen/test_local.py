"""Real generator processes against a real target on this machine."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from holdfast.domain.campaign import TestVerdict as Verdict  # by its own name pytest would collect it
from holdfast.domain.errors import InvalidInput
from holdfast.loadgen.local import LocalTest, altered
from holdfast.loadgen.safety import Limits
from holdfast.loadgen.totals import Live
from holdfast.runbook.kinds.load import LoadSpec
from tests.loadgen.load_figures import load_test
from tests.loadgen.load_target import Seen, target

NOTE = "import os, runpy, sys, time; open(sys.argv[1] + f'/{os.getpid()}', 'w'); "
NOTED = NOTE + "runpy.run_module('holdfast.loadgen', run_name='__main__')"
DEAF = NOTE + "time.sleep(99)"
REFUSING = 'import sys; sys.stdin.readline(); print(\'{"error": "the secret env:TOKEN is not there"}\')'


@pytest.fixture
def shop() -> Iterator[Seen]:
    with target() as seen:
        yield seen


def asking(shop: Seen, **other: Any) -> LoadSpec:
    """Thirty sessions a second that ask and pay; a busy machine makes none of them late."""
    steps = [
        {
            "name": "ask",
            "context": "support",
            "http": {"target": "shop", "path": "/ask"},
            "extract": {"ticket": {"json": "ticket"}},
        },
        {"name": "pay", "context": "orders", "http": {"target": "shop", "path": "/pay/{ticket}"}},
    ]
    basic = {
        "targets": {"shop": {"url": shop.url}},
        "scenarios": [{"name": "all", "steps": steps}],
        "phases": [{"rate": 30, "for": "2s"}],
        "on_time": "20s",
    }
    return load_test(**basic | other)


def noting(directory: Path, code: str = NOTED) -> tuple[str, ...]:
    """Return a command whose processes leave their ids in a directory."""
    return (sys.executable, "-c", code, str(directory))


def pids(directory: Path) -> list[int]:
    return [int(path.name) for path in directory.iterdir()]


def none_is_left(directory: Path, *, of: int) -> bool:
    left = [pid for pid in pids(directory) if Path(f"/proc/{pid}").exists()]
    return len(pids(directory)) == of and not left


async def test_two_processes_make_the_whole_test_and_are_told_each_second(shop: Seen) -> None:
    told: list[Live] = []
    result = await LocalTest(asking(shop), limits=Limits(), shards=2).run(told.append)
    assert result.verdict is Verdict.PASSED
    figures = {f.name: (f.due, f.good, f.unknown) for f in result.figures}
    assert figures["ask"] == figures["pay"] == (60, 60, 0)
    assert (shop.paths.count("/ask"), shop.paths.count("/pay/77")) == (60, 60)
    assert (result.planned, result.lost, result.shards) == (60, 0, 2)
    assert told[-1].shards == 2
    assert [line.name for line in told[-1].lines] == ["*", "support", "orders"]


async def test_a_stop_ends_the_test_with_the_result_so_far_and_leaves_no_process(
    shop: Seen, tmp_path: Path
) -> None:
    spec = asking(shop, phases=[{"rate": 30, "for": "600s"}])
    test = LocalTest(spec, limits=Limits(), shards=2, command=noting(tmp_path))
    running = asyncio.create_task(test.run())
    await asyncio.to_thread(shop.busy.wait, 60)
    test.stop("stopped by boris")
    result = await asyncio.wait_for(running, 20)
    assert (result.verdict, result.stopped) == (Verdict.STOPPED, "stopped by boris")
    assert result.offset < 60
    assert none_is_left(tmp_path, of=2)


async def test_a_signal_stops_the_test(shop: Seen) -> None:
    test = LocalTest(asking(shop, phases=[{"rate": 30, "for": "600s"}]), limits=Limits())
    running = asyncio.create_task(test.run(signals=[signal.SIGUSR1]))
    await asyncio.to_thread(shop.busy.wait, 60)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert (await asyncio.wait_for(running, 20)).stopped == "stopped by a person"
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


async def test_a_threshold_that_aborts_stops_the_test_early(shop: Seen, tmp_path: Path) -> None:
    shop.wait_seconds = 0.3
    threshold = {"step": "support", "p95": "0.1s", "abort": True, "over": "2s"}
    spec = asking(shop, phases=[{"rate": 10, "for": "600s"}], thresholds=[threshold])
    result = await LocalTest(spec, limits=Limits(), command=noting(tmp_path)).run()
    assert result.verdict is Verdict.FAILED
    assert result.broken[0].aborted
    assert result.offset < 60
    assert none_is_left(tmp_path, of=1)


async def test_a_generator_that_dies_voids_the_result_and_ends_the_others(shop: Seen, tmp_path: Path) -> None:
    spec = asking(shop, phases=[{"rate": 30, "for": "600s"}])
    running = asyncio.create_task(LocalTest(spec, limits=Limits(), shards=2, command=noting(tmp_path)).run())
    await asyncio.to_thread(shop.busy.wait, 60)
    os.kill(pids(tmp_path)[0], signal.SIGKILL)
    result = await asyncio.wait_for(running, 20)
    assert result.verdict is Verdict.VOID
    assert "lost" in {flaw.kind for flaw in result.flaws}
    assert result.capacity is None
    assert none_is_left(tmp_path, of=2)


async def test_a_generator_that_does_not_listen_is_killed(shop: Seen, tmp_path: Path) -> None:
    test = LocalTest(asking(shop), limits=Limits(), command=noting(tmp_path, DEAF))
    result = await asyncio.wait_for(test.run(lambda _: test.stop("enough")), 30)
    assert result.verdict is Verdict.STOPPED
    assert none_is_left(tmp_path, of=1)


async def test_a_test_that_is_cancelled_leaves_no_process(shop: Seen, tmp_path: Path) -> None:
    spec = asking(shop, phases=[{"rate": 30, "for": "600s"}])
    running = asyncio.create_task(LocalTest(spec, limits=Limits(), command=noting(tmp_path)).run())
    await asyncio.to_thread(shop.busy.wait, 60)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert none_is_left(tmp_path, of=1)


async def test_what_a_generator_refuses_is_told(shop: Seen, tmp_path: Path) -> None:
    test = LocalTest(asking(shop), limits=Limits(), command=noting(tmp_path, REFUSING))
    with pytest.raises(InvalidInput, match="the secret env:TOKEN is not there"):
        await test.run()


def test_a_host_that_is_not_allowed_is_refused_before_anything_starts() -> None:
    spec = load_test(targets={"shop": {"url": "http://10.0.0.7"}})
    with pytest.raises(InvalidInput, match="HOLDFAST_LOAD_HOSTS"):
        LocalTest(spec, limits=Limits())
    with pytest.raises(InvalidInput, match="--shards"):
        LocalTest(load_test(), limits=Limits(), shards=0)


def test_rate_time_and_addresses_can_be_altered() -> None:
    spec = altered(load_test(), rate=50, lasts=timedelta(seconds=30), urls={"shop": "http://127.0.0.1:99/base"})
    assert [(p.rate, p.lasts, p.shape) for p in spec.phases] == [(50, timedelta(seconds=30), "constant")]
    assert str(spec.targets["shop"].url) == "http://127.0.0.1:99/base"
    assert altered(load_test()) == load_test()


def test_a_rate_alone_keeps_the_time_and_a_time_alone_the_highest_rate() -> None:
    peak = load_test(phases=[], peak={"expected_peak": 20, "percent": [50, 100], "each": "10s"})
    assert [(p.rate, p.lasts) for p in altered(peak, rate=5).phases] == [(5, timedelta(seconds=20))]
    assert [(p.rate, p.lasts) for p in altered(peak, lasts=timedelta(seconds=7)).phases] == [
        (30, timedelta(seconds=7))
    ]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"rate": 5000.0}, "above ceilings.rate"),
        ({"lasts": timedelta(hours=2)}, "longer than ceilings.for"),
        ({"urls": {"other": "http://127.0.0.1"}}, "target 'other' is not in the file; known: shop"),
        ({"urls": {"shop": "no address"}}, "targets.shop.url"),
        ({"rate": -1.0}, "phases.0.rate"),
        ({"rate": float("inf")}, "phases.0.rate"),
        ({"lasts": timedelta(0)}, "phases.0.for"),
        ({"rate": 0.0}, "begin no session"),
        ({"urls": {"shop": "http://shop:pass@127.0.0.1"}}, "no name and password"),
    ],
)
def test_what_is_none_is_refused_in_words(other: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        altered(load_test(), **other)
