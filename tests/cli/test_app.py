from pathlib import Path

import pytest

from holdfast.apps.cli import CliDeps, build_app, main
from tests.cli.conftest import NO_CAMPAIGNS, NO_DUTY, NO_OUTBOX, NO_PLAN, NO_RECORDS, NO_VERDICTS

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = [
    *("run", "run rollout", "run incident", "runs", "show", "approve", "reject", "rollback"),
    *("gate", "gate list", "gate show", "gate approve", "gate reject"),
    *("gate extend", "gate delegate", "gate code"),
    *("audit verify", "audit export", "totp enrol", "totp remove"),
    *("oncall", "oncall cover"),
    *("outbox", "outbox list", "outbox explain", "outbox retry", "outbox drop", "outbox put"),
    *("gate-check", "plan"),
    *("run campaign", "run load", "load", "load run", "load watch", "load check", "load compare", "stop"),
    *("schedule", "schedule preview", "schedule apply", "schedule list", "schedule pause", "schedule resume"),
    *("schedule trigger", "schedule remove", "slo", "slo rules", "slo status", "slo explain"),
    *("task", "task list", "task accept", "task done", "limit", "gate limit", "inventory", "report"),
    *("validate", "runbooks", "people", "schema", "worker", "bot", "web"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_and_is_documented(holdfast, command):
    told = holdfast(*command.split(), "--help")

    assert told.code == 0
    assert f"Usage: holdfast {command}" in told.out
    assert f"holdfast {command}" in (ROOT / "docs/cli.md").read_text()


@pytest.mark.parametrize(
    "command",
    [
        *("", "run", "run rollout", "approve", "reject", "rollback", "gate", "validate", "oncall", "outbox"),
        *("load", "schedule", "slo", "task list", "inventory", "report", "stop", "run campaign", "run load"),
    ],
)
def test_help_teaches_by_examples(holdfast, command):
    told = holdfast(*command.split(), "--help")

    assert f"Examples:\n  holdfast {command.partition(' ')[0]}" in told.out


def test_no_command_at_all_shows_the_help(holdfast):
    told = holdfast()

    assert told.code == 0
    assert "Usage: holdfast COMMAND" in told.out


def test_a_misspelt_command_gets_a_suggestion(holdfast):
    told = holdfast("aprove", "rollout-x", "--as", "boris")

    assert told.code == 2
    assert 'Did you mean "approve"?' in told.err


@pytest.mark.parametrize("role", ["worker", "bot", "web"])
def test_processes_are_started_by_their_name(holdfast, served, role):
    told = holdfast(role)

    assert (told.code, served) == (0, [role])


def test_a_worker_for_load_alone_is_a_process_of_its_own(holdfast, served):
    told = holdfast("worker", "--load-only")

    assert (told.code, served) == (0, ["load"])


def broken_deps() -> CliDeps:
    def no_library():
        raise RuntimeError("the disk is on fire")

    return CliDeps(
        library=no_library,
        run_control=lambda: pytest.fail("not asked for"),
        ui_url=str,
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


def test_a_bug_is_told_in_a_sentence_and_shown_only_on_request(capsys, monkeypatch):
    monkeypatch.delenv("HOLDFAST_TRACEBACK", raising=False)
    with pytest.raises(SystemExit) as ended:
        main(broken_deps(), ["people"])

    told = capsys.readouterr().err
    assert ended.value.code == 4
    assert "a bug in Holdfast" in told
    assert "RuntimeError: the disk is on fire" in told
    assert "Traceback" not in told

    monkeypatch.setenv("HOLDFAST_TRACEBACK", "1")
    with pytest.raises(SystemExit):
        main(broken_deps(), ["people"])
    assert "Traceback" in capsys.readouterr().err


def test_the_app_is_built_without_touching_anything():
    assert build_app(broken_deps()).name == ("holdfast",)
