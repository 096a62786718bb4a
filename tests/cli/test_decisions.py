import json
import os
import pty
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.domain.decisions import CodeRequest, Decision
from holdfast.domain.signoff import Lapse
from tests.cli.conftest import EVIDENCE, GATE, ROOT, RUN, open_gate

DIGEST = EVIDENCE.digest
IN_A_WEEK = datetime.now(UTC).replace(microsecond=0) + timedelta(days=7)


@pytest.fixture
def code(runs):
    """Return the JSON that the bot sends for one answer."""

    def sent(by="boris", **request):
        return runs.paste(CodeRequest(by=by, **request))

    return sent


@pytest.fixture
def terminal(monkeypatch, runs):
    """A terminal at which a person pastes whatever arrives in the private chat."""
    person, terminal = pty.openpty()
    runs.on_code = lambda text: os.write(person, f"{text}\n".encode())
    with open(terminal, encoding="utf-8") as stdin:  # noqa: PTH123  a file descriptor
        monkeypatch.setattr(sys, "stdin", stdin)
        yield lambda text: os.write(person, text.encode())
    os.close(person)


def test_the_gate_is_shown_then_answered_with_what_came_to_the_private_chat(holdfast, runs, terminal):
    told = holdfast("gate", "approve", RUN, "--as", "Boris", "--reason", "looks fine", piped=None)

    (gate,) = runs.views[RUN].closed_gates
    (decision,) = gate.decisions
    assert told.code == 0
    question, sent = "Set bot_rate_limit_per_s = 25 (now 5)?", "A code was sent to boris's private chat."
    assert told.out.index(question) < told.out.index(sent)
    assert "Paste the JSON from your private chat" in told.out
    assert told.out.endswith("Recorded. The canary gets 5 % of the traffic.\n")
    assert (decision.by, decision.decision, decision.channel) == ("boris", "approve", "cli")
    assert (decision.evidence, decision.reason, decision.proofs) == (DIGEST, "looks fine", ("code",))


def test_whoever_has_a_code_pastes_it_without_asking_for_another(holdfast, runs, terminal, code):
    terminal(code() + "\n")

    told = holdfast("approve", RUN, "--as", "boris", "--no-request", piped=None)

    assert told.code == 0
    assert runs.chats == {}
    assert runs.views[RUN].closed_gates[0].state == "approved"


@pytest.mark.parametrize("typed", ["yes\n", '{"gate": "1-bot\n\n', "\x04"])
def test_what_is_no_json_is_told_and_nothing_is_sent(holdfast, runs, terminal, typed):
    terminal(typed)

    told = holdfast("approve", RUN, "--as", "boris", "--no-request", piped=None)

    assert told.code == 2
    assert "that is no complete JSON object: copy everything from '{' to '}'" in told.err
    assert runs.views[RUN].gate.decisions == []


@pytest.mark.parametrize("how", ["argument", "file", "dash", "pipe", "chat text around it"])
def test_the_json_may_come_with_the_command(holdfast, runs, code, tmp_path, how):
    (tmp_path / "code.json").write_text(code())
    options, piped = {
        "argument": (("--paste", code()), ""),
        "file": (("--paste", str(tmp_path / "code.json")), ""),
        "dash": (("--paste", "-"), code()),
        "pipe": ((), code()),
        "chat text around it": (("--paste", "-"), f"Your code:\n```json\n{code()}\n```\n"),
    }[how]

    told = holdfast("approve", RUN, "--as", "boris", *options, piped=piped)

    assert (told.code, told.out) == (0, "Recorded. The canary gets 5 % of the traffic.\n")
    assert runs.chats == {}


def test_a_json_at_hand_is_sent_without_looking_first(holdfast, runs, code):
    runs.looks_while_down = 100

    told = holdfast("reject", RUN, "--as", "boris", "--paste", code(decision="reject", reason="not now"))

    assert (told.code, told.out) == (0, "Recorded. The run stops here.\n")
    assert runs.views[RUN].closed_gates[0].decisions[0].reason == "not now"


@pytest.mark.parametrize(
    ("command", "pasted", "sentence"),
    [
        ("approve", {"by": "vera"}, "that JSON is for vera, and you said --as boris"),
        (
            "approve",
            {"decision": "reject", "reason": "no"},
            "that JSON says 'reject'; to say so: holdfast gate reject",
        ),
        ("approve --gate 7-x", {}, f"that JSON is for gate '{GATE}', and this is about gate '7-x'"),
        ("approve --evidence 000000000000", {}, f"is for evidence {DIGEST}, and you looked at 000000000000"),
        ("approve", {"to": "vera"}, "The decision was not understood (decision: Field required)"),
        ("delegate --to gleb", {"to": "vera"}, "that JSON hands over to vera, and you said --to gleb"),
        ("extend --until +1d", {"until": IN_A_WEEK}, "that JSON says until"),
    ],
)
def test_a_json_for_something_else_is_told_before_it_is_sent(holdfast, runs, command, pasted, sentence):
    text = runs.paste(CodeRequest.model_validate({"by": "boris"} | pasted))
    verb, *options = command.split()

    told = holdfast("gate", verb, RUN, "--as", "boris", *options, "--paste", text)

    assert told.code == 2
    assert sentence in told.err
    assert runs.views[RUN].gate.revision == 0


@pytest.mark.parametrize("lost", ["code", "expires_at"])
def test_half_a_json_is_told(holdfast, code, lost):
    message = json.loads(code())
    del message[lost]

    told = holdfast("approve", RUN, "--as", "boris", "--paste", json.dumps(message))

    assert told.code == 2
    assert "that JSON has no approval code: copy all of it" in told.err


def test_the_run_says_why_a_code_does_not_count(holdfast, runs, code):
    forged = json.dumps(json.loads(code()) | {"code": "AAAA-AAAA-AAAA-AAAA"})

    told = holdfast("approve", RUN, "--as", "boris", "--paste", forged)

    assert told.code == 1
    assert "The approval code is not boris's for 'approve'" in told.err
    assert runs.views[RUN].gate.decisions == []


def test_who_is_not_asked_gets_no_code(holdfast, terminal):
    told = holdfast("approve", RUN, "--as", "anna", piped=None)

    assert (told.code, told.err) == (1, "'anna' is not asked.\n")


def test_the_second_answer_learns_of_the_first(holdfast, code):
    late = code(decision="reject", reason="no")
    holdfast("approve", RUN, "--as", "boris", "--paste", code())

    told = holdfast("reject", RUN, "--as", "boris", "--paste", late)

    assert told.code == 1
    assert told.err.startswith(f"Too late: gate '{GATE}' is approved: boris said approve via cli")


def test_the_same_json_is_the_same_message(holdfast, runs, code):
    text, sent = code(), []
    runs.decide = lambda _, decision: sent.append(decision) or answered(decision)

    async def answered(decision: Decision):
        return await type(runs).decide(runs, RUN, decision)

    holdfast("approve", RUN, "--as", "boris", "--paste", text)
    holdfast("approve", RUN, "--as", "boris", "--paste", text)
    holdfast("approve", RUN, "--as", "boris", "--paste", text, "--reason", "another")

    ids = [decision.id for decision in sent]
    assert ids[0] == ids[1] != ids[2]
    assert all(i.startswith("cli-") for i in ids)


def test_a_run_that_asks_nothing_says_where_it_stands(holdfast, runs, terminal):
    runs.views[RUN].gate = None

    told = holdfast("approve", RUN, "--as", "boris", piped=None)

    assert told.code == 1
    assert told.err.startswith(f"Run {RUN} asks nothing now; it is waiting for a decision:")


def test_without_a_terminal_the_command_says_how_to_get_the_json(holdfast, runs):
    told = holdfast("reject", RUN, "--as", "boris", "--reason", "the load is over")

    assert told.code == 2
    assert f"holdfast gate code {RUN} --as boris --reject --reason 'the load is over'" in told.err
    assert runs.chats == {}


def test_a_rejection_without_a_reason_is_not_begun(holdfast, runs, terminal):
    told = holdfast("reject", RUN, "--as", "boris", piped=None)

    assert told.code == 2
    assert told.err.startswith("a rejection needs a --reason")
    assert runs.chats == {}


def test_the_answer_is_there_for_programs_too(holdfast, runs, terminal):
    told = holdfast("approve", RUN, "--as", "boris", "--json", piped=None)

    assert told.document["answer"] == "accepted"
    assert told.document["gate"] == GATE
    assert told.document["decision"] == "approve"
    assert "Set bot_rate_limit_per_s" in told.err


def test_a_reason_that_nobody_would_read_is_bad_input(holdfast):
    told = holdfast("approve", RUN, "--as", "boris", "--reason", "x" * 1001)

    assert told.code == 2
    assert "reason: String should have at most 1000 characters" in told.err


def test_a_file_that_is_not_there_is_bad_input(holdfast):
    told = holdfast("approve", RUN, "--as", "boris", "--paste", "nowhere.json")

    assert told.code == 2
    assert "--paste: nowhere.json cannot be read" in told.err


def with_deadline(runs):
    now = datetime.now(UTC)
    gate = open_gate(since=now, approvers=["sre-lead"], deadline={"after": "1d", "then": "reject"})
    runs.views[RUN].gate = gate
    return gate


def test_a_deadline_is_moved(holdfast, runs, terminal):
    gate = with_deadline(runs)

    told = holdfast("gate", "extend", RUN, "--until", IN_A_WEEK.isoformat(), "--as", "boris", piped=None)

    assert told.code == 0
    assert told.out.endswith(f"Gate '{GATE}' is open until {IN_A_WEEK:%Y-%m-%d %H:%M} UTC.\n")
    assert (gate.deadline, gate.on_deadline) == (IN_A_WEEK, Lapse.REJECT)


def test_a_deadline_is_moved_by_a_span_from_now(holdfast, runs, terminal):
    gate, before = with_deadline(runs), datetime.now(UTC)

    told = holdfast("gate", "extend", RUN, "--until", "+7d", "--as", "boris", "--json", piped=None)

    assert told.document["until"] == gate.deadline.isoformat()
    assert gate.deadline >= (before + timedelta(days=7)).replace(microsecond=0)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("tomorrow", "'tomorrow' is no moment; write one like 2026-12-31T12:00+01:00"),
        ("2036-12-31T12:00", "has no time zone; write 2036-12-31T12:00Z for UTC"),
        ("2016-12-31T12:00Z", "2016-12-31 12:00 UTC has passed already"),
        ("+7", "'+7' is no span of time"),
        ("", "say until when"),
    ],
)
def test_a_moment_that_cannot_be_meant_is_bad_input(holdfast, runs, typed, sentence):
    told = holdfast("gate", "extend", RUN, "--until", typed, "--as", "boris")

    assert told.code == 2
    assert sentence in told.err


def test_a_gate_is_handed_over(holdfast, runs, terminal):
    told = holdfast("gate", "delegate", RUN, "--to", "Vera", "--as", "boris", piped=None)

    (delegation,) = runs.views[RUN].gate.delegations
    assert told.code == 0
    assert told.out.endswith(f"vera may answer gate '{GATE}' for boris.\n")
    assert (delegation.by, delegation.to, delegation.until) == ("boris", "vera", None)


def test_whoever_took_a_gate_over_answers_for_the_other(holdfast, runs, code):
    holdfast("gate", "delegate", RUN, "--as", "boris", "--paste", code(to="vera", until=IN_A_WEEK))

    told = holdfast("gate", "approve", RUN, "--as", "vera", "--paste", code(by="vera"))

    (decision,) = runs.views[RUN].closed_gates[0].decisions
    assert told.code == 0
    assert (decision.by, decision.on_behalf_of, decision.how) == ("vera", "boris", "delegation")


def test_handing_over_to_nobody_is_bad_input(holdfast):
    told = holdfast("gate", "delegate", RUN, "--as", "boris")

    assert (told.code, told.err) == (2, "say to whom: --to NAME, a short name in people.yaml\n")


@pytest.mark.parametrize(
    ("options", "verb", "action"),
    [
        ((), "approve", "approve"),
        (("--reject", "--reason", "no"), "reject", "reject"),
        (("--to", "vera"), "delegate", "vera"),
        (("--until", IN_A_WEEK.isoformat()), "extend", IN_A_WEEK.strftime("%Y-%m-%dT%H:%M:%SZ")),
    ],
    ids=["approve", "reject", "delegate", "extend"],  # the same names in every process, whatever the time
)
def test_a_code_is_sent_for_later(holdfast, runs, options, verb, action):
    told = holdfast("gate", "code", RUN, "--as", "boris", *options)

    (sent,) = runs.chats["boris"]
    assert told.code == 0
    assert told.out.startswith("A code was sent to boris's private chat.\n")
    assert f"Then: holdfast gate {verb} {RUN} --as boris --paste" in told.out
    assert action in json.loads(sent).values()
    assert json.loads(sent)["code"] not in told.out


def test_a_code_is_for_one_thing(holdfast, runs):
    told = holdfast("gate", "code", RUN, "--as", "boris", "--reject", "--reason", "x", "--to", "vera")

    assert told.code == 2
    assert "one code is for one thing" in told.err
    assert runs.chats == {}


AT_A_TERMINAL = """
import sys
from contextlib import asynccontextmanager
from holdfast.apps.cli import CliDeps, main
from tests.cli.conftest import NO_CAMPAIGNS, NO_DUTY, NO_OUTBOX, NO_PLAN, NO_VERDICTS, MemoryRuns, waiting_run

@asynccontextmanager
async def run_control():
    yield MemoryRuns({"rollout-aaaaaaaa": waiting_run()})

nothing = (None, None, None, None, NO_VERDICTS, NO_PLAN, NO_DUTY, NO_OUTBOX)
deps = CliDeps(None, run_control, str, *nothing, **NO_CAMPAIGNS)
main(deps, ["approve", "rollout-aaaaaaaa", "--as", "boris"])
"""


def test_ctrl_c_at_the_prompt_ends_the_command_at_once():
    person, terminal = pty.openpty()
    command = [sys.executable, "-c", AT_A_TERMINAL]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as it:
        seen = b""
        while b"then press Enter:" not in seen:
            seen += os.read(it.stdout.fileno(), 4096) or pytest.fail(seen.decode())
        it.send_signal(signal.SIGINT)
        rest = it.stdout.read()

    os.close(person)
    os.close(terminal)
    assert it.returncode == 130
    assert b"Traceback" not in rest
