"""The menus of commands: to each person what that person may use, in that person's language."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import structlog
from aiogram import Bot
from aiogram.exceptions import AiogramError, TelegramBadRequest, TelegramForbiddenError, TelegramRetryAfter
from aiogram.types import (
    BotCommand,
    BotCommandScopeAllGroupChats,
    BotCommandScopeAllPrivateChats,
    BotCommandScopeChat,
    BotCommandScopeDefault,
)
from aiogram.utils.backoff import Backoff, BackoffConfig

from holdfast.apps.bot.roles import COMMANDS, Roles
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.texts import say
from holdfast.domain.errors import InvalidInput
from holdfast.domain.people import Person
from holdfast.i18n import LANGUAGES, SOURCE, speaking

Scope = (
    BotCommandScopeAllGroupChats | BotCommandScopeAllPrivateChats | BotCommandScopeChat | BotCommandScopeDefault
)
_MOST: Final = 100
_LINE: Final = 256
_BACKOFF: Final = BackoffConfig(min_delay=1, max_delay=300, factor=3, jitter=0.1)
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Menu:
    """What stands in one menu.

    Attributes:
        shown_to: of the reader's application; empty for all without a menu of their own language.
        language: in which it is written.
    """

    scope: Scope
    shown_to: str
    language: str
    names: tuple[str, ...]

    @property
    def commands(self) -> list[BotCommand]:
        """The commands with their lines."""
        with speaking(self.language):
            return [
                BotCommand(command=name, description=say(COMMANDS[name].line)[:_LINE])
                for name in self.names[:_MOST]
            ]


async def publish_menus(bot: Bot, services: Services) -> None:
    """Bring all menus up to date; returns when they are.

    Only what has changed is sent. What Telegram does not take now is tried again, ever more slowly. The menu of
    a person who has never opened the private chat follows with /start.
    """
    backoff = Backoff(_BACKOFF)
    menus: list[Menu] | None = None
    while menus != []:
        try:
            menus = menus or list(_menus(services))
            await _publish(bot, menus[0])
        except InvalidInput as invalid:  # a file is wrong, which somebody may be mending
            _log.warning("bot_menus_unknown", reason=str(invalid).partition("\n")[0])
            await asyncio.sleep(next(backoff))
        except TelegramRetryAfter as flood:
            await asyncio.sleep(flood.retry_after)
        except (AiogramError, UnicodeDecodeError, TypeError) as error:  # aiogram lets the last two through
            _log.warning("bot_menu_not_published", error=type(error).__name__)
            await asyncio.sleep(next(backoff))
        else:
            backoff.reset()
            menus = menus[1:]


async def publish_menu_of(bot: Bot, services: Services, person: Person) -> None:
    """Bring one person's menu up to date; what does not work follows when the bot is started again."""
    try:
        for menu in _menus_of(person, Roles(services)):
            await _publish(bot, menu)
    except AiogramError as error:
        _log.warning("bot_menu_not_published", error=type(error).__name__)


async def _publish(bot: Bot, menu: Menu) -> None:
    wanted = menu.commands
    code = menu.shown_to or None
    try:
        there = await bot.get_my_commands(scope=menu.scope, language_code=code)
        if [(c.command, c.description) for c in there] != [(c.command, c.description) for c in wanted]:
            await bot.set_my_commands(wanted, scope=menu.scope, language_code=code)
    except (TelegramBadRequest, TelegramForbiddenError) as refused:
        if not isinstance(menu.scope, BotCommandScopeChat):
            raise
        _log.info("bot_menu_refused", chat=menu.scope.chat_id, reason=refused.message)


def _menus(services: Services) -> Iterator[Menu]:
    roles = Roles(services)
    public = tuple(n for n, c in COMMANDS.items() if c.for_strangers)
    in_groups = tuple(n for n, c in COMMANDS.items() if c.in_groups and c.published)
    for scope, names in (
        (BotCommandScopeDefault(), public),
        # Telegram looks here before it looks at the default, so strangers see this one.
        (BotCommandScopeAllPrivateChats(), public),
        (BotCommandScopeAllGroupChats(), in_groups),
    ):
        for code in LANGUAGES:
            yield Menu(scope=scope, shown_to=_shown_to(code), language=code, names=names)
    for person in services.people().people:
        yield from _menus_of(person, roles)


def _menus_of(person: Person, roles: Roles) -> Iterator[Menu]:
    if person.telegram_id is None:
        return
    scope, names = BotCommandScopeChat(chat_id=person.telegram_id), tuple(roles.allowed(person))
    for code in LANGUAGES:
        yield Menu(scope=scope, shown_to=_shown_to(code), language=person.language or code, names=names)


def _shown_to(code: str) -> str:
    return "" if code == SOURCE else code
