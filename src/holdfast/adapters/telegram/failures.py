"""What Telegram's answers and broken connections mean for a message."""

import re

from aiohttp import ClientConnectorError, ConnectionTimeoutError

from holdfast.adapters.telegram.methods import Answer
from holdfast.domain.errors import ChatUnavailable, HoldfastError, InvalidInput
from holdfast.outbox.message import Request
from holdfast.outbox.transport import Fate, Moved, Never, NotSent, Refused, Sent, Unknown

_OK, _UNAUTHORIZED, _NOT_FOUND, _TOO_MANY, _SERVER_ERROR = 200, 401, 404, 429, 500
_FINAL = {400, 403, 404, 413}
_BARE_NOT_FOUND = "not found"  # the whole of what is said of a token that was cut or a wrong address
_PAUSE_SECONDS = 5.0  # where a 429 names none
_DONE_ALREADY = ("message is not modified", "message to delete not found")
# Doing these twice is the same as doing them once, so that an unknown fate is no harm.
_REPEATABLE = ("edit", "delete", "set", "close", "reopen", "pin", "unpin")


class MessageVanished(HoldfastError):
    """The message to edit is not there any more, or may not be edited any more."""


class LinkRefused(HoldfastError):
    """Telegram does not take the address of a button."""


_BAD_REQUESTS: dict[str, type[HoldfastError]] = {
    "message to edit not found": MessageVanished,
    "message can't be edited": MessageVanished,
    "message_id_invalid": MessageVanished,
    "button url": LinkRefused,
    "button_url_invalid": LinkRefused,
}
_START = "the person must open a private chat with the bot and press Start"
_REMEDIES = {
    "chat not found": f"check the chat id; add the bot to the group; in a private chat {_START}",
    "bot was blocked|can't initiate conversation": _START,
    "user is deactivated": "this account is gone; correct telegram_id in people.yaml",
    "not enough rights": "allow the bot to send messages in this chat",
    "^forbidden": "add the bot to the chat again",
    "^not found": "check the address of the Bot API, and take a valid token from @BotFather",
}


def may_repeat(method: str) -> bool:
    """Whether calling a method twice does no more than calling it once."""
    return method.startswith(_REPEATABLE)


def fate_of(answer: Answer, request: Request) -> Fate:
    """Say what an answer means for the message that was asked for."""
    if answer.body is not None and answer.status == _OK and answer.result is not None:
        return _sent(answer, request)
    if answer.status == _TOO_MANY:
        return Refused(float(answer.parameter("retry_after") or _PAUSE_SECONDS))
    if (moved := answer.parameter("migrate_to_chat_id")) is not None:
        return Moved(str(moved))
    said = answer.description or f"HTTP {answer.status}"
    if answer.body is None or answer.status not in _FINAL or _is_about_the_address(answer):
        return _no_fault_of_the_message(answer, said, request)
    if any(words in said.lower() for words in _DONE_ALREADY):
        return Sent(str(request.params.get("message_id", "")))
    return Never(said, answer.status)


def fate_without_answer(error: Exception, request: Request) -> Fate:
    """Say what a connection that broke means; the error is aiohttp's or a `TimeoutError`."""
    # Not the error's own words: the address may be among them, of which the token is a part.
    why = type(error).__name__
    handed_over = not isinstance(error, ClientConnectorError | ConnectionTimeoutError)
    return Unknown(why) if handed_over and not may_repeat(request.method) else NotSent(why)


def refusal(description: str) -> HoldfastError:
    """Say what a message means to its author that Telegram does not take, however often it is tried."""
    lower = description.lower()
    for words, kind in _BAD_REQUESTS.items():
        if words in lower:
            return kind(description)
    remedy = next(
        (remedy for pattern, remedy in _REMEDIES.items() if re.search(pattern, lower)),
        "see the Bot API's manual",
    )
    return InvalidInput(f"Telegram refuses the message ({description}): {remedy}")


def not_taken(why: str, *, retry_after_seconds: float | None = None) -> ChatUnavailable:
    """Say that nothing was sent and that it may be tried again."""
    return ChatUnavailable(f"Telegram did not take the message: {why}", retry_after_seconds=retry_after_seconds)


def _sent(answer: Answer, request: Request) -> Fate:
    match answer.result:
        case {"message_id": int(number)} | {"message_thread_id": int(number)}:
            return Sent(str(number))
        case _ if may_repeat(request.method):
            return Sent(str(request.params.get("message_id", "")))
        case _:
            return Unknown("Telegram's answer names no message")


def _is_about_the_address(answer: Answer) -> bool:
    return answer.status == _NOT_FOUND and answer.description.strip().lower() == _BARE_NOT_FOUND


def _no_fault_of_the_message(answer: Answer, said: str, request: Request) -> Fate:
    # What waits must not be lost to a typing error in a settings file.
    if answer.status == _UNAUTHORIZED:
        return NotSent(f"{said}: take a valid token from @BotFather")
    if _is_about_the_address(answer):
        return NotSent(f"{said}: check the address of the Bot API, and take a valid token from @BotFather")
    was_passed_on = answer.status >= _SERVER_ERROR or answer.status == _OK
    return Unknown(said) if was_passed_on and not may_repeat(request.method) else NotSent(said)
