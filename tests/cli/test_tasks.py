"""`holdfast task` and `holdfast stop`: roles, tasks, and the end of a load test."""

from datetime import UTC, datetime, timedelta

import pytest

from holdfast.domain.campaign import CampaignView, LoadView, RoleLine, TaskLine
from holdfast.domain.decisions import CodeRequest
from holdfast.domain.view import RunState, RunView
from tests.cli.conftest import NOW, PEOPLE, RUN

CAMPAIGN, LOAD = "campaign-aaaaaaaa", "load-aaaaaaaa"


def campaign(run_id: str = CAMPAIGN, **changes: object) -> RunView:
    shown = CampaignView(
        opens=NOW,
        closes=NOW + timedelta(days=1),
        roles=[
            RoleLine(name="commander", title="Incident commander", asked=["anna"]),
            RoleLine(name="operations", title="Operations", person="boris"),
        ],
        tasks=[
            TaskLine(id="later", title="Look later", owner="operations", due=NOW + timedelta(days=2)),
            TaskLine(
                id="check", title="Check dashboards", owner="operations", person="boris", due=NOW, overdue=True
            ),
            TaskLine(
                id="old", title="Old", owner="operations", person="boris", due=NOW, done_at=NOW, done_by="x"
            ),
        ],
        may_answer=["gleb"],
    )
    view = RunView(
        run_id=run_id,
        runbook="black-friday",
        title="Black Friday",
        requested_by="anna",
        started_at=NOW,
        state=RunState.WATCHING,
        kind="campaign",
        people=PEOPLE,
        campaign=shown,
    )
    return view.model_copy(update=changes)


@pytest.fixture
def busy(runs):
    """A campaign and a load test are under way, and an earlier campaign has ended."""
    load = campaign(LOAD, kind="load", title="Peak", campaign=None, load=LoadView(may_stop=["anna"]))
    ended = campaign("campaign-ended", state=RunState.FINISHED)
    runs.views |= {CAMPAIGN: campaign(), LOAD: load, "campaign-ended": ended}
    return runs


def code(runs, act: str, to: str = "", by: str = "anna", run: str = CAMPAIGN) -> str:
    return runs.paste_for_word(CodeRequest(by=by, gate=act, to=to), runs.views[run])


def test_all_roles_and_open_tasks_of_running_campaigns_are_listed(holdfast, busy):
    told = holdfast("task", "list")
    lines = [line for line in told.out.splitlines() if CAMPAIGN in line]
    assert told.code == 0
    assert [
        next(n for n in ("commander", "operations", "check", "later") if n in x.split("│")[2]) for x in lines
    ]
    assert "nobody; asked: anna" in told.out
    assert "overdue" in told.out
    assert "campaign-ended" not in told.out
    assert "Old" not in told.out
    assert told.out.index("Check dashboards") < told.out.index("Look later")


@pytest.mark.parametrize(
    ("name", "found"), [("anna", ["commander"]), ("Boris", ["operations", "check"]), ("vera", [])]
)
def test_what_is_one_persons_is_listed_for_programs_too(holdfast, busy, name, found):
    document = holdfast("task", "list", "--as", name, "--json").document
    assert [item.get("id", item.get("name")) for item in document] == found
    assert {item["run_id"] for item in document} <= {CAMPAIGN}


def test_a_run_without_roles_says_that_it_is_no_campaign(holdfast, busy):
    told = holdfast("task", "list", RUN)
    assert told.code == 2
    assert f"{RUN} is no campaign" in told.err


def test_nothing_open_is_said_in_words(holdfast):
    assert holdfast("task", "list").out == "Nothing is open for anybody.\n"


def test_a_role_is_taken_with_the_json_from_the_private_chat(holdfast, busy):
    told = holdfast(
        "task",
        "accept",
        CAMPAIGN,
        "commander",
        "--as",
        "anna",
        "--json",
        "--paste",
        code(busy, "accept", "commander"),
    )
    [(run, word)] = busy.said
    assert told.code == 0
    assert (run, word.act, word.to, word.by, word.channel) == (CAMPAIGN, "accept", "commander", "anna", "cli")
    assert told.document["answer"] == "accepted"
    assert (told.document["act"], told.document["to"]) == ("accept", "commander")


def test_a_task_is_ticked_off_with_a_note(holdfast, busy):
    pasted = code(busy, "done", "check", by="boris")
    told = holdfast(
        "task", "done", CAMPAIGN, "check", "--as", "boris", "--reason", "all green", "--paste", pasted
    )
    assert told.code == 0
    assert [(w.act, w.to, w.reason) for _, w in busy.said] == [("done", "check", "all green")]


def test_a_load_test_is_stopped(holdfast, busy):
    told = holdfast("stop", LOAD, "--as", "anna", "--paste", code(busy, "stop", run=LOAD))
    assert told.code == 0
    assert [(run, w.act) for run, w in busy.said] == [(LOAD, "stop")]


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (
            ("task", "accept", CAMPAIGN, "operations"),
            "that JSON is about 'commander', and you named 'operations'",
        ),
        (("task", "done", CAMPAIGN, "check"), "that JSON says 'accept', and this command says 'done'"),
        (("stop", LOAD), "that JSON says 'accept', and this command says 'stop'"),
    ],
)
def test_a_json_for_something_else_is_told_before_it_is_sent(holdfast, busy, command, sentence):
    told = holdfast(*command, "--as", "anna", "--paste", code(busy, "accept", "commander"))
    assert told.code == 2
    assert sentence in told.err
    assert busy.said == []


def test_what_does_not_count_ends_with_one_and_says_why(holdfast, busy):
    pasted = code(busy, "accept", "commander")
    busy.views[CAMPAIGN].campaign.role("commander").person = "anna"
    told = holdfast("task", "accept", CAMPAIGN, "commander", "--as", "anna", "--paste", pasted)
    assert told.code == 1
    assert told.err == "The role 'commander' is yours already.\n"


def test_without_a_terminal_the_command_for_the_json_is_named(holdfast, busy):
    told = holdfast("task", "accept", CAMPAIGN, "commander", "--as", "anna")
    assert told.code == 2
    assert f"holdfast gate code {CAMPAIGN} --as anna --gate accept --to commander" in told.err


def test_that_command_sends_it_and_names_the_way_back(holdfast, busy):
    told = holdfast("gate", "code", CAMPAIGN, "--as", "anna", "--gate", "accept", "--to", "commander")
    assert told.code == 0
    assert f"Then: holdfast task accept {CAMPAIGN} commander --as anna --paste" in told.out
    assert len(busy.chats["anna"]) == 1


def test_a_deadline_is_told_with_how_far_it_is(holdfast, busy):
    busy.views[CAMPAIGN].campaign.task("later").due = datetime.now(UTC) + timedelta(hours=5, minutes=1)
    assert "(in 5 h" in " ".join(holdfast("task", "list", CAMPAIGN).out.split())
