"""The command menus that bots set, one for each scope and language."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

from holdfast.sim.telegram.database import Database
from holdfast.sim.telegram.errors import ApiError, bad_request
from holdfast.sim.telegram.shapes import Json

MAX_COMMANDS = 100
MAX_DESCRIPTION = 256
_NAME = re.compile(r"[a-z0-9_]{1,32}")
_LANGUAGE = re.compile(r"(?:[a-z]{2})?")
_SCOPE_FIELDS: dict[str, Sequence[str]] = {
    "default": (),
    "all_private_chats": (),
    "all_group_chats": (),
    "all_chat_administrators": (),
    "chat": ("chat_id",),
    "chat_administrators": ("chat_id",),
    "chat_member": ("chat_id", "user_id"),
}


class Commands:
    """Read and write command menus."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def store(self, bot_id: int, scope: str, language: str, commands: Sequence[Json]) -> None:
        """Put a menu in the place of the old one of its scope and language; none removes it."""
        key = (bot_id, scope_key(scope), checked_language(language))
        if commands:
            self._database.execute(
                "INSERT OR REPLACE INTO commands VALUES (?, ?, ?, ?)", *key, json.dumps(commands)
            )
        else:
            self._database.execute("DELETE FROM commands WHERE bot_id = ? AND scope = ? AND language = ?", *key)

    def exactly(self, bot_id: int, scope: str, language: str) -> list[Json]:
        """The menu of exactly this scope and language."""
        return self._read(bot_id, scope_key(scope), checked_language(language))

    def menu_for(self, bot_id: int, *, chat_id: int, user_id: int, is_admin: bool, language: str) -> list[Json]:
        """The menu a person sees: of the narrowest scope that has one, in the person's language if any."""
        for scope in _scopes_from_narrow(chat_id, user_id, is_admin=is_admin):
            for wanted in (language[:2], ""):
                menu = self._read(bot_id, scope, wanted)
                if menu:
                    return menu
        return []

    def _read(self, bot_id: int, scope: str, language: str) -> list[Json]:
        row = self._database.row(
            "SELECT body FROM commands WHERE bot_id = ? AND scope = ? AND language = ?", bot_id, scope, language
        )
        return json.loads(row["body"]) if row else []


def parse_commands(source: str) -> list[Json]:
    """The `commands` parameter of setMyCommands.

    Raises:
        ApiError: 400 when there are too many, or a name or description is not acceptable.
    """
    commands = _json(source, "commands")
    if not isinstance(commands, list):
        raise bad_request("expected an Array of BotCommand")
    parsed = [_command(command) for command in cast("list[object]", commands)]
    if len(parsed) > MAX_COMMANDS:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    return parsed


def scope_key(source: str) -> str:
    """The `scope` parameter in one spelling.

    Raises:
        ApiError: 400 for an unknown type or a missing field.
    """
    given = _json(source, "BotCommandScope") if source else {"type": "default"}
    scope = cast("Json", given) if isinstance(given, dict) else {}
    kind = scope.get("type")
    if kind not in _SCOPE_FIELDS:
        raise bad_request("can't parse BotCommandScope: Unsupported type specified")
    for name in _SCOPE_FIELDS[kind]:
        if name not in scope:
            raise bad_request(f"can't parse BotCommandScope: Can't find field \"{name}\"")
    return " ".join([kind, *(str(scope[name]) for name in _SCOPE_FIELDS[kind])])


def checked_language(code: str) -> str:
    """A two-letter language code, "" for all languages.

    Raises:
        ApiError: 400 for anything else.
    """
    if not _LANGUAGE.fullmatch(code):
        raise bad_request("invalid language code specified")
    return code


def _scopes_from_narrow(chat_id: int, user_id: int, *, is_admin: bool) -> Iterator[str]:
    if chat_id < 0:
        yield f"chat_member {chat_id} {user_id}"
        if is_admin:
            yield f"chat_administrators {chat_id}"
    yield f"chat {chat_id}"
    if chat_id < 0 and is_admin:
        yield "all_chat_administrators"
    yield "all_group_chats" if chat_id < 0 else "all_private_chats"
    yield "default"


def _command(command: Any) -> Json:
    if not isinstance(command, dict):
        raise bad_request("can't parse BotCommand: Expected an Object")
    given = cast("Json", command)
    name, description = (str(given.get(field, "")).strip() for field in ("command", "description"))
    name = name.removeprefix("/")
    if not name:
        raise bad_request("command must be non-empty")
    if not _NAME.fullmatch(name):
        raise bad_request("BOT_COMMAND_INVALID")
    if not description:
        raise bad_request("command description must be non-empty")
    if len(description) > MAX_DESCRIPTION:
        raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    return {"command": name, "description": description}


def _json(source: str, what: str) -> object:
    try:
        return cast("object", json.loads(source))
    except ValueError as error:
        raise _unparsable(what) from error


def _unparsable(what: str) -> ApiError:
    return bad_request(f"can't parse {what} JSON object")
