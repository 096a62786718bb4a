"""Replaying releases, and choosing settings on some to score them on others."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.errors import UnknownName
from holdfast.verdict.backtest import (
    ChosenSettings,
    Trial,
    backtest,
    candidates,
    held_out,
    outcomes_of,
    replay,
    report,
    settings_of,
    timeline,
    trials,
)
from holdfast.verdict.models import MODELS, model_named
from holdfast.verdict.observation import Baseline, NoData, Observation, Outcome
from holdfast.verdict.releases import PastQuery, PastWindow, Release, release_of, summarised
from holdfast.verdict.scores import Judged, Label, Stop
from holdfast.verdict.settings import Metric, Scoring, Threshold

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MODEL_NAMES = tuple(MODELS)
# Errors weigh everything, so that every model can roll back on them alone; 5 points are allowed.
SCORING = Scoring(
    model="attributed",
    shadow=("weighted", "judge", "weighted-seed"),
    metrics={
        "errors": Metric(weight_percent=100, query="q", threshold=Threshold(points=5), veto="rollback"),
    },
)
GOOD, WORSE, BAD = 0.0, 4.0, 60.0  # green, yellow, red


def a_release(*errors: float, label: Label | None = "good", **changes: Any) -> Release:
    before = {NOON - timedelta(minutes=n): 0.0 for n in range(10, 0, -1)}
    signal = summarised("q", before, minimum_points=5)
    release = Release(
        id="one",
        case="one",
        day="2026-03-02",
        service="cart",
        label=label,
        fault="",
        replicas=5,
        started_at=NOON,
        observed_minutes=len(errors),
        baseline=Baseline(taken_at=NOON, wanted_seconds=600, covered_seconds=600, signals={"errors": [signal]}),
        observations=[
            Observation(
                at=NOON + timedelta(minutes=minute),
                share_percent=20,
                values={"errors": [error]},
                control={"errors": [0.0]},
            )
            for minute, error in enumerate(errors, start=1)
        ],
    )
    return replace(release, **changes)


def judged(name: str, *, day: str, label: Label, stopped: bool, rolls_back: bool = False) -> Judged:
    stop = Stop(minutes=3, outcome=Outcome.PAUSE, rolled_back_at=3 if rolls_back else None)
    return Judged(id=name, day=day, service=name, label=label, stops={"weighted": stop if stopped else None})


def a_trial(number: int, *found: Judged) -> Trial:
    return Trial(settings_of(SCORING).model_copy(update={"silent_minutes": number}), list(found))


@pytest.mark.parametrize("model", MODEL_NAMES)
def test_a_healthy_release_is_let_through_by_every_model(model: str) -> None:
    assert replay(a_release(*[GOOD] * 30), SCORING, [model]).stops == {model: None}


@pytest.mark.parametrize("model", MODEL_NAMES)
def test_a_failing_release_is_stopped_by_every_model_with_its_reason(model: str) -> None:
    stop = replay(a_release(*[BAD] * 30), SCORING, [model]).stops[model]
    assert stop
    assert stop.outcome is Outcome.ROLLBACK
    assert stop.rolled_back_at == stop.minutes
    assert "60" in stop.reason


def test_the_first_stop_and_the_first_rollback_are_told_apart() -> None:
    stop = replay(a_release(GOOD, WORSE, WORSE, BAD, GOOD), SCORING, ["weighted-seed"]).stops["weighted-seed"]
    assert stop
    assert (stop.outcome, stop.minutes, stop.rolled_back_at) == (Outcome.PAUSE, 2, 4)


def test_a_release_keeps_what_people_said_of_it() -> None:
    release = a_release(BAD, label="bad", fault="config", service="tax", day="2026-03-05", id="x/tax")
    found = replay(release, SCORING, [])
    assert found == Judged(
        id="x/tax", service="tax", day="2026-03-05", observed_minutes=1, label="bad", fault="config"
    )


@given(
    errors=st.lists(st.sampled_from([GOOD, WORSE, BAD, 10.0]), min_size=1, max_size=25),
    cut=st.integers(1, 25),
    model=st.sampled_from(MODEL_NAMES),
)
def test_no_model_looks_ahead(errors: list[float], cut: int, model: str) -> None:
    whole = outcomes_of(a_release(*errors), SCORING, model)
    assert outcomes_of(a_release(*errors[:cut]), SCORING, model) == whole[:cut]


@given(
    errors=st.lists(st.sampled_from([GOOD, WORSE, BAD, 10.0]), min_size=1, max_size=15),
    model=st.sampled_from(MODEL_NAMES),
)
def test_a_replay_says_what_the_live_verdicts_would_have_said(errors: list[float], model: str) -> None:
    release = a_release(*errors)
    live = [
        model_named(model).verdict(SCORING, release.baseline, release.observations[:end]).outcome
        for end in range(1, len(errors) + 1)
    ]
    assert outcomes_of(release, SCORING, model) == live


def test_the_timeline_has_every_minute_of_every_model() -> None:
    minutes = timeline(a_release(GOOD, BAD), SCORING, ["weighted-seed", "weighted"])
    assert [m.minutes for m in minutes] == [1, 2]
    assert [m.outcomes["weighted-seed"] for m in minutes] == [Outcome.CONTINUE, Outcome.ROLLBACK]
    assert all(set(m.outcomes) == {"weighted-seed", "weighted"} for m in minutes)


def test_progress_is_told_release_by_release() -> None:
    told: list[tuple[int, int]] = []
    releases = [a_release(GOOD, id="a"), a_release(BAD, id="b")]
    found = backtest(releases, SCORING, ["weighted-seed"], lambda done, total: told.append((done, total)))
    assert [j.id for j in found] == ["a", "b"]
    assert told == [(1, 2), (2, 2)]


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(UnknownName, match="unknown scoring model 'oracle'; known: attributed"):
        replay(a_release(GOOD), SCORING, ["oracle"])


def test_the_given_settings_are_the_first_candidate_and_no_other_is_the_same() -> None:
    tried = candidates(SCORING)
    assert tried[0] is SCORING
    chosen = [settings_of(scoring) for scoring in tried]
    assert len({c.model_dump_json() for c in chosen}) == len(tried) >= 30
    assert [_changed(c, chosen[0]) for c in chosen] == sorted(_changed(c, chosen[0]) for c in chosen)


def _changed(one: ChosenSettings, other: ChosenSettings) -> int:
    return sum(a != b for a, b in zip(one.model_dump().values(), other.model_dump().values(), strict=True))


def test_candidates_are_settings_that_a_runbook_could_hold() -> None:
    for scoring in candidates(SCORING):
        assert Scoring.model_validate(scoring.model_dump()) == scoring


def test_only_labelled_releases_are_tried() -> None:
    releases = [a_release(BAD, id="known"), a_release(BAD, id="unknown", label=None)]
    (made,) = trials(releases, "weighted", [SCORING])
    assert [j.id for j in made.judged] == ["known"]


def test_settings_are_chosen_without_the_group_that_they_are_scored_on() -> None:
    # Each candidate is right on one day and wrong on the other, so whoever may look at the day gets it right.
    days = {"mon": "bad-mon", "tue": "bad-tue"}
    made = [
        a_trial(
            number,
            *(judged(name, day=day, label="bad", stopped=day == right) for day, name in days.items()),
            *(judged(f"good-{day}", day=day, label="good", stopped=day != right) for day in days),
        )
        for number, right in enumerate(days, start=1)
    ]
    held = held_out(made, "day", "weighted")
    assert held
    assert {day: chosen.silent_minutes for day, chosen in held.chosen.items()} == {"mon": 2, "tue": 1}
    assert (held.score.true_positives, held.score.false_positives) == (0, 2)


def test_of_equals_the_one_that_rolls_back_fewer_good_ones_is_chosen_then_the_first() -> None:
    def day(name: str, *, rolls_back: bool) -> list[Judged]:
        return [
            judged(f"b{name}", day=name, label="bad", stopped=True),
            judged(f"g{name}", day=name, label="good", stopped=True, rolls_back=rolls_back),
        ]

    made = [
        a_trial(n, *day("mon", rolls_back=rolls), *day("tue", rolls_back=rolls))
        for n, rolls in enumerate((True, False, False))
    ]
    held = held_out(made, "day", "weighted")
    assert held
    assert {chosen.silent_minutes for chosen in held.chosen.values()} == {1}


@pytest.mark.parametrize("days", [[], ["mon"]])
def test_one_group_leaves_nothing_to_choose_on(days: list[str]) -> None:
    releases = [a_release(GOOD, day=day) for day in days]
    assert held_out(trials(releases, "weighted", [SCORING]), "day", "weighted") is None


def test_every_release_is_scored_once_by_cross_validation() -> None:
    ends: list[tuple[float, Label]] = [(BAD, "bad"), (GOOD, "good")]
    releases = [
        a_release(*[error] * 8, id=f"{day}/{label}", day=day, label=label)
        for day in ("mon", "tue", "wed")
        for error, label in ends
    ]
    held = held_out(trials(releases, "weighted", candidates(SCORING)[:4]), "day", "weighted")
    assert held
    assert (held.score.true_positives, held.score.true_negatives, held.score.f1) == (3, 3, 1.0)
    assert list(held.chosen) == ["mon", "tue", "wed"]


def test_a_report_scores_every_model_and_validates_the_one_that_decides() -> None:
    releases = [
        a_release(*[BAD] * 8, id="a", label="bad", day="mon"),
        a_release(*[GOOD] * 8, id="b", day="tue"),
        a_release(*[GOOD] * 8, id="c", day="tue", label=None),
    ]
    found = report(releases, SCORING, ["attributed", "weighted"])
    assert found.deciding.model == "attributed"
    assert [(s.model, s.f1) for s in found.scores] == [("attributed", 1.0), ("weighted", 1.0)]
    assert (found.labelled("bad"), found.labelled("good"), len(found.judged)) == (1, 1, 3)
    assert set(found.validations) == {"day"}
    assert report(releases, SCORING, ["attributed"], cross_validate=False).validations == {}


def test_a_past_window_becomes_a_release_with_silence_told_apart() -> None:
    query = PastQuery(
        query="q",
        before={NOON - timedelta(minutes=n): 1.0 for n in range(10, 0, -1)},
        canary={0: 3.0},
        control={0: 1.0, 1: 1.0},
    )
    past = PastWindow(
        name="surge",
        service="",
        started_at=NOON,
        times=[NOON + timedelta(minutes=n) for n in (1, 2, 3)],
        interval=timedelta(minutes=1),
        share_percent=5,
        metrics={"errors": [query]},
        step=timedelta(minutes=1),
        canary_requests={0: 60.0},
        control_requests={},
    )
    release = release_of(past, SCORING, "bad")
    assert [o.values["errors"] for o in release.observations] == [
        [3.0],
        [NoData.CANARY_SILENT],
        [NoData.BOTH_SILENT],
    ]
    assert release.observations[2].control == {"errors": [NoData.BOTH_SILENT]}
    assert [o.canary_requests for o in release.observations] == [60.0, None, None]
    assert (release.label, release.observed_minutes, release.baseline.covered_seconds) == ("bad", 3, 600)
    assert release.baseline.signals["errors"][0].mean == 1
