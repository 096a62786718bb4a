"""What call edges hold against a canary: its own errors, its silence, successes and calls that are missing.

Errors that the control shares, or that a dependency causes which the control sees failing too, are not the
canary's. Nor is what it meets at a dependency that is itself being rolled out at the same time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from holdfast.verdict.grading import UNKNOWN, Levels, held, runs
from holdfast.verdict.minutes import Edge, Flags, Floats, Minutes
from holdfast.verdict.observation import Baseline, EdgeBaseline, EdgeFinding, Level, Outcome
from holdfast.verdict.settings import Attribution, Scoring
from holdfast.verdict.words import number

# A Poisson count is this many of its standard deviations below its mean once in thirty thousand times.
_BEYOND_CHANCE = 4.0


@dataclass(frozen=True)
class Charge:
    """One thing held against the canary on one edge, minute by minute.

    Attributes:
        level: 0 for nothing, 1 to pause, 2 to roll back; after hysteresis.
        worse: how bad this minute alone is, in the charge's own unit.
    """

    edge: Edge
    kind: str
    level: Levels
    worse: Floats


def charges(scoring: Scoring, baseline: Baseline, minutes: Minutes) -> list[Charge]:
    """Return all that the edges hold against the canary."""
    found = [charge for edge in minutes.edges for charge in _of_edge(edge, scoring, baseline, minutes)]
    inbound = [edge for edge in minutes.edges if edge.inbound]
    if inbound:
        found.append(_silence(inbound, scoring.attribution, minutes))
    return found


def measured(minutes: Minutes) -> Flags:
    """Say from which minute on calls to the system are measured: any side has been called."""
    seen = np.zeros(len(minutes), dtype=bool)
    for edge in minutes.edges:
        if edge.inbound:
            seen |= edge.canary_seen | edge.control_seen
    so_far: Flags = np.logical_or.accumulate(seen)
    return so_far


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
    rise = edge.canary_error - usual
    control = np.maximum(np.nan_to_num(edge.control_typical - usual), 0.0)
    if edge.inbound:
        control = np.maximum(control, _dependencies(baseline, minutes))
    own = (rise >= rules.rise_points) & (control < rise * rules.shared_percent / 100)
    if not edge.inbound:  # a dependency that fails for the control as well is sick by itself
        own &= control < rules.rise_points
    severe = own & (rise >= rules.rollback_points) & edge.inbound
    level = np.where(np.isnan(rise), UNKNOWN, own.astype(np.int8) + severe.astype(np.int8)).astype(np.int8)
    return Charge(edge, "errors", held(scoring.hysteresis, _judged(level, edge, minutes)), np.nan_to_num(rise))


def _dependencies(baseline: Baseline, minutes: Minutes) -> Floats:
    """Return by how many points the control's calls to its worst dependency fail more than usual."""
    worst = np.zeros(len(minutes))
    for edge in minutes.edges:
        if not edge.inbound:
            known = _baseline_of(edge, baseline)
            usual = known.mean_error_percent if known else 0.0
            worst = np.maximum(worst, np.nan_to_num(edge.control_typical - usual))
    return worst


def _vanished(edge: Edge, known: EdgeBaseline | None, rules: Attribution, minutes: Minutes) -> Charge:
    """No success of the canary, while errors appear on this very edge that most of the control does not have.

    A ratio without successes is not reported at all by many a query. One such minute is enough: a caller that
    only calls less leaves no errors behind.
    """
    usual = (known.worst_error_percent if known else 0.0) + rules.vanished_points
    without = edge.canary_seen & np.isnan(edge.canary_error)
    bad = without & (edge.control_worst > usual) & (edge.control_strict <= usual)
    level = np.maximum(_judged(bad.astype(np.int8), edge, minutes), 0).astype(np.int8)
    return Charge(edge, "vanished", level, np.nan_to_num(edge.control_worst))


def _silence(inbound: Sequence[Edge], rules: Attribution, minutes: Minutes) -> Charge:
    """No call to the canary at all for so many minutes, while the control is called and answers healthily."""
    called = np.logical_or.reduce([edge.canary_seen for edge in inbound])
    healthy = np.logical_or.reduce([edge.control_typical <= rules.healthy_up_to_percent for edge in inbound])
    length = runs(~called & healthy & ~minutes.provider_down)
    return Charge(inbound[0], "silence", (length >= rules.silent_minutes).astype(np.int8), length.astype(float))


def _missing_calls(edge: Edge, scoring: Scoring, minutes: Minutes) -> Charge:
    """Fewer calls than the control's mix lets one expect, beyond chance (Poisson)."""
    ways = [other for other in minutes.edges if other.inbound]
    expected = _expected(edge, ways)
    least = expected * scoring.attribution.missing_calls_percent / 100
    short = (edge.canary_calls < least) & (expected - edge.canary_calls >= _BEYOND_CHANCE * np.sqrt(expected))
    known = np.isfinite(expected) & np.isfinite(edge.canary_calls)
    level = np.where(known, short.astype(np.int8), UNKNOWN).astype(np.int8)
    return Charge(
        edge, "calls", held(scoring.hysteresis, _judged(level, edge, minutes)), np.nan_to_num(expected)
    )


def _expected(edge: Edge, inbound: Sequence[Edge]) -> Floats:
    """Return how many calls the canary should have seen: the control's, scaled by what both sides are asked."""
    canary = np.sum([np.nan_to_num(other.canary_calls) for other in inbound], axis=0)
    control = np.sum([np.nan_to_num(other.control_calls) for other in inbound], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled: Floats = edge.control_calls * canary / control
    return np.where(np.isfinite(scaled), scaled, np.nan)


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
    edge, rules = charge.edge, scoring.attribution
    way = f"calls {edge.caller} → {edge.callee}"
    if charge.kind == "silence":
        return (
            f"no call reached the canary for {charge.worse[minute]:.0f} verdicts in a row, while the control "
            f"answers with at most {number(rules.healthy_up_to_percent)} % errors"
        )
    if charge.kind == "vanished":
        return (
            f"{way}: no success of the canary, while {number(charge.worse[minute])} % fail on one member "
            f"of the pool and the rest of it is healthy"
        )
    if charge.kind == "calls":
        seen, expected = edge.canary_calls[minute], charge.worse[minute]
        return f"{way}: {number(seen)} calls, {number(expected)} expected by what the control calls"
    known = _baseline_of(edge, baseline)
    usual = known.mean_error_percent if known else 0.0
    return (
        f"{way}: {_percent(edge.canary_error, minute)} failed at the canary, "
        f"{_percent(edge.control_typical, minute)} at the control, {number(usual)} % before the change"
    )


def _percent(values: Floats, minute: int) -> str:
    return "an unknown part" if np.isnan(values[minute]) else f"{number(float(values[minute]))} %"
