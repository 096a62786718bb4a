"""A planned rollout on a terminal, readable in 100 columns."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from holdfast.apps.cli.plan_stages import EffectPlan, FieldChange, Signers, StagePlan, Watch, Worst
from holdfast.runbook.plan import ALL, SHARE_KIND, Plan, describe_urgency
from holdfast.verdict.words import span_words

_WIDTH: Final = 100
_PROBLEM, _WARNING, _FAINT = "bold red", "bold yellow", "dim"
# Fields that say by themselves what they are: the line already names the system.
_NAMELESS: Final = frozenset({"version", "state"})


def head(plan: Plan) -> RenderableType:
    """Show which runbook this is, and who may start it."""
    spec = plan.spec
    starters = ", ".join(person.name for person in plan.people.holding(spec.starters))
    urgency = describe_urgency(spec, plan.people)
    return _narrow(
        Text(f"Plan: {spec.title}", style="bold"),
        Text(
            f"runbook {spec.name} ({plan.digest}), pace {plan.pace_name}, environment "
            f"{spec.target.environment}; may be started by {starters}. Nothing is changed by planning it."
        ),
        *([Text(f"{urgency[:1].upper()}{urgency[1:]}.")] if urgency else []),
    )


def freeze_view(freezes: list[str]) -> RenderableType:
    """Show what is frozen, one sentence each."""
    return _narrow(*(Text(f"\nFrozen: {said}", style=_WARNING) for said in freezes))


def stage_view(stage: StagePlan, told: dict[str, int]) -> RenderableType:
    """Show a stage.

    Args:
        stage: what was worked out.
        told: problems that were shown, each with the number of its stage; this stage's are added.
    """
    title = Text(f"\nStage {stage.number}, {stage.name}: {stage.title}", style="bold")
    return _narrow(title, Padding(_rows(stage, told), (0, 0, 0, 2)))


def foot(stages: list[StagePlan], worst: Worst) -> RenderableType:
    """Show the whole rollout's exposure, and whether it could go on from here."""
    problems = {problem for stage in stages for problem in stage.problems}
    where = [str(stage.number) for stage in stages if stage.problems]
    end = (
        Text(f"{_count(len(problems), 'problem')} would stop it, see {_list('stage', where)}.", style=_PROBLEM)
        if problems
        else Text("No problem was found. Nothing was changed.")
    )
    return _narrow(Text(f"\nWorst exposure of the rollout: {worst.words}."), end)


def _narrow(*parts: RenderableType) -> Constrain:
    return Constrain(Group(*parts), _WIDTH)


def _rows(stage: StagePlan, told: dict[str, int]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for label, content in _content(stage):
        grid.add_row(Text(label), content)
    for problem in stage.problems:
        number = told.setdefault(problem, stage.number)
        again = number != stage.number
        line = f"as in stage {number}: {problem.partition(': ')[0]}" if again else problem
        grid.add_row(Text("Problem", style=_PROBLEM), Text(line, style="" if again else _PROBLEM))
    return grid


def _content(stage: StagePlan) -> Iterator[tuple[str, RenderableType]]:
    yield "Why", Text(stage.why)
    if stage.in_place:
        yield "Changes", Text("already in place: the stage is skipped, nobody is asked", style="green")
        return
    yield "Sign-off", Text(_signed(stage.sign_off))
    yield "Changes", _steps(stage.effects)
    yield "Watched", Text(_watched(stage.watch))
    yield "Rollback", Text(_undone(stage))
    for effect in stage.effects:
        if effect.no_return:
            yield "", Text(_no_return(effect, effect.no_return), style=_WARNING)
    yield "Exposure", Text(stage.exposure.words)


# --- effects ------------------------------------------------------------------------------------------------


def _steps(effects: list[EffectPlan]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(overflow="fold", max_width=32)
    grid.add_column(overflow="fold")
    number = 0
    while effects:
        shares = _leading_shares(effects)
        taken = effects[: max(1, len(shares))]
        effects = effects[len(taken) :]
        number += 1
        what = _shares(taken) if shares else _what(taken[0])
        grid.add_row(Text(str(number)), Text(_place(taken[0])), what)
    return grid


def _leading_shares(effects: list[EffectPlan]) -> list[EffectPlan]:
    """Return the shares that follow each other at the front: they make one line."""
    found: list[EffectPlan] = []
    for effect in effects:
        if effect.kind != SHARE_KIND:
            break
        found.append(effect)
    return found


def _shares(shares: list[EffectPlan]) -> Text:
    first = shares[0].changes[0]
    steps = [_value(first) if first.known else "?", *(_shown(share.changes[0].after) for share in shares)]
    return Text(f"canary share {' → '.join(steps)} %")


def _place(effect: EffectPlan) -> str:
    if effect.part == ALL:
        return effect.system
    return effect.system if effect.kind == SHARE_KIND else f"{effect.system}/{effect.part}"


def _what(effect: EffectPlan) -> Text:
    changes = [c for c in effect.changes if not c.known or c.before != c.after] or effect.changes
    # A fingerprint says nothing to people beside the revision that it belongs to.
    changes = [c for c in changes if c.field != "fingerprint"] or changes
    line = Text(", ".join(map(_change, changes)) or effect.title)
    if effect.differs is False:
        line.append(" (as it is already)", style=_FAINT)
    if effect.note:
        line.append(f" ({effect.note})", style=_FAINT)
    if effect.no_return:
        line.append("  POINT OF NO RETURN", style=_WARNING)
    return line


def _change(change: FieldChange) -> str:
    name = "revision " if change.field == "revision" else f"{change.field}: "
    name = "" if change.field in _NAMELESS else name
    if change.known and change.before == change.after:
        return f"{name}{_value(change)}"
    return f"{name}{_value(change) if change.known else '?'} → {_shown(change.after)}"


def _value(change: FieldChange) -> str:
    stage = f" (after stage {change.after_stage})" if change.after_stage else ""
    return f"{_shown(change.before)}{stage}"


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "nothing"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # an API may answer 10.0 where a file says 10
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# --- sentences ----------------------------------------------------------------------------------------------


def _signed(signers: Signers) -> str:
    names = ", ".join(signers.people)
    said = signers.policy if signers.policy == names else f"{signers.policy} ({names or 'nobody'})"
    within = f"; within {_span(signers.within_seconds)}, else: {signers.then}" if signers.within_seconds else ""
    return said + within


def _watched(watch: Watch) -> str:
    settle = f"settles {_span(watch.settle_seconds)}, then "
    each = f"{settle}a verdict every {_span(watch.interval_seconds)} for {_span(watch.window_seconds)}"
    if not watch.shares_percent:
        return f"no canary side: everybody gets it at once; {each}"
    whole = f"{_span(watch.at_least_seconds)} at least"
    return f"{', '.join(map(str, watch.shares_percent))} % of the traffic; each {each}: {whole}"


def _undone(stage: StagePlan) -> str:
    """Say what a rollback would do; steps that may take longer are named."""
    usual = min(effect.tried_for_seconds for effect in stage.effects)
    longer = {e.system: e.tried_for_seconds for e in stage.effects if e.tried_for_seconds > usual}
    named = "".join(f", {system} for {_span(seconds)}" for system, seconds in longer.items())
    return (
        "what was changed goes back to what it was before the stage, the newest change first. Each step is "
        f"tried for {_span(usual)}{named}; where one cannot be made, these are paged: "
        f"{', '.join(stage.paged) or 'nobody'}"
    )


def _no_return(effect: EffectPlan, signers: Signers) -> str:
    return (
        f"POINT OF NO RETURN: {effect.title}. It is asked about just before, signed off by {_signed(signers)}. "
        "Once it is made, no rollback takes it back: a rollback stops there, and people decide whether the "
        "changes before it are undone."
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _list(what: str, named: list[str]) -> str:
    return f"{what}{'' if len(named) == 1 else 's'} {', '.join(named)}"


def _span(seconds: float) -> str:
    return span_words(timedelta(seconds=seconds))
