"""Campaigns and load tests as the messages of their runs."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.adapters.telegram.cards import render
from holdfast.adapters.telegram.wording import MESSAGE_LIMIT, units
from holdfast.domain.campaign import (
    BreachLine,
    CampaignView,
    ContextLine,
    Go,
    LoadLine,
    LoadView,
    Phase,
    RoleLine,
    TaskLine,
    TestLine,
    TestVerdict,
)
from holdfast.domain.view import RunState
from holdfast.i18n import speaking
from tests.campaign_views import INCIDENT, LOAD, NOW, a_campaign, a_load_test, measured, shown

# Long by repetition: Hypothesis need not choose each letter.
TEXT = st.builds(lambda text, times: text * times, st.text(max_size=3), st.integers(0, 130))
LONG = st.builds(lambda text, times: text * times, st.text(min_size=1, max_size=3), st.integers(100, 1000))
MOMENTS = st.integers(0, 40_000).map(lambda minutes: NOW + timedelta(minutes=minutes))


def plain(view: Any, language: str = "en", zone: str = "UTC") -> str:
    with speaking(language):
        return render(view, zone=ZoneInfo(zone)).plain


def test_a_breach_stands_first_with_what_customers_cannot_do() -> None:
    text = plain(a_campaign())

    assert "🚨 Support, since" in text
    assert "customers cannot: submit a ticket" in text
    assert f"incident {INCIDENT}" in text
    assert "✅ Breaches that are over: 1" in text
    assert text.index("🚨 Support") < text.index("❌ Support: 12 % of the error budget is left")


def test_contexts_say_more_only_where_something_is_wrong() -> None:
    text = plain(a_campaign())

    assert "⚠️ Account Management: 81 % of the error budget is left" in text
    assert "99.5 % of account pages" in text
    assert "✅ Notification: 100 % of the error budget is left" in text
    assert "▫️ Checkout" in text


def test_how_a_promise_stands_is_told_in_the_readers_language_to_its_end() -> None:
    promise = "99.9 % " + "заявок " * 15 + "обработаны"
    view = a_campaign()
    assert view.campaign is not None
    view.campaign.contexts[0].lines = [f"❌ {promise}, 12 % of the budget is left, 97.5 % in the window"]

    assert f"❌ {promise}, осталось 12 % бюджета, в окне 97.5 %" in plain(view, "ru")


def test_roles_and_tasks_name_who_has_them_and_what_is_overdue() -> None:
    text = plain(a_campaign())

    assert "👤 leads the response and decides: boris" in text
    assert "👤 speaks with the client: nobody yet, asked: gleb, anna" in text
    assert "👤 tells everybody what is going on: nobody yet" in text
    assert "☑️ 1 of 3 tasks done" in text
    assert "⏰ Overdue: Call the client (client-liaison)" in text
    assert "▫️ Next: Look (boris, until" in text


def test_the_window_is_told_on_the_readers_clock() -> None:
    assert "2026-12-11 12:30 MSK" in plain(a_campaign(), zone="Europe/Moscow")


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (TestVerdict.PASSED, "Load test passed: so it was"),
        (TestVerdict.FAILED, "Load test failed: so it was"),
        (TestVerdict.VOID, "Load test without a figure: so it was"),
        (TestVerdict.STOPPED, "Load test stopped: so it was"),
        (TestVerdict.SKIPPED, "Load test skipped: so it was"),
    ],
)
def test_before_the_window_the_newest_load_test_is_told(verdict: TestVerdict, words: str) -> None:
    line = TestLine(run=LOAD, at=NOW, verdict=verdict, said="so it was")
    text = plain(a_campaign(shown(phase=Phase.PREPARING, tests=[line])))

    assert words in text
    assert words not in plain(a_campaign(shown(phase=Phase.OPEN, tests=[line])))


@pytest.mark.parametrize(
    ("go", "words"),
    [(Go.GO, "go, decided by"), (Go.NO_GO, "no-go, decided by"), (Go.LIMITS, "go with limits, decided by")],
)
def test_what_was_decided_after_a_failure_is_told_with_who_did(go: Go, words: str) -> None:
    line = TestLine(run=LOAD, at=NOW, verdict=TestVerdict.FAILED, said="slow", go=go, decided_by="boris")

    assert f"↳ {words} boris" in plain(a_campaign(shown(phase=Phase.SIGN_OFF, tests=[line])))


def test_after_the_window_nobody_is_asked_for_anything_and_the_report_is_named() -> None:
    closed = shown(phase=Phase.CLOSED, report="https://holdfast.example/reports/x", frozen=False)
    text = plain(a_campaign(closed, state=RunState.FINISHED))

    assert "📄 Report: https://holdfast.example/reports/x" in text
    assert "👤" not in text
    assert "☑️" not in text
    assert "🧊" not in text


def test_metrics_that_do_not_answer_are_said_aloud() -> None:
    assert "The metrics do not answer: nobody knows how it goes." in plain(a_campaign(shown(silent="503")))


def test_a_running_load_test_says_how_far_it_is_and_how_to_stop_it() -> None:
    text = plain(a_load_test())

    assert "35 % · 30 sessions/s begin now, 60/s at most · 2 generators" in text
    assert "all: 51.2/s, p95 310 ms, errors 0.25 %" in text
    assert "checkout: 0.0/s, errors 0.00 %" in text
    assert "❌ ticket: p95 is 2.4 s" in text
    assert f"/loadstop {LOAD}" in text


def test_a_load_test_that_is_over_says_what_it_came_to_and_cannot_be_stopped() -> None:
    result = TestLine(run=LOAD, at=NOW, verdict=TestVerdict.VOID, said="The figures do not count.")
    load = measured(result=result, late_percent=3.4, lost=7, stopped_by="anna")
    text = plain(a_load_test(load, state=RunState.NOT_PASSED))

    assert "Load test without a figure: The figures do not count." in text
    assert "The generator itself is late for 3.4 % of the requests" in text
    assert "7 requests were lost" in text
    assert "Stopped by anna." in text
    assert "/loadstop" not in text
    assert "sessions/s begin now" not in text


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_is_told_in_russian_without_a_word_of_our_english(phase: Phase) -> None:
    text = plain(a_campaign(shown(phase=phase, test_running=LOAD, report="r")), language="ru")

    for english in (
        "Planned rollouts",
        "error budget",
        "nobody yet",
        "tasks done",
        "Overdue",
        "since",
        "Report:",
    ):
        assert english not in text
    assert "Example Retail" in text


def test_a_load_test_is_told_in_russian() -> None:
    text = plain(a_load_test(measured(late_percent=2, lost=3)), language="ru")

    for english in ("sessions/s", "errors", "generators", "To stop it", "lost with"):
        assert english not in text


CONTEXTS = st.builds(
    ContextLine,
    name=st.just("c"),
    title=TEXT,
    level=st.sampled_from(["ok", "warning", "breach", "unknown"]),
    lines=st.lists(LONG, max_size=4),
    budget_left_percent=st.none() | st.floats(-500, 100),
)
BREACHES = st.builds(
    BreachLine,
    number=st.just(1),
    context=TEXT,
    title=TEXT,
    journey=TEXT,
    said=LONG,
    began=MOMENTS,
    incident=TEXT,
)
TESTS = st.builds(
    TestLine,
    run=TEXT,
    at=MOMENTS,
    verdict=st.sampled_from(TestVerdict),
    said=LONG,
    go=st.none() | st.sampled_from(Go),
    decided_by=TEXT,
)
ROLES = st.builds(RoleLine, name=TEXT, title=TEXT, person=st.sampled_from(["", "anna"]), asked=st.lists(TEXT))
TASKS = st.builds(TaskLine, id=TEXT, title=LONG, owner=TEXT, due=MOMENTS, overdue=st.booleans())
CAMPAIGNS = st.builds(
    CampaignView,
    client=LONG,
    phase=st.sampled_from(Phase),
    opens=MOMENTS,
    closes=MOMENTS,
    frozen=st.booleans(),
    limits=LONG,
    tests=st.lists(TESTS, max_size=3),
    roles=st.lists(ROLES, max_size=30),
    tasks=st.lists(TASKS, max_size=10),
    contexts=st.lists(CONTEXTS, max_size=30),
    breaches=st.lists(BREACHES, max_size=10),
    test_running=TEXT,
    report=LONG,
    silent=TEXT,
)
LOADS = st.builds(
    LoadView,
    phase=LONG,
    shards=st.integers(0, 10**6),
    lines=st.lists(st.builds(LoadLine, name=TEXT, p95=st.none() | st.floats(0, 10**6)), max_size=30),
    broken=st.lists(LONG, max_size=10),
    late_percent=st.floats(0, 100),
    lost=st.integers(0, 10**9),
    result=st.none() | TESTS,
    stopped_by=TEXT,
)


@settings(max_examples=60)
@given(campaign=CAMPAIGNS, language=st.sampled_from(["en", "ru"]))
def test_a_campaigns_message_always_fits(campaign: CampaignView, language: str) -> None:
    assert units(plain(a_campaign(campaign), language)) <= MESSAGE_LIMIT


@settings(max_examples=60)
@given(load=LOADS, language=st.sampled_from(["en", "ru"]))
def test_a_load_tests_message_always_fits(load: LoadView, language: str) -> None:
    assert units(plain(a_load_test(load), language)) <= MESSAGE_LIMIT
