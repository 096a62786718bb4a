"""`holdfast run campaign` and `holdfast run load`."""

import re
from datetime import UTC, datetime

import pytest

from holdfast.domain.view import RunState


def test_a_campaign_says_its_id_its_window_and_who_signs_off_when(holdfast, runs):
    told = holdfast("run", "campaign", "autumn-sale", "--as", "Boris")

    ((run_id, request),) = runs.campaigns.items()
    assert told.code == 0
    assert re.fullmatch(r"campaign-[a-z2-7]{8}", run_id)
    assert (request.runbook, request.requested_by, request.opens, request.closes) == (
        *("autumn-sale", "boris"),
        *(None, None),
    )
    assert f"Started {run_id}: Autumn sale, for Example Retail" in told.out
    assert "The window: 2026-12-11 10:00" in told.out
    assert "is asked for on 2026-12-09 10:00" in told.out
    assert f"holdfast show {run_id}" in told.out


def test_another_window_counts_in_place_of_the_files(holdfast, runs):
    told = holdfast(
        *("run", "campaign", "autumn-sale", "--as", "boris", "--json"),
        *("--opens", "2027-01-02T10:00+03:00", "--closes", "2027-01-03T10:00+03:00"),
    )

    ((run_id, request),) = runs.campaigns.items()
    assert request.opens == datetime(2027, 1, 2, 7, tzinfo=UTC)
    assert told.document["run_id"] == run_id
    assert told.document["ui_url"] == f"http://ui/{run_id}"
    assert "The window: 2027-01-02 10:00" in told.err


@pytest.mark.parametrize(
    ("tokens", "sentence"),
    [
        (("nothing", "--as", "boris"), "unknown runbook 'nothing'; known: autumn-sale"),
        (("autumn-sale", "--as", "mallory"), "unknown person 'mallory'; known: anna, boris, gleb, vera"),
        (("autumn-sale", "--as", "boris", "--opens", "2027-01-02T10:00"), "--opens: write the offset from UTC"),
        (
            ("autumn-sale", "--as", "boris", "--closes", "2026-12-01T10:00+03:00"),
            "before it opens at 2026-12-11",
        ),
        (("autumn-sale",), "--as"),
    ],
)
def test_a_campaign_that_cannot_be_started_is_refused_before_anything_starts(holdfast, runs, tokens, sentence):
    told = holdfast("run", "campaign", *tokens)

    assert (told.code, told.out) == (2, "")
    assert sentence in told.err
    assert runs.campaigns == {}


def test_whoever_may_not_start_a_campaign_is_told_who_may(holdfast, runs):
    told = holdfast("run", "campaign", "autumn-sale", "--as", "vera")

    assert told.code == 1
    assert "'vera' may not start 'autumn-sale'; those who may: anna, boris, gleb" in told.err
    assert runs.campaigns == {}


def test_a_load_test_says_its_id_and_how_to_stop_it(holdfast, runs):
    told = holdfast("run", "load", "customer-journeys", "--as", "anna", "--campaign", "autumn-sale")

    ((run_id, request),) = runs.loads.items()
    assert told.code == 0
    assert re.fullmatch(r"load-[a-z2-7]{8}", run_id)
    assert (request.runbook, request.requested_by, request.campaign) == (
        *("customer-journeys", "anna"),
        "autumn-sale",
    )
    assert f"Started {run_id}: Customers of the shop" in told.out
    assert f"holdfast stop {run_id}" in told.out


@pytest.mark.parametrize(
    ("tokens", "sentence"),
    [
        (("nothing", "--as", "anna"), "unknown runbook 'nothing'; known: customer-journeys"),
        (
            ("customer-journeys", "--as", "anna", "--campaign", "spring"),
            "unknown runbook 'spring'; known: autumn-sale",
        ),
        (("customer-journeys",), "--as"),
    ],
)
def test_a_load_test_that_cannot_be_started_is_refused_before_anything_starts(holdfast, runs, tokens, sentence):
    told = holdfast("run", "load", *tokens)

    assert (told.code, told.out) == (2, "")
    assert sentence in told.err
    assert runs.loads == {}


@pytest.mark.parametrize(("state", "code"), [(RunState.PASSED, 0), (RunState.NOT_PASSED, 1)])
def test_waiting_for_a_load_test_tells_its_end_by_the_exit_code(holdfast, runs, state, code):
    def end(view):
        view.state, view.headline = state, "so it is"

    runs.script = [end]

    told = holdfast("run", "load", "customer-journeys", "--as", "anna", "--wait", "--json")

    assert told.code == code
    assert (told.document["state"], told.document["headline"]) == (state, "so it is")


@pytest.mark.parametrize("kind", [("campaign", "autumn-sale"), ("load", "customer-journeys")])
def test_without_a_server_neither_is_started_and_it_is_said(holdfast, runs, kind):
    runs.down = True

    told = holdfast("run", *kind, "--as", "anna")

    assert told.code == 3
    assert "the Temporal server does not answer" in told.err
    assert "Started" not in told.out
