"""In-memory ports for tests of workflows: each behaves as its protocol says and remembers what was asked."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from holdfast.domain.errors import (
    ChangeConflict,
    ChangeFailed,
    ChatUnavailable,
    InvalidInput,
    MetricsUnavailable,
    Unavailable,
    UnknownName,
)
from holdfast.domain.journal import Effect, TargetState, Write
from holdfast.domain.view import MessageRef, RunView
from holdfast.ports.changes import Progress
from holdfast.ports.metrics import Labelled, LabelledSeries
from holdfast.ports.verdicts import KeptVerdict, ReleaseLabel
from holdfast.verdict.scores import Judged


class Target:
    """One configurable system with a version, an audit trail and a switch that takes it down."""

    def __init__(self) -> None:
        self.version = 1
        settings = {"limit": 8, "pool": 2, "keep_alive": 60}
        self.parts: dict[str, dict[str, Any]] = {
            "stable": dict(settings),
            "canary": dict(settings),
            "share": {"percent": 0},
        }
        self.audit: list[tuple[str, str]] = []  # (part, key) of every write
        self.down = False
        self.lose_answers = 0  # the write happens, the answer never arrives
        self.shares_seen: list[int] = []
        self.stuck: set[str] = set()  # parts that cannot be undone

    def write(self, part: str, values: dict[str, Any], key: str) -> None:
        self.parts[part] = dict(values)
        self.version += 1
        self.audit.append((part, key))
        if part == "share":
            self.shares_seen.append(values["percent"])


class Targets:
    """A `ChangeProvider` for any number of targets; each test has its own endpoint."""

    def __init__(self) -> None:
        self.targets: defaultdict[str, Target] = defaultdict(Target)
        self.first_read_after: dict[str, list[float]] = {}  # a benchmark asks when the next read begins

    async def read(self, endpoint: str, part: str) -> TargetState:
        if endpoint in self.first_read_after:
            self.first_read_after[endpoint].append(time.perf_counter())
        target = self._up(endpoint)
        if part not in target.parts:
            raise UnknownName("part", part, target.parts)
        return TargetState(version=target.version, values=dict(target.parts[part]))

    async def foresee(self, effect: Effect, state: TargetState) -> dict[str, Any]:
        return {**state.values, **effect.values}

    async def write(self, write: Write, progress: Progress) -> TargetState:
        endpoint, part = write.effect.endpoint, write.effect.part
        target = self._up(endpoint)
        if write.version != target.version:
            raise ChangeConflict(f"{endpoint} is at version {target.version}")
        if write.undo and part in target.stuck:
            raise ChangeFailed(f"{endpoint} does not take {part} back")
        target.write(part, write.goal, write.key)
        if target.lose_answers:
            target.lose_answers -= 1
            raise Unavailable(f"{endpoint} did not answer")
        return TargetState(version=target.version, values=write.goal)

    def _up(self, endpoint: str) -> Target:
        target = self.targets[endpoint]
        if target.down:
            raise Unavailable(f"{endpoint} does not answer")
        return target


class Systems:
    """A `ChangeProvider` for systems that take their time: pipelines, databases, commands, each by its name.

    What is in `holds_up` does not come to an end until it is taken out; what is in `failing` begins and fails.
    """

    def __init__(self) -> None:
        self.states: dict[tuple[str, str], dict[str, Any]] = {}
        self.begun: defaultdict[str, list[str]] = defaultdict(list)  # keys by system
        self.stopped: defaultdict[str, list[str]] = defaultdict(list)
        self.failing: set[str] = set()
        self.holds_up: set[str] = set()
        self.unsettled: dict[tuple[str, str], str] = {}

    async def read(self, endpoint: str, part: str) -> TargetState:
        at = (endpoint, part)
        key = self.unsettled.get(at, "")
        return TargetState(
            values=self._state(at), unsettled=key, doubt=f"{key} has not ended well" if key else ""
        )

    async def foresee(self, effect: Effect, state: TargetState) -> dict[str, Any]:
        return {**state.values, **(effect.values or {"state": "on"})}

    async def write(self, write: Write, progress: Progress) -> TargetState:
        at, endpoint = (write.effect.endpoint, write.effect.part), write.effect.endpoint
        self.begun[endpoint].append(write.key)
        self.unsettled[at] = write.key
        try:
            while endpoint in self.holds_up:
                progress.keep({"run": write.key})
                await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            if progress.called_off:
                self.stopped[endpoint].append(write.key)
            raise
        if endpoint in self.failing:
            raise ChangeFailed(f"{endpoint}: job 17 failed")
        del self.unsettled[at]
        self.states[at] = dict(write.goal)
        return TargetState(values=dict(write.goal))

    def _state(self, at: tuple[str, str]) -> dict[str, Any]:
        return dict(self.states.get(at, {"version": "1.4.2"} if at[1] != "all" else {"state": "off"}))


class Metrics:
    """A `MetricsSource` whose queries are `endpoint:metric:side`; values are set by tests."""

    def __init__(self) -> None:
        self.values: dict[str, float | None] = {}
        self.down: set[str] = set()
        self.wrong: set[str] = set()  # endpoints whose queries the backend refuses
        self.asked: defaultdict[str, int] = defaultdict(int)
        self.vectors: dict[str, list[Labelled]] = {}  # by the whole query

    async def instant(self, query: str, *, at: datetime) -> float | None:
        endpoint, metric, side = query.split(":")
        self._up(endpoint)
        self.asked[endpoint] += 1
        return self.values.get(f"{endpoint}:{metric}:{side}", 1.0)

    async def series(self, query: str, *, start: datetime, end: datetime, step: timedelta) -> list[float]:
        endpoint, _metric, _side = query.split(":")
        self._up(endpoint)
        return [0.9, 1.1] * 10

    async def points(
        self, query: str, *, start: datetime, end: datetime, step: timedelta
    ) -> list[tuple[datetime, float]]:
        values = await self.series(query, start=start, end=end, step=step)
        return [(end - ago * step, value) for ago, value in zip(range(19, -1, -1), values, strict=True)]

    async def vector(self, query: str, *, at: datetime) -> list[Labelled]:
        self._up(query.split(":", maxsplit=1)[0])
        return self.vectors.get(query, [])

    async def matrix(
        self, query: str, *, start: datetime, end: datetime, step: timedelta
    ) -> list[LabelledSeries]:
        found = await self.vector(query, at=end)
        return [LabelledSeries(one.labels, [] if one.value is None else [one.value] * 20) for one in found]

    def _up(self, endpoint: str) -> None:
        if endpoint in self.down:
            raise MetricsUnavailable("the metrics backend does not answer")
        if endpoint in self.wrong:
            raise InvalidInput("the query gives two series; aggregate it with sum by ()")


Answers = dict[str, float | None]


class MemoryMetrics:
    """A `MetricsSource` in memory; `now` gives the numbers, or the error, of the seconds after `start`.

    Args:
        now: by the whole query.
        vectors: likewise, at any time; the error of `now` is theirs, too.
    """

    def __init__(
        self,
        start: datetime,
        now: Callable[[float], Answers | Exception],
        vectors: dict[str, list[Labelled]] | None = None,
    ) -> None:
        self._start = start
        self._now = now
        self._vectors = vectors or {}
        self.asked: list[tuple[str, float]] = []

    async def instant(self, query: str, *, at: datetime) -> float | None:
        return self._answers(query, at).get(query)

    async def vector(self, query: str, *, at: datetime) -> list[Labelled]:
        self._answers(query, at)
        return self._vectors.get(query, [])

    async def points(
        self, query: str, *, start: datetime, end: datetime, step: timedelta
    ) -> list[tuple[datetime, float]]:
        times = [start + n * step for n in range((end - start) // step + 1)]
        values = [(at, await self.instant(query, at=at)) for at in times]
        return [(at, value) for at, value in values if value is not None]

    async def series(self, query: str, *, start: datetime, end: datetime, step: timedelta) -> list[float]:
        return [value for _, value in await self.points(query, start=start, end=end, step=step)]

    async def matrix(
        self, query: str, *, start: datetime, end: datetime, step: timedelta
    ) -> list[LabelledSeries]:
        found = await self.vector(query, at=end)
        return [LabelledSeries(one.labels, [] if one.value is None else [one.value]) for one in found]

    def _answers(self, query: str, at: datetime) -> Answers:
        seconds = (at - self._start).total_seconds()
        self.asked.append((query, seconds))
        answers = self._now(seconds)
        if isinstance(answers, Exception):
            raise answers
        return answers


class ChatRoom:
    """A `Chat` that keeps the newest card of each run."""

    def __init__(self) -> None:
        self.cards: dict[str, RunView] = {}
        self.revisions: defaultdict[str, list[int]] = defaultdict(list)
        self.messages_sent: defaultdict[str, int] = defaultdict(int)
        self.pings: defaultdict[str, list[str]] = defaultdict(list)
        self.down: set[str] = set()  # run ids whose chat does not answer
        self.keys: set[str] = set()  # of the pings
        self.threads: dict[str, str] = {}  # titles, by run id

    async def publish(self, view: RunView, *, message: MessageRef | None) -> MessageRef:
        if view.run_id in self.down:
            raise ChatUnavailable("the chat does not answer", retry_after_seconds=0.05)
        if message is None or not message.message_id:
            self.messages_sent[view.run_id] += 1
        self.cards[view.run_id] = view
        self.revisions[view.run_id].append(view.revision)
        if message and message.message_id:
            return message
        return MessageRef(chat="room", message_id=view.run_id, thread=message.thread if message else "")

    async def ping(self, text: str, *, reply_to: MessageRef, key: str) -> None:
        if key not in self.keys:
            self.keys.add(key)
            self.pings[reply_to.message_id].append(text)

    async def open_thread(self, title: str, *, key: str) -> MessageRef:
        if key in self.down:
            raise ChatUnavailable("the chat does not answer", retry_after_seconds=0.05)
        self.threads.setdefault(key, title)
        return MessageRef(chat="room", message_id="", thread=f"topic of {key}")


async def eventually(check: Any, *, seconds: float = 60, every: float = 0.03) -> Any:
    """Wait until the (possibly async) check gives something true, and return it."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        found = check()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"never became true: {check}")
        await asyncio.sleep(every)


class MemoryLog:
    """A `VerdictLog` in memory that fails when told to."""

    def __init__(self, beside: Sequence[str] = ()) -> None:
        self.kept: dict[tuple[str, str, datetime], KeptVerdict] = {}
        self.down: Callable[[], Exception | None] = lambda: None
        self.asked: list[tuple[str, datetime]] = []
        self._beside = list(beside)

    async def keep(self, verdicts: Sequence[KeptVerdict]) -> None:
        if error := self.down():
            raise error
        for verdict in verdicts:
            self.kept.setdefault((verdict.run_id, verdict.model, verdict.at), verdict)

    async def watched_beside(self, run_id: str, *, since: datetime) -> list[str]:
        self.asked.append((run_id, since))
        if error := self.down():
            raise error
        return self._beside

    async def label(self, label: ReleaseLabel) -> None:
        raise NotImplementedError

    async def judged(
        self, *, since: datetime | None = None, runbook: str | None = None
    ) -> tuple[list[Judged], str]:
        raise NotImplementedError
