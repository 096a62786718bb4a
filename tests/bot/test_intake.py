import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from holdfast.domain.errors import InvalidInput
from tests.bot.conftest import World
from tests.bot.fakes import a_view
from tests.fakes import eventually
from tests.telegram.standin import OLGA, PAVEL


async def pending(world: World) -> int:
    return (await world.telegram.log())["pending_updates"][str(world.place.bot_id)]


async def all_confirmed(world: World) -> None:
    async def none_left() -> bool:
        return await pending(world) == 0

    await eventually(none_left, seconds=10)


@pytest.mark.parametrize(
    "unreadable",
    [
        {"message": {"text": "/whoami", "chat": "not a chat"}},
        {"callback_query": {"id": 5}},
        {"a_kind_of_next_year": {"x": 1}},
    ],
)
async def test_an_update_that_cannot_be_read_does_not_stop_those_around_it(
    world: World, unreadable: dict[str, object]
) -> None:
    await world.say(OLGA, "/whoami")
    await world.telegram.raw_update(world.place, unreadable)
    await world.say(PAVEL, "/whoami")
    async with world.bot():
        said = await world.said(2)
        await all_confirmed(world)
    assert sorted(text.split(" (")[0] for text in said) == ["You are Olga", "You are Pavel"]
    assert world.counted("holdfast_bot_updates_total", outcome="handled") == 2
    assert world.counted("holdfast_bot_updates_total", outcome="quarantined") == 1


async def test_updates_of_one_batch_are_handled_at_the_same_time_up_to_the_limit(world: World) -> None:
    world.runs.slow = 0.2
    world.intake = replace(world.intake, at_once=3)
    for _ in range(7):
        await world.say(OLGA, "/runs")
    async with world.bot():
        await world.said(7)
    assert world.runs.most_at_once == 3


async def test_a_handler_that_hangs_is_given_up(world: World) -> None:
    world.runs.slow = 60
    world.intake = replace(world.intake, handling_limit=timedelta(seconds=0.2), attempts=2)
    async with world.bot():
        await world.say(OLGA, "/runs")
        [text] = await world.said()
    assert text.startswith("⚠️ I could not handle that")
    assert world.counted("holdfast_bot_updates_total", outcome="quarantined") == 1


async def test_the_bot_recovers_when_telegram_was_down(fresh_world: World) -> None:
    world = fresh_world
    async with world.bot():
        await world.say(OLGA, "/whoami")
        await world.said(1)
        await world.telegram.stop()
        await eventually(lambda: world.counted("holdfast_bot_polls_failed_total", error="TelegramNetworkError"))
        await world.telegram.start()
        await world.say(PAVEL, "/whoami")
        said = await world.said(2)
    assert said[1].startswith("You are Pavel")


async def test_a_proxys_error_page_does_not_stop_the_intake(fresh_world: World) -> None:
    world = fresh_world
    await world.telegram.faults(bad_gateway=2, method="getUpdates")
    async with world.bot():
        await world.say(OLGA, "/whoami")
        await world.said()
    assert world.counted("holdfast_bot_polls_failed_total", error="ClientDecodeError") == 2


async def test_a_second_bot_on_the_same_token_is_noticed_and_both_go_on(world: World) -> None:
    async with world.bot():
        await world.say(OLGA, "/whoami")
        await world.said(1)

        async def rival_is_noticed() -> float:
            await world.client.get_updates(timeout=0, allowed_updates=["message", "callback_query"])
            return world.counted("holdfast_bot_polls_failed_total", error="TelegramConflictError")

        await eventually(rival_is_noticed)
        await world.say(PAVEL, "/whoami")
        await world.said(2)


async def test_a_token_that_is_not_valid_ends_the_bot_with_a_remedy(world: World) -> None:
    stranger = replace(world, place=replace(world.place, token="77:WRONG"), registry=CollectorRegistry())
    with pytest.raises(InvalidInput, match="BotFather"):
        await stranger.app().run()


async def test_stopping_brings_the_batch_to_its_end_and_confirms_it(world: World) -> None:
    world.runs.add(a_view())
    world.runs.slow = 0.5
    async with world.bot() as running:
        await world.say(OLGA, "/runs")
        await asyncio.sleep(0.3)
        running.cancel()
        await asyncio.wait({running})
        assert running.cancelled()
    assert len(await world.telegram.from_bot(world.place)) == 1
    assert await pending(world) == 0


async def test_stopping_does_not_wait_for_a_handler_that_hangs_and_the_update_comes_again(world: World) -> None:
    world.runs.slow = 60
    world.intake = replace(world.intake, stop_within=timedelta(seconds=0.1))
    async with world.bot():
        await world.say(OLGA, "/runs")
        await asyncio.sleep(0.3)
    assert await pending(world) == 1
    world.runs.slow = 0
    async with world.bot():
        await world.said(1)
        await all_confirmed(world)
