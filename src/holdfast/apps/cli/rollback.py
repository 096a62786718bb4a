"""Asking a run to undo what it did: shown first, then confirmed, then proven like every other decision."""

import secrets
import sys
from collections.abc import Iterator
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import RenderableType
from rich.text import Text

from holdfast.apps.cli.decisions import proof_at_once, request_of
from holdfast.apps.cli.deps import CliDeps
from holdfast.apps.cli.exits import Exit
from holdfast.apps.cli.follow import to_the_end
from holdfast.apps.cli.output import Output
from holdfast.apps.cli.parameters import AllSpoken, AsJson, RunId, Said, Wait
from holdfast.apps.cli.tables import table
from holdfast.domain.decisions import ROLLBACK, CodeRequest, RollBack
from holdfast.domain.errors import EngineUnavailable, InvalidInput
from holdfast.domain.ids import run_id as new_run_id
from holdfast.domain.rollback import Undoing, undoing
from holdfast.domain.undoing import check_wish
from holdfast.domain.view import RunState, RunView, StageView
from holdfast.ports.runs import RunControl, UndoRequest


class RollbackCommands:
    """Undoing what a run did."""

    def __init__(self, deps: CliDeps) -> None:
        self._deps = deps

    async def rollback(
        self,
        run: RunId,
        /,
        *,
        spoken: AllSpoken,
        to: Annotated[
            str, Parameter(help="The last stage that stays; without it nothing stays.", show_default=False)
        ] = "",
        yes: Annotated[bool, Parameter(name="--yes", help="Do not ask whether.", show_default=False)] = False,
        wait: Wait = False,
        as_json: AsJson = False,
    ) -> Exit:
        """Undo what a run did: everything, or all after a stage that stays.

        A run that has ended is undone by a run of its own, which asks for one approval first.
        """
        out, to = Output(as_json=as_json), to.strip().lower()
        said = spoken.to(ROLLBACK)
        request = request_of(said, to=to)
        async with self._deps.run_control() as control:
            view = await _view(control, run, said, out)
            shown = _shown(view, request, out) if view is not None else None
            if not yes and not _confirmed(out):
                out.say("Nothing was done.")
                return Exit.OTHERWISE
            if view is not None and view.state.ended:
                wanted = UndoRequest(run=run, requested_by=request.by, to=to, reason=said.reason)
                return await self._undo(control, wanted, out, wait=wait)
            reply = await control.roll_back(
                run, await proof_at_once(control, run, RollBack, request, said, out=out)
            )
            out.say(reply.text)
            document = _document(run, to, shown) | reply.model_dump(mode="json")
            code = Exit.DONE
            if wait:
                code = await to_the_end(control, run, out, document, wanted=RunState.ROLLED_BACK)
        out.document(document)
        return code

    async def _undo(self, control: RunControl, wanted: UndoRequest, out: Output, *, wait: bool) -> Exit:
        """Start a run that undoes an ended one."""
        run_id = new_run_id("undo", secrets.token_hex(8))
        await control.undo(wanted, run_id=run_id)
        out.say(f"{wanted.run} has ended, so {run_id} undoes it: {self._deps.ui_url(run_id)}")
        out.say("One of those who may roll it back is asked first: nothing is undone before that.")
        out.say(f"To see what is asked: holdfast show {run_id}")
        document: dict[str, Any] = {"run_id": run_id, "undoes": wanted.run, "to": wanted.to}
        code = Exit.DONE
        if wait:
            code = await to_the_end(control, run_id, out, document, wanted=RunState.ROLLED_BACK)
        out.document(document)
        return code


async def _view(control: RunControl, run: str, said: Said, out: Output) -> RunView | None:
    """Return the run; None where no worker shows it and a JSON is there that can be stored all the same."""
    try:
        return await control.view(run)
    except EngineUnavailable as error:
        if not said.paste and _at_a_terminal():
            raise
        out.say(f"What would be undone cannot be shown: {error}.")
        return None


def _shown(view: RunView, request: CodeRequest, out: Output) -> Undoing:
    """Show what would be undone.

    Raises:
        DecisionRefused: the run would refuse it, and why.
        UnknownName: there is no such stage.
    """
    would_be = undoing(view, request.to)
    check_wish(RollBack(by=request.by, to=request.to), view)
    for part in _parts(view, would_be):
        out.show(part)
    return would_be


def _parts(view: RunView, would_be: Undoing) -> Iterator[RenderableType]:
    yield Text(f"{view.run_id}: {view.title}", style="bold")
    yield Text(f"{view.state}: {view.headline}")
    columns = ("stage", "change", "state")
    yield table(columns, map(_row, would_be.undone), title="What would be undone, the newest first")
    yield from (Text(f"  {way}") for way in would_be.ways)
    if would_be.schemas:
        yield Text(
            f"The schema goes back too ({', '.join(would_be.schemas)}): what was written into columns and "
            "tables that go is lost."
        )
    if would_be.stays:
        yield table(columns, map(_row, would_be.stays), title="What stays")
    yield from (Text(f"Cannot be undone, and a person is asked there: {title}") for title in would_be.lasting)


def _row(stage: StageView) -> tuple[str, str, str]:
    return f"{stage.title} ({stage.name})", stage.change, stage.state


def _confirmed(out: Output) -> bool:
    """Ask once.

    Raises:
        InvalidInput: nobody is there to be asked.
    """
    if not _at_a_terminal():
        raise InvalidInput("nobody can be asked here, since the input is no terminal: say --yes if you mean it")
    out.say("Roll this back? Type yes to go on:")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _at_a_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _document(run: str, to: str, shown: Undoing | None) -> dict[str, Any]:
    names = {"undone": shown.undone, "stays": shown.stays} if shown else {}
    return {
        "run_id": run,
        "to": to,
        **{what: [stage.name for stage in stages] for what, stages in names.items()},
        "lasting": list(shown.lasting) if shown else [],
    }
