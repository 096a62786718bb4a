"""Telegram updates as the Bot API delivers them to a webhook: a text, or the tap of a button.

Shapes: https://core.telegram.org/bots/api#update. The built-in variables fill them: `update_id`, `message_id`,
`chat_id`, `now`.
"""

import re
from typing import Any

from holdfast.runbook.kinds.load_scenario import TelegramUpdate

# A command is up to 32 letters, digits and underscores, perhaps with the bot's name.
_COMMAND = re.compile(r"/[A-Za-z0-9_]{1,32}(@[A-Za-z0-9_]{5,32})?(?=\s|$)")


class AlwaysText(str):
    """A JSON text that stays one, even if it is one `{name}` alone: what a customer writes is no number."""

    __slots__ = ()


def update_body(telegram: TelegramUpdate) -> dict[str, Any]:
    """Return the update with its placeholders, as JSON."""
    if telegram.tap:
        return {"update_id": "{update_id}", "callback_query": _tap(telegram.tap)}
    message = _message(_customer()) | {"text": AlwaysText(telegram.text)}
    command = _COMMAND.match(telegram.text)
    if command:
        message["entities"] = [{"offset": 0, "length": command.end(), "type": "bot_command"}]
    return {"update_id": "{update_id}", "message": message}


def _tap(data: str) -> dict[str, Any]:
    bot = {"id": 7_000_000_001, "is_bot": True, "first_name": "Bot", "username": "the_bot"}
    button = {"text": AlwaysText(data), "callback_data": AlwaysText(data)}
    menu = {"text": "Menu", "reply_markup": {"inline_keyboard": [[button]]}}
    return {
        "id": "{chat_id}{update_id}",
        "from": _customer(),
        "message": _message(bot) | menu,
        "chat_instance": "-{chat_id}",
        "data": AlwaysText(data),
    }


def _message(sender: dict[str, Any]) -> dict[str, Any]:
    chat = {"id": "{chat_id}", "first_name": "Load", "last_name": "Test", "type": "private"}
    return {"message_id": "{message_id}", "from": sender, "chat": chat, "date": "{now}"}


def _customer() -> dict[str, Any]:
    names = {"first_name": "Load", "last_name": "Test", "language_code": "en"}
    return {"id": "{chat_id}", "is_bot": False} | names
