"""Checks a runbook as a whole: against the people who are to sign it off, and query by query."""

from collections.abc import Iterable, Iterator
from string import Template
from typing import Final

from holdfast.domain.errors import RunbookInvalid
from holdfast.domain.people import People
from holdfast.runbook.kinds.rollout import RolloutSpec, SignOff
from holdfast.runbook.plain_yaml import FieldPath, Problem
from holdfast.runbook.source import Source, describe

_PLACEHOLDERS: Final = {"side", "window"}


def review(spec: RolloutSpec, people: People, *, source: Source | None = None) -> None:
    """Check what no field can be checked for alone.

    Args:
        spec: a runbook that is valid in itself.
        people: who would sign it off.
        source: the file, so that errors name lines; without it they name the runbook.

    Raises:
        RunbookInvalid: one line for each problem.
    """
    problems = [*_people_problems(spec, people), *_query_problems(spec)]
    if not problems:
        return
    if source is not None:
        raise source.invalid(problems)
    raise RunbookInvalid("\n".join(f"runbook '{spec.name}': {describe(p)}" for p in problems))


def _people_problems(spec: RolloutSpec, people: People) -> Iterator[Problem]:
    yield from _nobody_holds(("starters",), spec.starters, people)
    for index, stage in enumerate(spec.stages):
        at = ("stages", index, "gate")
        yield from _nobody_holds((*at, "approvers"), stage.gate.approvers, people)
        yield from _quorum_problems((*at, "quorum"), stage.gate, people)


def _nobody_holds(at: FieldPath, roles_or_names: Iterable[str], people: People) -> Iterator[Problem]:
    for index, wanted in enumerate(roles_or_names):
        if not people.holding([wanted]):
            known = sorted({r for p in people.people for r in p.roles} | {p.name for p in people.people})
            yield Problem(
                (*at, index),
                f"nobody in people.yaml has the role or name '{wanted}'; known: {', '.join(known) or 'none'}",
            )


def _quorum_problems(at: FieldPath, gate: SignOff, people: People) -> Iterator[Problem]:
    able = people.holding(gate.approvers)
    if able and gate.quorum > len(able):
        names = ", ".join(p.name for p in able)
        yield Problem(at, f"asks for {gate.quorum} approvals, but only {len(able)} may approve: {names}")


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
