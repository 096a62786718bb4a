"""Generators as child processes: started, stopped, refused, dead; none is left behind."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast.adapters.generators import ProcessGenerators
from holdfast.adapters.generators.processes import ProcessGeneration
from holdfast.domain.errors import InvalidInput, Unavailable
from holdfast.loadgen.child import COMMAND, Child
from holdfast.loadgen.report import Report, Share
from holdfast.loadgen.safety import LOOPBACK
from tests.fakes import eventually
from tests.loadgen.engine_targets import load_of
from tests.workflows.load_house import CountingTarget, counting_target
from workers.systems import reveal


@pytest.fixture
async def target() -> AsyncIterator[CountingTarget]:
    async with counting_target() as target:
        yield target


@pytest.fixture
async def generators() -> AsyncIterator[ProcessGenerators]:
    generators = ProcessGenerators(reveal)
    yield generators
    await generators.aclose()


def share(url: str, *, lasts: float = 20, begins_in: float = 1.5, **more: object) -> Share:
    return Share(spec=load_of(url, rate=50, lasts=lasts, **more), start_at=time.time() + begins_in)


def children() -> list[int]:
    """Return the processes of load generators that this process has."""
    own = Path(f"/proc/{os.getpid()}/task")
    found = [int(pid) for task in own.iterdir() for pid in (task / "children").read_text().split()]
    return [pid for pid in found if b"holdfast.loadgen" in _command(pid)]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


async def test_a_share_is_made_to_its_end_and_no_process_is_left(
    generators: ProcessGenerators, target: CountingTarget
) -> None:
    async with generators.run(share(target.url, lasts=1)) as generation:
        reports = [report async for report in generation.reports()]
    assert reports[-1].done
    assert len(target.arrivals) == 50
    assert sum(s.steps["ask"].good for r in reports for s in r.seconds if "ask" in s.steps) == 50
    assert children() == []


async def test_a_stop_ends_the_reports_and_what_was_made_is_in_them(
    generators: ProcessGenerators, target: CountingTarget
) -> None:
    said: list[Report] = []
    async with generators.run(share(target.url)) as generation:

        async def read() -> None:
            said.extend([report async for report in generation.reports()])

        reading = asyncio.create_task(read())
        await eventually(lambda: len(target.arrivals) > 20)
        await generation.stop("enough")
        await reading
        made = len(target.arrivals)
    assert said[-1].stopped == "enough"
    assert sum(s.steps["ask"].due for r in said for s in r.seconds if "ask" in s.steps) >= made
    assert len(target.arrivals) == made


async def test_a_generator_that_is_killed_is_told_as_such(
    generators: ProcessGenerators, target: CountingTarget
) -> None:
    async with generators.run(share(target.url)) as generation:

        async def read() -> None:
            async for _ in generation.reports():
                pass

        reading = asyncio.create_task(read())
        await eventually(lambda: len(target.arrivals) > 5)
        for pid in children():
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(Unavailable, match="ended with status -9 before it was done"):
            await reading


async def test_a_host_that_is_not_allowed_is_refused_by_the_generator_itself(
    target: CountingTarget,
) -> None:
    generators = ProcessGenerators(reveal, hosts=("elsewhere.example.com",))
    async with generators.run(share(target.url)) as generation:
        with pytest.raises(InvalidInput, match=r"add '127\.0\.0\.1' to HOLDFAST_LOAD_HOSTS"):
            await anext(aiter(generation.reports()))
    await generators.aclose()
    assert target.arrivals == []


async def test_a_secret_goes_to_the_generator_and_a_missing_one_is_named(
    generators: ProcessGenerators, target: CountingTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = {"secret_headers": {"X-Key": {"env": "LOAD_TEST_KEY"}}}
    wanted = share(target.url, lasts=1, target=secret)
    with pytest.raises(InvalidInput, match="variable LOAD_TEST_KEY is empty or not set"):
        async with generators.run(wanted):
            pass
    monkeypatch.setenv("LOAD_TEST_KEY", "a-secret-of-the-shop")
    async with generators.run(share(target.url, lasts=1, target=secret)) as generation:
        reports = [report async for report in generation.reports()]
    assert reports[-1].done
    assert wanted.secrets == {}


async def test_one_waits_ready_while_another_makes_load(
    generators: ProcessGenerators, target: CountingTarget
) -> None:
    await generators.prepare()
    [ready] = children()
    async with generators.run(share(target.url)):
        assert ready in children(), "the one that was ready makes the share"
        assert len(children()) == 2
    assert children() == []


async def test_signs_of_life_keep_a_generator_going(target: CountingTarget) -> None:
    process = await asyncio.create_subprocess_exec(*COMMAND, stdin=PIPE, stdout=PIPE)
    assert process.stdin is not None
    wanted = share(target.url).model_copy(update={"lease_seconds": 0.5})
    process.stdin.write(wanted.model_dump_json(by_alias=True).encode() + b"\n")
    for _ in range(40):
        # Longer than the lease in all: as long as there are signs of life, it goes on.
        process.stdin.write(b"\n")
        await asyncio.sleep(0.1)
    made = len(target.arrivals)
    out, _ = await process.communicate(b"")  # the end of the input would be told as such
    last = Report.model_validate_json(out.splitlines()[-1])
    assert made > 0
    assert last.stopped == "its parent has ended"


async def test_a_parent_that_gives_no_sign_of_life_is_told_as_such(target: CountingTarget) -> None:
    process = await asyncio.create_subprocess_exec(*COMMAND, stdin=PIPE, stdout=PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    wanted = share(target.url, begins_in=0).model_copy(update={"lease_seconds": 0.5})
    process.stdin.write(wanted.model_dump_json(by_alias=True).encode() + b"\n")
    last = Report.model_validate_json((await process.stdout.read()).splitlines()[-1])
    assert last.stopped == "its parent gave no sign of life for 0.5 s"
    assert await process.wait() == 0
    process.stdin.close()


async def test_a_share_that_its_generator_gave_up_is_not_taken_for_done(target: CountingTarget) -> None:
    child = await Child.started(COMMAND, LOOPBACK)
    await child.give(share(target.url).model_copy(update={"lease_seconds": 0.0}))
    generation = ProcessGeneration(child)
    reading = asyncio.create_task(_all(generation))
    await eventually(lambda: len(target.arrivals) > 5)
    await child.stop("its parent gave no sign of life for 0.6 s")  # its own word for it
    with pytest.raises(Unavailable, match="stopped before it was done: its parent gave no sign"):
        await reading
    await child.gone()


async def test_a_generator_that_hangs_is_killed_and_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.loadgen.child._SILENT_SECONDS", 0.2)
    child = await Child.started((sys.executable, "-c", "import time; time.sleep(99)"), LOOPBACK)
    with pytest.raises(Unavailable, match=r"hung for 0\.2 s"):
        await _all(ProcessGeneration(child))
    assert await child.ended() == -signal.SIGKILL


async def _all(generation: ProcessGeneration) -> list[Report]:
    return [report async for report in generation.reports()]
