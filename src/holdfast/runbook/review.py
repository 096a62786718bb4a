"""Checks a runbook as a whole: against the people who are to sign it off, the systems, and query by query."""

from collections.abc import Iterable, Iterator, Sequence
from string import Template
from typing import Final

from holdfast.domain.errors import InvalidInput, RunbookInvalid
from holdfast.domain.people import People
from holdfast.domain.signoff import SignOff, can_be_met, slots_of
from holdfast.runbook.kinds.changes import AlembicChange, Change, HttpConfigChange
from holdfast.runbook.kinds.rollout import RolloutSpec, Stage
from holdfast.runbook.plain_yaml import FieldPath, Problem
from holdfast.runbook.source import Source, describe
from holdfast.runbook.systems import Systems

_PLACEHOLDERS: Final = {"side", "window"}


def review(
    spec: RolloutSpec, people: People, *, systems: Systems | None = None, source: Source | None = None
) -> None:
    """Check what no field can be checked for alone.

    Args:
        spec: a runbook that is valid in itself.
        people: who would sign it off.
        systems: what it may change; None leaves that unchecked.
        source: the file, so that errors name lines; without it they name the runbook.

    Raises:
        RunbookInvalid: one line for each problem.
    """
    problems = [*_people_problems(spec, people), *_query_problems(spec)]
    if systems is not None:
        problems += _system_problems(spec, systems)
    refuse(problems, source, f"runbook '{spec.name}'")


def refuse(problems: Sequence[Problem], source: Source | None, name: str) -> None:
    """Raise what is wrong, if anything is: by line where the file is given, else under this name."""
    if not problems:
        return
    if source is not None:
        raise source.invalid(problems)
    raise RunbookInvalid("\n".join(f"{name}: {describe(p)}" for p in problems))


def team_problems(people: People) -> Iterator[Problem]:
    """Find owners of teams that stand for nobody."""
    for name, team in people.teams.items():
        yield from nobody_holds(("teams", name, "owner"), team.owner, people)


def _people_problems(spec: RolloutSpec, people: People) -> Iterator[Problem]:
    if spec.team and spec.team not in people.teams:
        known = ", ".join(sorted(people.teams)) or "none"
        yield Problem(("team",), f"there is no team '{spec.team}' in people.yaml; known: {known}")
    yield from nobody_holds(("starters",), spec.starters, people)
    yield from nobody_holds(("rollback", "page"), spec.rollback.page, people)
    for index, stage in enumerate(spec.stages):
        yield from _gate_problems(("stages", index, "gate"), stage.gate, people)
        for at, change in _placed_changes(("stages", index), stage):
            if isinstance(change, AlembicChange) and change.point_of_no_return is not None:
                yield from _gate_problems((*at, "point_of_no_return"), change.point_of_no_return, people)


def _gate_problems(at: FieldPath, gate: SignOff, people: People) -> Iterator[Problem]:
    for path, listed in _named(gate):
        yield from nobody_holds((*at, *path), listed, people)
    slots = slots_of(gate, people)
    if all(slot.holders for slot in slots) and not can_be_met(slots):
        field = "steps" if gate.steps else "quorum"
        names = ", ".join(p.name for p in people.holding(gate.listed))
        yield Problem(
            (*at, field),
            f"asks for {len(slots)} approvals by different people, but only these may approve: {names}",
        )


def _named(gate: SignOff) -> Iterator[tuple[FieldPath, tuple[str, ...]]]:
    """Yield every list of people in a policy, with the path to it."""
    yield ("approvers",), gate.approvers
    for number, step in enumerate(gate.steps):
        yield ("steps", number, "of" if step.of else "all_of"), step.listed
    for number, escalation in enumerate(gate.escalate):
        yield ("escalate", number, "to"), escalation.listed
    yield ("veto",), gate.veto
    yield ("may_extend",), gate.may_extend


def nobody_holds(at: FieldPath, listed: Iterable[str], people: People) -> Iterator[Problem]:
    """Find the names in a list that stand for nobody."""
    for index, wanted in enumerate(listed):
        if not people.holding([wanted]):
            known = sorted({n for p in people.people for n in (p.name, *p.roles, *p.groups)})
            yield Problem(
                (*at, index),
                f"nobody in people.yaml has the role, group or name '{wanted}'; "
                f"known: {', '.join(known) or 'none'}",
            )


def _system_problems(spec: RolloutSpec, systems: Systems) -> Iterator[Problem]:
    """Find systems that are not there, or are something else than the runbook takes them for."""
    target = spec.target.endpoint
    # A target that is not listed may be one of the endpoints in the worker's settings.
    if target in systems.systems and _needs_target(spec):
        yield from _not_of_kind(("target", "endpoint"), target, "http_config", systems)
    for index, stage in enumerate(spec.stages):
        for at, change in _placed_changes(("stages", index), stage):
            if not isinstance(change, HttpConfigChange):
                yield from _not_of_kind((*at, "system"), change.system, change.kind, systems)


def _needs_target(spec: RolloutSpec) -> bool:
    return any(stage.has_canary or stage.settings for stage in spec.stages)


def _placed_changes(at: FieldPath, stage: Stage) -> Iterator[tuple[FieldPath, Change]]:
    if stage.change is not None:
        yield (*at, "change"), stage.change
    for index, change in enumerate(stage.changes):
        yield (*at, "changes", index), change


def _not_of_kind(at: FieldPath, name: str, kind: str, systems: Systems) -> Iterator[Problem]:
    known = ", ".join(sorted(n for n, system in systems.systems.items() if system.kind == kind)) or "none"
    found = systems.systems.get(name)
    if found is None:
        yield Problem(at, f"there is no system '{name}' in systems.yaml; known of kind {kind}: {known}")
    elif found.kind != kind:
        yield Problem(at, f"'{name}' is of kind {found.kind} in systems.yaml; known of kind {kind}: {known}")


def check_requester(spec: RolloutSpec, people: People, requester: str) -> None:
    """Check that every gate can be passed although this person starts the run.

    Raises:
        InvalidInput: a gate cannot: who asks does not approve.
    """
    for stage, gate in _all_gates(spec):
        later_tiers = any(escalation.listed for escalation in gate.escalate)
        if not later_tiers and not can_be_met(slots_of(gate, people, requester=requester)):
            raise InvalidInput(
                f"if '{requester}' starts this, nobody is left to approve stage '{stage.name}' "
                f"({gate.describe()}): who asks does not approve. Let somebody else start it, or set "
                "requester_may_approve in the file."
            )


def _all_gates(spec: RolloutSpec) -> Iterator[tuple[Stage, SignOff]]:
    for stage in spec.stages:
        yield stage, stage.gate
        for change in stage.all_changes:
            if isinstance(change, AlembicChange) and change.point_of_no_return is not None:
                yield stage, change.point_of_no_return


def _query_problems(spec: RolloutSpec) -> Iterator[Problem]:
    """Find queries that could not tell the canary from the control, or hold a misspelt placeholder."""
    for name, metric in spec.scoring.metrics.items():
        for index, query in enumerate(metric.queries):
            at: FieldPath = ("scoring", "metrics", name, "query")
            at = at if isinstance(metric.query, str) else (*at, index)
            used = set(Template(query).get_identifiers())
            if "side" not in used:
                yield Problem(at, "does not use $side, so canary and control would always show the same")
            for unknown in sorted(used - _PLACEHOLDERS):
                yield Problem(at, f"unknown placeholder ${unknown}; known: $side, $window")
