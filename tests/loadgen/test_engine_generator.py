import asyncio
import contextlib
import json
import os
import sys
import time

import pytest

from holdfast.loadgen.generator import Generator
from holdfast.loadgen.report import Report, Share
from tests.loadgen.engine_targets import Asked, Made, always, answer, get, load_of, made, serving


async def test_every_report_says_how_far_it_came_and_the_last_that_it_is_done() -> None:
    async with serving(always(answer())) as target:
        run = await made(load_of(target.url, rate=50, lasts=1.2))

    offsets = [report.offset for report in run.reports]
    assert offsets == sorted(offsets)
    assert [report.done for report in run.reports] == [False] * (len(offsets) - 1) + [True]
    assert offsets[-1] >= 1.19
    assert {report.client for report in run.reports} == {"protocol"}
    assert run.reports[-1].stopped == ""
    health = [second for report in run.reports for second in report.seconds if second.health]
    assert [second.number for second in health][:2] == [0, 1]
    assert all(second.health and second.health.connections > 0 for second in health[:1])


async def test_requests_count_in_the_second_in_which_they_were_due() -> None:
    async with serving(always(answer())) as target:
        run = await made(load_of(target.url, phases=[{"rate": 10, "for": "1s"}, {"rate": 30, "for": "1s"}]))

    due = {0: 0, 1: 0}
    for report in run.reports:
        for second in report.seconds:
            if "ask" in second.steps:
                due[second.number] += second.steps["ask"].due
    assert due == {0: 10, 1: 30}


async def test_requests_that_wait_for_a_stalled_target_count_from_their_moment() -> None:
    # The target stalls once for 1.2 s, from its twentieth request on, at 100 requests a second. Those that are
    # due at t after the stall began wait 1.2 - t, so latencies fall evenly from 1.2 s to nothing.
    stalled = asyncio.Event()
    go_on = asyncio.Event()

    async def stalls(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if len(target.asked) >= 20 and not stalled.is_set():
            stalled.set()
            asyncio.get_running_loop().call_later(1.2, go_on.set)
        if stalled.is_set():
            await go_on.wait()
        writer.write(answer())

    async with serving(stalls) as target:
        run = await made(load_of(target.url, rate=100, lasts=3, ceilings={"in_flight": 1000}))

    latencies = run.latencies()
    assert run.outcome() == {"due": 300, "good": 300}
    assert latencies.maximum >= 1_190_000
    # 120 of 300 waited; a tenth of all, 30, waited at least 0.9 s. A closed loop would have seen one.
    assert latencies.percentile(90) >= 880_000
    assert latencies.percentile(70) >= 280_000


@pytest.mark.slow
async def test_a_stall_of_two_seconds_in_twenty_is_reported_as_arithmetic_says() -> None:
    stalled = asyncio.Event()
    go_on = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def stalls(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if len(target.asked) >= 1000 and not stalled.is_set():
            stalled.set()
            loop.call_later(2, go_on.set)
        if stalled.is_set():
            await go_on.wait()
        loop.call_later(0.02, writer.write, answer())

    async with serving(stalls) as target:
        run = await made(load_of(target.url, rate=200, lasts=20))

    latencies = run.latencies()
    assert latencies.count == 4000
    # 400 requests waited, one each 5 ms: of the slowest one percent, 40, the fastest waited 1.8 s + 20 ms.
    # A busy machine may add to that; nothing may take away from it.
    assert 1_820_000 * 0.99 <= latencies.percentile(99) <= 2_400_000
    assert 1_020_000 * 0.99 <= latencies.percentile(95) <= 1_600_000
    assert 2_020_000 * 0.99 <= latencies.maximum <= 2_600_000


async def test_above_the_ceiling_of_requests_under_way_sessions_are_said_to_be_not_sent() -> None:
    never = asyncio.Event()

    async def silent(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await never.wait()

    async with serving(silent) as target:
        run = await made(load_of(target.url, get(timeout="1s"), ceilings={"in_flight": 5}))
        never.set()

    assert run.outcome() == {"due": 20, "unsent": 15, "timeout": 5}
    assert len(target.asked) == 5


async def test_what_a_generator_missed_before_it_began_is_not_sent_in_a_burst() -> None:
    async with serving(always(answer())) as target:
        run = await made(load_of(target.url, lasts=4, on_time="0.05s"), start_at=time.time() - 3)

    # Due until one second before the start, 100; the rest is sent, what is overdue by less at once.
    outcome = run.outcome()
    assert outcome["due"] == 200
    assert 100 <= outcome["unsent"] < 200
    assert outcome["good"] == len(target.asked) == 200 - outcome["unsent"]
    assert outcome["late"] > 0


async def test_a_generator_that_goes_on_makes_only_what_was_due_from_there() -> None:
    async with serving(always(answer())) as target:
        run = await made(load_of(target.url, lasts=3), from_offset=2.5, start_at=time.time() - 2.5)

    assert run.outcome() == {"due": 25, "good": 25}
    numbers = [second.number for report in run.reports for second in report.seconds if second.steps]
    assert set(numbers) == {2}


async def test_a_request_that_goes_out_too_late_is_said_to_be_late() -> None:
    async with serving(always(answer())) as target:
        spec = load_of(target.url, lasts=1, on_time="0.05s")
        run = await made(spec, start_at=time.time() - 0.9)

    # 0.9 s were over: all due before 0.85 s were late, and each of them was sent.
    assert run.outcome()["late"] >= 42
    assert run.outcome()["good"] == 50
    lags = [second.health.lag_ms for report in run.reports for second in report.seconds if second.health]
    assert max(lags) >= 850


async def test_a_stop_closes_all_connections_and_what_was_under_way_counts_as_not_sent() -> None:
    ten, enough = asyncio.Event(), asyncio.Event()

    async def silent(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if len(target.asked) == 10:
            ten.set()
        await enough.wait()

    async with serving(silent) as target:
        reports: list[Report] = []
        generator = Generator(Share(spec=load_of(target.url, lasts=60), start_at=time.time()), reports.append)
        running = asyncio.ensure_future(generator.run())
        await ten.wait()
        generator.stop("enough")
        await running
        for number in {asked.connection for asked in target.asked}:
            with contextlib.suppress(ConnectionError):
                # Ends only when the generator has closed its side.
                await target.readers[number].read()
        enough.set()

    outcome = Made(reports).outcome()
    assert outcome["due"] == outcome["unsent"] >= 10
    assert set(outcome) == {"due", "unsent"}
    assert reports[-1].done
    assert reports[-1].stopped == "enough"
    assert reports[-1].offset < 50


async def test_a_stop_before_the_start_sends_nothing() -> None:
    async with serving(always(answer())) as target:
        reports: list[Report] = []
        share = Share(spec=load_of(target.url), start_at=time.time() + 600)
        generator = Generator(share, reports.append)
        running = asyncio.ensure_future(generator.run())
        await asyncio.sleep(0)
        generator.stop("not today")
        await running

    assert target.asked == []
    assert reports[-1].done
    assert reports[-1].offset == 0


async def test_no_step_begins_after_the_end_of_the_time() -> None:
    async with serving(always(answer())) as target:
        first = get(think={"from": "0.1s", "to": "30s"})
        spec = load_of(target.url, first, get("later"), rate=100, lasts=1, ceilings={"for": "1s"})
        run = await made(spec)

    assert run.outcome()["good"] == 100
    assert run.outcome("later").get("due", 0) < 20
    assert run.reports[-1].offset < 20


class Process:
    """`python -m holdfast.loadgen`, as a parent has it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def of(cls, line: bytes, **environment: str) -> "Process":
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "holdfast.loadgen",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | environment,
            limit=2**24,
        )
        assert process.stdin
        process.stdin.write(line + b"\n")
        await process.stdin.drain()
        return cls(process)

    async def report(self) -> Report:
        assert self.process.stdout
        return Report.model_validate_json(await self.process.stdout.readline())

    async def rest(self) -> list[str]:
        out, err = await self.process.communicate()
        assert err == b""
        return out.decode().splitlines()


def _line(share: Share) -> bytes:
    return share.model_dump_json(by_alias=True).encode()


async def test_the_process_makes_its_share_and_says_so_line_by_line() -> None:
    async with serving(always(answer())) as target:
        process = await Process.of(_line(Share(spec=load_of(target.url), start_at=time.time() + 1)))
        reports: list[Report] = []
        while not reports or not reports[-1].done:
            reports.append(await process.report())
        assert await process.rest() == []

    assert Made(reports).outcome() == {"due": 20, "good": 20}
    assert process.process.returncode == 0


@pytest.mark.parametrize(("line", "why"), [(b"stop button\n", "button"), (b"", "its parent has ended")])
async def test_the_process_stops_by_a_line_and_by_the_end_of_its_input(line: bytes, why: str) -> None:
    first = asyncio.Event()

    async def asked_once(asked: Asked, writer: asyncio.StreamWriter) -> None:
        first.set()
        writer.write(answer())

    async with serving(asked_once) as target:
        process = await Process.of(_line(Share(spec=load_of(target.url, lasts=600), start_at=time.time())))
        await first.wait()
        assert process.process.stdin
        if line:
            process.process.stdin.write(line)
            await process.process.stdin.drain()
        else:
            process.process.stdin.close()
        reports = [await process.report()]
        while not reports[-1].done:
            reports.append(await process.report())
        assert await process.process.wait() == 0

    assert reports[-1].stopped == why
    assert reports[-1].offset < 500


@pytest.mark.parametrize(
    ("hosts", "url", "said"),
    [
        ("", "http://shop.example.com", "HOLDFAST_LOAD_HOSTS"),
        ("10.0.0.7", "http://127.0.0.1:1", "127.0.0.1"),
    ],
)
async def test_the_process_refuses_a_host_that_is_not_allowed(hosts: str, url: str, said: str) -> None:
    share = Share(spec=load_of(url), start_at=time.time())

    process = await Process.of(_line(share), HOLDFAST_LOAD_HOSTS=hosts)
    lines = await process.rest()

    assert process.process.returncode == 2
    assert said in json.loads(lines[0])["error"]
    assert len(lines) == 1


async def test_the_process_refuses_what_is_no_share_without_repeating_it() -> None:
    process = await Process.of(b'{"spec": {"kind": "load"}, "secrets": {"env:T": ["hush"]}}')
    lines = await process.rest()

    assert process.process.returncode == 2
    assert "spec.name" in json.loads(lines[0])["error"]
    assert "hush" not in lines[0]


async def test_a_generator_needs_neither_temporal_nor_plots() -> None:
    heavy = {"temporalio", "matplotlib", "httpx", "aiogram", "yaml"}
    code = f"import sys, holdfast.loadgen.__main__; print(sorted({heavy} & sys.modules.keys()))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)

    out, _ = await process.communicate()

    assert out.decode().strip() == "[]"
