import re
from datetime import UTC, datetime

import pytest

from holdfast.domain.decisions import CodeRequest
from holdfast.domain.view import LogLine, MetricLine, RunState, VerdictView
from tests.cli.conftest import EVIDENCE, RUN
from tests.telegram.views import a_measured_verdict

CODE = (
    '{"gate": "1-bot-rate-limit", "decision": "approve", "by": "boris", "code": "AAAA", '
    '"expires_at": "2026-03-01T12:30:00Z"}'
)


def later(second: int) -> datetime:
    return datetime(2026, 3, 1, 12, 0, second, tzinfo=UTC)


def test_starting_a_rollout_says_its_id_its_link_and_what_happens_next(holdfast, runs):
    told = holdfast("run", "rollout", "support-surge", "--as", "Anna")

    ((run_id, request),) = runs.started.items()
    assert told.code == 0
    assert re.fullmatch(r"rollout-[a-z2-7]{8}", run_id)
    assert request.model_dump() == {"runbook": "support-surge", "requested_by": "anna", "pace": "default"}
    assert f"Started {run_id}" in told.out
    assert f"http://ui/{run_id}" in told.out
    assert "boris will be asked about the first of 3 stages" in told.out


@pytest.mark.parametrize(
    ("tokens", "sentence"),
    [
        (("nothing", "--as", "anna"), "unknown runbook 'nothing'; known: support-surge"),
        (("support-surge", "--as", "mallory"), "unknown person 'mallory'; known: anna, boris, gleb, vera"),
        (("support-surge", "--as", "vera"), "'vera' may not start 'support-surge'; those who may: anna, boris"),
        (("support-surge", "--as", "anna", "--pace", "fast"), "unknown pace of runbook 'support-surge' 'fast'"),
        (("support-surge",), "--as"),
        (("support-surge", "--as", "anna", "--wiat"), "--wiat"),
    ],
)
def test_what_cannot_be_started_is_refused_before_anything_starts(holdfast, runs, tokens, sentence):
    told = holdfast("run", "rollout", *tokens)

    assert told.code == 2
    assert sentence in told.err
    assert told.out == ""
    assert runs.started == {}


def test_a_broken_runbook_is_not_started_and_its_lines_are_told(holdfast, runs, tmp_path, library):
    text = library.path("support-surge").read_text()
    (tmp_path / "support-surge.yaml").write_text(text.replace("apply_for", "aply_for"))

    told = holdfast(
        "run", "rollout", "support-surge", "--as", "anna", directories=[tmp_path, *library.directories]
    )

    assert told.code == 2
    assert re.search(r"support-surge\.yaml:\d+: aply_for: unknown field; did you mean 'apply_for'\?", told.err)
    assert runs.started == {}


def test_json_is_the_only_thing_on_stdout(holdfast, runs):
    told = holdfast("run", "rollout", "support-surge", "--as", "anna", "--pace", "demo", "--json")

    (run_id,) = runs.started
    assert told.document == {
        "run_id": run_id,
        "ui_url": f"http://ui/{run_id}",
        "runbook": "support-surge",
        "requested_by": "anna",
        "pace": "demo",
    }
    assert f"Started {run_id}" in told.err


@pytest.mark.parametrize(
    ("state", "code"),
    [(RunState.PROMOTED, 0), (RunState.ROLLED_BACK, 1), (RunState.STOPPED, 1), (RunState.FAILED, 1)],
)
def test_waiting_ends_with_the_run_and_tells_its_end_by_the_exit_code(holdfast, runs, state, code):
    def end(view):
        view.state, view.headline = state, "so it is"
        view.log = [*view.log, LogLine(at=later(7), text="the last line")]

    runs.script = [end]

    told = holdfast("run", "rollout", "support-surge", "--as", "anna", "--wait")

    assert told.code == code
    lines = told.out.splitlines()
    assert lines.count("12:00:00  started by anna") == 1
    assert lines.count("12:00:07  the last line") == 1
    assert lines[-1].endswith(f": {state}. so it is")


def test_waiting_survives_a_server_that_is_away_for_a_moment(holdfast, runs):
    runs.looks_while_down = 1
    runs.script = [lambda view: setattr(view, "state", RunState.PROMOTED)]

    told = holdfast("run", "rollout", "support-surge", "--as", "anna", "--wait", "--json")

    assert told.code == 0
    assert told.document["state"] == "promoted"
    assert "the Temporal server does not answer; the run itself goes on" in told.err
    assert "Temporal answers again." in told.err


@pytest.mark.parametrize(
    "tokens",
    [
        ("run", "rollout", "support-surge", "--as", "anna"),
        ("runs",),
        ("show", RUN),
        ("approve", RUN, "--as", "boris", "--paste", CODE),
        ("reject", RUN, "--as", "boris", "--paste", CODE.replace("approve", "reject")),
        ("gate", "list"),
        ("gate", "show", RUN),
        ("gate", "code", RUN, "--as", "boris"),
    ],
)
def test_without_a_server_every_command_says_so_in_one_sentence(holdfast, runs, tokens):
    runs.down = True

    told = holdfast(*tokens)

    assert told.code == 3
    assert told.err == "the Temporal server does not answer: nobody listens on 127.0.0.1:7233\n"


def test_runs_are_listed_for_people_and_for_programs(holdfast, runs):
    table = holdfast("runs").out
    told = holdfast("runs", "--json")

    assert RUN in table
    assert "waiting for a decision" in table
    assert told.document[0]["run_id"] == RUN
    assert told.err == ""


def test_an_empty_list_says_how_to_begin(holdfast, runs):
    runs.views.clear()

    assert "holdfast run rollout NAME --as PERSON" in holdfast("runs").out


def test_a_run_is_shown_with_its_question_and_how_to_answer(holdfast, runs):
    told = holdfast("show", RUN)

    for text in (
        "Set bot_rate_limit_per_s = 25 (now 5)?",
        "Reject: The run stops here.",
        "Nothing done: The run waits.",
        f"holdfast approve {RUN} --as NAME --gate 1-bot-rate-limit --evidence {EVIDENCE.digest}",
        "12:00:00  started by anna",
        f"http://ui/{RUN}",
    ):
        assert text in told.out
    assert "\x1b" not in told.out


def test_a_verdict_is_shown_with_its_numbers(holdfast, runs):
    line = MetricLine(metric="error_rate", value="0.40", baseline="0.10", used="600 %", level="red")
    runs.views[RUN].verdict = VerdictView(
        at=later(9), outcome="rollback", risk="1.6", reason="error_rate is red", share_percent=5, lines=[line]
    )

    told = holdfast("show", RUN)

    assert "Verdict: rollback, risk 1.6 at 5 %" in told.out
    assert re.search(r"error_rate\W+0\.40\W+0\.10\W+600 %\W+red", told.out)


def test_a_verdict_names_what_it_is_compared_with_and_where_its_queries_are(holdfast, runs):
    runs.views[RUN].verdict = a_measured_verdict()

    told = holdfast("show", RUN).out

    assert re.search(r"latency_p95\W+2\.31 s\W+0\.41 s \(control now\)\W+927 %\W+red", told)
    assert "This rests on 412 requests of the canary, 7900 of the control." in told
    assert "Call edge: checkout → payment: 38 %" in told
    assert f"Each number with its query: holdfast verdict explain {RUN}" in told


def test_brackets_in_texts_are_shown_as_they_are(holdfast, runs):
    runs.views[RUN].headline = "[bold]not a style[/bold] :smile:"

    assert "[bold]not a style[/bold] :smile:" in holdfast("show", RUN).out


def test_no_token_is_ever_shown(holdfast, runs):
    texts = [holdfast("show", RUN).out, holdfast("show", RUN, "--json").out]
    holdfast("approve", RUN, "--as", "boris", "--paste", runs.paste(CodeRequest(by="boris")))
    texts += [holdfast("show", RUN).out, holdfast("show", RUN, "--json").out]

    assert all("do-not-show-me" not in text for text in texts)
    assert all("telegram_id" not in text for text in texts)
    assert holdfast("show", RUN, "--json").document["closed_gates"][0]["state"] == "approved"


def test_an_unknown_run_is_bad_input(holdfast):
    told = holdfast("show", "rollout-zzzzzzzz")

    assert (told.code, told.err) == (2, f"unknown run 'rollout-zzzzzzzz'; known: {RUN}\n")
