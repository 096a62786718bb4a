"""Making load: one generator a shard, its reports kept as they come.

A shard is made inside one activity. Its heartbeats only say how far it has come: what counts is what the log
has, so that whoever dies takes nothing along that was kept.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from pydantic import BaseModel
from temporalio import activity

from activities.failures import as_failures
from activities.load_lease import Lease
from holdfast.domain.errors import InvalidInput, Unavailable
from holdfast.loadgen.report import Report, Share
from holdfast.loadgen.safety import Limits
from holdfast.ports.generators import Generation, Generators, Leases
from holdfast.ports.load import KeptReport, LoadLog
from holdfast.runbook.kinds.load import LoadSpec

_BEAT_SECONDS: Final = 0.1
# Reports come four times a second; they are kept so soon after.
_BATCH_SECONDS: Final = 0.1
# At once, so that a log that was down for an hour takes them within its time.
_MOST_AT_ONCE: Final = 200
_LOG_SECONDS: Final = 5.0
_LOG_BREAK_SECONDS: Final = 0.5
# A generator that was told to stop has said its last words, and those are kept, or the log is down.
_LAST_WORDS_SECONDS: Final = 1.0
_LAST_KEEPING_SECONDS: Final = 30.0
# Who takes a shard over begins so much later: a generator has to open its connections first.
_TAKE_OVER_SECONDS: Final = 0.25


class ReadyRequest(BaseModel):
    """Which test a worker is asked to make a share of."""

    spec: LoadSpec


class ReadyReport(BaseModel):
    """That a load worker is there.

    Attributes:
        now: its clock, seconds of the epoch.
        ahead: of the server's clock, in seconds; the time that the question took is in it.
        refused: why it must not make this test; empty where it may.
    """

    now: float
    ahead: float = 0.0
    refused: str = ""


class MakeRequest(BaseModel):
    """One shard of a test.

    Attributes:
        run: id of the run.
        start_at: agreed start of the test, seconds of the epoch.
        attempt: from 1; a later one takes over, and what was due until then is lost.
    """

    run: str
    spec: LoadSpec
    shard: int
    shards: int
    start_at: float
    attempt: int = 1


class ShardEnd(BaseModel):
    """How far a shard came, in seconds from the start, and why it was stopped, if it was."""

    shard: int
    offset: float
    stopped: str = ""


class LoadActivities:
    """The activities of a load worker.

    Args:
        generators: that this machine has.
        log: gives the log of load tests, or None while it is not open yet; the test goes on without it.
        limits: what this machine may do.
        leases: keep shares at the server; without them a worker that is cut off from it goes on.
    """

    def __init__(
        self,
        generators: Generators,
        log: Callable[[], LoadLog | None],
        *,
        limits: Limits | None = None,
        leases: Leases | None = None,
    ) -> None:
        self._generators, self._log, self._limits = generators, log, limits or Limits()
        self._leases = leases
        self._kept_later: set[asyncio.Task[None]] = set()

    @activity.defn(name="ready_for_load")
    async def ready_for_load(self, request: ReadyRequest) -> ReadyReport:
        """Say that this worker is there, and whether it may make this test."""
        ahead, refused = time.time() - activity.info().started_time.timestamp(), ""
        try:
            await asyncio.to_thread(self._limits.check, request.spec)
            await self._generators.prepare()
        except (InvalidInput, Unavailable) as error:
            refused = str(error)
        return ReadyReport(now=time.time(), ahead=ahead, refused=refused)

    @activity.defn(name="make_load")
    async def make_load(self, request: MakeRequest) -> ShardEnd:
        """Make a shard to its end, or until it is cancelled; then nothing is sent any more within 0.3 s.

        Reports that the log does not take are held until it does, also those of a generator that died: the
        share is free to be taken over at once.

        Raises:
            ApplicationError: of type `InvalidInput`: this share must not or cannot be made by anybody. Of type
                `Unavailable`: its generator died, or the share is no longer this worker's.
        """
        with as_failures():
            await asyncio.to_thread(self._limits.check, request.spec)
            keeper = _Keeper(self._log, request)
            async with self._generators.run(_share(request)) as generation:
                return await self._made(generation, keeper, self._lease(request))

    async def _made(self, generation: Generation, keeper: "_Keeper", lease: Lease | None) -> ShardEnd:
        reading = asyncio.create_task(keeper.take(generation))
        keeping = asyncio.create_task(keeper.keep_on())
        beating = asyncio.create_task(_beat(keeper))
        ending = asyncio.create_task(lease.ended() if lease else asyncio.Event().wait())
        over: set[asyncio.Task[Any]] = {reading, beating, ending}
        try:
            await asyncio.wait({reading, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                await generation.stop(str(ending.result()))
                await asyncio.wait({reading}, timeout=_LAST_WORDS_SECONDS)
                raise Unavailable(f"this share is given up: {ending.result()}")
            reading.result()
            await keeper.emptied()
            over.add(keeping)
        except asyncio.CancelledError:
            await generation.stop("stopped by its run")
            await asyncio.wait({reading}, timeout=_LAST_WORDS_SECONDS)
            await keeper.emptied(within=_LAST_KEEPING_SECONDS)
            over.add(keeping)
            raise
        finally:
            for task in over:
                task.cancel()
            await asyncio.gather(*over, return_exceptions=True)
            if keeping not in over:
                self._keep_later(keeper, keeping)
        return keeper.end

    def _lease(self, request: MakeRequest) -> Lease | None:
        if self._leases is None:
            return None
        return Lease(
            self._leases,
            self._log,
            token=activity.info().task_token,
            run=request.run,
            shard=request.shard,
            attempt=request.attempt,
        )

    def _keep_later(self, keeper: "_Keeper", keeping: asyncio.Task[None]) -> None:
        """Let the last reports of a generator that died be kept when the log takes them."""

        async def kept() -> None:
            await keeper.emptied()
            keeping.cancel()

        task = asyncio.create_task(kept())
        self._kept_later.add(task)
        task.add_done_callback(self._kept_later.discard)


class _Keeper:
    """Puts the reports of one shard into the log, in order, as soon as it takes them."""

    def __init__(self, log: Callable[[], LoadLog | None], request: MakeRequest) -> None:
        self._log, self._request = log, request
        self._waiting: list[KeptReport] = []
        self._come = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._number = 0
        self.end = ShardEnd(shard=request.shard, offset=0.0)

    async def take(self, generation: Generation) -> None:
        """Take in what a generator says, to its end."""
        async for report in generation.reports():
            self._put(report)

    async def keep_on(self) -> None:
        """Keep what there is, until cancelled."""
        while True:
            await self._come.wait()
            await asyncio.sleep(_BATCH_SECONDS)
            batch = self._waiting[:_MOST_AT_ONCE]
            if not await self._kept(batch):
                await asyncio.sleep(_LOG_BREAK_SECONDS)
                continue
            self._waiting = self._waiting[len(batch) :]
            if not self._waiting:
                self._come.clear()
                self._empty.set()

    async def emptied(self, *, within: float | None = None) -> None:
        """Wait until everything is kept, so many seconds at most."""
        try:
            async with asyncio.timeout(within):
                await self._empty.wait()
        except TimeoutError:
            activity.logger.error(
                "%s, shard %s: %s reports are lost: the log does not answer",
                self._request.run,
                self._request.shard,
                len(self._waiting),
            )

    def _put(self, report: Report) -> None:
        self._number += 1
        request = self._request
        kept = KeptReport(
            run=request.run, shard=request.shard, attempt=request.attempt, number=self._number, report=report
        )
        self._waiting.append(kept)
        self._empty.clear()
        self._come.set()
        self.end.offset, self.end.stopped = report.offset, report.stopped

    async def _kept(self, batch: list[KeptReport]) -> bool:
        log = self._log()
        if log is None:
            return False
        try:
            async with asyncio.timeout(_LOG_SECONDS):
                await log.add(batch)
        except Exception as error:  # noqa: BLE001  whatever ails the log, the load goes on
            activity.logger.warning(
                "%s, shard %s: %s reports are not kept yet: %r",
                self._request.run,
                self._request.shard,
                len(batch),
                error,
            )
            return False
        return True


def _share(request: MakeRequest) -> Share:
    taken_over = max(0.0, time.time() + _TAKE_OVER_SECONDS - request.start_at)
    return Share(
        spec=request.spec,
        shard=request.shard,
        shards=request.shards,
        start_at=request.start_at,
        from_offset=taken_over if request.attempt > 1 else 0.0,
        name=request.run,
    )


async def _beat(keeper: _Keeper) -> None:
    """Tell the server that this is alive, until cancelled."""
    while True:
        activity.heartbeat(keeper.end.offset)
        await asyncio.sleep(_BEAT_SECONDS)
