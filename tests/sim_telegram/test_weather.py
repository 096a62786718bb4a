import pytest
from aiogram.exceptions import ClientDecodeError, TelegramNetworkError

ANNA = 1001


async def test_a_dropped_answer_leaves_the_message_stored(bot, server):
    await server.human.post("faults", drop_after_store=1)

    with pytest.raises(TelegramNetworkError):
        await bot.send_message(ANNA, "did it arrive?")
    await bot.send_message(ANNA, "did it arrive?")

    assert [message["text"] for message in await server.human.messages(ANNA)] == ["did it arrive?"] * 2
    assert (await server.human.get("log"))["duplicates"][0]["message_ids"] == [1, 2]
    assert (await server.human.get("faults"))["drop_after_store"] == 0


async def test_a_bad_gateway_answers_in_html_and_telegram_never_sees_the_call(bot, server):
    await server.human.post("faults", bad_gateway=2, method="sendMessage")

    await bot.get_me()
    for _ in range(2):
        with pytest.raises(ClientDecodeError):
            await bot.send_message(ANNA, "lost")
    await bot.send_message(ANNA, "found")

    assert [message["text"] for message in await server.human.messages(ANNA)] == ["found"]
    assert (await server.human.get("log"))["calls"]["sendMessage"] == {"200": 1, "502": 2}


@pytest.mark.parametrize(
    ("wanted", "trouble"),
    [
        ({"rain": 1}, "rain: unknown; known are drop_after_store, bad_gateway, method"),
        ({"bad_gateway": -1}, "bad_gateway: must be a count of 0 or more"),
        ({"bad_gateway": 3, "method": 5}, "method: must be a text"),
    ],
)
async def test_weather_that_cannot_be_made_changes_nothing(server, wanted, trouble):
    refused = await server.human.post("faults", expect=400, **wanted)

    assert refused["error"] == trouble
    assert await server.human.get("faults") == {"drop_after_store": 0, "bad_gateway": 0, "method": ""}
