"""/runbooks and /rollout: what can be started, and starting it."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from aiogram import Bot, F, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message, Update

from holdfast.apps.bot import texts
from holdfast.apps.bot.replies import reply
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.taps import TapAnswer, Taps
from holdfast.domain.errors import InvalidInput, UnknownName
from holdfast.domain.ids import digest_of, run_id
from holdfast.domain.people import Person
from holdfast.ports.runs import RolloutRequest
from holdfast.runbook.kinds.changes import AlembicChange
from holdfast.runbook.kinds.rollout import RolloutSpec, Stage

_LATEST_START = timedelta(minutes=15)
_MOST_BUTTONS = 90  # Telegram takes about 100
_STAGES_LENGTH = 2000  # beside a summary of up to 1000 characters


class Rollouts:
    """The handlers of rollouts."""

    def __init__(self, services: Services, taps: Taps) -> None:
        self._services = services
        self._taps = taps

    def commands(self) -> Router:
        """Route the commands; their handlers need a known `person`."""
        router = Router(name="rollouts")
        router.message.register(self.list_runbooks, Command("runbooks"))
        router.message.register(self.rollout, Command("rollout"))
        return router

    def buttons(self) -> Router:
        """Route `s:<digest>`, the buttons of the list that a bare /rollout shows."""
        router = Router(name="rollout-buttons")
        router.callback_query.register(self.start_tapped, F.data.startswith("s:"))
        return router

    async def list_runbooks(self, message: Message) -> None:
        """Say what can be started, and which files cannot be read."""
        lines = [self._describe(name) for name in self._services.library.names()]
        await reply(message, texts.first_lines(lines, separator="\n\n") or texts.NO_RUNBOOKS)

    async def rollout(
        self, message: Message, command: CommandObject, person: Person, event_update: Update, bot: Bot
    ) -> None:
        """Start the named runbook, the default, or the only one; else show what there is as buttons."""
        _check_age(message)
        name, pace = self._arguments(command.args or "")
        name = name or self._services.default_runbook or self._only_runbook()
        if not name:
            await reply(message, *self._list_to_choose_from(pace))
            return
        spec = self._services.library.rollout(name).spec
        run, started = await self._start(person, spec, pace, seed=f"{bot.id}/{event_update.update_id}")
        text = _started(spec, run, pace) if started else texts.fill(texts.ALREADY_STARTED, run_id=run)
        await reply(message, text)

    async def start_tapped(self, query: CallbackQuery, received_at: float, bot: Bot) -> None:
        """Start what the button names; one list starts a runbook once, however often it is tapped."""

        async def act(person: Person) -> TapAnswer:
            found = self._named_by(str(query.data))
            if found is None or query.message is None:
                return TapAnswer("outdated_list", texts.OUTDATED_LIST_TAP)
            spec, pace = found
            place = f"{query.message.chat.id}/{query.message.message_id}"
            run, started = await self._start(person, spec, pace, seed=f"{bot.id}/{place}/{query.data}")
            if not started:
                return TapAnswer("already_started", texts.ALREADY_STARTED_TAP.format(run_id=run))
            if isinstance(query.message, Message):
                await reply(query.message, _started(spec, run, pace))
            return TapAnswer("started", texts.STARTED_TAP.format(run_id=run), alert=False)

        await self._taps.settle(query, received_at, act)

    async def _start(self, person: Person, spec: RolloutSpec, pace: str, *, seed: str) -> tuple[str, bool]:
        if pace not in spec.paces:
            raise UnknownName("pace", pace, spec.paces)
        self._services.may_start(person, spec.name)
        request = RolloutRequest(runbook=spec.name, requested_by=person.name, pace=pace)
        run = run_id(spec.kind, f"telegram/{seed}")
        return run, await self._services.runs.start(request, run_id=run)

    def _arguments(self, typed: str) -> tuple[str, str]:
        """Read `[runbook] [pace=NAME]` in any order; phones like to begin words with a capital."""
        name, pace = "", ""
        for word in typed.lower().split():
            if word.startswith("pace=") and not pace:
                pace = word.removeprefix("pace=")
            elif "=" not in word and not name:
                name = word
            else:
                raise InvalidInput(texts.WRONG_ARGUMENTS.format(word=word))
        return name, pace or self._services.default_pace

    def _only_runbook(self) -> str:
        names = self._services.library.names()
        return names[0] if len(names) == 1 else ""

    def _describe(self, name: str) -> str:
        try:
            spec = self._services.library.rollout(name).spec
        except InvalidInput as error:
            return texts.fill(texts.RUNBOOK_INVALID, name=name, reason=str(error).partition("\n")[0])
        paces = ", ".join(spec.paces)
        return texts.fill(texts.RUNBOOK, title=spec.title, name=name, paces=paces, summary=spec.summary)

    def _list_to_choose_from(self, pace: str) -> tuple[str, InlineKeyboardMarkup | None]:
        names = self._services.library.names()
        if not names:
            return texts.NO_RUNBOOKS, None
        rows = [
            [InlineKeyboardButton(text=name, callback_data=_button_data(name, pace))]
            for name in names[:_MOST_BUTTONS]
        ]
        return texts.fill(texts.WHICH_RUNBOOK, pace=pace), InlineKeyboardMarkup(inline_keyboard=rows)

    def _named_by(self, data: str) -> tuple[RolloutSpec, str] | None:
        """Find the runbook and pace of a button; None when either is not there any more."""
        for name in self._services.library.names():
            with suppress(InvalidInput):
                spec = self._services.library.rollout(name).spec
                for pace in spec.paces:
                    if _button_data(name, pace) == data:
                        return spec, pace
        return None


def _check_age(message: Message) -> None:
    """Refuse what was asked for while the bot was down: hours later nobody expects a start."""
    age = datetime.now(UTC) - message.date
    if age > _LATEST_START:
        raise InvalidInput(texts.STALE.format(minutes=int(age.total_seconds() // 60)))


def _button_data(name: str, pace: str) -> str:
    # Names may be longer than the 64 bytes of a button.
    return f"s:{digest_of(f'{name}/{pace}')}"


def _shares(stage: Stage) -> str:
    shares = " → ".join(map(str, stage.shares_percent))
    lasting = any(isinstance(c, AlembicChange) and c.point_of_no_return for c in stage.all_changes)
    return (f"{shares} %" if shares else texts.EVERYBODY) + (texts.NO_RETURN if lasting else "")


def _started(spec: RolloutSpec, run: str, pace: str) -> str:
    stages = [
        texts.STAGE.format(
            number=number,
            title=stage.title,
            shares=_shares(stage),
            approvers=stage.gate.describe(),
        )
        for number, stage in enumerate(spec.stages, start=1)
    ]
    return texts.fill(
        texts.STARTED,
        title=spec.title,
        summary=spec.summary,
        stages=texts.first_lines(stages, length=_STAGES_LENGTH),
        run_id=run,
        pace=pace,
    )
