"""The weighted model, minute by minute."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from holdfast.verdict.detector_settings import Ewma, Fixed, MovingAverage, Seasonal, Sigmas, ZScore
from holdfast.verdict.minutes import minutes_of
from holdfast.verdict.models import model_named
from holdfast.verdict.observation import (
    Baseline,
    Level,
    NoData,
    Observation,
    Outcome,
    SignalBaseline,
    Summary,
    Verdict,
)
from holdfast.verdict.settings import Metric, Scoring, Threshold
from holdfast.verdict.weighted import outcomes, verdict
from tests.verdict.shares import METRICS, Value, baseline, metric, minute, only, scoring, share, with_metric

CONTINUE, PAUSE, ROLLBACK, INCONCLUSIVE = (
    Outcome.CONTINUE,
    Outcome.PAUSE,
    Outcome.ROLLBACK,
    Outcome.INCONCLUSIVE,
)
SILENT, NOTHING, DOWN = NoData.CANARY_SILENT, NoData.BOTH_SILENT, NoData.PROVIDER_DOWN
Values = Mapping[str, Value | Sequence[Value]]
SLOW: dict[str, Value | Sequence[Value]] = {"latency": 2.0}
QUICK: dict[str, Value | Sequence[Value]] = {"latency": 0.4}


def verdicts(seen: Sequence[Observation], usual: Baseline | None = None, **settings: Any) -> list[Outcome]:
    chosen = scoring(**settings)
    return outcomes(chosen, usual or baseline(chosen), minutes_of(seen))


def last(seen: Sequence[Observation], usual: Baseline | None = None, **settings: Any) -> Verdict:
    chosen = scoring(**settings)
    return verdict(chosen, usual or baseline(chosen), seen)


def thrice(canary: Values, control: Values | None = None, **other: Any) -> list[Observation]:
    """Three minutes alike, which is as many as hysteresis looks at."""
    return [minute(number, canary, control, **other) for number in range(3)]


def bad(*names: str) -> dict[str, Value | Sequence[Value]]:
    """Values of these metrics that are red, but in no minute near an edge."""
    red: dict[str, Value] = {"latency": 9.0, "errors": 60.0, "volume": 1.0, "cpu": 99.0, "database": 2.0}
    return {name: red[name] for name in names}


# --- the control first ------------------------------------------------------------------------------------


def test_what_hits_canary_and_control_alike_stops_nothing_though_it_is_far_from_the_past() -> None:
    storm = bad("latency", "errors", "database")

    found = last(thrice(storm, storm))

    assert found.outcome is CONTINUE
    assert found.risk_percent == 0


def test_the_same_values_stop_where_the_control_does_not_show_them() -> None:
    assert last(thrice(bad("latency", "errors", "database"))).outcome is ROLLBACK


def test_without_a_control_the_past_decides() -> None:
    storm = bad("latency", "errors", "database")

    assert last(thrice(storm, dict.fromkeys(METRICS, NOTHING))).outcome is ROLLBACK


def test_without_a_control_a_busy_hour_is_compared_with_the_same_hour_of_the_past_week() -> None:
    usual = baseline()
    busy = Summary(mean=2.0, standard_deviation=0.1, median=2.0, mad=0.1, points=60, days=4)
    usual.signals["latency"][0].same_hour = busy

    found = last(thrice(SLOW, {"latency": NOTHING}), usual)

    assert found.readings[0].level is Level.GREEN
    assert found.readings[0].compared_with == "past weeks, same hour"
    assert found.readings[0].past == 2.0


# --- how long it must be bad ------------------------------------------------------------------------------


def test_a_single_bad_minute_stops_nothing() -> None:
    assert verdicts(share(QUICK, SLOW, QUICK, QUICK)) == [CONTINUE] * 4


def test_two_bad_minutes_of_three_stop() -> None:
    assert verdicts(share(SLOW, QUICK, SLOW)) == [CONTINUE, CONTINUE, PAUSE]


def test_two_bad_minutes_that_are_further_apart_do_not() -> None:
    assert verdicts(share(SLOW, QUICK, QUICK, SLOW)) == [CONTINUE] * 4


def test_two_metrics_that_are_bad_in_one_minute_each_do_not_add_up() -> None:
    assert verdicts(share(SLOW, bad("database"), SLOW | bad("database"))) == [CONTINUE, CONTINUE, PAUSE]
    assert verdicts(share(SLOW, bad("database"))) == [CONTINUE, CONTINUE]


def test_a_breach_is_over_after_as_many_good_minutes_as_the_file_says() -> None:
    hysteresis = {"bad": 2, "of": 3, "clear_after": 4}

    found = verdicts(share(SLOW, SLOW, QUICK, QUICK, QUICK, QUICK), hysteresis=hysteresis)

    assert found == [CONTINUE, PAUSE, PAUSE, PAUSE, PAUSE, CONTINUE]


def test_hysteresis_of_one_stops_in_the_first_minute() -> None:
    assert verdicts(share(SLOW), hysteresis={"bad": 1, "of": 1}) == [PAUSE]


# --- the edges between the verdicts -----------------------------------------------------------------------


def of_weights(*weights: int) -> dict[str, Metric]:
    names = list(METRICS)
    return {
        name: metric(name, weight_percent=weight, veto=None, worst_level="red")
        for name, weight in zip(names, weights, strict=True)
    }


@pytest.mark.parametrize(
    ("weights", "risk", "outcome"),
    [
        ((25, 25, 20, 20, 10), 50, CONTINUE),
        ((26, 24, 20, 20, 10), 52, PAUSE),
        ((75, 10, 5, 5, 5), 150, PAUSE),
        ((76, 9, 5, 5, 5), 152, ROLLBACK),
    ],
)
def test_a_risk_of_exactly_50_continues_and_one_of_exactly_150_pauses(
    weights: tuple[int, ...], risk: int, outcome: Outcome
) -> None:
    found = last(thrice(bad("latency")), metrics=of_weights(*weights))

    assert (found.risk_percent, found.outcome) == (risk, outcome)


def test_yellow_counts_half() -> None:
    found = last(thrice({"latency": 0.55}), metrics=of_weights(51, 19, 10, 10, 10))

    assert (found.risk_percent, found.outcome) == (51, PAUSE)


def test_the_file_may_move_the_edges() -> None:
    found = last(thrice(bad("latency")), continue_up_to_percent=10, pause_up_to_percent=59)

    assert found.outcome is ROLLBACK


# --- vetoes -----------------------------------------------------------------------------------------------


def test_a_red_metric_with_a_veto_rolls_back_by_itself() -> None:
    found = last(thrice({"errors": [9.0, 0.0]}))

    assert (found.risk_percent, found.outcome) == (60, ROLLBACK)


def test_without_its_veto_it_only_pauses() -> None:
    assert last(thrice({"errors": [9.0, 0.0]}), metrics=with_metric("errors", veto=None)).outcome is PAUSE


def test_a_veto_may_pause_where_the_risk_would_continue() -> None:
    found = last(thrice(bad("volume")))

    assert (found.risk_percent, found.outcome) == (40, PAUSE)


def test_a_veto_to_pause_does_not_soften_a_rollback() -> None:
    assert last(thrice(bad("latency", "errors", "volume"))).outcome is ROLLBACK


def test_a_yellow_metric_has_no_veto() -> None:
    assert last(thrice({"errors": [5.0, 0.0]})).outcome is CONTINUE


def test_a_veto_waits_for_hysteresis_too() -> None:
    assert verdicts(share({"errors": 60.0}, {"errors": 60.0})) == [CONTINUE, ROLLBACK]


def test_a_metric_without_weight_still_has_its_veto() -> None:
    metrics = with_metric("errors", weight_percent=0) | {"latency": metric("latency", weight_percent=60)}

    found = last(thrice({"errors": 60.0}), metrics=metrics)

    assert (found.risk_percent, found.outcome) == (0, ROLLBACK)


def test_a_metric_that_is_yellow_at_most_weighs_half_when_it_is_very_bad() -> None:
    assert last(thrice(bad("cpu"))).risk_percent == 10


# --- no data ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("ignore", [CONTINUE] * 4),
        ("pause", [INCONCLUSIVE, INCONCLUSIVE, PAUSE, PAUSE]),
        ("rollback", [INCONCLUSIVE, INCONCLUSIVE, ROLLBACK, ROLLBACK]),
    ],
)
def test_a_canary_that_is_silent_for_so_many_minutes_is_judged_by_the_policy_of_the_metric(
    policy: str, expected: list[Outcome]
) -> None:
    seen = share(*[{"latency": SILENT}] * 4)

    found = verdicts(seen, metrics=with_metric("latency", no_data=policy), attribution={"silent_minutes": 3})

    assert found == expected


@pytest.mark.parametrize(
    "between",
    [
        minute(2, {"latency": 0.4}),
        minute(2, {"latency": NOTHING}, {"latency": NOTHING}),
        minute(2, {"latency": DOWN}, {"latency": DOWN}),
    ],
    ids=["it speaks", "the control is silent too", "the provider is down"],
)
def test_a_streak_of_silence_begins_again_where(between: Observation) -> None:
    silent = [minute(number, {"latency": SILENT}) for number in (0, 1, 3, 4)]
    seen = [*silent[:2], between, *silent[2:]]

    assert PAUSE not in verdicts(seen, attribution={"silent_minutes": 3})


def test_silence_of_both_sides_is_inconclusive_however_long() -> None:
    silent = dict.fromkeys(METRICS, NOTHING)
    seen = [minute(number, silent, silent) for number in range(12)]

    assert verdicts(seen) == [INCONCLUSIVE] * 12


def test_what_is_known_is_enough_to_pause_on_though_a_metric_is_missing() -> None:
    found = last(thrice({"cpu": NOTHING, "latency": 9.0}, {"cpu": NOTHING}))

    assert (found.risk_percent, found.outcome) == (60, PAUSE)
    assert found.reason.startswith("risk at least 0.60 at 5 %: ")


def test_a_missing_query_beside_a_red_one_does_not_hide_it() -> None:
    assert last(thrice({"errors": [NOTHING, 60.0]}, {"errors": [NOTHING, 0.0]})).outcome is ROLLBACK


def test_a_metric_without_weight_and_veto_may_be_missing() -> None:
    metrics = with_metric("cpu", weight_percent=0) | {"latency": metric("latency", weight_percent=40)}

    assert last(thrice({"cpu": NOTHING}, {"cpu": NOTHING}), metrics=metrics).outcome is CONTINUE


def test_a_metric_without_weight_but_with_a_veto_may_not() -> None:
    metrics = with_metric("cpu", weight_percent=0, veto="pause", worst_level="red") | {
        "latency": metric("latency", weight_percent=40)
    }

    assert last(thrice({"cpu": NOTHING}, {"cpu": NOTHING}), metrics=metrics).outcome is INCONCLUSIVE


def test_while_the_provider_is_down_even_a_breach_is_inconclusive() -> None:
    down = dict.fromkeys(METRICS, DOWN)
    seen = [*thrice(bad("latency", "errors", "database")), minute(3, down, down)]

    assert verdicts(seen)[2:] == [ROLLBACK, INCONCLUSIVE]


def test_while_the_provider_is_down_nothing_continues_though_all_metrics_may_be_missing() -> None:
    metrics = {name: metric(name, no_data="ignore") for name in METRICS}
    down = dict.fromkeys(METRICS, DOWN)

    assert verdicts([minute(0, down, down)], metrics=metrics) == [INCONCLUSIVE]


def test_an_outage_of_the_provider_is_neither_good_nor_bad() -> None:
    down = dict.fromkeys(METRICS, DOWN)
    seen = [minute(0, SLOW), minute(1, down, down), minute(2, SLOW)]

    assert verdicts(seen) == [CONTINUE, INCONCLUSIVE, PAUSE]


def test_verdicts_on_too_few_requests_are_inconclusive_and_do_not_count() -> None:
    seen = [minute(n, SLOW, canary_requests=requests) for n, requests in enumerate([19.0, 19.0, 20.0, 20.0])]

    assert verdicts(seen, traffic="t", minimum_requests=20) == [INCONCLUSIVE, INCONCLUSIVE, CONTINUE, PAUSE]


def test_a_canary_that_nobody_asks_is_still_silent() -> None:
    seen = [minute(number, {"latency": SILENT}, canary_requests=0.0) for number in range(5)]

    assert verdicts(seen, traffic="t", minimum_requests=20)[-2:] == [INCONCLUSIVE, PAUSE]


def ignoring() -> dict[str, Metric]:
    return {name: metric(name, no_data="ignore") for name in METRICS}


def test_metrics_that_may_be_missing_do_not_make_up_for_too_few_requests() -> None:
    seen = [minute(n, SLOW, canary_requests=requests) for n, requests in enumerate([19.0, 19.0, 20.0, 20.0])]

    found = verdicts(seen, metrics=ignoring(), traffic="t", minimum_requests=20)

    assert found == [INCONCLUSIVE, INCONCLUSIVE, CONTINUE, PAUSE]


@pytest.mark.parametrize("missing", [NOTHING, SILENT], ids=["both are silent", "the canary is silent"])
def test_a_verdict_of_which_nothing_is_known_is_inconclusive_though_every_metric_may_be_missing(
    missing: NoData,
) -> None:
    nothing = dict.fromkeys(METRICS, missing)
    seen = [minute(n, nothing, nothing if missing is NOTHING else {}) for n in range(12)]

    assert verdicts(seen, metrics=ignoring()) == [INCONCLUSIVE] * 12


def test_one_metric_that_is_known_is_enough_where_the_others_may_be_missing() -> None:
    others: dict[str, Value] = dict.fromkeys((name for name in METRICS if name != "cpu"), NOTHING)

    assert last(thrice(others, others), metrics=ignoring()).outcome is CONTINUE


# --- detectors in place of the threshold ------------------------------------------------------------------

RECENT = [0.39, 0.41] * 60
HOUR = Summary(mean=0.4, standard_deviation=0.01, median=0.4, mad=0.01, points=60, days=4)


@pytest.mark.parametrize(
    "detector",
    [
        Fixed(limit=1.0),
        Sigmas(),
        ZScore(),
        Ewma(weight=0.5),
        MovingAverage(),
        Seasonal(),
    ],
    ids=lambda detector: detector.kind,
)
def test_a_detector_of_any_kind_stops_a_bad_canary_and_lets_a_usual_one_go_on(detector: Any) -> None:
    usual = baseline().model_copy(
        update={
            "signals": {
                "latency": [
                    SignalBaseline(
                        query="q",
                        mean=0.4,
                        standard_deviation=0.01,
                        points=120,
                        median=0.4,
                        mad=0.01,
                        recent=RECENT,
                        hours={12: HOUR},
                    )
                ]
            }
        }
    )
    metrics = only("latency", detector=detector)

    assert last(thrice(QUICK), usual, metrics=metrics).outcome is CONTINUE
    assert last(thrice({"latency": 9.0}), usual, metrics=metrics).outcome is ROLLBACK


def test_a_detector_takes_the_place_of_the_threshold() -> None:
    metrics = with_metric("latency", detector=Fixed(limit=5.0), threshold=Threshold(points=0))

    assert last(thrice(SLOW), metrics=metrics).outcome is CONTINUE


# --- what a person reads ----------------------------------------------------------------------------------


def test_the_reason_names_the_heaviest_metric_first_with_its_limit_and_what_it_is_compared_with() -> None:
    found = last(thrice({"latency": 2.31, "database": 0.2}))

    assert found.reason == (
        "risk 0.80 at 5 %: latency is 2.31 s, allowed up to 0.6 s (control now 0.4 s): red; "
        "database is 0.2, allowed up to 0.055 (control now 0.05): red"
    )


def test_a_red_metric_is_told_before_a_yellow_one_of_the_same_weight() -> None:
    reason = last(thrice(bad("cpu", "database"))).reason

    assert reason.index("database is") < reason.index("cpu is")


def test_the_reason_says_when_one_metric_decided_alone() -> None:
    found = last(thrice({"volume": 1.0}))

    assert found.reason == (
        "risk 0.40 at 5 %: volume is 1, allowed down to 9.6 (control now 12): red, which alone means pause"
    )


def test_a_yellow_metric_is_not_told_to_decide_alone() -> None:
    reason = last(thrice({"volume": 10.2})).reason

    assert reason.endswith("volume is 10.2, allowed down to 9.6 (control now 12): yellow")


def test_the_reason_of_a_silent_canary_says_for_how_long() -> None:
    found = last(share(*[{"latency": SILENT}] * 5))

    assert found.reason == (
        "risk at least 0.00 at 5 %: nothing known of latency: "
        "the canary is silent for at least 5 verdicts while the control speaks"
    )


def test_a_silence_that_has_just_begun_is_not_told_in_the_plural() -> None:
    found = last(share({"latency": SILENT}))

    assert found.reason.endswith(
        "nothing known of latency: the canary is silent in this verdict while the control speaks"
    )


def test_a_silence_that_fills_the_memory_is_told_as_at_least_so_long() -> None:
    memory = model_named("weighted").memory(scoring())
    silent = share(*[{"latency": SILENT}] * memory)

    assert "silent for at least 5 verdicts while" in last(silent).reason


def test_a_silent_query_of_a_metric_that_speaks_is_told_as_such() -> None:
    found = last(thrice({"errors": [SILENT, 0.0]}))

    assert found.reason.endswith("nothing known of errors: one of its queries gives nothing for the canary")


def test_a_metric_that_still_counts_though_it_is_fine_again_is_told_as_fine_again() -> None:
    found = last(share(SLOW, SLOW, QUICK))

    assert (found.risk_percent, found.outcome) == (60, PAUSE)
    assert found.reason == (
        "risk 0.60 at 5 %: latency is 0.4 s again, but was red in enough of the last verdicts"
    )


def test_a_metric_that_is_fine_again_is_told_with_its_veto() -> None:
    found = last(share({"errors": 60.0}, {"errors": 60.0}, {}))

    assert found.outcome is ROLLBACK
    assert found.reason.endswith(
        "again, but was red in enough of the last verdicts, which alone means rollback"
    )


def test_a_metric_that_is_bad_in_this_verdict_only_is_told_not_to_count_yet() -> None:
    found = last(share(QUICK, SLOW))

    assert (found.risk_percent, found.outcome) == (0, CONTINUE)
    assert found.reason == (
        "risk 0.00 at 5 %: latency is 2 s, allowed up to 0.6 s (control now 0.4 s): "
        "bad in this verdict, which alone is not enough"
    )


def test_a_metric_that_may_not_get_worse_at_all_is_told_in_the_first_verdict_too() -> None:
    metrics = with_metric("latency", threshold=Threshold(points=0))

    found = last(share(SLOW), metrics=metrics)

    assert "latency is 2 s, allowed up to 0.4 s (control now 0.4 s): bad in this verdict" in found.reason


@pytest.mark.parametrize(
    ("name", "bad_value", "words"),
    [
        ("latency", 9.0, "latency is 9 s, its detector allows up to 1 s: red"),
        ("volume", 0.5, "volume is 0.5, its detector allows down to 1: red, which alone means pause"),
    ],
)
def test_a_limit_of_a_detector_is_told_as_such(name: str, bad_value: float, words: str) -> None:
    found = last(thrice({name: bad_value}), metrics=only(name, detector=Fixed(limit=1.0)))

    assert found.reason == f"risk 2.00 at 5 %: {words}"


def test_the_reason_of_too_few_requests_says_how_many_there_are() -> None:
    chosen: Scoring = scoring(metrics=only("latency"), traffic="t", minimum_requests=20)

    found = verdict(chosen, baseline(chosen), [minute(0, SLOW, canary_requests=3.0)])

    assert found.reason == "risk at least 0.00 at 5 %: latency rests on 3 requests, 20 are wanted"


def test_the_reason_of_an_outage_is_the_trouble() -> None:
    down = dict.fromkeys(METRICS, DOWN)

    assert last([minute(0, down, down, trouble="no answer")]).reason == "no verdict at 5 %: no answer"


def test_a_quiet_verdict_says_so() -> None:
    assert last(thrice({})).reason == "risk 0.00 at 5 %: no metric is worse by more than it may be"


def test_a_reading_carries_the_numbers_behind_it() -> None:
    latency = last(thrice({"latency": 0.55}, canary_requests=40.0, control_requests=800.0)).readings[0]

    assert latency.model_dump(exclude={"query", "no_data"}) == {
        "metric": "latency",
        "weight_percent": 30,
        "value": 0.55,
        "baseline_mean": 0.4,
        "allowed": pytest.approx(0.2),
        "used_percent": 75,
        "level": Level.YELLOW,
        "unit": "s",
        "compared_with": "control now",
        "control": 0.4,
        "past": 0.4,
    }


def test_the_part_that_is_used_is_rounded_up_so_that_it_never_looks_better_than_it_is() -> None:
    assert last(thrice({"latency": 0.6001})).readings[0].used_percent == 101


def test_a_reading_has_the_level_that_counts_after_hysteresis() -> None:
    levels = [last(share(SLOW, SLOW, QUICK)[: n + 1]).readings[0].level for n in range(3)]

    assert levels == [Level.GREEN, Level.RED, Level.RED]


def test_a_verdict_says_how_many_requests_it_rests_on() -> None:
    found = last(thrice({}, canary_requests=40.0, control_requests=800.0))

    assert (found.canary_requests, found.control_requests) == (40.0, 800.0)
