"""All commands in one table, and the one place where it is decided who may run which."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiogram import BaseMiddleware, Bot
from aiogram.types import Message, TelegramObject, Update

from holdfast.apps.bot import command_texts as texts
from holdfast.apps.bot.replies import command_id
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.texts import say
from holdfast.domain.errors import DecisionRefused
from holdfast.domain.people import Person
from holdfast.ports.audit import AuditEntry, AuditKind
from holdfast.runbook.kinds.table import KINDS

Next = Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]]
MAY_NOT_RUN: Final = "may_not_run_command"


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command.

    Attributes:
        line: what it is for.
        usage: how it is used, by example.
        section: of /help.
        in_groups: whether it is in the menu of groups.
        for_all: known people need no role for it.
        for_strangers: nor need others to be known.
        kind: of runbooks; without that kind there is nothing to start.
    """

    line: str
    usage: str
    section: str
    in_groups: bool = True
    for_all: bool = False
    for_strangers: bool = False
    kind: str = ""

    @property
    def published(self) -> bool:
        """Whether it is in menus and in /help."""
        return not self.kind or self.kind in KINDS


COMMANDS: Final[Mapping[str, Command]] = {
    "incident": Command(
        line=texts.INCIDENT, usage=texts.INCIDENT_USAGE, section=texts.INCIDENTS, kind="incident"
    ),
    "ack": Command(line=texts.ACK, usage=texts.ACK_USAGE, section=texts.INCIDENTS),
    "note": Command(line=texts.NOTE, usage=texts.NOTE_USAGE, section=texts.INCIDENTS),
    "handover": Command(line=texts.HANDOVER, usage=texts.HANDOVER_USAGE, section=texts.INCIDENTS),
    "resolve": Command(line=texts.RESOLVE, usage=texts.RESOLVE_USAGE, section=texts.INCIDENTS),
    "oncall": Command(line=texts.ONCALL, usage=texts.ONCALL_USAGE, section=texts.INCIDENTS),
    "runbooks": Command(line=texts.RUNBOOKS, usage=texts.RUNBOOKS_USAGE, section=texts.ROLLOUTS),
    "rollout": Command(line=texts.ROLLOUT, usage=texts.ROLLOUT_USAGE, section=texts.ROLLOUTS, kind="rollout"),
    "campaign": Command(
        line=texts.CAMPAIGN, usage=texts.CAMPAIGN_USAGE, section=texts.ROLLOUTS, kind="campaign"
    ),
    "load": Command(line=texts.LOAD, usage=texts.LOAD_USAGE, section=texts.CAMPAIGNS, kind="load"),
    "tasks": Command(line=texts.TASKS, usage=texts.TASKS_USAGE, section=texts.CAMPAIGNS, kind="campaign"),
    "accept": Command(line=texts.ACCEPT, usage=texts.ACCEPT_USAGE, section=texts.CAMPAIGNS, kind="campaign"),
    "done": Command(line=texts.DONE, usage=texts.DONE_USAGE, section=texts.CAMPAIGNS, kind="campaign"),
    "loadstop": Command(line=texts.LOADSTOP, usage=texts.LOADSTOP_USAGE, section=texts.CAMPAIGNS, kind="load"),
    "runs": Command(line=texts.RUNS, usage=texts.RUNS_USAGE, section=texts.ROLLOUTS),
    "run": Command(line=texts.RUN, usage=texts.RUN_USAGE, section=texts.ROLLOUTS),
    "pause": Command(line=texts.PAUSE, usage=texts.PAUSE_USAGE, section=texts.ROLLOUTS),
    "resume": Command(line=texts.RESUME, usage=texts.RESUME_USAGE, section=texts.ROLLOUTS),
    "rollback": Command(line=texts.ROLLBACK, usage=texts.ROLLBACK_USAGE, section=texts.ROLLOUTS),
    "gates": Command(line=texts.GATES, usage=texts.GATES_USAGE, section=texts.ANSWERS),
    "gate": Command(line=texts.GATE, usage=texts.GATE_USAGE, section=texts.ANSWERS),
    "extend": Command(line=texts.EXTEND, usage=texts.EXTEND_USAGE, section=texts.ANSWERS),
    "delegate": Command(line=texts.DELEGATE, usage=texts.DELEGATE_USAGE, section=texts.ANSWERS),
    "code": Command(line=texts.CODE, usage=texts.CODE_USAGE, section=texts.ANSWERS, in_groups=False),
    "enrol": Command(
        line=texts.ENROL, usage=texts.ENROL_USAGE, section=texts.YOU, in_groups=False, for_all=True
    ),
    "whoami": Command(
        line=texts.WHOAMI, usage=texts.WHOAMI_USAGE, section=texts.YOU, for_all=True, for_strangers=True
    ),
    "help": Command(
        line=texts.HELP, usage=texts.HELP_USAGE, section=texts.YOU, for_all=True, for_strangers=True
    ),
}
ALIASES: Final[Mapping[str, str]] = {"enroll": "enrol"}


class Roles:
    """Tells who may run which command."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def may(self, person: Person, command: str) -> bool:
        """Whether this person may run it."""
        return COMMANDS[command].for_all or self._services.commands.may(person, command)

    def allowed(self, person: Person) -> list[str]:
        """Return what this person may run of what there is, in the order of the table."""
        rules = self._services.commands
        return [n for n, c in COMMANDS.items() if c.published and (c.for_all or rules.may(person, n))]

    async def check(self, person: Person, command: str, *, key: str) -> None:
        """Return when this person may run it.

        Args:
            person: who wants to.
            command: its name, without the slash.
            key: of the attempt, under which a refusal is put on record once.

        Raises:
            DecisionRefused: not this person; the text says who may.
        """
        if self.may(person, command):
            return
        await self._record(person, command, key)
        holders = ", ".join(self._services.commands.holders(command)) or say(texts.NOBODY)
        refusal = say(texts.MAY_NOT, person=person.title, command=command, holders=holders)
        raise DecisionRefused(MAY_NOT_RUN, refusal)

    async def _record(self, person: Person, command: str, key: str) -> None:
        entry = AuditEntry(
            key=f"refusal/{MAY_NOT_RUN}/{key}",
            at=self._services.now(),
            kind=AuditKind.REFUSAL,
            person=person.name,
            channel="telegram",
            text=texts.AUDIT_REFUSED.format(name=person.name, command=command),  # the record is in English
            data={"answer": MAY_NOT_RUN, "command": command},
        )
        await self._services.audit.append([entry])


class RolesDecide(BaseMiddleware):
    """Lets a known person's command through, or says who may run it; stands behind `OnlyKnownPeople`."""

    def __init__(self, roles: Roles) -> None:
        self._roles = roles

    async def __call__(self, handler: Next, event: TelegramObject, data: dict[str, Any]) -> Any:
        """Pass the message on, or refuse it."""
        command = command_of(event)
        bot, update, person = data.get("bot"), data.get("event_update"), data.get("person")
        if command and isinstance(bot, Bot) and isinstance(update, Update) and isinstance(person, Person):
            await self._roles.check(person, command, key=command_id(bot, update))
        return await handler(event, data)


def command_of(event: TelegramObject) -> str:
    """Return the name of the command that a message is; empty where it is none of ours."""
    text = (event.text or event.caption or "") if isinstance(event, Message) else ""
    if not text.startswith("/"):
        return ""
    name = text.split(maxsplit=1)[0].removeprefix("/").partition("@")[0].lower()
    name = ALIASES.get(name, name)
    return name if name in COMMANDS else ""
