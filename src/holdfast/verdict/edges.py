"""What call edges hold against a canary: its own errors, its silence, successes and calls that are missing.

Errors that the control shares, or that a dependency causes which the control sees failing too, are not the
canary's. Nor is what it meets at a dependency that is itself being rolled out at the same time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from holdfast.verdict.grading import UNKNOWN, Levels, held, runs
from holdfast.verdict.minutes import Edge, Flags, Floats, Minutes
from holdfast.verdict.observation import Baseline, EdgeBaseline, EdgeFinding, Level, Outcome
from holdfast.verdict.settings import Attribution, Scoring
from holdfast.verdict.words import number

# Percentages are compared as the decimals that people read, not as binary fractions.
_DECIMALS = 9
# A Poisson count is this many of its standard deviations below its mean once in thirty thousand times.
_BEYOND_CHANCE = 4.0


@dataclass(frozen=True)
class Charge:
    """One thing held against the canary on one edge, minute by minute.

    Attributes:
        level: 0 for nothing, 1 to pause, 2 to roll back; after hysteresis.
        now: whether this minute alone is bad.
        figure: the number that the words name beside those of the edge.
    """

    edge: Edge
    kind: str
    level: Levels
    now: Flags
    figure: Floats


def charges(scoring: Scoring, baseline: Baseline, minutes: Minutes) -> list[Charge]:
    """Return all that the edges hold against the canary."""
    found = [charge for edge in minutes.edges for charge in _of_edge(edge, scoring, baseline, minutes)]
    inbound = [edge for edge in minutes.edges if edge.inbound]
    if inbound:
        found.append(_silence(inbound, scoring.attribution, minutes))
    return found


def measured(scoring: Scoring, minutes: Minutes) -> Flags:
    """Say in which minutes edges can speak: calls to either side were seen lately.

    Lately is as long as silence takes to count: a canary may fall silent, the whole measurement may not.
    """
    seen = np.zeros(len(minutes), dtype=bool)
    for edge in minutes.edges:
        if edge.inbound:
            seen |= edge.canary_seen | edge.control_seen
    unseen = runs(~seen)
    lately: Flags = (unseen < scoring.attribution.silent_minutes) & (unseen <= np.arange(len(minutes)))
    return lately


def level_of(found: Sequence[Charge], length: int) -> Levels:
    """Return the worst level of all charges at each minute."""
    if not found:
        return np.zeros(length, dtype=np.int8)
    worst: Levels = np.max(np.stack([charge.level for charge in found]), axis=0)
    return worst


def findings(found: Sequence[Charge], scoring: Scoring, baseline: Baseline, minute: int) -> list[EdgeFinding]:
    """Say in words what is held against the canary at one minute, the worst first."""
    held_now = [charge for charge in found if charge.level[minute] > 0]
    return [
        EdgeFinding(
            caller=charge.edge.caller,
            callee=charge.edge.callee,
            outcome=Outcome.ROLLBACK if charge.level[minute] == Level.RED else Outcome.PAUSE,
            words=_words(charge, scoring, baseline, minute),
        )
        for charge in sorted(held_now, key=lambda charge: -int(charge.level[minute]))
    ]


def _of_edge(edge: Edge, scoring: Scoring, baseline: Baseline, minutes: Minutes) -> Iterator[Charge]:
    known = _baseline_of(edge, baseline)
    yield _errors(edge, known, scoring, baseline, minutes)
    yield _vanished(edge, known, scoring.attribution, minutes)
    yield _missing_calls(edge, scoring, minutes)


def _errors(
    edge: Edge, known: EdgeBaseline | None, scoring: Scoring, baseline: Baseline, minutes: Minutes
) -> Charge:
    """Errors that rose here and did not rise at the control, neither on this edge nor at a dependency."""
    rules = scoring.attribution
    usual = known.mean_error_percent if known else 0.0
    rise = np.round(edge.canary_error - usual, _DECIMALS)
    control = np.round(np.maximum(np.nan_to_num(edge.control_typical - usual), 0.0), _DECIMALS)
    if edge.inbound:
        control = np.maximum(control, _dependencies(baseline, minutes))
    own = (rise >= rules.rise_points) & (control < np.round(rise * rules.shared_percent / 100, _DECIMALS))
    if not edge.inbound:  # a dependency that fails for the control as well is sick by itself
        own &= control < rules.rise_points
    severe = own & (rise >= rules.rollback_points) & edge.inbound
    level = np.where(np.isnan(rise), UNKNOWN, own.astype(np.int8) + severe.astype(np.int8)).astype(np.int8)
    level = _judged(level, edge, minutes)
    return Charge(edge, "errors", held(scoring.hysteresis, level), level > 0, rise)


def _dependencies(baseline: Baseline, minutes: Minutes) -> Floats:
    """Return by how many points the worst dependency can make the control's own calls fail more than usual.

    Where calls are counted, a dependency that only every tenth call needs can fail only every tenth.
    """
    asked = np.sum([np.nan_to_num(e.control_calls) for e in minutes.edges if e.inbound], axis=0)
    worst = np.zeros(len(minutes))
    for edge in minutes.edges:
        if edge.inbound:
            continue
        known = _baseline_of(edge, baseline)
        rise = np.nan_to_num(edge.control_typical - (known.mean_error_percent if known else 0.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            part = np.minimum(edge.control_calls / asked, 1.0)
        worst = np.maximum(worst, np.round(rise * np.where(np.isfinite(part), part, 1.0), _DECIMALS))
    return worst


def _vanished(edge: Edge, known: EdgeBaseline | None, rules: Attribution, minutes: Minutes) -> Charge:
    """No success of the canary, while errors appear on this very edge that most of the control does not have.

    A ratio without successes is not reported at all by many a query. One such minute is enough: a caller that
    only calls less leaves no errors behind.
    """
    usual = (known.worst_error_percent if known else 0.0) + rules.vanished_points
    without = edge.canary_seen & np.isnan(edge.canary_error) & ~(edge.canary_calls == 0)
    bad = without & (edge.control_worst > usual) & (edge.control_strict <= usual)
    level = np.maximum(_judged(bad.astype(np.int8), edge, minutes), 0).astype(np.int8)
    return Charge(edge, "vanished", level, level > 0, edge.control_worst)


def _silence(inbound: Sequence[Edge], rules: Attribution, minutes: Minutes) -> Charge:
    """No call to the canary at all for so many minutes, while the control is called and answers healthily."""
    called = np.logical_or.reduce([edge.canary_seen for edge in inbound])
    healthy = np.logical_or.reduce([edge.control_typical <= rules.healthy_up_to_percent for edge in inbound])
    length = runs(~called & healthy & ~minutes.provider_down)
    everybody = replace(inbound[0], caller="any caller")
    silent: Flags = length >= rules.silent_minutes
    return Charge(everybody, "silence", silent.astype(np.int8), silent, length.astype(float))


def _missing_calls(edge: Edge, scoring: Scoring, minutes: Minutes) -> Charge:
    """Fewer calls that succeed than the control's mix lets one expect, beyond chance (Poisson).

    Only successes are compared: a sick control tries again and again, and a canary that need not is no worse.
    """
    seen = _successes(edge.canary_calls, edge.canary_error)
    expected = _expected(edge, [other for other in minutes.edges if other.inbound])
    least = expected * scoring.attribution.missing_calls_percent / 100
    short = (seen < least) & (expected - seen >= _BEYOND_CHANCE * np.sqrt(expected))
    known = np.isfinite(expected) & np.isfinite(seen)
    level = np.where(known, short.astype(np.int8), UNKNOWN).astype(np.int8)
    level = _judged(level, edge, minutes)
    return Charge(edge, "calls", held(scoring.hysteresis, level), level > 0, expected)


def _expected(edge: Edge, inbound: Sequence[Edge]) -> Floats:
    """Return how many successes the canary should have: the control's, scaled by what both sides are asked."""
    canary = np.sum([np.nan_to_num(other.canary_calls) for other in inbound], axis=0)
    control = np.sum([np.nan_to_num(other.control_calls) for other in inbound], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled: Floats = _successes(edge.control_calls, edge.control_typical) * canary / control
    return np.where(np.isfinite(scaled), scaled, np.nan)


def _successes(calls: Floats, error_percent: Floats) -> Floats:
    """Return how many calls succeeded; all of them where no ratio is known."""
    return calls * (1 - np.nan_to_num(error_percent) / 100)


def _judged(level: Levels, edge: Edge, minutes: Minutes) -> Levels:
    """Leave out the minutes without metrics, and those in which the other end is being rolled out as well."""
    unclear = minutes.provider_down
    if not edge.inbound and edge.callee in minutes.concurrent:
        unclear = unclear | minutes.concurrent[edge.callee]
    return np.where(unclear, UNKNOWN, level).astype(np.int8)


def _baseline_of(edge: Edge, baseline: Baseline) -> EdgeBaseline | None:
    ends = (edge.caller, edge.callee)
    return next((known for known in baseline.edges if (known.caller, known.callee) == ends), None)


def _words(charge: Charge, scoring: Scoring, baseline: Baseline, minute: int) -> str:
    way = f"calls {charge.edge.caller} → {charge.edge.callee}"
    if charge.kind == "silence":
        rules = scoring.attribution
        return (
            f"no call has reached the canary for at least {rules.silent_minutes} verdicts, while the control "
            f"answers with at most {number(rules.healthy_up_to_percent)} % errors"
        )
    if charge.kind == "vanished":
        return (
            f"{way}: no success of the canary, while {_percent(charge.figure, minute)} fail on one member of "
            "the pool and the rest of it is healthy"
        )
    if charge.kind == "calls":
        return f"{way}: {_of_calls(charge, minute)}"
    return f"{way}: {_of_errors(charge, baseline, minute)}"


def _of_calls(charge: Charge, minute: int) -> str:
    if not charge.now[minute]:
        return "enough succeed again, but too few did in the last verdicts"
    seen = _successes(charge.edge.canary_calls, charge.edge.canary_error)[minute]
    expected = number(charge.figure[minute])
    return f"{number(seen)} succeeded with the canary, about {expected} were expected by the control's mix"


def _of_errors(charge: Charge, baseline: Baseline, minute: int) -> str:
    canary, control = (
        _percent(side, minute) for side in (charge.edge.canary_error, charge.edge.control_typical)
    )
    if not charge.now[minute]:
        return f"{canary} fail at the canary again, but too many did in the last verdicts (control {control})"
    known = _baseline_of(charge.edge, baseline)
    usual = number(known.mean_error_percent if known else 0.0)
    return f"{canary} failed at the canary, {control} at the control, {usual} % before the change"


def _percent(values: Floats, minute: int) -> str:
    return "an unknown part" if np.isnan(values[minute]) else f"{number(float(values[minute]))} %"
