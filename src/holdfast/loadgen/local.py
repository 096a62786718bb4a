"""Runs a load test on this machine, in one generator process a core, and adds up what they report."""

import asyncio
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError

from holdfast.domain.errors import InvalidInput, Unavailable
from holdfast.domain.strict import write_duration
from holdfast.loadgen import thresholds
from holdfast.loadgen.child import COMMAND, Child
from holdfast.loadgen.outcome import result_of
from holdfast.loadgen.report import Share
from holdfast.loadgen.result import Broken, LoadResult
from holdfast.loadgen.safety import Limits
from holdfast.loadgen.totals import Live, Totals
from holdfast.runbook.kinds.load import LoadSpec

_STOP_SECONDS: Final = 0.6  # for a generator to end by itself; a stop must be over within a second
_SPARE_SECONDS: Final = 30.0
# Nobody takes a share over here; but what is suspended, with Ctrl-Z for example, watches no threshold either.
_LEASE_SECONDS: Final = 2.0


class LocalTest:
    """One load test in processes of this machine."""

    def __init__(
        self,
        spec: LoadSpec,
        *,
        limits: Limits,
        shards: int = 1,
        secrets: Mapping[str, str] | None = None,
        name: str = "",
        lead: timedelta = timedelta(seconds=3),
        command: Sequence[str] = COMMAND,
    ) -> None:
        """Check that the test may run here.

        Args:
            spec: the test.
            limits: of this machine.
            shards: how many processes.
            secrets: see `Share.secrets`.
            name: for the identifying header.
            lead: how long before the test begins; the processes start meanwhile.
            command: that starts a generator.

        Raises:
            InvalidInput: a target is not allowed, the test is too hard or too long, or `shards` is no number.
        """
        if shards < 1:
            raise InvalidInput(f"--shards: at least one process is needed, not {shards}")
        limits.check(spec)
        self.totals = Totals(spec)
        self._spec, self._limits, self._shards = spec, limits, shards
        self._secrets, self._name, self._lead, self._command = dict(secrets or {}), name, lead, tuple(command)
        self._stop = asyncio.Event()
        self._stopped = ""
        self._aborted: list[Broken] = []
        self._refused = ""

    def stop(self, why: str) -> None:
        """Stop the test; `run` returns within a second, with the result so far."""
        self._stopped = self._stopped or why
        self._stop.set()

    async def run(
        self, tell: Callable[[Live], object] | None = None, *, signals: Sequence[signal.Signals] = ()
    ) -> LoadResult:
        """Run it to its end, or until a threshold that aborts it breaks, or until it is stopped.

        Args:
            tell: called each second with the newest full one.
            signals: that stop it, such as SIGINT.

        Raises:
            InvalidInput: a generator refuses its share.
            Unavailable: no generator can be started.
        """
        loop = asyncio.get_running_loop()
        for each in signals:
            loop.add_signal_handler(each, self.stop, "stopped by a person")
        start_at = time.time() + self._lead.total_seconds()
        children: list[Child] = []
        try:
            for shard in range(self._shards):
                children.append(await Child.started(self._command, self._limits.hosts))
                await children[-1].give(self._share(shard, start_at))
            await self._watched(children, start_at, tell)
        finally:
            await asyncio.gather(*(child.gone() for child in children))
            for each in signals:
                loop.remove_signal_handler(each)
        if self._refused:
            raise InvalidInput(self._refused)
        return result_of(
            self.totals,
            started_at=datetime.fromtimestamp(start_at, UTC),
            run=self._name,
            stopped=self._stopped,
            aborted=self._aborted,
        )

    def _share(self, shard: int, start_at: float) -> Share:
        return Share(
            spec=self._spec,
            shard=shard,
            shards=self._shards,
            start_at=start_at,
            secrets=self._secrets,
            name=self._name or self._spec.name,
            lease_seconds=_LEASE_SECONDS,
        )

    async def _watched(
        self, children: Sequence[Child], start_at: float, tell: Callable[[Live], object] | None
    ) -> None:
        readers = [asyncio.create_task(self._read(child)) for child in children]
        clock = asyncio.create_task(self._each_second(start_at, tell))
        stop = asyncio.create_task(self._stop.wait())
        ended: asyncio.Future[Any] = asyncio.gather(*readers)
        waited_for: set[asyncio.Future[Any]] = {ended, clock, stop}
        most = self._spec.ceilings.lasts + max(step.timeout for step in self._spec.steps)
        left = start_at - time.time() + most.total_seconds() + _SPARE_SECONDS
        try:
            await asyncio.wait(waited_for, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if clock.done():
                clock.result()  # its errors are ours
            if not ended.done():
                why = self._stopped or (
                    "a threshold did not hold" if self._aborted else "another one ended early"
                )
                await asyncio.gather(*(child.stop(why) for child in children))
                await asyncio.wait({ended}, timeout=_STOP_SECONDS)
            if ended.done():
                ended.result()
            if tell:
                tell(self.totals.live())
        finally:
            for task in (clock, stop, *readers):
                task.cancel()
            await asyncio.gather(clock, stop, *readers, return_exceptions=True)

    async def _each_second(self, start_at: float, tell: Callable[[Live], object] | None) -> None:
        """Tell how it goes, until a threshold stops the test."""
        while not self._aborted:
            now = time.time()
            await asyncio.sleep(max(0.05, 1 - (now - start_at) % 1))
            at = time.time() - start_at
            if tell and at > 0:
                tell(self.totals.live(at))
            self._aborted = thresholds.newest(self.totals, at)

    async def _read(self, child: Child) -> None:
        """Take in what a generator says, until it ends; a test that lacks one is over for all."""
        done = False
        try:
            async for report in child.reports():
                self.totals.add(report)
                done |= report.done and not report.stopped
        except InvalidInput as error:
            self._refused = str(error)
        except Unavailable:
            pass  # what it did not make is lost, and the result says so
        if not done:
            self._stop.set()


def altered(
    spec: LoadSpec,
    *,
    rate: float | None = None,
    lasts: timedelta | None = None,
    urls: Mapping[str, str] | None = None,
) -> LoadSpec:
    """Return a test with other phases or addresses, checked again.

    Args:
        spec: the test.
        rate: one constant phase at it, in place of all; without `lasts` as long as all of them together.
        lasts: of that phase; without `rate` at the highest rate of the test.
        urls: addresses by target.

    Raises:
        InvalidInput: a target is not known, or the test is none with that.
    """
    unknown = sorted((urls or {}).keys() - spec.targets.keys())
    if unknown:
        raise InvalidInput(f"--url: target '{unknown[0]}' is not in the file; known: {', '.join(spec.targets)}")
    data = spec.model_dump(by_alias=True, mode="json")
    for target, url in (urls or {}).items():
        data["targets"][target]["url"] = url
    if rate is not None or lasts is not None:
        highest = max(phase.rate for phase in spec.all_phases)
        data["phases"] = [
            {
                "rate": highest if rate is None else rate,
                "for": write_duration(spec.lasts if lasts is None else lasts),
            }
        ]
        data["peak"] = None
    try:
        return LoadSpec.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or spec.name
        raise InvalidInput(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None
