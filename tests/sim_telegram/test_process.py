import asyncio
import contextlib
import signal
import sys

import aiohttp
import pytest
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup

from holdfast.sim.telegram.__main__ import main

PEOPLE = """
users:
  - {id: 1001, first_name: Anna}
"""
COMMAND = [sys.executable, "-m", "holdfast.sim.telegram", "--port", "0", "--token", "4242:DEMO"]


@contextlib.asynccontextmanager
async def process(*arguments):
    """The real command, with the URL it announces."""
    started = await asyncio.create_subprocess_exec(*COMMAND, *arguments, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(20):
            line = (await started.stdout.readline()).decode()
        yield started, line.split()[-1]
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


@contextlib.asynccontextmanager
async def clients(url):
    async with aiohttp.ClientSession(url) as people:
        bot = Bot("4242:DEMO", session=AiohttpSession(api=TelegramAPIServer.from_base(url)))
        try:
            yield people, bot
        finally:
            await bot.session.close()


async def send(people, text):
    async with people.post("/human/send", json={"user": 1001, "chat": 4242, "text": text}) as response:
        response.raise_for_status()


async def test_chats_and_unconfirmed_updates_survive_kill_9(tmp_path):
    (tmp_path / "people.yaml").write_text(PEOPLE)
    arguments = ("--people", str(tmp_path / "people.yaml"), "--state", str(tmp_path / "telegram.sqlite"))
    button = InlineKeyboardMarkup(inline_keyboard=[[InlineKeyboardButton(text="Yes", callback_data="yes")]])
    async with process(*arguments) as (server, url), clients(url) as (people, bot):
        await send(people, "/start")
        await send(people, "second")
        first, second = await bot.get_updates()
        await bot.get_updates(offset=second.update_id, timeout=0)
        sent = await bot.send_message(1001, "asked", reply_markup=button)
        server.send_signal(signal.SIGKILL)
        await server.wait()

    async with process(*arguments) as (server, url), clients(url) as (people, bot):
        assert [update.update_id for update in await bot.get_updates()] == [second.update_id]
        await bot.edit_message_text("answered", chat_id=1001, message_id=sent.message_id)
        async with people.get("/human/messages", params={"user": 1001, "chat": 4242}) as response:
            found = (await response.json())["messages"]
        assert [message["text"] for message in found] == ["/start", "second", "answered"]
        await send(people, "third")
        assert [update.update_id for update in await bot.get_updates()] == [
            second.update_id,
            second.update_id + 1,
        ]
        server.send_signal(signal.SIGTERM)
        assert await server.wait() == 0
    assert first.update_id == second.update_id - 1


async def test_the_switches_of_the_command_line_reach_the_server(tmp_path):
    (tmp_path / "people.yaml").write_text("users: [{id: 1001, first_name: Anna, started: true}]")
    switches = ("--bad-gateway", "1", "--private-burst", "1", "--private-interval-seconds", "30")
    async with (
        process("--people", str(tmp_path / "people.yaml"), *switches) as (_, url),
        clients(url) as (http, _),
    ):
        async with http.get("/bot4242:DEMO/getMe") as answer:
            assert (answer.status, answer.content_type) == (502, "text/html")
        async with http.get("/bot4242:DEMO/sendMessage?chat_id=1001&text=x") as answer:
            assert answer.status == 200
        async with http.get("/bot4242:DEMO/sendMessage?chat_id=1001&text=x") as answer:
            assert answer.status == 429
            assert int(answer.headers["Retry-After"]) in {29, 30}


@pytest.mark.parametrize(
    ("people", "trouble"),
    [
        ("users: [{id: 1}]", "users.0.first_name: Field required"),
        ("users: []\nrobots: []", "robots: Extra inputs are not permitted"),
        ("users: [{id: 1, first_name: A}, {id: 1, first_name: B}]", "id: used more than once: 1"),
        (
            "users: []\nchats: [{id: -1, type: group, title: T, members: [5]}]",
            "chats -1 members: not among users: 5",
        ),
        (
            "users: []\nchats: [{id: -1, type: group, title: T, members: [], topics: [{id: 7, name: N}]}]",
            "topics: only a supergroup can have topics",
        ),
        ("users: [", "while parsing"),
    ],
)
def test_a_people_file_that_cannot_be_used_is_explained(tmp_path, capsys, people, trouble):
    (tmp_path / "people.yaml").write_text(people)

    assert main(["--token", "4242:DEMO", "--people", str(tmp_path / "people.yaml")]) == 1
    assert trouble in capsys.readouterr().err


def test_a_missing_people_file_is_explained(tmp_path, capsys):
    assert main(["--token", "4242:DEMO", "--people", str(tmp_path / "nobody.json")]) == 1
    assert "nobody.json: [Errno 2]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("tokens", "trouble"),
    [
        (["4242:A", "4242:B"], "token: 4242 is given twice; give each bot a number of its own"),
        (["1001:A"], "token: 1001 is also a user's id; give the bot another number"),
    ],
)
def test_bots_that_cannot_be_told_apart_are_explained(tmp_path, capsys, tokens, trouble):
    (tmp_path / "people.yaml").write_text(PEOPLE)
    arguments = [argument for token in tokens for argument in ("--token", token)]

    assert main([*arguments, "--people", str(tmp_path / "people.yaml")]) == 1
    assert trouble in capsys.readouterr().err


def test_a_state_file_that_is_none_is_explained(tmp_path, capsys):
    (tmp_path / "people.yaml").write_text(PEOPLE)
    (tmp_path / "state").write_text("this is no database" * 100)
    files = ["--people", str(tmp_path / "people.yaml"), "--state", str(tmp_path / "state")]

    assert main(["--token", "4242:DEMO", *files]) == 1
    assert f"--state {tmp_path / 'state'}: file is not a database" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "trouble"),
    [
        (["--token", "DEMO", "--people", "x"], "write it as number:secret, such as 4242:DEMO"),
        (["--people", "x"], "the following arguments are required: --token"),
        (
            ["--token", "1:A", "--people", "x", "--bad-gateway", "-1"],
            "must be a whole number of at least 0, is '-1'",
        ),
        (["--token", "1:A", "--people", "x", "--port", "99999"], "at least 0 and at most 65535, is '99999'"),
        (
            ["--token", "1:A", "--people", "x", "--callback-seconds", "nan"],
            "must be a number of seconds above 0",
        ),
    ],
)
def test_wrong_arguments_are_explained(capsys, arguments, trouble):
    with pytest.raises(SystemExit) as left:
        main(arguments)

    assert left.value.code == 2
    assert trouble in capsys.readouterr().err


def test_help_teaches_the_people_file(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])

    out = capsys.readouterr().out
    assert "members: [1001, 1002]" in out
    assert "AiohttpSession(api=TelegramAPIServer.from_base(" in out
