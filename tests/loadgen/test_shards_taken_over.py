"""Load from real worker processes: who dies takes no report along, and shards add up exactly."""

import asyncio
import json
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.adapters.sql_store import SqlStore
from holdfast.adapters.sql_store.database import Database
from holdfast.adapters.sql_store.load_log import SqlLoadLog
from holdfast.loadgen.totals import Totals
from holdfast.ports.load import KeptReport, KeptTest
from holdfast.runbook.kinds.load import LoadSpec
from tests import signing
from tests.fakes import eventually
from tests.server import start_server
from tests.workflows.load_house import CountingTarget, LoadHouse, counting_target, open_load_house
from workers.engine import TIME_SKIPPING_CONFIG

_ROOT = Path(__file__).parents[2]
_SCRIPT = _ROOT / "tests" / "workflows" / "load_process.py"
_RATE, _LASTS = 100, 8
# The server looks at short timeouts as often as this says; a second where it is not set.
_QUICK = {"history.timerProcessorMaxTimeShift": '"100ms"'}


@dataclass
class Makers:
    """Load worker processes, everything else in this process, and one SQLite file for all."""

    stack: AsyncExitStack
    house: LoadHouse
    url: str
    target: CountingTarget

    async def add(self, *command: str) -> Process:
        """Start one more; `command` starts its generators."""
        address = self.house.client.service_client.config.target_host
        return await self.stack.enter_async_context(maker(address, self.url, *command))

    async def result(self, run: str) -> dict[str, Any]:
        test: KeptTest | None = await self.house.log.test(run)
        assert test is not None
        return test.result


@asynccontextmanager
async def maker(address: str, url: str, *command: str) -> AsyncIterator[Process]:
    """A load worker in a process of its own, which finds the server there."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(_SCRIPT), address, url, *command),
        stdout=PIPE,
        env=os.environ | {"PYTHONPATH": str(_ROOT)},
        cwd=_ROOT,
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"READY\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def open_makers(directory: Path, config: Mapping[str, str]) -> AsyncIterator[Makers]:
    url = f"sqlite:///{directory / 'log.db'}"
    store = SqlStore(url, signing.KEYS)
    await store.migrate()
    await store.close()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(await start_server({**TIME_SKIPPING_CONFIG, **config}))
        house = await stack.enter_async_context(open_load_house(server.client, directory, making=0))
        database = Database(url)
        stack.push_async_callback(database.close)
        house.log = SqlLoadLog(database)
        yield Makers(stack, house, url, await stack.enter_async_context(counting_target()))


def names(reports: list[KeptReport]) -> set[tuple[int, int, int]]:
    return {(each.shard, each.attempt, each.number) for each in reports}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "how"),
    [(_QUICK, signal.SIGKILL), ({}, signal.SIGKILL), ({}, signal.SIGTERM)],
    ids=["killed", "killed-with-the-servers-own-settings", "told-to-end"],
)
async def test_a_worker_that_ends_mid_test_loses_at_most_a_second_of_load_and_no_report(
    tmp_path: Path, config: Mapping[str, str], how: signal.Signals
) -> None:
    async with open_makers(tmp_path, config) as makers:
        house, target = makers.house, makers.target
        first = await makers.add()
        await makers.add()
        run = await house.start(house.write(target.url, rate=_RATE, lasts=_LASTS))
        await eventually(lambda: len(target.arrivals) >= 3 * _RATE)
        reported, _ = await house.log.reports(run.handle.id)
        os.kill(first.pid, how)
        report: dict[str, Any] = await run.result()

        said = [line["text"] for line in report["view"]["log"]]
        assert [text for text in said if text.endswith("has lost its worker and is taken over")]
        kept, _ = await house.log.reports(run.handle.id)
        assert names(reported) <= names(kept)
        assert {each.attempt for each in kept} == {1, 2}
        result = await makers.result(run.handle.id)
        lost_seconds = result["lost"] / _RATE
        assert lost_seconds <= 1
        assert len(target.arrivals) >= (_LASTS - 1) * _RATE
        # What is added up is what the log has, whoever said it.
        totals = Totals(spec_of(house, report["view"]["runbook"]))
        for each in kept:
            totals.add(each.report)
        whole = totals.of_steps(["ask"])
        assert (result["figures"][0]["due"], result["figures"][0]["good"]) == (whole.due, whole.good)


@pytest.mark.slow
async def test_a_worker_that_hangs_makes_nothing_that_is_taken_over(tmp_path: Path) -> None:
    async with open_makers(tmp_path, _QUICK) as makers:
        house, target = makers.house, makers.target
        first = await makers.add()
        await makers.add()
        run = await house.start(house.write(target.url, rate=_RATE, lasts=_LASTS))
        await eventually(lambda: len(target.arrivals) >= 2 * _RATE)
        first.send_signal(signal.SIGSTOP)
        try:
            report: dict[str, Any] = await run.result()
        finally:
            first.send_signal(signal.SIGCONT)
        said = [line["text"] for line in report["view"]["log"]]
        assert [text for text in said if text.endswith("has lost its worker and is taken over")]
        # What the worker still has to say when it wakes up is of the time before.
        name, planned = run.handle.id, _RATE * _LASTS
        await eventually(lambda: _said_its_last(house, name))
        kept, _ = await house.log.reports(name)
        totals = Totals(spec_of(house, report["view"]["runbook"]))
        for each in kept:
            totals.add(each.report, attempt=each.attempt)
        assert totals.doubled == 0
        assert len(target.arrivals) <= planned
        assert planned - len(target.arrivals) <= 2 * _RATE


class Proxy:
    """Stands between a load worker and the server; `cut` lets nothing through any more, and closes nothing."""

    def __init__(self, address: str) -> None:
        self._host, _, port = address.partition(":")
        self._port = int(port)
        self._through = asyncio.Event()
        self._through.set()
        self._tasks: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        self._through.clear()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._host, self._port)
        for source, sink in ((reader, back), (there, writer)):
            self._tasks.add(asyncio.create_task(self._forward(source, sink)))

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self._through.wait()
                sink.write(data)
                await sink.drain()
        finally:
            sink.close()


@pytest.mark.slow
async def test_a_worker_that_is_cut_off_from_the_server_stops_when_its_share_is_taken_over(
    tmp_path: Path,
) -> None:
    async with open_makers(tmp_path, _QUICK) as makers:
        house, target = makers.house, makers.target
        proxy = Proxy(house.client.service_client.config.target_host)
        address = await makers.stack.enter_async_context(proxy.serving())
        await makers.stack.enter_async_context(maker(address, makers.url))
        await makers.add()
        run = await house.start(house.write(target.url, rate=_RATE, lasts=_LASTS))
        await eventually(lambda: len(target.arrivals) >= 2 * _RATE)
        proxy.cut()
        report: dict[str, Any] = await run.result()
        said = [line["text"] for line in report["view"]["log"]]
        assert [text for text in said if text.endswith("has lost its worker and is taken over")]
        name = run.handle.id
        await eventually(lambda: _has_given_up(house, name))
        kept, _ = await house.log.reports(name)
        totals = Totals(spec_of(house, report["view"]["runbook"]))
        for each in kept:
            totals.add(each.report, attempt=each.attempt)
        # Its share is half of the rate; without an end of its own it would go on for five seconds.
        assert totals.doubled <= _RATE / 2


async def _has_given_up(house: LoadHouse, run: str) -> bool:
    kept, _ = await house.log.reports(run)
    return any(each.attempt == 1 and each.report.stopped for each in kept)


async def _said_its_last(house: LoadHouse, run: str) -> bool:
    kept, _ = await house.log.reports(run)
    return any(each.report.stopped.startswith("its parent gave no sign of life") for each in kept)


def spec_of(house: LoadHouse, name: str) -> LoadSpec:
    return LoadSpec.model_validate(yaml.safe_load((house.directory / "load" / f"{name}.yaml").read_text()))


@pytest.mark.slow
async def test_two_shards_on_two_worker_processes_give_the_histogram_of_one(tmp_path: Path) -> None:
    drawn = random.Random(7)
    samples = [(second, drawn.lognormvariate(10, 1.5)) for second in range(5) for _ in range(997)]
    (tmp_path / "samples.json").write_text(json.dumps(samples))
    replay = (
        sys.executable,
        str(Path(__file__).with_name("replay_samples.py")),
        str(tmp_path / "samples.json"),
    )
    async with open_makers(tmp_path, _QUICK) as makers:
        runbook = makers.house.write(makers.target.url, rate=997, lasts=5)
        results: list[dict[str, Any]] = []
        for _ in range(2):
            await makers.add(*replay)
            run = await makers.house.start(runbook)
            await run.result()
            results.append(await makers.result(run.handle.id))
        one, two = results
        assert (one["shards"], two["shards"]) == (1, 2)
        step = next(n for n, figures in enumerate(one["figures"]) if figures["kind"] == "step")
        assert one["figures"][step]["latency"] == two["figures"][step]["latency"]
        assert one["figures"] == two["figures"]
        assert one["figures"][0]["due"] == len(samples)
