"""What becomes of decisions, by each channel a person has; sent as the Temporal UI sends them."""

import json
from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from holdfast.domain.decisions import Decision
from holdfast.domain.errors import DecisionRefused, UnknownName
from tests import signing
from tests.fakes import eventually
from tests.workflows.conftest import House, Run


async def updates_in_history(run: Run) -> int:
    events = (await run.handle.fetch_history()).events
    return sum(e.HasField("workflow_execution_update_accepted_event_attributes") for e in events)


async def told(house: House, person: str, text: str) -> bool:
    """Whether this was written to the person's private chat."""
    return any(said.person == person and text in said.text for said in house.private.said)


async def refusal(run: Run, message: Any) -> ApplicationError:
    before = await updates_in_history(run)
    with pytest.raises(WorkflowUpdateFailedError) as failure:
        await run.handle.execute_update("decide", message)
    assert await updates_in_history(run) == before, "a refusal must leave no history"
    cause = failure.value.cause
    assert isinstance(cause, ApplicationError)
    return cause


@pytest.mark.parametrize(
    ("message", "answer", "says"),
    [
        ("approve", "unreadable", "JSON object"),
        (17, "unreadable", "JSON object"),
        (["approve"], "unreadable", "JSON object"),
        ({}, "unreadable", "decision"),
        ({"gate": "1-limit", "decision": "perhaps", "by": "boris"}, "unreadable", "decision"),
        ({"gate": "1-limit", "decision": "approve"}, "unreadable", "by"),
        ({"decision": "approve", "by": "boris"}, "unreadable", "gate"),
        ({"gate": "1-limit", "decision": "approve", "by": "mallory"}, "not_an_approver", "boris, vera"),
        (
            {"gate": "1-limit", "decision": "approve", "by": "anna"},
            "not_an_approver",
            "who asks does not approve",
        ),
        ({"gate": "1-limit", "decision": "reject", "by": "boris"}, "reason_needed", "give a reason"),
        ({"gate": "1-limit", "decision": "approve", "by": "boris"}, "not_proven", "approval code"),
        ({"gate": "2-pool", "decision": "approve", "by": "boris"}, "not_the_open_gate", "'1-limit'"),
        (
            {"gate": "1-limit", "decision": "approve", "by": "boris", "evidence": "0123456789ab"},
            "evidence_out_of_date",
            "Look again",
        ),
    ],
)
async def test_an_update_that_does_not_count_says_why(
    house: House, message: Any, answer: str, says: str
) -> None:
    run = await house.start(house.write())
    await run.gate()

    cause = await refusal(run, message)

    assert (cause.type, says in cause.message) == (answer, True), cause.message
    assert cause.failure is not None
    assert cause.failure.stack_trace == "", "an approver must not read a traceback"
    await run.handle.cancel()


async def test_an_update_without_any_input_is_refused_and_wedges_nothing(house: House) -> None:
    run = await house.start(house.write())
    await run.gate()
    with pytest.raises(WorkflowUpdateFailedError):
        await run.handle.execute_update("decide")
    await run.answer()
    assert (await run.gate(lambda g: g.id == "2-pool")).id == "2-pool"
    await run.handle.cancel()


async def test_the_json_from_the_private_chat_is_accepted_as_it_stands(house: House) -> None:
    run = await house.start(house.write())
    gate = await run.gate()
    told = await run.handle.execute_update("send_code", {"by": "boris"})
    assert "Boris's private chat" in told["text"]
    [said] = [said for said in house.private.said if run.handle.id in said.text]
    assert said.person == "boris"
    reply = await run.handle.execute_update("decide", json.loads(said.paste))
    assert reply["answer"] == "accepted"
    assert (await run.view()).closed_gates[0].decisions[0].proofs == ("code",)
    assert gate.id == "1-limit"
    await run.handle.cancel()


async def test_a_second_tap_is_told_that_it_is_too_late_and_by_whom_it_was_decided(house: House) -> None:
    run = await house.start(house.write())
    gate = await run.answer(by="vera")
    cause = await refusal(run, signing.pasted(signing.decision(run.handle.id, gate, "boris", "reject")))
    assert cause.type == "already_decided"
    assert "vera said approve via temporal-ui" in cause.message
    await run.handle.cancel()


async def test_a_repeated_delivery_of_a_decision_gets_the_first_answer_again(house: House) -> None:
    run = await house.start(house.write())
    gate = await run.gate()
    tap = signing.seal(
        Decision(token=gate.token, decision="approve", by="boris", channel="telegram", id="telegram:77"),
        run=run.handle.id,
        execution="",
    )
    runs = house.runs()
    first = await runs.decide(run.handle.id, tap)
    again = await runs.decide(run.handle.id, tap)
    assert first == again
    assert [g.id for g in (await run.view()).closed_gates] == ["1-limit"]
    await run.handle.cancel()


async def test_one_person_has_one_vote_where_two_are_needed(house: House) -> None:
    stages = [
        {
            "name": "limit",
            "title": "Raise the limit",
            "why": "It hurts.",
            "change": {"kind": "http_config", "set": {"limit": 25}},
            "gate": {"approvers": ["lead"], "quorum": 2},
        }
    ]
    run = await house.start(house.write(stages=stages))
    gate = await run.gate()
    answer = signing.pasted(signing.decision(run.handle.id, gate, "boris"))
    reply = await run.handle.execute_update("decide", answer)
    assert (reply["answer"], reply["waiting_for"]) == ("waiting_for_more", 1)

    cause = await refusal(run, answer)
    assert cause.type == "already_decided"
    assert "1 more approval" in cause.message

    await run.answer(by="vera", gate=gate)
    assert (await run.result())["outcome"] == "promoted"


async def test_a_signal_counts_like_an_update(house: House) -> None:
    run = await house.start(house.write())
    gate = await run.gate()
    answer = signing.pasted(signing.decision(run.handle.id, gate, "boris"))
    await run.handle.signal("decide", {**answer, "decision": "yes", "by": "Boris"})
    await run.gate(lambda g: g.id == "2-pool")
    await eventually(lambda: told(house, "boris", "Recorded"))
    await run.handle.cancel()


@pytest.mark.parametrize(
    "payload",
    [[], [None], ["approve"], [{"gate": "1-limit"}], [{"gate": "1-limit", "decision": "approve", "by": "x"}]],
)
async def test_a_signal_that_does_not_count_is_named_in_the_timeline_and_wedges_nothing(
    house: House, payload: list[Any]
) -> None:
    run = await house.start(house.write())
    await run.gate()
    await run.handle.signal("decide", args=payload)

    async def told() -> bool:
        return any("did not count" in line.text for line in (await run.view()).log)

    await eventually(told)
    await run.answer()
    await run.gate(lambda g: g.id == "2-pool")
    await run.handle.cancel()


async def test_decisions_for_a_run_that_ended_or_never_was_are_refused_in_words(house: House) -> None:
    run = await house.start(house.write())
    gate = await run.answer("reject")
    await run.result()
    late = signing.decision(run.handle.id, gate, "boris")
    with pytest.raises(DecisionRefused, match="has ended"):
        await house.runs().decide(run.handle.id, late)
    with pytest.raises(UnknownName, match="run-of-nobody"):
        await house.runs().decide("run-of-nobody", late)


async def test_the_details_show_the_json_to_paste_and_where_the_run_stands(house: House) -> None:
    run = await house.start(house.write())
    gate = await run.gate()
    details = await run.handle.query("__temporal_workflow_metadata")
    text = details.current_details
    assert "send_code" in text
    assert gate.evidence in text
    assert "WAITING FOR A DECISION" in text
    names = {d.name for d in details.definition.update_definitions}
    assert names == {"decide", "send_code", "extend", "delegate", "roll_back", "pause", "resume"}
    await run.handle.cancel()
