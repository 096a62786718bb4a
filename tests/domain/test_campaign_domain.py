"""What campaigns show of themselves, as plain data."""

from datetime import timedelta

import pytest

from holdfast.domain.campaign import CampaignView, Go, TestLine, TestVerdict
from holdfast.domain.view import RunState, RunView
from tests.campaign_views import NOW, a_campaign, a_load_test, shown


@pytest.mark.parametrize(
    ("verdict", "go"),
    [(TestVerdict.PASSED, None), (TestVerdict.FAILED, Go.GO), (TestVerdict.FAILED, Go.LIMITS)],
)
def test_a_window_opens_on_a_passed_test_or_on_what_people_decided(verdict: TestVerdict, go: Go | None) -> None:
    assert TestLine(run="load-1", at=NOW, verdict=verdict, go=go).allows


@pytest.mark.parametrize(
    ("verdict", "go"),
    [
        (TestVerdict.FAILED, None),
        (TestVerdict.FAILED, Go.NO_GO),
        (TestVerdict.VOID, None),
        (TestVerdict.STOPPED, None),
        (TestVerdict.SKIPPED, None),
    ],
)
def test_it_opens_on_nothing_else(verdict: TestVerdict, go: Go | None) -> None:
    assert not TestLine(run="load-1", at=NOW, verdict=verdict, go=go).allows


def test_roles_and_tasks_are_found_by_name() -> None:
    view = shown()

    assert view.role("commander") == view.roles[0]
    assert view.task("tell-client.2") == view.tasks[1]
    assert view.role("nobody") is None
    assert view.task("tell-client") is None


def test_open_breaches_are_those_without_an_end() -> None:
    view = shown()
    assert [breach.number for breach in view.open_breaches] == [2]

    view.breaches[1].ended = NOW
    assert view.open_breaches == []


@pytest.mark.parametrize("view", [a_campaign(), a_load_test()])
def test_views_survive_the_way_through_a_history(view: RunView) -> None:
    assert RunView.model_validate_json(view.model_dump_json()) == view


def test_a_view_of_a_run_of_another_kind_is_read_without_them() -> None:
    raw = a_campaign().model_dump(mode="json", exclude={"campaign", "load"})

    assert RunView.model_validate(raw).campaign is None


def test_campaigns_and_tests_end_in_states_of_their_own() -> None:
    ends = {RunState.PASSED, RunState.NOT_PASSED, RunState.FINISHED}

    assert all(state.ended for state in ends)
    assert not any(state.ended for state in (RunState.TESTING, RunState.PREPARING, RunState.WATCHING))


def test_a_campaign_needs_no_more_than_its_window() -> None:
    view = CampaignView(opens=NOW, closes=NOW + timedelta(days=1))

    assert (view.phase, view.open_breaches, view.tests) == ("preparing", [], [])
