import asyncio

import pytest
from aiogram import Dispatcher
from aiogram.exceptions import ClientDecodeError, TelegramConflictError
from aiogram.filters import CommandStart

ANNA, BORIS, GROUP = 1001, 1002, -1001


async def test_an_aiogram_bot_answers_start(bot, server, eventually, polling):
    dispatcher = Dispatcher()

    @dispatcher.message(CommandStart(deep_link=True))
    async def greet(message, command):
        await message.answer(f"Hello {message.from_user.first_name}, {command.args}")

    async with polling(dispatcher, bot):
        await server.human.send(BORIS, 4242, "/start run-7")

        async def texts():
            found = [message["text"] for message in await server.human.messages(BORIS, BORIS)]
            return found if len(found) == 2 else None

        assert await eventually(texts) == ["/start run-7", "Hello Boris, run-7"]


async def test_updates_are_delivered_again_until_the_offset_confirms_them(bot, server):
    for text in ("one", "two", "three"):
        await server.human.send(ANNA, 4242, text)

    first = await bot.get_updates()
    again = await bot.get_updates(limit=2)
    rest = await bot.get_updates(offset=first[0].update_id + 1)

    assert [update.message.text for update in first] == ["one", "two", "three"]
    assert [update.update_id for update in again] == [update.update_id for update in first[:2]]
    assert [update.message.text for update in rest] == ["two", "three"]
    assert [update.message.text for update in await bot.get_updates(offset=-1)] == ["three"]
    assert await bot.get_updates(offset=first[-1].update_id + 1) == []


async def test_a_long_poll_returns_as_soon_as_something_happens(bot, server):
    poll = asyncio.create_task(bot.get_updates(timeout=30))
    await asyncio.sleep(0.05)
    assert not poll.done()

    await server.human.send(ANNA, 4242, "now")

    async with asyncio.timeout(20):
        assert (await poll)[0].message.text == "now"


async def test_a_second_poller_ends_the_first(bot, server):
    first = asyncio.create_task(bot.get_updates(timeout=30))
    await asyncio.sleep(0.05)
    second = asyncio.create_task(server.bot().get_updates(timeout=30))

    with pytest.raises(
        TelegramConflictError, match="terminated by other getUpdates request; make sure that only one"
    ):
        await first
    await server.human.send(ANNA, 4242, "for the second")
    assert (await second)[0].message.text == "for the second"


async def test_only_the_kinds_a_bot_asked_for_are_queued(bot, server):
    await bot.get_updates(allowed_updates=["callback_query"])
    await server.human.send(ANNA, 4242, "not asked for")
    assert await bot.get_updates() == []

    await bot.get_updates(allowed_updates=[])
    await server.human.send(ANNA, 4242, "asked for")
    assert [update.message.text for update in await bot.get_updates()] == ["asked for"]


async def test_updates_are_forgotten_after_a_day(timed_server):
    bot = timed_server.bot()
    await timed_server.human.send(ANNA, 4242, "old")
    timed_server.clock.seconds += 24 * 3600 - 1
    await timed_server.human.send(ANNA, 4242, "new")
    assert len(await bot.get_updates()) == 2

    timed_server.clock.seconds += 2
    assert [update.message.text for update in await bot.get_updates()] == ["new"]


async def test_an_update_of_a_newer_api_stops_aiograms_own_loop_but_can_be_fetched_raw(
    bot, server, eventually, polling
):
    heard = []
    dispatcher = Dispatcher()

    @dispatcher.message()
    async def note(message):
        heard.append(message.text)

    strange = {"message": {"message_id": "seven", "date": "yesterday", "chat": {"id": 5, "type": "planet"}}}
    queued = await server.human.post("raw_update", **strange)
    await server.human.send(ANNA, 4242, "behind it")

    with pytest.raises(ClientDecodeError):
        await bot.get_updates()
    async with polling(dispatcher, bot):
        calls = (await server.human.get("log"))["calls"]["getUpdates"]["200"]

        async def polled_again():
            return (await server.human.get("log"))["calls"]["getUpdates"]["200"] > calls + 1

        assert await eventually(polled_again)
    assert heard == []

    raw = (await server.call("getUpdates"))["result"]
    assert raw[0] == {**strange, "update_id": queued["update_id"]}
    rest = await bot.get_updates(offset=queued["update_id"] + 1)
    assert [update.message.text for update in rest] == ["behind it"]


async def test_each_bot_has_its_own_conversations_and_updates(serve):
    async with serve(tokens=["4242:DEMO", "5151:OTHER"]) as server:
        first, second = server.bot(), server.bot("5151:OTHER")
        await first.send_message(ANNA, "from the first")
        await server.human.send(ANNA, 5151, "to the second")

        assert await first.get_updates() == []
        assert [update.message.text for update in await second.get_updates()] == ["to the second"]
        assert [message["text"] for message in await server.human.messages(4242)] == ["from the first"]
        trouble = await server.human.post("send", expect=400, user=ANNA, chat=ANNA, text="to whom?")
        assert trouble["error"] == "bot: several exist; name one of 4242, 5151"
