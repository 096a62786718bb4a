"""/start, /help, /whoami, and what is said to everything else."""

from aiogram import Bot, F, Router
from aiogram.enums import ChatType
from aiogram.filters import Command, CommandObject
from aiogram.types import Message

from holdfast.apps.bot import command_texts, texts
from holdfast.apps.bot.menus import publish_menu_of
from holdfast.apps.bot.replies import is_from_a_chat, reply, sender_of
from holdfast.apps.bot.roles import ALIASES, COMMANDS, Roles
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.texts import fill, say
from holdfast.domain.errors import InvalidInput
from holdfast.domain.people import Person


def whoami_router(services: Services) -> Router:
    """Route /whoami, the one command that strangers may use: an admin needs the id that it tells."""
    router = Router(name="whoami")

    async def whoami(message: Message) -> None:
        person = sender_of(message, services.people())
        sender = message.from_user.id if message.from_user else message.chat.id
        ids = {"id": sender, "chat": message.chat.id}
        if is_from_a_chat(message):
            await reply(message, fill(texts.NOT_AS_YOURSELF))
        elif person is None:
            await reply(message, fill(texts.WHOAMI_STRANGER, **ids))
        else:
            roles = ", ".join(person.roles) or say(texts.NO_ROLES)
            known = fill(texts.WHOAMI_KNOWN, title=person.title, name=person.name, roles=roles, **ids)
            await reply(message, known)

    router.message.register(whoami, Command("whoami"))
    return router


def help_router(services: Services) -> Router:
    """Route /start and /help, and in private chats whatever no other router knows."""
    router = Router(name="help")
    roles = Roles(services)

    async def start(message: Message, person: Person, bot: Bot) -> None:
        hello = fill(texts.HELLO, title=person.title)
        await reply(message, f"{hello}\n\n{overview(roles.allowed(person))}")
        if message.chat.type == ChatType.PRIVATE:
            await publish_menu_of(bot, services, person)  # Telegram takes it only once the chat is open

    async def show_help(message: Message, command: CommandObject, person: Person) -> None:
        named = (command.args or "").strip().lower().removeprefix("/")
        await reply(message, lesson(named) if named else overview(roles.allowed(person)))

    async def anything(message: Message, person: Person) -> None:
        await reply(message, overview(roles.allowed(person)))

    router.message.register(start, Command("start"))
    router.message.register(show_help, Command("help"))
    router.message.register(anything, F.chat.type == ChatType.PRIVATE)
    return router


def overview(allowed: list[str]) -> str:
    """Return these commands as HTML, section by section."""
    sections: dict[str, list[str]] = {}
    for name in allowed:
        line = fill(command_texts.HELP_LINE, command=name, line=say(COMMANDS[name].line))
        sections.setdefault(COMMANDS[name].section, []).append(line)
    blocks = ["\n".join([fill("<b>{section}</b>", section=say(s)), *lines]) for s, lines in sections.items()]
    return "\n\n".join([fill(command_texts.HELP_HEAD), *blocks, fill(command_texts.HELP_FOOT)])


def lesson(name: str) -> str:
    """Return as HTML how one command is used, with examples.

    Raises:
        InvalidInput: there is no such command.
    """
    name = ALIASES.get(name, name)
    if name not in COMMANDS:
        raise InvalidInput(say(command_texts.NO_SUCH_COMMAND, command=name))
    command = COMMANDS[name]
    return fill(command_texts.TAUGHT, command=name, line=say(command.line), usage=say(command.usage))
