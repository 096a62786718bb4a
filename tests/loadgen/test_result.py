import re
from datetime import UTC, datetime
from typing import Any

import pytest

from holdfast.domain.campaign import TestVerdict as Verdict  # by its own name pytest would collect it
from holdfast.i18n import speaking, understood
from holdfast.loadgen import thresholds, words
from holdfast.loadgen.histogram import Histogram
from holdfast.loadgen.outcome import result_of
from holdfast.loadgen.report import Health, Report
from holdfast.loadgen.result import Broken, Capacity, Flaw, LoadResult, Saturation
from holdfast.loadgen.totals import Totals
from tests.loadgen.load_figures import load_test, report, said, steady

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def resulting(*reports: Report, stopped: str = "", abort: bool = False, **other: Any) -> LoadResult:
    totals = Totals(load_test(**other))
    for each in reports:
        totals.add(each)
    aborted = thresholds.newest(totals) if abort else []
    return result_of(totals, started_at=START, run="load-1", stopped=stopped, aborted=aborted)


def test_a_test_whose_thresholds_hold_has_passed() -> None:
    result = resulting(steady(10, done=True), thresholds=[{"p95": "0.05s"}])
    assert result.verdict is Verdict.PASSED
    assert (result.void, result.planned, result.lost) == ("", 100, 0)
    assert result.capacity is not None
    assert (result.capacity.rate, result.capacity.at_least) == (10, True)
    assert words.sentences(result) == [
        "Every threshold held.",
        "No context saturated.",
        "Everything held up to 10 sessions/s; more was not tried.",
    ]


def test_figures_are_there_for_all_each_context_and_each_step() -> None:
    result = resulting(steady(10, done=True))
    assert [(f.kind, f.name) for f in result.figures] == [
        ("all", "*"),
        ("context", "support"),
        ("context", "orders"),
        ("step", "ask"),
        ("step", "pay"),
    ]
    everything = result.of("*")
    assert everything is not None
    assert (everything.due, everything.good, everything.rate) == (200, 200, 20)
    assert everything.p99 == pytest.approx(0.02, rel=1e-3)
    assert Histogram.decoded(everything.latency).count == 200
    assert result.of("nothing") is None


def test_the_histograms_of_the_stretches_add_up_to_the_whole() -> None:
    phases = [{"rate": 10, "for": "4s"}, {"rate": 10, "for": "6s"}]
    result = resulting(steady(10, done=True), phases=phases)
    parts = [Histogram.decoded(f.latency) for p in result.phases for f in p.figures if f.name == "ask"]
    whole = result.of("ask")
    assert whole is not None
    assert Histogram.sum_of(parts) == Histogram.decoded(whole.latency)


def test_a_broken_threshold_fails_the_test() -> None:
    result = resulting(steady(10, done=True), thresholds=[{"step": "support", "p95": "0.01s"}])
    assert result.verdict is Verdict.FAILED
    assert [phase.held for phase in result.phases] == [False]
    assert words.headline(result) == (
        "The test failed. support: latency p95 is 20 ms, at most 10 ms is allowed; "
        "since 0:00, at 10 sessions/s."
    )
    assert result.capacity is not None
    assert result.capacity.rate is None
    assert "Even the lowest rate of the test was too much." in words.sentences(result)


def test_a_threshold_that_breaks_twice_is_told_once_and_no_other_is_left_out() -> None:
    result = resulting(steady(10, done=True), thresholds=[{"step": "support", "p95": "0.01s"}])
    first = result.broken[0]
    other, again = (
        first.model_copy(update={"what": "p99"}),
        first.model_copy(update={"since": 5.0}),
    )
    said = words.sentences(result.model_copy(update={"broken": [first, other, again]}))
    assert [text.count("latency p95") for text in said if "latency" in text] == [1, 0]
    assert sum("latency p99" in text for text in said) == 1


def test_a_generator_that_was_late_voids_the_figures_and_reports_no_capacity() -> None:
    late = report(10.0, {n: {"ask": said([20] * 10, late=1 if n < 2 else 0)} for n in range(10)}, done=True)
    result = resulting(late)
    assert result.verdict is Verdict.VOID
    assert result.void == "The generator was late for 2 % of the requests; at most 1 % may be."
    assert result.capacity is None
    assert words.headline(result) == f"The figures do not count. {result.void}"


def test_one_late_request_of_few_is_no_reason() -> None:
    late = report(10.0, {n: {"ask": said([20] * 10, late=n == 3)} for n in range(10)}, done=True)
    assert resulting(late).verdict is Verdict.PASSED


def test_a_stretch_that_was_not_sent_on_time_voids_the_figures() -> None:
    phases = [{"rate": 50, "for": "8s", "name": "low"}, {"rate": 50, "for": "2s", "name": "high"}]
    many = report(10.0, {n: {"ask": said([20] * 50, late=4 if n == 9 else 0)} for n in range(10)}, done=True)
    result = resulting(many, phases=phases)
    assert result.flaws == [Flaw(kind="phase_late", percent=4.0, phase="high")]
    assert "In “high” 4 % of the requests were not sent on time" in result.void


@pytest.mark.parametrize(
    ("step", "kind"),
    [(said([20] * 9, due=10, unsent=1), "unsent"), (said([20] * 9, due=10), "unknown")],
)
def test_requests_that_were_not_sent_or_have_no_end_void_the_figures(step: Any, kind: str) -> None:
    result = resulting(report(10.0, {n: {"ask": step} for n in range(10)}, done=True))
    assert [(flaw.kind, flaw.percent) for flaw in result.flaws] == [(kind, 10)]


def test_sessions_that_nobody_made_void_the_figures() -> None:
    half = {n: {"ask": said([20] * (10 if n < 4 else 5))} for n in range(10)}
    result = resulting(report(10.0, half, done=True))
    assert (result.lost, result.planned) == (30, 100)
    assert [flaw.kind for flaw in result.flaws] == ["lost"]
    assert "30 of 100 sessions were made by no generator." in words.sentences(result)


def test_without_any_report_the_result_is_void() -> None:
    result = resulting()
    assert result.verdict is Verdict.VOID
    assert result.void == "No generator reported anything."


def test_a_test_that_a_person_stopped_says_so_and_what_was_reached() -> None:
    phases = [{"rate": 10, "for": "5s"}, {"rate": 10, "for": "50s"}]
    cut = report(8.0, {8: {"ask": said([], due=9, unsent=9)}}, stopped="boris", done=True)
    result = resulting(steady(8), cut, stopped="stopped by boris", phases=phases)
    assert result.verdict is Verdict.STOPPED
    assert words.headline(result) == "Stopped after 0:08: stopped by boris."
    assert [(phase.reached, phase.held) for phase in result.phases] == [(True, True), (False, None)]
    assert result.capacity is not None
    assert result.capacity.rate == 10


def test_a_test_that_was_stopped_at_once_knows_no_capacity() -> None:
    result = resulting(steady(2), stopped="stopped by boris")
    assert "No stretch of the test was made to its end, so the capacity is not known." in words.sentences(
        result
    )


def test_an_aborted_test_has_failed_by_what_it_was_aborted_for() -> None:
    slow = report(6.0, {n: {"ask": said([20 if n < 3 else 800] * 10)} for n in range(6)}, done=True)
    threshold = {"p95": "0.1s", "abort": True, "over": "5s"}
    result = resulting(slow, abort=True, thresholds=[threshold])
    assert result.verdict is Verdict.FAILED
    assert [(b.aborted, b.since) for b in result.broken] == [(True, 3)]
    assert words.headline(result).startswith("The test was aborted. all requests: ")


def test_headroom_is_against_the_peak_of_the_plan() -> None:
    peak = {"expected_peak": 100, "safety_factor": 1.5, "percent": [60, 100], "each": "10s"}
    seconds = {n: {"ask": said([20 if n < 10 else 900] * (90 if n < 10 else 150))} for n in range(20)}
    totals = load_test(phases=[], peak=peak, thresholds=[{"p95": "0.1s"}])
    result = resulting(report(20.0, seconds, done=True), **totals.model_dump(include={"phases"}), peak=peak)
    assert result.verdict is Verdict.PASSED
    failed = resulting(report(20.0, seconds, done=True), phases=[], peak=peak, thresholds=[{"p95": "0.1s"}])
    assert failed.capacity is not None
    assert failed.capacity.rate == 90
    assert failed.capacity.headroom_percent == pytest.approx(-10)
    assert failed.capacity.headroom_with_factor_percent == pytest.approx(-40)
    assert words.capacity_words(failed.capacity) == (
        "Everything held up to 90 sessions/s, and not above. That is 10 % short of the expected peak of 100/s, "
        "40 % short of the peak times 1.5."
    )


def test_a_result_survives_the_store() -> None:
    result = resulting(steady(10, done=True), thresholds=[{"p95": "0.01s"}])
    assert LoadResult.model_validate_json(result.model_dump_json()) == result


def test_a_result_is_a_line_of_its_campaign() -> None:
    line = resulting(steady(10, done=True)).line("Every threshold held.")
    assert (line.run, line.verdict, line.capacity, line.said) == (
        "load-1",
        "passed",
        10,
        "Every threshold held.",
    )


def test_the_series_has_a_point_a_second_and_the_rate_of_the_plan() -> None:
    result = resulting(steady(10, done=True))
    (everything, support, _) = result.series
    assert (everything.name, support.name) == ("*", "support")
    assert [p.due for p in everything.points if p] == [20] * 10
    assert result.rates == [10] * 10


def test_a_general_client_is_named() -> None:
    result = resulting(steady(10, done=True, client="httpx, HTTP/2", health=Health(lag_ms=7)))
    said = words.sentences(result)
    assert "A general client served (httpx, HTTP/2): its own limit is lower than the engine's." in said
    assert result.health.lag_ms == 7


@pytest.mark.parametrize("what", ["p50", "p95", "p99", "p999", "maximum", "errors_percent"])
def test_what_does_not_hold_is_said_in_russian_too(what: str) -> None:
    broken = Broken(step="*", what=what, value=2.0, bound=1.0, rate=80, since=75)
    english = words.broken_words(broken)
    with speaking("ru"):
        russian = words.broken_words(broken)
    assert "since 1:15, at 80 sessions/s" in english
    assert "1:15" in russian
    assert "since" not in russian
    assert "80 сессий/с" in russian


@pytest.mark.parametrize("sign", ["latency", "throughput", "errors"])
@pytest.mark.parametrize("sure", ["sure", "likely", "not known"])
def test_what_saturates_is_said_in_russian_too(sign: str, sure: str) -> None:
    resource = "" if sure == "not known" else "CPU"
    found = Saturation(context="support", rate=84, at=200, sign=sign, resource=resource, sure=sure)
    found.utilisation, found.correlation = 0.97, 0.914
    english = words.saturation_words(found)
    assert english.startswith("support saturates first, at 84 sessions/s (since 3:20): ")
    assert ("97 % in use, correlation with the latency 0.91" in english) is bool(resource)
    with speaking("ru"):
        assert "saturates" not in words.saturation_words(found)


def test_what_saturates_together_and_whose_resource_it_is_are_said() -> None:
    found = Saturation(context="checkout", rate=35.6, at=12, sign="latency", together=["account", "support"])
    found.resource, found.resource_of, found.sure = "crm-pool", "support", "likely"
    found.utilisation, found.correlation = 3.56, 0.961
    english = words.saturation_words(found)
    assert english == (
        "checkout saturates first, with it account, support, at 36 sessions/s (since 0:12): "
        "its answers get slow. "
        "Likely: crm-pool of support (356 % of its limit, correlation with the latency 0.96)."
    )
    with speaking("ru"):
        russian = words.saturation_words(found)
        assert russian == understood(english)
    assert "crm-pool у support (356 % от предела" in russian


@pytest.mark.parametrize(
    ("plain", "factor", "said"),
    [
        (20, 1.5, "That is 20 % above the expected peak of 100/s, 20 % short of the peak times 1.5."),
        (0.2, 1.0, "That is exactly the expected peak of 100/s."),
        (-25, 2.0, "That is 25 % short of the expected peak of 100/s, 62 % short of the peak times 2."),
    ],
)
def test_what_is_carried_is_held_against_the_plan_without_a_minus(
    plain: float, factor: float, said: str
) -> None:
    rate = 100 + plain
    capacity = Capacity(
        rate=rate,
        expected_peak=100,
        safety_factor=factor,
        headroom_percent=plain,
        headroom_with_factor_percent=100 * (rate / 100 / factor - 1),
    )
    assert (
        words.capacity_words(capacity) == f"Everything held up to {rate:.0f} sessions/s, and not above. {said}"
    )
    english = words.capacity_words(capacity)
    with speaking("ru"):
        russian = words.capacity_words(capacity)
        assert russian == understood(english)
    assert not re.search("[A-Za-z]", russian)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_verdict_has_a_word_in_both_languages(verdict: Verdict) -> None:
    with speaking("ru"):
        russian = words.verdict_word(verdict)
    assert words.verdict_word(verdict) != russian


@pytest.mark.parametrize(
    ("seconds", "said_as"),
    [(None, "–"), (0.00042, "0.42 ms"), (0.085, "85 ms"), (1.85, "1.85 s"), (123.4, "123 s")],
)
def test_latencies_are_written_for_people(seconds: float | None, said_as: str) -> None:
    assert words.latency(seconds) == said_as


def test_a_target_that_is_down_passes_no_test() -> None:
    dead = {n: {"ask": said([], errors={"connect": 10})} for n in range(10)}
    result = resulting(report(10.0, dead, done=True))
    assert (result.verdict, result.void) == (Verdict.VOID, "Not one request was answered: is the target up?")


def test_a_target_that_is_down_fails_a_test_that_bounds_its_latency() -> None:
    dead = {n: {"ask": said([], errors={"connect": 10})} for n in range(10)}
    result = resulting(report(10.0, dead, done=True), thresholds=[{"step": "support", "p95": "1s"}])
    assert (result.verdict, [broken.what for broken in result.broken]) == (Verdict.FAILED, ["p95"])


def test_a_test_without_a_request_passes_nothing() -> None:
    result = resulting(report(10.0, {}, done=True), phases=[{"rate": 0.1, "for": "10s"}])
    assert result.verdict is Verdict.VOID
    assert [flaw.kind for flaw in result.flaws] == ["nothing"]


def test_a_threshold_that_no_request_came_to_does_not_count_as_held() -> None:
    asked = report(10.0, {n: {"ask": said([20] * 10)} for n in range(10)}, done=True)
    result = resulting(asked, thresholds=[{"step": "pay", "p95": "1s"}])
    assert result.verdict is Verdict.VOID
    assert result.void == "No request of “pay” was made, so its threshold was not tested."


def test_a_share_that_two_generators_made_voids_the_figures() -> None:
    totals = Totals(load_test())
    totals.add(steady(10, done=True))
    totals.add(report(10.0, {4: {"ask": said([20] * 2)}}), attempt=2)
    result = result_of(totals, started_at=START)
    assert result.flaws == [Flaw(kind="doubled", percent=2.0)]
    assert result.void == "2 % of the sessions were made twice; at most 1 % may be."
