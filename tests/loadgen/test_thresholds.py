from typing import Any

import pytest

from holdfast.loadgen import thresholds
from holdfast.loadgen.report import Report
from holdfast.loadgen.totals import Totals
from tests.loadgen.load_figures import load_test, report, said, steady


def totals_of(threshold: dict[str, Any], *reports: Report, **other: Any) -> Totals:
    totals = Totals(load_test(thresholds=[threshold], **other))
    for each in reports:
        totals.add(each)
    return totals


def test_a_threshold_that_holds_says_nothing() -> None:
    totals = totals_of({"p95": "0.05s", "errors_percent": 0, "abort": True, "over": "3s"}, steady(10))
    assert thresholds.newest(totals) == []
    assert thresholds.of_stretches(totals) == []


@pytest.mark.parametrize("what", ["p50", "p95", "p99", "p999", "maximum"])
def test_a_latency_above_its_bound_is_told_with_value_and_bound(what: str) -> None:
    totals = totals_of({"step": "ask", what: "0.015s"}, steady(10))
    (broken,) = thresholds.of_stretches(totals)
    assert (broken.step, broken.what, broken.bound, broken.phase) == ("ask", what, 0.015, "10/s")
    assert broken.value == pytest.approx(0.02, rel=1e-3)
    assert not broken.aborted


def test_the_share_of_errors_is_of_the_requests_that_were_due() -> None:
    seconds = {n: {"ask": said([20] * 8, errors={"status_503": 1, "connect": 2})} for n in range(10)}
    totals = totals_of({"step": "support", "errors_percent": 29}, report(10.0, seconds))
    (broken,) = thresholds.of_stretches(totals)
    assert broken.value == 30


def test_it_is_told_since_when_a_threshold_does_not_hold() -> None:
    seconds = {n: {"ask": said([20 if n < 6 else 400] * 10)} for n in range(10)}
    threshold = {"step": "support", "p95": "0.1s", "abort": True, "over": "5s"}
    totals = totals_of(threshold, report(10.0, seconds))
    assert thresholds.of_stretches(totals)[0].since == 6
    (broken,) = thresholds.newest(totals)
    assert (broken.since, broken.rate, broken.aborted) == (6, 10, True)


def test_only_the_newest_stretch_can_abort() -> None:
    seconds = {n: {"ask": said([400 if n < 3 else 20] * 10)} for n in range(10)}
    totals = totals_of({"p95": "0.1s", "abort": True, "over": "5s"}, report(10.0, seconds))
    assert thresholds.newest(totals) == []
    assert thresholds.of_stretches(totals)


def test_a_threshold_without_abort_stops_nothing() -> None:
    assert thresholds.newest(totals_of({"p95": "0.01s", "over": "2s"}, steady(10))) == []


def test_the_first_seconds_are_too_few_to_abort() -> None:
    threshold = {"p95": "0.01s", "abort": True, "over": "4s"}
    assert thresholds.newest(totals_of(threshold, steady(3))) == []
    assert thresholds.newest(totals_of(threshold, steady(4)))


def test_a_target_that_answers_nothing_breaks_its_latency() -> None:
    silent = {n: {"ask": said([], due=10)} for n in range(8)}
    totals = totals_of({"p95": "2s", "abort": True, "over": "5s"}, report(8.0, silent))
    (broken,) = thresholds.newest(totals)
    assert (broken.what, broken.since) == ("p95", 3)
    assert broken.value >= 3


def test_requests_that_have_time_left_count_neither_way() -> None:
    seconds = {n: {"ask": said([20] * 10, due=20 if n == 7 else 10)} for n in range(8)}
    assert thresholds.newest(totals_of({"p50": "2s", "abort": True, "over": "5s"}, report(8.0, seconds))) == []


def test_each_stretch_is_looked_at_by_itself() -> None:
    phases = [{"rate": 10, "for": "5s", "name": "low"}, {"rate": 20, "for": "5s", "name": "high"}]
    seconds = {n: {"ask": said([20 if n < 5 else 300] * 10)} for n in range(10)}
    totals = totals_of({"p99": "0.1s"}, report(10.0, seconds), phases=phases)
    assert [(b.phase, b.rate, b.since) for b in thresholds.of_stretches(totals)] == [("high", 20, 5)]


def test_a_stretch_that_was_not_reached_breaks_nothing() -> None:
    phases = [{"rate": 10, "for": "5s"}, {"rate": 20, "for": "5s"}]
    assert thresholds.of_stretches(totals_of({"errors_percent": 0}, steady(5), phases=phases)) == []


def test_a_worker_that_was_killed_aborts_no_test() -> None:
    totals = totals_of({"maximum": "2s", "abort": True, "over": "5s"})
    totals.add(report(5.0, {n: {"ask": said([20] * 10, due=13 if n == 4 else 10)} for n in range(5)}))
    assert thresholds.newest(totals, 8.5) == [], "nobody has said that they are still under way"
    totals.add(report(9.0, {n: {"ask": said([20] * 10)} for n in range(6, 9)}), attempt=2)
    assert thresholds.newest(totals, 9.0) == []


def test_a_target_that_refuses_every_connection_breaks_its_latency() -> None:
    dead = {n: {"ask": said([], errors={"connect": 10})} for n in range(10)}
    totals = totals_of({"step": "support", "p95": "2s", "abort": True, "over": "5s"}, report(10.0, dead))
    assert [b.value for b in thresholds.newest(totals)] == [5.0]
    assert [b.value for b in thresholds.of_stretches(totals)] == [5.0]
