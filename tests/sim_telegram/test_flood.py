import pytest
from aiogram.exceptions import TelegramRetryAfter

from holdfast.sim.telegram import People

ANNA, GROUP = 1001, -1001


async def waits(call):
    with pytest.raises(TelegramRetryAfter) as refused:
        await call
    return refused.value.retry_after


async def test_a_private_chat_takes_a_burst_of_three_and_then_one_a_second(timed_server):
    bot, clock = timed_server.bot(), timed_server.clock
    for number in range(3):
        await bot.send_message(ANNA, f"message {number}")

    assert await waits(bot.send_message(ANNA, "too fast")) == 1
    clock.seconds += 0.999
    assert await waits(bot.send_message(ANNA, "still too fast")) == 1
    clock.seconds += 0.001
    await bot.send_message(ANNA, "in time")


async def test_a_group_takes_twenty_a_minute_and_edits_count(timed_server):
    bot, clock = timed_server.bot(), timed_server.clock
    sent = await bot.send_message(GROUP, "0")
    for number in range(1, 20):
        clock.seconds += 1
        await bot.edit_message_text(str(number), chat_id=GROUP, message_id=sent.message_id)

    assert await waits(bot.send_message(GROUP, "one too many")) == 41
    assert await waits(bot.edit_message_text("x", chat_id=GROUP, message_id=sent.message_id)) == 41
    clock.seconds += 41
    await bot.send_message(GROUP, "a minute after the first")
    assert await waits(bot.send_message(GROUP, "the second is still within")) == 1


async def test_a_refusal_has_telegrams_body_and_is_counted(timed_server):
    for _ in range(3):
        await timed_server.call("sendMessage", chat_id=ANNA, text="x")

    assert await timed_server.call("sendMessage", chat_id=ANNA, text="x") == {
        "ok": False,
        "error_code": 429,
        "description": "Too Many Requests: retry after 1",
        "parameters": {"retry_after": 1},
    }
    log = await timed_server.human.get("log")
    assert (log["rejected_429"], log["bot_messages"], log["calls"]) == (
        1,
        3,
        {"sendMessage": {"200": 3, "429": 1}},
    )


async def test_a_bot_sends_at_most_thirty_a_second_to_all_chats_together(serve, timed_server):
    people = [{"id": number, "first_name": f"User {number}", "started": True} for number in range(1, 32)]
    clock = timed_server.clock
    async with serve(
        clock,
        people=People.model_validate({"users": people}),
        monotonic_ns=clock.monotonic_ns,
        unix_time=clock.unix_time,
    ) as server:
        bot = server.bot()
        for number in range(1, 31):
            await bot.send_message(number, "x")

        assert await waits(bot.send_message(31, "x")) == 1
        clock.seconds += 1
        await bot.send_message(31, "x")


async def test_a_message_that_is_refused_for_another_reason_costs_nothing(timed_server):
    for _ in range(10):
        await timed_server.call("sendMessage", chat_id=ANNA, text="<b>", parse_mode="HTML")

    assert (await timed_server.call("sendMessage", chat_id=ANNA, text="x"))["ok"]
