"""Calls people to an open gate: each in private, in time, once, and for as long as it takes.

`call_people` is one activity a gate. Each attempt sends what is due and then fails on purpose, with the time
until the next notice as the delay of the retry. So waiting and reminding cost no history, and the Temporal UI
shows what comes next.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Final

from pydantic import BaseModel
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.clock import server_now
from activities.codes import PRIVATE_CHAT, CodeDelivery, about_code, code_entry, command_for, short
from activities.failures import as_failures
from activities.rounds import SOON, Round
from holdfast.domain.errors import (
    ChatUnavailable,
    DeliveryUncertain,
    HoldfastError,
    InvalidInput,
    Unavailable,
)
from holdfast.domain.gates import Gate, outcome_of
from holdfast.domain.ladder import Due, NoticeKind
from holdfast.domain.pasting import sealed
from holdfast.domain.people import People, Person
from holdfast.domain.proofs import CODE_GOOD_FOR, Keyring
from holdfast.domain.standing import waiting_for
from holdfast.domain.view import MessageRef
from holdfast.ports.audit import AuditEntry, AuditKind, AuditLog
from holdfast.ports.notices import Notice, NoticeBook, PrivateChannel, SentNotice

_AUDITED_AS: Final = {
    NoticeKind.REQUEST: AuditKind.REQUEST,
    NoticeKind.REMINDER: AuditKind.REMINDER,
    NoticeKind.WARNING: AuditKind.WARNING,
    NoticeKind.ESCALATION: AuditKind.ESCALATION,
    NoticeKind.OVERDUE: AuditKind.EXPIRY,
}
_NAMES: Final = {
    NoticeKind.REQUEST: "the request",
    NoticeKind.REMINDER: "a reminder",
    NoticeKind.WARNING: "a warning of the deadline",
    NoticeKind.ESCALATION: "an escalation",
    NoticeKind.OVERDUE: "the news that the deadline has passed",
}


class CallRequest(BaseModel):
    """The open gate as it is now, and who is who in the run that asks."""

    run_id: str
    run_title: str
    gate: Gate
    people: People


class RetireRequest(BaseModel):
    """A gate that is closed; its notices are to say so."""

    run_id: str
    gate: Gate


class TellRequest(BaseModel):
    """Plain text for one person."""

    person: Person
    text: str


class CallingActivities:
    """Tells people in private what is asked of them."""

    def __init__(
        self,
        channels: Sequence[PrivateChannel],
        book: NoticeBook,
        audit: AuditLog,
        *,
        keyring: Keyring,
        run_url: Callable[[str], str],
        link_for: Callable[[str, Gate, Person], str] | None = None,
        once_by_key: Collection[str] = (),
    ) -> None:
        """Use these.

        Args:
            channels: every way to reach people; a notice goes by each that reaches the person.
            book: which notices were sent.
            audit: where it is put on record.
            keyring: signs codes and buttons.
            run_url: gives the address of a run's page.
            link_for: gives the address of the web page where a person answers a run's gate.
            once_by_key: names of the channels that send a notice once however often they are given it under one
                key: what a worker was sending there when it died is given to them again.
        """
        self._once_by_key = frozenset(once_by_key)
        self._channels, self._book, self._audit = channels, book, audit
        self._keyring, self._run_url, self._link_for = keyring, run_url, link_for

    @activity.defn
    async def call_people(self, request: CallRequest) -> None:
        """Send what is due; return when nothing more will ever be.

        Raises:
            ApplicationError: of type `NextCall`, benign: something will be due later; its delay waits for it.
        """
        try:
            book = await self._book.of_gate(request.run_id, request.gate.id)
            calls = Round(request.run_id, request.gate, request.people, server_now(), book)
            for person in request.people.people:
                for due in calls.due(person):
                    await self._tell(calls, request.run_title, person, due)
            for notice in calls.crashed():
                await self._settle(notice, "uncertain", "may have reached", "the worker died while sending it")
        except Unavailable as error:
            # With its own delay: the failures on purpose have long driven the retry policy's to its maximum.
            raise ApplicationError(str(error), type=type(error).__name__, next_retry_delay=SOON) from None
        if next_call := calls.next_call():
            raise next_call

    async def _tell(self, calls: Round, run_title: str, person: Person, due: Due) -> None:
        channels = [c for c in self._channels if c.reaches(person)]
        for channel in channels:
            sent = calls.notice(due, channel.name)
            begun = calls.begun(due, channel.name) if channel.name in self._once_by_key else None
            # Where it is in the book by now, an attempt that was cancelled is still at it.
            if sent is not None and not await self._book.begin(sent):
                sent = None
            sent = sent or begun
            if sent is not None:
                notice = self._notice(calls, run_title, person, due).model_copy(update={"key": sent.key})
                await self._send(calls, person, channel, sent, notice)
        if not channels:
            unsent = calls.notice(due, "none")
            if unsent is not None and await self._book.begin(unsent):
                await self._settle(unsent, "failed", "could not be sent to", "no channel reaches this person")

    async def _send(
        self, calls: Round, person: Person, channel: PrivateChannel, sent: SentNotice, notice: Notice
    ) -> None:
        """Send one notice, and see to it that nobody else's depends on what becomes of it."""
        try:
            message = await channel.notify(person, notice)
        except ChatUnavailable as error:
            await self._book.finish(sent.key, state="unsent")
            calls.failed(person, channel.name, error)
        except DeliveryUncertain as error:
            await self._settle(sent, "uncertain", "may have reached", str(error))
        except HoldfastError as error:
            await self._settle(sent, "failed", "could not be sent to", str(error))
        else:
            await self._settle(sent, "sent", "was sent to", message=message)
            calls.told.append(person.name)

    def _notice(self, calls: Round, run_title: str, person: Person, due: Due) -> Notice:
        run_id, gate = calls.run_id, calls.gate
        return Notice(
            run_id=run_id,
            run_title=run_title,
            run_url=self._run_url(run_id),
            gate=gate,
            kind=due.kind,
            number=due.number,
            waiting=tuple(n for n in waiting_for(gate, calls.people, calls.now) if n != person.name),
            button=self._keyring.button(run_id, gate.token, gate.evidence, person.name),
            link=self._link_for(run_id, gate, person) if self._link_for else "",
            next_at=calls.next_for(person),
        )

    async def _settle(
        self, sent: SentNotice, state: str, fate: str, why: str = "", *, message: MessageRef | None = None
    ) -> None:
        """Put what became of a notice on record, and only then into the book: a crash between loses nothing."""
        because = f": {why}" if why else ""
        entry = AuditEntry(
            key=sent.key,
            at=sent.at,
            kind=_AUDITED_AS[sent.kind],
            run=sent.run,
            gate=sent.gate,
            person=sent.person,
            channel=sent.channel,
            text=f"{_NAMES[sent.kind]} {fate} {sent.person} by {sent.channel}{because}"[:1000],
            data={"state": state, "message": message.message_id if message else ""},
        )
        await self._audit.append([entry])
        await self._book.finish(sent.key, state=state, message=message)

    @activity.defn
    async def retire_notices(self, request: RetireRequest) -> None:
        """Say in every notice about a closed gate what became of it, and take its buttons off."""
        text = outcome_of(request.gate)
        late: ChatUnavailable | None = None
        with as_failures():
            for notice in await self._book.of_gate(request.run_id, request.gate.id):
                try:
                    await self._retire(notice, text[:1].upper() + text[1:])
                except ChatUnavailable as error:
                    late = error
            if late is not None:
                raise late

    async def _retire(self, notice: SentNotice, text: str) -> None:
        channel = next((c for c in self._channels if c.name == notice.channel), None)
        if notice.state != "sent" or notice.message is None or channel is None:
            return
        try:
            await channel.retire(notice.message, text)
        except InvalidInput as error:
            activity.logger.warning("notice %s cannot be edited any more: %s", notice.key, error)
        except DeliveryUncertain as error:  # an edit does no harm twice
            raise ChatUnavailable(str(error)) from None
        await self._book.finish(notice.key, state="retired", message=notice.message)

    @activity.defn
    async def tell_person(self, request: TellRequest) -> None:
        """Write plain text to one person, by the first channel that can."""
        person = request.person
        refused = f"no channel reaches {person.name}: neither telegram_id nor email is set in people.yaml"
        with as_failures():
            for channel in self._channels:
                if not channel.reaches(person):
                    continue
                try:
                    await channel.say(person, request.text)
                except InvalidInput as error:
                    refused = str(error)
                else:
                    return
            raise InvalidInput(refused)

    @activity.defn
    async def send_code(self, delivery: CodeDelivery) -> str:
        """Send an approval code to the private chat of the person it is for; say where it went.

        The code itself is in no result, no log and no record.
        """
        person = delivery.person
        with as_failures():
            chat = next((c for c in self._channels if c.name == PRIVATE_CHAT and c.reaches(person)), None)
            if chat is None:
                raise InvalidInput(
                    f"{person.name} has no private chat with the bot, so there is nowhere to send a code: set "
                    "telegram_id in people.yaml, and have the person start the bot"
                )
            if delivery.gate is not None and delivery.gate.mfa:
                return await self._ask_for_second_factor(delivery, chat)
            return await self._hand_out(delivery, chat)

    async def _ask_for_second_factor(self, delivery: CodeDelivery, chat: PrivateChannel) -> str:
        command = command_for(delivery)
        await chat.say(
            delivery.person,
            f"Gate '{delivery.about}' of {delivery.run_id} needs a code of your authenticator app. Send me "
            "the command below: I ask for the code and go on from there.",
            paste=command,
        )
        return (
            "This gate needs a code of the authenticator app, which the bot asks for in "
            f"{short(delivery.person)}'s private chat: send '{command}' there."
        )

    async def _hand_out(self, delivery: CodeDelivery, chat: PrivateChannel) -> str:
        now, person = server_now(), delivery.person
        paste = sealed(self._keyring, delivery.run_id, delivery.execution, delivery.said(), now=now)
        await self._audit.append([code_entry(delivery, now)])  # before: no code without a record
        until = now + CODE_GOOD_FOR
        await chat.say(person, about_code(delivery, until), paste=paste)
        return (
            f"A code was sent to {short(person)}'s private chat. It is good until {until:%Y-%m-%d %H:%M} UTC."
        )
