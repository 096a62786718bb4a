"""What a campaign's window came to: counted in whole events, judged once, carried along where it is missing."""

from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.slo.evaluate import evaluate, window_counts
from holdfast.slo.lines import context_lines
from holdfast.slo.queries import Question, is_of_promise, questions, window_questions
from holdfast.slo.sentences import quantity
from holdfast.slo.spec import Kpi
from holdfast.slo.status import KpiStatus, Moment, SloStatus, WindowCount
from tests.slo.slo_builders import AT, HOUR, MINUTE, context, slo

WINDOW = timedelta(hours=2, minutes=30)
SINCE = "2h30m"
KEY = ("checkout", "orders")


def answers(bad: float | None, total: float | None) -> dict[str, float | None]:
    """Return events a second since the window opened."""
    return {f"checkout/slo/orders/part/{SINCE}": bad, f"checkout/slo/orders/total/{SINCE}": total}


def seen(count: WindowCount | None, at_minutes: int = 0) -> Moment:
    at = AT + at_minutes * MINUTE
    status = SloStatus(context="checkout", slo="orders", promise="p", objective_percent=99.9, window=count)
    return Moment(at=at, slos=[status])


def test_the_window_is_asked_with_the_time_since_it_opened() -> None:
    asked = window_questions({"checkout": context()}, window=WINDOW)

    assert [(question.key, question.query) for question in asked] == [
        (f"checkout/slo/orders/part/{SINCE}", f'sum(rate(requests_total{{status="500"}}[{SINCE}]))'),
        (f"checkout/slo/orders/total/{SINCE}", f"sum(rate(requests_total[{SINCE}]))"),
    ]


def test_only_a_promise_can_call_somebody() -> None:
    asked = questions({"slo": context(kpis={"slo": Kpi(query="up")})}, window=MINUTE)

    assert [question.key for question in asked if not is_of_promise(question)] == ["slo/kpi/slo"]
    assert is_of_promise(Question("checkout/slo/orders/total/5m", "up", MINUTE))


def test_a_rate_times_the_window_is_a_number_of_events() -> None:
    found = window_counts({"checkout": context()}, answers(0.002, 1.0), WINDOW, AT)

    assert found == {KEY: WindowCount.of(9_000, 18, 99.9, at=AT)}
    assert found[KEY].sli_percent == pytest.approx(99.8)
    assert not found[KEY].kept
    assert found[KEY].budget_left_percent == pytest.approx(-100)


def test_good_events_are_counted_as_well_as_bad_ones() -> None:
    promise = slo(bad=None, good='sum(rate(requests_total{status="200"}[$window]))')
    found = window_counts({"checkout": context(slos={"orders": promise})}, answers(0.999, 1.0), WINDOW, AT)

    assert (found[KEY].events, found[KEY].bad_events, found[KEY].kept) == (9_000, 9, True)


@pytest.mark.parametrize(
    ("bad", "total"), [(None, 1.0), (0.0, None), (0.0, 0.0), (0.0, 0.00001), (0.0, -1.0), (0.0, float("nan"))]
)
def test_without_events_or_answers_nothing_is_counted(bad: float | None, total: float | None) -> None:
    assert window_counts({"checkout": context()}, answers(bad, total), WINDOW, AT) == {}


def test_a_look_carries_the_counts_that_are_known() -> None:
    count = WindowCount.of(1_000, 1, 99.9, at=AT)

    assert evaluate({"checkout": context()}, {}, {}, AT, counts={KEY: count}).slos[0].window == count
    assert evaluate({"checkout": context()}, {}, {}, AT).slos[0].window is None


def test_exactly_the_allowed_number_of_bad_events_is_kept() -> None:
    edge, over = WindowCount.of(1_000, 1, 99.9), WindowCount.of(1_000, 2, 99.9)

    assert (edge.kept, edge.budget_left_percent) == (True, 0)
    assert (over.kept, over.budget_left_percent) == (False, -100)


@given(
    events=st.integers(1, 10**9),
    part=st.floats(0, 1),
    objective=st.integers(1, 99_999).map(lambda n: n / 1_000),
)
def test_a_count_is_judged_by_exact_arithmetic(events: int, part: float, objective: float) -> None:
    bad = min(events, round(events * part))
    count = WindowCount.of(events, bad, objective)

    assert count.kept is (Fraction(bad, events) <= 1 - Fraction(str(objective)) / 100)
    assert 0 <= count.sli_percent <= 100
    assert count.budget_left_percent <= 100


def test_a_look_without_a_count_stands_by_that_of_an_earlier_one() -> None:
    count = WindowCount.of(1_000, 1, 99.9, at=AT)
    newer = WindowCount.of(2_000, 1, 99.9, at=AT + MINUTE)

    assert seen(None, 1).remembering(seen(count)).slos[0].window == count
    assert seen(newer, 1).remembering(seen(count)).slos[0].window == newer
    assert seen(None, 1).remembering(None).slos[0].window is None


def test_a_count_that_is_too_old_stays_and_says_until_when_it_was_counted() -> None:
    moment = seen(WindowCount.of(1_000, 4, 99.9, at=AT))
    for minute in range(1, 17):
        moment = seen(None, minute).remembering(moment)
    count = moment.slos[0].window

    assert count is not None
    assert count.stopped_at(AT + 15 * MINUTE) is None
    assert count.stopped_at(moment.at) == AT
    assert WindowCount.of(1_000, 4, 99.9).stopped_at(moment.at) is None
    [line] = context_lines({"checkout": context()}, moment)
    assert line.lines == [f"▫️ p, 99.6 % in the window (counted until {AT:%Y-%m-%d %H:%M} UTC)"]


def test_what_was_seen_takes_the_counts_that_a_later_look_remembers() -> None:
    older, newer = (WindowCount.of(1_000 * n, 1, 99.9, at=AT + n * MINUTE) for n in (1, 2))

    assert seen(older).recounted(seen(newer, 9)).slos[0].window == newer
    assert seen(older).recounted(seen(None, 9)).slos[0].window == older
    assert seen(older).recounted(seen(newer, 9)).at == AT


def test_the_teams_line_has_the_budget_of_the_period_and_the_share_of_the_window() -> None:
    status = seen(WindowCount.of(1_000, 4, 99.9)).slos[0].model_copy(update={"budget_left_percent": 71.7})
    [line] = context_lines({"checkout": context()}, Moment(at=AT, slos=[status]))

    assert line.lines == ["▫️ p, 72 % of the budget is left, 99.6 % in the window"]


def test_a_unit_that_begins_with_a_slash_makes_no_command_of_a_chat() -> None:
    assert (quantity(14.92, "/s"), quantity(0.41, "s"), quantity(3, "")) == ("14.9/s", "0.41 s", "3")
    kpi = KpiStatus(context="checkout", name="throughput", unit="/s", value=14.92)
    [line] = context_lines({"checkout": context()}, Moment(at=AT, kpis=[kpi]))
    assert line.lines == ["throughput 14.9/s"]


def test_the_hour_of_an_alert_and_the_hour_of_the_window_are_one_question() -> None:
    of_alerts = {question.query for question in questions({"checkout": context()}, window=MINUTE)}

    assert {question.query for question in window_questions({"checkout": context()}, window=HOUR)} <= of_alerts
