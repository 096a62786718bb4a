"""`outbox.transport.Transport` on Telegram: tries a row once, and mends what can be mended on the spot."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from typing import Any, Final

import structlog
from aiogram import Bot
from aiohttp import ClientError

from holdfast.adapters.telegram.failures import fate_of, fate_without_answer
from holdfast.adapters.telegram.methods import GENERAL_TOPIC, Timeouts, call
from holdfast.adapters.telegram.wording import MESSAGE_LIMIT, shorten, units
from holdfast.domain.errors import HoldfastError
from holdfast.i18n import plural, speaking, translate
from holdfast.outbox.message import Attachment, Request, Row
from holdfast.outbox.transport import Fate, Never, Sent

_CAPTION_LIMIT: Final = 1024
_MOST_MENDINGS: Final = 4
_MARKS: Final = ("parse_mode", "entities", "caption_entities")
_NO_THREAD: Final = ("message thread not found", "topic_closed", "topic_deleted", "topic_id_invalid")
_TOO_LONG: Final = ("message is too long", "message_too_long", "caption is too long", "caption_too_long")
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Attempt:
    """A request as it is tried; `details` is to follow as a file, since it did not fit."""

    request: Request
    details: str = ""


class TelegramTransport:
    """Carries rows of the outbox to Telegram.

    Args:
        bot: client of the Bot API; the caller closes its session. The middlewares of its session are passed by.
        timeouts: for every single request.
        language: gives the language of a chat by its id, for the few words that are added here.
        paid_broadcast: tells whether to pay for more than 30 messages a second.
    """

    def __init__(
        self,
        bot: Bot,
        timeouts: Timeouts | None = None,
        *,
        language: Callable[[str], str] = lambda _: "en",
        paid_broadcast: Callable[[], bool] | bool = False,
    ) -> None:
        self._bot = bot
        self._timeouts = timeouts or Timeouts()
        self._language = language
        self._is_paid = paid_broadcast if callable(paid_broadcast) else lambda: paid_broadcast

    async def send(self, row: Row) -> Fate:
        """Try a row; see `outbox.transport.Transport.send`."""
        if _edits_what_stayed_behind(row):
            return Never("Bad Request: message to edit not found; the group has moved")
        with speaking(self._language_of(row.chat)):
            return await self._send(row.chat, self._addressed(row), thread=row.thread)

    async def send_digest(self, rows: list[Row]) -> Fate:
        """Send the lines of rows as one message; see `outbox.transport.Transport.send_digest`."""
        first = rows[0]
        with speaking(self._language_of(first.chat)):
            params = {"text": _digest(rows), "link_preview_options": {"is_disabled": True}}
            request = self._paid(Request(method="sendMessage", params=params))
            fate = await self._send(first.chat, request, thread=first.thread)
        # None of the rows may be edited at that place: it belongs to all of them.
        return Sent() if isinstance(fate, Sent) else fate

    def _language_of(self, chat: str) -> str:
        try:
            return self._language(chat)
        except HoldfastError as error:  # who breaks people.yaml at night must not stop the messages
            _log.error("telegram_language_unknown", chat=chat, error=str(error))
            return "en"

    async def _send(self, chat: str, request: Request, *, thread: str) -> Fate:
        topic = _topic(thread) if request.method.startswith("send") else None
        attempt = _Attempt(_with(request, chat_id=chat, message_thread_id=topic))
        fate = await self._try(attempt.request)
        for _ in range(_MOST_MENDINGS):
            mended = _mended(attempt, fate.why) if isinstance(fate, Never) else None
            if mended is None:
                break
            _log.warning("telegram_request_mended", method=request.method, reason=fate)
            attempt = mended
            fate = await self._try(attempt.request)
        if isinstance(fate, Sent) and attempt.details:
            await self._send_details(attempt, fate)
        return fate

    async def _try(self, request: Request) -> Fate:
        try:
            answer = await call(self._bot, request, timeouts=self._timeouts)
        except (ClientError, TimeoutError) as error:
            return fate_without_answer(error, request)
        return fate_of(answer, request)

    async def _send_details(self, attempt: _Attempt, sent: Sent) -> None:
        """Send the whole text after a message that had to be cut; best effort, since the message is there."""
        params = {
            **{name: attempt.request.params.get(name) for name in ("chat_id", "message_thread_id")},
            "caption": translate("The message is too long for Telegram. The whole text is in this file."),
            "disable_notification": True,
            "reply_parameters": {"message_id": int(sent.message_id), "allow_sending_without_reply": True},
        }
        file = Attachment(name="details.txt", content=attempt.details.encode())
        empty = Request(method="sendDocument", files={"document": file})
        fate = await self._try(self._paid(_with(empty, **params)))
        if not isinstance(fate, Sent):
            _log.error("telegram_details_not_sent", fate=fate, message_id=sent.message_id)

    def _addressed(self, row: Row) -> Request:
        request = self._paid(row.request)
        if reply := request.params.get("reply_parameters"):
            request = _with(request, reply_parameters=_reply(reply, row.chat))
        return _marked_as_copy(request) if row.repeated else request

    def _paid(self, request: Request) -> Request:
        is_paid = request.method.startswith("send") and self._is_paid()
        return _with(request, allow_paid_broadcast=True) if is_paid else request


def words_of(text: str, parse_mode: str = "HTML") -> str:
    """Return a text without the marks of HTML; as it is where it has others."""
    if parse_mode.upper() != "HTML":
        return text
    reader = _Words()
    reader.feed(text)
    reader.close()
    return "".join(reader.words)


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def _with(request: Request, **params: Any) -> Request:
    changed = {name: value for name, value in {**request.params, **params}.items() if value is not None}
    return request.model_copy(update={"params": changed})


def _topic(thread: str) -> int | None:
    return int(thread) if thread.isdecimal() and thread != GENERAL_TOPIC else None


def _edits_what_stayed_behind(row: Row) -> bool:
    """Whether the message to change is in the chat as it was before it moved; its id is another one's here."""
    match row.replaces.split("/"):
        case ["edit" | "buttons" | "delete" | "reaction", chat, _]:
            return chat != row.chat
        case _:
            return False


def _reply(reply: dict[str, Any], chat: str) -> dict[str, Any] | None:
    given = {name: value for name, value in reply.items() if name != "chat_id"}
    stayed_behind = str(reply.get("chat_id", chat)) != chat
    return None if stayed_behind else {**given, "allow_sending_without_reply": True}


# --- what to do about a refusal


def _mended(attempt: _Attempt, why: str) -> _Attempt | None:
    """Return the request without what Telegram did not like; None where that is no help."""
    request, lower = attempt.request, why.lower()
    if any(words in lower for words in _NO_THREAD) and "message_thread_id" in request.params:
        return replace(attempt, request=_with(request, message_thread_id=None))
    if "floodskip_not_allowed" in lower and "allow_paid_broadcast" in request.params:
        return replace(attempt, request=_with(request, allow_paid_broadcast=None))
    field = _text_field(request)
    if "can't parse" in lower and "entities" in lower and any(mark in request.params for mark in _MARKS):
        return replace(attempt, request=_with(request, **{field: _plain(request)}, **dict.fromkeys(_MARKS)))
    if any(words in lower for words in _TOO_LONG) and not attempt.details:
        short = shorten(_plain(request), _limit(field))
        details = words_of(str(request.params.get(field, "")), str(request.params.get("parse_mode", "")))
        return _Attempt(_with(request, **{field: short}, **dict.fromkeys(_MARKS)), details)
    return None


def _text_field(request: Request) -> str:
    return "text" if "text" in request.params else "caption"


def _limit(field: str) -> int:
    return MESSAGE_LIMIT if field == "text" else _CAPTION_LIMIT


def _plain(request: Request) -> str:
    """Return the words without marks, as far as one message takes them."""
    field = _text_field(request)
    given = words_of(str(request.params.get(field, "")), str(request.params.get("parse_mode", "")))
    return shorten(request.plain or given, _limit(field))


# --- copies


def _repeated() -> str:
    return translate("Repeated: an earlier copy of this message may have arrived.")


def _marked_as_copy(request: Request) -> Request:
    field, notice = _text_field(request), _repeated()
    text = str(request.params.get(field, ""))
    if not text:
        return request
    limit, above = _limit(field), f"{notice}\n"
    parse_mode = str(request.params.get("parse_mode", ""))
    fits = units(above) + units(words_of(text, parse_mode)) <= limit
    plain = above + shorten(_plain(request), limit - units(above))
    if fits and not any(name in request.params for name in ("entities", "caption_entities")):
        marked = f"<i>{notice}</i>\n" if parse_mode.upper() == "HTML" else above
        return _with(request, **{field: marked + text}).model_copy(update={"plain": plain})
    # Marks that are given by their places would stand in other places.
    return _with(request, **{field: plain}, **dict.fromkeys(_MARKS)).model_copy(update={"plain": plain})


# --- digests


def _digest(rows: list[Row]) -> str:
    count = len(rows)
    heading = plural("🗂 {count} message:", "🗂 {count} messages at once:", count).format(count=count)
    if any(row.repeated for row in rows):
        heading = f"{_repeated()}\n{heading}"
    lines = [" ".join((row.line or row.request.plain or "…").split()) for row in rows]
    room = MESSAGE_LIMIT - units(heading) - 1
    if sum(units(line) + 3 for line in lines) > room:
        lines = _cut(lines, room)
    return "\n".join([heading, *(f"• {line}" for line in lines)])


def _cut(lines: list[str], room: int) -> list[str]:
    """Cut the longest lines to one length, so that all of them fit into the room."""
    left = room - 3 * len(lines)
    by_length = sorted(units(line) for line in lines)
    for number, length in enumerate(by_length):
        share = left // (len(lines) - number)
        if length > share:
            return [shorten(line, share) for line in lines]
        left -= length
    return lines
