"""`holdfast gate-check` over an in-memory port; over a real server it is in `test_gate_check_server.py`."""

import json
import os
import re
import shlex
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cyclopts import App

from holdfast.apps.cli import CliDeps
from holdfast.apps.cli.gate_check import add_gate_check
from holdfast.apps.cli.gate_following import GateExit
from holdfast.apps.cli.gate_progress import Progress
from holdfast.domain.errors import EngineUnavailable
from holdfast.domain.ids import run_id
from holdfast.domain.view import RunState, RunView, StageState
from holdfast.ports.runs import RolloutRequest
from tests.cli.conftest import (
    NO_CAMPAIGNS,
    NO_DUTY,
    NO_OUTBOX,
    NO_PLAN,
    NO_RECORDS,
    NO_VERDICTS,
    ROOT,
    RUN,
    MemoryRuns,
    Told,
    open_gate,
    told_by,
    waiting_run,
)
from tests.telegram.views import a_measured_verdict

KEYED = run_id("rollout", "release-7")
STARTS = ("support-surge", "--as", "anna", "--key", "release-7")
CI_VARIABLES = {
    "gitlab": {"CI_PROJECT_ID": "17", "CI_PIPELINE_ID": "4242", "CI_SERVER_URL": "https://gitlab.example"},
    "github": {
        "GITHUB_REPOSITORY": "shop/bot",
        "GITHUB_RUN_ID": "99",
        "GITHUB_SERVER_URL": "https://github.example",
    },
    "jenkins": {"JENKINS_URL": "https://ci.example/", "BUILD_TAG": "jenkins-shop-bot-12"},
}
Step = Callable[[RunView], None]


@dataclass
class PipelineRuns(MemoryRuns):
    """Runs of which each id is started once, at a server that may fall silent.

    Attributes:
        silent_starts: how many starts get no answer, though they get through.
        down_once_started: nobody answers after the start.
        killed: the run is ended from outside, which its view does not show.
    """

    silent_starts: int = 0
    down_once_started: bool = False
    killed: bool = False
    starts: list[str] = field(default_factory=list)

    async def start(self, request: RolloutRequest, *, run_id: str) -> bool:
        self.starts.append(run_id)
        there = run_id in self.views
        if not there:
            await super().start(request, run_id=run_id)
        if self.silent_starts:
            self.silent_starts -= 1
            raise EngineUnavailable("the Temporal server does not answer")
        self.down = self.down or self.down_once_started
        return not there

    async def result(self, run_id: str) -> dict[str, Any]:
        if self.killed:
            return {"outcome": "failed", "why": "Workflow terminated"}
        return await super().result(run_id)


@pytest.fixture(autouse=True)
def _no_ci_system(monkeypatch: pytest.MonkeyPatch) -> None:
    for variables in CI_VARIABLES.values():
        for name in variables:
            monkeypatch.delenv(name, raising=False)


@pytest.fixture
def pipeline_runs() -> PipelineRuns:
    return PipelineRuns({RUN: waiting_run()})


@pytest.fixture
def gate_check(library, pipeline_runs, capsys) -> Callable[..., Told]:
    @asynccontextmanager
    async def run_control() -> AsyncIterator[PipelineRuns]:
        yield pipeline_runs

    deps = CliDeps(
        library=lambda: library,
        run_control=run_control,
        ui_url=lambda run_id: f"http://ui/{run_id}",
        start_worker=lambda: None,
        start_bot=lambda: None,
        start_web=lambda: None,
        records=NO_RECORDS,
        verdicts=NO_VERDICTS,
        plan=NO_PLAN,
        duty=NO_DUTY,
        outbox=NO_OUTBOX,
        **NO_CAMPAIGNS,
    )

    def command(*tokens: str) -> Told:
        app = App(name="holdfast", help_format="plaintext")
        add_gate_check(app, deps, poll=timedelta(milliseconds=5))
        return told_by(app, ("gate-check", *tokens), capsys)

    return command


def becomes(state: RunState, headline: str = "so it is") -> Step:
    def step(view: RunView) -> None:
        view.state, view.headline = state, headline
        if state.ended:
            view.gate = None

    return step


def gets_to(share: int) -> Step:
    def step(view: RunView) -> None:
        view.state, view.headline, view.gate = RunState.WATCHING, f"the canary has {share} %", None
        view.stages[0].state, view.stages[0].share_percent = StageState.CURRENT, share

    return step


def lines_with(told: str, text: str) -> list[str]:
    return [line for line in told.splitlines() if text in line]


# --- the outcome is the exit code ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (RunState.PROMOTED, GateExit.PROMOTED),
        (RunState.ROLLED_BACK, GateExit.NOT_PROMOTED),
        (RunState.STOPPED, GateExit.NOT_PROMOTED),
        (RunState.FAILED, GateExit.NOT_PROMOTED),
    ],
)
def test_the_end_of_the_run_is_the_exit_code(gate_check, pipeline_runs, state, code):
    pipeline_runs.script = [becomes(state)]

    told = gate_check(*STARTS)

    assert told.code == code
    assert lines_with(told.out, f"{KEYED}: {state}. so it is")


def test_what_was_not_promoted_says_why_and_where_to_look(gate_check, pipeline_runs):
    def rolled_back(view: RunView) -> None:
        becomes(RunState.ROLLED_BACK, "error_rate is red. Rolled back and verified")(view)
        view.verdict = a_measured_verdict()

    pipeline_runs.script = [rolled_back]

    told = gate_check(*STARTS)

    assert lines_with(told.out, "rolled back. error_rate is red. Rolled back and verified")
    assert lines_with(
        told.out, f"newest verdict: {a_measured_verdict().outcome}, risk {a_measured_verdict().risk}"
    )
    (where,) = lines_with(told.out, "Where to look:")
    assert where.endswith(f"http://ui/{KEYED} | holdfast show {KEYED} | holdfast verdict explain {KEYED}")


def test_a_run_that_was_ended_from_outside_is_not_promoted(gate_check, pipeline_runs):
    pipeline_runs.killed = True

    told = gate_check(*STARTS)

    assert told.code == GateExit.NOT_PROMOTED
    assert lines_with(told.out, "ended from outside while waiting for a decision. Workflow terminated")


def test_a_run_that_the_server_forgets_meanwhile_is_not_promoted(gate_check, pipeline_runs):
    pipeline_runs.script = [lambda _: pipeline_runs.views.clear()]

    told = gate_check(*STARTS)

    assert told.code == GateExit.NOT_PROMOTED
    assert lines_with(told.out, f"{KEYED}: gone. the Temporal server does not know the run any more")


def test_after_the_wait_the_run_goes_on_and_the_printed_command_attaches_to_it(gate_check, pipeline_runs):
    told = gate_check(*STARTS, "--wait", "0.1s")

    assert told.code == GateExit.GOES_ON
    assert lines_with(told.out, f"Nothing is stopped: {KEYED} goes on. It is waiting for a decision")
    assert lines_with(told.out, "waits for boris (1 of 1 approvals missing), without a deadline")
    (attach,) = lines_with(told.out, "Attach again: ")
    tokens = shlex.split(attach.partition("Attach again: ")[2])
    assert tokens[:2] == ["holdfast", "gate-check"]

    pipeline_runs.script = [lambda _: None, becomes(RunState.PROMOTED)]
    again = gate_check(*tokens[2:-2], "--wait", "1m")

    assert again.code == GateExit.PROMOTED
    assert lines_with(again.out, f"attached to {KEYED}, started by anna")
    assert pipeline_runs.starts == [KEYED]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_job_that_is_cancelled_leaves_the_run_alone_and_says_how_to_go_on(gate_check, pipeline_runs, number):
    assert threading.current_thread() is threading.main_thread()
    pipeline_runs.script = [lambda _: None, lambda view: setattr(view, "may_roll_back", ["anna", "boris"])]
    pipeline_runs.script += [lambda _: os.kill(os.getpid(), number)]

    told = gate_check(*STARTS)

    assert told.code == GateExit.GOES_ON
    assert lines_with(told.out, f"told to end by {number.name}. Nothing is stopped: {KEYED} goes on")
    assert lines_with(told.out, f"Attach again: holdfast gate-check support-surge --as anna --run {KEYED}")
    assert lines_with(told.out, f"To undo it: holdfast rollback {KEYED} --as NAME (one of: anna, boris)")


# --- the key ------------------------------------------------------------------------------------------------


def test_the_same_key_starts_one_run_only(gate_check, pipeline_runs):
    first = gate_check(*STARTS, "--wait", "0.1s")
    pipeline_runs.script = [lambda _: None, becomes(RunState.PROMOTED)]
    second = gate_check(*STARTS)

    assert (first.code, second.code) == (GateExit.GOES_ON, GateExit.PROMOTED)
    assert lines_with(first.out, f"started {KEYED}: http://ui/{KEYED}")
    assert lines_with(second.out, f"attached to {KEYED}")
    assert len(pipeline_runs.started) == 1


@pytest.mark.parametrize("system", list(CI_VARIABLES))
def test_a_ci_system_gives_the_key_and_it_is_said_which(gate_check, pipeline_runs, monkeypatch, system):
    for name, value in CI_VARIABLES[system].items():
        monkeypatch.setenv(name, value)
    pipeline_runs.script = [becomes(RunState.PROMOTED)]

    told = gate_check("support-surge", "--as", "anna")

    (line,) = lines_with(told.out, "Key: ")
    key = re.fullmatch(r"Key: (\S+) \(from \w+ and \w+\)", line)[1]
    assert key.startswith(f"{system}/")
    assert key.endswith("/support-surge")
    assert all(value in key for value in CI_VARIABLES[system].values())
    assert list(pipeline_runs.started) == [run_id("rollout", key)]


def test_an_empty_run_or_key_is_as_if_it_was_not_given(gate_check, pipeline_runs, monkeypatch):
    monkeypatch.setenv("JENKINS_URL", "https://ci.example/")
    monkeypatch.setenv("BUILD_TAG", "jenkins-shop-bot-12")
    pipeline_runs.script = [becomes(RunState.PROMOTED)]

    told = gate_check("support-surge", "--as", "anna", "--run", "", "--key", "")

    assert told.code == GateExit.PROMOTED
    assert "Key: jenkins/https://ci.example//jenkins-shop-bot-12/support-surge" in told.out


def test_a_given_key_counts_before_that_of_the_ci_system(gate_check, pipeline_runs, monkeypatch):
    for name, value in CI_VARIABLES["github"].items():
        monkeypatch.setenv(name, value)
    pipeline_runs.script = [becomes(RunState.PROMOTED)]

    assert "Key: release-7 (from --key)" in gate_check(*STARTS).out
    assert list(pipeline_runs.started) == [KEYED]


def test_without_any_key_nothing_is_started(gate_check, pipeline_runs, monkeypatch):
    monkeypatch.setenv("CI_PIPELINE_ID", "4242")  # half of a key is none

    told = gate_check("support-surge", "--as", "anna")

    assert told.code == GateExit.NOT_STARTED
    assert told.err.startswith("--key: the variables of no CI system are set (gitlab: CI_PROJECT_ID and")
    assert pipeline_runs.started == {}


def test_a_key_that_another_runbook_has_used_is_refused(gate_check, pipeline_runs):
    pipeline_runs.views[KEYED] = waiting_run().model_copy(update={"run_id": KEYED, "runbook": "night-shift"})

    told = gate_check(*STARTS)

    assert told.code == GateExit.NOT_STARTED
    assert "is a run of runbook 'night-shift', not of 'support-surge': give another --key or --run" in told.err


# --- wrong input --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tokens", "sentence"),
    [
        (("nothing", "--as", "anna", "--key", "k"), "unknown runbook 'nothing'; known: support-surge"),
        (("support-surge", "--as", "mallory", "--key", "k"), "unknown person 'mallory'"),
        (("support-surge", "--as", "vera", "--key", "k"), "'vera' may not start 'support-surge'"),
        (("support-surge", "--as", "anna", "--key", "k", "--pace", "fast"), "unknown pace"),
        (
            ("support-surge", "--as", "anna", "--key", "k", "--wait", "soon"),
            "--wait: 'soon' is no span of time",
        ),
        (("support-surge", "--as", "anna", "--key", "k", "--wait", "45"), "--wait: '45' is no span of time"),
        (("support-surge", "--as", "anna", "--key", "k", "--wait", "0s"), "--wait: '0s' is no span of time"),
        (("support-surge", "--as", "anna", "--run", "rollout-zzzzzzzz"), "unknown run 'rollout-zzzzzzzz'"),
        (("night-shift", "--as", "anna", "--run", RUN), "is a run of runbook 'support-surge'"),
        (("support-surge", "--as", "anna", "--run", RUN, "--key", "k"), "leave out --key"),
        (("support-surge", "--as", "anna", "--run", RUN, "--pace", "demo"), "leave out --pace"),
        (("support-surge", "--as", "anna", "--run", RUN, "--check-only"), "leave out --check-only"),
        (("support-surge", "--as", "anna", "--wiat", "45m"), "--wiat"),
        (("support-surge", "more", "--as", "anna"), "more"),
        (("support-surge", "--as", "anna", "--json=perhaps"), "perhaps"),
        (("support-surge",), "--as"),
        ((), "RUNBOOK"),
    ],
)
def test_wrong_usage_ends_with_three_and_starts_nothing(gate_check, pipeline_runs, tokens, sentence):
    told = gate_check(*tokens)

    assert told.code == GateExit.NOT_STARTED
    assert sentence in told.err
    assert "a bug in Holdfast" not in told.err
    assert pipeline_runs.started == {}


def test_wrong_usage_ends_with_three_for_this_command_only(holdfast):
    codes = {
        command: holdfast(*command.split(), "--bogus").code for command in ("gate-check", "runs", "gate list")
    }

    assert codes == {"gate-check": 3, "runs": 2, "gate list": 2}


def test_checking_only_starts_nothing_and_needs_no_key(gate_check, pipeline_runs):
    good = gate_check("support-surge", "--as", "Anna", "--check-only")
    bad = gate_check("support-surge", "--as", "mallory", "--check-only")

    assert (good.code, bad.code) == (0, 3)
    assert "Checked: Relieve a support surge (runbook support-surge" in good.out
    assert "stage 2, crm-pool: Widen the CRM connection pool; asks vera" in good.out
    assert "risk up to 0.50 goes on, up to 1.50 asks a person, above it rolls back" in good.out
    assert pipeline_runs.starts == []


# --- a server that is away ----------------------------------------------------------------------------------


def test_a_start_whose_answer_got_lost_is_repeated_and_finds_its_run(gate_check, pipeline_runs):
    pipeline_runs.silent_starts = 2
    pipeline_runs.script = [lambda _: None, becomes(RunState.PROMOTED)]

    told = gate_check(*STARTS)

    assert told.code == GateExit.PROMOTED
    assert len(lines_with(told.out, "the Temporal server does not answer; trying on …")) == 1
    assert len(lines_with(told.out, "Temporal answers again.")) == 1
    assert pipeline_runs.starts == [KEYED] * 3
    assert len(pipeline_runs.started) == 1


def test_a_server_that_never_answers_is_no_run_that_waits(gate_check, pipeline_runs):
    pipeline_runs.down = True

    told = gate_check(*STARTS, "--wait", "0.1s", "--json")

    assert told.code == GateExit.NOT_STARTED
    assert (json_of(told)["run_id"], json_of(told)["state"], json_of(told)["exit"]) == (KEYED, None, 3)
    assert "waited 0.1s, as --wait says; the Temporal server has not answered" in told.err
    assert f"it finds {KEYED}" in told.err


@pytest.mark.parametrize("tokens", [STARTS, ("support-surge", "--as", "anna", "--run", RUN)])
def test_a_server_that_falls_silent_later_leaves_a_run_to_attach_to(gate_check, pipeline_runs, tokens):
    pipeline_runs.down_once_started = "--key" in tokens
    pipeline_runs.down = "--run" in tokens

    told = gate_check(*tokens, "--wait", "0.1s")

    assert told.code == GateExit.GOES_ON
    assert lines_with(told.out, "It has not been seen, because no worker or server has answered.")
    assert lines_with(told.out, "Attach again: holdfast gate-check support-surge --as anna --run rollout-")


def test_a_server_that_is_away_for_a_moment_is_waited_for(gate_check, pipeline_runs):
    pipeline_runs.looks_while_down = 3
    pipeline_runs.script = [becomes(RunState.PROMOTED)]

    told = gate_check(*STARTS)

    assert told.code == GateExit.PROMOTED
    assert len(lines_with(told.out, "does not answer; trying on …")) == 1


# --- what the log says --------------------------------------------------------------------------------------


def test_each_change_is_one_line_with_its_time(gate_check, pipeline_runs):
    still: Step = lambda _: None  # noqa: E731  a step that changes nothing
    pipeline_runs.script = [still, still, gets_to(5), still, gets_to(25), becomes(RunState.PROMOTED)]

    told = gate_check(*STARTS)

    assert told.code == GateExit.PROMOTED
    for text in (
        "waiting for a decision: stage 1, Let the bot send faster",
        "gate 1-bot-rate-limit asks: Set bot_rate_limit_per_s = 25 (now 5)? It waits for boris",
        "stage 1 of 1, bot-rate-limit: current at 5 %",
        "stage 1 of 1, bot-rate-limit: current at 25 %",
        "watching: the canary has 5 %",
    ):
        (line,) = lines_with(told.out, text)
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ  \S", line)


def test_a_verdict_is_told_with_its_risk_and_what_that_means(gate_check, pipeline_runs):
    def judged(view: RunView) -> None:
        view.verdict = a_measured_verdict().model_copy(
            update={"continue_up_to_percent": 50, "pause_up_to_percent": 150}
        )

    pipeline_runs.script = [judged, judged, becomes(RunState.PROMOTED)]

    (line,) = lines_with(gate_check(*STARTS).out, "  verdict: ")

    verdict = a_measured_verdict()
    assert f"verdict: {verdict.said}, risk {verdict.risk} at {verdict.share_percent} %" in line
    assert "(goes on up to 0.50, rolls back above 1.50)" in line


def test_a_gate_with_a_deadline_says_until_when_and_what_follows(gate_check, pipeline_runs):
    due = datetime.now(UTC) + timedelta(days=2)

    def asks(view: RunView) -> None:
        deadline = {"after": "2d", "then": "reject"}
        view.gate = open_gate(since=due - timedelta(days=2), approvers=["sre-lead"], deadline=deadline)

    pipeline_runs.script = [asks, becomes(RunState.STOPPED)]

    (line,) = lines_with(gate_check(*STARTS).out, "asks:")

    assert f"until {due:%Y-%m-%d %H:%M} UTC; no answer by then means: reject" in line
    assert f"holdfast approve {KEYED} --as NAME --gate 1-bot-rate-limit" in line


def test_a_line_break_in_what_people_wrote_begins_no_line_of_its_own(gate_check, pipeline_runs):
    pipeline_runs.script = [becomes(RunState.STOPPED, "rejected:\n::set-env name=PATH::/tmp")]

    told = gate_check(*STARTS)

    assert lines_with(told.out, "stopped: rejected: ::set-env name=PATH::/tmp")
    assert not [line for line in told.out.splitlines() if line.startswith("::")]


def test_another_file_on_the_workers_is_noticed(gate_check, pipeline_runs):
    pipeline_runs.script = [becomes(RunState.PROMOTED)]

    assert len(lines_with(gate_check(*STARTS).out, "careful: the run's file is 0123456789ab")) == 1


def test_a_standstill_is_told_once_a_minute():
    said: list[str] = []
    progress, view = Progress(said.append, quiet=timedelta(minutes=1)), waiting_run()
    begun = datetime.now(UTC)
    for second in range(0, 181, 2):
        progress.tell(view, begun + timedelta(seconds=second))

    still = [line for line in said if "  still waiting for a decision: stage 1" in line]
    assert [line.partition("  ")[0] for line in still] == [
        f"{begun + timedelta(minutes=minute):%Y-%m-%d %H:%M:%SZ}" for minute in (1, 2, 3)
    ]
    assert all("gate 1-bot-rate-limit waits for boris" in line for line in still)


def test_silence_is_told_at_once_and_then_once_a_minute():
    said: list[str] = []
    progress, begun = Progress(said.append, quiet=timedelta(minutes=1)), datetime.now(UTC)
    for second in range(0, 121, 2):
        progress.tell_silence(EngineUnavailable("nobody answers"), begun + timedelta(seconds=second))

    assert [line.partition("  ")[2] for line in said] == [
        "nobody answers; trying on …",
        "still trying: nobody answers",
        "still trying: nobody answers",
    ]


# --- JSON, help, documentation ------------------------------------------------------------------------------


def json_of(told: Told) -> Any:
    (line,) = told.out.splitlines()
    return json.loads(line)


def test_json_is_one_line_on_stdout_and_the_log_is_on_stderr(gate_check, pipeline_runs):
    def rolled_back(view: RunView) -> None:
        becomes(RunState.ROLLED_BACK, "rolled back and verified")(view)
        view.verdict = a_measured_verdict().model_copy(update={"risk_percent": 160, "outcome": "rollback"})
        view.stages[0].state = StageState.ROLLED_BACK

    pipeline_runs.script = [rolled_back]

    told = gate_check(*STARTS, "--json")

    assert json_of(told) == {
        "run_id": KEYED,
        "state": "rolled back",
        "headline": "rolled back and verified",
        "url": f"http://ui/{KEYED}",
        "stages": [{"name": "bot-rate-limit", "state": "rolled back", "share_percent": 0}],
        "risk": 1.6,
        "verdict": "rollback",
        "waits_for": [],
        "limited": False,
        "exit": 1,
    }
    assert lines_with(told.err, f"started {KEYED}")


def test_json_of_a_run_that_goes_on_says_who_is_waited_for_and_how_to_attach(gate_check, pipeline_runs):
    document = json_of(gate_check(*STARTS, "--json", "--wait", "0.1s"))

    assert (document["exit"], document["waits_for"]) == (2, ["boris"])
    assert document["attach"] == f"holdfast gate-check support-surge --as anna --run {KEYED} --wait 0.1s"


def test_json_of_a_check_has_no_run(gate_check):
    document = json_of(gate_check("support-surge", "--as", "anna", "--check-only", "--json"))

    assert (document["run_id"], document["state"], document["exit"]) == (None, "checked", 0)
    assert [stage["name"] for stage in document["stages"]] == ["bot-rate-limit", "crm-pool", "escalation-order"]


def table_of(text: str, row: str) -> Iterable[int]:
    return sorted(int(code) for code in re.findall(row, text, flags=re.MULTILINE))


def test_help_and_documentation_have_every_exit_code_and_what_a_risk_means(holdfast):
    told, page = holdfast("gate-check", "--help"), (ROOT / "docs/pipelines.md").read_text()

    words = " ".join(told.out.split())
    assert "a risk up to 0.5 goes on, between 0.5 and 1.5 pauses for a person, above 1.5 rolls back" in words
    assert table_of(told.out, r"^  (\d)  \S") == table_of(page, r"^\| (\d) \|") == [*map(int, GateExit), 4]
    assert "holdfast gate-check" in (ROOT / "docs/cli.md").read_text()
