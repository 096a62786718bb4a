"""`holdfast task …` and `holdfast stop`: roles and tasks of campaigns, and the end of a load test."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from cyclopts import App, Group, Parameter

from holdfast.apps.cli.decisions import proof_at_once, request_of
from holdfast.apps.cli.deps import CliDeps
from holdfast.apps.cli.output import Output
from holdfast.apps.cli.parameters import AllSpoken, AsJson, RunId, Said
from holdfast.apps.cli.tables import moment, table
from holdfast.domain.campaign import CampaignView, RoleLine, TaskLine
from holdfast.domain.errors import InvalidInput
from holdfast.domain.view import RunState, RunView
from holdfast.domain.words import Act, Word
from holdfast.ports.runs import RunControl

_Row = tuple[RunView, RoleLine | TaskLine]
_LOOKED_AT: Final = 100
_ENDED: Final = {s.value for s in RunState if s.ended} | {"completed", "canceled", "terminated", "timed_out"}
_EXAMPLES: Final = """\
Examples:
  holdfast task list                                          of all running campaigns
  holdfast task list --as anna                                what is asked of anna
  holdfast task list campaign-4f7qk2mz --json
  holdfast task accept campaign-4f7qk2mz commander --as anna
  holdfast task done campaign-4f7qk2mz check-dashboards --as anna --reason 'all green'

In Telegram /tasks, /accept and /done do the same, without a code to paste."""
_STOP_EXAMPLES: Final = """\
Examples:
  holdfast stop load-4f7qk2mz --as anna --reason 'customers complain'
  holdfast stop load-4f7qk2mz --as anna --paste code.json

The load ends within a second; what was measured is kept. In Telegram /loadstop does the same."""
_OneRun = Annotated[
    str, Parameter(help="A campaign's run; without it all that are running.", show_default=False)
]


class TaskCommands:
    """Looking at roles and tasks, taking and ticking them off."""

    def __init__(self, deps: CliDeps) -> None:
        self._deps = deps

    async def waiting(
        self,
        run: _OneRun = "",
        /,
        *,
        person: Annotated[
            str, Parameter(name="--as", help="Only what is this person's to do.", show_default=False)
        ] = "",
        as_json: AsJson = False,
    ) -> None:
        """List the roles, and the tasks that are not done, with those who have them."""
        out, name, now = Output(as_json=as_json), person.strip().lower(), datetime.now(UTC)
        async with self._deps.run_control() as control:
            views = [await control.view(run)] if run else await _running(control)
        if run and views[0].campaign is None:
            raise InvalidInput(f"{run} is no campaign: it has neither roles nor tasks")
        rows = [row for view in views for row in _rows(view) if not name or _is_of(row[1], name)]
        if as_json:
            out.document([_document(view, line) for view, line in rows])
        elif rows:
            columns = ("run", "role or task", "what", "who", "until")
            out.show(table(columns, (_cells(view, line, now) for view, line in rows)))
            out.say("To take or tick off: holdfast task accept|done RUN NAME --as NAME")
        else:
            out.say(f"Nothing is open for {name or 'anybody'}.")

    async def accept(
        self,
        run: RunId,
        role: Annotated[str, Parameter(help="The role, as `holdfast task list` names it.")],
        /,
        *,
        spoken: AllSpoken,
        as_json: AsJson = False,
    ) -> None:
        """Take a role of a campaign: its tasks are yours from then on."""
        await self._say(run, spoken.to(Act.ACCEPT), role, Output(as_json=as_json))

    async def done(
        self,
        run: RunId,
        task: Annotated[str, Parameter(help="The task, as `holdfast task list` names it.")],
        /,
        *,
        spoken: AllSpoken,
        as_json: AsJson = False,
    ) -> None:
        """Tick off a task of a campaign."""
        await self._say(run, spoken.to(Act.DONE), task, Output(as_json=as_json))

    async def stop(
        self,
        run: RunId,
        /,
        *,
        spoken: AllSpoken,
        as_json: AsJson = False,
    ) -> None:
        """Stop a load test: its load ends within a second, and it counts as stopped."""
        await self._say(run, spoken.to(Act.STOP), "", Output(as_json=as_json))

    async def _say(self, run: str, said: Said, to: str, out: Output) -> None:
        request = request_of(said, to=to)
        async with self._deps.run_control() as control:
            word = await proof_at_once(control, run, Word, request, said, out=out)
            reply = await control.say(run, word)
        out.say(reply.text)
        told = {"run_id": run, "act": request.gate, "to": request.to}
        out.document(told | reply.model_dump(mode="json"))


def add_tasks(app: App, deps: CliDeps, *, group: Group) -> None:
    """Add `holdfast task` and `holdfast stop`."""
    commands = TaskCommands(deps)
    task = App(name="task", help="Roles and tasks of campaigns.", group=group, help_epilogue=_EXAMPLES)
    task.command(commands.waiting, name="list", help_epilogue=_EXAMPLES)
    task.command(commands.accept, help_epilogue=_EXAMPLES)
    task.command(commands.done, help_epilogue=_EXAMPLES)
    app.command(task)
    app.command(commands.stop, group=group, help_epilogue=_STOP_EXAMPLES)


async def _running(control: RunControl) -> list[RunView]:
    lines = await control.recent(limit=_LOOKED_AT)
    runs = [line.run_id for line in lines if line.kind == "campaign" and line.status.lower() not in _ENDED]
    views = [await control.view(run) for run in runs]
    return [view for view in views if view.campaign is not None and not view.state.ended]


def _rows(view: RunView) -> Iterator[_Row]:
    campaign = view.campaign or CampaignView(opens=view.started_at, closes=view.started_at)
    yield from ((view, role) for role in campaign.roles)
    yield from ((view, task) for task in sorted(campaign.tasks, key=lambda t: t.due) if task.done_at is None)


def _is_of(line: RoleLine | TaskLine, name: str) -> bool:
    waits = isinstance(line, RoleLine) and not line.person and name in line.asked
    return waits or line.person == name


def _cells(view: RunView, line: RoleLine | TaskLine, now: datetime) -> tuple[str, ...]:
    if isinstance(line, RoleLine):
        asked = f"nobody; asked: {', '.join(line.asked) or 'nobody'}"
        return view.run_id, line.name, line.title, line.person or asked, ""
    late = "overdue, " if line.overdue else ""
    return view.run_id, line.id, line.title, line.person or line.owner, f"{late}{moment(line.due, now)}"


def _document(view: RunView, line: RoleLine | TaskLine) -> dict[str, Any]:
    kind = "role" if isinstance(line, RoleLine) else "task"
    return {"run_id": view.run_id, "kind": kind, **line.model_dump(mode="json")}
