"""Duty: /oncall, and handing over one's present turn."""

import re
from datetime import datetime, timedelta
from typing import Final

from aiogram import Router
from aiogram.filters import Command
from aiogram.types import Message

from holdfast.apps.bot import handover_texts, on_call_texts
from holdfast.apps.bot.paging import Paging
from holdfast.apps.bot.picking import Picker
from holdfast.apps.bot.questions import YES, Question, Questions, Said, Settled
from holdfast.apps.bot.refusals import refusal_words
from holdfast.apps.bot.replies import reply
from holdfast.apps.bot.run_words import LONGEST_REASON, RunWords
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.texts import fill, first_lines, say
from holdfast.apps.bot.times import Words
from holdfast.domain.duty import Roster, Shift
from holdfast.domain.errors import DecisionRefused, EngineUnavailable, InvalidInput
from holdfast.domain.people import Person
from holdfast.domain.words import Act
from holdfast.i18n import speaking, translate, understood
from holdfast.i18n.times import moment
from holdfast.ports.audit import AuditEntry, AuditKind
from holdfast.ports.duty import Cover

_KIND: Final = "turn"
# What `Words.moment` reads, told from the first word of a note.
_TIME: Final = re.compile(
    r"\+\d+[mhdwмчдн]|\d{4}-\d\d-\d\d(T\S+)?|\d{1,2}\.\d{1,2}(\.\d{4})?|\d{1,2}:\d\d"
    r"|today|tomorrow|сегодня|завтра|послезавтра",
    re.IGNORECASE,
)
_CLOCK: Final = re.compile(r"\d{1,2}:\d\d")


class OnCall:
    """The handler of /oncall."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._paging = Paging(services)

    def commands(self) -> Router:
        """Route the command; the handler needs a known `person`."""
        router = Router(name="on-call")
        router.message.register(self.show, Command("oncall"))
        return router

    async def show(self, message: Message, person: Person) -> None:
        """Say for each rota who is on duty until when, and who is next; on the reader's clock."""
        texts, now = on_call_texts, self._services.now()
        roster, rotas = await self._paging.roster(now), self._services.library.duty()
        blocks = [self._block(roster, name, rota.title, person, now) for name, rota in rotas.items()]
        if not blocks:
            await reply(message, fill(texts.NO_ROTAS))
            return
        listed = first_lines(blocks, separator="\n\n")
        await reply(message, f"{fill(texts.HEAD)}\n\n{listed}\n\n{fill(texts.FOOT)}")

    def _block(self, roster: Roster, name: str, title: str, reader: Person, now: datetime) -> str:
        texts = on_call_texts
        lines = [fill(texts.ROTA, title=title)]
        templates = (texts.NOW, texts.NEXT)
        for shift, template in zip(roster.shifts(name, since=now, count=2), templates, strict=False):
            until = moment(shift.until, reader.zone)
            line = fill(template, person=self._title(shift.person), until=until)
            lines.append(
                f"{line} {fill(texts.COVER, person=self._title(shift.cover))}" if shift.cover else line
            )
        return "\n".join(lines)

    def _title(self, name: str) -> str:
        person = self._services.people().named(name)
        return person.title if person else name


class Turns:
    """Hands the present turn of duty over, with the incidents that go along."""

    def __init__(self, services: Services, questions: Questions) -> None:
        self._services = services
        self._questions = questions
        self._paging = Paging(services)
        self._picker = Picker(services)
        self._words = RunWords(services)
        questions.answers(_KIND, self.answered)

    async def ask(self, message: Message, person: Person, to: Person, words: Words, *, key: str) -> None:
        """Show what handing over does, and ask; the words are `[until] [note]`."""
        texts = handover_texts
        until, note = _read(words, person, self._services.now())
        if len(note) > LONGEST_REASON:
            raise InvalidInput(say(texts.NOTE_LENGTH, most=LONGEST_REASON, length=len(note)))
        data = {"id": key, "to": to.name, "until": until.isoformat() if until else "", "note": note}
        lines = [fill(texts.TURN_QUESTION, to=to.title), ""]
        for rota, shift in (await self._turns(person)).items():
            ends = moment(_end(shift, until), person.zone)
            lines.append(
                fill(texts.TURN_LINE, title=self._services.library.duty()[rota].title, to=to.title, until=ends)
            )
        lines += [*await self._along(person), fill(texts.TOLD_AT_ONCE, to=to.title)]
        if note:
            lines.append(fill(texts.NOTE, note=note))
        options = ((YES, say(texts.BUTTON)),)
        question = Question(id=key, html="\n".join(lines), options=options, data=data)
        await self._questions.ask(person, message, _KIND, question)

    async def answered(self, person: Person, data: dict[str, str], said: Said) -> Question | Settled:
        """Arrange the covers, then hand the incidents over."""
        _ = said
        texts, people = handover_texts, self._services.people()
        to = people.named(data["to"])
        if to is None:
            raise InvalidInput(say(texts.NEITHER, word=data["to"], names="", reason=""))
        until = datetime.fromisoformat(data["until"]) if data["until"] else None
        covers = await self._cover(person, to, until, data)
        along = await self._hand_over_incidents(person, to, data)
        html = "\n".join([fill(texts.TURN_DONE, person=person.title, to=to.title), *along])
        tell = ((to, self._told(person, to, covers, data["note"])),) if covers else ()
        return Settled(label="turn_handed_over", tap=say(texts.TURN_TAP, to=to.title), html=html, tell=tell)

    async def _turns(self, person: Person) -> dict[str, Shift]:
        """Return the shifts that this person has now, by rota.

        Raises:
            DecisionRefused: there is none.
        """
        now = self._services.now()
        roster = await self._paging.roster(now)
        shifts = {rota: roster.on_duty(rota, now) for rota in self._services.library.duty()}
        mine = {rota: shift for rota, shift in shifts.items() if shift and shift.person == person.name}
        if not mine:
            raise DecisionRefused("not_on_duty", say(handover_texts.NOT_ON_DUTY))
        return mine

    async def _cover(
        self, person: Person, to: Person, until: datetime | None, data: dict[str, str]
    ) -> list[Cover]:
        """Arrange what is not arranged yet, and return all that is arranged by this question."""
        now = self._services.now()
        try:
            turns = await self._turns(person)
        except DecisionRefused:
            if arranged := await self._arranged(data["id"], now):
                return arranged  # the same answer again: the turn is the other person's by now
            raise
        for rota, shift in turns.items():
            cover = Cover(
                id=f"{data['id']}/{rota}",
                rota=rota,
                person=to.name,
                since=now,
                until=_end(shift, until),
                by=person.name,
                note=data["note"],
                at=now,
            )
            if cover.until <= now:
                raise InvalidInput(say(handover_texts.UNTIL_PAST, until=moment(cover.until, person.zone)))
            if await self._services.duty.put(cover):
                await self._record(person, cover)
        return await self._arranged(data["id"], now)

    async def _arranged(self, key: str, now: datetime) -> list[Cover]:
        covers = await self._services.duty.covers(since=now, until=now + timedelta(seconds=1))
        return [cover for cover in covers if cover.id.startswith(f"{key}/")]

    async def _along(self, person: Person) -> list[str]:
        texts = handover_texts
        try:
            mine = await self._incidents(person)
        except EngineUnavailable:
            return [fill(texts.ALONG_UNSEEN)]
        return [fill(texts.ALONG, title=t, run=run) for run, t in mine.items()] or [fill(texts.NOTHING_ALONG)]

    async def _incidents(self, person: Person) -> dict[str, str]:
        """Return the titles of the open incidents that this person has, by run."""
        runs = await self._picker.open("incident")
        return {
            run.line.run_id: run.title
            for run in runs
            if run.view and run.view.incident and run.view.incident.owner == person.name
        }

    async def _hand_over_incidents(self, person: Person, to: Person, data: dict[str, str]) -> list[str]:
        try:
            mine = await self._incidents(person)
        except EngineUnavailable:
            return [fill(handover_texts.ALONG_UNSEEN)]
        return [await self._hand_over(person, to, run, data) for run in mine]

    async def _hand_over(self, person: Person, to: Person, run: str, data: dict[str, str]) -> str:
        texts, key = handover_texts, f"{data['id']}/{run}"
        try:
            said = await self._words.say(person, run, Act.HAND_OVER, key=key, to=to.name, reason=data["note"])
        except DecisionRefused as refused:
            return fill(texts.ALONG_NOT, run=run, text=refusal_words(refused))
        except EngineUnavailable:
            return fill(texts.ALONG_NOT_REACHED, run=run, name=to.name)
        return fill(texts.ALONG_DONE, run=run, text=understood(said.text))

    def _told(self, person: Person, to: Person, covers: list[Cover], note: str) -> str:
        texts, rotas = handover_texts, self._services.library.duty()
        titles = ", ".join(rotas[c.rota].title for c in covers)
        with speaking(to.language):
            until = moment(max(c.until for c in covers), to.zone)
            template = texts.TOLD_NOTE if note else texts.TOLD
            return fill(template, titles=titles, person=person.title, until=until, note=note)

    async def _record(self, person: Person, cover: Cover) -> None:
        text = handover_texts.AUDIT.format(
            name=person.name, rota=cover.rota, to=cover.person, until=cover.until.isoformat()
        )
        entry = AuditEntry(
            key=f"cover/{cover.id}",
            at=cover.at,
            kind=AuditKind.DELEGATION,
            person=person.name,
            channel="telegram",
            text=text,  # the record is in English
            data={"rota": cover.rota, "to": cover.person, "until": cover.until.isoformat()},
        )
        await self._services.audit.append([entry])


def _end(shift: Shift, until: datetime | None) -> datetime:
    return min(shift.until, until) if until else shift.until


def _read(words: Words, person: Person, now: datetime) -> tuple[datetime | None, str]:
    """Read `[until] [note]`; a clock time alone is the next such moment."""
    typed = words.rest()
    first, _, rest = typed.partition(" ")
    if not _TIME.fullmatch(first):
        return None, typed
    if _CLOCK.fullmatch(first):
        rest_of_words = Words(f"today {first} {rest}")
        until = rest_of_words.moment(translate("until"), zone=person.zone, now=now)
        if until is not None and until <= now:
            until += timedelta(days=1)
    else:
        rest_of_words = Words(typed)
        until = rest_of_words.moment(translate("until"), zone=person.zone, now=now)
    if until is not None and until <= now:
        raise InvalidInput(say(handover_texts.UNTIL_PAST, until=moment(until, person.zone)))
    return until, rest_of_words.rest()
