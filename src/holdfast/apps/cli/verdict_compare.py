"""`holdfast verdict compare` and `label`: which model judges best, once people said which releases were bad."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, Parameter
from rich.table import Table

from holdfast.apps.cli.moments import moment_since
from holdfast.apps.cli.output import Output, check_png, write_picture
from holdfast.apps.cli.parameters import AsJson, AsPerson, RunId
from holdfast.apps.cli.tables import table
from holdfast.domain.errors import InvalidInput, UnknownName
from holdfast.domain.people import People
from holdfast.ports.verdicts import ReleaseLabel, VerdictLog
from holdfast.verdict.comparison import Challenge, Comparison, compare
from holdfast.verdict.scores import Label, ModelScore
from holdfast.verdict.words import decimals_or_dash

_COMPARE_EXAMPLES: Final = """\
Examples:
  holdfast verdict compare                           all that was judged
  holdfast verdict compare --runbook support-surge   one runbook's releases
  holdfast verdict compare --since 90d --plot comparison.png
  holdfast verdict compare --json | jq -r .recommendation.decision

The champion is the model that decides ('model:' under 'scoring:' in the
runbook file); challengers ('shadow:') judge the same numbers and decide
nothing. A stop is a pause or a rollback.
  precision   of the releases that it stopped, how many were bad
  recall      of the bad releases, how many it stopped
  F1          both in one number (their harmonic mean)
  p           how likely chance alone makes them differ so unevenly

Scores rest on labelled releases alone:
  holdfast verdict label RUN STAGE good|bad --as NAME"""

_LABEL_EXAMPLES: Final = """\
Examples:
  holdfast verdict label rollout-4f7qk2mz bot-rate-limit good --as anna
  holdfast verdict label rollout-4f7qk2mz crm-pool bad --as anna \\
      --fault 'pool exhausted' --why 'tickets rose, see the review'

Say what a review found, not what a model said: a release that was rolled
back by mistake was good. Label those first on which the models differ;
'holdfast verdict compare' lists them. A later label replaces the one before."""

_SHOWN_TO_LABEL: Final = 5


@dataclass(frozen=True)
class CompareDeps:
    """What these commands work with.

    Attributes:
        log: lends the kept verdicts; entered once a command.
        draw: makes the PNG of a comparison.
        people: who is known on this machine.
    """

    log: Callable[[], AbstractAsyncContextManager[VerdictLog]]
    draw: Callable[[Comparison], bytes]
    people: Callable[[], People]


def add_comparison(verdict: App, commands: "CompareCommands") -> None:
    """Add `compare` and `label` to `holdfast verdict`."""
    verdict.command(commands.compare, help_epilogue=_COMPARE_EXAMPLES)
    verdict.command(commands.label, help_epilogue=_LABEL_EXAMPLES)


class CompareCommands:
    """Comparing the models that judge, and telling them what was right."""

    def __init__(self, deps: CompareDeps) -> None:
        self._deps = deps

    async def compare(
        self,
        *,
        runbook: Annotated[str, Parameter(help="Only releases of this runbook.", show_default=False)] = "",
        since: Annotated[
            str,
            Parameter(help="Only those that began since: 2026-03-01 (UTC), or 90d ago.", show_default=False),
        ] = "",
        as_json: AsJson = False,
        plot: Annotated[
            Path | None, Parameter(help="Draw it too, into this PNG file.", show_default=False)
        ] = None,
    ) -> None:
        """Compare the deciding model with those that judge beside it, and say whether to switch.

        Nothing is switched by this command: a person edits the runbook file, and the words say which line.
        """
        out = Output(as_json=as_json)
        check_png(plot)
        began = moment_since(since) if since else None
        async with self._deps.log() as log:
            judged, champion = await log.judged(since=began, runbook=runbook or None)
        comparison = compare(judged, champion)
        out.document(comparison.model_dump(mode="json"))
        if not as_json:
            _tell(comparison, out)
        if plot is not None:
            write_picture(plot, self._deps.draw(comparison))
            out.say(f"Drawn: {plot}")

    async def label(
        self,
        run: RunId,
        stage: Annotated[str, Parameter(help="Name of the stage, as in the runbook file.")],
        found: Annotated[Label, Parameter(help="What a review found.")],
        /,
        *,
        fault: Annotated[
            str, Parameter(help="Of a bad one, what kind: the same words each time.", show_default=False)
        ] = "",
        why: Annotated[str, Parameter(help="How that is known; others read it.", show_default=False)] = "",
        person: AsPerson,
    ) -> None:
        """Say whether a stage of a run was good or bad, so that models can be scored on it."""
        name = self._known(person)
        if fault.strip() and found == "good":
            raise InvalidInput("--fault: a good release has no fault; leave it out, or say bad")
        label = ReleaseLabel(
            run_id=run,
            stage=stage,
            label=found,
            fault=fault.strip(),
            why=why.strip(),
            person=name,
            at=datetime.now(UTC),
        )
        async with self._deps.log() as log:
            await log.label(label)
        of_kind = f" ({label.fault})" if label.fault else ""
        Output().say(f"Labelled: stage {stage} of run {run} was {found}{of_kind}, says {name}.")

    def _known(self, person: str) -> str:
        people = self._deps.people()
        known = people.named(person)
        if known is None:
            raise UnknownName("person", person, (p.name for p in people.people))
        return known.name


def _tell(comparison: Comparison, out: Output) -> None:
    if comparison.scores:
        labelled = f"{comparison.labelled} labelled, {comparison.bad} of them bad"
        out.show(_scores(comparison, title=f"{comparison.releases} releases, {labelled}"))
    if comparison.challenges:
        out.show(_challenges(comparison))
        for note in filter(None, map(_note, comparison.challenges)):
            out.say(note)
    out.say(f"\n{comparison.recommendation.words}")
    if comparison.to_label:
        number = len(comparison.to_label)
        out.say(f"\nNot labelled yet: {number}; those on which the models differ come first:")
        for release in comparison.to_label[:_SHOWN_TO_LABEL]:
            out.say(f"  {release.replace('/', ' ', 1)}")


def _scores(comparison: Comparison, *, title: str) -> Table:
    columns = ("model", "labelled", "precision", "recall", "F1", "median minutes", "good rolled back")
    return table(columns, map(_score_row, comparison.scores), title=title)


def _score_row(score: ModelScore) -> list[str]:
    ratios = (score.precision, score.recall, score.f1)
    return [
        f"{score.model} (decides)" if score.deciding else score.model,
        str(score.labelled),
        *map(decimals_or_dash, ratios),
        "–" if score.median_minutes is None else f"{score.median_minutes:.3g}",
        str(score.auto_rollbacks_of_good),
    ]


def _challenges(comparison: Comparison) -> Table:
    columns = ("challenger", "agrees", "both stop", f"only {comparison.champion}", "only it", "neither")
    right = ("right where they differ", "p")
    rows = (_challenge_row(challenge) for challenge in comparison.challenges)
    return table((*columns, *right), rows, title=f"Beside {comparison.champion}")


def _challenge_row(challenge: Challenge) -> list[str]:
    agreement = challenge.agreement
    counts = (agreement.both_stopped, agreement.only_champion, agreement.only_challenger, agreement.neither)
    differed = agreement.challenger_right + agreement.champion_right
    return [
        challenge.challenger.model,
        "–" if agreement.percent is None else f"{agreement.percent:.0f} %",
        *map(str, counts),
        f"{agreement.challenger_right} of {differed}" if differed else "–",
        f"{agreement.p_value:.2g}" if differed else "–",
    ]


def _note(challenge: Challenge) -> str:
    cut = challenge.agreement.cut_short
    if not cut:
        return ""
    champion, challenger = challenge.champion.model, challenge.challenger.model
    return (
        f"{cut} of those that only {champion} stopped ended with its rollback; {challenger} had no time to "
        "stop them later, and they count against it."
    )
