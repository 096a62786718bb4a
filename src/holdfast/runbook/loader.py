"""Loads a runbook file into its strict model, or says line by line what is wrong with it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from holdfast.domain.ids import digest_of
from holdfast.domain.people import People
from holdfast.domain.strict import Strict
from holdfast.runbook.commands import CommandRules
from holdfast.runbook.duty import Duty
from holdfast.runbook.kinds.campaign import CampaignSpec
from holdfast.runbook.kinds.incident import IncidentSpec
from holdfast.runbook.kinds.load import LoadSpec
from holdfast.runbook.kinds.rollout import RolloutSpec
from holdfast.runbook.kinds.table import KINDS
from holdfast.runbook.plain_yaml import Problem
from holdfast.runbook.policies import Policies
from holdfast.runbook.priorities import Priorities
from holdfast.runbook.review import team_problems
from holdfast.runbook.source import Source, read_source
from holdfast.runbook.systems import Systems
from holdfast.runbook.validation import validated

Spec = TypeVar("Spec", bound=Strict)


@dataclass(frozen=True)
class LoadedRunbook(Generic[Spec]):
    """A runbook file that is valid in itself; `review` checks it against the people.

    Attributes:
        spec: the model of the file's kind.
        source: the file's text and the lines of its fields.
    """

    spec: Spec
    source: Source

    @property
    def path(self) -> Path:
        """The file."""
        return self.source.path

    @property
    def digest(self) -> str:
        """The short name of exactly this text; a run pins it."""
        return digest_of(self.source.text)


def load_runbook(path: Path) -> LoadedRunbook[Strict]:
    """Load a runbook of any known kind.

    Raises:
        RunbookInvalid: one line for each problem: `FILE:LINE: field: what is wrong`.
    """
    source = read_source(path)
    kind = source.data.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        known = ", ".join(sorted(KINDS))
        problem = (
            f"unknown kind {kind!r}; known: {known}" if "kind" in source.data else f"is missing; known: {known}"
        )
        raise source.invalid([Problem(("kind",), problem)])
    return _load(source, KINDS[kind])


def load_rollout(path: Path) -> LoadedRunbook[RolloutSpec]:
    """Load a runbook of `kind: rollout`; errors as in `load_runbook`."""
    return _of_kind(load_runbook(path), RolloutSpec, "a rollout")


def load_incident(path: Path) -> LoadedRunbook[IncidentSpec]:
    """Load a runbook of `kind: incident`; errors as in `load_runbook`."""
    return _of_kind(load_runbook(path), IncidentSpec, "an incident")


def load_campaign(path: Path) -> LoadedRunbook[CampaignSpec]:
    """Load a campaign; raises RunbookInvalid for a wrong file, or one of another kind."""
    return _of_kind(load_runbook(path), CampaignSpec, "a campaign")


def load_load_test(path: Path) -> LoadedRunbook[LoadSpec]:
    """Load a load test; raises RunbookInvalid for a wrong file, or one of another kind."""
    return _of_kind(load_runbook(path), LoadSpec, "a load test")


def load_people(path: Path) -> People:
    """Load `people.yaml`: names, Telegram ids and roles must be unambiguous, and teams have an owner.

    Errors as in `load_runbook`.
    """
    source = read_source(path)
    people = validated(source, People)
    problems = [*_ambiguities(people), *team_problems(people)]
    if problems:
        raise source.invalid(problems)
    return people


def load_systems(path: Path) -> Systems:
    """Load `systems.yaml`; relative paths in it are read from its directory; errors as in `load_runbook`."""
    return validated(read_source(path), Systems).beside(path.parent.absolute())


def load_duty(path: Path) -> Duty:
    """Load `escalation/duty.yaml`; errors as in `load_runbook`."""
    return validated(read_source(path), Duty)


def load_policies(path: Path) -> Policies:
    """Load `escalation/policies.yaml`; errors as in `load_runbook`."""
    return validated(read_source(path), Policies)


def load_priorities(path: Path) -> Priorities:
    """Load `escalation/priorities.yaml`; errors as in `load_runbook`."""
    return validated(read_source(path), Priorities)


def load_commands(path: Path) -> CommandRules:
    """Load `commands.yaml`; errors as in `load_runbook`."""
    return validated(read_source(path), CommandRules)


def _of_kind(loaded: LoadedRunbook[Strict], model: type[Spec], wanted: str) -> LoadedRunbook[Spec]:
    if not isinstance(loaded.spec, model):
        kind = loaded.source.data["kind"]
        raise loaded.source.invalid(
            [Problem(("kind",), f"{wanted} is asked for here, but this is of kind '{kind}'")]
        )
    return LoadedRunbook(loaded.spec, loaded.source)


def _load(source: Source, model: type[Spec]) -> LoadedRunbook[Spec]:
    spec = validated(source, model)
    if source.data["name"] != source.path.stem:
        problem = f"must be '{source.path.stem}', like the file's name (got \"{source.data['name']}\")"
        raise source.invalid([Problem(("name",), problem)])
    return LoadedRunbook(spec, source)


def _ambiguities(people: People) -> list[Problem]:
    """Find names and ids that stand for two people, and roles that read like a person."""
    problems: list[Problem] = []
    names: dict[str, int] = {}
    chats: dict[int, str] = {}
    everybody = {p.name for p in people.people}
    roles = {role for p in people.people for role in p.roles}
    for index, person in enumerate(people.people):
        at = ("people", index)
        if names.setdefault(person.name, index) != index:
            problems.append(Problem((*at, "name"), f"'{person.name}' is somebody else's name already"))
        if person.telegram_id is not None and chats.setdefault(person.telegram_id, person.name) != person.name:
            holder = chats[person.telegram_id]
            problems.append(Problem((*at, "telegram_id"), f"{person.telegram_id} is {holder}'s already"))
        if person.deputy and (person.deputy == person.name or person.deputy not in everybody):
            others = ", ".join(sorted(everybody - {person.name}))
            problems.append(Problem((*at, "deputy"), f"'{person.deputy}' is nobody else here; known: {others}"))
        problems += [
            Problem((*at, "groups"), f"'{group}' is a role or a person's name too: name the group otherwise")
            for group in person.groups
            if group in everybody or group in roles
        ]
        problems += [
            Problem((*at, "roles"), f"the role '{role}' has the name of a person: name it otherwise")
            for role in person.roles
            if role in everybody
        ]
    return problems
