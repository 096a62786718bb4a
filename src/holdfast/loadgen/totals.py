"""Adds up what all generators of a test report: per second, step, context and stretch, in any order.

The newest seconds are kept step by step with their histograms. Older ones become points of a series: counts and
percentiles of all requests and of each context. The histograms of the stretches take every request in, however
late it is reported.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pydantic import BaseModel, Field

from holdfast.domain.campaign import LoadLine
from holdfast.loadgen.report import Health, Report, StepSecond
from holdfast.loadgen.result import Point
from holdfast.loadgen.tally import UNANSWERED, Tally
from holdfast.loadgen.timeline import Planned, Stretch, stretches
from holdfast.runbook.kinds.load import ANY_STEP, LoadSpec

_RECENT_SECONDS, _SPARE_SECONDS = 60, 5
_MOST_POINTS = 900
_SILENT_AFTER_SECONDS = 2.0


@dataclass
class _Shard:
    """How far one shard has come, whoever made it.

    Attributes:
        attempt: of the generator that makes it; earlier ones are dead.
        heard: how far that one has come.
        open: its requests whose end is not known, by second and step.
    """

    offset: float = 0.0
    done: bool = False
    client: str = "protocol"
    attempt: int = 0
    heard: float = 0.0
    open: dict[int, Counter[str]] = field(default_factory=dict[int, Counter[str]])


class Live(BaseModel):
    """How a test does in its newest full second.

    Attributes:
        second: its number from the start; -1 before the first is full.
        phase: name of the stretch.
        rate: sessions that begin in a second, by the plan.
        lines: all together first, then each context.
        sent_per_s: requests that were sent.
        health: of the generators together: the longest lag, the busiest core, the sums of the others.
        late_percent: of all requests until then.
        lost: sessions that should have begun until then and that no generator made.
        shards: generators that are heard of.
    """

    second: int = -1
    phase: str = ""
    rate: float = 0.0
    lines: list[LoadLine] = Field(default_factory=list[LoadLine])
    sent_per_s: int = 0
    health: Health = Health()
    late_percent: float = 0.0
    lost: int = 0
    shards: int = 0


class Totals:
    """The sums of one test. A report is added once; the order does not matter."""

    def __init__(self, spec: LoadSpec) -> None:
        self.spec = spec
        self.stretches: list[Stretch] = stretches(spec)
        self.planned = Planned(spec)
        self.contexts = list(dict.fromkeys(step.context for step in spec.steps))
        self.shards: dict[int, _Shard] = {}
        self.every = max(1, math.ceil(spec.lasts.total_seconds() / _MOST_POINTS))
        longest = max((threshold.over.total_seconds() for threshold in spec.thresholds), default=0.0)
        self._recent_seconds = max(_RECENT_SECONDS, math.ceil(longest) + _SPARE_SECONDS)
        self._context_of = {step.name: step.context for step in spec.steps}
        self._timeout_us = {step.name: step.timeout.total_seconds() * 1e6 for step in spec.steps}
        self._first = {scenario.steps[0].name for scenario in spec.scenarios}
        self._in_stretch: list[dict[str, Tally]] = [{} for _ in self.stretches]
        self._recent: dict[int, dict[str, Tally]] = {}
        self._points: dict[int, dict[str, Point]] = {}
        self._ended: dict[int, Counter[str]] = {}
        self._begun: Counter[int] = Counter()
        self._health: dict[int, Health] = {}

    def add(self, report: Report, *, attempt: int = 1) -> None:
        """Take in what a generator says.

        Args:
            report: from a generator.
            attempt: grows each time another generator goes on with the shard.

        Raises:
            InvalidInput: a histogram in it is none, or has other buckets.
        """
        shard = self.shards.setdefault(report.shard, _Shard())
        shard.offset = max(shard.offset, report.offset)
        shard.done |= report.done and not report.stopped
        shard.client = report.client if report.client != "protocol" else shard.client
        _follow(shard, report, attempt)
        for second in report.seconds:
            for step, said in second.steps.items():
                if step in self._context_of:
                    self._take(second.number, step, said)
            if second.health is not None:
                self._health[second.number] = _together(self._health.get(second.number), second.health)
        self._fold(int(self.furthest) - self._recent_seconds)

    # --- what is asked ----------------------------------------------------------------------------------------

    @property
    def furthest(self) -> float:
        """How far the generator that is furthest has come, in seconds."""
        return max((state.offset for state in self.shards.values()), default=0.0)

    @property
    def clients(self) -> list[str]:
        """The clients that served."""
        return sorted({state.client for state in self.shards.values()}) or ["protocol"]

    @property
    def worst_health(self) -> Health:
        """The worst of every second, each figure by itself."""
        worst = Health()
        for each in self._health.values():
            worst.lag_ms = max(worst.lag_ms, each.lag_ms)
            worst.busy_percent = max(worst.busy_percent, each.busy_percent)
            worst.in_flight = max(worst.in_flight, each.in_flight)
            worst.connections = max(worst.connections, each.connections)
        return worst

    def full_until(self, at: float | None = None) -> int:
        """Return the first second that is not fully reported yet.

        Args:
            at: seconds since the start; generators that are silent for longer than two seconds then do not hold
                the others up. None: only what was reported counts.
        """
        running = [s.offset for s in self.shards.values() if not s.done]
        heard = [o for o in running if at is None or o > at - _SILENT_AFTER_SECONDS]
        return int(min(heard, default=self.furthest))

    def of_steps(self, names: Iterable[str], stretch: int | None = None) -> Tally:
        """Return these steps over one stretch, or over the whole test."""
        wanted = set(names)
        parts = self._in_stretch if stretch is None else [self._in_stretch[stretch]]
        return Tally.sum_of(tally for part in parts for name, tally in part.items() if name in wanted)

    def newest(self, names: Iterable[str], begin: int, end: int) -> list[tuple[int, Tally]]:
        """Return these steps in each second from `begin` to before `end`, as far back as seconds are kept."""
        wanted = set(names)
        seconds = [n for n in sorted(self._recent) if begin <= n < end]
        return [(n, Tally.sum_of(t for s, t in self._recent[n].items() if s in wanted)) for n in seconds]

    def waiting(self, names: Iterable[str], second: int, until: float) -> list[tuple[float, int]]:
        """Return for how many seconds, at least, how many of a second's requests are under way.

        What a generator has said last is the newest that is known of its requests; those of a dead one are
        under way no more.

        Args:
            names: of steps.
            second: in which the requests were due.
            until: nothing later counts, in seconds from the start.
        """
        wanted = set(names)
        found: list[tuple[float, int]] = []
        for shard in self.shards.values():
            count = sum(n for step, n in shard.open.get(second, Counter()).items() if step in wanted)
            if count > 0:
                found.append((min(shard.heard, until) - second - 1, count))
        return found

    def longest_timeout(self, names: Iterable[str]) -> float:
        """Return the longest time after which a request of these steps is given up, in seconds."""
        return max((self._timeout_us[name] for name in names), default=0.0) / 1e6

    def steps_of(self, name: str) -> list[str]:
        """Return the steps that a name stands for: a step, a context, or `*` for all."""
        if name in self._context_of:
            return [name]
        return [step for step, context in self._context_of.items() if name in {ANY_STEP, context}]

    def lost(self, until: float) -> int:
        """Say how many sessions should have begun before a second and were made by nobody."""
        return sum(max(0, self.planned.in_second(second) - self._begun[second]) for second in range(int(until)))

    @property
    def doubled(self) -> int:
        """Sessions that were made more often than planned: two generators made one share."""
        return sum(max(0, made - self.planned.in_second(second)) for second, made in self._begun.items())

    def begun(self, until: float = math.inf) -> int:
        """Say how many sessions of those that should have begun before a second were made, sent or not."""
        return sum(count for second, count in self._begun.items() if second < until)

    def points(self) -> dict[int, dict[str, Point]]:
        """Return the series: by the number of the point, `every` seconds each, and by name of the context."""
        points = {number: dict(by_name) for number, by_name in self._points.items()}
        for number in sorted({second // self.every for second in self._recent}):
            for name, tally in self._by_context(self._block(number)):
                points.setdefault(number, {})[name] = _with(points.get(number, {}).get(name), tally)
        for second, ended in self._ended.items():
            by_name = points.setdefault(second // self.every, {})
            for name, count in ended.items():
                by_name[name] = by_name.get(name, Point()).ending(count)
        return dict(sorted(points.items()))

    def health(self) -> dict[int, Health]:
        """Return the generators' own figures by second."""
        return dict(sorted(self._health.items()))

    def live(self, at: float | None = None) -> Live:
        """Return how the newest full second was; `at` as in `full_until`."""
        until = self.full_until(at)
        second = until - 1
        stretch = self.stretches[self._stretch_at(second)]
        by_context = dict(self._by_context(self._recent.get(second, {})))
        names = [ANY_STEP, *self.contexts]
        ended = self._ended.get(second, Counter())
        all_requests = self.of_steps(self._context_of)
        return Live(
            second=second,
            phase=stretch.name if second >= 0 else "",
            rate=self.planned_rate(second + 0.5),
            lines=[_line(name, by_context.get(name, Tally()), ended[name]) for name in names],
            sent_per_s=by_context.get(ANY_STEP, Tally()).sent,
            health=self._health.get(second, Health()),
            late_percent=100 * all_requests.late / all_requests.due if all_requests.due else 0.0,
            lost=self.lost(until),
            shards=len(self.shards),
        )

    def planned_rate(self, offset: float) -> float:
        """Return the sessions that begin in a second at a moment, by the plan."""
        for stretch in self.stretches:
            if stretch.begins <= offset < stretch.ends:
                part = (offset - stretch.begins) / (stretch.ends - stretch.begins)
                return stretch.rate_from + (stretch.rate_to - stretch.rate_from) * part
        return 0.0

    # --- inside -----------------------------------------------------------------------------------------------

    def _take(self, second: int, step: str, said: StepSecond) -> None:
        tally = Tally.of(said, self._timeout_us[step])
        self._in_stretch[self._stretch_at(second)].setdefault(step, Tally()).add(tally)
        if step in self._first:
            self._begun[second] += tally.due
        self._end(second, step, sum(tally.errors[kind] for kind in UNANSWERED - {"timeout"}))
        for ends, count in tally.latency.seconds_after(second).items():
            self._end(ends, step, count)
        folded = self._points.get(second // self.every)
        if folded is None:
            self._recent.setdefault(second, {}).setdefault(step, Tally()).add(tally)
            return
        for name in (ANY_STEP, self._context_of[step]):  # too late for the percentiles of its second
            folded[name] = folded.get(name, Point()).counting(_counts(tally))

    def _end(self, second: int, step: str, count: int) -> None:
        if count:
            ended = self._ended.setdefault(second, Counter())
            ended[ANY_STEP] += count
            ended[self._context_of[step]] += count

    def _stretch_at(self, second: int) -> int:
        """Return the stretch that a second lies in; requests after the end belong to the last one."""
        middle = second + 0.5
        return next((i for i, s in enumerate(self.stretches) if middle < s.ends), len(self.stretches) - 1)

    def _fold(self, before: int) -> None:
        """Make points of the seconds whose point is older than that."""
        for shard in self.shards.values():
            for second in [second for second in shard.open if second < before]:
                del shard.open[second]
        done = {second // self.every for second in self._recent if second < before - self.every}
        for number in done:
            block = self._block(number)
            self._points[number] = {name: _with(None, tally) for name, tally in self._by_context(block)}
            for second in range(number * self.every, (number + 1) * self.every):
                self._recent.pop(second, None)

    def _block(self, number: int) -> dict[str, Tally]:
        seconds = range(number * self.every, (number + 1) * self.every)
        parts = [self._recent[second] for second in seconds if second in self._recent]
        names = dict.fromkeys(name for part in parts for name in part)
        return {name: Tally.sum_of(part[name] for part in parts if name in part) for name in names}

    def _by_context(self, by_step: dict[str, Tally]) -> Iterator[tuple[str, Tally]]:
        """Yield all requests together, then those of each context that has some."""
        if by_step:
            yield ANY_STEP, Tally.sum_of(by_step.values())
        for context in self.contexts:
            mine = [tally for step, tally in by_step.items() if self._context_of[step] == context]
            if mine:
                yield context, Tally.sum_of(mine)


def _follow(shard: _Shard, report: Report, attempt: int) -> None:
    """Take note of the requests that the newest generator of a shard has under way."""
    if attempt < shard.attempt:
        return
    if attempt > shard.attempt:
        shard.attempt, shard.heard, shard.open = attempt, 0.0, {}
    shard.heard = max(shard.heard, report.offset)
    for second in report.seconds:
        row = shard.open.setdefault(second.number, Counter())
        for step, said in second.steps.items():
            row[step] += said.due - said.unsent - said.good - sum(said.errors.values())


def _together(one: Health | None, other: Health) -> Health:
    """Return two generators as one: each has a core of its own, the requests and connections add up."""
    if one is None:
        return other
    return Health(
        lag_ms=max(one.lag_ms, other.lag_ms),
        busy_percent=max(one.busy_percent, other.busy_percent),
        in_flight=one.in_flight + other.in_flight,
        connections=one.connections + other.connections,
    )


def _counts(tally: Tally) -> Point:
    return Point(due=tally.due, sent=tally.sent, good=tally.good, failed=tally.failed, late=tally.late)


def _with(point: Point | None, tally: Tally) -> Point:
    """Return a point with these requests, and their percentiles where it has none."""
    counted = (point or Point()).counting(_counts(tally))
    if not tally.latency.count or counted.p50 is not None:
        return counted
    p50, p95, p99, most = (value / 1e6 for value in tally.latency.percentiles((50, 95, 99, 100)))
    return counted.model_copy(update={"p50": p50, "p95": p95, "p99": p99, "maximum": most})


def _line(name: str, tally: Tally, ended: int) -> LoadLine:
    return LoadLine(
        name=name,
        due_per_s=tally.due,
        answered_per_s=ended,
        errors_percent=tally.errors_percent,
        p50=tally.seconds(50),
        p95=tally.seconds(95),
        p99=tally.seconds(99),
    )
