"""How often breaches begin where minutes are bad by chance: the Markov chain of the last minutes, solved."""

import math

from holdfast.verdict.detector_settings import Hysteresis

_BREACH, _ALL_GOOD, _JUST_BAD = -1, 0, 1  # states of an excursion, the others are windows as bits


def episodes_per_minute(hysteresis: Hysteresis, after_good: float, after_bad: float | None = None) -> float:
    """Return how often a breach begins, in the long run, for minutes that are bad by chance.

    Args:
        hysteresis: how many bad of how many begin a breach, and how many good end it.
        after_good: probability that a minute is bad after a good one.
        after_bad: likewise after a bad one; the same where not given (independent minutes).
    """
    after_bad = after_good if after_bad is None else after_bad
    if after_good <= 0 or after_bad >= 1:
        return 0.0
    return 1 / (
        _minutes_until_breach(hysteresis, after_good, after_bad)
        + _minutes_until_clear(hysteresis.clear_minutes, after_good, after_bad)
    )


def _minutes_until_breach(hysteresis: Hysteresis, after_good: float, after_bad: float) -> float:
    """From a window of good minutes: each bad one opens an excursion that ends in a breach or back there."""
    if hysteresis.bad == 1:
        return 1 / after_good
    breach, lasts = _excursion(hysteresis, after_good, after_bad)
    return math.inf if breach == 0 else (1 / after_good + lasts) / breach


def _excursion(hysteresis: Hysteresis, after_good: float, after_bad: float) -> tuple[float, float]:
    """Return the probability that an excursion ends in a breach, and its mean length.

    A state is the window of the last `of` - 1 minutes as bits, 1 is bad, the newest last. States are eliminated
    one by one as Grassmann, Taksar and Heyman do: without a subtraction, so exact for tiny probabilities too.
    """
    steps = _windows(hysteresis, after_good, after_bad)
    into: dict[int, set[int]] = {}
    for state, step in steps.items():
        for to in step:
            into.setdefault(to, set()).add(state)
    lasts = dict.fromkeys(steps, 1.0)
    for state in sorted(steps, reverse=True)[:-1]:
        leaving = {to: chance for to, chance in steps.pop(state).items() if to != state}
        total = math.fsum(leaving.values())
        for before in into[state] & steps.keys():
            share = steps[before].pop(state) / total
            lasts[before] += share * lasts[state]
            for to, chance in leaving.items():
                steps[before][to] = steps[before].get(to, 0.0) + share * chance
                into[to].add(before)
    to_breach = steps[_JUST_BAD].get(_BREACH, 0.0)
    ends = to_breach + steps[_JUST_BAD].get(_ALL_GOOD, 0.0)
    return to_breach / ends, lasts[_JUST_BAD] / ends


def _windows(hysteresis: Hysteresis, after_good: float, after_bad: float) -> dict[int, dict[int, float]]:
    """Return where each window of an excursion leads, and with what probability."""
    kept = (1 << (hysteresis.of - 1)) - 1
    steps: dict[int, dict[int, float]] = {}
    waiting = [_JUST_BAD]
    while waiting:
        window = waiting.pop()
        if window in steps or window in {_ALL_GOOD, _BREACH}:
            continue
        bad = after_bad if window & 1 else after_good
        breaks = window.bit_count() + 1 >= hysteresis.bad
        steps[window] = {_BREACH if breaks else (window << 1 | 1) & kept: bad, window << 1 & kept: 1 - bad}
        waiting.extend(steps[window])
    return steps


def _minutes_until_clear(clear: int, after_good: float, after_bad: float) -> float:
    """From the bad minute that began the breach: the mean time to `clear` good minutes in a row."""
    # A try begins with a first good minute and succeeds with clear - 1 more; a failure ends with a bad one.
    succeeds: float = (1 - after_good) ** (clear - 1)
    if succeeds == 0:
        return math.inf
    to_first_good = 1 / (1 - after_bad)
    in_a_try = -math.expm1((clear - 1) * math.log1p(-after_good)) / after_good
    return (to_first_good + in_a_try) / succeeds
