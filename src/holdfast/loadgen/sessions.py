"""Sessions walk the steps of their scenario by callbacks: no task and no coroutine for a session or a request.

A session ends with its last step, and with the first request that fails: a customer without a ticket does not
ask for its state.
"""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from holdfast.loadgen.answers import Rules
from holdfast.loadgen.draws import Draws
from holdfast.loadgen.ledger import Cell, Ledger
from holdfast.loadgen.templates import Template
from holdfast.runbook.kinds.load_scenario import Scenario, Step, Think

_TOO_LATE_SECONDS = 1.0
# A whole offset came through a sum and a difference; the microsecond makes up for their rounding.
_ROUNDING = 1e-6
GENERAL_CLIENT = "httpx (HTTP/2)"
_PER_REQUEST = frozenset({"now", "update_id", "message_id"})
_FIRST_CHAT_ID = 7_100_000_000


class Pool(Protocol):
    """What sends the requests to one target.

    Attributes:
        opened: connections that it has opened so far.
    """

    opened: int

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        ...

    @property
    def connections(self) -> int:
        """Open connections."""
        ...

    async def start(self, connections: int) -> None:
        """Get ready, with so many connections if that is possible.

        Raises:
            Unavailable: the target's host has no address.
            InvalidInput: the target cannot be spoken to as it is described.
        """
        ...

    def send(self, data: bytes, step: "StepPlan", cell: Cell, due: float, session: "Session | None") -> None:
        """Send a request at once; its outcome is settled when it comes.

        Args:
            data: the whole request.
            step: to which it belongs.
            cell: where it counts.
            due: its moment, on the monotonic clock.
            session: that goes on with the answer, if one does.
        """
        ...

    def expire(self, now: float) -> None:
        """Give up the requests whose time is over."""
        ...

    def stop(self) -> None:
        """Close everything at once; requests under way count as not sent."""
        ...

    async def closed(self) -> None:
        """Wait, for a moment at most, until what `stop` closed is gone."""
        ...


class Course:
    """What all sessions of a generator share.

    Args:
        draws: what is drawn for them.
        ledger: where they count.
        zero: the agreed start on the monotonic clock.
        ends: nothing begins from this moment on, on the monotonic clock.
        on_time: seconds that a request may be late.
        first_id: where the numbers of updates begin.
        steps: how many steps all scenarios have.
        later: called with a moment and a session that thinks until then.

    Attributes:
        too_late: a request that is later than this, in seconds, is not sent at all: catching up would be a
            burst that nobody ordered.
        stopped: nothing begins any more.
    """

    def __init__(
        self,
        *,
        draws: Draws,
        ledger: Ledger,
        zero: float,
        ends: float,
        on_time: float,
        first_id: int,
        steps: int,
        later: Callable[[float, "Session"], None],
    ) -> None:
        self.draws = draws
        self.ledger = ledger
        self.zero = zero
        self.ends = ends
        self.on_time = on_time
        self.too_late = max(_TOO_LATE_SECONDS, on_time)
        self.stopped = False
        self.later = later
        self._first_id = first_id
        self._steps = steps

    def second(self, moment: float) -> int:
        """Return the test's second in which a moment of the monotonic clock lies."""
        return int(moment - self.zero + _ROUNDING)

    def turn(self, step: "StepPlan", moment: float) -> None:
        """Let a later step count in the second of this moment."""
        second = self.second(moment)
        step.cell = self.ledger.cell(step.number, second)
        step.begins = self.zero + second - _ROUNDING
        step.ends = step.begins + 1

    def request_values(self, step: "StepPlan", number: int) -> dict[str, Any]:
        """Return the built-in variables that each request has anew."""
        message = number * self._steps + step.number + 1
        return {
            "now": int(time.time()),
            "update_id": self._first_id + message,
            "message_id": message,
        }


class StepPlan:
    """One step, compiled.

    Attributes:
        number: among all steps of the test.
        heads: heads of answers that were parsed, see `wire`.
        usual: a whole answer that is good, whoever gets it; see `wire`.
        bodiless: its answer has no body, whatever its head says.
        cell: where its requests count that are due from `begins` until before `ends`; the arrivals move that of
            a first step by themselves.
    """

    __slots__ = (
        "begins", "bodiless", "cell", "ends", "fresh", "heads", "name", "number", "pool", "rules", "template",
        "think", "timeout", "usual",
    )  # fmt: skip

    def __init__(self, step: Step, number: int, template: Template, pool: Pool, own: frozenset[str]) -> None:
        self.name = step.name
        self.number = number
        self.template = template
        self.pool = pool
        self.rules = Rules(step.check, step.extract)
        self.timeout = step.timeout.total_seconds()
        self.bodiless = step.http is not None and step.http.method == "HEAD"
        self.think = _think(step.think)
        self.heads: dict[bytes, tuple[int, int, bool]] = {}
        self.usual = b""
        self.cell = Cell()
        self.begins = self.ends = -math.inf
        # A variable of the scenario goes before a built-in one of the same name.
        self.fresh = tuple((template.names & _PER_REQUEST) - own)


class ScenarioPlan:
    """One scenario, compiled.

    Attributes:
        first: its first step.
        needs: the variables that its requests have in them.
        constant: the whole request, where a session is nothing but one request without variables.
    """

    __slots__ = ("constant", "first", "index", "needs", "pool", "size", "steps")

    def __init__(self, index: int, steps: tuple[StepPlan, ...]) -> None:
        self.index = index
        self.steps = steps
        self.first = steps[0]
        self.pool = self.first.pool
        self.constant = self.first.template.constant if len(steps) == 1 else None
        self.needs = frozenset(name for step in steps for name in step.template.names)
        self.size = len(self.constant or b"")


class Session:
    """One customer on the way through a scenario.

    Attributes:
        plan: the scenario.
        index: of the step that is due next or under way.
    """

    __slots__ = ("_course", "_number", "_values", "index", "plan")

    def __init__(self, plan: ScenarioPlan, number: int, course: Course) -> None:
        self.plan = plan
        self.index = 0
        self._course = course
        self._number = number
        self._values: dict[str, Any] = {"session": number, "chat_id": _FIRST_CHAT_ID + number}
        if plan.needs:
            self._values.update(course.draws.variables(plan.index, number, plan.needs))

    def due(self, moment: float, now: float, *, room: bool = True) -> None:
        """Make the request whose moment has come, or say that it is not sent.

        Args:
            moment: on the monotonic clock.
            now: likewise.
            room: whether another request may be under way.
        """
        course = self._course
        if course.stopped or moment >= course.ends:
            return
        step = self.plan.steps[self.index]
        if not step.begins <= moment < step.ends:
            course.turn(step, moment)
        cell = step.cell
        cell.due += 1
        behind = now - moment
        if behind > course.too_late or not room:
            cell.unsent += 1
            return
        if behind > course.on_time:
            cell.late += 1
        self.send(step, cell, moment)

    def send(self, step: StepPlan, cell: Cell, moment: float) -> None:
        """Send a request that is counted already."""
        data = step.template.constant
        if data is None:
            values = self._values
            if step.fresh:
                fresh = self._course.request_values(step, self._number)
                for name in step.fresh:
                    values[name] = fresh[name]
            data = step.template.filled(values)
        cell.sent += len(data)
        step.pool.send(data, step, cell, moment, self)

    def go_on(self, values: Mapping[str, Any], now: float) -> None:
        """Take the values of a good answer, and think about the next step if there is one."""
        steps = self.plan.steps
        index = self.index
        think = steps[index].think
        index += 1
        if index == len(steps):
            return
        self.index = index
        if values:
            self._values.update(values)
        if think is None:
            self.due(now, now)
        else:
            wait = self._course.draws.think(steps[index].number, self._number, *think)
            self._course.later(now + wait, self)


def settle(
    step: StepPlan,
    cell: Cell,
    due: float,
    session: Session | None,
    *,
    status: int,
    body: bytes,
    headers: Mapping[str, str],
    now: float,
) -> None:
    """Count an answer where its request was due, and let its session go on."""
    seconds = now - due
    error, values = step.rules.judged(status, body, headers, seconds)
    if error:
        cell.bad.append(seconds)
        cell.failed(error)
        return
    cell.good.append(seconds)
    if session is not None:
        session.go_on(values, now)


def plans(
    scenarios: tuple[Scenario, ...], compiled: Callable[[Step], Template], pools: Mapping[str, Pool]
) -> tuple[ScenarioPlan, ...]:
    """Compile the scenarios of a test.

    Args:
        scenarios: of the test.
        compiled: makes the request of a step.
        pools: by the target's name.
    """
    made: list[ScenarioPlan] = []
    number = 0
    for index, scenario in enumerate(scenarios):
        own = frozenset(scenario.variables)
        steps: list[StepPlan] = []
        for step in scenario.steps:
            steps.append(StepPlan(step, number, compiled(step), pools[step.target], own))
            own |= step.extract.keys()
            number += 1
        made.append(ScenarioPlan(index, tuple(steps)))
    return tuple(made)


def _think(think: Any) -> tuple[float, float] | None:
    if think is None:
        return None
    if isinstance(think, Think):
        return think.low.total_seconds(), think.high.total_seconds()
    seconds = think.total_seconds()
    return seconds, seconds
