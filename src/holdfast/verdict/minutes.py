"""Observations as columns: what the models compute on, minute by minute, without looking ahead."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from holdfast.verdict.observation import EdgeSample, NoData, Observation

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Pair:
    """One query over the minutes: canary and control at the same moments; NaN where there is no number."""

    canary: Floats
    control: Floats


@dataclass(frozen=True)
class Edge:
    """One call edge over the minutes.

    Attributes:
        canary_seen, control_seen: whether any member of the side reported the edge.
        canary_error: mean percent of failed calls of the canary's members that have a ratio; else NaN.
        control_typical: of the control's members with a ratio the median, the lower of the two middle ones.
        control_strict: the same where a member without a ratio counts as failing.
        control_worst: the highest of the control's members.
        canary_calls, control_calls: calls in the interval; NaN where not measured.
    """

    caller: str
    callee: str
    inbound: bool
    canary_seen: Flags
    control_seen: Flags
    canary_error: Floats
    control_typical: Floats
    control_strict: Floats
    control_worst: Floats
    canary_calls: Floats
    control_calls: Floats


@dataclass(frozen=True)
class Minutes:
    """What was observed of one share, oldest first; every array has one entry an observation.

    Attributes:
        at: Unix seconds.
        metrics: for each metric one pair a query, in file order.
        provider_down: whether the metrics database did not answer.
        concurrent: for whatever else was being rolled out, at which minutes it was.
    """

    at: Floats
    metrics: dict[str, tuple[Pair, ...]]
    provider_down: Flags
    canary_requests: Floats
    control_requests: Floats
    edges: tuple[Edge, ...]
    concurrent: dict[str, Flags]

    def __len__(self) -> int:
        """How many observations there are."""
        return len(self.at)


def minutes_of(observations: Sequence[Observation]) -> Minutes:
    """Turn observations of one share, oldest first, into columns."""
    names = list(observations[0].values) if observations else []
    return Minutes(
        at=np.array([o.at.timestamp() for o in observations]),
        metrics={name: _pairs(observations, name) for name in names},
        provider_down=np.array([o.provider_down for o in observations], dtype=bool),
        canary_requests=_floats([o.canary_requests for o in observations]),
        control_requests=_floats([o.control_requests for o in observations]),
        edges=_edges(observations),
        concurrent={
            name: np.array([name in o.concurrent for o in observations])
            for name in sorted({name for o in observations for name in o.concurrent})
        },
    )


def _pairs(observations: Sequence[Observation], name: str) -> tuple[Pair, ...]:
    queries = len(observations[0].values[name])
    return tuple(
        Pair(
            canary=_floats([o.values[name][q] for o in observations]),
            control=_floats([o.control[name][q] if name in o.control else None for o in observations]),
        )
        for q in range(queries)
    )


def _floats(values: Sequence[float | NoData | None]) -> Floats:
    # A month has a million of these: a look at the class is three times as quick as isinstance.
    return np.array([np.nan if v is None or v.__class__ is NoData else v for v in values], dtype=float)


def _edges(observations: Sequence[Observation]) -> tuple[Edge, ...]:
    """Gather each edge's minutes; in plain lists of numbers, which the garbage collector need not walk."""
    at: dict[tuple[str, str], list[int]] = {}
    found: dict[tuple[str, str], list[EdgeSample]] = {}
    for minute, observation in enumerate(observations):
        for sample in observation.edges:
            ends = (sample.caller, sample.callee)
            if ends not in found:
                at[ends], found[ends] = [], []
            at[ends].append(minute)
            found[ends].append(sample)
    return tuple(_edge(found[ends], at[ends], len(observations)) for ends in sorted(found))


def _edge(samples: Sequence[EdgeSample], at: Sequence[int], length: int) -> Edge:
    first = samples[0]
    errors, typical, strict, worst = _errors(samples)
    spread = partial(_spread, at=np.array(at), length=length)
    return Edge(
        caller=first.caller,
        callee=first.callee,
        inbound=first.inbound,
        canary_seen=spread([bool(s.canary) for s in samples]) == 1,
        control_seen=spread([bool(s.control) for s in samples]) == 1,
        canary_error=spread(errors),
        control_typical=spread(typical),
        control_strict=spread(strict),
        control_worst=spread(worst),
        canary_calls=spread([_NAN if s.canary_calls is None else s.canary_calls for s in samples]),
        control_calls=spread([_NAN if s.control_calls is None else s.control_calls for s in samples]),
    )


_NAN = float("nan")


def _spread(numbers: Sequence[float], *, at: npt.NDArray[np.int64], length: int) -> Floats:
    """Put each number at its minute; NaN where there is none."""
    column = np.full(length, np.nan)
    column[at] = numbers
    return column


def _errors(samples: Sequence[EdgeSample]) -> tuple[list[float], list[float], list[float], list[float]]:
    """Return the canary's mean and the control's typical, strict and worst errors, one each a sample."""
    mean: list[float] = []
    typical: list[float] = []
    strict: list[float] = []
    worst: list[float] = []
    for sample in samples:
        canary = [error for error in sample.canary if error is not None]
        control = sorted([error for error in sample.control if error is not None])
        known, silent = len(control), len(sample.control) - len(control)
        mean.append(sum(canary) / len(canary) if canary else _NAN)
        # The lower median: one sick or restarting pod of the control neither accuses nor excuses the canary
        # (docs/verdicts.md).
        typical.append(control[(known - 1) // 2] if known else _NAN)
        middle = (known + silent - 1) // 2
        strict.append(control[middle] if 0 <= middle < known else 100.0 if silent else _NAN)
        worst.append(control[-1] if known else _NAN)
    return mean, typical, strict, worst
