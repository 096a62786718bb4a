"""A gate's third answer on the command line."""

import json
import os
import pty
import sys

import pytest

from holdfast.domain.decisions import Choice, CodeRequest, Decision
from holdfast.domain.gates import GateState
from tests.cli.conftest import GATE, RUN, open_gate

LIMITS = {"limit_label": "Go with limits", "if_limited": "The canary gets 1 %."}


@pytest.fixture
def limited(runs):
    """The run offers the third answer."""
    runs.views[RUN].gate = open_gate().model_copy(update=LIMITS)
    return runs


@pytest.fixture
def terminal(monkeypatch, runs):
    """A terminal at which a person pastes whatever arrives in the private chat."""
    person, terminal = pty.openpty()
    runs.on_code = lambda text: os.write(person, f"{text}\n".encode())
    with open(terminal, encoding="utf-8") as stdin:  # noqa: PTH123  a file descriptor
        monkeypatch.setattr(sys, "stdin", stdin)
        yield
    os.close(person)


@pytest.mark.parametrize("command", [("limit",), ("gate", "limit")])
def test_the_third_answer_is_shown_and_given(holdfast, limited, terminal, command):
    told = holdfast(*command, RUN, "--as", "boris", piped=None)

    (gate,) = limited.views[RUN].closed_gates
    assert told.code == 0
    assert "Go with limits: The canary gets 1 %." in told.out
    assert told.out.endswith("Recorded. The canary gets 1 %.\n")
    assert [d.decision for d in gate.decisions] == ["limit"]
    assert gate.limited


def test_where_it_is_not_offered_it_is_refused_in_words(holdfast, runs, terminal):
    told = holdfast("limit", RUN, "--as", "boris", piped=None)

    assert told.code == 1
    assert "does not take the answer 'go with limits'. Choose from: approve, reject." in told.err
    assert runs.views[RUN].gate.state is GateState.OPEN


def test_a_json_for_an_approval_is_not_taken_for_limits(holdfast, limited):
    code = limited.paste(CodeRequest(by="boris"))

    told = holdfast("limit", RUN, "--as", "boris", "--paste", code)

    assert told.code == 2
    assert "that JSON says 'approve'" in told.err


def test_a_code_for_limits_is_sent_for_later(holdfast, limited):
    told = holdfast("gate", "code", RUN, "--as", "boris", "--limit")

    (sent,) = limited.chats["boris"]
    assert told.code == 0
    assert json.loads(sent)["decision"] == "limit"
    assert f"Then: holdfast gate limit {RUN} --as boris --paste" in told.out


@pytest.mark.parametrize(
    "options", [("--reject", "--reason", "x"), ("--to", "vera"), ("--until", "+7d"), ("--rollback",)]
)
def test_a_code_for_limits_is_for_nothing_else(holdfast, limited, options):
    told = holdfast("gate", "code", RUN, "--as", "boris", "--limit", *options)

    assert told.code == 2
    assert "one code is for one thing" in told.err
    assert limited.chats == {}


def test_without_a_terminal_the_command_for_the_code_is_named(holdfast, limited):
    told = holdfast("limit", RUN, "--as", "boris")

    assert told.code == 2
    assert f"holdfast gate code {RUN} --as boris --limit" in told.err


def test_the_gate_teaches_the_command_and_tells_programs_that_it_was_limited(holdfast, limited):
    shown = holdfast("gate", "show", RUN)
    assert f"holdfast limit   {RUN} --as NAME --gate {GATE}" in shown.out

    gate = limited.views[RUN].gate
    gate.decisions.append(Decision(gate=GATE, decision=Choice.LIMIT, by="boris"))
    gate.state = GateState.APPROVED
    limited.views[RUN].gate, limited.views[RUN].closed_gates = None, [gate]

    assert holdfast("gate", "show", RUN, "--gate", GATE, "--json").document["limited"] is True


def test_a_gate_without_it_does_not_teach_it(holdfast):
    assert "holdfast limit" not in holdfast("gate", "show", RUN).out
