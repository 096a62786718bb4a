"""Figures of a window that the watch counted: one count in the table, the summary and the chart."""

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.adapters.reports.analysis import analyse
from holdfast.adapters.reports.building import report_of
from holdfast.adapters.reports.figures import Analysis, PeriodTest, SloFigures
from holdfast.adapters.reports.html import report_html
from holdfast.adapters.reports.looks import Looks
from holdfast.adapters.reports.page import cards
from holdfast.adapters.reports.parts import zone_of
from holdfast.adapters.reports.words import Clock, figure, lead, period_tests, proposal_words, sli
from holdfast.domain.client_words import ClientNews, Occasion, PromiseLine, in_plain_words
from holdfast.i18n import speaking
from holdfast.slo.status import Moment, WindowCount
from tests.reports.made import BROKEN, CLOSES, LASTS, MINUTE, OPENS, counting, look, material

ALL, BAD = 1000 * LASTS, 100 * len(BROKEN)


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(material(looks=Looks(counting(minute) for minute in range(LASTS))))


def support(analysis: Analysis) -> SloFigures:
    return analysis.slos[0]


def with_count(events: int, bad: int) -> Moment:
    moment = look(0)
    for slo in moment.slos:
        slo.window = WindowCount.of(events, bad, slo.objective_percent, at=moment.at)
    return moment


def test_a_promise_is_what_the_watch_counted_and_not_what_the_period_makes_of_it(analysis: Analysis) -> None:
    slo = support(analysis)

    assert (slo.basis, slo.events, slo.bad_events, slo.kept) == ("counted", ALL, BAD, False)
    assert slo.sli_percent == pytest.approx(100 * (1 - BAD / ALL))
    assert slo.budget_used_percent == pytest.approx(100 * BAD / (ALL / 1000))
    assert slo.period_left_percent == pytest.approx(-40 + (LASTS - 1) / 2)
    assert slo.period == timedelta(days=30)


@given(st.integers(1, 10**9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_the_client_the_table_and_the_summary_say_the_same(numbers: tuple[int, int]) -> None:
    moment = with_count(*numbers)
    analysis = analyse(material(looks=Looks([look(0), moment])))
    slo, count = support(analysis), moment.slos[0].window
    assert count is not None
    line = PromiseLine(
        promise=slo.promise,
        sli_percent=count.sli_percent,
        objective_percent=slo.objective_percent,
        kept=count.kept,
    )
    news = ClientNews(occasion=Occasion.CLOSED, title="t", at=CLOSES, promises=[line])

    share = sli(slo.sli_percent, slo.objective_percent, kept=bool(slo.kept))
    assert f": {'kept' if slo.kept else 'not kept'}, {share}." in in_plain_words(news)
    kept = sum(1 for each in analysis.slos if each.kept)
    assert lead(analysis)[0].startswith(f"{kept} of 2 promises were kept.")
    assert cards(analysis)[0].value == f"{kept} / 2"


@given(st.integers(1, 10**9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_what_is_used_and_what_is_left_are_one_budget(numbers: tuple[int, int]) -> None:
    slo = support(analyse(material(looks=Looks([with_count(*numbers)]))))

    assert slo.budget_used_percent is not None
    assert slo.budget_left_percent is not None
    assert slo.budget_used_percent >= 0
    assert slo.budget_used_percent + slo.budget_left_percent == pytest.approx(100)
    assert (slo.budget_left_percent >= 0) is slo.kept


def test_without_a_count_what_is_used_and_left_follows_from_the_share() -> None:
    slo = support(analyse(material()))

    assert slo.held is None
    assert slo.budget_used_percent is not None
    assert slo.budget_left_percent == pytest.approx(100 - slo.budget_used_percent)


def test_looks_that_counted_nothing_at_the_end_leave_the_last_count() -> None:
    looks = Looks([*(counting(minute) for minute in range(LASTS - 1)), look(LASTS - 1)])

    assert support(analyse(material(looks=looks))).events == ALL - 1000


def test_a_count_that_ended_long_before_the_window_says_until_when() -> None:
    counted = LASTS - 30
    looks = Looks(counting(minute) if minute < counted else look(minute) for minute in range(LASTS))
    analysis = analyse(material(looks=looks))

    assert support(analysis).counted_until == OPENS + (counted - 1) * MINUTE
    text = re.sub(r"<[^>]+>", "", report_html(analysis))
    assert "98 % (counted until 2026-12-11 12:29)" in text


def test_the_look_at_the_closing_ends_the_window_although_the_reports_clock_is_behind() -> None:
    closing = counting(LASTS)
    late = analyse(material(looks=Looks([counting(LASTS - 1), closing]), made_at=CLOSES - 5 * MINUTE))
    early = analyse(material(looks=Looks([counting(LASTS - 1)]), made_at=CLOSES - 5 * MINUTE))

    assert closing.at == CLOSES
    assert (late.ended, early.ended) == (True, False)


def test_a_count_up_to_the_end_says_nothing_of_it(analysis: Analysis) -> None:
    assert support(analysis).counted_until is None
    assert "counted until" not in report_html(analysis)


def test_the_chart_is_whole_at_the_opening_falls_and_ends_at_the_tables_figure(analysis: Analysis) -> None:
    curve = analysis.budgets[0]
    values = [value for _, value in curve.points if value is not None]

    assert curve.points[0] == (OPENS, 100.0)
    assert values == sorted(values, reverse=True)
    assert values[-1] == pytest.approx(support(analysis).budget_left_percent)
    assert analysis.period_budgets == []


def test_without_a_count_the_chart_is_that_of_the_period() -> None:
    analysis = analyse(material())

    assert analysis.budgets == []
    assert [curve.name for curve in analysis.period_budgets] == ["ticket-submissions", "profiles"]
    assert "Error budget of the period left, %" in report_html(analysis)


def test_a_broken_promise_is_said_with_a_share_below_its_objective() -> None:
    moment = with_count(1_000_000, 1_001)
    analysis = analyse(material(looks=Looks([moment])))
    said = next(proposal_words(p) for p in analysis.proposals if p.rule == "promise_broken")

    assert said.startswith("Support, ticket-submissions: 99.89 % instead of 99.9 %")


def test_load_tests_within_the_period_are_named_with_their_requests() -> None:
    tests = [
        PeriodTest(run="load-2", at=OPENS - timedelta(days=1), requests=41_250),
        PeriodTest(run="load-1", at=OPENS - timedelta(days=3)),
    ]
    analysis = analyse(material(period_tests=tests))

    said = period_tests(analysis, Clock(zone_of(analysis)))
    assert "30 days" in said
    assert "2026-12-08 10:00 (not measured), 2026-12-10 10:00 (41\u202f250 requests)" in said
    assert said in report_html(analysis).replace('<span class="moment">', "").replace("</span>", "").replace(
        "&#39;", "'"
    )
    assert period_tests(analyse(material()), Clock(zone_of(analysis))) == ""


def test_a_rate_has_no_space_before_its_slash(analysis: Analysis) -> None:
    assert (figure(14.9, "/s"), figure(12_300, "/s")) == ("14.9/s", "12.3 k/s")
    with speaking("ru"):
        html = report_html(analysis)
    assert " /s" not in html
    assert " /с" not in html


def test_moments_are_not_broken_over_lines_and_nothing_is_let_through(analysis: Analysis) -> None:
    html = report_html(analysis.model_copy(update={"title": "<b>2026-12-11 10:00</b>"}))

    assert '<span class="moment">(2026-12-11 11:00)</span>' in html
    assert "<b>" not in html


def test_the_report_is_made_in_both_languages(analysis: Analysis) -> None:
    english, russian = report_of(analysis), report_of(analysis, "ru")

    assert "Budget left over 30 days" in english.html
    assert "Остаток бюджета за 30 дней" in russian.html
