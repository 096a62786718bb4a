"""From answers to levels and sentences."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.slo.baseline import MOST_SIGMAS, Usual
from holdfast.slo.evaluate import evaluate, silence
from holdfast.slo.queries import part_key, questions, total_key
from holdfast.slo.status import Level, Moment, SloStatus
from tests.slo.slo_builders import AT, DAY, HOUR, MINUTE, answered, context, slo

FULL = context(
    kpis={
        "latency": {"query": "a[$window]", "title": "latency p95", "unit": "s"},
        "throughput": {"query": "b[$window]", "bad_when": "falling"},
        "build": {"query": "c[$window]", "bad_when": "never"},
    },
    resources={"cpu": {"query": "d[$window]", "full_at": 4, "unit": "cores"}, "disk": {"query": "e[$window]"}},
)
KEYS = [q.key for q in questions({"checkout": FULL}, window=MINUTE)]
ANY = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([0.0, 1.0, -1.0]))
USUALS = st.builds(
    Usual,
    median=st.floats(allow_nan=False, allow_infinity=False),
    mad=st.floats(0, allow_nan=False, allow_infinity=False),
    points=st.integers(1, 100),
)


def moment_of(answers, *, contexts=None, baselines=None) -> Moment:
    return evaluate(contexts or {"checkout": context()}, answers, baselines or {}, AT)


def status_of(answers, **more) -> SloStatus:
    return moment_of(answers, **more).slos[0]


def test_both_windows_above_14_4_are_a_breach_and_say_so() -> None:
    # 18.2 times the budget in the first alert's windows, 39 % of the period's budget spent
    found = status_of(answered({HOUR: 0.0182, 5 * MINUTE: 0.0182, 30 * DAY: 0.00039}))

    assert found.level is Level.BREACH
    burns = "the error budget burns 18.2 times too fast over 1 h and 5 min (edge 14.4)"
    assert found.said == f"{burns}; 61 % of the budget is left"
    assert found.sli_percent == pytest.approx(99.961)
    assert found.budget_left_percent == pytest.approx(61)
    assert found.events == pytest.approx(10 * 30 * 86400)
    assert found.bad_events == pytest.approx(10 * 30 * 86400 * 0.00039)
    assert [reading.factor for reading in found.burn] == [14.4, 6, 3, 1]


@pytest.mark.parametrize("share", [0.0145, 0.0143])
def test_the_edge_is_at_1_44_percent_of_the_events(share) -> None:
    found = status_of(answered({HOUR: share, 5 * MINUTE: share}))

    assert found.level is (Level.BREACH if share > 0.0144 else Level.OK)


def test_one_window_alone_is_no_breach() -> None:
    over = status_of(answered({HOUR: 0.5, 5 * MINUTE: 0.0}))
    begun = status_of(answered({HOUR: 0.0, 5 * MINUTE: 0.5}))

    assert (over.level, begun.level) == (Level.OK, Level.OK)


def test_a_ticket_alert_is_a_warning() -> None:
    found = status_of(answered({3 * DAY: 0.0012, 6 * HOUR: 0.0012, 30 * DAY: 0.002}))

    assert found.level is Level.WARNING
    burns = "the error budget burns 1.2 times too fast over 3 d and 6 h (edge 1)"
    assert found.said == f"{burns}; the budget is overspent by 100 %"


def test_a_promise_that_holds_says_what_is_left() -> None:
    found = status_of(answered(0.00025))

    assert found.level is Level.OK
    assert found.said == "99.975 % good over 30 d; 75 % of the budget is left"


def test_good_events_are_counted_like_bad_ones() -> None:
    good = slo(bad=None, good="sum(rate(good_total[$window]))")
    contexts = {"checkout": context(slos={"orders": good})}

    found = status_of(answered(0.02, of=good), contexts=contexts)

    assert found.level is Level.BREACH
    assert found.burn[0].long_burn == pytest.approx(20)


def test_too_few_events_in_the_short_window_conclude_nothing() -> None:
    # 5 events in 5 minutes, 30 in 30 minutes: only the slower alerts have enough
    found = status_of(answered({HOUR: 1.0, 5 * MINUTE: 1.0}, rate=5 / 300))

    assert found.burn[0].short_burn is None
    assert found.burn[1].short_burn == 0
    assert found.level is Level.OK


def test_hardly_any_traffic_is_unknown_and_no_breach() -> None:
    found = status_of(answered(1.0, rate=1 / 86400))

    assert found.level is Level.UNKNOWN
    assert found.said.startswith("too few events to judge: 0.00347 over 5 min, 10 are needed")


def test_no_traffic_is_unknown_and_no_breach() -> None:
    found = status_of(answered(1.0, rate=0.0))

    assert found.level is Level.UNKNOWN
    assert (found.sli_percent, found.budget_left_percent, found.events) == (None, None, 0)


def test_no_answer_is_unknown() -> None:
    found = status_of({})

    assert found.level is Level.UNKNOWN
    assert found.said == "no data over 5 min, so nothing is concluded"


def test_data_that_stopped_is_unknown_although_longer_windows_still_speak() -> None:
    answers = answered(0.0)
    del answers[total_key("checkout", "orders", 5 * MINUTE)]

    assert status_of(answers).level is Level.UNKNOWN


def test_a_page_that_burns_in_longer_windows_stays_a_breach_when_data_stops() -> None:
    answers = answered({6 * HOUR: 0.1, 30 * MINUTE: 0.1})
    del answers[total_key("checkout", "orders", 5 * MINUTE)]

    assert status_of(answers).level is Level.BREACH


def test_events_without_a_number_of_bad_ones_are_unknown_and_say_what_to_do() -> None:
    answers = answered(0.0)
    del answers[part_key("checkout", "orders", 5 * MINUTE)]

    found = status_of(answers)

    assert found.level is Level.UNKNOWN
    assert "query 'bad' gives no number" in found.said
    assert "vector(0)" in found.said


def test_a_period_that_nobody_could_count_leaves_the_rest_known() -> None:
    answers = answered(0.02)
    del answers[total_key("checkout", "orders", 30 * DAY)]

    found = status_of(answers)

    assert found.level is Level.BREACH
    assert found.said.endswith("how much of the budget is left is not known")


def test_rates_that_pass_each_other_by_a_trace_stay_shares() -> None:
    answers = answered(0.0)
    answers[part_key("checkout", "orders", HOUR)] = -0.001
    answers[part_key("checkout", "orders", 30 * DAY)] = 10.001

    found = status_of(answers)

    assert found.burn[0].long_burn == 0
    assert found.sli_percent == 0


@pytest.mark.parametrize(
    ("value", "level", "sigmas"),
    [(1.0, Level.OK, 0.0), (1.4, Level.OK, 2.698), (1.55, Level.OK, 3.71), (1.7, Level.WARNING, 4.721)],
)
def test_a_kpi_leaves_its_baseline_by_sigmas_and_percent(value, level, sigmas) -> None:
    past = {"checkout/kpi/latency": Usual(median=1.0, mad=0.1, points=50)}
    moment = moment_of({"checkout/kpi/latency": value}, contexts={"checkout": FULL}, baselines=past)

    found = moment.kpis[0]
    assert (found.title, found.unit, found.baseline, found.level) == ("latency p95", "s", 1.0, level)
    assert found.sigmas == pytest.approx(sigmas, abs=0.001)


def test_falling_is_bad_where_the_file_says_so() -> None:
    past = {"checkout/kpi/throughput": Usual(median=100, mad=2, points=50)}
    moment = moment_of({"checkout/kpi/throughput": 20.0}, contexts={"checkout": FULL}, baselines=past)

    assert moment.kpis[1].level is Level.WARNING
    assert moment.kpis[1].sigmas == pytest.approx(26.98, abs=0.01)
    assert moment.level_of("checkout") is Level.WARNING


def test_what_never_moved_is_as_far_as_can_be_told_and_percents_decide() -> None:
    still = Usual(median=2, mad=0, points=50)
    moments = [
        moment_of(
            {"checkout/kpi/latency": v}, contexts={"checkout": FULL}, baselines={"checkout/kpi/latency": still}
        )
        for v in (2.9, 3.1)
    ]

    assert [m.kpis[0].level for m in moments] == [Level.OK, Level.WARNING]
    assert [m.kpis[0].sigmas for m in moments] == [MOST_SIGMAS, MOST_SIGMAS]


def test_a_kpi_without_a_baseline_is_shown_and_not_judged() -> None:
    answers = {"checkout/kpi/latency": 9.0, "checkout/kpi/build": 3.0}
    found = moment_of(answers, contexts={"checkout": FULL}).kpis

    assert [(k.value, k.level) for k in found[:3]] == [
        (9.0, Level.UNKNOWN),
        (None, Level.UNKNOWN),
        (3.0, Level.OK),
    ]


def test_a_resource_says_how_much_of_it_is_used() -> None:
    answers = {"checkout/resource/cpu": 3.0, "checkout/resource/disk": 7.0}
    cpu, disk = moment_of(answers, contexts={"checkout": FULL}).kpis[3:]
    full = moment_of({"checkout/resource/cpu": 4.0}, contexts={"checkout": FULL}).kpis[3]

    assert (cpu.used_percent, cpu.level) == (75, Level.OK)
    assert (disk.used_percent, disk.level) == (None, Level.OK)
    assert (full.used_percent, full.level) == (100, Level.WARNING)


def test_silence_knows_nothing_and_says_why() -> None:
    moment = silence({"checkout": FULL}, AT, "Prometheus does not answer")

    assert moment.silent == "Prometheus does not answer"
    assert {s.level for s in (*moment.slos, *moment.kpis)} == {Level.UNKNOWN}


@given(
    answers=st.dictionaries(st.sampled_from(KEYS), ANY),
    baselines=st.dictionaries(st.sampled_from([k for k in KEYS if "/kpi/" in k]), USUALS),
)
def test_any_answer_gives_a_moment_that_survives_the_wire(answers, baselines) -> None:
    moment = moment_of(answers, contexts={"checkout": FULL}, baselines=baselines)

    again = Moment.model_validate_json(moment.model_dump_json())
    assert again == moment
    for status in moment.slos:
        numbers = [status.sli_percent, status.budget_left_percent, status.events, status.bad_events]
        numbers += [rate for reading in status.burn for rate in (reading.long_burn, reading.short_burn)]
        assert all(n is None or math.isfinite(n) for n in numbers)
        assert status.sli_percent is None or 0 <= status.sli_percent <= 100
        assert status.said


@given(present=st.sets(st.sampled_from(KEYS)), nothing=st.sampled_from([None, math.nan, math.inf, -math.inf]))
def test_a_breach_needs_numbers(present, nothing) -> None:
    answers = dict.fromkeys(present, nothing)

    assert moment_of(answers, contexts={"checkout": FULL}).level_of("checkout") is Level.UNKNOWN


@given(low=st.floats(0, 1), high=st.floats(0, 1))
def test_more_bad_events_never_make_it_look_better(low, high) -> None:
    low, high = sorted((low, high))
    order = [Level.OK, Level.WARNING, Level.BREACH]
    better, worse = status_of(answered(low)), status_of(answered(high))

    assert order.index(better.level) <= order.index(worse.level)
    assert better.budget_left_percent is not None
    assert worse.budget_left_percent is not None
    assert better.budget_left_percent >= worse.budget_left_percent
