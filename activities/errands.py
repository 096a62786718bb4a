"""Asks one person to take a role or to do a task, by every channel that reaches the person."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from pydantic import AwareDatetime, BaseModel, Field
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.clock import server_now
from activities.fates import KEPT_ON_RECORD, Fate, fate_of, reached, troubles_of
from activities.paging import SentPage
from activities.pulse import Pulse, beating
from holdfast.domain import run_phrases
from holdfast.domain.errors import Unavailable
from holdfast.domain.people import People, Person
from holdfast.domain.proofs import Keyring
from holdfast.domain.view import RunView
from holdfast.domain.words import Act
from holdfast.ports.audit import AuditEntry, AuditKind, AuditLog
from holdfast.ports.notices import Errand, PrivateChannel

# For one message, and for the record: with two channels they fit into one attempt of an activity.
_PATIENCE: Final = timedelta(seconds=10)
_STORE_PATIENCE: Final = timedelta(seconds=5)
# A request that reached the person by one channel is not held up any longer by another one.
_TRIES_FOR_THE_OTHERS: Final = 3


class ErrandRequest(BaseModel):
    """What one person is asked to take or to do.

    Attributes:
        view: of the run that asks.
        people: who is who.
        name: short name of the person.
        text: what is wanted, one English sentence.
        act: what the button says to the run: `accept` or `done`.
        to: name of the role, or id of the task.
        label: what stands on the button; empty: what fits the act.
        due: until when; None where nothing is due.
        number: how often this person was asked for it, from 1.
        key: names this request; what is asked again under it is sent once.
    """

    view: RunView
    people: People
    name: str
    text: str
    act: Act
    to: str
    label: str = ""
    due: AwareDatetime | None = None
    number: int = 1
    key: str


class ErrandSent(BaseModel):
    """What became of it.

    Attributes:
        pages: the messages with a button, for `PagingActivities.retire_pages`.
        troubles: why the person was not reached, one sentence each; empty where one channel was enough.
    """

    pages: list[SentPage] = Field(default_factory=list[SentPage])
    troubles: list[str] = Field(default_factory=list[str])


class ErrandActivities:
    """Asks people for roles and tasks."""

    def __init__(
        self,
        channels: Sequence[PrivateChannel],
        audit: AuditLog,
        *,
        keyring: Keyring,
        run_url: Callable[[str], str],
    ) -> None:
        """Use these.

        Args:
            channels: every way to reach people; a request goes by each that reaches the person.
            audit: where it is put on record.
            keyring: signs the buttons.
            run_url: gives the address of a run's page.
        """
        self._channels, self._audit = channels, audit
        self._keyring, self._run_url = keyring, run_url

    @activity.defn
    async def ask_person(self, request: ErrandRequest) -> ErrandSent:
        """Ask once by each channel, however often this is tried; a person who cannot be reached is no error.

        Raises:
            ApplicationError: of type `ChatUnavailable`: the person was not reached, and that may change.
        """
        async with beating() as pulse:
            fates = await self._asked(request, pulse)
            await self._on_record(request, fates)
            _raise_if_worth_it(request.name, fates)
        sent = [
            SentPage(person=request.name, channel=channel, message=fate.message)
            for channel, fate in fates.items()
            if fate.message is not None
        ]
        return ErrandSent(pages=sent, troubles=list(troubles_of(request.name, fates)))

    async def _asked(self, request: ErrandRequest, pulse: Pulse) -> dict[str, Fate]:
        """Ask by every channel; return what became of it, by channel."""
        person = request.people.named(request.name)
        channels = [c for c in self._channels if person is not None and c.reaches(person)]
        if person is None or not channels:
            return {"": Fate(state="failed", why=run_phrases.NO_ADDRESS)}
        errand = self._errand(request, person)
        fates: dict[str, Fate] = {}
        for channel in channels:
            known = pulse.memory.get(channel.name)
            fate = (
                Fate.model_validate_json(known)
                if known
                else await fate_of(channel.errand(person, errand), channel.name, _PATIENCE)
            )
            fates[channel.name] = fate
            if not known and fate.state != "unsent":
                pulse.keep({**pulse.memory, channel.name: fate.model_dump_json()})
        return fates

    def _errand(self, request: ErrandRequest, person: Person) -> Errand:
        view = request.view
        return Errand(
            key=request.key,
            run_id=view.run_id,
            run_title=view.title,
            run_url=self._run_url(view.run_id),
            text=request.text,
            act=request.act,
            to=request.to,
            label=request.label,
            button=self._keyring.button(view.run_id, request.act, request.to, person.name),
            due=request.due,
            overdue=request.due is not None and request.due <= server_now(),
            number=request.number,
        )

    async def _on_record(self, request: ErrandRequest, fates: dict[str, Fate]) -> None:
        """Put it on record; where that fails for long, asking people goes before."""
        try:
            async with asyncio.timeout(_STORE_PATIENCE.total_seconds()):
                await self._audit.append(list(_entries(request, fates, server_now())))
        except (Unavailable, TimeoutError) as error:
            if activity.info().attempt < _TRIES_FOR_THE_OTHERS:
                why = str(error) or run_phrases.NO_ANSWER.format(n=_STORE_PATIENCE.seconds)
                raise ApplicationError(why, type="Unavailable") from None
            activity.logger.error("a request to %s is not on record: %s", request.name, error)


def _raise_if_worth_it(name: str, fates: dict[str, Fate]) -> None:
    """Have it tried again where a channel may take it later: for long where no other one has."""
    silent = [fate.why for fate in fates.values() if fate.state == "unsent"]
    if silent and (not reached(fates) or activity.info().attempt < _TRIES_FOR_THE_OTHERS):
        raise ApplicationError(f"{name}: {'; '.join(silent)}"[:1000], type="ChatUnavailable")


def _entries(request: ErrandRequest, fates: dict[str, Fate], now: datetime) -> Iterator[AuditEntry]:
    kind = AuditKind.REMINDER if request.number > 1 else AuditKind.REQUEST
    what = f"{'the role' if request.act is Act.ACCEPT else 'the task'} '{request.to}'"
    for channel, fate in fates.items():
        if fate.state not in KEPT_ON_RECORD:
            continue
        way, why = f" by {channel}" if channel else "", f": {fate.why}" if fate.why else ""
        yield AuditEntry(
            key=f"{request.key}/{channel or 'none'}",
            at=now,
            kind=kind,
            run=request.view.run_id,
            gate=request.act,
            person=request.name,
            channel=channel,
            text=f"a request for {what} {KEPT_ON_RECORD[fate.state]} {request.name}{way}{why}"[:1000],
            data={
                "state": fate.state,
                "to": request.to,
                "message": fate.message.message_id if fate.message else "",
                "number": request.number,
            },
        )
