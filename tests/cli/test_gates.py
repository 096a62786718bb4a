from datetime import UTC, datetime, timedelta

import pytest

from holdfast.domain import gates
from holdfast.domain.decisions import CodeRequest, Decision
from holdfast.domain.view import MetricLine, VerdictView
from tests.cli.conftest import EVIDENCE, GATE, RUN, open_gate, waiting_run

NOW = datetime.now(UTC)


@pytest.fixture
def two_steps(runs):
    """A gate of two steps with a deadline, of which the first has been answered."""
    gate = open_gate(
        since=NOW - timedelta(hours=3, minutes=5),
        steps=[{"of": ["sre-lead"]}, {"all_of": ["crm-owner", "support-head"]}],
        veto=["oncall"],
        mfa="required",
        deadline={"after": "7d", "then": "rollback"},
    )
    said = Decision(gate=GATE, decision="approve", by="boris", channel="web", proofs=("web-link", "totp"))
    gates.record(said.model_copy(update={"token": "do-not-show-me"}), gate, now=NOW)
    runs.views[RUN].gate = gate
    return gate


def test_what_waits_for_a_person_is_listed(holdfast, runs, two_steps):
    runs.views["rollout-bbbbbbbb"] = waiting_run().model_copy(update={"run_id": "rollout-bbbbbbbb"})

    for_boris = holdfast("gate", "list", "--as", "Boris", "--json").document
    for_anybody = holdfast("gate", "list", "--json").document

    assert [w["run_id"] for w in for_boris] == ["rollout-bbbbbbbb"]
    assert [w["run_id"] for w in for_anybody] == [RUN, "rollout-bbbbbbbb"]
    assert for_anybody[0]["waiting"] == ["vera", "gleb"]
    assert (for_anybody[0]["missing"], for_anybody[0]["gate"]["id"]) == (2, GATE)
    assert "token" not in for_anybody[0]["gate"]


def test_the_list_says_since_when_until_when_and_for_whom(holdfast, two_steps):
    told = holdfast("gate", "list").out

    for text in ("3 h ", "(in 6 d 20 h)", "2 of 3", "vera, gleb", "stage 1, Let the bot send faster"):
        assert text in told


def test_facts_stand_above_the_question(holdfast, two_steps):
    two_steps.facts = ["The test failed.", "The window opens soon."]
    told = [line.strip("│ ") for line in holdfast("gate", "show", RUN).out.splitlines()]

    asked = next(n for n, line in enumerate(told) if line.startswith(two_steps.question[:20]))
    assert told[asked - 2 : asked] == ["- The test failed.", "- The window opens soon."]


def test_an_overdue_gate_is_listed_as_such(holdfast, runs):
    since = NOW - timedelta(days=2)
    gate = open_gate(since=since, approvers=["sre-lead"], deadline={"after": "1d"})
    gates.expire(gate, NOW)
    runs.views[RUN].gate = gate

    assert "overdue, " in holdfast("gate", "list").out
    assert "(1 d ago); it is overdue and goes on waiting" in holdfast("gate", "show", RUN).out


@pytest.mark.parametrize(
    ("tokens", "code", "sentence"),
    [
        ((), 0, "Nothing waits for anybody.\n"),
        (("--as", "vera"), 0, "Nothing waits for vera.\n"),
        (("--as", "wera"), 2, "unknown person 'wera'; known: anna, boris, gleb, vera\n"),
    ],
)
def test_an_empty_list_is_told_from_a_misspelt_name(holdfast, runs, tokens, code, sentence):
    runs.views.clear()

    told = holdfast("gate", "list", *tokens)

    assert (told.code, told.out + told.err) == (code, sentence)


def test_a_gate_is_shown_with_who_approved_and_who_is_waited_for(holdfast, two_steps):
    told = holdfast("gate", "show", RUN).out

    for text in (
        "Set bot_rate_limit_per_s = 25 (now 5)?",
        "Step 1 of 2: sre-lead; complete",
        "boris said approve via web at",
        "(proof: web-link + totp)",
        "Step 2 of 2: all of crm-owner, support-head; 2 missing",
        "Waits for: vera, gleb",
        "needs a code of the person's authenticator app",
        "(in 6 d 20 h); without a decision by then the run rolls back",
        f"Evidence: {EVIDENCE.digest}",
        f"holdfast approve {RUN} --as NAME --gate {GATE} --evidence {EVIDENCE.digest}",
    ):
        assert text in told
    assert "May refuse" not in told  # the only one who could has started the run


def test_a_gate_shows_each_setting_before_and_after_and_the_verdict(holdfast, runs):
    line = MetricLine(metric="error_rate", value="0.40", baseline="0.10", used="600 %", level="red")
    runs.views[RUN].verdict = VerdictView(
        at=NOW, outcome="pause", risk="1.1", reason="error_rate is red", share_percent=5, lines=[line]
    )

    told = holdfast("gate", "show", RUN).out
    document = holdfast("gate", "show", RUN, "--json").document

    assert "What would change" in told
    assert "Verdict: pause, risk 1.1 at 5 %" in told
    assert document["changes"] == [{"setting": "bot_rate_limit_per_s", "now": "5", "then": "25"}]
    assert document["verdict"]["lines"][0]["metric"] == "error_rate"
    assert (document["run_id"], document["waiting"], document["missing"]) == (RUN, ["boris"], 1)


def test_a_gate_for_programs_has_no_token(holdfast, two_steps):
    told = holdfast("gate", "show", RUN, "--json")

    assert "do-not-show-me" not in told.out
    assert told.document["gate"]["decisions"][0]["by"] == "boris"
    assert told.document["gate"]["slots"][0]["holders"] == ["boris"]


def test_why_it_is_asked_again_is_shown(holdfast, runs):
    runs.views[RUN].gate.again_because = "target's bot_rate_limit_per_s: 4 → 5"

    assert "Asked again, because this changed: target's bot_rate" in holdfast("gate", "show", RUN).out


def test_a_closed_gate_is_shown_with_its_outcome(holdfast, runs):
    holdfast("approve", RUN, "--as", "boris", "--paste", runs.paste(CodeRequest(by="boris")))

    told = holdfast("gate", "show", RUN, "--gate", GATE)
    nothing_open = holdfast("gate", "show", RUN)

    assert f"Closed: gate '{GATE}' is approved: boris said approve via cli" in told.out
    assert "holdfast approve" not in told.out
    assert nothing_open.code == 1
    assert nothing_open.err.startswith(f"Run {RUN} asks nothing now")


def test_a_gate_that_never_was_is_bad_input(holdfast):
    told = holdfast("gate", "show", RUN, "--gate", "9-x")

    assert (told.code, told.err) == (2, f"unknown gate of run {RUN} '9-x'; known: {GATE}\n")
