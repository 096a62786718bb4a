import struct
import zlib
from datetime import timedelta
from typing import Any

import pytest

from holdfast.domain.decisions import Choice, Decision
from holdfast.domain.evidence import Evidence
from holdfast.domain.gates import Gate, GateState
from holdfast.domain.people import People
from holdfast.domain.signoff import Lapse, Slot
from tests.bot.conftest import World
from tests.bot.fakes import KEYRING, PEOPLE, RUN, a_view, an_open_gate, in_days
from tests.telegram.standin import LENA, OLGA, PAVEL
from tests.telegram.views import NOW, a_measured_line, a_measured_verdict

GATE = "2-crm-pool-pause-1"


def mine(name: str, gate: Gate | None = None) -> str:
    gate = gate or an_open_gate()
    return KEYRING.button(RUN, gate.token, gate.evidence, name)


async def button_of(world: World, user: int, letter: str = "a") -> tuple[dict[str, Any], str]:
    """The message that /gate gives in the private chat, and what one of its buttons carries."""
    message = await world.ask(user, "/gate", "Keep going to 25 %")
    rows = message["reply_markup"]["inline_keyboard"]
    return message, next(b["callback_data"] for row in rows for b in row if b["callback_data"][0] == letter)


@pytest.fixture
def waiting(world: World) -> World:
    world.runs.add(a_view())
    return world


async def test_a_personal_button_is_signed_for_the_evidence_that_was_shown(waiting: World) -> None:
    async with waiting.bot():
        message, button = await button_of(waiting, PAVEL)
        answer = await waiting.press(PAVEL, message, button)
    assert button == f"a:{RUN}:{mine('pavel')}"
    assert answer["text"].startswith("Recorded.")
    [decision] = waiting.runs.decisions
    assert (decision.by, decision.gate, decision.evidence) == ("pavel", GATE, "5d41402abc4b")
    assert decision.proofs == ("telegram",)


async def test_a_gate_is_shown_and_rejected_in_the_persons_language(waiting: World) -> None:
    people = tuple(p.model_copy(update={"language": "ru"}) for p in PEOPLE.people)
    waiting.services["people"] = lambda: People(people=people)
    async with waiting.bot():
        listed = await waiting.ask(OLGA, "/gates", "не хватает одобрений: 1 из 1")
        message = await waiting.ask(OLGA, "/gate", "Никто не ответит")
        rows = message["reply_markup"]["inline_keyboard"]
        reject = next(b["callback_data"] for row in rows for b in row if b["callback_data"].startswith("r:"))
        asked = await waiting.press(OLGA, message, reject)
        question = await waiting.told(OLGA, "Хватит одного нажатия")
        [first, *_] = [b for row in question["reply_markup"]["inline_keyboard"] for b in row]
        answer = await waiting.press(OLGA, question, first["callback_data"])
    assert "Без срока: ждёт сколько нужно." in listed["text"]
    assert asked["text"].startswith("Почему?")
    assert first["text"] == "Риск слишком высок"
    assert answer["text"].startswith("Записано.")
    assert waiting.runs.decisions[0].reason == "Risk too high"  # the record has one language


async def test_a_gate_in_full_begins_with_what_it_rests_on(world: World) -> None:
    facts = ["Every threshold held.", "The window opens on 2026-12-11 10:00 MSK."]
    world.runs.add(a_view(gate=an_open_gate(facts=facts)))
    async with world.bot():
        message = await world.ask(PAVEL, "/gate", "Keep going to 25 %")
    assert message["text"].startswith(
        "▪️ Every threshold held.\n▪️ The window opens on 2026-12-11 10:00 MSK.\n\n❓ "
    )


async def test_a_written_reason_rejects(waiting: World) -> None:
    async with waiting.bot():
        message, button = await button_of(waiting, OLGA, "r")
        asked = await waiting.press(OLGA, message, button)
        await waiting.told(OLGA, "or write the reason")
        await waiting.ask(OLGA, "The canary answers too slowly.", "Recorded. The CRM pool is set back")
    assert asked["text"].startswith("Why?")
    [decision] = waiting.runs.decisions
    assert (decision.decision, decision.reason) == ("reject", "The canary answers too slowly.")
    assert len(waiting.intents) == 0


async def test_where_the_bot_may_not_write_privately_it_asks_in_the_group(waiting: World) -> None:
    card = await waiting.card()
    await waiting.telegram._post("block", user=OLGA, bot=str(waiting.place.bot_id), blocked=True)
    async with waiting.bot():
        await waiting.press(OLGA, card, "Roll back")
        texts = await waiting.said(2)
        question = (await waiting.telegram.from_bot(waiting.place))[-1]
        others = await waiting.press(PAVEL, question, "Not now")
        answer = await waiting.press(OLGA, question, "Not now")
    assert texts[1].startswith("✍️ Olga (SRE lead), why Roll back (reject) at gate")
    assert "not open for you" in others["text"]
    assert answer["text"].startswith("Recorded.")
    assert [(d.by, d.reason) for d in waiting.runs.decisions] == [("olga", "Not now")]


async def test_a_reply_in_the_group_is_the_reason_too(waiting: World) -> None:
    card = await waiting.card()
    await waiting.telegram._post("block", user=OLGA, bot=str(waiting.place.bot_id), blocked=True)
    async with waiting.bot():
        await waiting.press(OLGA, card, "Roll back")
        await waiting.said(2)
        question = (await waiting.telegram.from_bot(waiting.place))[-1]
        place = {"chat": waiting.place.chat, "reply_to": question["message_id"]}
        await waiting.telegram._post("send", user=PAVEL, text="I would wait", **place)
        await waiting.telegram._post("send", user=OLGA, text="123 456", **place)
        await waiting.said(3)
        await waiting.telegram._post("send", user=OLGA, text="too slow", **place)
        texts = await waiting.said(4)
    assert texts[2].startswith("Codes of your authenticator app belong into our private chat only")
    assert texts[3].startswith("Recorded.")
    assert [(d.by, d.reason) for d in waiting.runs.decisions] == [("olga", "too slow")]


async def test_the_buttons_of_an_earlier_question_do_not_answer_a_later_one(waiting: World) -> None:
    async with waiting.bot():
        message, button = await button_of(waiting, OLGA, "r")
        await waiting.press(OLGA, message, button)
        earlier = await waiting.told(OLGA, "or write the reason")
        await waiting.press(OLGA, message, button)
        answer = await waiting.press(OLGA, earlier, "Not now")
    assert "not open for you" in answer["text"]
    assert waiting.runs.decisions == []


async def test_a_reason_that_is_too_long_is_refused_and_still_awaited(waiting: World) -> None:
    async with waiting.bot():
        message, button = await button_of(waiting, OLGA, "r")
        await waiting.press(OLGA, message, button)
        await waiting.told(OLGA, "or write the reason")
        await waiting.ask(OLGA, "x" * 1001, "reason: at most 1000 characters; yours has 1001")
        await waiting.ask(OLGA, "too slow", "Recorded.")
    assert [d.reason for d in waiting.runs.decisions] == ["too slow"]


async def test_whoever_may_not_answer_is_told_so_before_being_asked_for_a_reason(waiting: World) -> None:
    card = await waiting.card()
    async with waiting.bot():
        answer = await waiting.press(LENA, card, "Roll back")
    assert "'lena' is not an approver" in answer["text"]
    assert len(waiting.intents) == 0


async def test_another_persons_button_names_its_owner(waiting: World) -> None:
    async with waiting.bot():
        await waiting.say(PAVEL, "/gate")
        await waiting.said(1)
        [message] = await waiting.telegram.from_bot(waiting.place)
        refused = await waiting.press(OLGA, message, "Continue")
        answer = await waiting.press(PAVEL, message, "Continue")
    assert refused["text"] == f"This button is Pavel (on call)'s. Send /gate {GATE} for your own."
    assert refused["show_alert"]
    assert answer["text"].startswith("Recorded.")
    assert [d.by for d in waiting.runs.decisions] == ["pavel"]


async def test_a_personal_button_of_a_closed_gate_tells_the_outcome(waiting: World) -> None:
    async with waiting.bot():
        message, button = await button_of(waiting, PAVEL, "r")
        other, approve = await button_of(waiting, OLGA)
        await waiting.press(OLGA, other, approve)
        answer = await waiting.press(PAVEL, message, button)
    assert answer["text"].startswith(f"Too late: gate '{GATE}' is approved: olga said approve")


async def test_a_button_of_a_gate_that_is_gone_is_outdated(waiting: World) -> None:
    async with waiting.bot():
        message, button = await button_of(waiting, PAVEL)
        waiting.runs.add(a_view(gate=an_open_gate(id="3-queue", token="another", evidence="another")))
        answer = await waiting.press(PAVEL, message, button)
    assert answer["text"].startswith("This button is outdated")
    assert waiting.runs.decisions == []


async def test_without_a_worker_the_groups_button_is_stored_and_counts_later(waiting: World) -> None:
    card = await waiting.card()
    waiting.runs.no_worker = True
    async with waiting.bot():
        answer = await waiting.press(PAVEL, card, "Continue")
    assert answer["text"].startswith("Stored. No worker is up")
    [reply] = waiting.runs.check_stored()
    assert reply.text.startswith("Recorded.")
    assert [(d.by, d.token) for d in waiting.runs.decisions] == [("pavel", "k3jd92ksla0a")]


async def test_without_a_worker_a_rejection_is_stored_with_its_reason(waiting: World) -> None:
    card = await waiting.card()
    waiting.runs.no_worker = True
    async with waiting.bot():
        await waiting.press(PAVEL, card, "Roll back")
        question = await waiting.told(PAVEL, f"Why reject in run {RUN}?")
        answer = await waiting.press(PAVEL, question, "Risk too high")
    assert answer["text"].startswith("Stored.")
    waiting.runs.check_stored()
    assert [d.reason for d in waiting.runs.decisions] == ["Risk too high"]


async def test_without_a_worker_a_personal_button_cannot_be_checked(waiting: World) -> None:
    async with waiting.bot():
        message, button = await button_of(waiting, PAVEL)
        waiting.runs.no_worker = True
        answer = await waiting.press(PAVEL, message, button)
    assert answer["text"].startswith("I cannot read the run now")
    assert waiting.runs.stored == []


async def test_the_same_tap_twice_is_the_same_decision(waiting: World) -> None:
    card = await waiting.card()
    query = {
        "id": "77",
        "from": {"id": PAVEL, "is_bot": False, "first_name": "Pavel"},
        "message": {k: v for k, v in card.items() if k not in {"edited", "silent"}},
        "chat_instance": "1",
        "data": f"r:{RUN}:k3jd92ksla0a",
    }
    async with waiting.bot():
        await waiting.telegram.raw_update(waiting.place, {"callback_query": query})
        await waiting.telegram.raw_update(waiting.place, {"callback_query": query})
        question = await waiting.told(PAVEL, "Why Roll back")
        await waiting.press(PAVEL, question, "Not now")
    assert [d.id for d in waiting.runs.decisions] == ["telegram:77"]


async def test_gates_lists_what_waits_with_deadline_and_who_is_missing(world: World) -> None:
    gate = an_open_gate(deadline=in_days(3.5), on_deadline=Lapse.ROLLBACK, opened_at=in_days(-2.1))
    world.runs.add(a_view(gate=gate))
    world.runs.add(a_view(run_id="rollout-other", gate=None))
    async with world.bot():
        listed = await world.ask(OLGA, "/gates", "CRM pool looks bad at 5 %")
        opened = await world.press(OLGA, listed, f"Open {GATE}")
        await world.told(OLGA, "Keep going to 25 %")
        nothing = await world.ask(LENA, "/gates", "Nothing waits")
    lines = listed["text"].splitlines()
    assert lines[1] == f"{GATE} · run {RUN}, Relieve a support surge"
    assert lines[2] == "🕓 asked 2 days ago"
    assert lines[3].startswith("⏳ Until ")
    assert lines[3].endswith("(in 3 days); then everything this run has changed is rolled back.")
    assert " CET " in lines[3] or " CEST " in lines[3]
    assert lines[4] == "👥 1 of 1 approvals missing; could answer now: olga, pavel"
    assert opened["text"] == "Here it is."
    assert nothing["text"] == "Nothing waits for you."


def a_long_gate() -> Gate:
    said = Decision(
        gate=GATE, decision=Choice.APPROVE, by="olga", channel="telegram", at=NOW, proofs=("telegram", "totp")
    )
    return an_open_gate(
        slots=(
            Slot(step=0, holders=("olga",), label="lead"),
            Slot(step=1, holders=("pavel",), label="client-cto"),
        ),
        decisions=[said],
        veto=("lena",),
        mfa=True,
        basis=Evidence(
            target={"pool": 2, "keep_alive_seconds": 60},
            wanted={"pool": 8, "keep_alive_seconds": 60},
            taken_at=NOW,
        ),
        stale_at=NOW + timedelta(days=900),
        again_because="risk input latency: 1.2 → 2.9",
    )


async def test_gate_shows_everything_that_an_answer_rests_on(world: World) -> None:
    world.runs.add(a_view(gate=a_long_gate()))
    async with world.bot():
        message = await world.ask(PAVEL, f"/gate {GATE}", "Keep going to 25 %")
    text = message["text"]
    for part in (
        "👍 Continue → The canary's share rises to 25 %",
        "💤 Nobody answers → The run waits at 5 %",
        "No deadline: it waits for as long as it takes.",
        "🔐 Needs a code",
        "1 of 2 approvals missing; could answer now: pavel",
        "✅ step 1: lead\n▶️ step 2: client-cto",
        "✋ may reject at any time: lena",
        "🔧 Now → then\npool 2 → 8",
        "📊 pause, risk 0.85, at 5 %",
        "🔴 latency_p95\n   2.91, usual 1.20, used 131 %",
        "👍 Sat 21 Nov 2026, 03:12 UTC: olga said approve via telegram (proof: telegram + totp)",
        "✅ Let the bot send faster · 100 %",
        "🔁 Asked again because: risk input latency",
        "🧾 The evidence is good until",
    ):
        assert part in text
    assert "keep_alive" not in text
    labels = [[b["text"] for b in row] for row in message["reply_markup"]["inline_keyboard"]]
    assert labels == [["Continue", "Roll back"], ["Code for UI / CLI"]]


async def test_gate_shows_numbers_with_units_and_where_their_queries_are(world: World) -> None:
    silent = a_measured_line(
        "errors", value="–", baseline="–", used="–", level="canary silent", compared_with="", base=None
    )
    verdict = a_measured_verdict(a_measured_line(), silent)
    world.runs.add(a_view(gate=a_long_gate(), verdict=verdict))
    async with world.bot():
        message = await world.ask(PAVEL, f"/gate {GATE}", "Keep going to 25 %")
    for part in (
        "Canary vs control now; rests on 412 requests of the canary, 7900 of the control.",
        "Risk: goes on up to 0.50, rolls back above 1.50.",
        "🔗 checkout → payment: 38 % of the canary's calls fail",
        "🔴 latency_p95: used 927 %\n   2.31 s vs 0.41 s (control now)",
        "⚪ errors: canary silent\n   –",
        f"🔎 The query behind each number: holdfast verdict explain {RUN}",
    ):
        assert part in message["text"]


async def test_gate_without_anything_open_tells_the_last_outcome(world: World) -> None:
    closed = an_open_gate(
        state=GateState.APPROVED, decisions=[Decision(gate=GATE, decision=Choice.APPROVE, by="olga")]
    )
    world.runs.add(a_view(gate=None, closed_gates=[closed]))
    async with world.bot():
        message = await world.ask(PAVEL, f"/gate {RUN}", "nothing is asked now")
        unknown = await world.ask(PAVEL, "/gate 7-nope", "unknown gate or run")
    assert f"Last: gate '{GATE}' is approved: olga said approve" in message["text"]
    assert unknown["text"] == "⛔ unknown gate or run '7-nope'; known: none"


async def test_a_gate_id_that_several_runs_ask_has_to_be_named_with_its_run(world: World) -> None:
    world.runs.add(a_view())
    world.runs.add(a_view(run_id="rollout-other"))
    async with world.bot():
        several = await world.ask(PAVEL, f"/gate {GATE}", "several runs ask")
        one = await world.ask(PAVEL, f"/gate rollout-other/{GATE}", "Keep going")
    assert several["text"].endswith(f"name the run: {RUN}, rollout-other")
    assert "run rollout-other" in one["text"]


async def test_the_chart_comes_as_a_picture_before_words_that_are_too_long_for_it(world: World) -> None:
    world.runs.add(a_view(gate=a_long_gate()))
    world.services["render_chart"] = lambda view: _png(300, 200)
    async with world.bot():
        message = await world.ask(PAVEL, "/gate", "Keep going to 25 %")
        pictures = [m for m in await world.private(PAVEL) if "photo" in m]
    assert len(pictures) == 1
    assert pictures[0]["photo"][0]["width"] == 300
    assert "text" in message


async def test_where_a_gate_has_buttons_is_noted_so_that_they_go_when_it_is_closed(
    world: World,
) -> None:
    world.runs.add(a_view(verdict=None, stages=[]))
    async with world.bot():
        message = await world.ask(PAVEL, "/gate", "Keep going to 25 %")
    [noted] = world.notices.entries.values()
    assert noted.state == "sent"
    assert noted.message is not None
    assert (noted.message.chat, noted.message.message_id) == (str(PAVEL), str(message["message_id"]))


async def test_a_chart_that_telegram_refuses_costs_nobody_the_words(world: World) -> None:
    world.runs.add(a_view())
    world.services["render_chart"] = lambda view: _png(4000, 10)
    async with world.bot():
        message = await world.ask(PAVEL, "/gate", "Keep going to 25 %")
    assert "text" in message


async def test_a_huge_gate_fits_a_message(world: World) -> None:
    many = {f"setting_{n}": n for n in range(200)}
    evidence = Evidence(target={}, wanted=many, taken_at=NOW)
    world.runs.add(a_view(gate=an_open_gate(basis=evidence, question="why <not>? " * 90)))
    async with world.bot():
        message = await world.ask(PAVEL, "/gate", "why <not>?")
    assert len(message["text"]) <= 4096


def _png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + b"\xff" * width for _ in range(height)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
