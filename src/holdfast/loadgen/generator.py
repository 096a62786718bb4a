"""The open loop: sends what is due, whatever the target does, and says what came of it.

The pacing tick runs every millisecond at most. It sends what has become due since, some hundred requests at
once at high rates; answers are taken between two ticks. Nothing here waits for an answer.

At high rates the tick rests for half a millisecond, so that answers are taken in batches: to wake up for each
costs as much as the answer itself. A latency is then too long by so much at most, by half of it on average.

The process that runs a generator should switch the garbage collector off (`holdfast.loadgen.__main__` does): a
full collection walks all sessions and connections and stops the sending for tens of milliseconds.
"""

import asyncio
import contextlib
import heapq
import math
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from time import monotonic

from holdfast.loadgen.arrivals import Arrivals, Chunk
from holdfast.loadgen.connections import ConnectionPool
from holdfast.loadgen.draws import Draws
from holdfast.loadgen.ledger import Ledger
from holdfast.loadgen.pacing import Backlog, HealthMeter
from holdfast.loadgen.report import Health, Report, Second, Share
from holdfast.loadgen.sessions import GENERAL_CLIENT, Course, Pool, Session, plans
from holdfast.loadgen.templates import request_template
from holdfast.runbook.kinds.load import LoadSpec, Target

_MOST_AT_ONCE = 256
# Opening a connection costs as much as several requests. If the target stalls, answers that have come in the
# meantime are taken between two ticks and free connections, so that there are not more than it takes.
_MOST_OPENED_AT_ONCE = 32
_SHORTEST_WAIT = 0.001
# From so many requests a second on answers are taken in batches.
_HIGH_RATE = 4000.0
_REST = 0.0005
_READY_SECONDS = 2.0
_REPORT_EVERY = 0.25
_EXPIRE_EVERY = 0.05
# Connections that stand before the first arrival: enough for answers that take this long, but not without end.
_EXPECTED_ANSWER_SECONDS = 0.05
_MOST_BEFOREHAND = 2048
_LATE_ANSWERS_SECONDS = 5.0
# No test makes as many for as long as it lasts; the ids stay below what a JSON number holds exactly.
_UPDATES_PER_SECOND = 100_000


class Generator:
    """Makes one share of a load test.

    Args:
        share: which part of which test.
        report: called some four times a second with what is new.

    Raises:
        InvalidInput: a secret is missing, or a target cannot be spoken to as it is described.
    """

    def __init__(self, share: Share, report: Callable[[Report], None]) -> None:
        spec = share.spec
        self._share = share
        self._report = report
        self._zero = monotonic() + share.start_at - time.time()
        self._arrivals = Arrivals(spec)
        self._ends = self._zero + spec.ceilings.lasts.total_seconds()
        self._on_time = spec.on_time.total_seconds()
        self._ceiling = spec.ceilings.in_flight
        self._ledger = _ledger(spec)
        self._pools = {name: _pool(name, target, self._on_time) for name, target in spec.targets.items()}
        self._draws = Draws(spec.seed, spec.scenarios)
        self._course = self._new_course()
        self._plans = plans(
            spec.scenarios,
            lambda step: request_template(step, spec.targets[step.target], share.secrets, share.name),
            self._pools,
        )
        self._client = _client(spec)
        self._steps_a_session = _steps_a_session(spec)
        # What is due: the newest chunk of arrivals, how far it is sent, and sessions that think.
        self._thinking: list[tuple[float, int, Session]] = []
        self._order = count()
        self._chunks: Iterator[Chunk] = iter(())
        self._dues: list[float] = []
        self._kinds: list[int] = []
        self._numbers: list[int] = []
        self._next = 0
        self._second_ends = -math.inf
        # How well it keeps up.
        self._lag = 0.0
        self._backlog = Backlog(self._on_time, self._course.too_late)
        self._health = HealthMeter(self._zero)
        self._rests = False
        # How far it has come.
        self._stopped = ""
        self._ready = False
        self._finished = asyncio.Event()
        self._timers: dict[str, asyncio.Handle] = {}
        self._reported_to = share.from_offset

    async def run(self) -> None:
        """Make the share, from its start until the last session has ended or `stop`.

        The last report has `done`.

        Raises:
            Unavailable: a target's host has no address.
        """
        loop = asyncio.get_running_loop()
        try:
            self._report_new()
            await self._get_ready()
            if not self._finished.is_set():
                self._ready = True
                self._timers["tick"] = loop.call_soon(self._tick)
                self._timers["expire"] = loop.call_soon(self._expire)
            await self._finished.wait()
        finally:
            self._close()
            for pool in self._pools.values():
                await pool.closed()
        self._say(done=True)

    def stop(self, why: str) -> None:
        """Stop at once: nothing begins any more, connections are closed.

        Requests under way, and those that were due and not sent yet, count as not sent.
        """
        if self._stopped or self._finished.is_set():
            return
        self._stopped = why or "stopped"
        self._drop_until(monotonic())
        self._close()
        self._finished.set()

    def _new_course(self) -> Course:
        """Return what the sessions share.

        Ids grow from run to run, so that a bot does not take a second run for repeated updates.
        """
        return Course(
            draws=self._draws,
            ledger=self._ledger,
            zero=self._zero,
            ends=self._ends,
            on_time=self._on_time,
            first_id=int(self._share.start_at * _UPDATES_PER_SECOND),
            steps=len(self._share.spec.steps),
            later=self._later,
        )

    async def _get_ready(self) -> None:
        share = self._share
        self._chunks = self._arrivals.chunks(
            shard=share.shard, shards=share.shards, from_offset=share.from_offset
        )
        self._refill()
        if self._dues:
            await _either(self._finished, self._dues[0] - monotonic() - _READY_SECONDS)
        since = max(monotonic() - self._zero, share.from_offset, 0.0)
        rate = self._arrivals.rates.at(since) / share.shards
        wanted = min(int(rate * _EXPECTED_ANSWER_SECONDS) + 1, _MOST_BEFOREHAND, self._ceiling)
        firsts = {plan.pool for plan in self._plans}
        for pool in self._pools.values():
            await pool.start(wanted if pool in firsts else 0)

    def _tick(self) -> None:
        """Send what is due, and come again when more will be."""
        if self._finished.is_set():
            return
        now = monotonic()
        more = self._send_arrivals(now)
        if self._thinking and self._thinking[0][0] <= now:
            more = self._send_thought(now) or more
        loop = asyncio.get_running_loop()
        if more:
            self._timers["tick"] = loop.call_soon(self._tick)
            return
        following = self._following()
        if following is None:
            if not any(pool.in_flight for pool in self._pools.values()):
                self._finished.set()
                return
            following = now + _EXPIRE_EVERY
        if self._rests and following - now < _EXPIRE_EVERY:
            time.sleep(_REST)
            self._timers["tick"] = loop.call_soon(self._tick)
            return
        self._timers["tick"] = loop.call_later(max(following - monotonic(), _SHORTEST_WAIT), self._tick)

    def _send_arrivals(self, now: float) -> bool:
        """Begin the sessions that are due; return whether more are."""
        dues, kinds, plans_ = self._dues, self._kinds, self._plans
        i = self._next
        if not dues or dues[i] > now:
            return False
        lag = now - dues[i]
        self._lag = max(self._lag, lag)
        self._course.too_late = self._backlog.longest(lag, now)
        i = self._unsent(i, bisect_left(dues, now - self._course.too_late, i))
        until = bisect_right(dues, now, i)
        allowed = i + max(self._ceiling - self._in_flight(), 0)
        end = min(until, i + _MOST_AT_ONCE, allowed)
        late_before = now - self._on_time
        open_until = self._opened() + _MOST_OPENED_AT_ONCE
        while i < end:
            due = dues[i]
            if due >= self._second_ends:
                self._turn_to(due)
            plan = plans_[kinds[i]]
            step = plan.first
            cell = step.cell
            cell.due += 1
            if due < late_before:
                cell.late += 1
            data = plan.constant
            if data is None:
                Session(plan, self._numbers[i], self._course).send(step, cell, due)
            else:
                cell.sent += plan.size
                plan.pool.send(data, step, cell, due, None)
            i += 1
            # Only now and then: it asks all pools.
            if not i & 15 and self._opened() >= open_until:
                break
        if i == allowed:
            i = self._unsent(i, until)
        self._next = i
        if i == len(dues):
            self._refill()
        return bool(self._dues) and self._dues[self._next] <= now

    def _unsent(self, i: int, end: int) -> int:
        """Count arrivals that are not sent, and return the first one behind them."""
        while i < end:
            second = self._course.second(self._dues[i])
            until = max(bisect_left(self._dues, self._zero + second + 1 - 1e-6, i, end), i + 1)
            for kind, count_ in Counter(self._kinds[i:until]).items():
                cell = self._ledger.cell(self._plans[kind].first.number, second)
                cell.due += count_
                cell.unsent += count_
            i = until
        return i

    def _send_thought(self, now: float) -> bool:
        """Let the sessions go on that have thought enough; return whether more have."""
        room = self._ceiling - self._in_flight()
        thinking = self._thinking
        self._lag = max(self._lag, now - thinking[0][0])
        for _ in range(_MOST_AT_ONCE):
            if not thinking or thinking[0][0] > now:
                return False
            moment, _, session = heapq.heappop(thinking)
            session.due(moment, now, room=room > 0)
            room -= 1
        return True

    def _turn_to(self, due: float) -> None:
        """Let the first steps count in the second of this moment."""
        second = self._course.second(due)
        self._second_ends = self._zero + second + 1
        for plan in self._plans:
            plan.first.cell = self._ledger.cell(plan.first.number, second)
        rate = self._arrivals.rates.at(due - self._zero) / self._share.shards
        self._rests = rate * self._steps_a_session >= _HIGH_RATE

    def _refill(self) -> None:
        chunk = next(self._chunks, None)
        self._next = 0
        if chunk is None:
            self._dues, self._kinds, self._numbers = [], [], []
            return
        self._dues = (chunk.offsets + self._zero).tolist()
        self._kinds = self._draws.scenarios(chunk.numbers).tolist()
        self._numbers = chunk.numbers.tolist()

    def _drop_until(self, now: float) -> None:
        """Count as not sent what is due until this moment."""
        while self._dues and self._dues[self._next] <= now:
            self._next = self._unsent(self._next, bisect_right(self._dues, now, self._next))
            if self._next == len(self._dues):
                self._refill()

    def _following(self) -> float | None:
        """Return the next moment at which something is due."""
        moments = [self._dues[self._next]] if self._dues else []
        if self._thinking:
            moments.append(self._thinking[0][0])
        return min(moments, default=None)

    def _later(self, moment: float, session: Session) -> None:
        if moment < self._ends:
            heapq.heappush(self._thinking, (moment, next(self._order), session))

    def _expire(self) -> None:
        now = monotonic()
        for pool in self._pools.values():
            pool.expire(now)
        self._timers["expire"] = asyncio.get_running_loop().call_later(_EXPIRE_EVERY, self._expire)

    def _in_flight(self) -> int:
        return sum(pool.in_flight for pool in self._pools.values())

    def _opened(self) -> int:
        return sum(pool.opened for pool in self._pools.values())

    def _report_new(self) -> None:
        self._timers["report"] = asyncio.get_running_loop().call_later(_REPORT_EVERY, self._report_new)
        self._say(done=False)

    def _say(self, *, done: bool) -> None:
        offset = monotonic() - self._zero
        if not self._ready:
            offset = min(offset, self._share.from_offset)
        elif self._dues:
            offset = min(offset, self._dues[self._next] - self._zero)
        self._reported_to = max(self._reported_to, offset)
        seconds = self._ledger.take(offset)
        if done or self._health.is_due(offset):
            self._add_health(seconds, offset)
        self._report(
            Report(
                shard=self._share.shard,
                offset=self._reported_to,
                seconds=seconds,
                done=done,
                stopped=self._stopped if done else "",
                client=self._client,
            )
        )

    def _add_health(self, seconds: list[Second], offset: float) -> None:
        connections = sum(pool.connections for pool in self._pools.values())
        number, busy_percent = self._health.taken(offset)
        health = Health(
            lag_ms=self._lag * 1000,
            busy_percent=busy_percent,
            in_flight=self._in_flight(),
            connections=connections,
        )
        self._lag = 0.0
        if number >= 0:
            seconds.append(Second(number=number, health=health))

    def _close(self) -> None:
        self._course.stopped = True
        for timer in self._timers.values():
            timer.cancel()
        for pool in self._pools.values():
            pool.stop()


async def _either(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, so long at most."""
    if seconds > 0:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), seconds)


def _ledger(spec: LoadSpec) -> Ledger:
    longest = max(step.timeout.total_seconds() for step in spec.steps)
    return Ledger([step.name for step in spec.steps], longest + _LATE_ANSWERS_SECONDS)


def _steps_a_session(spec: LoadSpec) -> float:
    """Return how many steps a session has on average."""
    weights = sum(scenario.weight for scenario in spec.scenarios)
    return sum(scenario.weight * len(scenario.steps) for scenario in spec.scenarios) / weights


def _client(spec: LoadSpec) -> str:
    """Name what serves the targets, for the reports."""
    general = {target.http2 for target in spec.targets.values()}
    return " + ".join([*["protocol"] * (False in general), *[GENERAL_CLIENT] * (True in general)])


def _pool(name: str, target: Target, on_time: float) -> Pool:
    if not target.http2:
        return ConnectionPool(name, target, on_time)
    # Only here: most tests never need it, and a generator has to be up at once.
    from holdfast.loadgen.general import GeneralPool  # noqa: PLC0415

    return GeneralPool(name, target)
