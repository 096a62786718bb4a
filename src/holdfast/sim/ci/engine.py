"""A small CI system without a face: a queue, runners that really deploy, artefacts, a request budget."""

import asyncio
import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, Final

from pydantic import BaseModel

from holdfast.sim.ci.runs import CiAction, CiRun, RunState
from holdfast.sim.ci.settings import CiSettings

__all__ = ["Ci", "CiRun", "CiSettings", "RunState"]

VERSION_FILE: Final = "version.txt"
_INITIAL_AGE: Final = timedelta(hours=1)
_MINUTE_SECONDS: Final = 60


class _Kept(BaseModel):
    """What survives a restart."""

    runs: list[CiRun]
    deployed: dict[str, str]
    effects: dict[str, int]


class Ci:
    """The system; lives in one event loop.

    Attributes:
        settings: as they are at this moment, see `change_weather`.
        runs: oldest first.
        deployed: what really runs, version by part; `1.4.2 and 1.5.0` where a job is, or ended, halfway.
        effects: by key, how many jobs really deployed something, in part or whole.
        refused: requests that were above the budget.
    """

    def __init__(self, settings: CiSettings) -> None:
        """Begin with the initial version everywhere, or go on where `deployments_file` ends."""
        self.settings = settings
        self.runs: list[CiRun] = []
        self.deployed: dict[str, str] = {}
        self.effects: Counter[str] = Counter()
        self.refused = 0
        self._moved = asyncio.Condition()
        self._stops: dict[int, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._window_ends = 0.0
        self._asked = 0
        self._load()

    def start(
        self,
        *,
        name: str,
        action: CiAction,
        part: str,
        version: str,
        key: str,
        ref: str,
        parameters: dict[str, str],
    ) -> CiRun:
        """Put a run into the queue and return it; a second one with the same key is a second run."""
        run = CiRun(
            number=len(self.runs) + 1,
            name=name,
            action=action,
            part=part,
            version=version,
            key=key,
            ref=ref,
            parameters=dict(parameters),
            created_at=datetime.now(UTC),
        )
        self.runs.append(run)
        self._save()
        self._begin(run)
        return run

    def run(self, number: int) -> CiRun | None:
        """Return a run by its number, whether lists show it yet or not."""
        return self.runs[number - 1] if 0 < number <= len(self.runs) else None

    def listed(self) -> list[CiRun]:
        """Return the runs that lists show, newest first."""
        latest = datetime.now(UTC) - self.settings.visible_after
        return [run for run in reversed(self.runs) if run.created_at <= latest]

    def cancel(self, number: int) -> bool:
        """Stop a run: a queued one at once, a running one soon, halfway. False when it was over."""
        run = self.run(number)
        if run is None or run.over:
            return False
        run.canceling = True
        if run.state is RunState.QUEUED:
            self._end(run, RunState.CANCELED)
        self._stops[number].set()
        return True

    async def change_weather(self, wanted: dict[str, Any]) -> None:
        """Change settings while the system runs; a request budget begins anew.

        Raises:
            ValueError: the settings do not take it; nothing is changed.
        """
        self.settings = self.settings.changed(wanted)
        self._window_ends = 0.0
        await self._tell()

    def allowed(self) -> float:
        """Count one request; 0.0 means go on, else the seconds until requests are answered again."""
        if monotonic() >= self._window_ends:
            self._window_ends = monotonic() + self.settings.window_seconds
            self._asked = 0
        self._asked += 1
        if self._asked <= self.request_limit:
            return 0.0
        self.refused += 1
        return self.resets_in_seconds

    @property
    def request_limit(self) -> int:
        """How many requests are answered in one window."""
        return math.floor(
            self.settings.requests_per_minute * self.settings.window_seconds / _MINUTE_SECONDS + 1e-9
        )

    @property
    def requests_left(self) -> int:
        """How many more requests are answered in this window."""
        return max(0, self.request_limit - self._asked)

    @property
    def resets_in_seconds(self) -> float:
        """When the next window begins; above 0."""
        return max(0.001, self._window_ends - monotonic())

    def drops_answer(self) -> bool:
        """Whether the answer to this start gets lost; counts it."""
        if self.settings.drop_starts == 0:
            return False
        self.settings = self.settings.changed({"drop_starts": self.settings.drop_starts - 1})
        return True

    async def close(self) -> None:
        """Stop working; with a `deployments_file` another one goes on from there."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, run: CiRun) -> None:
        self._stops[run.number] = asyncio.Event()
        if run.canceling:
            self._stops[run.number].set()
        task = asyncio.get_running_loop().create_task(self._go(run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _go(self, run: CiRun) -> None:
        if run.state is RunState.QUEUED:
            await self._wait_for_runner(run)
        if not run.over:
            await self._work(run)
        await self._tell()

    async def _wait_for_runner(self, run: CiRun) -> None:
        await self._stopped_within(run, self.settings.queue_seconds)
        async with self._moved:
            await self._moved.wait_for(lambda: run.over or self._is_next(run))
            if run.over:
                return
            run.state = RunState.RUNNING
            run.started_at = datetime.now(UTC)

    def _is_next(self, run: CiRun) -> bool:
        busy = sum(other.state is RunState.RUNNING for other in self.runs)
        first = next(other for other in self.runs if other.state is RunState.QUEUED)
        return first is run and busy < self.settings.runners

    async def _work(self, run: CiRun) -> None:
        if not run.log:  # a job that goes on after a restart has printed this before
            self._deploy_half(run)
        await self._tell()
        fails = run.version in self.settings.failing_versions
        if await self._stopped_within(run, self.settings.job_seconds / (2 if fails else 1)):
            await asyncio.sleep(self.settings.cancel_seconds)
            run.say("canceled by a user")
            self._end(run, RunState.CANCELED)
        elif fails:
            run.say(f"{run.part}: version {run.version} does not become healthy\nexit code 1")
            self._end(run, RunState.FAILED)
        else:
            self._deploy_whole(run)

    def _deploy_half(self, run: CiRun) -> None:
        run.say(f"{run.action} of version {run.version} to {run.part}")
        self.effects[run.key] += 1
        there = self.deployed.get(run.part, "")
        self.deployed[run.part] = f"{there} and {run.version}" if there else run.version
        self._save()

    def _deploy_whole(self, run: CiRun) -> None:
        self.deployed[run.part] = run.version
        run.artifacts[VERSION_FILE] = f"{run.version}\n".encode()
        run.say("done")
        self._end(run, RunState.SUCCESS)

    def _end(self, run: CiRun, state: RunState) -> None:
        run.state = state
        run.ended_at = datetime.now(UTC)
        self._save()

    async def _stopped_within(self, run: CiRun, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._stops[run.number].wait()
        except TimeoutError:
            return False

    async def _tell(self) -> None:
        async with self._moved:
            self._moved.notify_all()

    def _load(self) -> None:
        file = self.settings.deployments_file
        if file is None or not file.exists():
            self._begin_world()
            return
        kept = _Kept.model_validate_json(file.read_bytes())
        self.runs, self.deployed, self.effects = kept.runs, kept.deployed, Counter(kept.effects)
        for run in self.runs:
            if not run.over:
                self._begin(run)

    def _begin_world(self) -> None:
        long_ago = datetime.now(UTC) - _INITIAL_AGE
        version = self.settings.initial_version
        for number, part in enumerate(self.settings.parts, start=1):
            run = CiRun(
                number=number,
                name=self.settings.deploy_name,
                action="deploy",
                part=part,
                version=version,
                key="",
                ref=self.settings.refs[0],
                parameters={},
                created_at=long_ago,
                started_at=long_ago,
                ended_at=long_ago,
                state=RunState.SUCCESS,
                artifacts={VERSION_FILE: f"{version}\n".encode()},
            )
            self.deployed[part] = version
            self.runs.append(run)

    def _save(self) -> None:
        file = self.settings.deployments_file
        if file is None:
            return
        kept = _Kept(runs=self.runs, deployed=self.deployed, effects=dict(self.effects))
        beside = file.with_suffix(".tmp")
        beside.write_text(kept.model_dump_json())
        beside.replace(file)
