"""Says in plain words where a message stands, when it goes, and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pydantic import BaseModel, ConfigDict

from holdfast.outbox.limits import BOT, is_group
from holdfast.outbox.message import ANSWERS, Delivery, Row, RowState
from holdfast.outbox.order import place
from holdfast.outbox.store import LaneState, Lease
from holdfast.runbook.priorities import Priorities, Rate

COUNTED: Final = 1000
"""So many rows ahead are counted; where there are as many there may be more."""
_FAR: Final = timedelta(days=2)


class Explanation(BaseModel):
    """What is to be told of a message.

    Attributes:
        position: in its lane, the first being 1; None where it does not wait.
        is_at_least: whether the position may be larger, since not all rows ahead were counted.
        earliest: it is not expected before; None where it does not wait or nothing is sent at all.
        latest: it is expected by then; None as well where nobody can tell.
        sentences: in the order in which they are to be read.
    """

    model_config = ConfigDict(frozen=True)

    position: int | None = None
    is_at_least: bool = False
    earliest: datetime | None = None
    latest: datetime | None = None
    sentences: list[str]


def explain(
    row: Row,
    *,
    ahead: int,
    lane: LaneState | None,
    priorities: Priorities,
    pauses: Mapping[str, datetime],
    lease: Lease | None,
    now: datetime,
    ahead_in_chat: int = 0,
) -> Explanation:
    """Explain a row.

    The expected time is what the limits and weights give: at the earliest everything ahead goes at the bot's
    full rate, at the latest all other lanes are full as well and this one gets its share only.

    Args:
        row: the message.
        ahead: rows of its lane that are due before it, at most `COUNTED`.
        lane: what waits in its lane.
        priorities: the policy.
        pauses: those that last, by chat.
        lease: of the bot; None before the first.
        now: the present moment.
        ahead_in_chat: of the rows ahead those to the same chat, where they were counted.
    """
    match row.state:
        case RowState.QUEUED:
            return _Waiting(
                row=row,
                ahead=ahead,
                ahead_in_chat=ahead_in_chat,
                queued=max(lane.queued if lane else 0, ahead + 1),
                policy=priorities,
                pauses={chat: until for chat, until in pauses.items() if until > now},
                lease=lease,
                now=now,
            ).explanation()
        case RowState.SENDING:
            return Explanation(sentences=_under_way(row, lease, now))
        case RowState.SENT:
            return Explanation(sentences=_sent(row))
        case RowState.UNCERTAIN:
            return Explanation(sentences=_uncertain(row))
        case RowState.DEAD:
            return Explanation(sentences=_dead(row))


@dataclass(frozen=True)
class _Waiting:
    """A row in line; the attributes are those of `explain`, pauses that are over left out."""

    row: Row
    ahead: int
    ahead_in_chat: int
    queued: int
    policy: Priorities
    pauses: Mapping[str, datetime]
    lease: Lease | None
    now: datetime

    def explanation(self) -> Explanation:
        is_sent = self.lease is not None and self.lease.until > self.now
        earliest = self._earliest()
        latest = None if self._is_capped else self._latest(earliest)
        sentences = [
            self._where(),
            *self._why_there(),
            *self._what_holds_it(),
            _who_sends(self.lease, self.now),
        ]
        if is_sent:
            sentences.append(self._when(earliest, latest))
        if self.row.repeated:
            sentences.append("An earlier copy may have arrived; this one says so.")
        return Explanation(
            position=self.ahead + 1,
            is_at_least=self._is_capped,
            earliest=earliest if is_sent else None,
            latest=latest if is_sent else None,
            sentences=sentences,
        )

    @property
    def _is_capped(self) -> bool:
        return self.ahead >= COUNTED

    @property
    def _chat_rate(self) -> Rate:
        limits = self.policy.limits
        return limits.group if is_group(self.row.chat) else limits.private

    def _share(self) -> float:
        """Return the part of the bot's rate that the lane gets while all others are full."""
        policy = self.policy
        weights = {ANSWERS: policy.answers.weight} | {name: tier.weight for name, tier in policy.tiers.items()}
        first = policy.answers.share_percent / 100
        mine = weights.get(self.row.tier, policy.tiers[policy.default_tier].weight)
        share = (1 - first) * mine / sum(weights.values())
        return share + first if self.row.tier == ANSWERS else share

    def _start(self) -> datetime:
        """Return the moment before which it is not tried at all."""
        held = [self.pauses.get(self.row.chat), self.pauses.get(BOT), self.row.not_before, self.now]
        return max(moment for moment in held if moment is not None)

    def _earliest(self) -> datetime:
        of_bot = self.policy.limits.bot.interval * self.ahead
        of_chat = self._chat_rate.interval * max(0, self.ahead_in_chat + 1 - self._chat_rate.burst)
        return max(self._start(), self.now + max(of_bot, of_chat))

    def _latest(self, earliest: datetime) -> datetime:
        at_share = self.policy.limits.bot.interval / self._share() * (self.ahead + 1)
        of_chat = self._chat_rate.interval * (self.ahead_in_chat + 1)
        return max(earliest, self._start() + max(at_share, of_chat))

    def _where(self) -> str:
        if self._is_capped:
            return f"It waits in the lane '{self.row.tier}', with {COUNTED} or more of {self.queued} before it."
        return f"It is number {self.ahead + 1} of {self.queued} in the lane '{self.row.tier}'."

    def _why_there(self) -> list[str]:
        where = place(self.row.tier, self.row.kind, self.row.value, self.policy)
        parts = [f"its arrival at {_moment(self.row.queued_at)}"]
        if where.tier_offset:
            parts.append(f"plus {_seconds(where.tier_offset)} for the tier '{self.row.tier}'")
        if where.kind_offset:
            parts.append(f"plus {_seconds(where.kind_offset)} for the kind '{self.row.kind}'")
        if where.bonus:
            parts.append(f"minus {_seconds(where.bonus)} for the value {self.row.value:g} of its order")
        told = [f"It is due at {_moment(self.row.due)}: {', '.join(parts)}."]
        if self.row.due != self.row.queued_at + where.due_after:
            told.append("The policy or the message changed after it was put; it keeps the place it was given.")
        share = f"{self._share() * 100:.0f} %"
        if self.row.tier == ANSWERS:
            first = self.policy.answers.share_percent
            told.append(
                f"Answers go before everything else up to {first} % of the rate, and get {share} at least."
            )
        else:
            told.append(
                f"While all lanes are full, this one gets {share} of the rate; while they are not, more."
            )
        return told

    def _what_holds_it(self) -> list[str]:
        held: list[str] = []
        if until := self.pauses.get(BOT):
            held.append(f"The chat asked the whole bot to wait until {_moment(until)}.")
        if until := self.pauses.get(self.row.chat):
            held.append(f"The chat {self.row.chat} asked to wait until {_moment(until)}.")
        if self.row.not_before and self.row.not_before > self.now:
            held.append(f"It is not tried again before {_moment(self.row.not_before)}.")
        if self.ahead_in_chat:
            rate = self._chat_rate
            held.append(
                f"{self.ahead_in_chat} of those before it go to the same chat, "
                f"which takes {rate.count:g} in {_seconds(rate.per)}."
            )
        if self.row.why:
            held.append(f"After try {self.row.attempts}: {self.row.why}.")
        return held

    def _when(self, earliest: datetime, latest: datetime | None) -> str:
        rate = f"{timedelta(seconds=1) / self.policy.limits.bot.interval:g} messages a second"
        if latest is None:
            return f"It goes at {_moment(earliest)} at the earliest, at {rate} with nothing in the other lanes."
        if latest - self.now <= timedelta(seconds=1):
            return "It goes within a second."
        return (
            f"It goes between {_moment(earliest)} (the bot sends {rate}, this lane alone) and "
            f"{_moment(latest)} (all lanes full)."
        )


def _who_sends(lease: Lease | None, now: datetime) -> str:
    if lease is None:
        return "Nobody sends: no sender has ever run for this bot; start 'holdfast bot'."
    if lease.until <= now:
        return (
            f"Nobody sends since {_moment(lease.until)}: the last sender was {lease.holder}; "
            "start 'holdfast bot'. Nothing is lost."
        )
    return f"The sender is {lease.holder}."


def _under_way(row: Row, lease: Lease | None, now: datetime) -> list[str]:
    told = [f"It is being tried, for time {row.attempts}.", _who_sends(lease, now)]
    if lease is None or lease.until <= now:
        after = (
            "is sent again and says that an earlier copy may have arrived"
            if row.delivery is Delivery.AT_LEAST_ONCE
            else "is shown as uncertain, for people to decide"
        )
        told.append(f"Its try was cut short; with the next sender it {after}.")
    return told


def _sent(row: Row) -> list[str]:
    when = f" at {_moment(row.sent_at)}" if row.sent_at else ""
    told = [
        f"It was sent{when} to the chat {row.chat}"
        + (f" as message {row.message_id}." if row.message_id else ".")
    ]
    if row.sent_at:
        told.append(f"It had waited {_seconds(row.sent_at - row.queued_at)}, and took tries: {row.attempts}.")
    if row.repeated:
        told.append("An earlier copy may have arrived as well; this one says so.")
    return told


def _uncertain(row: Row) -> list[str]:
    why = row.why or "the sender ended in the middle of the try"
    return [
        f"It was tried and may or may not have arrived: {why}.",
        f"Look into the chat. Where it is missing, 'holdfast outbox retry {row.id}' sends it again.",
        f"Where it is there, or is not needed, 'holdfast outbox drop {row.id}' closes it.",
    ]


def _dead(row: Row) -> list[str]:
    code = f" ({row.code})" if row.code else ""
    return [
        f"It will not be sent{code}: {row.why or 'no reason was written down'}.",
        f"When the cause is gone, put it in line again with 'holdfast outbox retry {row.id}'.",
    ]


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S %Z")


def _seconds(span: timedelta) -> str:
    seconds = span.total_seconds()
    if abs(span) >= _FAR:
        return f"{span.days} days"
    return f"{seconds:.0f} s" if abs(seconds) >= 100 else f"{seconds:.3g} s"  # noqa: PLR2004  three digits do
