from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from holdfast.domain.errors import InvalidInput
from holdfast.verdict.exposure import (
    CausedExposure,
    CausedShare,
    Detection,
    ExposedMinute,
    PlannedExposure,
    caused,
    planned,
)

MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)

SHARES = st.lists(st.integers(1, 100), min_size=1, max_size=5)
TRAFFIC = st.floats(0, 1e6)
DETECTIONS = st.builds(
    Detection,
    settle=st.timedeltas(timedelta(0), timedelta(hours=1)),
    interval=st.timedeltas(timedelta(seconds=1), timedelta(minutes=10)),
    bad_in_a_row=st.integers(1, 10),
    silent_in_a_row=st.integers(0, 10),
    reaction=st.timedeltas(timedelta(0), timedelta(hours=1)),
)


def minutes(*records: tuple[int, float | None, float | None]) -> list[ExposedMinute]:
    """Return one record a minute from noon on, each from share, users a minute, and the bad part."""
    return [
        ExposedMinute(start=NOON + i * MINUTE, share_percent=share, users_per_minute=users, bad=bad)
        for i, (share, users, bad) in enumerate(records)
    ]


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
    found = caused(minutes((5, 1000, 0), (5, 1000, 0.2), (25, 1000, True), (25, 1000, True), (0, 1000, 0)))

    assert found.by_share == (
        CausedShare(share_percent=5, on_canary=100, bad=10),
        CausedShare(share_percent=25, on_canary=500, bad=500),
    )
    assert (found.on_canary, found.bad, found.is_lower_bound) == (600, 510, False)
    assert found.words == "510 bad user-minutes of 600 on the canary (5 %: 10 of 100, 25 %: 500 of 500)"


def test_unknown_traffic_makes_a_lower_bound_and_the_words_say_so() -> None:
    found = caused(minutes((5, 1000, False), (25, 1000, True), (25, None, True), (0, None, False)))

    assert (found.bad, found.is_lower_bound, found.traffic_unknown_for) == (250, True, MINUTE)
    assert found.words == (
        "at least 250 bad user-minutes of at least 300 on the canary (5 %: 0 of 50, 25 %: 250 of 250); "
        "traffic unknown for 1 min"
    )


def test_unknown_health_makes_a_lower_bound_and_the_words_say_so() -> None:
    found = caused(minutes((10, 100, None), (10, 100, True)))

    assert (found.on_canary, found.bad, found.badness_unknown_for) == (20, 10, MINUTE)
    assert found.words.startswith("at least 10 bad user-minutes of at least 20")
    assert found.words.endswith("; health unknown for 1 min")


def test_a_lower_bound_is_rounded_down() -> None:
    assert caused(minutes((1, 99, True), (1, None, True))).words.startswith("at least 0 bad user-minutes of at")


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([], "no user-minute on the canary was counted"),
        (minutes((0, 100, 0)), "no user-minute on the canary was counted"),
        (minutes((5, None, 1)), "no user-minute on the canary was counted; traffic unknown for 1 min"),
    ],
)
def test_nobody_counted_is_not_written_as_nobody_harmed(records: list[ExposedMinute], words: str) -> None:
    assert caused(records).words == words


def test_users_are_not_counted_twice_where_records_overlap() -> None:
    records = [
        ExposedMinute(start=NOON + timedelta(seconds=s), share_percent=10, users_per_minute=600, bad=True)
        for s in (30, 0, 30)
    ]

    assert caused(records).bad == pytest.approx(30 + 60)


def test_records_need_an_aware_start_and_a_part_between_none_and_all() -> None:
    with pytest.raises(ValidationError, match="start"):
        ExposedMinute(start=NOON.replace(tzinfo=None))
    with pytest.raises(ValidationError, match="bad"):
        ExposedMinute(start=NOON, bad=1.1)


@given(SHARES, TRAFFIC, DETECTIONS, st.data())
def test_a_canary_stopped_within_the_detection_time_never_causes_more_than_planned(
    shares: list[int], users: float, detection: Detection, data: st.DataObject
) -> None:
    longest = detection.at_the_latest
    cuts = sorted(data.draw(st.lists(st.timedeltas(timedelta(0), longest), max_size=10)))
    bounds = [timedelta(0), *cuts, longest]
    records = [
        ExposedMinute(
            start=NOON + begin,
            duration=end - begin,
            share_percent=data.draw(st.sampled_from(shares)),
            users_per_minute=data.draw(st.floats(0, users)),
            bad=data.draw(st.floats(0, 1)),
        )
        for begin, end in pairwise(bounds)
    ]

    found, plan = caused(records), planned(shares, users, detection)

    assert found.bad <= found.on_canary * (1 + 1e-9)
    assert found.on_canary <= plan.worst.bad_user_minutes * (1 + 1e-9)


@given(st.permutations(minutes((5, 7, 0), (5, 11, 1), (25, 13, 0.5), (25, None, 1))))
def test_the_order_of_records_does_not_matter(records: list[ExposedMinute]) -> None:
    assert caused(records) == caused(sorted(records, key=lambda record: record.start))


def test_everything_survives_json() -> None:
    plan, found = planned((5, 100), 12.5, Detection()), caused(minutes((5, 7, 1), (25, None, 1)))

    assert PlannedExposure.model_validate_json(plan.model_dump_json()) == plan
    assert CausedExposure.model_validate_json(found.model_dump_json()) == found
    assert PlannedExposure() == PlannedExposure.model_validate_json("{}")
    assert CausedExposure() == CausedExposure.model_validate_json("{}")
