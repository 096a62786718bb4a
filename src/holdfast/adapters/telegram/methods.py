"""One call of the Bot API, with as little read of Telegram's answer as is needed.

aiogram parses the whole `Message` back, which demands fields that another version of the server may not send; a
message that has arrived would then look as if its fate were unknown. Its methods are taken for what they ask,
and rows of the outbox carry that as JSON.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, cast

from aiogram import Bot
from aiogram.client.default import Default
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.methods import TelegramMethod
from aiogram.types import BufferedInputFile, InputFile
from aiohttp import ClientTimeout, FormData

from holdfast.domain.errors import InvalidInput
from holdfast.domain.view import MessageRef
from holdfast.outbox.message import Attachment, Request

GENERAL_TOPIC = "1"
"""Every forum has it, and no message may name it."""


@dataclass(frozen=True)
class Timeouts:
    """How long a request may take: until the connection stands, as a whole, and as a whole with a file."""

    connect: timedelta = timedelta(seconds=5)
    total: timedelta = timedelta(seconds=10)
    upload: timedelta = timedelta(seconds=60)

    def of(self, *, upload: bool) -> ClientTimeout:
        """Return what aiohttp takes for a request with or without a file."""
        total = self.upload if upload else self.total
        return ClientTimeout(total=total.total_seconds(), connect=self.connect.total_seconds())


@dataclass(frozen=True)
class SentMessage:
    """What is known of a message that Telegram took.

    Attributes:
        chat: where it is, which is another id than it was sent to where the group has moved.
        message_id: of the message; of a created topic its id; 0 for a line of a digest.
        older: it was sent under the same key before, with another content.
    """

    chat: str
    message_id: int
    older: bool = False

    def ref(self, thread: str = "") -> MessageRef:
        """Return where it is, in the given topic."""
        return MessageRef(chat=self.chat, message_id=str(self.message_id or ""), thread=thread)


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: of the HTTP answer.
        body: the JSON object; None where it was none, so that not Telegram but something before it answered.
    """

    status: int
    body: Mapping[str, Any] | None

    @property
    def result(self) -> Any:
        """What was asked for; None where it was refused."""
        return self.body.get("result") if self.body and self.body.get("ok") is True else None

    @property
    def description(self) -> str:
        """Why it was refused, in Telegram's words."""
        return str((self.body or {}).get("description", ""))

    def parameter(self, name: str) -> int | None:
        """Return one of the numbers that come with a refusal."""
        match (self.body or {}).get("parameters"):
            case {**given} if isinstance(given.get(name), int):
                return cast("int", given[name])
            case _:
                return None


async def call(bot: Bot, request: Request, *, timeouts: Timeouts | None = None) -> Answer:
    """Make a request, once, past the middlewares of the bot's session.

    Raises:
        aiohttp.ClientError, TimeoutError: no answer came, or not the whole of it.
    """
    if not isinstance(bot.session, AiohttpSession):
        raise InvalidInput(f"telegram: needs aiogram's AiohttpSession, has {type(bot.session).__name__}")
    session = await bot.session.create_session()
    url = bot.session.api.api_url(token=bot.token, method=request.method)
    timeout = (timeouts or Timeouts()).of(upload=bool(request.files))
    async with session.post(url, data=_form(request), timeout=timeout) as response:
        return Answer(response.status, _json_object(await response.read()))


def _form(request: Request) -> FormData:
    form = FormData(quote_fields=False)
    for name, value in request.params.items():
        form.add_field(name, value if isinstance(value, str) else json.dumps(value))
    for name, file in request.files.items():
        form.add_field(name, file.content, filename=file.name)
    return form


def _json_object(content: bytes) -> Mapping[str, Any] | None:
    try:
        body: object = json.loads(content)  # bad UTF-8 is a ValueError as well
    except ValueError:
        return None
    return cast("Mapping[str, Any]", body) if isinstance(body, dict) else None


@dataclass(frozen=True)
class Asked:
    """What a method of aiogram asks for, as a row of the outbox keeps it.

    Attributes:
        chat: where; empty where the method names none.
        thread: the topic; empty for none, and for General.
    """

    chat: str
    thread: str
    request: Request


async def asked(method: TelegramMethod[Any], *, plain: str = "", bot: Bot | None = None) -> Asked:
    """Take a method apart.

    Args:
        method: one of aiogram's.
        plain: the same words without marks.
        bot: whose defaults fill what the method leaves to them, and who reads its files.
    """
    dumped = method.model_dump(warnings=False)
    chat, thread = str(dumped.pop("chat_id", "") or ""), str(dumped.pop("message_thread_id", "") or "")
    files = {
        name: await _attached(value, bot) for name, value in dumped.items() if isinstance(value, InputFile)
    }
    params = {
        name: prepared
        for name, value in dumped.items()
        if name not in files and (prepared := _prepared(value, bot)) is not None
    }
    if reply := params.get("reply_parameters"):
        # Ids of messages do not survive the move of a group to another id: it is noted whose this one is.
        params["reply_parameters"] = {"chat_id": chat, **reply}
    request = Request(method=method.__api_method__, params=params, plain=plain, files=files)
    return Asked(chat, "" if thread == GENERAL_TOPIC else thread, request)


async def _attached(file: InputFile, bot: Bot | None) -> Attachment:
    if isinstance(file, BufferedInputFile):
        return Attachment(name=file.filename or "file", content=file.data)
    if bot is None:
        raise InvalidInput("telegram: a file needs the bot that reads it")
    content = b"".join([chunk async for chunk in file.read(bot)])
    return Attachment(name=file.filename or "file", content=content)


def _prepared(value: Any, bot: Bot | None) -> Any:
    """Return a parameter as JSON takes it, None where there is nothing to send."""
    match value:
        case Default():
            return _prepared(bot.default[value.name], bot) if bot else None
        case Enum():
            return value.value
        case datetime():
            return round(value.timestamp())
        case timedelta():
            raise InvalidInput("telegram: a message in the outbox needs a moment, not a span from some time on")
        case dict():
            given = cast("dict[str, Any]", value)
            return {n: p for n, v in given.items() if (p := _prepared(v, bot)) is not None}
        case list() | tuple():
            return [_prepared(item, bot) for item in cast("list[Any]", value)]
        case _:
            return value
