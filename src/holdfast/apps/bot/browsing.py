"""/runbooks: what there is, kind by kind, in one message that changes."""

from collections.abc import Mapping

from aiogram import Bot, F, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message

from holdfast.apps.bot import start_texts as texts
from holdfast.apps.bot.decisions import tapped
from holdfast.apps.bot.replies import reply, show_instead
from holdfast.apps.bot.roles import Roles
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.shelf import Shelf, meant_by
from holdfast.apps.bot.startable import Draft, Startable
from holdfast.apps.bot.starting import Starting
from holdfast.apps.bot.taps import TapAnswer, Taps
from holdfast.apps.bot.texts import fill, first_lines, say
from holdfast.domain.errors import InvalidInput
from holdfast.domain.ids import digest_of
from holdfast.domain.people import Person
from holdfast.i18n import translate

_MOST_BUTTONS = 90
_LABEL = 40
_STEPS_LENGTH = 2000

Page = tuple[str, InlineKeyboardMarkup | None]


class Browsing:
    """The handlers of the shelf; its buttons are everybody's, since they only show."""

    def __init__(
        self, services: Services, taps: Taps, kinds: Mapping[str, Startable], starting: Starting
    ) -> None:
        self._taps = taps
        self._kinds = kinds
        self._starting = starting
        self._shelf = Shelf(services)
        self._roles = Roles(services)

    def commands(self) -> Router:
        """Route the command."""
        router = Router(name="browsing")
        router.message.register(self.show, Command("runbooks"))
        return router

    def buttons(self) -> Router:
        """Route `b:` (all kinds), `b:<kind>`, `b:<kind>:<runbook>` and `s:<kind>:<runbook>` (start)."""
        router = Router(name="browsing-buttons")
        router.callback_query.register(self.turned, F.data.regexp(r"^b:[a-z]*(:[0-9a-f]+)?$"))
        router.callback_query.register(self.start_tapped, F.data.regexp(r"^s:[a-z]+:[0-9a-f]+$"))
        return router

    async def show(self, message: Message, command: CommandObject) -> None:
        """Show the kinds; or the only one, or the one that was named."""
        named = (command.args or "").strip().lower()
        await reply(message, *(self._of_kind(named) if named in self._shelf.kinds() else self._first()))

    async def turned(self, query: CallbackQuery, received_at: float) -> None:
        """Put another page in the message's place."""
        _, kind, digest = (*str(query.data).split(":"), "")[:3]

        async def act(_: Person) -> TapAnswer:
            message, page = tapped(query), self._page(kind, digest)
            if message is None or page is None:
                return TapAnswer("outdated_list", say(texts.NO_LONGER_THERE_TAP))
            await show_instead(message, *page)
            return TapAnswer("browsed", say(texts.SHOWN_TAP), alert=False)

        await self._taps.settle(query, received_at, act)

    async def start_tapped(self, query: CallbackQuery, received_at: float, bot: Bot) -> None:
        """Begin to start a runbook, asking for one thing after the other."""
        _, kind, digest = str(query.data).split(":")

        async def act(person: Person) -> TapAnswer:
            message, name = tapped(query), meant_by(digest, self._shelf.names(kind))
            if message is None or not name or kind not in self._kinds:
                return TapAnswer("outdated_list", say(texts.NO_LONGER_THERE_TAP))
            await self._roles.check(person, kind, key=f"tap/{query.id}")
            draft = Draft(id=f"{bot.id}/tap/{query.id}", kind=kind, runbook=name, step_by_step=True)
            await self._starting.ask(message, person, draft)
            return TapAnswer("start_asked", say(texts.SHOWN_TAP), alert=False)

        await self._taps.settle(query, received_at, act)

    def _page(self, kind: str, digest: str) -> Page | None:
        if not kind:
            return self._first()
        if not digest:
            return self._of_kind(kind)
        name = meant_by(digest, self._shelf.names(kind))
        return self._one(kind, name) if name else None

    def _first(self) -> Page:
        kinds = {kind: names for kind, names in self._shelf.kinds().items() if names}
        if not kinds:
            return fill(texts.SHELF_EMPTY), None
        if len(kinds) == 1:
            return self._of_kind(next(iter(kinds)))
        rows = [
            [_button(say(texts.KIND_BUTTON, kind=translate(kind), count=len(names)), f"b:{kind}")]
            for kind, names in kinds.items()
        ]
        return fill(texts.SHELF), InlineKeyboardMarkup(inline_keyboard=rows)

    def _of_kind(self, kind: str) -> Page:
        names = self._shelf.names(kind)
        rows = [
            [_button(self._shelf.title(kind, name) or f"⚠️ {name}", f"b:{kind}:{digest_of(name)}")]
            for name in names[:_MOST_BUTTONS]
        ]
        if len([names for names in self._shelf.kinds().values() if names]) > 1:
            rows.append([_button(say(texts.BACK_BUTTON), "b:")])
        head = fill(texts.SHELF_KIND if names else texts.SHELF_KIND_EMPTY, kind=translate(kind))
        return head, InlineKeyboardMarkup(inline_keyboard=rows) if rows else None

    def _one(self, kind: str, name: str) -> Page:
        back = _button(say(texts.BACK_BUTTON), f"b:{kind}")
        try:
            spec = self._shelf.load(kind, name).spec
        except InvalidInput as error:
            html = fill(texts.RUNBOOK_INVALID, name=name, reason=str(error).partition("\n")[0])
            return html, InlineKeyboardMarkup(inline_keyboard=[[back]])
        title, summary = getattr(spec, "title", name), getattr(spec, "summary", "")
        parts = [fill(texts.RUNBOOK, title=title, name=name, summary=summary)]
        rows = [[back]]
        if (known := self._kinds.get(kind)) is not None:
            steps = first_lines(known.steps(spec), length=_STEPS_LENGTH)
            parts += [steps] if steps else []
            parts.append(fill(texts.MAY_START, names=", ".join(known.may_start(spec))))
            rows = [[_button(say(texts.MAY_START_BUTTON), f"s:{kind}:{digest_of(name)}"), back]]
        return "\n\n".join(parts), InlineKeyboardMarkup(inline_keyboard=rows)


def _button(label: str, data: str) -> InlineKeyboardButton:
    return InlineKeyboardButton(text=label[:_LABEL], callback_data=data)
