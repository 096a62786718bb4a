"""What waits to be sent, why, and what to do about messages whose fate is not known."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final

from cyclopts import App, Group, Parameter

from holdfast.apps.cli.exits import Exit
from holdfast.apps.cli.outbox_lines import line, message, read
from holdfast.apps.cli.outbox_views import Seen, document, words
from holdfast.apps.cli.output import Output, complain
from holdfast.apps.cli.parameters import AsJson, AsPerson
from holdfast.domain.errors import DecisionRefused, InvalidInput, UnknownName
from holdfast.domain.people import People
from holdfast.outbox.explain import COUNTED, Explanation, explain
from holdfast.outbox.message import Row, RowState
from holdfast.outbox.outbox import Outbox
from holdfast.outbox.store import OutboxStore
from holdfast.ports.audit import AuditEntry, AuditKind, AuditLog
from holdfast.runbook.commands import CommandRules
from holdfast.runbook.priorities import Priorities

_COMMAND: Final = "outbox"
_EXAMPLES: Final = """\
Examples:
  holdfast outbox list                    what waits, what is uncertain, what nobody took
  holdfast outbox list --state uncertain --json | jq '.messages[].id'
  holdfast outbox explain 4711            position, expected time, and why
  holdfast outbox retry 4711 --as anna    send it again; an uncertain one may come twice
  holdfast outbox drop 4711 --as anna --reason 'out of date'
  holdfast outbox put --chat -1001 --text 'Order 88 is stuck' --key order-88 --tier gold

Messages are sent by 'holdfast bot'. The order is in escalation/priorities.yaml; docs/outbox.md explains it."""

_PUT_EXAMPLES: Final = """\
Examples:
  holdfast outbox put --chat -1001 --text 'Order 88 is stuck' --key order-88 --tier gold
  holdfast outbox put --lines < escalations.jsonl

With --lines each line of stdin is one message:
  {"key": "order-88", "chat": "-1001", "text": "…", "tier": "gold", "value": 250000}
"kind" and "thread" (a topic's id) may stand there too. All lines are put, or none.
What is put twice under one key is sent once."""

_LISTED: Final = 20
_NOTHING_WAS_PUT: Final = "; nothing was put"
_NEEDS_EYES: Final = (RowState.QUEUED, RowState.SENDING, RowState.UNCERTAIN, RowState.DEAD)
_Id = Annotated[int, Parameter(help="Number of the message, as `holdfast outbox list` shows it.")]
_Ids = Annotated[list[int], Parameter(help="Numbers of messages.")]


@dataclass(frozen=True)
class OutboxDeps:
    """What these commands work with; called only when needed.

    Attributes:
        store: lends the rows; entered once a command.
        priorities: the policy.
        bot: whose messages: the number before the colon of its token.
        people: who retries and drops.
        rules: who of them may, as the command `outbox`.
        audit: lends the record, where that is put.
    """

    store: Callable[[], AbstractAsyncContextManager[OutboxStore]]
    priorities: Callable[[], Priorities]
    bot: Callable[[], str]
    people: Callable[[], People]
    rules: Callable[[], CommandRules]
    audit: Callable[[], AbstractAsyncContextManager[AuditLog]]


def add_outbox(app: App, deps: OutboxDeps) -> None:
    """Add `holdfast outbox` to the command line."""
    commands = OutboxCommands(deps)
    outbox = App(name="outbox", help="See what waits to be sent, and settle what is not certain.",
                 group=Group("Messages", sort_key=2), help_epilogue=_EXAMPLES)  # fmt: skip
    outbox.command(commands.list_messages, name="list", help_epilogue=_EXAMPLES)
    outbox.command(commands.explain, help_epilogue=_EXAMPLES)
    outbox.command(commands.retry, help_epilogue=_EXAMPLES)
    outbox.command(commands.drop, help_epilogue=_EXAMPLES)
    outbox.command(commands.put, help_epilogue=_PUT_EXAMPLES)
    app.command(outbox)


class OutboxCommands:
    """Looking at messages, and deciding about those whose fate is not known."""

    def __init__(self, deps: OutboxDeps) -> None:
        """Work with these."""
        self._deps = deps

    async def list_messages(
        self,
        *,
        state: Annotated[
            list[RowState] | None, Parameter(help="Only these; without it all but sent ones.")
        ] = None,
        chat: Annotated[
            str, Parameter(help="Only to this chat.", allow_leading_hyphen=True, show_default=False)
        ] = "",
        limit: Annotated[int, Parameter(help="At most so many.")] = 50,
        as_json: AsJson = False,
    ) -> Exit:
        """List messages, those that go first coming first, with how many there are in each state and tier."""
        if limit < 1:
            raise InvalidInput(f"--limit: {limit} is less than 1")
        out, bot, now = Output(as_json=as_json), self._deps.bot(), datetime.now(UTC)
        states = tuple(state or _NEEDS_EYES)
        async with self._deps.store() as store:
            rows = await store.rows(bot, states=states, chat=chat, limit=limit)
            counts, lanes = await store.counts(bot), await store.lanes(bot)
            lease = await store.holder(bot)
        sender = lease.holder if lease and lease.until > now else ""
        seen = Seen(now, rows, counts, lanes, sender=sender, states=states, of_chat=bool(chat))
        out.document(seen.document())
        if not as_json:
            seen.tell(out)
        return Exit.DONE

    async def explain(self, number: _Id, /, *, as_json: AsJson = False) -> Exit:
        """Say where a message stands, when it is expected to go, and why."""
        out, bot, now = Output(as_json=as_json), self._deps.bot(), datetime.now(UTC)
        async with self._deps.store() as store:
            row = await _found(store, number, bot)
            told = await self._explained(store, row, now)
        out.document({"message": document(row), "explanation": told.model_dump(mode="json")})
        if not as_json:
            out.say(f"No. {row.id} · {row.state} · {row.kind} to chat {row.chat}\n{words(row)}\n")
            for sentence in told.sentences:
                out.say(sentence)
        return Exit.DONE

    async def retry(
        self, numbers: _Ids, /, *, person: AsPerson, reason: Annotated[str, Parameter(help="Why.")] = ""
    ) -> Exit:
        """Queue uncertain or dead messages again; an uncertain one says that it may be a copy."""
        who, now = self._person(person), datetime.now(UTC)
        why = f"sent again by {who}" + (f": {reason}" if reason else "")
        retried = _Deed(who, "is queued again", why)
        return await self._each(numbers, lambda store, row_id: store.retry(row_id, why=why, now=now), retried)

    async def drop(
        self,
        numbers: _Ids,
        /,
        *,
        person: AsPerson,
        reason: Annotated[str, Parameter(help="Why; it is kept with the message.")],
    ) -> Exit:
        """Give messages up that wait or are uncertain; they stay in the list as dead, with the reason."""
        if not reason.strip():
            raise InvalidInput("--reason: say why, others read it")
        who = self._person(person)
        why = f"dropped by {who}: {reason.strip()}"
        dropped = _Deed(who, "is dropped", why)
        return await self._each(numbers, lambda store, row_id: store.drop(row_id, why=why), dropped)

    async def put(
        self,
        *,
        chat: Annotated[
            str, Parameter(help="Id of the chat.", allow_leading_hyphen=True, show_default=False)
        ] = "",
        text: Annotated[
            str, Parameter(help="What to say, plain.", allow_leading_hyphen=True, show_default=False)
        ] = "",
        key: Annotated[
            str, Parameter(help="Names the message: put twice, sent once.", show_default=False)
        ] = "",
        tier: Annotated[str, Parameter(help="Of the customer.", show_default=False)] = "",
        value: Annotated[float, Parameter(help="Of the order.")] = 0.0,
        kind: Annotated[str, Parameter(help="A kind of priorities.yaml.")] = "escalation",
        lines: Annotated[
            bool, Parameter(help="Read messages from stdin, one JSON object a line.", show_default=False)
        ] = False,
        as_json: AsJson = False,
    ) -> Exit:
        """Put messages in line for the bot to send, e.g. a customer's escalations from a CRM."""
        typed = {"key": key, "chat": chat, "text": text, "tier": tier, "value": value, "kind": kind}
        if lines and any((key, chat, text)):
            raise InvalidInput("--lines: chat, text and key stand in the lines then; leave the options out")
        wanted = read(sys.stdin) if lines else [("--", typed)]
        priorities = self._deps.priorities()
        messages = [message(where, line(where, content), priorities) for where, content in wanted]
        out, bot, now = Output(as_json=as_json), self._deps.bot(), datetime.now(UTC)
        async with self._deps.store() as store:
            ids = await Outbox(store, self._deps.priorities, bot=bot).put_all(messages)
            only = await store.row(ids[0]) if len(ids) == 1 else None
        keys = [{"id": row_id, "key": message.key} for row_id, message in zip(ids, messages, strict=True)]
        out.document({"messages": keys})
        if only and only.queued_at < now:
            out.say(f"Put already under this key: no. {only.id}, {only.state}. Nothing was added.")
        else:
            listed = ", ".join(map(str, ids[:_LISTED])) + (" …" if len(ids) > _LISTED else "")
            out.say(f"In line: no. {listed}. 'holdfast outbox explain {ids[0]}' says when it goes.")
        return Exit.DONE

    async def _each(
        self, numbers: Sequence[int], act: Callable[[OutboxStore, int], Awaitable[bool]], deed: "_Deed"
    ) -> Exit:
        out, bot, code = Output(), self._deps.bot(), Exit.DONE
        async with self._deps.store() as store, self._deps.audit() as audit:
            for number in numbers:
                await _found(store, number, bot)
            for number in numbers:
                if await act(store, number):
                    await audit.append([deed.entry(number, datetime.now(UTC))])
                    out.say(f"No. {number} {deed.done}.")
                else:
                    row = await _found(store, number, bot)
                    complain(f"No. {number} is left as it is: {row.state}{f' ({row.why})' if row.why else ''}.")
                    code = Exit.OTHERWISE
        return code

    async def _explained(self, store: OutboxStore, row: Row, now: datetime) -> Explanation:
        waits = row.state is RowState.QUEUED
        return explain(
            row,
            ahead=await store.ahead(row, limit=COUNTED) if waits else 0,
            ahead_in_chat=await _ahead_in_chat(store, row) if waits else 0,
            lane=(await store.lanes(row.bot)).get(row.tier),
            priorities=self._deps.priorities(),
            pauses=await store.pauses(row.bot, now=now),
            lease=await store.holder(row.bot),
            now=now,
        )

    def _person(self, name: str) -> str:
        people = self._deps.people()
        person = people.named(name)
        if person is None:
            raise UnknownName("person", name, (p.name for p in people.people))
        rules = self._deps.rules()
        if not rules.may(person, _COMMAND):
            holders = ", ".join(rules.holders(_COMMAND))
            raise DecisionRefused(
                "may_not_settle",
                f"'{person.name}' may not retry or drop messages; this is for {holders}: ask one of them",
            )
        return person.name


@dataclass(frozen=True)
class _Deed:
    """What a person does about messages: who, in words for that person, and for the record."""

    who: str
    done: str
    why: str

    def entry(self, number: int, now: datetime) -> AuditEntry:
        return AuditEntry(
            key=f"outbox/{number}/{now.isoformat()}",
            at=now,
            kind=AuditKind.MESSAGE,
            person=self.who,
            channel="cli",
            text=f"message no. {number} was {self.why}"[:1000],
            data={"message": number},
        )


async def _found(store: OutboxStore, number: int, bot: str) -> Row:
    row = await store.row(number)
    if row is None or row.bot != bot:
        raise InvalidInput(
            f"no. {number} is no message of this bot, or was sent long ago: see 'holdfast outbox list'"
        )
    return row


async def _ahead_in_chat(store: OutboxStore, row: Row) -> int:
    waiting = await store.rows(row.bot, states=(RowState.QUEUED,), chat=row.chat, limit=COUNTED)
    return sum(one.tier == row.tier and (one.due, one.id) < (row.due, row.id) for one in waiting)
