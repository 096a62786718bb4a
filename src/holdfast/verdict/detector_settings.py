"""What a runbook file says about detectors: how one metric's minutes become "breached or not".

One value is one minute. Every detector compares a number with a reference, and what it may deviate from it.
"""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from holdfast.domain.strict import Duration, Strict

Direction = Literal["rising", "falling", "either"]

MINUTE = timedelta(minutes=1)
_LONGEST = timedelta(days=28)


def _whole_minutes(duration: timedelta) -> timedelta:
    if duration % MINUTE:
        raise ValueError("detectors see one value a minute: give whole minutes, e.g. 90m")
    if duration > _LONGEST:
        raise ValueError("at most 28d")
    return duration


Minutes = Annotated[Duration, AfterValidator(_whole_minutes)]
Factor = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Hysteresis(Strict):
    """When single bad minutes become a breach, and when a breach is over.

    Attributes:
        bad: so many bad minutes
        of: among so many latest minutes with data begin a breach.
        clear_after: so many good minutes with data in a row end it; as many as `of` where not given.
    """

    bad: int = Field(default=2, ge=1)
    of: int = Field(default=3, ge=1, le=10)
    clear_after: int | None = Field(default=None, ge=1, le=1440)

    @model_validator(mode="after")
    def _can_happen(self) -> Self:
        if self.bad > self.of:
            raise ValueError(
                f"{self.bad} bad minutes of the last {self.of} can never be: bad must not be above of"
            )
        if self.clear_minutes < self.of:
            raise ValueError(
                f"clear_after must be at least of ({self.of}): else minutes before the end would count again"
            )
        return self

    @property
    def clear_minutes(self) -> int:
        """How many good minutes in a row end a breach."""
        return self.of if self.clear_after is None else self.clear_after


class _Held(Strict):
    hysteresis: Hysteresis = Hysteresis()


class _Deviating(_Held):
    """A detector that allows k standard deviations, or a floor where that is more.

    Attributes:
        k: how many standard deviations are allowed.
        at_least_percent: percent of the reference's size that are allowed in any case.
        points: deviation in the metric's own unit that is allowed in any case.
    """

    k: Factor = 3.0
    at_least_percent: Amount = 0.0
    points: Amount = 0.0


class _Relearning(_Deviating):
    """A detector that learns on, but not from a breach.

    Attributes:
        relearn_after: a breach that lasts this long is the normal from then on.
        minimum_points: with fewer learned points nothing is called bad.
    """

    relearn_after: Minutes = timedelta(hours=6)
    # From so many points on false alarms are rare: by the formula 0.086 a day for 3 sigmas, against 1.1 with 10
    # points and 5.2 with 5 (docs/detectors.md).
    minimum_points: int = Field(default=30, ge=2)


class Fixed(_Held):
    """A limit in the metric's own unit.

    Attributes:
        limit: the highest good value; where falling is bad, the lowest.
        low: the lowest good value where both directions are bad.
    """

    kind: Literal["fixed"] = "fixed"
    limit: float = Field(allow_inf_nan=False)
    low: float | None = Field(default=None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low is not None and self.low >= self.limit:
            raise ValueError(f"low ({self.low:g}) must be below limit ({self.limit:g}): no value would be good")
        return self


class Sigmas(_Deviating):
    """So many standard deviations from the mean of a past baseline that stays as it is."""

    kind: Literal["sigmas"] = "sigmas"
    minimum_points: int = Field(default=5, ge=2)


class ZScore(_Relearning):
    """So many standard deviations from the mean of the minutes just before.

    Attributes:
        window: how many minutes with data that are.
    """

    kind: Literal["zscore"] = "zscore"
    window: Minutes = timedelta(hours=1)

    @model_validator(mode="after")
    def _learns_enough(self) -> Self:
        _holds_enough(self.window, self.minimum_points, "window")
        return self


class _Chart(_Relearning):
    """A control chart: a smoothed value against the mean of a trailing reference window.

    Attributes:
        reference: how many minutes with data the mean and the standard deviation are taken from.
    """

    reference: Minutes = timedelta(hours=2)

    @model_validator(mode="after")
    def _learns_enough(self) -> Self:
        _holds_enough(self.reference, self.minimum_points, "reference")
        return self


class Ewma(_Chart):
    """The chart of an exponentially weighted moving average.

    Attributes:
        weight: the weight of the latest minute (the chart's lambda).
    """

    kind: Literal["ewma"] = "ewma"
    weight: float = Field(default=0.2, gt=0, le=1)


class MovingAverage(_Chart):
    """The chart of a plain moving average.

    Attributes:
        window: how many minutes with data are averaged.
    """

    kind: Literal["moving_average"] = "moving_average"
    window: Minutes = timedelta(minutes=10)

    @model_validator(mode="after")
    def _is_shorter_than_its_reference(self) -> Self:
        if self.window >= self.reference:
            raise ValueError("window must be shorter than reference: it would be compared with itself")
        return self


class Seasonal(_Relearning):
    """So many robust standard deviations from the median of the same hour of the week.

    Attributes:
        weeks: how many weeks the profile remembers.
        minimum_points: with fewer points of an hour of the week, mean and standard deviation of all hours of
            the last week stand in; on the first day nothing is called bad.
    """

    kind: Literal["seasonal"] = "seasonal"
    weeks: int = Field(default=4, ge=1, le=26)
    relearn_after: Minutes = timedelta(days=2)

    @model_validator(mode="after")
    def _learns_enough(self) -> Self:
        _holds_enough(self.weeks * timedelta(hours=1), self.minimum_points, "weeks (60 points each an hour)")
        return self


Detector = Annotated[
    Fixed | Sigmas | ZScore | Ewma | MovingAverage | Seasonal,
    Field(discriminator="kind"),
]


def minutes(duration: timedelta) -> int:
    """Return how many minutes, and so how many values, a duration is."""
    return duration // MINUTE


def check_direction(detector: Detector, bad_when: Direction) -> None:
    """Refuse a detector that cannot judge a metric with this direction.

    Raises:
        ValueError: a fixed limit lacks, or has too much of, what the direction needs.
    """
    if not isinstance(detector, Fixed):
        return
    if bad_when == "either" and detector.low is None:
        raise ValueError("a fixed limit needs low as well where either direction is bad")
    if bad_when != "either" and detector.low is not None:
        raise ValueError(
            f"low is only for metrics where either direction is bad: this one is bad when {bad_when}"
        )


def _holds_enough(held: timedelta, minimum_points: int, name: str) -> None:
    if minutes(held) < minimum_points:
        raise ValueError(
            f"{name} holds {minutes(held)} points at most: fewer than minimum_points ({minimum_points})"
        )
