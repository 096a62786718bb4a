"""The attributed model: the weighted one, where only what is the canary's own counts against it.

A deviation that the control makes too does not count. Where call edges are measured they speak for errors and
for silence, because they show whose errors those are; see `edges`.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from holdfast.verdict.edges import Charge, charges, findings, level_of, measured
from holdfast.verdict.minutes import Minutes, minutes_of
from holdfast.verdict.observation import Baseline, Observation, Outcome, Verdict
from holdfast.verdict.settings import Scoring
from holdfast.verdict.weighted import PAUSE, ROLLBACK, Weighed, named, told, weigh


def verdict(scoring: Scoring, baseline: Baseline, observations: Sequence[Observation]) -> Verdict:
    """Judge the newest observation, see the module."""
    minutes = minutes_of(observations)
    weighed, found = _attributed(scoring, baseline, minutes)
    words = findings(found, scoring, baseline, len(minutes) - 1)
    return told(scoring, baseline, observations, weighed, model="attributed", findings=words)


def outcomes(scoring: Scoring, baseline: Baseline, minutes: Minutes) -> list[Outcome]:
    """Judge every minute, each by those up to it."""
    return named(_attributed(scoring, baseline, minutes)[0].severity)


def _attributed(scoring: Scoring, baseline: Baseline, minutes: Minutes) -> tuple[Weighed, list[Charge]]:
    weighed = weigh(scoring, baseline, minutes, discount_shared=True, by_edges=measured(scoring, minutes))
    found = charges(scoring, baseline, minutes)
    level = level_of(found, len(minutes))
    own = np.select([level == 2, level == 1], [ROLLBACK, PAUSE], 0)  # noqa: PLR2004  a charge's level
    severity = np.maximum(weighed.severity, own).astype(np.int8)
    return replace(weighed, severity=severity), found
