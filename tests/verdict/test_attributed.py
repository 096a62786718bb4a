"""The attributed model: only what is the canary's own counts against it."""

from collections.abc import Sequence
from typing import Any

from holdfast.verdict.attributed import outcomes, verdict
from holdfast.verdict.detector_settings import Fixed
from holdfast.verdict.minutes import minutes_of
from holdfast.verdict.observation import EdgeBaseline, NoData, Observation, Outcome, Verdict
from tests.verdict.shares import METRICS, baseline, edge, minute, scoring, with_metric

CONTINUE, PAUSE, ROLLBACK, INCONCLUSIVE = (
    Outcome.CONTINUE,
    Outcome.PAUSE,
    Outcome.ROLLBACK,
    Outcome.INCONCLUSIVE,
)
FINE = edge("bot", "shop", [0.0], [0.0, 0.0])
BROKEN = edge("bot", "shop", [60.0], [0.0, 0.0])
NOTHING = NoData.BOTH_SILENT
BY_EDGES = with_metric("errors", by_edges=True)


def verdicts(seen: Sequence[Observation], **settings: Any) -> list[Outcome]:
    chosen = scoring(**settings)
    return outcomes(chosen, baseline(chosen), minutes_of(seen))


def last(seen: Sequence[Observation], **settings: Any) -> Verdict:
    chosen = scoring(**settings)
    known = EdgeBaseline(
        caller="bot", callee="shop", mean_error_percent=0.1, worst_error_percent=0.5, points=60
    )
    return verdict(chosen, baseline(chosen, edges=[known]), seen)


def minutes(count: int, canary: Any = None, control: Any = None, **other: Any) -> list[Observation]:
    return [minute(number, canary, control, **other) for number in range(count)]


def test_errors_on_an_edge_roll_back_though_every_metric_is_healthy() -> None:
    found = last(minutes(3, edges=[BROKEN]))

    assert (found.model, found.outcome, found.risk_percent) == ("attributed", ROLLBACK, 0)
    assert found.reason == (
        "risk 0.00 at 5 %: calls bot → shop: 60 % failed at the canary, 0 % at the control, "
        "0.1 % before the change"
    )


def test_a_pause_of_the_edges_does_not_soften_a_rollback_of_the_metrics() -> None:
    seen = minutes(3, {"errors": 60.0}, edges=[edge("bot", "shop", [10.0], [0.0])])

    found = last(seen)

    assert found.outcome is ROLLBACK
    assert [each.outcome for each in found.edges] == [PAUSE]


def test_the_edges_are_told_first() -> None:
    reason = last(minutes(3, {"latency": 9.0}, edges=[BROKEN])).reason

    assert reason.index("bot → shop") < reason.index("latency is 9 s")


def test_without_edges_it_is_the_weighted_model_without_what_is_shared() -> None:
    metrics = with_metric("errors", detector=Fixed(limit=10))

    assert verdicts(minutes(3, {"errors": 60.0}), metrics=metrics)[-1] is ROLLBACK
    assert verdicts(minutes(3, {"errors": 60.0}, {"errors": 20.0}), metrics=metrics)[-1] is ROLLBACK
    assert verdicts(minutes(3, {"errors": 60.0}, {"errors": 40.0}), metrics=metrics)[-1] is CONTINUE


def test_what_is_worse_than_the_control_now_counts_though_the_control_is_far_from_the_past() -> None:
    assert verdicts(minutes(3, {"errors": 60.0}, {"errors": 58.0}))[-1] is CONTINUE
    assert verdicts(minutes(3, {"errors": 60.0}, {"errors": 40.0}))[-1] is ROLLBACK
    assert verdicts(minutes(3, {"volume": 0.1}, {"volume": 6.0}))[-1] is PAUSE


def test_a_metric_that_is_left_to_the_edges_does_not_count_where_they_are_measured() -> None:
    red = {"errors": 60.0}

    assert verdicts(minutes(3, red, edges=[FINE]), metrics=BY_EDGES)[-1] is CONTINUE
    assert verdicts(minutes(3, red), metrics=BY_EDGES)[-1] is ROLLBACK
    assert verdicts(minutes(3, red, edges=[FINE]))[-1] is ROLLBACK


def test_a_metric_that_is_left_to_the_edges_counts_until_they_are_measured() -> None:
    seen = [minute(n, {"errors": 60.0}, edges=[FINE] if n == 3 else []) for n in range(4)]

    assert verdicts(seen, metrics=BY_EDGES) == [CONTINUE, ROLLBACK, ROLLBACK, CONTINUE]


def test_a_metric_that_is_left_to_the_edges_counts_again_when_they_are_gone() -> None:
    seen = [minute(n, {"errors": 60.0}, edges=[FINE] if n < 2 else []) for n in range(9)]

    found = verdicts(seen, metrics=BY_EDGES)

    assert found == [CONTINUE] * 6 + [ROLLBACK] * 3


def test_the_file_says_how_long_edges_may_be_unseen() -> None:
    seen = [minute(n, {"errors": 60.0}, edges=[FINE] if n < 2 else []) for n in range(5)]

    found = verdicts(seen, metrics=BY_EDGES, attribution={"silent_minutes": 2})

    assert found == [CONTINUE] * 3 + [ROLLBACK] * 2


def test_calls_to_the_control_alone_are_edges_that_are_measured() -> None:
    uncalled = edge("bot", "shop", [], [0.0])

    assert verdicts(minutes(4, {"errors": 60.0}, edges=[uncalled]), metrics=BY_EDGES)[-1] is CONTINUE


def test_a_metric_that_is_left_to_the_edges_is_not_in_the_reason_while_they_speak() -> None:
    red = {"errors": 60.0}

    assert last(minutes(3, red, edges=[FINE]), metrics=BY_EDGES).reason == (
        "risk 0.00 at 5 %: no metric is worse by more than it may be"
    )
    assert "errors is 60 %" in last(minutes(3, red), metrics=BY_EDGES).reason
    assert "errors is 60 %" in last(minutes(3, red, edges=[FINE])).reason


def test_edges_to_dependencies_alone_do_not_speak_for_the_metrics() -> None:
    seen = minutes(3, {"errors": 60.0}, edges=[edge("shop", "crm", [0.0], [0.0])])

    assert verdicts(seen, metrics=BY_EDGES)[-1] is ROLLBACK


def test_a_metric_that_is_left_to_the_edges_may_be_missing() -> None:
    seen = minutes(3, {"errors": NOTHING}, {"errors": NOTHING}, edges=[FINE])

    assert verdicts(seen, metrics=BY_EDGES)[-1] is CONTINUE
    assert verdicts(seen)[-1] is INCONCLUSIVE


def test_silence_is_left_to_the_edges_where_they_are_measured() -> None:
    silent = {"latency": NoData.CANARY_SILENT}
    metrics = with_metric("latency", no_data="rollback")

    assert verdicts(minutes(6, silent), metrics=metrics)[-1] is ROLLBACK
    assert verdicts(minutes(6, silent, edges=[FINE]), metrics=metrics)[-1] is INCONCLUSIVE


def test_a_canary_that_nobody_calls_pauses() -> None:
    seen = minutes(6, edges=[edge("bot", "shop", [], [0.0])])

    assert verdicts(seen) == [CONTINUE] * 4 + [PAUSE] * 2


def test_a_dependency_in_rollout_pauses_nothing() -> None:
    failing = [FINE, edge("shop", "crm", [100.0], [0.0])]

    assert verdicts(minutes(3, edges=failing))[-1] is PAUSE
    assert verdicts(minutes(3, edges=failing, concurrent=["crm"]))[-1] is CONTINUE


def test_while_the_provider_is_down_every_verdict_is_inconclusive() -> None:
    down = dict.fromkeys(METRICS, NoData.PROVIDER_DOWN)
    seen = [*minutes(3, edges=[BROKEN]), minute(3, down, down, edges=[BROKEN])]

    assert verdicts(seen)[2:] == [ROLLBACK, INCONCLUSIVE]
    assert last(seen).edges == []
