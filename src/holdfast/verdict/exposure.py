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

from pydantic import BaseModel, ConfigDict, Field

from holdfast.domain.errors import InvalidInput
from holdfast.domain.view import ExposedShare
from holdfast.verdict.words import span_words

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
        parts = [f"{self.verdicts} {one} of {span_words(self.interval)}{silent}"]
        if self.settle:
            parts.insert(0, f"settle {span_words(self.settle)}")
        if self.reaction:
            parts.append(f"rollback {span_words(self.reaction)}")
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
            f"users/min for {span_words(self.worst.at_the_latest)})"
        )


class CausedExposure(_Frozen):
    """What a canary has caused.

    Attributes:
        on_canary: user-minutes that were served by the canary.
        bad: those of them that saw it bad.
        by_share: the same by share, the smallest share first.
        words: all of it as a sentence.
    """

    on_canary: float = 0.0
    bad: float = 0.0
    by_share: tuple[ExposedShare, ...] = ()
    words: str = ""


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
        f"for {span_words(longest)} ({detection.describe()})"
    )
    return PlannedExposure(steps=steps, worst=worst, users_per_minute=users_per_minute, words=words)


def summed(met: Iterable[tuple[int, float, float]]) -> CausedExposure:
    """Add up what was counted elsewhere: share in percent, user-minutes on the canary, bad ones of them."""
    shares: dict[int, ExposedShare] = {}
    for percent, on_canary, bad in met:
        before = shares.get(percent, ExposedShare(share_percent=percent))
        shares[percent] = ExposedShare(
            share_percent=percent, on_canary=before.on_canary + on_canary, bad=before.bad + bad
        )
    found = CausedExposure(
        on_canary=math.fsum(share.on_canary for share in shares.values()),
        bad=math.fsum(share.bad for share in shares.values()),
        by_share=tuple(shares[percent] for percent in sorted(shares)),
    )
    return found.model_copy(update={"words": _words(found)})


def _user_minutes(share_percent: int, users_per_minute: float, duration: timedelta) -> float:
    return share_percent / _WHOLE_PERCENT * users_per_minute * (duration / _MINUTE)


# --- words --------------------------------------------------------------------------------------------------


def _words(found: CausedExposure) -> str:
    if not found.on_canary:
        return "no user-minute on the canary was counted"
    shares = ", ".join(f"{s.share_percent} %: {s.bad:,.0f} of {s.on_canary:,.0f}" for s in found.by_share)
    return f"{_count(round(found.bad))} of {round(found.on_canary):,} on the canary ({shares})"


def _count(whole: int) -> str:
    return f"{whole:,} bad user-minute{'' if whole == 1 else 's'}"


def _rounded_up(user_minutes: float) -> int:
    return math.ceil(round(user_minutes, 6))  # 12.000000001 is a rounding error, not a thirteenth
