import pytest

RUN = "rollout-aaaaaaaa"


def test_the_open_gate_is_shown_and_answered_with_the_evidence_that_was_shown(holdfast, runs):
    told = holdfast("approve", RUN, "--as", "boris", "--reason", "looks fine")

    (gate,) = runs.views[RUN].closed_gates
    (decision,) = gate.decisions
    assert told.code == 0
    assert "Set bot_rate_limit_per_s = 25 (now 5)?" in told.out
    assert "Recorded. The canary gets 5 % of the traffic." in told.out
    assert (decision.by, decision.decision, decision.channel) == ("boris", "approve", "cli")
    assert (decision.evidence, decision.reason) == ("3f9a2c51d0be", "looks fine")
    assert decision.id.startswith("cli-")


def test_a_named_gate_is_rejected_without_looking_first(holdfast, runs):
    runs.looks_while_down = 100

    told = holdfast("reject", RUN, "--as", "boris", "--gate", "1-bot-rate-limit")

    assert told.code == 0
    assert told.out == "Recorded. The run stops here.\n"
    assert runs.views[RUN].closed_gates[0].state == "rejected"


@pytest.mark.parametrize(
    ("tokens", "sentence"),
    [
        (("--as", "anna"), "'anna' is not an approver of gate '1-bot-rate-limit'. Approvers: boris."),
        (("--as", "mallory"), "'mallory' is not an approver"),
        (
            ("--as", "boris", "--evidence", "000000000000"),
            "You answered on evidence 000000000000, but it is 3f9a2c51d0be",
        ),
        (("--as", "boris", "--gate", "7-x"), "Gate '7-x' is not open; the open gate is '1-bot-rate-limit'."),
    ],
)
def test_a_decision_that_does_not_count_says_why(holdfast, runs, tokens, sentence):
    told = holdfast("approve", RUN, *tokens)

    assert told.code == 1
    assert sentence in told.err
    assert runs.views[RUN].gate.decisions == []


def test_the_second_answer_learns_of_the_first(holdfast):
    holdfast("approve", RUN, "--as", "boris", "--gate", "1-bot-rate-limit")

    told = holdfast("reject", RUN, "--as", "boris", "--gate", "1-bot-rate-limit")

    assert told.code == 1
    assert told.err.startswith("Too late: gate '1-bot-rate-limit' is approved: boris said approve via cli")


def test_a_run_that_asks_nothing_says_where_it_stands(holdfast, runs):
    runs.views[RUN].gate = None

    told = holdfast("approve", RUN, "--as", "boris")

    assert told.code == 1
    assert told.err.startswith(f"Run {RUN} asks nothing now; it is waiting for a decision:")


def test_the_answer_is_there_for_programs_too(holdfast):
    told = holdfast("approve", RUN, "--as", "boris", "--json")

    assert told.document["answer"] == "accepted"
    assert told.document["gate"] == "1-bot-rate-limit"
    assert "Set bot_rate_limit_per_s" in told.err


def test_a_reason_that_nobody_would_read_is_bad_input(holdfast):
    told = holdfast("approve", RUN, "--as", "boris", "--reason", "x" * 1001)

    assert told.code == 2
    assert "reason: String should have at most 1000 characters" in told.err
