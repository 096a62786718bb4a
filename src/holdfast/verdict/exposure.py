"""Bad user-minutes: how many a rollout can cause at most, said before it starts, and how many it did cause.

One bad user-minute is one user served for one minute by a canary that does harm. Before the start, by share:

    bad user-minutes ≤ share · users per minute · (settle + verdicts · interval + reaction)

`verdicts` is the longest row that the deciding model wants: bad ones in a row, or silent ones where the canary
says nothing. The first verdict falls at the end of `settle`, so for a change that is bad from its first second
the n-th one comes an interval earlier than the formula says. That interval stays in: a fault may begin just
after a verdict, and a query's window has to fill with it.

What the bound takes for granted: the fault shows in the metrics as soon as it is there, while a share is still
watched; the metrics are there; and where the model only asks a person, that waiting is part of `reaction`.
"""

import math
from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import pairwise

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from holdfast.domain.errors import InvalidInput

_NOTHING = timedelta(0)
_MINUTE = timedelta(minutes=1)
_WHOLE_PERCENT = 100


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Detection(_Frozen):
    """How quickly a bad share is undone, at the latest.

    Attributes:
        settle: after a share is set, before the first verdict.
        interval: from verdict to verdict.
        bad_in_a_row: how many verdicts against the canary the deciding model wants (its hysteresis).
        silent_in_a_row: how many verdicts without data it bears; 0 where silence needs no longer than badness.
        reaction: from the deciding verdict until nobody is served by the canary any more.
    """

    settle: timedelta = Field(default=_NOTHING, ge=_NOTHING)
    interval: timedelta = Field(default=_MINUTE, gt=_NOTHING)
    bad_in_a_row: int = Field(default=1, ge=1)
    silent_in_a_row: int = Field(default=0, ge=0)
    reaction: timedelta = Field(default=_NOTHING, ge=_NOTHING)

    @property
    def verdicts(self) -> int:
        """The longest row of verdicts before a bad share is given up."""
        return max(self.bad_in_a_row, self.silent_in_a_row)

    @property
    def at_the_latest(self) -> timedelta:
        """How long a bad share can stay from the moment that it turns bad."""
        return self.settle + self.verdicts * self.interval + self.reaction

    def describe(self) -> str:
        """Write the sum, e.g. `settle 2 min + 3 verdicts of 1 min + rollback 30 s`."""
        one = "verdict" if self.verdicts == 1 else "verdicts"
        silent = " without data" if self.silent_in_a_row > self.bad_in_a_row else ""
        parts = [f"{self.verdicts} {one} of {_span(self.interval)}{silent}"]
        if self.settle:
            parts.insert(0, f"settle {_span(self.settle)}")
        if self.reaction:
            parts.append(f"rollback {_span(self.reaction)}")
        return " + ".join(parts)


class PlannedStep(_Frozen):
    """What one share can cause: at most `bad_user_minutes`, if the fault begins while it is set."""

    share_percent: int = 0
    at_the_latest: timedelta = _NOTHING
    bad_user_minutes: float = 0.0


class PlannedExposure(_Frozen):
    """What a plan can cause.

    Attributes:
        steps: one a share, in the plan's order; a change that shows at once is stopped in the first.
        worst: the largest of them: a fault that begins late meets the largest share.
        words: the worst one as a sentence.
    """

    steps: tuple[PlannedStep, ...] = ()
    worst: PlannedStep = PlannedStep()
    users_per_minute: float = 0.0
    words: str = ""

    @property
    def briefly(self) -> str:
        """The worst one in few words, for a message."""
        users = f"{self.users_per_minute:,.0f}"
        return (
            f"{_count(_rounded_up(self.worst.bad_user_minutes))} ({self.worst.share_percent} % of {users} "
            f"users/min for {_span(self.worst.at_the_latest)})"
        )


class ExposedMinute(_Frozen):
    """One interval of a watched canary, mostly a minute.

    Attributes:
        users_per_minute: of the whole system, canary and control; None where it is not known.
        bad: the part of the canary's users who saw it bad, 0 to 1; True is all, None is not known.
    """

    start: AwareDatetime
    duration: timedelta = Field(default=_MINUTE, ge=_NOTHING)
    share_percent: int = Field(default=0, ge=0, le=_WHOLE_PERCENT)
    users_per_minute: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    bad: float | None = Field(default=0.0, ge=0, le=1)


class CausedShare(_Frozen):
    """What one share has caused; both numbers in user-minutes."""

    share_percent: int = 0
    on_canary: float = 0.0
    bad: float = 0.0


class CausedExposure(_Frozen):
    """What a canary has caused.

    Attributes:
        on_canary: user-minutes that were served by the canary.
        bad: those of them that saw it bad.
        by_share: the same by share, the smallest share first.
        traffic_unknown_for: how long the canary had a share while nobody counted the users.
        badness_unknown_for: how long it had a share while nobody knew whether it was bad.
        words: all of it as a sentence.
    """

    on_canary: float = 0.0
    bad: float = 0.0
    by_share: tuple[CausedShare, ...] = ()
    traffic_unknown_for: timedelta = _NOTHING
    badness_unknown_for: timedelta = _NOTHING
    words: str = ""

    @property
    def is_lower_bound(self) -> bool:
        """Whether `bad` may really be more, because something was not known."""
        return bool(self.traffic_unknown_for or self.badness_unknown_for)


def planned(shares_percent: Sequence[int], users_per_minute: float, detection: Detection) -> PlannedExposure:
    """Say how many bad user-minutes a plan can cause at most, by share and in the worst case.

    Args:
        shares_percent: the shares that the plan goes through, each 1 to 100.
        users_per_minute: how many users the whole system serves in a minute.
        detection: how quickly a bad share is undone.

    Raises:
        InvalidInput: a plan without shares, a share or a traffic that cannot be.
    """
    if not shares_percent:
        raise InvalidInput("shares_percent: give at least one share")
    for share in shares_percent:
        if not 1 <= share <= _WHOLE_PERCENT:
            raise InvalidInput(f"shares_percent: a share is 1 to 100, not {share}")
    if not (math.isfinite(users_per_minute) and users_per_minute >= 0):
        raise InvalidInput(f"users_per_minute: must be 0 or more, not {users_per_minute}")
    longest = detection.at_the_latest
    steps = tuple(
        PlannedStep(
            share_percent=share,
            at_the_latest=longest,
            bad_user_minutes=_user_minutes(share, users_per_minute, longest),
        )
        for share in shares_percent
    )
    worst = max(steps, key=lambda step: (step.bad_user_minutes, step.share_percent))
    users = f"{users_per_minute:,.2f}".rstrip("0").rstrip(".")
    words = (
        f"at most {_count(_rounded_up(worst.bad_user_minutes))}: {worst.share_percent} % of {users} users/min "
        f"for {_span(longest)} ({detection.describe()})"
    )
    return PlannedExposure(steps=steps, worst=worst, users_per_minute=users_per_minute, words=words)


def caused(minutes: Sequence[ExposedMinute]) -> CausedExposure:
    """Add up what a canary has caused, from one record an interval, in any order.

    Where two records overlap, the earlier one counts up to the start of the later one, so that no user is
    counted twice. What is not known counts as nothing, and the words then say "at least".
    """
    records = _without_overlap(minutes)
    by_share = tuple(_caused_at(share, records) for share in sorted({r.share_percent for r in records}))
    served = [r for r in records if r.share_percent]
    found = CausedExposure(
        on_canary=math.fsum(share.on_canary for share in by_share),
        bad=math.fsum(share.bad for share in by_share),
        by_share=tuple(share for share in by_share if share.share_percent),
        traffic_unknown_for=_total(r for r in served if r.users_per_minute is None),
        badness_unknown_for=_total(r for r in served if r.bad is None),
    )
    return found.model_copy(update={"words": _words(found)})


def summed(met: Iterable[tuple[int, float, float]]) -> CausedExposure:
    """Add up what was counted elsewhere: share in percent, user-minutes on the canary, bad ones of them."""
    shares: dict[int, CausedShare] = {}
    for percent, on_canary, bad in met:
        before = shares.get(percent, CausedShare(share_percent=percent))
        shares[percent] = CausedShare(
            share_percent=percent, on_canary=before.on_canary + on_canary, bad=before.bad + bad
        )
    found = CausedExposure(
        on_canary=math.fsum(share.on_canary for share in shares.values()),
        bad=math.fsum(share.bad for share in shares.values()),
        by_share=tuple(shares[percent] for percent in sorted(shares)),
    )
    return found.model_copy(update={"words": _words(found)})


def _caused_at(share: int, records: Sequence[ExposedMinute]) -> CausedShare:
    counted = [
        (_user_minutes(share, r.users_per_minute, r.duration), r.bad or 0.0)
        for r in records
        if r.share_percent == share and r.users_per_minute is not None
    ]
    return CausedShare(
        share_percent=share,
        on_canary=math.fsum(users for users, _ in counted),
        bad=math.fsum(users * bad for users, bad in counted),
    )


def _without_overlap(minutes: Sequence[ExposedMinute]) -> list[ExposedMinute]:
    ordered = sorted(minutes, key=lambda record: record.start)
    cut = [
        record.model_copy(update={"duration": min(record.duration, following.start - record.start)})
        for record, following in pairwise(ordered)
    ]
    return [*cut, *ordered[-1:]]


def _user_minutes(share_percent: int, users_per_minute: float, duration: timedelta) -> float:
    return share_percent / _WHOLE_PERCENT * users_per_minute * (duration / _MINUTE)


def _total(records: Iterable[ExposedMinute]) -> timedelta:
    return sum((record.duration for record in records), _NOTHING)


# --- words --------------------------------------------------------------------------------------------------


def _words(found: CausedExposure) -> str:
    unknown = [
        f"{what} unknown for {_span(duration)}"
        for what, duration in (("traffic", found.traffic_unknown_for), ("health", found.badness_unknown_for))
        if duration
    ]
    if not found.on_canary:
        return "; ".join(["no user-minute on the canary was counted", *unknown])
    shares = ", ".join(f"{s.share_percent} %: {s.bad:,.0f} of {s.on_canary:,.0f}" for s in found.by_share)
    least, rounded = ("at least ", math.floor) if found.is_lower_bound else ("", round)
    bad, on_canary = _count(rounded(found.bad)), rounded(found.on_canary)
    return "; ".join([f"{least}{bad} of {least}{on_canary:,} on the canary ({shares})", *unknown])


def _count(whole: int) -> str:
    return f"{whole:,} bad user-minute{'' if whole == 1 else 's'}"


def _rounded_up(user_minutes: float) -> int:
    return math.ceil(round(user_minutes, 6))  # 12.000000001 is a rounding error, not a thirteenth


def _span(duration: timedelta) -> str:
    seconds = duration.total_seconds()
    parts = [(int(seconds // 3600), "h"), (int(seconds % 3600 // 60), "min"), (seconds % 60, "s")]
    return " ".join(f"{size:g} {unit}" for size, unit in parts if size) or "0 s"
