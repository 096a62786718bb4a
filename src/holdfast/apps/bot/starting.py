"""/rollout, /incident, /campaign and /load: to a run whose start is shown and confirmed first."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from aiogram import Bot, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import Message, Update

from holdfast.apps.bot import start_texts as texts
from holdfast.apps.bot.questions import YES, Question, Questions, Said, Settled
from holdfast.apps.bot.replies import reply
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.shelf import Shelf, meant_by
from holdfast.apps.bot.startable import Draft, Field, Startable
from holdfast.apps.bot.texts import fill, say
from holdfast.domain.errors import InvalidInput, UnknownName
from holdfast.domain.ids import digest_of, run_id
from holdfast.domain.people import Person
from holdfast.i18n import translate

Listing = Callable[[Message, Person], Awaitable[None]]
"""Shows what there is of a kind, in answer to its bare command."""

STARTS: Final = ("rollout", "incident", "campaign", "load")
"""The commands that start something, each named like the kind of what it starts."""

_LATEST_START = timedelta(minutes=15)
_KIND: Final = "start"
_RUNBOOK: Final = "runbook"
_MOST_BUTTONS = 90  # Telegram takes about 100


class Starting:
    """The handlers of starts.

    Args:
        kinds: what can be started, by kind; a kind that arrives adds its line where this is put together.
        listings: what the bare command of a kind shows, where it does not ask at once.
    """

    def __init__(
        self,
        services: Services,
        questions: Questions,
        kinds: Mapping[str, Startable],
        *,
        listings: Mapping[str, Listing],
    ) -> None:
        self._services = services
        self._questions = questions
        self._kinds = kinds
        self._listings = listings
        self._shelf = Shelf(services)
        questions.answers(_KIND, self.answered)

    def commands(self) -> Router:
        """Route the commands; the handlers need a known `person`."""
        router = Router(name="starting")
        router.message.register(self.start, Command(*STARTS))
        return router

    async def start(
        self, message: Message, command: CommandObject, person: Person, event_update: Update, bot: Bot
    ) -> None:
        """Ask for what is missing, then whether it shall be started."""
        check_age(message)
        typed, kind = (command.args or "").strip(), command.command
        if kind not in self._kinds or not self._shelf.names(kind):
            await reply(message, fill(texts.NO_RUNBOOKS, kind=translate(kind)))
        elif not typed and kind in self._listings:
            await self._listings[kind](message, person)
        else:
            draft = Draft(id=f"{bot.id}/{event_update.update_id}", kind=kind)
            draft = self._kinds[kind].read(typed, draft, self._shelf.names(kind))
            await self.ask(message, person, draft)

    async def ask(self, message: Message, person: Person, draft: Draft) -> None:
        """Ask for the first thing that is missing, or whether it shall be started."""
        await self._questions.ask(person, message, _KIND, await self._next(person, draft))

    async def answered(self, person: Person, data: dict[str, str], said: Said) -> Question | Settled:
        """Go on with an answer."""
        draft = Draft.model_validate_json(data["draft"])
        if said.answer == YES:
            return await self._start(person, draft)
        if said.text:
            field = next(f.name for f in self._kinds[draft.kind].fields if f.choices is None)
            return await self._next(person, draft.model_copy(update={field: " ".join(said.text.split())}))
        name, _, digest = said.answer.partition(".")
        chosen = meant_by(digest, self._choices(draft, name))
        if not chosen:
            raise InvalidInput(say(texts.GONE))
        return await self._next(person, draft.model_copy(update={name: chosen}))

    async def _next(self, person: Person, draft: Draft) -> Question:
        kind = self._kinds[draft.kind]
        if not draft.runbook:
            return self._which(draft, _RUNBOOK, fill(texts.ASK_RUNBOOK, kind=draft.kind))
        if draft.runbook not in self._shelf.names(draft.kind):
            raise UnknownName(_RUNBOOK, draft.runbook, self._shelf.names(draft.kind))
        loaded = self._shelf.load(draft.kind, draft.runbook)
        kind.check(person, draft, loaded.spec)
        missing = next((f for f in kind.fields if self._is_missing(draft, f)), None)
        if missing is not None:
            return self._which(draft, missing.name, fill(missing.question), takes_text=missing.choices is None)
        draft = kind.completed(draft).model_copy(update={"digest": loaded.digest})
        kind.check(person, draft, loaded.spec)
        return Question(
            id=draft.id,
            html=await kind.preview(person, draft, loaded.spec),
            options=((YES, say(kind.start_button)), *self._others(draft)),
            data={"draft": draft.model_dump_json()},
        )

    async def _start(self, person: Person, draft: Draft) -> Question | Settled:
        kind = self._kinds[draft.kind]
        run = run_id(draft.kind, f"telegram/{draft.id}")
        loaded = self._shelf.load(draft.kind, draft.runbook)
        if loaded.digest != draft.digest:
            question = await self._next(person, draft)
            return Question(
                id=question.id,
                html=f"{fill(texts.CHANGED)}\n\n{question.html}",
                options=question.options,
                data=question.data,
            )
        kind.check(person, draft, loaded.spec)
        if await kind.start(person, draft, run=run):
            html = fill(texts.STARTED, run=run, person=person.title)
            return Settled(label="started", tap=say(texts.STARTED_TAP, run=run), html=html)
        html = fill(texts.ALREADY_STARTED, run=run)
        return Settled(label="already_started", tap=say(texts.ALREADY_STARTED_TAP, run=run), html=html)

    def _is_missing(self, draft: Draft, field: Field) -> bool:
        if getattr(draft, field.name):
            return False
        if field.choices is None:
            return field.needed
        return draft.step_by_step and len(field.choices(draft)) > 1

    def _choices(self, draft: Draft, name: str) -> list[str]:
        if name == _RUNBOOK:
            return self._shelf.names(draft.kind)
        field = next((f for f in self._kinds[draft.kind].fields if f.name == name), None)
        return list(field.choices(draft)) if field and field.choices else []

    def _which(self, draft: Draft, name: str, html: str, *, takes_text: bool = False) -> Question:
        return Question(
            id=draft.id,
            html=html,
            options=tuple(
                (f"{name}.{digest_of(choice)}", self._label(draft, name, choice))
                for choice in self._choices(draft, name)[:_MOST_BUTTONS]
            ),
            data={"draft": draft.model_dump_json()},
            takes_text=takes_text,
        )

    def _others(self, draft: Draft) -> list[tuple[str, str]]:
        """Return what may still be chosen otherwise, beside the confirmation."""
        return [
            (f"{field.name}.{digest_of(choice)}", say(field.other, choice=choice))
            for field in self._kinds[draft.kind].fields
            if field.choices
            for choice in field.choices(draft)
            if choice != getattr(draft, field.name)
        ][:_MOST_BUTTONS]

    def _label(self, draft: Draft, name: str, choice: str) -> str:
        return (self._shelf.title(draft.kind, choice) or choice) if name == _RUNBOOK else choice


def check_age(message: Message) -> None:
    """Refuse what was asked for while the bot was down: hours later nobody expects a start."""
    age = datetime.now(UTC) - message.date
    if age > _LATEST_START:
        raise InvalidInput(say(texts.STALE, minutes=int(age.total_seconds() // 60)))
