import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from prometheus_client import CollectorRegistry

from holdfast.domain.errors import InvalidInput
from holdfast.domain.people import People, Person
from tests.bot.fakes import PEOPLE
from tests.bot.intake_fakes import IntakeWorld
from tests.fakes import eventually
from tests.telegram.standin import LENA, OLGA, PAVEL, STRANGER, TelegramServer, place, running_server

KEPT = "⏳ Temporal does not answer now. I have kept "


@pytest.fixture
def world(telegram: TelegramServer, places: Iterator[int], tmp_path: Path) -> IntakeWorld:
    return IntakeWorld(telegram, place(next(places)), tmp_path)


async def pending(world: IntakeWorld) -> int:
    waiting: dict[str, int] = (await world.telegram.log())["pending_updates"]
    return waiting[str(world.place.bot_id)]


async def all_confirmed(world: IntakeWorld) -> None:
    async def none_left() -> bool:
        return await pending(world) == 0

    await eventually(none_left, seconds=60)


async def all_settled(world: IntakeWorld, *, done: int, seconds: float = 20) -> None:
    async def settled() -> bool:
        states = await world.states()
        return states.get("done", 0) == done and "new" not in states

    await eventually(settled, seconds=seconds)


# --- one at a time ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "unreadable",
    [
        {"message": {"text": "/whoami", "chat": "not a chat"}},
        {"callback_query": {"id": 5}},
        {"a_kind_of_next_year": {"x": 1}},
    ],
)
async def test_an_update_that_cannot_be_read_does_not_stop_those_around_it(
    world: IntakeWorld, unreadable: dict[str, object]
) -> None:
    await world.say(OLGA, "/whoami")
    bad = await world.telegram.raw_update(world.place, unreadable)
    await world.say(PAVEL, "/whoami")
    async with world.bot():
        said = await world.said(2)
        await all_confirmed(world)
        await all_settled(world, done=2)
    assert sorted(text.split(" (")[0] for text in said) == ["You are Olga", "You are Pavel"]
    assert world.counted("holdfast_bot_updates_total", outcome="handled") == 2
    assert world.counted("holdfast_bot_updates_total", outcome="quarantined") == 1
    [aside] = await world.inbox.quarantined(str(world.place.bot_id))
    assert (aside.update_id, aside.why != "") == (bad, True)


async def test_a_deeply_nested_update_and_one_without_id_are_put_aside(world: IntakeWorld) -> None:
    nested: dict[str, Any] = {}
    for _ in range(100):
        nested = {"reply_to_message": nested}
    await world.telegram.raw_update(world.place, {"message": nested})
    async with world.bot():
        await world.say(OLGA, "/whoami")
        await world.said()
        await all_settled(world, done=1)
    assert (await world.states())["quarantined"] == 1


async def test_an_update_whose_content_the_store_cannot_keep_is_handled_and_the_batch_goes_on(
    world: IntakeWorld,
) -> None:
    await world.say(OLGA, "/whoami")
    world.inbox.poison = {await world.telegram.raw_update(world.place, world.command(PAVEL, "/whoami"))}
    await world.say(LENA, "/whoami")
    async with world.bot():
        said = await world.said(3)
        await all_settled(world, done=3)
        await all_confirmed(world)
    assert sorted(text.split(" (")[0] for text in said) == ["You are Lena", "You are Olga", "You are Pavel"]


async def test_updates_of_different_people_are_handled_at_the_same_time_up_to_the_limit(
    world: IntakeWorld,
) -> None:
    world.runs.slow = 0.2
    # A busy machine must not make a handler look as if it hung.
    world.intake = replace(world.intake, at_once=2, slot_hold=timedelta(minutes=1))
    for user in (OLGA, PAVEL, LENA) * 2:
        await world.say(user, "/look")
    async with world.bot():
        await world.said(6)
    assert world.runs.most_at_once == 2


async def test_commands_of_one_person_in_one_chat_are_handled_in_their_order(world: IntakeWorld) -> None:
    world.runs.slow = 0.1
    sent = [await world.telegram.raw_update(world.place, world.command(OLGA, "/look")) for _ in range(5)]
    async with world.bot():
        await world.said(5)
        await all_settled(world, done=5)
    assert world.handled == sent
    assert world.runs.most_at_once == 1


async def test_handlers_that_hang_do_not_keep_the_next_ones_waiting(world: IntakeWorld) -> None:
    world.runs.slow = 60
    world.intake = replace(world.intake, at_once=1, slot_hold=timedelta(seconds=0.1))
    for _ in range(20):
        await world.say(OLGA, "/look")
    await world.say(PAVEL, "/look")
    async with world.bot():
        await world.say(LENA, "/whoami")
        [text] = await world.said()
    assert text.startswith("You are Lena")


async def test_a_handler_that_hangs_is_given_up(world: IntakeWorld) -> None:
    world.runs.slow = 60
    world.intake = replace(world.intake, handling_limit=timedelta(seconds=0.2), attempts=2)
    async with world.bot():
        await world.say(OLGA, "/look")
        [text] = await world.said()
        await all_settled(world, done=0)
    assert text.startswith("⚠️ I could not handle that")
    assert world.counted("holdfast_bot_updates_total", outcome="quarantined") == 1


async def test_people_are_answered_in_the_language_of_their_telegram_or_of_the_people_file(
    world: IntakeWorld,
) -> None:
    people = [p.model_copy(update={"language": "en"}) if p.name == "olga" else p for p in PEOPLE.people]
    world.services["people"] = lambda: People(people=tuple(people))
    world.runs.down = True
    for user in (OLGA, LENA):
        await world.telegram.raw_update(world.place, world.command(user, "/look", language_code="ru-RU"))
    async with world.bot():
        said = await world.said(2)
    assert sorted(text.split(" ")[1] for text in said) == ["Temporal", "Temporal"]
    assert any(text.startswith(KEPT) for text in said)
    assert any("Команда /look сохранена" in text for text in said)


# --- Telegram and the store ---------------------------------------------------------------------------------


async def test_the_bot_recovers_when_telegram_was_down(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        world = IntakeWorld(server, place(1), tmp_path)
        async with world.bot():
            await world.say(OLGA, "/whoami")
            await world.said(1)
            await server.stop()
            failed = "holdfast_bot_polls_failed_total"
            await eventually(lambda: world.counted(failed, error="TelegramNetworkError"))
            await server.start()
            await world.say(PAVEL, "/whoami")
            said = await world.said(2)
    assert said[1].startswith("You are Pavel")


async def test_a_proxys_error_page_does_not_stop_the_intake(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        world = IntakeWorld(server, place(1), tmp_path)
        await server.faults(bad_gateway=2, method="getUpdates")
        async with world.bot():
            await world.say(OLGA, "/whoami")
            await world.said()
    assert world.counted("holdfast_bot_polls_failed_total", error="ClientDecodeError") == 2


async def test_while_the_store_is_down_updates_stay_at_telegram_and_are_handled_once_it_is_back(
    world: IntakeWorld,
) -> None:
    world.inbox.down = True
    async with world.bot():
        await world.say(OLGA, "/whoami")
        await eventually(lambda: world.counted("holdfast_bot_inbox_failed_total", operation="keep") >= 2)
        assert await pending(world) == 1
        assert await world.telegram.from_bot(world.place) == []
        world.inbox.down = False
        [text] = await world.said()
        await all_confirmed(world)
    assert text.startswith("You are Olga")
    assert world.counted("holdfast_bot_updates_total", outcome="handled") == 1


async def test_what_could_not_be_marked_as_done_is_marked_later_and_not_handled_again(
    world: IntakeWorld,
) -> None:
    world.inbox.unmarkable = 2
    world.intake = replace(world.intake, look_again=timedelta(seconds=0.05))
    async with world.bot():
        await world.say(OLGA, "/whoami")
        await world.said()
        await all_settled(world, done=1)
    assert len(world.handled) == 1
    assert world.counted("holdfast_bot_inbox_failed_total", operation="mark") == 2


async def test_the_bot_steps_back_from_another_on_its_token_for_longer_and_longer_and_goes_on_after(
    world: IntakeWorld,
) -> None:
    first = 0.1
    world.intake = replace(world.intake, conflict_pause=timedelta(seconds=first))
    async with world.bot():
        await world.say(OLGA, "/whoami")
        await world.said(1)

        async def rival_is_stepped_back_from() -> bool:
            await world.client.get_updates(timeout=0, allowed_updates=["message", "callback_query"])
            return world.counted("holdfast_bot_conflict_pause_seconds") > 2.5 * first

        await eventually(rival_is_stepped_back_from)
        assert world.counted("holdfast_bot_polls_failed_total", error="TelegramConflictError") >= 2
        await world.say(PAVEL, "/whoami")
        await world.said(2)
    assert world.counted("holdfast_bot_conflict_pause_seconds") == 0


async def test_a_token_that_is_not_valid_ends_the_bot_with_a_remedy(world: IntakeWorld) -> None:
    stranger = replace(world, place=replace(world.place, token="77:WRONG"), registry=CollectorRegistry())
    with pytest.raises(InvalidInput, match="BotFather"):
        await stranger.app().run()


async def test_a_webhook_that_was_left_behind_is_taken_away_before_updates_are_fetched(
    world: IntakeWorld,
) -> None:
    await world.client.set_webhook("https://127.0.0.1:1/telegram")
    await world.say(OLGA, "/whoami")
    async with world.bot():
        await world.said()
    assert (await world.client.get_webhook_info()).url == ""


# --- stopping, starting, leading ----------------------------------------------------------------------------


async def test_stopping_brings_what_is_handled_to_its_end_and_confirms_it(world: IntakeWorld) -> None:
    world.runs.slow = 0.5
    async with world.bot() as running:
        await world.say(OLGA, "/look")
        await eventually(lambda: world.handled)
        running.cancel()
        await asyncio.wait({running})
        assert running.cancelled()
    assert len(await world.telegram.from_bot(world.place)) == 1
    assert await pending(world) == 0
    assert await world.states() == {"done": 1}


async def test_stopping_does_not_wait_for_a_handler_that_hangs_and_the_next_start_finds_the_update(
    world: IntakeWorld,
) -> None:
    world.runs.slow = 60
    world.intake = replace(world.intake, stop_within=timedelta(seconds=0.1))
    async with world.bot():
        await world.say(OLGA, "/look")
        await eventually(lambda: world.handled)
    assert await world.states() == {"new": 1}
    assert await pending(world) == 0
    world.runs.slow = 0
    async with replace(world, registry=CollectorRegistry()).bot():
        await world.said(1)
        await all_settled(world, done=1)


async def test_only_the_bot_that_leads_takes_updates_and_it_hands_over(world: IntakeWorld) -> None:
    first, second = asyncio.Event(), asyncio.Event()
    other = replace(world, registry=CollectorRegistry(), leading=second, handled=[])
    world.leading = first
    async with world.bot(), other.bot():
        await world.say(OLGA, "/whoami")
        await asyncio.sleep(0.3)
        assert await pending(world) == 1
        first.set()
        await world.said(1)
        await all_settled(world, done=1)
        first.clear()
        await eventually(lambda: not world.counted("holdfast_bot_leading"))
        second.set()
        await world.say(PAVEL, "/whoami")
        await world.said(2)
        await all_settled(world, done=2)
    assert (len(world.handled), len(other.handled)) == (1, 1)


# --- while Temporal is down ---------------------------------------------------------------------------------


async def test_a_command_is_kept_while_temporal_is_down_and_carried_out_once_when_it_is_back(
    world: IntakeWorld,
) -> None:
    world.runs.down = True
    async with world.bot():
        await world.say(OLGA, "/work")
        [kept] = await world.said(1)
        asked = world.runs.asked
        await eventually(lambda: world.runs.asked >= asked + 2)
        world.runs.down = False
        [_, started] = await world.said(2)
        await all_settled(world, done=1)
    until = datetime.now(ZoneInfo("Europe/Berlin")) + timedelta(minutes=15)
    assert kept.startswith(f"{KEPT}/work and carry it out as soon as Temporal is back, until ")
    assert any(f"{until - timedelta(minutes=n):%H:%M %Z}" in kept for n in range(2))
    assert started.startswith("Started.")
    assert len(world.runs.starts) == 1
    assert world.counted("holdfast_bot_updates_total", outcome="kept") == 1


async def test_what_needs_no_temporal_is_answered_while_commands_of_the_same_person_are_kept(
    world: IntakeWorld,
) -> None:
    world.runs.down = True
    world.intake = replace(world.intake, at_once=1)
    async with world.bot():
        await world.say(OLGA, "/look")
        await world.said(1)
        await world.say(OLGA, "/whoami")
        await world.say(PAVEL, "/whoami")
        said = await world.said(3)
    assert sorted(text.split(" (")[0] for text in said[1:]) == ["You are Olga", "You are Pavel"]


async def test_a_later_command_does_not_overtake_one_that_is_kept(world: IntakeWorld) -> None:
    world.runs.down = True
    async with world.bot():
        await world.say(OLGA, "/work")
        await world.said(1)
        world.runs.down = False  # the bot does not know yet
        await world.say(OLGA, "/look")
        said = await world.said(4)
        await all_settled(world, done=2)
    assert said[1].startswith(f"{KEPT}/look")
    assert said[2].startswith("Started.")
    assert said[3] == "Seen."


async def test_after_its_time_a_kept_command_is_told_that_it_was_not_done(world: IntakeWorld) -> None:
    world.runs.down = True
    world.intake = replace(world.intake, keep_for=timedelta(seconds=2))
    async with world.bot():
        await world.say(OLGA, "/work")
        [_, gave_up] = await world.said(2)
        await all_settled(world, done=1)
        world.runs.down = False
        await world.say(OLGA, "/whoami")
        await world.said(3)
    assert "/work was NOT carried out" in gave_up
    assert world.runs.starts == []


async def test_a_command_to_a_temporal_that_hangs_is_kept_and_told_so(world: IntakeWorld) -> None:
    world.runs.slow = 60
    world.services["answer_within"] = timedelta(seconds=0.2)
    async with world.bot():
        await world.say(OLGA, "/look")
        [kept] = await world.said(1)
        world.runs.slow = 0
        [_, listed] = await world.said(2)
    assert kept.startswith("⏳ Temporal does not answer in time. I have kept /look")
    assert listed.startswith("Seen.")


async def test_a_kept_command_is_found_again_by_the_next_start(world: IntakeWorld) -> None:
    world.runs.down = True
    async with world.bot():
        await world.say(OLGA, "/work")
        await world.said(1)
    assert await world.states() == {"new": 1}
    world.runs.down = False
    async with replace(world, registry=CollectorRegistry()).bot():
        await all_settled(world, done=1)
    assert len(world.runs.starts) == 1


async def test_a_thousand_updates_while_temporal_is_down_are_each_carried_out_once(world: IntakeWorld) -> None:
    leads = {1000 + n: f"lead{n}" for n in range(30)}
    more = tuple(Person(name=n, title=n, telegram_id=i, roles=("lead",)) for i, n in leads.items())
    world.services["people"] = lambda: People(people=PEOPLE.people + more)
    world.runs.down = True
    bad: list[dict[str, Any]] = [{"message": {"chat": 5}}, {"next_year": {}}]

    async def answered_meanwhile() -> bool:
        newest = await world.telegram.from_bot(world.place)
        return any(m["text"].startswith("You are Pavel") for m in newest)

    async with world.bot():
        for n in range(1000):
            command = world.command(1000 + n % 30, "/work")
            await world.telegram.raw_update(world.place, bad[n // 100 % 2] if n % 100 == 50 else command)
            if n == 500:
                await world.say(PAVEL, "/whoami")
                await eventually(answered_meanwhile)
        kept = "holdfast_bot_updates_held"
        await eventually(lambda: world.counted(kept, state="kept") == 990, seconds=60)
        assert world.runs.starts == []
        world.runs.down = False
        await all_settled(world, done=991, seconds=90)
    assert len({run for run, _ in world.runs.starts}) == len(world.runs.starts) == 990
    assert await world.states() == {"done": 991, "quarantined": 10}
    notices = Counter(i for i in world.handled if i < 0)
    assert set(notices.values()) == {1}
    assert len(notices) == 1000, "990 were told that they are kept; the unreadable ones have none to be told"


# --- strangers ----------------------------------------------------------------------------------------------


async def test_a_flood_of_strangers_is_answered_a_few_times_and_known_people_as_ever(
    world: IntakeWorld,
) -> None:
    async with world.bot():
        for n in range(300):
            await world.telegram.raw_update(world.place, world.command(500_000 + n // 2, "/runs"))
        await world.say(OLGA, "/whoami")
        await eventually(lambda: world.counted("holdfast_bot_strangers_ignored_total") == 280)
        said = await world.said(21)
        await all_settled(world, done=301)
    assert sum(text.startswith("You are not known") for text in said) == 20
    assert sum(text.startswith("You are Olga") for text in said) == 1
    assert len(world.audit.entries) == 20


async def test_a_refused_stranger_is_on_record_once_and_may_still_ask_for_the_id(world: IntakeWorld) -> None:
    async with world.bot():
        for text in ("/runs", "/run", "/start", "/whoami", "/whoami"):
            await world.say(STRANGER, text)
        said = await world.said(2)
        await all_settled(world, done=5)
    assert said[0].startswith("You are not known to Holdfast")
    assert said[1].startswith("Your Telegram id is 9")
    assert len(await world.telegram.from_bot(world.place)) == 2
    [entry] = world.audit.entries.values()
    assert (entry.kind, entry.data["telegram_id"]) == ("refusal", STRANGER)
