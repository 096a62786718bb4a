import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog

from holdfast.domain.errors import Unavailable
from holdfast.domain.gates import GateState
from holdfast.ports.audit import AuditKind
from holdfast.ports.identity import Intent
from tests.bot.conftest import World
from tests.bot.fakes import MemoryIntents, a_view, an_open_gate
from tests.fakes import eventually
from tests.telegram.standin import LENA, OLGA, PAVEL

GATE = "2-crm-pool-pause-1"


@pytest.fixture
def guarded(world: World) -> World:
    """A gate waits that needs a code; olga has an authenticator app, pavel has none."""
    world.runs.add(a_view(gate=an_open_gate(mfa=True)))
    world.factor.apps["olga"] = 1
    return world


async def approve(world: World, user: int = OLGA, button: str = "Continue") -> dict[str, Any]:
    return await world.press(user, await world.card(), button)


async def codes_in_chat(world: World, user: int = OLGA) -> list[str]:
    said = [m.get("text", "") for m in await world.private(user) if not m["from"]["is_bot"]]
    return [text for text in said if text.replace(" ", "").isdigit()]


async def test_a_tap_asks_for_the_code_privately_and_the_code_approves(guarded: World) -> None:
    async with guarded.bot():
        asked = await approve(guarded)
        question = await guarded.told(OLGA, "6 digits")
        await guarded.ask(OLGA, " 100 001", "Recorded. The canary's share rises")
        left = await codes_in_chat(guarded)
    assert asked["text"] == f"Gate '{GATE}' needs your authenticator code: I have written to you privately."
    assert asked["show_alert"]
    assert f"Continue (approve) at gate {GATE}: CRM pool looks bad at 5 %" in question["text"]
    assert [(d.by, d.proofs) for d in guarded.runs.decisions] == [("olga", ("telegram", "totp"))]
    assert left == []
    assert len(guarded.intents) == 0


async def test_a_rejection_asks_for_the_reason_and_then_for_the_code(guarded: World) -> None:
    async with guarded.bot():
        await approve(guarded, button="Roll back")
        question = await guarded.told(OLGA, "One tap is enough")
        tapped = await guarded.press(OLGA, question, "Risk too high")
        await guarded.told(OLGA, "6 digits")
        assert guarded.runs.decisions == []
        await guarded.ask(OLGA, "100001", "Recorded. The CRM pool is set back")
    assert "needs your authenticator code" in tapped["text"]
    assert [(d.reason, d.proofs) for d in guarded.runs.decisions] == [("Risk too high", ("telegram", "totp"))]


async def test_a_wrong_code_is_told_and_the_next_one_still_counts(guarded: World) -> None:
    async with guarded.bot():
        await approve(guarded)
        await guarded.told(OLGA, "6 digits")
        await guarded.ask(OLGA, "999999", "That code is wrong")
        assert guarded.runs.decisions == []
        await guarded.ask(OLGA, "100001", "Recorded.")
        left = await codes_in_chat(guarded)
    assert left == []
    assert len(guarded.runs.decisions) == 1
    [refusal] = [e for e in guarded.audit.entries.values() if e.kind == "refusal"]
    assert (refusal.person, "999999" in refusal.model_dump_json()) == ("olga", False)


async def test_after_too_many_guesses_it_is_said_until_when(guarded: World) -> None:
    async with guarded.bot():
        await approve(guarded)
        await guarded.told(OLGA, "6 digits")
        for guess in ("999991", "999992", "999993"):
            await guarded.whisper(OLGA, guess)
        await eventually(lambda: guarded.counted("holdfast_bot_updates_total", outcome="handled") == 4)
        await guarded.ask(OLGA, "100001", "Too many wrong codes; try again after 03:30 UTC.")
    assert guarded.runs.decisions == []


async def test_a_code_is_no_use_for_anybody_elses_question(guarded: World) -> None:
    guarded.factor.apps["pavel"] = 5
    async with guarded.bot():
        await approve(guarded)
        await guarded.told(OLGA, "6 digits")
        await guarded.ask(PAVEL, guarded.factor.code("pavel"), "I have not asked you for a code")
        left = await codes_in_chat(guarded, PAVEL)
    assert guarded.runs.decisions == []
    assert left == []


async def test_a_code_after_the_gate_was_closed_tells_the_outcome(guarded: World) -> None:
    async with guarded.bot():
        await approve(guarded)
        await guarded.told(OLGA, "6 digits")
        view = guarded.runs.views["rollout-4f7qk2mz"]
        view.closed_gates.append(an_open_gate(state=GateState.SUPERSEDED))
        view.gate = None
        await guarded.ask(OLGA, "100001", "Too late: gate '2-crm-pool-pause-1' was closed without an answer")
    assert len(guarded.intents) == 0


async def test_whoever_has_no_app_is_sent_to_enrol_first(guarded: World) -> None:
    async with guarded.bot():
        answer = await approve(guarded, PAVEL)
    assert answer["text"].startswith("This needs a code of your authenticator app, and you have none yet")
    assert "/enrol" in answer["text"]


async def test_a_code_is_never_asked_for_in_a_group(guarded: World) -> None:
    card = await guarded.card()
    await guarded.telegram._post("block", user=OLGA, bot=str(guarded.place.bot_id), blocked=True)
    async with guarded.bot():
        answer = await guarded.press(OLGA, card, "Continue")
        assert len(await guarded.telegram.from_bot(guarded.place)) == 1
    assert answer["text"].startswith("I may not write to you yet")
    assert len(guarded.intents) == 0


async def test_a_question_that_is_too_old_is_forgotten(guarded: World) -> None:
    class Forgetful(MemoryIntents):
        async def put(self, intent: Intent) -> None:
            past = datetime.now(UTC) - timedelta(seconds=1)
            await super().put(intent.model_copy(update={"expires_at": past}))

    guarded.intents = Forgetful()
    async with guarded.bot():
        await approve(guarded)
        await guarded.ask(OLGA, "100001", "I have not asked you for a code, or forgot it")
    assert guarded.factor.verified == 0


async def test_a_code_whose_handling_fails_once_is_not_used_up_by_that(guarded: World) -> None:
    async with guarded.bot():
        await approve(guarded)
        await guarded.told(OLGA, "6 digits")
        guarded.runs.broken = 1
        await guarded.ask(OLGA, "100001", "Recorded.")
    assert guarded.counted("holdfast_bot_updates_total", outcome="retried") == 1
    assert guarded.factor.verified == 1
    assert len(guarded.runs.decisions) == 1


async def test_codes_are_in_no_log_whatever_happens(guarded: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as logged:
        async with guarded.bot():
            await approve(guarded)
            await guarded.told(OLGA, "6 digits")
            guarded.runs.broken = 3
            await guarded.ask(OLGA, "100001", "I could not handle that")
            await guarded.ask(OLGA, "100009", "That code is wrong")
    assert any(entry["event"] == "bot_update_quarantined" for entry in logged)
    for code in ("100001", "100009"):
        assert code not in str(logged)
        assert code not in caplog.text


async def test_enrol_shows_a_qr_code_and_the_first_code_confirms_it(world: World) -> None:
    async with world.bot():
        await world.ask(PAVEL, "/enrol", "Then send me the 6 digits")
        [picture] = [m for m in await world.private(PAVEL) if "photo" in m]
        await world.ask(PAVEL, "999999", "That code is wrong")
        await world.ask(PAVEL, "100000", "✅ Your authenticator app is set up.")
        pictures = [m for m in await world.private(PAVEL) if "photo" in m]
        left = await codes_in_chat(world, PAVEL)
        again = await world.ask(PAVEL, "/enrol", "You have an authenticator app already")
    assert "JBSWY3DPEHPK3PXP" in picture["caption"]
    assert {e["type"] for e in picture["caption_entities"]} >= {"spoiler"}
    assert picture["has_protected_content"]
    assert pictures == []
    assert left == []
    assert await world.factor.enrolled("pavel")
    assert "holdfast totp remove pavel" in again["text"]
    recorded = [(e.kind, e.person) for e in world.audit.entries.values()]
    assert recorded == [(AuditKind.REFUSAL, "pavel"), (AuditKind.ENROLMENT, "pavel")]


async def test_a_second_enrol_takes_the_first_picture_away(world: World) -> None:
    async with world.bot():
        await world.ask(PAVEL, "/enrol", "Then send me")
        await world.whisper(PAVEL, "/enrol")

        async def asked_twice() -> bool:
            texts = [m.get("text", "") for m in await world.private(PAVEL)]
            return len([text for text in texts if text.startswith("Then send me")]) == 2

        await eventually(asked_twice)
        pictures = [m for m in await world.private(PAVEL) if "photo" in m]
    assert len(pictures) == 1


async def test_enrol_in_a_group_gives_nothing_away(world: World) -> None:
    async with world.bot():
        await world.say(PAVEL, "/enrol")
        [text] = await world.said(1)
    assert text == "That is secret, so I do it only in our private chat: write /enrol to me there."
    assert world.factor.begun == set()


async def test_while_the_store_is_down_that_is_said_and_nothing_is_done(guarded: World) -> None:
    class Down(MemoryIntents):
        async def put(self, intent: Intent) -> None:
            raise Unavailable("the database does not answer")

    guarded.intents = Down()
    async with guarded.bot():
        answer = await approve(guarded)
        said = await guarded.ask(LENA, "/enrol", "database does not answer")
    assert answer["text"].startswith("Holdfast's database does not answer: your decision was NOT recorded.")
    assert "try again in a minute" in said["text"]
