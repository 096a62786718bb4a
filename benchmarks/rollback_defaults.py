"""When a canary is bad, and how long it stays by arithmetic: from other tools' sources, and from our settings.

Each figure comes with its sum and with the file it is taken from; those files are of the repositories
fluxcd/flagger and argoproj/argo-rollouts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from holdfast.runbook.kinds.rollout import Pace
from holdfast.verdict.detector_settings import Hysteresis
from holdfast.verdict.observation import Level, Outcome, Verdict
from holdfast.verdict.settings import Scoring


@dataclass(frozen=True)
class Moment:
    """What one second says of the canary, as if it were alone.

    Attributes:
        why: what is red, by name; empty where nothing that counts is.
        must_go: whether the rules say rollback.
    """

    at: datetime
    why: str
    must_go: bool

    @classmethod
    def of(cls, verdict: Verdict, scoring: Scoring) -> "Moment":
        """Take it from a verdict on a single observation."""
        counting = {name for name, metric in scoring.metrics.items() if metric.weight_percent or metric.veto}
        red = [r.metric for r in verdict.readings if r.level is Level.RED and r.metric in counting]
        red += [f"calls {edge.caller} → {edge.callee}" for edge in verdict.edges]
        return cls(at=verdict.at, why=", ".join(red), must_go=verdict.outcome is Outcome.ROLLBACK)


def first_moments(moments: Sequence[Moment]) -> tuple[Moment, Moment]:
    """Return the first that is red and the first at which the canary must go.

    Where the rules say rollback of no second alone, it must go from its first red one: the strictest reading.

    Raises:
        ValueError: nothing was ever red.
    """
    must_go = next((moment for moment in moments if moment.must_go), None)
    red = next((moment for moment in moments if moment.why or moment.must_go), None)
    if red is None:
        raise ValueError("nothing was red in any second, and yet it was rolled back")
    return red, must_go or red


@dataclass(frozen=True)
class Sum:
    """One figure, with how it is reached.

    Attributes:
        who: the tool and its settings.
        steps: the sum in words and numbers.
        source: the files it is taken from.
        remark: what the figure buys, or costs.
    """

    who: str
    seconds: float
    steps: str
    source: str
    remark: str = ""


def flagger_seconds(interval_seconds: float, threshold: int) -> float:
    """Return when Flagger rolls back: each tick first compares the failed checks, then makes the next check."""
    return interval_seconds * (threshold + 1)


def argo_seconds(interval_seconds: float, limit: int, *, starts_after_seconds: float = 0) -> float:
    """Return when Argo Rollouts aborts: with more failures than the limit, the first of them at once."""
    return starts_after_seconds + interval_seconds * limit


def our_seconds(pace: Pace, hysteresis: Hysteresis) -> float:
    """Return when the verdict to roll back comes, after a share is set that is bad from its start."""
    return (pace.settle + (hysteresis.bad - 1) * pace.interval).total_seconds()


def our_latest_seconds(pace: Pace, hysteresis: Hysteresis) -> float:
    """Return the same for a canary that gets bad at the worst moment, counted from that moment.

    That is right after a verdict; or right after the last one of a share, when the next share has to settle. A
    window does not end on a bad minute.
    """
    return max((hysteresis.bad * pace.interval).total_seconds(), our_seconds(pace, hysteresis))


def our_sums(name: str, pace: Pace, hysteresis: Hysteresis) -> tuple[Sum, Sum]:
    """Return what a pace gives for a canary that is bad at once, and for one that gets bad when it is worst."""
    settle, interval = pace.settle.total_seconds(), pace.interval.total_seconds()
    more, source = hysteresis.bad - 1, f"runbooks/rollout/support-surge.yaml, paces.{name}"
    return (
        Sum(
            f"pace {name}, bad from the share's start",
            our_seconds(pace, hysteresis),
            f"settle {settle:g} s + {more} × interval {interval:g} s",
            source,
            f"{hysteresis.bad} bad verdicts of the last {hysteresis.of}: a single one rolls nothing back",
        ),
        Sum(
            f"pace {name}, bad from the worst moment",
            our_latest_seconds(pace, hysteresis),
            f"the longer of {hysteresis.bad} × interval {interval:g} s, and settle {settle:g} s + {more} × it",
            source,
            "right after a verdict, or after the last one of a share, when the next share has to settle",
        ),
    )


_SCHEDULER = "pkg/controller/scheduler.go (advanceCanary)"
_CANARY_GO = "pkg/apis/flagger/v1beta1/canary.go (GetAnalysisInterval, GetAnalysisThreshold)"
_STRATEGIES = "docs/gitbook/usage/deployment-strategies.md"
_ANALYSIS_GO = "analysis/analysis.go"
_DEFAULTS_GO = "utils/defaults/defaults.go"
_ANALYSIS_MD = "docs/features/analysis.md"

OTHERS = (
    Sum(
        "Flagger, defaults",
        flagger_seconds(60, 1),
        "interval 60 s × (threshold 1 + 1)",
        f"{_CANARY_GO}, {_SCHEDULER}",
        "one failed check is enough, and no number at all is a failed check too: no protection from noise",
    ),
    Sum(
        "Flagger, two failed checks",
        flagger_seconds(60, 2),
        "interval 60 s × (threshold 2 + 1)",
        _SCHEDULER,
        "failed checks add up over the whole release: good ones between them take none away",
    ),
    Sum(
        "Flagger, the example of its documentation",
        flagger_seconds(60, 10),
        "interval 60 s × (threshold 10 + 1)",
        f"{_STRATEGIES}, {_SCHEDULER}",
    ),
    Sum(
        "Argo Rollouts, an inline metric with nothing else set",
        argo_seconds(0, 0),
        "0 s + the query: one measurement at once, failureLimit 0",
        f"{_ANALYSIS_GO} (generateMetricTasks, assessMetricStatus)",
        "quicker than ours: a single failed measurement aborts (no protection from noise), none is taken later",
    ),
    Sum(
        "Argo Rollouts, the same metric without data",
        argo_seconds(10, 4),
        "5 errors, the first at once: 4 × 10 s (consecutiveErrorLimit 4)",
        f"{_ANALYSIS_GO} (DefaultErrorRetryInterval), {_DEFAULTS_GO} (DefaultConsecutiveErrorLimit)",
        "as quick with a good canary whose metrics are missing; ours never rolls back for that alone",
    ),
    Sum(
        "Argo Rollouts, the example of its documentation",
        argo_seconds(300, 3, starts_after_seconds=600),
        "startingStep 2: 600 s, then 4 failures (more than failureLimit 3), the first at once: + 3 × 300 s",
        f"{_ANALYSIS_MD} (Background Analysis), {_ANALYSIS_GO} (assessMetricStatus)",
        "its shares are 20 % more each 10 min: 60 % of the traffic by then",
    ),
)
