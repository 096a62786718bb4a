import json
from datetime import timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.calling import TellRequest
from activities.codes import CodeDelivery
from holdfast.domain.decisions import Choice, RollBack, parse, parse_decision
from holdfast.domain.errors import DecisionRefused, InvalidInput
from holdfast.domain.people import Person
from holdfast.domain.proofs import CODE_GOOD_FOR
from holdfast.ports.audit import AuditKind
from tests.activities.desk import (
    BORIS,
    GLEB,
    KEYS,
    NOBODY,
    OPENED,
    VERA,
    Desk,
    ask,
)


async def test_a_person_is_told_by_the_first_channel_that_can() -> None:
    desk = Desk()
    desk.telegram.troubles["gleb"].append(InvalidInput("blocked"))

    for person in (BORIS, VERA, GLEB):
        await desk.run(desk.activities.tell_person, TellRequest(person=person, text="Hello."))

    assert [s.person for s in desk.telegram.said] == ["boris"]
    assert [s.person for s in desk.email.said] == ["vera", "gleb"]
    with pytest.raises(ApplicationError, match="no channel reaches nina") as failed:
        await desk.run(desk.activities.tell_person, TellRequest(person=NOBODY, text="Hello."))
    assert failed.value.non_retryable


def delivery(person: Person = BORIS, decision: Choice = Choice.APPROVE, **more: Any) -> CodeDelivery:
    gate = more.pop("gate", ask(BORIS, VERA))
    return CodeDelivery(run_id="run-1", execution="e1", gate=gate, person=person, decision=decision, **more)


@pytest.mark.parametrize(
    ("decision", "reason"),
    [(Choice.APPROVE, ""), (Choice.APPROVE, "fine"), (Choice.REJECT, 'не сейчас, "later"')],
)
async def test_a_code_is_sent_as_json_that_the_run_takes_as_it_is(decision: Choice, reason: str) -> None:
    desk = Desk(now=OPENED + timedelta(seconds=1.5))

    said = await desk.run(desk.activities.send_code, delivery(decision=decision, reason=reason))

    assert said == "A code was sent to Boris's private chat. It is good until 2026-11-20 15:30 UTC."
    (sent,) = desk.telegram.said
    pasted = json.loads(sent.paste)
    fields = [
        "gate",
        "decision",
        "by",
        "evidence",
        *(["reason"] if reason else []),
        "expires_at",
        "proofs",
        "code",
    ]
    assert list(pasted) == fields
    assert "16:30 (Europe/Berlin)" in sent.text
    read = parse_decision(pasted)
    assert (read.by, read.decision, read.reason, read.channel) == ("boris", decision, reason, "temporal-ui")
    KEYS.check(read, run="run-1", execution="e1", now=desk.now)
    KEYS.check(read.model_copy(update={"channel": "cli"}), run="run-1", execution="e1", now=desk.now)
    for wrong in ({"run": "run-2"}, {"execution": "e2"}, {"now": desk.now + CODE_GOOD_FOR}):
        with pytest.raises(DecisionRefused):
            KEYS.check(read, **{"run": "run-1", "execution": "e1", "now": desk.now, **wrong})


async def test_a_code_to_reject_leaves_room_for_the_reason_that_is_needed() -> None:
    desk = Desk()

    await desk.run(desk.activities.send_code, delivery(decision=Choice.REJECT))

    (sent,) = desk.telegram.said
    assert json.loads(sent.paste)["reason"] == ""
    assert "Write your reason" in sent.text


async def test_a_code_is_on_record_and_nowhere_else() -> None:
    desk = Desk()

    said = await desk.run(desk.activities.send_code, delivery())

    code = json.loads(desk.telegram.said[0].paste)["code"]
    (entry,) = desk.audit.entries
    assert (entry.kind, entry.person, entry.gate) == (AuditKind.CODE, "boris", "1-limit")
    assert code not in entry.model_dump_json() + said + desk.telegram.said[0].text


async def test_where_the_authenticator_app_is_needed_no_code_is_signed() -> None:
    desk = Desk()

    said = await desk.run(desk.activities.send_code, delivery(gate=ask(BORIS, mfa=True)))

    assert [s.paste for s in desk.telegram.said] == ["/code run-1 approve"]
    assert "authenticator app" in said
    assert desk.audit.entries == []


async def test_a_code_is_never_sent_by_mail() -> None:
    desk = Desk()

    with pytest.raises(ApplicationError, match="vera has no private chat") as failed:
        await desk.run(desk.activities.send_code, delivery(person=VERA))

    assert (failed.value.type, failed.value.non_retryable) == ("InvalidInput", True)
    assert desk.email.said == []


def for_a_rollback(**more: Any) -> CodeDelivery:
    return CodeDelivery(run_id="run-1", execution="e1", person=BORIS, **more)


@pytest.mark.parametrize(
    ("to", "fields", "words"),
    [
        (
            "",
            ["gate", "by", "expires_at", "proofs", "code"],
            "roll back everything that run-1 did, good until 16:30 (Europe/Berlin)",
        ),
        (
            "rate",
            ["gate", "to", "by", "reason", "expires_at", "proofs", "code"],
            "roll back what run-1 did after stage 'rate', good until 16:30",
        ),
    ],
)
async def test_a_code_for_a_rollback_needs_no_gate_and_names_what_stays(
    to: str, fields: list[str], words: str
) -> None:
    desk = Desk()

    await desk.run(desk.activities.send_code, for_a_rollback(to=to, reason="tickets pile up" if to else ""))

    (sent,) = desk.telegram.said
    pasted = json.loads(sent.paste)
    assert list(pasted) == fields
    assert words in sent.text
    assert "the update 'roll_back' in the Temporal UI" in sent.text
    read = parse(RollBack, pasted)
    assert (read.gate, read.to, read.by) == ("rollback", to, "boris")
    KEYS.check(read, run="run-1", execution="e1", now=desk.now)
    for wrong in ({"to": "other"}, {"by": "gleb"}):
        with pytest.raises(DecisionRefused):
            KEYS.check(read.model_copy(update=wrong), run="run-1", execution="e1", now=desk.now)
    (entry,) = desk.audit.entries
    assert (entry.kind, entry.gate, entry.data["action"]) == (AuditKind.CODE, "rollback", read.action)


def test_a_delivery_of_an_earlier_history_is_still_read() -> None:
    kept = delivery().model_dump(mode="json")

    read = CodeDelivery.model_validate(kept)

    assert (read.update, read.about) == ("decide", "1-limit")
