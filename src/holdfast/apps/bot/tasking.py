"""/tasks, /accept, /done and the buttons of roles and tasks: who takes what, and what is ticked off."""

from typing import Final

from aiogram import Bot, F, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, InlineKeyboardMarkup, Message, Update

from holdfast.apps.bot import tasking_texts as texts
from holdfast.apps.bot.picking import Listed, Picker
from holdfast.apps.bot.replies import command_id, reply
from holdfast.apps.bot.run_words import LONGEST_REASON, RunWords
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.taps import TapAnswer, Taps
from holdfast.apps.bot.task_lists import buttons_of, everything_of, lines_of, mine
from holdfast.apps.bot.texts import fill, first_lines, say
from holdfast.apps.bot.times import Words
from holdfast.domain.campaign import CampaignView
from holdfast.domain.decisions import Answer
from holdfast.domain.errors import DecisionRefused, InvalidInput
from holdfast.domain.people import Person
from holdfast.domain.view import RunView
from holdfast.domain.words import Act
from holdfast.i18n import understood
from holdfast.i18n.times import on_clock

_KIND: Final = "campaign"
_PREFIX: Final = "campaign-"
_ACTS: Final = {"a": Act.ACCEPT, "d": Act.DONE}


class Tasking:
    """The handlers of roles and tasks."""

    def __init__(self, services: Services, taps: Taps) -> None:
        self._services = services
        self._taps = taps
        self._words = RunWords(services)
        self._picker = Picker(services)

    def commands(self) -> Router:
        """Route the commands; the handlers need a known `person`."""
        router = Router(name="tasking")
        router.message.register(self.list_tasks, Command("tasks"))
        router.message.register(self.accept, Command("accept"))
        router.message.register(self.done, Command("done"))
        return router

    def buttons(self) -> Router:
        """Route `t:<run id>:<a or d><button>`."""
        router = Router(name="task-buttons")
        router.callback_query.register(self.tapped, F.data.regexp(r"^t:.+:[ad][^:]+$"))
        return router

    async def list_tasks(self, message: Message, command: CommandObject, person: Person) -> None:
        """Show what is asked of this person in all running campaigns, or everything of one campaign."""
        run = Words(command.args or "").next().lower()
        if run:
            await self._list_all(message, run, person)
        else:
            await self._list_mine(message, person)

    async def accept(
        self, message: Message, command: CommandObject, person: Person, bot: Bot, event_update: Update
    ) -> None:
        """Take a role; without a name the only one for which this person was asked."""
        run, role, _ = await self._meant(command.args or "")
        if run and not role:
            view = await self._campaign(run)
            asked = [line.name for line in view.roles if person.name in line.asked and not line.person]
            role = asked[0] if len(asked) == 1 else ""
        await self._say(message, person, (run, role), Act.ACCEPT, key=command_id(bot, event_update))

    async def done(
        self, message: Message, command: CommandObject, person: Person, bot: Bot, event_update: Update
    ) -> None:
        """Tick off a task; without a name the only one of this person that is open."""
        run, task, note = await self._meant(command.args or "")
        if len(note) > LONGEST_REASON:
            raise InvalidInput(say(texts.REASON_LENGTH, most=LONGEST_REASON, length=len(note)))
        if run and not task:
            view = await self._campaign(run)
            open_ones = [line.id for line in view.tasks if line.person == person.name and line.done_at is None]
            task = open_ones[0] if len(open_ones) == 1 else ""
        key = command_id(bot, event_update)
        await self._say(message, person, (run, task), Act.DONE, key=key, reason=note)

    async def tapped(self, query: CallbackQuery, received_at: float) -> None:
        """Say to the run what the button means; it is its owner's only."""
        _, _, rest = str(query.data).partition(":")
        run, _, about = rest.rpartition(":")

        async def act(person: Person) -> TapAnswer:
            view = await self._services.runs.view(run)
            wanted, to = _ACTS[about[:1]], self._target(view, about, person)
            said = await self._words.say(person, run, wanted, key=f"telegram:{query.id}", to=to)
            return TapAnswer(said.answer, understood(said.text), alert=said.answer is Answer.STORED)

        await self._taps.settle(query, received_at, act)

    # --- how --------------------------------------------------------------------------------------------

    async def _say(
        self, message: Message, person: Person, what: tuple[str, str], act: Act, *, key: str, reason: str = ""
    ) -> None:
        """Say it where it is clear what is meant; else show what there is, with buttons."""
        run, to = what
        if not run or not to:
            await (self._list_all(message, run, person) if run else self._list_mine(message, person))
            return
        said = await self._words.say(person, run, act, key=key, to=to, reason=reason)
        text = on_clock(understood(said.text), person.zone)
        await reply(message, fill(texts.DONE, run=run, text=text))

    async def _meant(self, typed: str) -> tuple[str, str, str]:
        """Return the run, the role or task, and the rest; the run may be left out where only one is running."""
        words = Words(typed)
        first = words.next().lower()
        if first.startswith(_PREFIX):
            return first, words.next().lower(), words.rest()
        runs = [run.line.run_id for run in await self._picker.open(_KIND)]
        if first in runs:
            return first, words.next().lower(), words.rest()
        if not runs:
            raise InvalidInput(say(texts.NO_CAMPAIGN))
        if len(runs) == 1:
            return runs[0], first, words.rest()
        if first:
            raise InvalidInput(say(texts.WHICH_RUN, known=", ".join(runs)))
        return "", "", ""

    async def _campaign(self, run: str) -> CampaignView:
        return _campaign_of(await self._services.runs.view(run), run)

    async def _list_all(self, message: Message, run: str, person: Person) -> None:
        view = await self._services.runs.view(run)
        _campaign_of(view, run)
        items = everything_of(view, person)
        head = fill(texts.ALL_OF, title=view.title, run=run)
        lines = lines_of(items, person, self._services.people())
        html = f"{head}\n\n{first_lines(lines, separator=_GAP)}" if lines else fill(texts.NOTHING_OPEN, run=run)
        await reply(message, html, self._keyboard(buttons_of(items, self._services.keyring, person)))

    async def _list_mine(self, message: Message, person: Person) -> None:
        runs = await self._picker.open(_KIND)
        views = [run.view for run in runs if _shows(run)]
        items = mine([view for view in views if view is not None], person)
        lines = lines_of(items, person, self._services.people())
        head = fill(texts.MINE)
        html = f"{head}\n\n{first_lines(lines, separator=_GAP)}" if lines else fill(texts.NOTHING_MINE)
        await reply(message, html, self._keyboard(buttons_of(items, self._services.keyring, person)))

    def _keyboard(self, keyboard: InlineKeyboardMarkup) -> InlineKeyboardMarkup | None:
        return keyboard if keyboard.inline_keyboard else None

    def _target(self, view: RunView, about: str, person: Person) -> str:
        """Return the role or task of a button.

        Raises:
            DecisionRefused: it is somebody else's, or of an earlier key.
        """
        campaign, act, personal = view.campaign, _ACTS[about[:1]], about[1:]
        names = _names(campaign, act) if campaign else []
        for name in names:
            if personal in self._services.keyring.buttons(view.run_id, act, name, person.name):
                return name
        for other in self._services.people().people:
            for name in names:
                if personal in self._services.keyring.buttons(view.run_id, act, name, other.name):
                    text = say(texts.OTHERS_BUTTON_TAP, title=other.title, run=view.run_id)
                    raise DecisionRefused("others_button", text)
        raise DecisionRefused("outdated_button", say(texts.OUTDATED_BUTTON_TAP, run=view.run_id))


_GAP: Final = "\n\n"


def _shows(run: Listed) -> bool:
    return run.view is not None and run.view.campaign is not None and not run.view.state.ended


def _names(campaign: CampaignView, act: Act) -> list[str]:
    roles, tasks = [role.name for role in campaign.roles], [task.id for task in campaign.tasks]
    return roles if act is Act.ACCEPT else tasks


def _campaign_of(view: RunView, run: str) -> CampaignView:
    if view.campaign is None:
        raise InvalidInput(say(texts.NOT_A_CAMPAIGN, run=run))
    return view.campaign
