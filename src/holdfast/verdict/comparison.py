"""Whether another model than the one that decides would judge better: on the same releases, beyond chance."""

import math
from collections.abc import Sequence
from typing import Final, Literal

from pydantic import BaseModel, Field

from holdfast.verdict.scores import Judged, ModelScore, score
from holdfast.verdict.words import decimals_or_dash

MINIMUM_LABELLED: Final = 20
"""Labelled releases that both models judged, below which nothing is recommended."""

MINIMUM_BAD: Final = 5
"""How many of those must be bad: without bad releases a model that never stops anything looks perfect."""

SIGNIFICANCE: Final = 0.05
"""A p-value below it counts as beyond chance."""


class Agreement(BaseModel):
    """How often a challenger did what the champion did, on the releases that both judged.

    Attributes:
        both_stopped, only_champion, only_challenger, neither: releases, labelled or not.
        percent: of the releases, on which both did the same; None without any.
        champion_right, challenger_right: of the labelled ones on which they differed. A stop of a bad release
            and no stop of a good one is right.
        cut_short: of `only_champion`, those that ended with the champion's rollback: the challenger had no
            time to stop later. They count for the champion.
        p_value: of the exact two-sided sign test on those two numbers; 1 where they never differed.
    """

    both_stopped: int
    only_champion: int
    only_challenger: int
    neither: int
    percent: float | None
    champion_right: int
    challenger_right: int
    cut_short: int
    p_value: float


class Challenge(BaseModel):
    """One challenger against the champion; both scores are on the releases that both judged."""

    challenger: ModelScore
    champion: ModelScore
    agreement: Agreement

    @property
    def labelled(self) -> int:
        """How many labelled releases both judged."""
        return self.challenger.labelled

    @property
    def bad(self) -> int:
        """How many of those were bad."""
        return self.challenger.bad

    @property
    def missing_labelled(self) -> int:
        """How many more labelled releases are needed before anything is recommended."""
        return max(0, MINIMUM_LABELLED - self.labelled, self.missing_bad)

    @property
    def missing_bad(self) -> int:
        """How many of those must be bad."""
        return max(0, MINIMUM_BAD - self.bad)


class Recommendation(BaseModel):
    """What a person should do about the deciding model; nothing is ever switched by itself.

    Attributes:
        decision: `wait` where labels are missing, `add_challenger` where nothing judges beside the champion,
            `nothing_judged` where there are no releases.
        model: the model that should decide.
        missing_labelled, missing_bad: releases to label, and how many of them bad, before there can be another.
        words: for a person, with the line of the runbook file to edit where there is one.
    """

    decision: Literal["keep", "switch", "wait", "add_challenger", "nothing_judged"]
    model: str
    words: str
    missing_labelled: int = 0
    missing_bad: int = 0


class Comparison(BaseModel):
    """All models that judged the same releases.

    Attributes:
        champion: the model that decides; empty where nothing was judged.
        releases, labelled, bad: how many there are; `bad` of the labelled ones.
        scores: of each model on all labelled releases that it judged, the champion first, then the best F1.
        challenges: one a challenger, in the same order.
        to_label: ids of the releases without a label, first those on which the models differ: those decide.
    """

    champion: str
    releases: int
    labelled: int
    bad: int
    scores: list[ModelScore]
    challenges: list[Challenge]
    recommendation: Recommendation
    to_label: list[str] = Field(default_factory=list[str])


def compare(judged: Sequence[Judged], champion: str) -> Comparison:
    """Compare every model that judged these releases with the champion.

    A challenger is set against the champion on the releases that both judged. Switching is recommended only to
    one whose F1 is higher, that would have rolled back no more good releases without asking, and that was right
    more often where the two differed than chance explains (`SIGNIFICANCE`).

    Args:
        judged: the releases, labelled or not, in any order.
        champion: the model that decides; empty where none does.
    """
    models = {model for j in judged for model in j.stops} - {champion}
    scores = {model: score(judged, model) for model in models}
    ranked = sorted(models, key=lambda model: (-(scores[model].f1 or 0), model))
    challenges = [_challenge(judged, champion, model) for model in ranked if champion]
    ours = [score(judged, champion, deciding=True)] if champion else []
    labels = [j.label for j in judged if j.label is not None]
    return Comparison(
        champion=champion,
        releases=len(judged),
        labelled=len(labels),
        bad=labels.count("bad"),
        scores=[*ours, *(scores[model] for model in ranked)],
        challenges=challenges,
        recommendation=_recommend(champion, challenges, judged=len(judged)),
        to_label=_to_label(judged),
    )


def sign_test(ours: int, theirs: int) -> float:
    """Return the two-sided p-value that a fair coin falls as unevenly as this, or more.

    It is the exact form of McNemar's test (Psychometrika 12, 1947): `ours` and `theirs` count the releases on
    which only the one classifier was right, and only the other.
    """
    total = ours + theirs
    tail = sum(math.comb(total, k) for k in range(min(ours, theirs) + 1))
    return min(1.0, 2 * tail / (1 << total))


def _challenge(judged: Sequence[Judged], champion: str, challenger: str) -> Challenge:
    common = [j for j in judged if champion in j.stops and challenger in j.stops]
    return Challenge(
        challenger=score(common, challenger),
        champion=score(common, champion, deciding=True),
        agreement=_agreement(common, champion, challenger),
    )


def _agreement(common: Sequence[Judged], champion: str, challenger: str) -> Agreement:
    pairs = [(j, j.stops[champion] is not None, j.stops[challenger] is not None) for j in common]
    stopped = [(ours, theirs) for _, ours, theirs in pairs]
    differing = [(j, ours, theirs) for j, ours, theirs in pairs if ours != theirs]
    right = [ours == (j.label == "bad") for j, ours, _ in differing if j.label is not None]
    same = len(pairs) - len(differing)
    return Agreement(
        both_stopped=stopped.count((True, True)),
        only_champion=stopped.count((True, False)),
        only_challenger=stopped.count((False, True)),
        neither=stopped.count((False, False)),
        percent=100 * same / len(pairs) if pairs else None,
        champion_right=right.count(True),
        challenger_right=right.count(False),
        cut_short=sum(_cut_short(j, champion) for j, ours, _ in differing if ours),
        p_value=sign_test(right.count(True), right.count(False)),
    )


def _cut_short(judged: Judged, champion: str) -> bool:
    stop = judged.stops[champion]
    if stop is None or stop.rolled_back_at is None:
        return False
    return stop.rolled_back_at >= judged.observed_minutes or math.isclose(
        stop.rolled_back_at, judged.observed_minutes
    )


def _recommend(champion: str, challenges: Sequence[Challenge], *, judged: int) -> Recommendation:
    if not judged or not champion:
        words = "No release was judged yet: nothing to compare."
        return Recommendation(decision="nothing_judged", model=champion, words=words)
    if not challenges:
        words = (
            f"No model judges beside {champion}. Let one: in the runbook file, under 'scoring:', write a line "
            "like 'shadow: [attributed]'. A shadow decides nothing."
        )
        return Recommendation(decision="add_challenger", model=champion, words=words)
    enough = [c for c in challenges if not c.missing_labelled]
    if not enough:
        return _wait(champion, min(challenges, key=lambda c: (c.missing_labelled, c.missing_bad)))
    better = [c for c in enough if not _objections(c)]
    return _switch(champion, better[0]) if better else _keep(champion, challenges)


def _wait(champion: str, nearest: Challenge) -> Recommendation:
    missing, bad = nearest.missing_labelled, nearest.missing_bad
    of_them = f", at least {bad} of them bad" if bad else ""
    words = (
        f"Keep {champion} for now: not enough labelled releases yet. {champion} and {nearest.challenger.model} "
        f"both judged {nearest.labelled} labelled ones, {nearest.bad} of them bad; {missing} more are "
        f"needed{of_them}. After a release is reviewed: holdfast verdict label RUN STAGE good|bad --as NAME"
    )
    return Recommendation(
        decision="wait", model=champion, words=words, missing_labelled=missing, missing_bad=bad
    )


def _switch(champion: str, best: Challenge) -> Recommendation:
    model, agreement = best.challenger.model, best.agreement
    differed = agreement.challenger_right + agreement.champion_right
    ours, theirs = decimals_or_dash(best.challenger.f1), decimals_or_dash(best.champion.f1)
    words = (
        f"Switch to {model}: F1 {ours} against {theirs} on "
        f"{best.labelled} labelled releases; right on {agreement.challenger_right} of the {differed} where "
        f"they differed (p = {agreement.p_value:.2g}); {best.challenger.auto_rollbacks_of_good} automatic "
        f"rollbacks of good releases against {best.champion.auto_rollbacks_of_good}. A person does it: in the "
        f"runbook file, under 'scoring:', write the line 'model: {model}', and put {champion} into 'shadow:' "
        f"in place of {model}, so that it is still compared."
    )
    return Recommendation(decision="switch", model=model, words=words)


def _keep(champion: str, challenges: Sequence[Challenge]) -> Recommendation:
    reasons = [f"{c.challenger.model}: {', '.join(_objections(c))}." for c in challenges]
    return Recommendation(decision="keep", model=champion, words=" ".join([f"Keep {champion}.", *reasons]))


def _objections(challenge: Challenge) -> list[str]:
    """Say what speaks against a challenger; nothing where it should decide."""
    ours, theirs, agreement = challenge.challenger, challenge.champion, challenge.agreement
    if challenge.missing_labelled:
        return [f"{challenge.missing_labelled} labelled releases are missing"]
    objections: list[str] = []
    if (ours.f1 or 0) <= (theirs.f1 or 0):
        objections.append(
            f"its F1 is not higher ({decimals_or_dash(ours.f1)} against {decimals_or_dash(theirs.f1)})"
        )
    if ours.auto_rollbacks_of_good > theirs.auto_rollbacks_of_good:
        rollbacks = f"{ours.auto_rollbacks_of_good} against {theirs.auto_rollbacks_of_good}"
        objections.append(f"it would have rolled back more good releases without asking ({rollbacks})")
    return [*objections, *_by_chance(agreement)]


def _by_chance(agreement: Agreement) -> list[str]:
    ours, theirs = agreement.challenger_right, agreement.champion_right
    right = f"{ours} of the {ours + theirs} where they differed"
    if not ours + theirs:
        return ["they never differed on a labelled release"]
    if ours <= theirs:
        return [f"it was right on only {right}"]
    if agreement.p_value >= SIGNIFICANCE:
        return [f"it was right on {right}, which can be chance (p = {agreement.p_value:.2g})"]
    return []


def _to_label(judged: Sequence[Judged]) -> list[str]:
    unlabelled = [j for j in judged if j.label is None]
    return [j.id for j in sorted(unlabelled, key=_agreed)]


def _agreed(judged: Judged) -> bool:
    return len({stop is not None for stop in judged.stops.values()}) <= 1
