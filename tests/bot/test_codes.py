import json
from datetime import UTC, datetime
from typing import Any

from holdfast.domain.decisions import parse_decision
from holdfast.ports.audit import AuditKind
from tests.bot.conftest import World
from tests.bot.fakes import KEYRING, RUN, a_view, an_open_gate
from tests.telegram.standin import LENA, OLGA, PAVEL

GATE = "2-crm-pool-pause-1"


def pasted(message: dict[str, Any]) -> dict[str, Any]:
    """What stands in the block that is copied."""
    [block] = [e for e in message["entities"] if e["type"] == "pre"]
    text = message["text"].encode("utf-16-le")
    copied = text[2 * block["offset"] : 2 * (block["offset"] + block["length"])].decode("utf-16-le")
    said: dict[str, Any] = json.loads(copied)
    return said


async def test_code_gives_json_that_counts_for_this_person_and_answer_only(world: World) -> None:
    world.runs.add(a_view())
    async with world.bot():
        message = await world.ask(PAVEL, f"/code {GATE} reject too slow at 5 %", "Good until")
    said = parse_decision(pasted(message))
    KEYRING.check(said, run=RUN, execution="execution-1", now=datetime.now(UTC))
    assert (said.by, said.decision, said.reason, said.proofs) == (
        "pavel",
        "reject",
        "too slow at 5 %",
        ("code",),
    )
    assert f"holdfast gate reject {RUN} --as pavel --paste -" in message["text"]
    [entry] = world.audit.entries.values()
    assert (entry.kind, entry.person, entry.run, entry.gate) == (AuditKind.CODE, "pavel", RUN, GATE)
    assert said.code not in entry.model_dump_json()


async def test_at_a_gate_with_second_factor_the_code_comes_after_the_code(world: World) -> None:
    world.runs.add(a_view(gate=an_open_gate(mfa=True)))
    world.factor.apps["olga"] = 1
    async with world.bot():
        await world.ask(OLGA, f"/code {RUN}", "a code to approve gate")
        message = await world.ask(OLGA, "100001", "Good until")
    said = parse_decision(pasted(message))
    KEYRING.check(said, run=RUN, execution="execution-1", now=datetime.now(UTC))
    assert said.proofs == ("code", "totp")


async def test_the_button_sends_it_privately_also_from_a_group(world: World) -> None:
    world.runs.add(a_view())
    async with world.bot():
        await world.say(PAVEL, "/gate")
        await world.said(1)
        [shown] = await world.telegram.from_bot(world.place)
        answer = await world.press(PAVEL, shown, "Code for UI / CLI")
        message = await world.told(PAVEL, "Good until")
        in_group = await world.telegram.from_bot(world.place)
    assert answer["text"] == "I have sent you the JSON to paste privately."
    assert pasted(message)["decision"] == "approve"
    assert len(in_group) == 1


async def test_code_in_a_group_and_wrong_arguments_are_told(world: World) -> None:
    world.runs.add(a_view())
    async with world.bot():
        await world.say(PAVEL, "/code")
        [text] = await world.said(1)
        wrong = await world.ask(PAVEL, f"/code {GATE} maybe", "choice: write approve, limit, reject or")
        guest = await world.ask(LENA, f"/code {GATE}", "'lena' is not an approver")
    assert text.startswith("That is secret")
    assert wrong["text"] == "⛔ choice: write approve, limit, reject or rollback, not 'maybe'"
    assert guest["text"].startswith("⛔")
    assert world.audit.entries == {}
