import contextlib
import json

import pytest
from aiogram import Dispatcher, F
from aiogram.types import BotCommand, InlineKeyboardButton, InlineKeyboardMarkup
from playwright.async_api import async_playwright, expect

ANNA, BORIS, CLARA, GROUP = 1001, 1002, 1003, -1001
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
KEYBOARD = InlineKeyboardMarkup(
    inline_keyboard=[
        [
            InlineKeyboardButton(text="Approve", callback_data="yes"),
            InlineKeyboardButton(text="Reject", callback_data="no"),
        ]
    ]
)


async def page_of(server, expect_status=200, **query):
    async with server.session.get(f"{server.url}/", params=query) as response:
        assert response.status == expect_status
        return await response.text(), response.headers


async def test_the_page_shows_what_people_wrote_as_text_only(server):
    await server.human.send(ANNA, 4242, "<img src=x onerror=alert(1)> & https://example.com/")

    html, headers = await page_of(server, user=ANNA, chat=4242)

    assert "&lt;img src=x onerror=alert(1)&gt; &amp; " in html
    assert '<a href="https://example.com/" target="_blank" rel="noopener noreferrer">' in html
    assert "default-src 'none'; script-src 'self'" in headers["Content-Security-Policy"]


async def test_the_page_without_a_user_asks_who_is_there(server):
    html, _ = await page_of(server)
    assert "Who are you?" in html

    html, _ = await page_of(server, expect_status=404, user=99)
    assert "user &#39;99&#39;: unknown; known are 1001 Anna" in html


async def test_the_page_of_a_chat_one_is_not_in_says_so(server):
    html, _ = await page_of(server, expect_status=403, user=CLARA, chat=GROUP)

    assert "Clara is not a member" in html


async def test_every_static_file_is_served_and_nothing_else(server):
    for name in ("app.js", "app.css", "icon.svg"):
        async with server.session.get(f"{server.url}/static/{name}") as response:
            assert response.status == 200
    async with server.session.get(f"{server.url}/static/..%2Fpage.py") as response:
        assert response.status == 404


async def test_events_tell_watchers_of_their_own_conversations(bot, server):
    async with server.session.get(f"{server.url}/human/events", params={"user": ANNA}) as events:
        assert (await events.content.readline()).startswith(b"retry:")
        await events.content.readline()
        await server.human.send(BORIS, 4242, "not for Anna")
        sent = await bot.send_message(ANNA, "for Anna")
        await bot.edit_message_text("changed", chat_id=ANNA, message_id=sent.message_id)
        await bot.send_message(GROUP, "for all")

        lines = [await events.content.readline() for _ in range(6)]

    seen = [json.loads(line.removeprefix(b"data: ")) for line in lines if line.strip()]
    assert [(event["kind"], event["chat"]) for event in seen] == [
        ("message", 4242),
        ("edited", 4242),
        ("message", GROUP),
    ]


async def test_the_json_side_explains_itself(server):
    async with server.session.get(f"{server.url}/human") as response:
        assert "`POST /human/press {user, chat, message_id, button, wait_seconds?}`" in await response.text()


async def test_metrics_count_calls_and_waiting_updates(bot, server):
    await server.human.send(ANNA, 4242, "hello")
    await bot.get_me()

    async with server.session.get(f"{server.url}/metrics") as response:
        metrics = await response.text()

    assert 'telegram_calls_total{code="200",method="getMe"} 1.0' in metrics
    assert 'telegram_pending_updates{bot="4242"} 1.0' in metrics
    assert "process_resident_memory_bytes" in metrics
    async with server.session.get(f"{server.url}/healthz") as response:
        assert await response.json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("body", "status", "trouble"),
    [
        ({"chat": 4242, "text": "x"}, 400, "user: missing"),
        ({"user": ANNA, "chat": 4242, "text": " "}, 400, "text: must have 1 to 4096 characters, has 0"),
        ({"user": ANNA, "chat": 4242, "text": "\ud800"}, 400, "text: has half of a surrogate pair"),
        ({"user": ANNA, "chat": 5, "text": "x"}, 404, "bot '5': unknown"),
        ({"user": ANNA, "chat": GROUP, "text": "x", "thread": 9}, 400, "thread: topic 9 does not exist"),
        ({"user": ANNA, "chat": 4242, "text": "x", "reply_to": 9}, 400, "reply_to: message 9 does not exist"),
        (
            {"user": ANNA, "chat": 4242, "text": "x", "thread": "a"},
            400,
            "thread: must be a number of 0 or more",
        ),
    ],
)
async def test_what_a_person_cannot_send_is_explained(server, body, status, trouble):
    refused = await server.human.post("send", expect=status, **body)

    assert trouble in refused["error"]


@contextlib.asynccontextmanager
async def browser_page(server, **query):
    """The page in a real browser; a script error in it fails the test."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await browser.new_page(viewport={"width": 390, "height": 800})
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        await page.goto(f"{server.url}/?" + "&".join(f"{name}={value}" for name, value in query.items()))
        try:
            yield page
        finally:
            await browser.close()
        assert errors == []


def approver():
    """A bot that edits its question when somebody answers it."""
    dispatcher = Dispatcher()

    @dispatcher.callback_query(F.data == "yes")
    async def approve(query):
        await query.message.edit_text(f"Approved by <b>{query.from_user.first_name}</b>", parse_mode="HTML")
        await query.answer("Recorded")

    @dispatcher.callback_query(F.data == "no")
    async def reject(query):
        await query.answer("You may not reject this", show_alert=True)

    return dispatcher


@pytest.mark.slow
async def test_in_the_browser_a_press_shows_the_answer_and_the_edited_message(bot, server, polling):
    await bot.send_message(ANNA, "Roll out <i>stage 2</i>?", parse_mode="HTML", reply_markup=KEYBOARD)
    async with polling(approver(), bot), browser_page(server, user=ANNA, chat=4242) as page:
        message = page.locator(".message")
        await expect(message.locator("em")).to_have_text("stage 2")

        await page.get_by_role("button", name="Reject").click()
        await expect(page.get_by_role("dialog")).to_contain_text("You may not reject this")
        await page.get_by_role("button", name="OK").click()
        await page.get_by_role("button", name="Approve").click()

        await expect(page.locator(".toast")).to_have_text("Recorded")
        await expect(message.locator(".text")).to_have_text("Approved by Anna")
        await expect(message.locator(".edited")).to_have_text("edited")
        await expect(message.locator(".key")).to_have_count(0)


@pytest.mark.slow
async def test_in_the_browser_a_person_starts_the_bot_writes_and_sees_answers_arrive(bot, server):
    await bot.set_my_commands([BotCommand(command="status", description="What is going on")])
    async with browser_page(server, user=BORIS, chat=4242) as page:
        await page.get_by_role("button", name="START").click()
        await expect(page.locator(".text")).to_have_text("/start")

        await page.get_by_role("button", name="Commands").click()
        await page.get_by_role("button", name="/status").click()
        await page.get_by_role("textbox").press("Enter")
        await expect(page.locator(".text")).to_have_text(["/start", "/status"])
        updates = await bot.get_updates()
        assert [update.message.text for update in updates] == ["/start", "/status"]

        sent = await bot.send_message(BORIS, "All quiet")
        await expect(page.locator(".text").last).to_have_text("All quiet")
        await bot.delete_message(BORIS, sent.message_id)
        await expect(page.locator(".text")).to_have_text(["/start", "/status"])
