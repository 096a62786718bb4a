"""Replays past releases through the scoring models: who would have been stopped, when, and was that right?

Cross validation answers what the settings chosen on some releases are worth on others (leave one group out:
Stone, "Cross-Validatory Choice and Assessment of Statistical Predictions", 1974).
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from pydantic import BaseModel

from holdfast.verdict.models import Model, model_named
from holdfast.verdict.observation import Outcome
from holdfast.verdict.releases import Release
from holdfast.verdict.scores import Judged, Label, ModelScore, Stop, score
from holdfast.verdict.settings import Scoring

if TYPE_CHECKING:
    from holdfast.verdict.minutes import Minutes

GroupBy = Literal["day", "service"]
GROUPINGS: Final[tuple[GroupBy, ...]] = ("day", "service")
Progress = Callable[[int, int], None]
"""Told after each step how many are done, and of how many."""

# What cross validation tries beside the given settings; see `candidates`.
_RISE_POINTS: Final = (5.0, 3.0, 10.0)
_SILENT_MINUTES: Final = (5, 4, 7)
_SHARED_PERCENT: Final = (50.0, 35.0)
_HYSTERESIS: Final = ((2, 3), (2, 2), (3, 4))


class ChosenSettings(BaseModel):
    """What is tried in cross validation; the names are those of the runbook file."""

    rise_points: float
    silent_minutes: int
    shared_percent: float
    hysteresis_bad: int
    hysteresis_of: int


class CrossValidation(BaseModel):
    """A model's record on releases that its settings were not chosen on.

    Attributes:
        by: what was left out at a time.
        score: over all groups, each judged by the settings chosen on the others.
        chosen: by group, those settings.
    """

    by: GroupBy
    score: ModelScore
    chosen: dict[str, ChosenSettings]


class TimelineMinute(BaseModel):
    """What each model would have said at one observation, `minutes` after the release began."""

    at: datetime
    minutes: float
    outcomes: dict[str, Outcome]


@dataclass(frozen=True)
class Report:
    """What a backtest found.

    Attributes:
        judged: every release.
        scores: every model on the labelled ones, in the order they were asked for.
        validations: of the deciding model; empty where it was not wanted, or there were too few groups.
    """

    judged: list[Judged]
    scores: list[ModelScore]
    validations: dict[GroupBy, CrossValidation]

    @property
    def deciding(self) -> ModelScore:
        """The record of the model that decides."""
        return next(s for s in self.scores if s.deciding)

    def labelled(self, label: Label) -> int:
        """Return how many releases have this label."""
        return sum(j.label == label for j in self.judged)


@dataclass(frozen=True)
class Trial:
    """What one candidate makes of every release."""

    settings: ChosenSettings
    judged: list[Judged]


def _no_progress(_done: int, _total: int) -> None:
    pass


def _no_stages(_what: str, _done: int, _total: int) -> None:
    pass


def report(
    releases: Sequence[Release],
    scoring: Scoring,
    models: Sequence[str],
    *,
    cross_validate: bool = True,
    progress: Callable[[str, int, int], None] = _no_stages,
) -> Report:
    """Replay every release, score every model, and cross-validate the one that decides.

    Args:
        releases: at least one.
        scoring: its `model` decides.
        models: must name the one that decides.
        cross_validate: by day and by service, where there are two of them with labelled releases.
        progress: told what is done, how much of it, and of how much.

    Raises:
        UnknownName: there is no model of that name.
    """
    judged = backtest(releases, scoring, models, partial(progress, "replaying releases"))
    groups = {by: {_group(j, by) for j in judged if j.label} for by in GROUPINGS}
    made: list[Trial] = []
    if cross_validate and max(map(len, groups.values())) > 1:
        trying = partial(progress, "trying other settings")
        made = trials(releases, scoring.model, candidates(scoring), trying)
    validations: dict[GroupBy, CrossValidation] = {}
    for by in GROUPINGS:
        if held := held_out(made, by, scoring.model):
            validations[by] = held
    return Report(
        judged=judged,
        scores=[score(judged, name, deciding=name == scoring.model) for name in models],
        validations=validations,
    )


def timeline(release: Release, scoring: Scoring, models: Sequence[str]) -> list[TimelineMinute]:
    """Return what each model says at each observation of one release; errors as in `outcomes_of`."""
    outcomes = {name: outcomes_of(release, scoring, name) for name in models}
    return [
        TimelineMinute(
            at=observation.at,
            minutes=_minutes_after(release, index),
            outcomes={name: said[index] for name, said in outcomes.items()},
        )
        for index, observation in enumerate(release.observations)
    ]


def outcomes_of(release: Release, scoring: Scoring, model: str) -> list[Outcome]:
    """Return the model's outcome at each of the release's observations.

    Raises:
        UnknownName: there is no model of that name.
    """
    return model_named(model).outcomes(scoring, release.baseline, _minutes(release))


def replay(release: Release, scoring: Scoring, models: Sequence[str]) -> Judged:
    """Judge one release by each model as if it were watched, with reasons; errors as in `outcomes_of`."""
    minutes = _minutes(release)
    return _judged(
        release, {name: _stop(release, scoring, model_named(name), minutes, reasons=True) for name in models}
    )


def backtest(
    releases: Sequence[Release], scoring: Scoring, models: Sequence[str], progress: Progress = _no_progress
) -> list[Judged]:
    """Replay every release, in the given order; errors as in `outcomes_of`."""
    judged: list[Judged] = []
    for release in releases:
        judged.append(replay(release, scoring, models))
        progress(len(judged), len(releases))
    return judged


def candidates(scoring: Scoring) -> list[Scoring]:
    """Return the settings that cross validation may choose from: the given ones first, then those around them.

    Varied are the rise of errors that counts, the silence that counts, the part of a rise that makes it shared,
    and the hysteresis: 54 combinations, and the given one where it is none of them. Those that differ in fewer
    settings come first, so that a tie is decided for what is closest to the given.
    """
    given = settings_of(scoring)
    grid = [
        ChosenSettings(
            rise_points=rise, silent_minutes=silent, shared_percent=shared, hysteresis_bad=bad, hysteresis_of=of
        )
        for rise, silent, shared, (bad, of) in itertools.product(
            _RISE_POINTS, _SILENT_MINUTES, _SHARED_PERCENT, _HYSTERESIS
        )
    ]
    ordered = sorted((c for c in grid if c != given), key=lambda c: _differences(c, given))
    return [scoring, *(_with(scoring, chosen) for chosen in ordered)]


def settings_of(scoring: Scoring) -> ChosenSettings:
    """Return those of the settings that cross validation varies."""
    return ChosenSettings(
        rise_points=scoring.attribution.rise_points,
        silent_minutes=scoring.attribution.silent_minutes,
        shared_percent=scoring.attribution.shared_percent,
        hysteresis_bad=scoring.hysteresis.bad,
        hysteresis_of=scoring.hysteresis.of,
    )


def _differences(one: ChosenSettings, other: ChosenSettings) -> int:
    ours, theirs = one.model_dump(), other.model_dump()
    return sum(ours[name] != theirs[name] for name in ours)


def _with(scoring: Scoring, chosen: ChosenSettings) -> Scoring:
    attribution = {
        "rise_points": chosen.rise_points,
        "silent_minutes": chosen.silent_minutes,
        "shared_percent": chosen.shared_percent,
    }
    hysteresis = {"bad": chosen.hysteresis_bad, "of": chosen.hysteresis_of, "clear_after": None}
    return scoring.model_copy(
        update={
            "attribution": scoring.attribution.model_copy(update=attribution),
            "hysteresis": scoring.hysteresis.model_copy(update=hysteresis),
        }
    )


def trials(
    releases: Sequence[Release],
    model: str,
    tried: Sequence[Scoring],
    progress: Progress = _no_progress,
) -> list[Trial]:
    """Judge every labelled release by every candidate; errors as in `outcomes_of`."""
    labelled = [(r, _minutes(r)) for r in releases if r.label is not None]
    judge = model_named(model)
    made: list[Trial] = []
    for scoring in tried:
        judged = [_judged(r, {model: _stop(r, scoring, judge, m, reasons=False)}) for r, m in labelled]
        made.append(Trial(settings_of(scoring), judged))
        progress(len(made), len(tried))
    return made


def held_out(made: Sequence[Trial], by: GroupBy, model: str) -> CrossValidation | None:
    """Choose the settings without each day or service in turn, and score them on what was left out.

    The best has the highest F1 on the other groups; of equals, the one with fewer automatic rollbacks of good
    releases, then the lower median of minutes, then the first in the list.

    Args:
        made: what each candidate makes of every release, the preferred one first; see `trials`.
        by: what is left out at a time.
        model: whose settings are chosen.

    Returns:
        None where there are less than two groups.
    """
    groups = list(dict.fromkeys(_group(j, by) for j in made[0].judged)) if made else []
    if len(groups) < 2:  # noqa: PLR2004  one group leaves nothing to choose on
        return None
    pooled: list[Judged] = []
    chosen: dict[str, ChosenSettings] = {}
    for group in groups:
        best = min(made, key=lambda trial: _rank(trial.judged, by, group, model))
        chosen[group] = best.settings
        pooled += [j for j in best.judged if _group(j, by) == group]
    return CrossValidation(by=by, score=score(pooled, model, deciding=True), chosen=chosen)


def _group(judged: Judged, by: GroupBy) -> str:
    return judged.day if by == "day" else judged.service


def _rank(judged: Iterable[Judged], by: GroupBy, without: str, model: str) -> tuple[float, int, float]:
    """Order candidates by their record outside of one group; `min` takes the first of equals."""
    got = score((j for j in judged if _group(j, by) != without), model)
    minutes = float("inf") if got.median_minutes is None else got.median_minutes
    return -(got.f1 or 0), got.auto_rollbacks_of_good, minutes


def _minutes(release: Release) -> "Minutes":
    from holdfast.verdict.minutes import minutes_of  # noqa: PLC0415  numpy: the command line starts sooner without

    return minutes_of(release.observations)


def _judged(release: Release, stops: dict[str, Stop | None]) -> Judged:
    return Judged(
        id=release.id,
        service=release.service,
        day=release.day,
        observed_minutes=release.observed_minutes,
        label=release.label,
        fault=release.fault,
        stops=stops,
    )


def _stop(
    release: Release, scoring: Scoring, model: Model, minutes: "Minutes", *, reasons: bool
) -> Stop | None:
    outcomes = model.outcomes(scoring, release.baseline, minutes)
    first = next((index for index, outcome in enumerate(outcomes) if outcome.stops), None)
    if first is None:
        return None
    rollback = outcomes.index(Outcome.ROLLBACK) if Outcome.ROLLBACK in outcomes else None
    seen = release.observations[: first + 1]
    return Stop(
        minutes=_minutes_after(release, first),
        outcome=outcomes[first],
        reason=model.verdict(scoring, release.baseline, seen).reason if reasons else "",
        rolled_back_at=None if rollback is None else _minutes_after(release, rollback),
    )


def _minutes_after(release: Release, index: int) -> float:
    return (release.observations[index].at - release.started_at).total_seconds() / 60
