"""Checks the files of on-call against each other: who is on duty, who is called, who may use what."""

from collections.abc import Collection, Iterator, Mapping

from holdfast.domain.duty import Rota
from holdfast.domain.escalation import EscalationPolicy, rota_named
from holdfast.domain.people import People
from holdfast.runbook.commands import CommandRules
from holdfast.runbook.kinds.incident import IncidentSpec
from holdfast.runbook.plain_yaml import FieldPath, Problem
from holdfast.runbook.review import nobody_holds, refuse
from holdfast.runbook.source import Source


def review_duty(rotas: Mapping[str, Rota], people: People, *, source: Source | None = None) -> None:
    """Check that everybody in a rota is known and can be called, and that backups exist.

    Args:
        rotas: valid in themselves.
        people: who is known.
        source: the file, so that errors name lines.

    Raises:
        RunbookInvalid: one line for each problem.
    """
    refuse(list(duty_problems(rotas, people)), source, "escalation/duty.yaml")


def review_policies(
    policies: Mapping[str, EscalationPolicy],
    people: People,
    rotas: Mapping[str, Rota],
    *,
    source: Source | None = None,
) -> None:
    """Check that every step calls rotas that exist, and people who can be called; else as `review_duty`."""
    refuse(list(policy_problems(policies, people, rotas)), source, "escalation/policies.yaml")


def review_commands(rules: CommandRules, people: People, *, source: Source | None = None) -> None:
    """Check that somebody may use each command; otherwise as `review_duty`."""
    problems = [
        problem
        for name, holders in rules.commands.items()
        for problem in nobody_holds(("commands", name), holders, people)
    ]
    refuse(problems, source, "commands.yaml")


def review_incident(
    spec: IncidentSpec, people: People, policies: Collection[str], *, source: Source | None = None
) -> None:
    """Check that somebody may open it and that its policy exists; otherwise as `review_duty`."""
    refuse(list(incident_problems(spec, people, policies)), source, f"runbook '{spec.name}'")


def incident_problems(spec: IncidentSpec, people: People, policies: Collection[str]) -> Iterator[Problem]:
    """Find what is wrong with a kind of incident beside the other files."""
    yield from nobody_holds(("openers",), spec.openers, people)
    yield from nobody_holds(("responders",), spec.responders, people)
    if spec.escalation not in policies:
        known = ", ".join(sorted(policies)) or "none"
        yield Problem(
            ("escalation",),
            f"there is no policy '{spec.escalation}' in escalation/policies.yaml; known: {known}",
        )


def duty_problems(rotas: Mapping[str, Rota], people: People) -> Iterator[Problem]:
    """Find members who are unknown or cannot be called, and backups that are none."""
    for name, rota in rotas.items():
        at: FieldPath = ("rotas", name)
        for index, member in enumerate(rota.members):
            yield from _member_problems((*at, "members", index), member, people)
        if rota.backup and (rota.backup == name or rota.backup not in rotas):
            others = ", ".join(sorted(set(rotas) - {name})) or "none"
            yield Problem((*at, "backup"), f"'{rota.backup}' is no other rota; known: {others}")


def policy_problems(
    policies: Mapping[str, EscalationPolicy], people: People, rotas: Mapping[str, Rota]
) -> Iterator[Problem]:
    """Find entries of steps that would call nobody."""
    for name, policy in policies.items():
        for number, step in enumerate(policy.steps):
            for index, wanted in enumerate(step.page):
                at: FieldPath = ("policies", name, "steps", number, "page", index)
                yield from _target_problems(at, wanted, people, rotas)


def _member_problems(at: FieldPath, member: str, people: People) -> Iterator[Problem]:
    person = people.named(member)
    if person is None or person.name != member:
        known = ", ".join(p.name for p in people.people) or "none"
        yield Problem(at, f"nobody in people.yaml has the name '{member}'; known: {known}")
    elif not _can_be_called([member], people):
        yield Problem(at, _unreachable(member))


def _target_problems(
    at: FieldPath, wanted: str, people: People, rotas: Mapping[str, Rota]
) -> Iterator[Problem]:
    rota = rota_named(wanted)
    if rota is None:
        missing = list(nobody_holds(at[:-1], [wanted], people))
        yield from (Problem(at, problem.message) for problem in missing)
        if not missing and not _can_be_called([wanted], people):
            yield Problem(at, _unreachable(wanted))
    elif rota not in rotas:
        known = ", ".join(sorted(rotas)) or "none"
        yield Problem(at, f"there is no rota '{rota}' in escalation/duty.yaml; known: {known}")


def _can_be_called(wanted: Collection[str], people: People) -> bool:
    return any(p.telegram_id is not None or p.email for p in people.holding(wanted))


def _unreachable(wanted: str) -> str:
    return f"nobody can be called by '{wanted}': give one of them a telegram_id or an email in people.yaml"
