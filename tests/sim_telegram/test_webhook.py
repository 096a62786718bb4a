import asyncio
import contextlib

import pytest
from aiogram.exceptions import TelegramBadRequest, TelegramConflictError
from aiohttp import web

ANNA, BORIS, GROUP = 1001, 1002, -1001


class Receiver:
    """A bot's own web server, which answers as the test wants."""

    def __init__(self):
        self.seen = []
        self.answers = []
        self.url = ""

    async def take(self, request):
        update = await request.json()
        self.seen.append((update["message"]["text"], request.headers.get("X-Telegram-Bot-Api-Secret-Token")))
        return web.Response(status=self.answers.pop(0) if self.answers else 200)

    def texts(self):
        return [text for text, _ in self.seen]


@pytest.fixture
async def receiver():
    made = Receiver()
    app = web.Application()
    app.router.add_post("/hook", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield made
    await runner.cleanup()


async def test_updates_are_posted_with_the_secret(bot, server, receiver, eventually):
    await server.human.send(ANNA, 4242, "before")
    assert await bot.set_webhook(receiver.url, secret_token="s3cret")
    await server.human.send(ANNA, 4242, "after")

    async def two():
        return len(receiver.seen) == 2

    assert await eventually(two)
    assert receiver.texts() == ["before", "after"]
    assert {secret for _, secret in receiver.seen} == {"s3cret"}

    async def nothing_waits():
        return (await bot.get_webhook_info()).pending_update_count == 0

    assert await eventually(nothing_waits)


async def test_a_refused_update_is_sent_again_before_the_next_of_its_chat(bot, server, receiver, eventually):
    receiver.answers = [500, 503]
    await bot.set_webhook(receiver.url)
    await server.human.send(ANNA, 4242, "first")
    await server.human.send(ANNA, 4242, "second")

    async def tried_twice():
        return len(receiver.seen) == 2

    await eventually(tried_twice)
    await server.human.send(ANNA, GROUP, "/other chat")

    async def all_taken():
        return len(receiver.seen) == 5

    assert await eventually(all_taken)
    assert receiver.texts() == ["first", "first", "/other chat", "first", "second"]
    info = await bot.get_webhook_info()
    assert info.last_error_message == "Wrong response from the webhook: 503 Service Unavailable"
    assert info.last_error_date


async def test_an_unreachable_webhook_keeps_its_updates_for_polling(bot, server, unused_port, eventually):
    await bot.set_webhook(f"http://127.0.0.1:{unused_port}/hook")
    await server.human.send(ANNA, 4242, "kept")

    async def failed():
        info = await bot.get_webhook_info()
        return info if info.last_error_message else None

    info = await eventually(failed)
    assert (info.last_error_message, info.pending_update_count) == ("Connection refused", 1)
    await bot.delete_webhook()
    assert [update.message.text for update in await bot.get_updates()] == ["kept"]


@pytest.fixture
async def unused_port():
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    return port


async def test_an_update_of_any_shape_is_posted(bot, server, receiver, eventually):
    await bot.set_webhook(receiver.url)
    await server.human.post("raw_update", message={"text": "odd", "chat": {"id": "planet"}, "from": 7})

    async def arrived():
        return receiver.texts()

    assert await eventually(arrived) == ["odd"]


async def test_after_a_restart_delivery_goes_on(serve, receiver, tmp_path, eventually):
    state = str(tmp_path / "state.sqlite")
    receiver.answers = [500] * 3
    async with serve(state=state) as server:
        await server.bot().set_webhook(receiver.url, secret_token="s3cret")
        await server.human.send(ANNA, 4242, "undelivered")

        async def tried():
            return receiver.seen

        await eventually(tried)
    receiver.answers.clear()
    receiver.seen.clear()

    async with serve(state=state) as server:

        async def delivered():
            return receiver.seen and (await server.bot().get_webhook_info()).pending_update_count == 0

        assert await eventually(delivered)
    assert receiver.seen == [("undelivered", "s3cret")]


async def test_a_webhook_and_polling_exclude_each_other(bot, server, receiver):
    poll = asyncio.create_task(bot.get_updates(timeout=30))
    await asyncio.sleep(0.05)
    await server.bot().set_webhook(receiver.url)

    with pytest.raises(TelegramConflictError, match="terminated by setWebhook request"):
        await poll
    with pytest.raises(TelegramConflictError, match="can't use getUpdates method while webhook is active"):
        await bot.get_updates()
    await bot.delete_webhook(drop_pending_updates=True)
    assert await bot.get_updates() == []


async def test_setting_a_webhook_twice_says_so(server, receiver):
    first = await server.call("setWebhook", url=receiver.url)
    again = await server.call("setWebhook", url=receiver.url)
    gone = [await server.call("deleteWebhook") for _ in range(2)]

    assert [answer["description"] for answer in (first, again, *gone)] == [
        "Webhook was set",
        "Webhook is already set",
        "Webhook was deleted",
        "Webhook is already deleted",
    ]


@pytest.mark.parametrize(
    ("url", "secret", "trouble"),
    [
        ("ftp://127.0.0.1", "", "bad webhook: An HTTPS URL must be provided for webhook"),
        ("http://127.0.0.1/x", "not allowed!", "secret token contains unallowed characters"),
    ],
)
async def test_a_webhook_that_telegram_refuses_is_refused(bot, url, secret, trouble):
    with pytest.raises(TelegramBadRequest, match=trouble):
        await bot.set_webhook(url, secret_token=secret)


async def test_many_chats_are_delivered_side_by_side(bot, server, eventually):
    release = asyncio.Event()
    arrived = []

    async def slow(request):
        arrived.append(await request.json())
        await release.wait()
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", slow)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        await bot.set_webhook(f"http://127.0.0.1:{runner.addresses[0][1]}/hook")
        await server.human.send(ANNA, 4242, "one")
        await server.human.send(BORIS, 4242, "two")

        async def both_arrived():
            return len(arrived) == 2

        assert await eventually(both_arrived)
        release.set()
    assert {update["message"]["text"] for update in arrived} == {"one", "two"}
