import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from time import monotonic
from typing import Final, Protocol, TypeVar

from holdfast.domain.errors import ChangeFailed, HoldfastError, Unavailable
from holdfast.ports.changes import Progress
from holdfast.ports.pipelines import Deployed, PipelineOrder, PipelineRun, Pipelines, RunStatus

# A run that is called off gets this long to end; what is left of it then, the next reading tells.
STOP_WITHIN: Final = timedelta(minutes=1)
# So many polls in a row may fail; then people should see why.
_PATIENCE: Final = 10

T = TypeVar("T")


class Timing(Protocol):
    """What `systems.yaml` says about looking at runs; see `runbook.systems`."""

    @property
    def poll(self) -> timedelta:
        """How often a run is looked at."""
        ...

    @property
    def visible_within(self) -> timedelta:
        """How long a run that was started may be missing in lists."""
        ...


class Following:
    """One order on its way: found or started, followed to its end, stopped if it is called off."""

    def __init__(self, pipelines: Pipelines, order: PipelineOrder, progress: Progress, timing: Timing) -> None:
        self._pipelines = pipelines
        self._order = order
        self._progress = progress
        self._poll_seconds = timing.poll.total_seconds()
        self._visible_within_seconds = timing.visible_within.total_seconds()
        self._run: PipelineRun | None = None
        self._may_be_started = progress.repeated

    async def conduct(self) -> Deployed:
        """Carry the order out, once, and return what is deployed then.

        Raises:
            ChangeFailed: the run failed, was cancelled, or deployed something else.
            InvalidInput: the CI system refuses the order.
            Unavailable: it does not answer; the next attempt finds the run.
        """
        try:
            run = await self._to_its_end(await self._find_or_start())
            return await self._outcome(run)
        except asyncio.CancelledError:
            if self._progress.called_off:
                await self._stop()
            raise

    async def stop_if_under_way(self) -> None:
        """End the run if there is one that is not over: two that deploy to one part would race.

        Raises:
            Unavailable: it does not end.
        """
        run = await self._patiently(self._find)
        if run is None or run.status.ended:
            return
        self._run = run
        await self._stop()
        if not (await self._patiently(lambda: self._pipelines.look(self._order, run.id))).status.ended:
            raise Unavailable(
                f"pipeline '{self._order.system}': {_words(run)} goes on although it was cancelled"
            )

    async def _find_or_start(self) -> PipelineRun:
        memory = self._progress.memory
        remembered = memory.get("run") if memory.get("key") == self._order.key else None
        if remembered:
            return self._seen(await self._patiently(lambda: self._pipelines.look(self._order, remembered)))
        look_for = self._search if self._may_be_started else self._find
        found = await self._patiently(look_for)
        return self._seen(found) if found else await self._start()

    async def _start(self) -> PipelineRun:
        self._may_be_started = True
        # A cancellation in the middle of the request would leave behind a run that nobody knows of.
        starting = asyncio.ensure_future(self._pipelines.start(self._order))
        try:
            started = await asyncio.shield(starting)
        except asyncio.CancelledError:
            await asyncio.wait({starting})
            if starting.exception() is None and (begun := starting.result()):
                self._seen(begun)
            raise
        except Unavailable:
            found = await self._search()
            if found is None:
                raise
            return self._seen(found)
        return self._seen(started or await self._appeared())

    async def _appeared(self) -> PipelineRun:
        """Return the run that the system took without saying which one it became."""
        found = await self._search()
        if found is None:
            raise Unavailable(
                f"pipeline '{self._order.system}' took the order {self._order.key} and shows no run for it "
                f"after {self._visible_within_seconds:g} s; if it is that slow, raise its 'visible_within'"
            )
        return found

    async def _find(self) -> PipelineRun | None:
        return await self._pipelines.find(self._order)

    async def _search(self) -> PipelineRun | None:
        """Look for the run until it must have become visible; only an answer after that means there is none."""
        until = monotonic() + self._visible_within_seconds
        while True:
            is_last = monotonic() >= until
            wait_seconds = self._poll_seconds
            try:
                if found := await self._find():
                    return found
                if is_last:
                    return None
            except Unavailable as error:
                if is_last:
                    raise
                wait_seconds = self._wait_seconds(error)
            await asyncio.sleep(wait_seconds)

    async def _to_its_end(self, run: PipelineRun) -> PipelineRun:
        while not run.status.ended:
            await asyncio.sleep(self._poll_seconds)
            run_id = run.id
            run = self._seen(await self._patiently(lambda: self._pipelines.look(self._order, run_id)))  # noqa: B023  called at once
        return run

    async def _outcome(self, run: PipelineRun) -> Deployed:
        # Lists may lag behind the run itself; whoever reads next has to find what this run has left.
        listed = await self._patiently(self._search)
        order = self._order
        where = f"pipeline '{order.system}', part '{order.part}'"
        if run.status is not RunStatus.SUCCEEDED:
            raise ChangeFailed(f"{where}: {order.action} of {order.version} {run.status}: {_words(run)}")
        there = await self._deployed(wanted=order.version, is_listed=listed is not None)
        if there.version != order.version:
            raise ChangeFailed(
                f"{where}: the run succeeded and {there.version or 'nothing'} is deployed instead of "
                f"{order.version}: {_words(run)}"
            )
        return there

    async def _deployed(self, *, wanted: str, is_listed: bool) -> Deployed:
        """Return what is deployed, after a little patience where it is not what is wanted."""
        until = monotonic() + (self._visible_within_seconds if is_listed else 0)
        while True:
            there = await self._patiently(
                lambda: self._pipelines.deployed(self._order.system, self._order.part)
            )
            if there.version == wanted or monotonic() >= until:
                return there
            await asyncio.sleep(self._poll_seconds)

    async def _stop(self) -> None:
        """End the run at its system, if there is one. What cannot be stopped shows in the next reading."""
        with suppress(TimeoutError, HoldfastError):
            async with asyncio.timeout(STOP_WITHIN.total_seconds()):
                run = self._run or await self._patiently(self._begun)
                if run is None:
                    return
                run_id = run.id
                if not run.status.ended:
                    await self._patiently(lambda: self._pipelines.cancel(self._order, run_id))
                    await self._to_its_end(run)
                # Who reads next has to find what it has left.
                await self._patiently(self._search)

    async def _begun(self) -> PipelineRun | None:
        """Return the run that an interrupted search or start may have left, None where there is none."""
        return await self._search() if self._may_be_started else None

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer: a failed poll is no news about the run."""
        for _ in range(_PATIENCE):
            try:
                return await ask()
            except Unavailable as error:
                await asyncio.sleep(self._wait_seconds(error))
        return await ask()

    def _wait_seconds(self, error: Unavailable) -> float:
        return max(self._poll_seconds, error.retry_after_seconds or 0)

    def _seen(self, run: PipelineRun) -> PipelineRun:
        """Keep what the next attempt and the people need; returns the same run."""
        self._run = run
        memory = {"key": self._order.key, "run": run.id, "url": run.url, "said": run.said}
        self._progress.keep({name: text for name, text in memory.items() if text})
        return run


def _words(run: PipelineRun) -> str:
    return " ".join(text for text in (run.said, f"({run.url})" if run.url else "") if text) or f"run {run.id}"
