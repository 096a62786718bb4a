import itertools
from collections.abc import AsyncIterator

import pytest
from aiogram import Bot

from holdfast.adapters.telegram import TelegramChat
from tests.telegram.standin import Place, TelegramServer, place, running_server

_places = itertools.count(1)  # number 0 is where the old group has moved to


@pytest.fixture(scope="session")
async def telegram(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TelegramServer]:
    async with running_server(tmp_path_factory.mktemp("telegram")) as server:
        yield server


@pytest.fixture
def room() -> Place:
    return place(next(_places))


@pytest.fixture
def bot(telegram: TelegramServer, room: Place) -> Bot:
    return telegram.client(room.token)


@pytest.fixture
def chat(bot: Bot, room: Place) -> TelegramChat:
    return TelegramChat(bot, room.chat)
