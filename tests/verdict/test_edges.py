"""What call edges hold against a canary of `shop`; `bot` and `web` call it, it calls `crm` and `erp`."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.verdict.edges import charges, findings, level_of
from holdfast.verdict.minutes import minutes_of
from holdfast.verdict.observation import EdgeBaseline, EdgeFinding, EdgeSample, NoData, Observation, Outcome
from tests.verdict.shares import METRICS, baseline, edge, minute, scoring

NOTHING, TO_PAUSE, TO_ROLL_BACK = 0, 1, 2
DOWN = dict.fromkeys(METRICS, NoData.PROVIDER_DOWN)
FINE = edge("bot", "shop", [0.0], [0.0, 0.0, 0.0])


def usual(caller: str, callee: str, mean: float, worst: float | None = None) -> EdgeBaseline:
    return EdgeBaseline(
        caller=caller,
        callee=callee,
        mean_error_percent=mean,
        worst_error_percent=mean if worst is None else worst,
        points=60,
    )


def alike(*edges: EdgeSample, minutes: int = 3, **other: Any) -> list[Observation]:
    return [minute(number, edges=list(edges), **other) for number in range(minutes)]


def levels(seen: Sequence[Observation], *known: EdgeBaseline, **settings: Any) -> list[int]:
    """Return at each minute the worst of what is held against the canary."""
    columns = minutes_of(seen)
    found = charges(scoring(**settings), baseline(edges=known), columns)
    worst: list[int] = level_of(found, len(columns)).tolist()
    return worst


def told(seen: Sequence[Observation], *known: EdgeBaseline, **settings: Any) -> list[EdgeFinding]:
    """Return what is held against the canary at the newest minute."""
    chosen, before, columns = scoring(**settings), baseline(edges=known), minutes_of(seen)
    return findings(charges(chosen, before, columns), chosen, before, len(columns) - 1)


# --- errors of the canary itself --------------------------------------------------------------------------


def test_without_edges_nothing_is_held_against_the_canary() -> None:
    assert levels(alike()) == [NOTHING] * 3


def test_errors_that_only_the_canary_has_roll_back_in_the_second_minute() -> None:
    assert levels(alike(edge("bot", "shop", [40.0], [0.0, 0.0]))) == [NOTHING, TO_ROLL_BACK, TO_ROLL_BACK]


@pytest.mark.parametrize(
    ("percent", "level"),
    [(4.9, NOTHING), (5.0, TO_PAUSE), (19.9, TO_PAUSE), (20.0, TO_ROLL_BACK)],
)
def test_few_errors_count_for_nothing_more_pause_and_many_roll_back(percent: float, level: int) -> None:
    assert levels(alike(edge("bot", "shop", [percent], [0.0])))[-1] == level


def test_errors_count_from_what_was_usual_on_this_edge() -> None:
    seen = alike(edge("bot", "shop", [23.0], [4.0]))

    assert levels(seen, usual("bot", "shop", 4.0))[-1] == TO_PAUSE
    assert levels(seen, usual("web", "shop", 4.0))[-1] == TO_ROLL_BACK


def test_the_members_of_the_canary_count_by_their_mean() -> None:
    assert levels(alike(edge("bot", "shop", [30.0, 0.0], [0.0])))[-1] == TO_PAUSE


def test_a_member_without_a_ratio_is_left_out_of_the_mean() -> None:
    assert levels(alike(edge("bot", "shop", [30.0, None], [0.0])))[-1] == TO_ROLL_BACK


def test_the_worst_edge_counts() -> None:
    assert levels(alike(FINE, edge("web", "shop", [40.0], [0.0])))[-1] == TO_ROLL_BACK


def test_a_single_minute_of_errors_is_held_back() -> None:
    bad = edge("bot", "shop", [90.0], [0.0])
    seen = [minute(number, edges=[each]) for number, each in enumerate([FINE, bad, FINE, FINE])]

    assert levels(seen) == [NOTHING] * 4


def test_minutes_in_which_the_canary_reports_no_ratio_are_neither_bad_nor_good() -> None:
    bad, unknown = edge("bot", "shop", [90.0], [0.0]), edge("bot", "shop", [None], [0.0])
    seen = [minute(number, edges=[each]) for number, each in enumerate([bad, unknown, unknown, bad])]

    assert levels(seen) == [NOTHING, NOTHING, NOTHING, TO_ROLL_BACK]


def test_errors_are_over_when_they_have_been_gone_for_long_enough() -> None:
    bad = edge("bot", "shop", [90.0], [0.0])
    seen = [minute(number, edges=[each]) for number, each in enumerate([bad, bad, FINE, FINE, FINE])]

    assert levels(seen) == [NOTHING, TO_ROLL_BACK, TO_ROLL_BACK, TO_ROLL_BACK, NOTHING]


def test_while_the_provider_is_down_nothing_is_held_against_the_canary() -> None:
    bad = edge("bot", "shop", [90.0], [0.0])
    seen = [*alike(bad), minute(3, DOWN, DOWN, edges=[bad])]

    assert levels(seen)[2:] == [TO_ROLL_BACK, NOTHING]


# --- errors that are shared -------------------------------------------------------------------------------


def test_errors_that_the_control_shares_are_not_the_canarys() -> None:
    assert levels(alike(edge("bot", "shop", [40.0], [38.0, 41.0]))) == [NOTHING] * 3


tenths = st.integers(0, 300).map(lambda number: number / 10)


@given(before=tenths)
def test_a_rise_of_exactly_the_points_of_the_file_counts(before: float) -> None:
    to_pause, to_roll_back = (round(before + rise, 1) for rise in (5, 20))

    assert levels(alike(edge("bot", "shop", [to_pause], [0.0])), usual("bot", "shop", before))[-1] == TO_PAUSE
    seen = alike(edge("bot", "shop", [to_roll_back], [0.0]))
    assert levels(seen, usual("bot", "shop", before))[-1] == TO_ROLL_BACK


@given(before=tenths, half=st.integers(25, 300).map(lambda number: number / 10))
def test_exactly_half_of_a_rise_is_shared(before: float, half: float) -> None:
    canary, control = round(before + 2 * half, 1), round(before + half, 1)

    assert levels(alike(edge("bot", "shop", [canary], [control])), usual("bot", "shop", before))[-1] == NOTHING


@pytest.mark.parametrize(("control", "level"), [(20.0, NOTHING), (19.0, TO_ROLL_BACK)])
def test_errors_are_shared_from_half_of_their_rise_on(control: float, level: int) -> None:
    assert levels(alike(edge("bot", "shop", [40.0], [control])))[-1] == level


def test_the_file_may_say_which_part_is_shared() -> None:
    seen = alike(edge("bot", "shop", [40.0], [20.0]))

    assert levels(seen, attribution={"shared_percent": 60})[-1] == TO_ROLL_BACK


def test_what_is_shared_is_the_rise_not_what_was_there_before() -> None:
    seen = alike(edge("bot", "shop", [40.0], [20.0]))

    assert levels(seen, usual("bot", "shop", 20.0))[-1] == TO_ROLL_BACK


@pytest.mark.parametrize(
    ("control", "level"),
    [([40.0, 0.0], TO_ROLL_BACK), ([40.0, 0.0, 0.0], TO_ROLL_BACK), ([40.0, 40.0, 0.0], NOTHING)],
    ids=["one of two", "one of three", "two of three"],
)
def test_one_bad_pod_of_the_control_does_not_hide_the_fault(control: list[float], level: int) -> None:
    assert levels(alike(edge("bot", "shop", [40.0], control)))[-1] == level


def test_a_silent_control_shares_nothing() -> None:
    assert levels(alike(edge("bot", "shop", [40.0], [])))[-1] == TO_ROLL_BACK


# --- dependencies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dependency", "level"),
    [(edge("shop", "crm", [], [30.0]), NOTHING), (edge("shop", "crm", [], [10.0]), TO_ROLL_BACK)],
    ids=["it explains them", "it fails too little"],
)
def test_errors_are_not_the_canarys_where_the_control_sees_a_dependency_fail(
    dependency: EdgeSample, level: int
) -> None:
    assert levels(alike(edge("bot", "shop", [40.0], [0.0]), dependency))[-1] == level


def test_a_dependency_that_always_failed_that_much_explains_nothing() -> None:
    seen = alike(edge("bot", "shop", [40.0], [0.0]), edge("shop", "crm", [], [30.0]))

    assert levels(seen, usual("shop", "crm", 30.0))[-1] == TO_ROLL_BACK


def test_a_dependency_that_only_the_canary_sees_failing_explains_nothing() -> None:
    seen = alike(edge("bot", "shop", [40.0], [0.0]), edge("shop", "crm", [90.0], [0.0]))

    assert levels(seen)[-1] == TO_ROLL_BACK


def test_the_worst_dependency_explains_errors() -> None:
    seen = alike(
        edge("bot", "shop", [40.0], [0.0]), edge("shop", "crm", [], [30.0]), edge("shop", "erp", [], [0.0])
    )

    assert levels(seen)[-1] == NOTHING


@pytest.mark.parametrize(
    ("asked_for", "level"),
    [(1000.0, NOTHING), (500.0, NOTHING), (490.0, TO_ROLL_BACK), (0.0, TO_ROLL_BACK), (5000.0, NOTHING)],
    ids=["by every call", "by every second", "by fewer", "by none", "by every call many times"],
)
def test_a_dependency_explains_only_the_part_of_the_errors_that_need_it(asked_for: float, level: int) -> None:
    seen = alike(
        edge("bot", "shop", [40.0], [0.0], canary_calls=50.0, control_calls=1000.0),
        edge("shop", "crm", [], [40.0], control_calls=asked_for),
    )

    assert levels(seen)[-1] == level


def test_how_often_a_dependency_is_needed_counts_all_callers() -> None:
    crm = edge("shop", "crm", [], [40.0], control_calls=500.0)
    calls = {"canary_calls": 50.0, "control_calls": 500.0}
    bot, web = edge("bot", "shop", [40.0], [0.0], **calls), edge("web", "shop", [0.0], [0.0], **calls)

    assert levels(alike(bot, crm))[-1] == NOTHING
    assert levels(alike(bot, web, crm))[-1] == NOTHING
    assert levels(alike(bot, web, edge("shop", "crm", [], [40.0], control_calls=490.0)))[-1] == TO_ROLL_BACK


@pytest.mark.parametrize(
    ("caller", "dependency"),
    [({"control_calls": 1000.0}, {}), ({}, {"control_calls": 1.0})],
    ids=["the dependency", "the caller"],
)
def test_a_dependency_counts_in_full_where_calls_are_not_counted_of(
    caller: dict[str, float], dependency: dict[str, float]
) -> None:
    seen = alike(edge("bot", "shop", [40.0], [0.0], **caller), edge("shop", "crm", [], [30.0], **dependency))

    assert levels(seen)[-1] == NOTHING


def test_another_caller_that_sees_errors_explains_nothing() -> None:
    seen = alike(edge("bot", "shop", [40.0], [0.0]), edge("web", "shop", [0.0], [30.0]))

    assert levels(seen)[-1] == TO_ROLL_BACK


def test_errors_that_only_the_canary_gets_from_a_dependency_pause_however_many() -> None:
    assert levels(alike(FINE, edge("shop", "crm", [100.0], [0.0]))) == [NOTHING, TO_PAUSE, TO_PAUSE]


@pytest.mark.parametrize(("control", "level"), [(4.9, TO_PAUSE), (5.0, NOTHING)])
def test_a_dependency_that_fails_for_the_control_as_well_is_sick_by_itself(control: float, level: int) -> None:
    assert levels(alike(edge("shop", "crm", [100.0], [control])))[-1] == level


def test_a_dependency_that_is_being_rolled_out_itself_is_not_held_against_the_canary() -> None:
    failing = edge("shop", "crm", [100.0], [0.0])

    assert levels(alike(failing, concurrent=["crm"])) == [NOTHING] * 3
    assert levels(alike(failing, concurrent=["erp"]))[-1] == TO_PAUSE


def test_the_rollout_of_a_dependency_excuses_only_the_minutes_in_which_it_is() -> None:
    failing = edge("shop", "crm", [100.0], [0.0])
    seen = [minute(n, edges=[failing], concurrent=["crm"] if n in {0, 4} else []) for n in range(5)]

    assert levels(seen) == [NOTHING, NOTHING, TO_PAUSE, TO_PAUSE, NOTHING]


def test_a_caller_that_is_being_rolled_out_excuses_nothing() -> None:
    assert levels(alike(edge("bot", "shop", [40.0], [0.0]), concurrent=["bot"]))[-1] == TO_ROLL_BACK


# --- silence ----------------------------------------------------------------------------------------------

UNCALLED = edge("bot", "shop", [], [0.0, 0.0])


def in_turn(*edges: EdgeSample) -> list[Observation]:
    return [minute(number, edges=[each]) for number, each in enumerate(edges)]


def test_a_canary_that_nobody_calls_for_five_minutes_while_the_control_answers_pauses() -> None:
    assert levels(alike(UNCALLED, minutes=6)) == [NOTHING] * 4 + [TO_PAUSE] * 2


def test_the_file_may_say_how_long() -> None:
    assert levels(alike(UNCALLED), attribution={"silent_minutes": 2}) == [NOTHING, TO_PAUSE, TO_PAUSE]


@pytest.mark.parametrize(
    "between",
    [FINE, edge("bot", "shop", [None], [0.0]), edge("bot", "shop", [], []), edge("bot", "shop", [], [6.0])],
    ids=["it is called", "it is called without success", "the control is silent too", "the control is sick"],
)
def test_silence_begins_again_where(between: EdgeSample) -> None:
    seen = in_turn(UNCALLED, UNCALLED, between, UNCALLED, UNCALLED)

    assert levels(seen, attribution={"silent_minutes": 3}) == [NOTHING] * 5


@pytest.mark.parametrize(("control", "level"), [(5.0, TO_PAUSE), (5.1, NOTHING)])
def test_a_control_that_answers_with_errors_says_nothing_about_a_silent_canary(
    control: float, level: int
) -> None:
    assert levels(alike(edge("bot", "shop", [], [control]), minutes=5))[-1] == level


def test_a_canary_that_one_caller_calls_is_not_silent() -> None:
    assert levels(alike(UNCALLED, edge("web", "shop", [0.0], [0.0]), minutes=6))[-1] == NOTHING


def test_one_caller_whom_the_control_answers_healthily_is_enough_to_miss_the_canary() -> None:
    seen = alike(UNCALLED, edge("web", "shop", [], [50.0]), minutes=5)

    assert levels(seen)[-1] == TO_PAUSE


def test_a_canary_that_only_calls_others_is_silent() -> None:
    assert levels(alike(UNCALLED, edge("shop", "crm", [0.0], [0.0]), minutes=5))[-1] == TO_PAUSE


def test_an_outage_of_the_provider_breaks_a_silence() -> None:
    seen = alike(UNCALLED, minutes=6)
    seen[2] = minute(2, DOWN, DOWN, edges=[UNCALLED])

    assert levels(seen, attribution={"silent_minutes": 3}) == [NOTHING] * 5 + [TO_PAUSE]


# --- successes that have vanished -------------------------------------------------------------------------


def test_a_canary_without_success_pauses_at_once_where_one_member_of_the_pool_fails() -> None:
    assert levels(alike(edge("bot", "shop", [None], [0.0, 0.0, 30.0]), minutes=1)) == [TO_PAUSE]


@pytest.mark.parametrize(
    "sample",
    [
        edge("bot", "shop", [], [0.0, 0.0, 30.0]),
        edge("bot", "shop", [0.0], [0.0, 0.0, 30.0]),
        edge("bot", "shop", [None], [0.0, 0.0, 0.0]),
        edge("bot", "shop", [None], [0.0, 30.0, 30.0]),
        edge("bot", "shop", [None], [None, None, 0.0, 30.0]),
        edge("bot", "shop", [None], [30.0]),
    ],
    ids=[
        "it is not called",
        "it has successes",
        "nobody fails",
        "most of the control fails",
        "most of the control has no success either",
        "the only member of the control fails",
    ],
)
def test_missing_successes_say_nothing_where(sample: EdgeSample) -> None:
    assert levels(alike(sample)) == [NOTHING] * 3


@pytest.mark.parametrize(("calls_made", "level"), [(0.0, NOTHING), (3.0, TO_PAUSE)])
def test_a_ratio_of_no_calls_is_no_missing_success(calls_made: float, level: int) -> None:
    sample = edge("bot", "shop", [None], [0.0, 0.0, 30.0], canary_calls=calls_made, control_calls=900.0)

    assert levels(alike(sample, minutes=1)) == [level]


@pytest.mark.parametrize(("percent", "level"), [(5.0, NOTHING), (5.1, TO_PAUSE)])
def test_the_errors_must_be_more_than_the_worst_of_the_past(percent: float, level: int) -> None:
    seen = alike(edge("bot", "shop", [None], [0.0, 0.0, percent]), minutes=1)

    assert levels(seen, usual("bot", "shop", 0.5, worst=3.0)) == [level]


def test_missing_successes_do_not_count_while_the_provider_is_down() -> None:
    assert levels([minute(0, DOWN, DOWN, edges=[edge("bot", "shop", [None], [0.0, 0.0, 30.0])])]) == [NOTHING]


# --- calls that are missing -------------------------------------------------------------------------------


def asked(canary: float, control: float) -> EdgeSample:
    return edge("bot", "shop", [0.0], [0.0], canary_calls=canary, control_calls=control)


def calls(canary: float, control: float) -> EdgeSample:
    return edge("shop", "crm", [0.0], [0.0], canary_calls=canary, control_calls=control)


def test_a_canary_that_calls_a_dependency_far_less_than_the_control_does_pauses() -> None:
    seen = alike(asked(100.0, 1900.0), calls(10.0, 1900.0))

    assert levels(seen) == [NOTHING, TO_PAUSE, TO_PAUSE]


def test_it_may_call_less_where_it_is_asked_less() -> None:
    assert levels(alike(asked(10.0, 1900.0), calls(10.0, 1900.0))) == [NOTHING] * 3


@pytest.mark.parametrize(("made", "level"), [(50.0, NOTHING), (49.0, TO_PAUSE)])
def test_half_of_the_expected_calls_are_enough(made: float, level: int) -> None:
    assert levels(alike(asked(100.0, 1000.0), calls(made, 1000.0)))[-1] == level


def test_the_file_may_say_how_many_are_enough() -> None:
    seen = alike(asked(400.0, 4000.0), calls(250.0, 4000.0))

    assert levels(seen)[-1] == NOTHING
    assert levels(seen, attribution={"missing_calls_percent": 75})[-1] == TO_PAUSE


def test_calls_that_a_sick_control_repeats_are_not_missing() -> None:
    """Of the control's 4,000 calls three quarters fail and are tried again; the canary's 60 all succeed."""
    repeated = edge("shop", "telegram", [0.0], [75.0], canary_calls=60.0, control_calls=4000.0)

    assert levels(alike(asked(100.0, 1000.0), repeated))[-1] == NOTHING


def test_calls_that_fail_are_missing_too() -> None:
    failing = edge("shop", "crm", [60.0], [0.0], canary_calls=100.0, control_calls=1000.0)
    found = charges(scoring(), baseline(), minutes_of(alike(asked(100.0, 1000.0), failing)))

    assert [charge.kind for charge in found if charge.level[-1]] == ["errors", "calls"]


@pytest.mark.parametrize(("expected", "level"), [(15.9, NOTHING), (16.0, TO_PAUSE)])
def test_few_calls_may_all_be_missing_by_chance(expected: float, level: int) -> None:
    """Of 16 that are expected none is four standard deviations below."""
    assert levels(alike(asked(expected, 1000.0), calls(0.0, 1000.0)))[-1] == level


def test_a_caller_that_has_left_the_canary_shows_by_the_others() -> None:
    seen = alike(
        edge("bot", "shop", [0.0], [0.0], canary_calls=2.0, control_calls=500.0),
        edge("web", "shop", [0.0], [0.0], canary_calls=98.0, control_calls=500.0),
    )

    assert [(each.caller, each.outcome) for each in told(seen)] == [("bot", Outcome.PAUSE)]


def test_calls_that_are_not_measured_are_not_missing() -> None:
    seen = alike(asked(100.0, 1900.0), edge("shop", "crm", [0.0], [0.0], control_calls=1900.0))

    assert levels(seen) == [NOTHING] * 3


def test_minutes_in_which_calls_are_not_measured_are_neither_bad_nor_good() -> None:
    unknown = edge("shop", "crm", [0.0], [0.0])
    few = calls(10.0, 1900.0)
    seen = [
        minute(n, edges=[asked(100.0, 1900.0), each]) for n, each in enumerate([few, unknown, unknown, few])
    ]

    assert levels(seen) == [NOTHING, NOTHING, NOTHING, TO_PAUSE]


def test_nothing_is_expected_of_a_canary_that_nobody_asks() -> None:
    assert levels(alike(asked(0.0, 0.0), calls(0.0, 1900.0))) == [NOTHING] * 3


def test_calls_that_are_missing_at_a_dependency_in_rollout_are_not_held_against_the_canary() -> None:
    assert levels(alike(asked(100.0, 1900.0), calls(0.0, 1900.0), concurrent=["crm"])) == [NOTHING] * 3


def test_missing_calls_do_not_count_while_the_provider_is_down() -> None:
    seen = alike(asked(100.0, 1900.0), calls(0.0, 1900.0))
    seen[1] = minute(1, DOWN, DOWN, edges=seen[1].edges)

    assert levels(seen) == [NOTHING, NOTHING, TO_PAUSE]


# --- words ------------------------------------------------------------------------------------------------


def test_errors_are_told_with_those_of_the_control_and_of_the_past() -> None:
    (found,) = told(alike(edge("bot", "shop", [60.0], [0.4, 0.5])), usual("bot", "shop", 0.25))

    assert (found.caller, found.callee, found.outcome) == ("bot", "shop", Outcome.ROLLBACK)
    assert found.words == (
        "calls bot → shop: 60 % failed at the canary, 0.4 % at the control, 0.25 % before the change"
    )


def test_a_control_that_does_not_speak_is_not_told_as_healthy() -> None:
    (found,) = told(alike(edge("bot", "shop", [60.0], [])))

    assert "an unknown part at the control" in found.words


def test_errors_that_are_gone_but_still_count_are_told_as_gone() -> None:
    (found,) = told(in_turn(edge("bot", "shop", [90.0], [0.0]), edge("bot", "shop", [90.0], [0.0]), FINE))

    assert found.outcome is Outcome.ROLLBACK
    assert "again" in found.words
    assert "last verdicts" in found.words


def test_calls_that_are_enough_again_but_still_count_are_told_as_enough() -> None:
    seen = alike(asked(100.0, 1900.0), calls(10.0, 1900.0))
    seen[-1] = minute(2, edges=[asked(100.0, 1900.0), calls(60.0, 1900.0)])

    (found,) = told(seen)

    assert "again" in found.words
    assert "last verdicts" in found.words


def test_silence_is_told_with_how_long_it_lasts() -> None:
    (found,) = told(alike(UNCALLED, minutes=6))

    assert found.words == (
        "no call has reached the canary for at least 5 verdicts, "
        "while the control answers with at most 5 % errors"
    )


def test_missing_successes_are_told_with_the_errors_in_the_pool() -> None:
    (found,) = told(alike(edge("bot", "shop", [None], [0.0, 0.0, 30.0]), minutes=1))

    assert found.words == (
        "calls bot → shop: no success of the canary, while 30 % fail on one member of the pool and the rest of "
        "it is healthy"
    )


def test_missing_calls_are_told_with_how_many_were_expected() -> None:
    (found,) = told(alike(asked(100.0, 1900.0), calls(10.0, 1900.0)))

    assert found.words == (
        "calls shop → crm: 10 succeeded with the canary, about 100 were expected by the control's mix"
    )


def test_the_worst_finding_comes_first() -> None:
    seen = alike(edge("bot", "shop", [10.0], [0.0]), edge("web", "shop", [60.0], [0.0]))

    assert [each.outcome for each in told(seen)] == [Outcome.ROLLBACK, Outcome.PAUSE]


def test_nothing_is_told_of_a_healthy_canary() -> None:
    assert told(alike(FINE)) == []
