"""`commands.yaml`: which commands of the bot not everybody may use."""

from typing import Final

from pydantic import Field, field_validator

from holdfast.domain.people import Person
from holdfast.domain.strict import Strict

COMMANDS: Final = frozenset(
    {
        "accept", "ack", "campaign", "code", "cover", "delegate", "done", "extend", "gate", "gates", "handover",
        "incident", "load", "loadstop", "note", "oncall", "outbox", "pause", "resolve", "resume", "rollback",
        "rollout", "run", "runbooks", "runs", "tasks",
    }
)  # fmt: skip
"""What can be kept to some; `/start`, `/help`, `/whoami` and `/enrol` are everybody's."""


class CommandRules(Strict):
    """Who may use which command; beside what a runbook says, which counts too.

    Attributes:
        commands: roles, groups or names, by the command without its slash. A command that is not named is
            everybody's who is in `people.yaml`.
    """

    commands: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @field_validator("commands")
    @classmethod
    def _commands_are_known(cls, commands: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for name, holders in commands.items():
            if name not in COMMANDS:
                known = ", ".join(sorted(COMMANDS))
                raise ValueError(f"{name} is no command that can be kept to some people; known: {known}")
            if not holders:
                raise ValueError(f"{name} is nobody's: list who may use it, or leave it out for everybody")
        return commands

    def may(self, person: Person, command: str) -> bool:
        """Whether a person of `people.yaml` may use a command; the name has no slash."""
        return command not in self.commands or person.belongs_to(self.commands[command])

    def holders(self, command: str) -> tuple[str, ...]:
        """Return the roles, groups and names who may use a command; nothing means everybody."""
        return self.commands.get(command, ())
