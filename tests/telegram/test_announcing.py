"""The client's channel: plain words, once for each key, with or without a picture."""

import struct
import zlib
from datetime import timedelta

import pytest
from aiogram import Bot

from holdfast.adapters.telegram import DirectSending, QueuedSending, TelegramTransport
from holdfast.adapters.telegram.announcing import TelegramAnnouncer
from holdfast.adapters.telegram.wording import MESSAGE_LIMIT, units
from holdfast.domain.errors import ChatUnavailable, InvalidInput
from tests.telegram.conftest import SmallOutbox
from tests.telegram.standin import Place, TelegramServer

NEWS = "⚠️ Autumn sale: since 12:25 some of your customers cannot <submit> a ticket_1 as *quickly* as promised."


def a_picture() -> bytes:
    """A PNG of one pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")


async def test_words_arrive_as_they_are_without_marks(telegram: TelegramServer, bot: Bot, room: Place) -> None:
    await TelegramAnnouncer(DirectSending(bot)).announce(room.chat, NEWS, key="client/run/1")

    [message] = await telegram.from_bot(room)
    assert message["text"] == NEWS
    assert "entities" not in message


async def test_the_same_key_writes_once(telegram: TelegramServer, bot: Bot, room: Place) -> None:
    outbox = SmallOutbox(TelegramTransport(bot))
    announcer = TelegramAnnouncer(QueuedSending(outbox, patience=timedelta(seconds=5)))
    for key in ("client/run/1", "client/run/1", "client/run/2"):
        await announcer.announce(room.chat, NEWS, key=key)

    assert len(await telegram.from_bot(room)) == 2
    assert {row.key for row in outbox.rows.values()} == {"client/run/1", "client/run/2"}


async def test_a_picture_has_the_words_below_it(telegram: TelegramServer, bot: Bot, room: Place) -> None:
    announcer = TelegramAnnouncer(DirectSending(bot))
    await announcer.announce(room.chat, NEWS, key="report/run/client", picture=a_picture())

    [message] = await telegram.from_bot(room)
    assert message["caption"] == NEWS
    assert message["photo"]


@pytest.mark.parametrize("picture", [b"", a_picture()])
async def test_more_than_telegram_takes_is_cut(
    telegram: TelegramServer, bot: Bot, room: Place, picture: bytes
) -> None:
    await TelegramAnnouncer(DirectSending(bot)).announce(room.chat, "🎯 word " * 2000, key="k", picture=picture)

    [message] = await telegram.from_bot(room)
    text, limit = (message["caption"], 1024) if picture else (message["text"], MESSAGE_LIMIT)
    assert limit - 20 < units(text) <= limit


async def test_a_chat_that_the_bot_is_not_in_is_told_as_such(bot: Bot) -> None:
    with pytest.raises(InvalidInput, match="chat"):
        await TelegramAnnouncer(DirectSending(bot)).announce(-1009999999999, NEWS, key="client/run/1")


async def test_while_nothing_goes_out_the_caller_may_try_again(room: Place) -> None:
    outbox = SmallOutbox()
    outbox.is_down = True
    announcer = TelegramAnnouncer(QueuedSending(outbox, patience=timedelta(seconds=0)))

    with pytest.raises(ChatUnavailable):
        await announcer.announce(room.chat, NEWS, key="client/run/1")
    assert outbox.rows == {}
