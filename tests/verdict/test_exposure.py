from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from holdfast.domain.errors import InvalidInput
from holdfast.domain.view import ExposedShare
from holdfast.verdict.exposure import CausedExposure, Detection, PlannedExposure, planned, summed

MINUTE = timedelta(minutes=1)

SHARES = st.lists(st.integers(1, 100), min_size=1, max_size=5)
TRAFFIC = st.floats(0, 1e6)
MET = st.lists(st.tuples(st.sampled_from((5, 25, 50, 100)), st.floats(0, 1e6), st.floats(0, 1e6)), max_size=8)
DETECTIONS = st.builds(
    Detection,
    settle=st.timedeltas(timedelta(0), timedelta(hours=1)),
    interval=st.timedeltas(timedelta(seconds=1), timedelta(minutes=10)),
    bad_in_a_row=st.integers(1, 10),
    silent_in_a_row=st.integers(0, 10),
    reaction=st.timedeltas(timedelta(0), timedelta(hours=1)),
)


# --- before the start ---------------------------------------------------------------------------------------


def test_a_plan_says_its_worst_case_in_words_with_units() -> None:
    plan = planned((5, 25), 1000, Detection(settle=2 * MINUTE, bad_in_a_row=3))

    assert plan.words == (
        "at most 1,250 bad user-minutes: 25 % of 1,000 users/min for 5 min (settle 2 min + 3 verdicts of 1 min)"
    )
    assert [(s.share_percent, s.bad_user_minutes, s.at_the_latest) for s in plan.steps] == [
        (5, 250, 5 * MINUTE),
        (25, 1250, 5 * MINUTE),
    ]
    assert plan.worst == plan.steps[1]


def test_a_silent_canary_is_the_worst_path_where_more_patience_is_had_with_it() -> None:
    detection = Detection(settle=2 * MINUTE, bad_in_a_row=2, silent_in_a_row=5, reaction=MINUTE / 2)

    assert planned((100,), 37.5, detection).words == (
        "at most 282 bad user-minutes: 100 % of 37.5 users/min for 7 min 30 s "
        "(settle 2 min + 5 verdicts of 1 min without data + rollback 30 s)"
    )


def test_less_patience_with_silence_than_with_badness_shortens_nothing() -> None:
    assert Detection(bad_in_a_row=3, silent_in_a_row=1).describe() == "3 verdicts of 1 min"


def test_a_bound_is_rounded_up_and_a_single_one_is_singular() -> None:
    plan = planned((1,), 3, Detection(interval=timedelta(hours=1)))

    assert plan.words.startswith("at most 2 bad user-minutes: 1 % of 3 users/min for 1 h (1 verdict of 1 h)")
    assert planned((1,), 1, Detection()).words.startswith("at most 1 bad user-minute:")


@pytest.mark.parametrize(
    ("users", "bad_in_a_row", "told"),
    [
        (1000.0, 3, "750 bad user-minutes (25 % of 1,000 users/min for 3 min)"),
        (37.5, 1, "10 bad user-minutes (25 % of 38 users/min for 1 min)"),
        (4.0, 1, "1 bad user-minute (25 % of 4 users/min for 1 min)"),
        (0.0, 1, "0 bad user-minutes (25 % of 0 users/min for 1 min)"),
    ],
)
def test_briefly_a_plan_says_its_worst_case_rounded_up(users: float, bad_in_a_row: int, told: str) -> None:
    assert planned((5, 25), users, Detection(bad_in_a_row=bad_in_a_row)).briefly == told


def test_a_plan_that_was_never_made_says_briefly_that_nobody_is_exposed() -> None:
    assert PlannedExposure().briefly == "0 bad user-minutes (0 % of 0 users/min for 0 s)"


@pytest.mark.parametrize(
    ("shares", "users", "text"),
    [
        ((), 10, "shares_percent: give at least one share"),
        ((5, 101), 10, "shares_percent: a share is 1 to 100, not 101"),
        ((0,), 10, "shares_percent: a share is 1 to 100, not 0"),
        ((5,), -1, "users_per_minute: must be 0 or more, not -1"),
        ((5,), float("nan"), "users_per_minute: must be 0 or more, not nan"),
        ((5,), float("inf"), "users_per_minute: must be 0 or more, not inf"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_by_field(shares: Sequence[int], users: float, text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        planned(shares, users, Detection())

    assert str(refused.value) == text


@pytest.mark.parametrize(
    "wrong", [{"interval": timedelta(0)}, {"settle": -MINUTE}, {"bad_in_a_row": 0}, {"reaction": -MINUTE}]
)
def test_a_detection_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Detection(**wrong)


@given(SHARES, TRAFFIC, DETECTIONS)
def test_the_worst_step_is_the_largest_share_and_every_step_is_listed(
    shares: list[int], users: float, detection: Detection
) -> None:
    plan = planned(shares, users, detection)

    assert [step.share_percent for step in plan.steps] == shares
    assert plan.worst in plan.steps
    assert all(step.bad_user_minutes <= plan.worst.bad_user_minutes for step in plan.steps)
    assert plan.worst.share_percent == max(shares)


@given(SHARES, TRAFFIC, DETECTIONS, st.data())
def test_more_share_traffic_or_time_never_means_less_exposure(
    shares: list[int], users: float, detection: Detection, data: st.DataObject
) -> None:
    more_shares = [data.draw(st.integers(share, 100)) for share in shares]
    more_users = data.draw(st.floats(users, 2e6))
    slower = detection.model_copy(
        update={
            "settle": detection.settle + data.draw(st.timedeltas(timedelta(0), MINUTE)),
            "interval": detection.interval + data.draw(st.timedeltas(timedelta(0), MINUTE)),
            "bad_in_a_row": detection.bad_in_a_row + data.draw(st.integers(0, 3)),
            "silent_in_a_row": detection.silent_in_a_row + data.draw(st.integers(0, 3)),
            "reaction": detection.reaction + data.draw(st.timedeltas(timedelta(0), MINUTE)),
        }
    )

    least = planned(shares, users, detection).worst.bad_user_minutes

    assert planned(more_shares, users, detection).worst.bad_user_minutes >= least
    assert planned(shares, more_users, detection).worst.bad_user_minutes >= least
    assert planned(shares, users, slower).worst.bad_user_minutes >= least


@given(SHARES, DETECTIONS)
def test_nobody_there_means_no_exposure(shares: list[int], detection: Detection) -> None:
    assert planned(shares, 0, detection).worst.bad_user_minutes == 0


# --- afterwards ---------------------------------------------------------------------------------------------


def test_what_was_caused_is_split_by_share_and_written_in_words() -> None:
    found = summed([(25, 250, 250), (5, 50, 0), (5, 50, 10), (25, 250, 250)])

    assert found.by_share == (
        ExposedShare(share_percent=5, on_canary=100, bad=10),
        ExposedShare(share_percent=25, on_canary=500, bad=500),
    )
    assert (found.on_canary, found.bad) == (600, 510)
    assert found.words == "510 bad user-minutes of 600 on the canary (5 %: 10 of 100, 25 %: 500 of 500)"


def test_what_was_caused_is_rounded_to_whole_user_minutes_and_a_single_one_is_singular() -> None:
    assert summed([(5, 1999.6, 1.4)]).words == "1 bad user-minute of 2,000 on the canary (5 %: 1 of 2,000)"


def test_nobody_harmed_is_said_of_those_who_were_counted() -> None:
    assert summed([(5, 40, 0)]).words == "0 bad user-minutes of 40 on the canary (5 %: 0 of 40)"


@pytest.mark.parametrize("met", [[], [(5, 0.0, 0.0)]])
def test_nobody_counted_is_not_written_as_nobody_harmed(met: list[tuple[int, float, float]]) -> None:
    assert summed(met).words == "no user-minute on the canary was counted"


@given(MET)
def test_a_share_is_listed_once_the_smallest_first_and_nobody_is_lost(
    met: list[tuple[int, float, float]],
) -> None:
    found = summed(met)

    assert [share.share_percent for share in found.by_share] == sorted({percent for percent, _, _ in met})
    assert found.on_canary == pytest.approx(sum(on_canary for _, on_canary, _ in met))
    assert found.bad == pytest.approx(sum(bad for _, _, bad in met))


@given(st.permutations([(5, 7, 0), (5, 11, 1), (25, 13, 0.5), (25, 4, 4)]))
def test_the_order_in_which_shares_were_met_does_not_matter(met: list[tuple[int, float, float]]) -> None:
    assert summed(met) == summed(sorted(met))


@given(SHARES, TRAFFIC, DETECTIONS, st.data())
def test_a_canary_stopped_within_the_detection_time_never_causes_more_than_planned(
    shares: list[int], users: float, detection: Detection, data: st.DataObject
) -> None:
    met: list[tuple[int, float, float]] = []
    left = detection.at_the_latest / MINUTE
    for share in shares:
        lasted = data.draw(st.floats(0, left))
        left -= lasted
        on_canary = share / 100 * data.draw(st.floats(0, users)) * lasted
        met.append((share, on_canary, on_canary * data.draw(st.floats(0, 1))))

    found, plan = summed(met), planned(shares, users, detection)

    assert found.bad <= found.on_canary * (1 + 1e-9)
    assert found.on_canary <= plan.worst.bad_user_minutes * (1 + 1e-9) + 1e-9


def test_everything_survives_json() -> None:
    plan, found = planned((5, 100), 12.5, Detection()), summed([(5, 7, 1), (25, 12.5, 0)])

    assert PlannedExposure.model_validate_json(plan.model_dump_json()) == plan
    assert CausedExposure.model_validate_json(found.model_dump_json()) == found
    assert PlannedExposure() == PlannedExposure.model_validate_json("{}")
    assert CausedExposure() == CausedExposure.model_validate_json("{}")
