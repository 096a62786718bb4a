"""What Telegram's refusals and broken connections mean for a message.

aiogram raises more than its own `TelegramAPIError`: an answer that is not JSON is a `ClientDecodeError`, bad
UTF-8 a `UnicodeDecodeError`, a 5xx without description a `TypeError`, a 429 without parameters a bare
`TelegramAPIError`. `FAILURES` names them all.
"""

import re

from aiogram.exceptions import (
    AiogramError,
    TelegramAPIError,
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiohttp import ClientConnectorError, ConnectionTimeoutError

from holdfast.domain.errors import ChatUnavailable, DeliveryUncertain, HoldfastError, InvalidInput

FAILURES = (AiogramError, UnicodeDecodeError, TypeError)
_FINAL = (TelegramBadRequest, TelegramForbiddenError, TelegramNotFound, TelegramUnauthorizedError)


class Unchanged(HoldfastError):
    """The message already says what it was to say."""


class MessageVanished(HoldfastError):
    """The message to edit is not there any more, or may not be edited any more."""


class MarksRefused(HoldfastError):
    """Telegram could not read the HTML; the words alone will do."""


class LinkRefused(HoldfastError):
    """Telegram does not take the address of a button."""


class ChatMoved(HoldfastError):
    """The group became a supergroup and has another id now."""

    def __init__(self, chat_id: int) -> None:
        """Keep the id of the chat that took the group's place."""
        super().__init__(f"the chat is {chat_id} now")
        self.chat_id = chat_id


_BAD_REQUESTS: dict[str, type[HoldfastError]] = {
    "message is not modified": Unchanged,
    "message to edit not found": MessageVanished,
    "message can't be edited": MessageVanished,
    "message_id_invalid": MessageVanished,
    "can't parse entities": MarksRefused,
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
    "^unauthorized": "take a valid token from @BotFather",
    "^not found": "take a valid token from @BotFather",
}


def understood(error: Exception, *, may_repeat: bool) -> HoldfastError:
    """Say what one of `FAILURES` means.

    Args:
        error: what aiogram raised.
        may_repeat: whether doing it twice is the same as once (an edit), so that an unknown fate is no harm.
    """
    if isinstance(error, TelegramRetryAfter):
        return ChatUnavailable(
            f"Telegram asks us to wait {error.retry_after} s", retry_after_seconds=float(error.retry_after)
        )
    if isinstance(error, TelegramMigrateToChat):
        return ChatMoved(error.migrate_to_chat_id)
    if isinstance(error, _FINAL):
        return _refusal(_words(error))
    if may_repeat or _was_not_handed_over(error):
        return ChatUnavailable(f"Telegram did not take the message: {_words(error)}")
    return DeliveryUncertain(f"the message may or may not have arrived: {_words(error)}")


def _refusal(description: str) -> HoldfastError:
    lower = description.lower()
    for words, kind in _BAD_REQUESTS.items():
        if words in lower:
            return kind(description)
    remedy = next(
        (remedy for pattern, remedy in _REMEDIES.items() if re.search(pattern, lower)),
        "see the Bot API's manual",
    )
    return InvalidInput(f"Telegram refuses the message ({description}): {remedy}")


def _was_not_handed_over(error: Exception) -> bool:
    if isinstance(error, TelegramNetworkError):
        return isinstance(error.__cause__, ClientConnectorError | ConnectionTimeoutError)
    # What is left of TelegramAPIError but server errors are 4xx answers, such as a 429 without parameters.
    return isinstance(error, TelegramAPIError) and not isinstance(error, TelegramServerError)


def _words(error: Exception) -> str:
    """Name the failure without the page of a proxy, and without the address, of which the token is a part."""
    if not isinstance(error, TelegramAPIError):
        return type(error).__name__
    return str(error.message).partition("\n")[0].partition(", url=")[0]
