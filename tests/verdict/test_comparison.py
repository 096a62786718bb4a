from typing import Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from holdfast.verdict.comparison import MINIMUM_BAD, MINIMUM_LABELLED, Comparison, compare, sign_test
from holdfast.verdict.observation import Outcome
from holdfast.verdict.scores import Judged, Label, Stop

CHAMPION, CHALLENGER = "weighted", "attributed"
Stopped = Literal["champion", "challenger", "both", "neither"]


def a_stop(*, rolls_back: bool = False) -> Stop:
    outcome = Outcome.ROLLBACK if rolls_back else Outcome.PAUSE
    return Stop(minutes=5, outcome=outcome, rolled_back_at=5 if rolls_back else None)


def releases(count: int, label: Label | None, stopped_by: Stopped, **changes: object) -> list[Judged]:
    """Return releases with this label that were stopped by the one, the other, both or neither."""
    stops = {
        CHAMPION: a_stop() if stopped_by in {"champion", "both"} else None,
        CHALLENGER: a_stop() if stopped_by in {"challenger", "both"} else None,
    }
    fields = {"id": "r", "label": label, "stops": stops, "observed_minutes": 60, **changes}
    return [Judged.model_validate(fields)] * count


def better_challenger(caught: int) -> list[Judged]:
    """Return twelve good releases that both let through, and bad ones that only the challenger caught."""
    return [
        *releases(12, "good", "neither"),
        *releases(2, "bad", "both"),
        *releases(caught, "bad", "challenger"),
    ]


def decided(judged: list[Judged], champion: str = CHAMPION) -> tuple[str, str]:
    recommendation = compare(judged, champion).recommendation
    return recommendation.decision, recommendation.model


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_sign_test_is_the_exact_binomial_test(ours: int, theirs: int) -> None:
    expected = binomtest(ours, ours + theirs).pvalue if ours + theirs else 1.0
    assert sign_test(ours, theirs) == pytest.approx(expected)


def test_the_sign_test_takes_numbers_that_no_float_holds() -> None:
    assert sign_test(3000, 1000) < 1e-200
    assert sign_test(2000, 2000) == 1


def test_a_challenger_that_is_better_beyond_chance_is_recommended_with_the_line_to_write() -> None:
    recommendation = compare(better_challenger(caught=8), CHAMPION).recommendation

    assert (recommendation.decision, recommendation.model) == ("switch", CHALLENGER)
    assert "F1 1.00 against 0.33 on 22 labelled releases" in recommendation.words
    assert "right on 8 of the 8 where they differed (p = 0.0078)" in recommendation.words
    assert "under 'scoring:', write the line 'model: attributed'" in recommendation.words


def test_a_difference_that_may_be_chance_changes_nothing() -> None:
    judged = better_challenger(caught=5) + releases(5, "bad", "both")
    recommendation = compare(judged, CHAMPION).recommendation

    assert (recommendation.decision, recommendation.model) == ("keep", CHAMPION)
    assert "which can be chance (p = 0.062)" in recommendation.words
    assert decided(judged + releases(1, "bad", "challenger")) == ("switch", CHALLENGER)


def test_a_challenger_that_would_roll_back_more_good_releases_is_not_recommended() -> None:
    hasty = {CHAMPION: None, CHALLENGER: a_stop(rolls_back=True)}
    judged = better_challenger(caught=12) + releases(1, "good", "challenger", stops=hasty)
    recommendation = compare(judged, CHAMPION).recommendation

    assert recommendation.decision == "keep"
    assert "rolled back more good releases without asking (1 against 0)" in recommendation.words
    asked = better_challenger(caught=12) + releases(1, "good", "challenger")
    assert decided(asked) == ("switch", CHALLENGER)


def test_a_challenger_that_is_right_more_often_but_has_no_higher_f1_is_not_recommended() -> None:
    quiet = [
        *releases(40, "good", "champion"),
        *releases(12, "bad", "champion"),
        *releases(6, "bad", "both"),
        *releases(3, "bad", "neither"),
    ]
    comparison = compare(quiet, CHAMPION)
    recommendation = comparison.recommendation

    assert comparison.challenges[0].agreement.p_value < 0.05
    assert recommendation.decision == "keep"
    assert recommendation.words == "Keep weighted. attributed: its F1 is not higher (0.44 against 0.46)."


def test_two_that_never_differ_keep_the_champion() -> None:
    judged = releases(15, "good", "neither") + releases(5, "bad", "both")

    assert decided(judged) == ("keep", CHAMPION)
    assert "they never differed on a labelled release" in compare(judged, CHAMPION).recommendation.words


@pytest.mark.parametrize(
    ("good", "bad", "missing", "missing_bad"), [(0, 0, 20, 5), (15, 4, 1, 1), (30, 2, 3, 3), (10, 6, 4, 0)]
)
def test_too_few_labels_are_counted(good: int, bad: int, missing: int, missing_bad: int) -> None:
    judged = [
        *releases(good, "good", "champion"),
        *releases(bad, "bad", "challenger"),
        *releases(50, None, "champion"),
    ]
    recommendation = compare(judged, CHAMPION).recommendation

    assert (recommendation.decision, recommendation.model) == ("wait", CHAMPION)
    assert (recommendation.missing_labelled, recommendation.missing_bad) == (missing, missing_bad)
    assert f"{missing} more are needed" in recommendation.words
    assert ("of them bad. After" in recommendation.words) == bool(missing_bad)


def test_a_challenger_with_enough_labels_is_recommended_beside_one_without() -> None:
    young = {CHAMPION: None, CHALLENGER: a_stop(), "judge": a_stop()}
    judged = better_challenger(caught=12) + releases(3, "bad", "challenger", stops=young)

    assert decided(judged) == ("switch", CHALLENGER)


def test_the_two_are_compared_only_on_what_both_judged() -> None:
    alone = releases(40, "bad", "neither", stops={CHAMPION: None})
    comparison = compare(better_challenger(caught=8) + alone, CHAMPION)
    [challenge] = comparison.challenges

    assert comparison.scores[0].false_negatives == 48
    assert (challenge.champion.false_negatives, challenge.labelled, challenge.bad) == (8, 22, 10)


def test_agreement_counts_labelled_and_unlabelled_releases() -> None:
    judged = [
        *releases(6, None, "both"),
        *releases(1, "bad", "champion"),
        *releases(2, "good", "champion"),
        *releases(1, None, "challenger"),
    ]
    agreement = compare(judged, CHAMPION).challenges[0].agreement

    assert (agreement.both_stopped, agreement.only_champion, agreement.only_challenger) == (6, 3, 1)
    assert (agreement.neither, agreement.percent) == (0, 60)
    assert (agreement.champion_right, agreement.challenger_right) == (1, 2)
    assert agreement.p_value == 1


def test_a_challenger_is_told_to_have_had_no_time_where_the_champion_rolled_back() -> None:
    rolled_back = {CHAMPION: a_stop(rolls_back=True), CHALLENGER: None}
    judged = [
        *releases(2, "bad", "champion", stops=rolled_back, observed_minutes=5),
        *releases(1, "bad", "champion", stops=rolled_back, observed_minutes=90),
        *releases(1, "bad", "champion", observed_minutes=5),
    ]

    assert compare(judged, CHAMPION).challenges[0].agreement.cut_short == 2


def test_the_champion_comes_first_and_then_the_best_f1() -> None:
    stops = {CHAMPION: None, "judge": a_stop(), "attributed": None, "weighted-seed": a_stop()}
    comparison = compare(releases(3, "bad", "neither", stops=stops), CHAMPION)

    ordered = [CHAMPION, "judge", "weighted-seed", "attributed"]
    assert [score.model for score in comparison.scores] == ordered
    assert [score.deciding for score in comparison.scores] == [True, False, False, False]
    assert [challenge.challenger.model for challenge in comparison.challenges] == ordered[1:]


def test_releases_on_which_models_differ_are_to_be_labelled_first() -> None:
    judged = [
        *releases(1, None, "both", id="a"),
        *releases(1, None, "challenger", id="b"),
        *releases(1, "bad", "challenger", id="c"),
        *releases(1, None, "champion", id="d"),
    ]

    assert compare(judged, CHAMPION).to_label == ["b", "d", "a"]


def test_without_a_challenger_one_is_told_how_to_get_one() -> None:
    recommendation = compare(releases(1, "bad", "champion", stops={CHAMPION: None}), CHAMPION).recommendation

    assert (recommendation.decision, recommendation.model) == ("add_challenger", CHAMPION)
    assert "'shadow: [attributed]'" in recommendation.words


def test_without_releases_there_is_nothing_to_compare() -> None:
    assert decided([], "") == ("nothing_judged", "")
    assert compare([], "").scores == []


Drawn = list[tuple[Label | None, Stopped, bool]]
drawn_releases = st.lists(
    st.tuples(st.sampled_from((*get_args(Label), None)), st.sampled_from(get_args(Stopped)), st.booleans()),
    min_size=1,
    max_size=80,
)


def judged_by(drawn: Drawn, *, swapped: bool = False) -> Comparison:
    names = (CHALLENGER, CHAMPION) if swapped else (CHAMPION, CHALLENGER)
    judged = [
        Judged(
            id=str(number),
            label=label,
            stops={
                names[0]: a_stop(rolls_back=rolls_back) if stopped in {"champion", "both"} else None,
                names[1]: a_stop(rolls_back=rolls_back) if stopped in {"challenger", "both"} else None,
            },
        )
        for number, (label, stopped, rolls_back) in enumerate(drawn)
    ]
    return compare(judged, CHAMPION)


@given(drawn_releases)
def test_of_two_models_at_most_one_way_of_switching_is_ever_recommended(drawn: Drawn) -> None:
    both = [judged_by(drawn, swapped=swapped) for swapped in (False, True)]
    decisions = [comparison.recommendation.decision for comparison in both]

    assert decisions.count("switch") <= 1
    if "switch" in decisions:
        assert both[0].labelled >= MINIMUM_LABELLED
        assert both[0].bad >= MINIMUM_BAD


@given(drawn_releases)
def test_agreement_adds_up(drawn: Drawn) -> None:
    there, back = (judged_by(drawn, swapped=swapped).challenges[0].agreement for swapped in (False, True))

    assert there.both_stopped + there.only_champion + there.only_challenger + there.neither == len(drawn)
    assert (there.only_champion, there.champion_right) == (back.only_challenger, back.challenger_right)
    assert (there.percent, there.p_value) == (back.percent, back.p_value)
