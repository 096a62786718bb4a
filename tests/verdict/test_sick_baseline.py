"""A fix is rolled out while the system is sick: errors are at 40 % now, and were at 1 % in the past week."""

from collections.abc import Sequence
from typing import Any

import pytest

from holdfast.verdict.attributed import outcomes as attributed
from holdfast.verdict.minutes import minutes_of
from holdfast.verdict.observation import Baseline, NoData, Observation, Outcome, SignalBaseline, Summary
from holdfast.verdict.settings import Threshold
from holdfast.verdict.weighted import outcomes, verdict
from tests.verdict.shares import METRICS, Value, baseline, minute, scoring, with_metric

CONTINUE, PAUSE, ROLLBACK, INCONCLUSIVE = (
    Outcome.CONTINUE,
    Outcome.PAUSE,
    Outcome.ROLLBACK,
    Outcome.INCONCLUSIVE,
)
SICK = {"errors": 40.0}
TO_HEAL = {"metrics": ["errors"]}
NOTHING = NoData.BOTH_SILENT


def signals(mean: float | None, **more: Any) -> list[SignalBaseline]:
    return [SignalBaseline(query="q", mean=mean, standard_deviation=None, points=60, **more)] * 2


def sick_now(past: float | None = 1.0, now: float | None = 40.0, **more: Any) -> Baseline:
    """A baseline of the sick system, with the past week beside it."""
    usual = baseline(past=baseline())
    assert usual.past is not None
    usual.signals["errors"], usual.past.signals["errors"] = signals(now), signals(past, **more)
    return usual


def verdicts(seen: Sequence[Observation], usual: Baseline | None = None, **settings: Any) -> list[Outcome]:
    chosen = scoring(**{"sick": TO_HEAL, **settings})
    return outcomes(chosen, usual or sick_now(), minutes_of(seen))


def minutes(errors: Value | list[Value], control: Value = 40.0, count: int = 3) -> list[Observation]:
    return [minute(number, {"errors": errors}, {"errors": control}) for number in range(count)]


@pytest.mark.parametrize(
    ("errors", "outcome"),
    [
        (40.0, PAUSE),
        (31.0, PAUSE),
        (30.25, CONTINUE),
        (20.0, CONTINUE),
        (1.0, CONTINUE),
        (0.0, CONTINUE),
    ],
    ids=["as sick", "a bit better", "a quarter of the way", "half", "healed", "better than ever"],
)
def test_the_fix_must_bring_errors_a_quarter_of_the_way_back(errors: float, outcome: Outcome) -> None:
    assert verdicts(minutes(errors))[-1] is outcome


def test_the_file_may_ask_for_more() -> None:
    sick = {"metrics": ["errors"], "improve_percent": 90}

    assert verdicts(minutes(20.0), sick=sick)[-1] is PAUSE
    assert verdicts(minutes(4.0), sick=sick)[-1] is CONTINUE


def test_a_fix_that_makes_it_worse_is_rolled_back() -> None:
    assert verdicts(minutes(60.0))[-1] is ROLLBACK


def test_without_the_setting_a_sick_canary_beside_a_sick_control_continues() -> None:
    assert verdicts(minutes(40.0), sick=None)[-1] is CONTINUE


def test_without_a_past_nothing_can_be_asked_of_the_fix() -> None:
    usual = sick_now().model_copy(update={"past": None})

    assert verdicts(minutes(40.0), usual)[-1] is CONTINUE


def test_a_single_minute_that_is_not_healed_is_held_back() -> None:
    seen = [minute(number, {"errors": errors}, SICK) for number, errors in enumerate([2.0, 40.0, 2.0, 2.0])]

    assert verdicts(seen) == [CONTINUE] * 4


def test_minutes_without_data_are_neither_healed_nor_sick() -> None:
    canary: list[Value] = [40.0, NoData.CANARY_SILENT, NoData.CANARY_SILENT, 40.0]
    seen = [minute(number, {"errors": errors}, SICK) for number, errors in enumerate(canary)]

    assert verdicts(seen) == [CONTINUE, INCONCLUSIVE, INCONCLUSIVE, PAUSE]


def test_sick_now_is_what_the_control_shows_where_it_speaks() -> None:
    assert verdicts(minutes(20.0, control=21.0))[-1] is PAUSE
    assert verdicts(minutes(20.0, control=80.0))[-1] is CONTINUE


def test_without_a_control_sick_now_is_the_baseline() -> None:
    assert verdicts(minutes(35.0, control=NOTHING))[-1] is PAUSE
    assert verdicts(minutes(20.0, control=NOTHING))[-1] is CONTINUE


def test_without_a_control_and_a_baseline_nothing_is_known_of_the_way_back() -> None:
    usual = sick_now(now=None)

    assert verdicts(minutes(35.0, control=NOTHING), usual)[-1] is INCONCLUSIVE


@pytest.mark.parametrize("past", [40.0, 45.0, None], ids=["as good", "better", "not known"])
def test_there_is_nothing_to_heal_where_sick_now_is_as_good_as_the_past(past: float | None) -> None:
    assert verdicts(minutes(41.0), sick_now(past))[-1] is CONTINUE


@pytest.mark.parametrize(("past", "outcome"), [(35.0, CONTINUE), (34.9, PAUSE)], ids=["within", "beyond"])
def test_there_is_nothing_to_heal_where_sick_now_is_within_what_is_allowed(
    past: float, outcome: Outcome
) -> None:
    """Errors may be five points off."""
    assert verdicts(minutes(40.0), sick_now(past))[-1] is outcome


def test_what_is_allowed_of_a_falling_metric_is_nothing_to_heal_either() -> None:
    """Volume may be a fifth below the twelve that are usual."""
    usual, settings = sick_now(), {"sick": {"metrics": ["volume"]}}
    mild, hard = [[minute(n, {"volume": v}, {"volume": v}) for n in range(3)] for v in (10.5, 6.0)]

    assert verdicts(mild, usual, **settings)[-1] is CONTINUE
    assert verdicts(hard, usual, **settings)[-1] is PAUSE


def test_what_may_grow_by_as_much_as_it_was_can_be_sick() -> None:
    """Latency is five times what was usual; it may be twice as much, of what was usual."""
    metrics = with_metric("latency", threshold=Threshold(at_least_percent=100))
    seen = [minute(n, {"latency": 2.0}, {"latency": 2.0}) for n in range(3)]

    assert verdicts(seen, sick={"metrics": ["latency"]}, metrics=metrics)[-1] is PAUSE


def test_the_past_is_the_same_hour_of_the_week_where_that_is_known() -> None:
    busy = Summary(mean=36.0, standard_deviation=1, median=36.0, mad=1, points=60, days=4)

    assert verdicts(minutes(39.0))[-1] is PAUSE
    assert verdicts(minutes(39.0), sick_now(same_hour=busy))[-1] is CONTINUE


def test_of_several_queries_the_least_healed_counts() -> None:
    assert verdicts(minutes([2.0, 39.0]))[-1] is PAUSE


def test_a_falling_metric_heals_by_rising() -> None:
    usual = sick_now()
    settings = {"sick": {"metrics": ["volume"]}}
    lost, found = [[minute(n, {"volume": canary}, {"volume": 2.0}) for n in range(3)] for canary in (3.0, 8.0)]

    assert verdicts(lost, usual, **settings)[-1] is PAUSE
    assert verdicts(found, usual, **settings)[-1] is CONTINUE


def test_all_other_metrics_must_only_not_get_worse_than_sick_now() -> None:
    slow = {"latency": 2.0, **SICK}
    as_slow = [minute(n, {"latency": 2.0, "errors": 2.0}, slow) for n in range(3)]
    slower = [minute(n, {"latency": 4.0, "errors": 2.0}, slow) for n in range(3)]

    assert verdicts(as_slow)[-1] is CONTINUE
    assert verdicts(slower)[-1] is PAUSE


def test_it_holds_for_the_attributed_model_as_well() -> None:
    chosen = scoring(sick=TO_HEAL, metrics=with_metric("errors", by_edges=True))

    assert attributed(chosen, sick_now(), minutes_of(minutes(40.0)))[-1] is PAUSE


def test_an_outage_of_the_provider_does_not_ask_for_a_person() -> None:
    down = dict.fromkeys(METRICS, NoData.PROVIDER_DOWN)

    assert verdicts([*minutes(40.0), minute(3, down, down)])[2:] == [PAUSE, INCONCLUSIVE]


def test_the_reason_says_what_is_not_healed_and_how_far_it_should_be() -> None:
    found = verdict(scoring(sick=TO_HEAL), sick_now(), minutes(39.0))

    assert found.reason == (
        "risk 0.00 at 5 %: errors is not healed: 39 %, sick now 40 %, at least 25 % of the way back is wanted"
    )
