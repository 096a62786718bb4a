"""Calls people to an incident: whoever a step of its policy means at that moment, by every channel."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Final

from pydantic import BaseModel, Field
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.clock import server_now
from activities.failures import as_failures
from activities.fates import KEPT_ON_RECORD, Fate, fate_of, reached, troubles_of
from activities.pulse import Pulse, beating
from holdfast.domain import run_phrases
from holdfast.domain.duty import Roster, Rota, Shift
from holdfast.domain.errors import ChatUnavailable, DeliveryUncertain, HoldfastError, InvalidInput, Unavailable
from holdfast.domain.escalation import EscalationPolicy, Step, called, rota_named
from holdfast.domain.people import People, Person
from holdfast.domain.proofs import Keyring
from holdfast.domain.view import MessageRef, RunView
from holdfast.ports.audit import AuditEntry, AuditKind, AuditLog
from holdfast.ports.duty import Cover, DutyBook
from holdfast.ports.notices import Page, PrivateChannel
from holdfast.runbook.library import RunbookLibrary

BUTTON_OF: Final = "incident"
"""What stands in the place of a gate's token in the buttons of a page."""

# A call that reached somebody is not held up any longer by the others' chats.
_TRIES_FOR_THE_OTHERS: Final = 5
# For one message.
_PATIENCE: Final = timedelta(seconds=20)
# For what the store knows: a call goes out without it.
_STORE_PATIENCE: Final = timedelta(seconds=5)


class SentPage(BaseModel):
    """The newest call of one person by one channel, which has the buttons."""

    person: str
    channel: str
    message: MessageRef


class PageRequest(BaseModel):
    """Whom to call, and to what.

    Attributes:
        view: of the incident.
        step, round: place in the policy, from 1; step 0 stands for `to` alone.
        to: to whom the incident is handed over: called alone in step 0, before the others in any other.
        by: who hands it over.
        why: why, in that person's words.
        next_step: which step comes after this one; 0 where none does.
        numbers: how often each person was called before.
        earlier: calls whose buttons go when there is a newer one.
    """

    view: RunView
    policy: EscalationPolicy
    people: People
    step: int
    round: int
    to: str = ""
    by: str = ""
    why: str = ""
    next_step: int = 0
    numbers: dict[str, int] = Field(default_factory=dict[str, int])
    earlier: list[SentPage] = Field(default_factory=list[SentPage])


class PagedStep(BaseModel):
    """Who was called.

    Attributes:
        reached: short names, in the order of the file; of an uncertain call, too.
        settled: those whose next call is another one: what came of this one is known, or never will be.
        troubles: why others were not, one sentence each.
        pages: where the buttons are.
        next_called: whom the next step would call at this moment, of those who can be reached.
        answering: everybody whom any step would call at this moment.
    """

    reached: list[str] = Field(default_factory=list[str])
    settled: list[str] = Field(default_factory=list[str])
    troubles: list[str] = Field(default_factory=list[str])
    pages: list[SentPage] = Field(default_factory=list[SentPage])
    next_called: list[str] = Field(default_factory=list[str])
    answering: list[str] = Field(default_factory=list[str])


class RetirePages(BaseModel):
    """Calls that are over; they are to say why."""

    pages: list[SentPage]
    text: str


class PagingActivities:
    """Calls people to incidents."""

    def __init__(
        self,
        library: RunbookLibrary,
        duty: DutyBook,
        channels: Sequence[PrivateChannel],
        audit: AuditLog,
        *,
        keyring: Keyring,
        run_url: Callable[[str], str],
    ) -> None:
        """Use these.

        Args:
            library: has the rotas.
            duty: who covers for whom.
            channels: every way to reach people; a call goes by each that reaches the person.
            audit: where it is put on record.
            keyring: signs the buttons.
            run_url: gives the address of a run's page.
        """
        self._library, self._duty, self._channels, self._audit = library, duty, channels, audit
        self._keyring, self._run_url = keyring, run_url
        # As they were read last: who breaks the file at night must not silence the calls.
        self._rotas: Mapping[str, Rota] = {}

    @activity.defn
    async def page_step(self, request: PageRequest) -> PagedStep:
        """Call everybody whom a step means now, each once by each channel, however often this is tried.

        Nobody is waited for: who cannot be reached is named in the result, and tried a few times more where
        that may help.

        Raises:
            ApplicationError: of type `ChatUnavailable`: nobody was reached, and that may change.
        """
        async with beating() as pulse:
            roster, troubles = await self._roster(request)
            whom = roster.whom(request)
            fates = await asyncio.gather(*(self._call(request, roster, name, pulse) for name in whom))
            every = dict(zip(whom, fates, strict=True))
            await self._on_record(request, every)
            _raise_if_worth_it(every)
        return PagedStep(
            reached=[name for name, by in every.items() if reached(by)],
            settled=[name for name, by in every.items() if any(fate.state != "unsent" for fate in by.values())],
            troubles=[*troubles, *(line for name, by in every.items() for line in troubles_of(name, by))],
            pages=_newest(request.earlier, every),
            next_called=self._next(request, roster),
            answering=roster.everybody(),
        )

    @activity.defn
    async def retire_pages(self, request: RetirePages) -> None:
        """Take the buttons off these calls and say in them why."""
        with as_failures():
            late: HoldfastError | None = None
            for page in request.pages:
                try:
                    await self._retire(page, request.text)
                except (ChatUnavailable, DeliveryUncertain) as error:  # an edit does no harm twice
                    late = error
            if late is not None:
                raise ChatUnavailable(str(late))

    # --- how --------------------------------------------------------------------------------------------

    async def _roster(self, request: PageRequest) -> "tuple[_Now, list[str]]":
        """Read who is on duty; a call goes out with less, rather than not at all."""
        now, troubles = server_now(), list[str]()
        covers: Sequence[Cover] = ()
        try:
            self._rotas = await asyncio.to_thread(self._library.duty)
        except HoldfastError as error:
            troubles.append(run_phrases.NO_ROTAS.format(why=error))
        try:
            async with _soon():
                covers = await self._duty.covers(since=now, until=now + timedelta(seconds=1))
        except Unavailable as error:
            troubles.append(run_phrases.NO_COVERS.format(why=error))
        roster = Roster(self._rotas, covers=covers, people=request.people)
        known = _Now(request, roster, self._rotas, now)
        return known, [*troubles, *known.missing(request.step)]

    def _next(self, request: PageRequest, roster: "_Now") -> list[str]:
        """Return whom the next step would reach; who does not answer a hand-over is called with it."""
        first = [request.to] if not request.step else []
        names: list[str] = list(dict.fromkeys([*first, *roster.names(request.next_step)]))
        people = ((name, request.people.named(name)) for name in names)
        return [name for name, person in people if person and any(c.reaches(person) for c in self._channels)]

    async def _call(self, request: PageRequest, roster: "_Now", name: str, pulse: Pulse) -> dict[str, Fate]:
        """Call one person by every channel; return what became of it, by channel."""
        person = request.people.named(name)
        channels = [c for c in self._channels if person is not None and c.reaches(person)]
        if person is None or not channels:
            return {"": Fate(state="failed", why=run_phrases.NO_ADDRESS)}
        page = self._page(request, roster, person)
        fates: dict[str, Fate] = {}
        for channel in channels:
            place = f"{name}/{channel.name}"
            known = pulse.memory.get(place)
            fate = (
                Fate.model_validate_json(known)
                if known
                else await fate_of(channel.page(person, page), channel.name, _PATIENCE)
            )
            fates[channel.name] = fate
            if known or fate.state == "unsent":
                continue
            pulse.keep({**pulse.memory, place: fate.model_dump_json()})
            await self._replace(request.earlier, name, channel.name)
        return fates

    def _page(self, request: PageRequest, roster: "_Now", person: Person) -> Page:
        run, number = request.view.run_id, request.numbers.get(person.name, 0) + 1
        return Page(
            # The same until its fate is known, whatever step or round it is by then: when a chat that was down
            # for an hour is up again, nobody gets a call for each of them.
            key=f"page/{run}/{person.name}/{number}",
            view=request.view.model_copy(update={"ui_url": self._run_url(run), "people": People()}),
            number=number,
            because=roster.because(request, person.name),
            button=self._keyring.button(run, BUTTON_OF, "", person.name),
        )

    async def _replace(self, earlier: list[SentPage], person: str, channel: str) -> None:
        """Take the buttons off a person's earlier call; that is worth no second try."""
        for page in earlier:
            if (page.person, page.channel) == (person, channel):
                with suppress(HoldfastError):
                    await self._retire(page, run_phrases.CALLED_AGAIN)

    async def _retire(self, page: SentPage, text: str) -> None:
        channel = next((c for c in self._channels if c.name == page.channel), None)
        if channel is not None:
            with suppress(InvalidInput):  # it cannot be edited any more
                await channel.retire(page.message, text)

    async def _on_record(self, request: PageRequest, every: dict[str, dict[str, Fate]]) -> None:
        """Put the calls on record; where that fails for long, calling people goes before."""
        entries = list(_entries(request, every, server_now()))
        try:
            async with _soon():
                await self._audit.append(entries)
        except Unavailable as error:
            if _is_time_for_more():
                raise ApplicationError(str(error), type=type(error).__name__) from None
            activity.logger.error("calls of %s are not on record: %s", request.view.run_id, error)


class _Now:
    """Whom the steps of a policy mean at one moment."""

    def __init__(self, request: PageRequest, roster: Roster, rotas: Mapping[str, Rota], now: datetime) -> None:
        self._policy, self._people = request.policy, request.people
        self._roster, self._rotas, self._now = roster, rotas, now

    def whom(self, request: PageRequest) -> list[str]:
        """Return who is called; to whom it is handed over comes first."""
        first = [request.to] if request.to else []
        return list(dict.fromkeys([*first, *self.names(request.step)]))

    def names(self, step: int) -> list[str]:
        """Return whom a step means; nobody for step 0."""
        return self._of(self._policy.steps[step - 1]) if step else []

    def missing(self, step: int) -> Iterator[str]:
        """Yield what a step calls in vain, one sentence each."""
        for wanted in self._policy.steps[step - 1].page if step else ():
            rota = rota_named(wanted)
            if rota is not None and rota not in self._rotas:
                yield run_phrases.NO_ROTA.format(rota=rota)

    def everybody(self) -> list[str]:
        """Return whom any step means."""
        return list(dict.fromkeys(name for step in self._policy.steps for name in self._of(step)))

    def because(self, request: PageRequest, name: str) -> str:
        """Say why this person is called."""
        if name == request.to:
            said = run_phrases.IS_YOURS_BECAUSE if request.why else run_phrases.IS_YOURS_NEXT
            return said.format(by=request.by, why=request.why)
        step = self._policy.steps[request.step - 1]
        entry = next(
            entry for entry in step.page if name in self._of(step.model_copy(update={"page": (entry,)}))
        )
        rota = rota_named(entry)
        if rota is None:
            return run_phrases.LISTED.format(entry=entry)
        return run_phrases.ON_DUTY.format(rota=self._rotas[rota].title)

    def _of(self, step: Step) -> list[str]:
        return list(called(step, self._people, self._on_duty, at=self._now))

    def _on_duty(self, rota: str) -> Shift | None:
        return self._roster.on_duty(rota, self._now)


@asynccontextmanager
async def _soon() -> AsyncGenerator[None]:
    """Take a store that hangs for one that is down.

    Raises:
        Unavailable: the block took too long.
    """
    try:
        async with asyncio.timeout(_STORE_PATIENCE.total_seconds()):
            yield
    except TimeoutError:
        raise Unavailable(run_phrases.NO_ANSWER.format(n=_STORE_PATIENCE.seconds)) from None


def _raise_if_worth_it(every: dict[str, dict[str, Fate]]) -> None:
    """Have the call tried again where somebody was not reached who may be: for long where nobody was."""
    silent = [
        f"{name}: {fate.why}" for name, by in every.items() for fate in by.values() if fate.state == "unsent"
    ]
    somebody = any(reached(by) for by in every.values())
    if silent and (not somebody or _is_time_for_more()):
        raise ApplicationError("; ".join(silent)[:1000], type="ChatUnavailable")


def _is_time_for_more() -> bool:
    """Whether another try ends before the step is over: what is not returned by then is not known."""
    info = activity.info()
    if info.attempt >= _TRIES_FOR_THE_OTHERS:
        return False
    if info.schedule_to_close_timeout is None:
        return True
    return server_now() + _PATIENCE < info.scheduled_time + info.schedule_to_close_timeout


def _newest(earlier: Iterable[SentPage], every: dict[str, dict[str, Fate]]) -> list[SentPage]:
    """Return the calls with buttons: those of before that have no newer one, and the newer ones."""
    sent = [
        SentPage(person=name, channel=channel, message=fate.message)
        for name, by in every.items()
        for channel, fate in by.items()
        if fate.message is not None
    ]
    renewed = {(page.person, page.channel) for page in sent}
    return [*(page for page in earlier if (page.person, page.channel) not in renewed), *sent]


def _entries(request: PageRequest, every: dict[str, dict[str, Fate]], now: datetime) -> Iterator[AuditEntry]:
    run = request.view.run_id
    for name, by in every.items():
        number = request.numbers.get(name, 0) + 1
        for channel, fate in by.items():
            if fate.state not in KEPT_ON_RECORD:
                continue
            because = f": {fate.why}" if fate.why else ""
            way = f" by {channel}" if channel else ""
            yield AuditEntry(
                key=f"page/{run}/{request.round}/{request.step}/{name}/{number}/{channel or 'none'}",
                at=now,
                kind=AuditKind.ESCALATION,
                run=run,
                gate=BUTTON_OF,
                person=name,
                channel=channel,
                text=f"a call {KEPT_ON_RECORD[fate.state]} {name}{way}{because}"[:1000],
                data={
                    "state": fate.state,
                    "message": fate.message.message_id if fate.message else "",
                    "step": request.step,
                    "round": request.round,
                    "number": number,
                },
            )
