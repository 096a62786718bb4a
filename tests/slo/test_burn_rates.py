"""Burn rates and budgets, against hand arithmetic of the SRE workbook's example: 99.9 % over 30 days."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.slo.budget import bad_events_allowed, budget_of, left_percent, outage_allowed, tidy
from holdfast.slo.burn import (
    alert_factor,
    budget_spent_percent,
    burn_rate,
    can_fire,
    edge,
    outage_until_alert,
    time_to_detect,
    time_to_exhaustion,
)
from holdfast.slo.spec import WORKBOOK_ALERTS
from tests.slo.slo_builders import DAY, HOUR, MINUTE, alert, slo

PERIOD = 30 * DAY
SHARES = st.floats(0, 1)
BUDGETS = st.floats(1e-6, 0.5)
RATES = st.floats(1e-3, 1e6)
WINDOWS = st.timedeltas(MINUTE, PERIOD)


def test_the_factors_of_the_workbook_are_14_4_and_6_and_3_and_1() -> None:
    by_hand = [0.02 * 720 / 1, 0.05 * 720 / 6, 0.10 * 720 / 24, 0.10 * 720 / 72]

    assert [tidy(one.factor(PERIOD)) for one in WORKBOOK_ALERTS] == [14.4, 6, 3, 1]
    assert by_hand == pytest.approx([14.4, 6, 3, 1])
    for one in WORKBOOK_ALERTS:
        assert alert_factor(one.budget_percent, window=one.long, period=PERIOD) == one.factor(PERIOD)


@pytest.mark.parametrize(
    ("long", "rate", "percent"), [(HOUR, 14.4, 2), (6 * HOUR, 6, 5), (DAY, 3, 10), (3 * DAY, 1, 10)]
)
def test_a_window_at_its_edge_spends_the_share_that_the_workbook_says(long, rate, percent) -> None:
    assert budget_spent_percent(rate, window=long, period=PERIOD) == pytest.approx(percent)


@pytest.mark.parametrize(
    ("rate", "bad_percent", "gone_after"),
    [
        (1, 0.1, 30 * DAY),
        (2, 0.2, 15 * DAY),
        (10, 1, 3 * DAY),
        (1000, 100, timedelta(minutes=43, seconds=12)),
    ],
)
def test_the_table_of_burn_rates_and_exhaustion_is_the_workbooks(rate, bad_percent, gone_after) -> None:
    assert burn_rate(bad_percent / 100, 0.001) == pytest.approx(rate)
    assert time_to_exhaustion(rate, period=PERIOD) == gone_after


@pytest.mark.parametrize(
    ("one", "seconds"),
    # (1 − objective) / share of errors × window × factor, with everything failing: 0.001 × window × factor.
    list(
        zip(
            WORKBOOK_ALERTS,
            [0.001 * 3600 * 14.4, 0.001 * 21600 * 6, 0.001 * 86400 * 3, 0.001 * 259200],
            strict=True,
        )
    ),
)
def test_a_total_outage_is_told_after_the_time_that_the_workbook_gives(one, seconds) -> None:
    told = outage_until_alert(slo(), one)

    assert told is not None
    assert told.total_seconds() == pytest.approx(seconds)


def test_the_page_of_a_total_outage_comes_after_51_84_seconds() -> None:
    assert outage_until_alert(slo(), WORKBOOK_ALERTS[0]) == timedelta(seconds=51.84)


def test_a_budget_of_99_9_percent_is_one_in_a_thousand_and_43_minutes() -> None:
    assert budget_of(slo()) == 0.001
    assert bad_events_allowed(1_000_000, 0.001) == 1000
    assert outage_allowed(PERIOD, 0.001) == timedelta(minutes=43, seconds=12)
    assert left_percent(0.0005, 0.001) == 50
    assert left_percent(0.002, 0.001) == -100


def test_a_promise_that_allows_a_lot_has_edges_that_no_outage_reaches() -> None:
    loose = slo(objective_percent=90)

    assert [can_fire(loose, one) for one in WORKBOOK_ALERTS] == [False, True, True, True]
    assert edge(loose, WORKBOOK_ALERTS[0]) == pytest.approx(1.44)
    assert outage_until_alert(loose, WORKBOOK_ALERTS[0]) is None


def test_nothing_is_spent_without_bad_events_and_nothing_is_left_of_a_spent_budget() -> None:
    assert time_to_exhaustion(0, period=PERIOD) is None
    assert time_to_exhaustion(5e-324, period=PERIOD) is None
    assert time_to_exhaustion(2, period=PERIOD, left_percent=0) == timedelta(0)
    assert time_to_exhaustion(2, period=PERIOD, left_percent=50) == 7.5 * DAY


@given(percent=st.floats(0.1, 100), window=WINDOWS)
def test_burning_at_the_factor_for_the_window_spends_exactly_that_share(percent, window) -> None:
    rate = alert_factor(percent, window=window, period=PERIOD)

    assert budget_spent_percent(rate, window=window, period=PERIOD) == pytest.approx(percent)


@given(share=SHARES, budget=BUDGETS)
def test_what_is_left_falls_with_the_burn_rate_of_the_period(share, budget) -> None:
    assert left_percent(share, budget) == pytest.approx(100 - 100 * burn_rate(share, budget))


@given(share=st.floats(1e-4, 1), budget=BUDGETS, factor=RATES, window=WINDOWS)
def test_an_edge_is_reached_within_its_window_or_never(share, budget, factor, window) -> None:
    after = time_to_detect(share, budget=budget, factor=factor, window=window)

    assert (after is None) == (share <= factor * budget)
    assert after is None or timedelta(0) <= after <= window


@given(rate=RATES, left=st.floats(0.01, 100))
def test_burning_until_nothing_is_left_spends_what_was_left(rate, left) -> None:
    after = time_to_exhaustion(rate, period=PERIOD, left_percent=left)

    assert after is not None
    spent = budget_spent_percent(rate, window=after, period=PERIOD)
    # A duration has microseconds, and at a million times the pace one of them is a lot.
    assert spent == pytest.approx(left, abs=rate * 1e-10, rel=1e-6)


@given(objective=st.floats(1, 99.9999))
def test_the_long_window_of_an_alert_at_its_edge_is_where_its_factor_is(objective) -> None:
    promise = slo(objective_percent=objective)
    one = alert(HOUR, 5 * MINUTE, 2)

    assert burn_rate(edge(promise, one), budget_of(promise)) == pytest.approx(one.factor(PERIOD))
