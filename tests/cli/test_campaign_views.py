"""Campaigns and load tests on a terminal."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console, Group

from holdfast.apps.cli.campaign_views import campaign_parts, load_parts
from holdfast.domain.campaign import CampaignView, LoadLine, LoadView, TestLine, TestVerdict
from tests.campaign_views import CAMPAIGN, INCIDENT, LOAD, NOW, a_campaign, a_load_test, measured, shown


def shown_as(parts, width=160):
    console = Console(width=width, no_color=True)
    with console.capture() as capture:
        console.print(Group(*parts))
    return capture.get()


def cells(text):
    return [[c.strip() for c in re.split(r"[│┃|]", line)] for line in text.splitlines()]


def test_a_campaign_says_its_window_what_is_frozen_and_its_limits():
    text = shown_as(campaign_parts(shown(test_running=LOAD, report="https://holdfast.example/reports/x")))

    assert "For Example Retail: window 2026-12-11 09:30" in text
    assert "phase: open" in text
    assert "Planned rollouts are refused, fixes go on" in text
    assert "Goes with limits: The announcement goes out in four batches." in text
    assert f"A load test runs: {LOAD}" in text
    assert "Report: https://holdfast.example/reports/x" in text


def test_contexts_breaches_tests_roles_and_tasks_have_their_rows():
    text = shown_as(campaign_parts(shown()))

    assert "Support: breach" in text
    assert "99.9 % of ticket submissions are completed within 5 s" in text
    assert "not over" in text
    assert INCIDENT in text
    assert "go with limits (boris)" in text
    assert "asked: gleb, anna" in text
    assert "nobody was asked yet" in text
    assert "overdue" in text
    assert re.search(r"boris, 2026-12-09 09:30", text)


def test_metrics_that_do_not_answer_are_told():
    assert "The metrics do not answer: HTTP 503" in shown_as(campaign_parts(shown(silent="HTTP 503")))


def test_a_campaign_of_which_nothing_is_known_shows_its_window_alone():
    text = shown_as(campaign_parts(CampaignView(opens=NOW, closes=NOW)))

    assert len(text.strip().splitlines()) == 1


def test_a_load_test_shows_its_newest_seconds_in_milliseconds():
    text = shown_as(load_parts(measured()))

    assert "250 of 720 s, 30 sessions/s now, at most 60, 2 generator(s), for the campaign autumn-sale" in text
    rows = cells(text)
    assert any("all" in row and row[-7:-1] == ["51.2", "50.9", "0.25", "41", "310", "1852"] for row in rows)
    assert any("checkout" in row and row[-4:-1] == ["–", "–", "–"] for row in rows)
    assert "Did not hold: ticket: p95 is 2.4 s" in text


def test_what_spoils_a_load_test_and_what_it_came_to_are_said():
    result = TestLine(run=LOAD, at=NOW, verdict=TestVerdict.VOID, said="The figures do not count.")
    text = shown_as(load_parts(measured(late_percent=1.5, lost=12, result=result)))

    assert "Late by the generator's own fault: 1.50 % (above 1 % all is void)" in text
    assert "Lost with a generator that died: 12 requests" in text
    assert "Result: void. The figures do not count." in text


def test_show_puts_them_beside_what_all_runs_show(holdfast, runs):
    runs.views |= {CAMPAIGN: a_campaign(), LOAD: a_load_test()}

    campaign, load = holdfast("show", CAMPAIGN), holdfast("show", LOAD)

    assert (campaign.code, load.code) == (0, 0)
    assert "Autumn sale" in campaign.out
    assert "Support: breach" in campaign.out
    assert "Newest seconds" in load.out


@settings(max_examples=50)
@given(title=st.text(max_size=200), said=st.text(max_size=300))
def test_brackets_and_anything_else_that_people_wrote_are_shown_as_they_are(title, said):
    load = LoadView(lines=[LoadLine(name=title)], broken=[f"[red]{said}"])

    assert "[red]" in shown_as(load_parts(load), width=2000)
