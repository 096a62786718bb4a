"""/start, /help, /whoami, and what is said to everything else."""

from aiogram import F, Router
from aiogram.enums import ChatType
from aiogram.filters import Command
from aiogram.types import Message

from holdfast.apps.bot import texts
from holdfast.apps.bot.metrics import BotMetrics
from holdfast.apps.bot.replies import OncePerMinute, is_from_a_chat, reply, sender_of
from holdfast.apps.bot.services import Services
from holdfast.domain.people import Person


def whoami_router(services: Services, metrics: BotMetrics) -> Router:
    """Route /whoami, the one command that strangers may use: an admin needs the id that it tells."""
    router = Router(name="whoami")
    turns = OncePerMinute()

    async def whoami(message: Message) -> None:
        person = sender_of(message, services.people())
        sender = message.from_user.id if message.from_user else message.chat.id
        ids = {"id": sender, "chat": message.chat.id}
        if person is None and not turns.allows(sender):
            metrics.strangers_ignored.inc()
        elif is_from_a_chat(message):
            await reply(message, texts.NOT_AS_YOURSELF)
        elif person is None:
            await reply(message, texts.fill(texts.WHOAMI_STRANGER, **ids))
        else:
            roles = ", ".join(person.roles) or "none"
            known = texts.fill(texts.WHOAMI_KNOWN, title=person.title, name=person.name, roles=roles, **ids)
            await reply(message, known)

    router.message.register(whoami, Command("whoami"))
    return router


def help_router() -> Router:
    """Route /start and /help, and in private chats whatever no other router knows."""
    router = Router(name="help")

    async def start(message: Message, person: Person) -> None:
        await reply(message, texts.fill(texts.HELLO, title=person.title, help=texts.HELP))

    async def show_help(message: Message) -> None:
        await reply(message, texts.fill(texts.HELP))

    router.message.register(start, Command("start"))
    router.message.register(show_help, Command("help"))
    router.message.register(show_help, F.chat.type == ChatType.PRIVATE)
    return router
