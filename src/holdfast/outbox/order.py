"""Which message goes first: weighted fair queueing between the lanes, the deadline key inside a lane."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from holdfast.domain.errors import UnknownName
from holdfast.outbox.gcra import Gcra
from holdfast.outbox.message import ANSWERS, Message, Ranked
from holdfast.outbox.store import Head
from holdfast.runbook.priorities import Kind, Priorities

_UNIT: Final = 1_000_000_000
_NOTHING: Final = timedelta(0)
# By weights alone the last tier waits ever longer in a long flood. With these its slowest messages stay below
# 70 s at 132 % of the rate (docs/outbox.md, Measured).
_PATIENCE: Final = timedelta(seconds=50)
_GROWTH: Final = timedelta(seconds=5)
_MOST_TIMES: Final = 3.0


@dataclass(frozen=True)
class Place:
    """Why a message is due when it is.

    Attributes:
        tier: its lane.
        tier_offset: of its tier, later than its arrival.
        kind_offset: of its kind, later still.
        bonus: for the value of its order, earlier.
    """

    tier: str
    tier_offset: timedelta
    kind_offset: timedelta
    bonus: timedelta

    @property
    def due_after(self) -> timedelta:
        """How long after its arrival it is due; negative where the bonus is larger than the offsets."""
        return self.tier_offset + self.kind_offset - self.bonus


def lane_of(tier: str, kind: Kind, priorities: Priorities) -> str:
    """Return the lane of a message that names a tier, or none.

    What a kind makes an answer stays one; nothing else gets into the answers' lane.
    """
    if kind.tier == ANSWERS:
        return ANSWERS
    if not tier:
        return kind.tier
    return tier if tier in priorities.tiers else priorities.default_tier


def place(lane: str, kind: str, value: float, priorities: Priorities) -> Place:
    """Return where the policy puts a message of a lane, kind and value; what it does not name adds nothing."""
    tier = priorities.tiers.get(lane)
    known = priorities.kinds.get(kind)
    # Bounded, so that a large order overtakes only what arrived a few seconds before it.
    full = min(1.0, value / priorities.value.full_at)
    return Place(
        tier=lane,
        tier_offset=tier.offset if tier else _NOTHING,
        kind_offset=known.offset if known else _NOTHING,
        bonus=priorities.value.at_most * full,
    )


def ranked(message: Message, priorities: Priorities, now: datetime) -> Ranked:
    """Give a message its place: due at `now` + offset of the tier + offset of the kind − bonus for its value.

    A tier that the policy does not name is the default tier.

    Raises:
        UnknownName: (an `InvalidInput`) the policy has no such kind; the text names those it has.
    """
    kind = priorities.kinds.get(message.kind)
    if kind is None:
        raise UnknownName("kind of message", message.kind, priorities.kinds)
    where = place(lane_of(message.tier, kind, priorities), message.kind, message.value, priorities)
    return Ranked(
        message=message,
        tier=where.tier,
        queued_at=now,
        due=now + where.due_after,
        delivery=kind.delivery,
    )


class FairQueue:
    """Shares turns between lanes by their weights (start-time fair queueing, Goyal et al. 1996).

    A lane that has nothing to serve is not asked, and saves up nothing for later.

    Args:
        weights: by lane, the more important first: it goes first where two are even.
        other: weight of a lane that is not named.
    """

    def __init__(self, weights: Mapping[str, int], *, other: int = 1) -> None:
        self._weights = weights
        self._other = other
        self._places = {lane: place for place, lane in enumerate(weights)}
        self._virtual = 0
        self._finish: dict[str, int] = {}

    def first(self, lanes: Iterable[str]) -> str | None:
        """Return whose turn it is; None where no lane is given."""
        return min(
            lanes, key=lambda lane: (self._start(lane), self._places.get(lane, len(self._places))), default=None
        )

    def served(self, lane: str, *, times: float = 1.0) -> None:
        """Count a turn that a lane had, with so many times its weight."""
        start = self._start(lane)
        self._virtual = start
        self._finish[lane] = start + int(_UNIT / (self._weights.get(lane, self._other) * times))

    def _start(self, lane: str) -> int:
        return max(self._virtual, self._finish.get(lane, 0))


@dataclass(frozen=True)
class Room:
    """How many may be sent now.

    Attributes:
        answers: the most, all lanes together.
        everybody: so many of them may be something else than an answer within its share.
    """

    answers: int
    everybody: int


class Order:
    """Chooses among the heads of the lanes.

    Args:
        priorities: the policy.
    """

    def __init__(self, priorities: Priorities) -> None:
        weights = {ANSWERS: priorities.answers.weight}
        weights |= {name: tier.weight for name, tier in priorities.tiers.items()}
        # Rows of a tier that the file has lost still wait; they count as those of the default tier.
        self._fair = FairQueue(weights, other=priorities.tiers[priorities.default_tier].weight)
        self._patience = {
            # The first tier needs no help against the others.
            name: max(_PATIENCE, tier.offset + _GROWTH) - tier.offset
            for name, tier in list(priorities.tiers.items())[1:]
        }
        self._answers = Gcra.of(priorities.limits.bot, percent=priorities.answers.share_percent)

    def choose(
        self,
        heads: Iterable[Head],
        room: Room,
        now: int,
        *,
        moment: datetime,
        servable: Callable[[Head], bool],
    ) -> list[Head]:
        """Return the heads that go now, in their order; at most one of each chat.

        Args:
            heads: those of one lane in the order of their deadline keys.
            room: how many.
            now: nanoseconds of the monotonic clock.
            moment: the same moment as the rows have it.
            servable: whether a head's chat may be written to.
        """
        lanes = _by_lane(heads, servable)
        chosen: list[Head] = []
        chats: set[str] = set()
        while len(chosen) < room.answers:
            _leave_out(lanes, chats)
            lane = self._next(lanes, now, moment, everybody=len(chosen) < room.everybody)
            if lane is None:
                break
            head = lanes[lane].popleft()
            chats.add(head.chat)
            chosen.append(head)
        return chosen

    def _next(
        self, lanes: Mapping[str, deque[Head]], now: int, moment: datetime, *, everybody: bool
    ) -> str | None:
        """Return the lane whose turn it is, having counted it."""
        if ANSWERS in lanes and not self._answers.delay(now):
            self._answers.take(now)
            return ANSWERS
        # Beyond their share answers leave the reserve alone, or a flood of them would starve all others.
        lane = self._fair.first(lanes) if everybody else None
        if lane is not None:
            self._fair.served(lane, times=self._times(lanes[lane][0], moment))
        return lane

    def _times(self, head: Head, moment: datetime) -> float:
        """Return by what a lane's weight is multiplied, for how long its first message has waited.

        Weights alone let the last tier wait ever longer while those before it hardly wait at all.
        """
        patience = self._patience.get(head.tier)
        if patience is None:
            return 1.0
        too_long = (moment - head.due - patience) / _GROWTH
        return min(_MOST_TIMES, max(1.0, 1.0 + too_long))


def _by_lane(heads: Iterable[Head], servable: Callable[[Head], bool]) -> dict[str, deque[Head]]:
    lanes: dict[str, deque[Head]] = {}
    for head in heads:
        if servable(head):
            lanes.setdefault(head.tier, deque()).append(head)
    return lanes


def _leave_out(lanes: dict[str, deque[Head]], chats: set[str]) -> None:
    """Take away the first heads that are of these chats, and the lanes that are empty then."""
    for lane in list(lanes):
        waiting = lanes[lane]
        while waiting and waiting[0].chat in chats:
            waiting.popleft()
        if not waiting:
            del lanes[lane]
