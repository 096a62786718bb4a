"""What a rollout would change where, and the worst that it can do; nothing is changed."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import App, Parameter

from activities.planning import PlanRequest, make_plan
from holdfast.apps.cli.exits import Exit
from holdfast.apps.cli.output import Output
from holdfast.apps.cli.parameters import AsJson
from holdfast.apps.cli.plan_stages import Planner, StagePlan, whole_rollout
from holdfast.apps.cli.plan_views import foot, freeze_view, head, stage_view
from holdfast.domain.errors import Unavailable, UnknownName
from holdfast.ports.changes import ChangeProvider
from holdfast.ports.holds import Held
from holdfast.ports.metrics import MetricsSource
from holdfast.runbook.library import RunbookLibrary
from holdfast.runbook.plan import Plan, systems_of_all
from holdfast.runbook.review import review

_HELP: Final = """\
Examples:
  holdfast plan support-surge
  holdfast plan runbooks/rollout/support-surge.yaml --pace demo
  holdfast plan support-surge --as anna           may anna start it?
  holdfast plan support-surge --no-dry-run        no migration is tried out
  holdfast plan support-surge --json | jq '.problems'

It reads the systems and the metrics from this machine, as a worker would, with
the same checks as the run. The Temporal server is asked for nothing but what is
frozen. Each stage is planned as if those before it were in place.

Exit codes:
  0  everything could be planned, and nothing stands in the way
  1  there are problems: a system or the metrics cannot be read, a migration
     fails in its dry run, another canary is out; all else is shown
  2  wrong input: a file (one line a problem), a name, a pace, a person who
     may not start it
  4  a bug in Holdfast"""
_FILE_ENDINGS: Final = frozenset({".yaml", ".yml"})


@dataclass(frozen=True)
class PlanDeps:
    """What `holdfast plan` works with.

    Attributes:
        library: the reviewed runbooks, people and systems on this machine.
        providers: reads the systems, by kind of change; called once a command.
        metrics: the metrics backend; entered once a command.
        default_pace: the pace of runs that are started without naming one.
        frozen: which of these systems are frozen now, and by whom; not given: nobody is asked.
    """

    library: Callable[[], RunbookLibrary]
    providers: Callable[[], Mapping[str, ChangeProvider]]
    metrics: Callable[[], AbstractAsyncContextManager[MetricsSource]]
    default_pace: str = "default"
    frozen: Callable[[Sequence[str]], Awaitable[Sequence[Held]]] | None = None


class PlanCommand:
    """`holdfast plan`."""

    def __init__(self, deps: PlanDeps) -> None:
        """Work with these."""
        self._deps = deps

    async def plan(
        self,
        runbook: Annotated[str, Parameter(help="A runbook's name, or a file.")],
        /,
        *,
        pace: Annotated[str, Parameter(help="One of the runbook's paces.", show_default=False)] = "",
        person: Annotated[
            str, Parameter(name="--as", help="Check that this person may start it.", show_default=False)
        ] = "",
        no_dry_run: Annotated[
            bool,
            Parameter(name="--no-dry-run", help="Do not try migrations out on copies.", show_default=False),
        ] = False,
        as_json: AsJson = False,
    ) -> Exit:
        """Show what a rollout would change where, before → after, and the worst exposure; changes nothing."""
        out, requester = Output(as_json=as_json), person.strip().lower()
        request = PlanRequest(runbook=runbook, requested_by=requester, pace=pace or self._deps.default_pace)
        plan = _reviewed(_library(self._deps.library(), runbook), request)
        freezes = await self._freezes(plan)
        async with self._deps.metrics() as metrics:
            planner = Planner(
                plan, self._deps.providers(), metrics, requester=requester, dry_run=not no_dry_run
            )
            stages = await _shown(plan, planner, out)
        code = Exit.OTHERWISE if any(stage.problems for stage in stages) else Exit.DONE
        if as_json:
            out.document(_document(plan, stages, code) | {"frozen": freezes})
        else:
            if freezes:
                out.show(freeze_view(freezes))
            out.show(foot(stages, whole_rollout(stages)))
        return code

    async def _freezes(self, plan: Plan) -> list[str]:
        """Return why a run would be refused now; a server that does not answer is no reason not to plan."""
        if self._deps.frozen is None or plan.spec.fix:
            return []
        try:
            frozen = await self._deps.frozen(systems_of_all(plan.spec))
        except Unavailable as error:
            return [f"it is not known whether anything is frozen: {error}"]
        return [freeze.describe_freeze() for freeze in frozen]


def add_plan(app: App, deps: PlanDeps, *, group: str | None = None) -> None:
    """Add `holdfast plan` to one of the groups that the app has."""
    app.command(PlanCommand(deps).plan, group=group, help_epilogue=_HELP)


class _WithFile(RunbookLibrary):
    """A library whose runbook is a file of any place; people and systems are the library's."""

    def __init__(self, directories: Iterable[Path], file: Path) -> None:
        super().__init__(directories)
        self._file = file

    def path(self, name: str, kind: str = "") -> Path:  # noqa: ARG002  there is one only
        """Return the file."""
        return self._file


def _library(library: RunbookLibrary, runbook: str) -> RunbookLibrary:
    path = Path(runbook)
    is_file = path.suffix in _FILE_ENDINGS or len(path.parts) > 1
    return _WithFile(library.directories, path) if is_file else library


def _reviewed(library: RunbookLibrary, request: PlanRequest) -> Plan:
    """Return the reviewed runbook; who starts it is checked only where somebody is named.

    Raises:
        RunbookInvalid: a file is wrong, line by line.
        InvalidInput: as for `make_plan`.
    """
    if request.requested_by:
        return make_plan(library, request)
    loaded, people = library.rollout(request.runbook), library.people()
    review(loaded.spec, people, systems=library.systems(), source=loaded.source)
    if request.pace not in loaded.spec.paces:
        raise UnknownName(f"pace of runbook '{request.runbook}'", request.pace, loaded.spec.paces)
    return Plan(spec=loaded.spec, digest=loaded.digest, people=people, pace_name=request.pace)


async def _shown(plan: Plan, planner: Planner, out: Output) -> list[StagePlan]:
    """Return all stages, each shown as soon as it is known: a dry run may take minutes."""
    stages: list[StagePlan] = []
    told: dict[str, int] = {}
    if not out.as_json:
        out.show(head(plan))
    async for stage in planner.stages():
        stages.append(stage)
        if not out.as_json:
            out.show(stage_view(stage, told))
    return stages


def _document(plan: Plan, stages: list[StagePlan], code: Exit) -> dict[str, Any]:
    spec = plan.spec
    return {
        "runbook": spec.name,
        "title": spec.title,
        "digest": plan.digest,
        "pace": plan.pace_name,
        "target": spec.target.endpoint,
        "environment": spec.target.environment,
        "fix": spec.fix,
        "team": spec.team,
        "unblocks": spec.unblocks,
        "starters": [person.name for person in plan.people.holding(spec.starters)],
        "stages": [stage.model_dump(mode="json") for stage in stages],
        "exposure": whole_rollout(stages).model_dump(mode="json"),
        "problems": list(dict.fromkeys(problem for stage in stages for problem in stage.problems)),
        "exit": int(code),
    }
