"""Looking at gates: which wait for whom, and one in full."""

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from holdfast.apps.cli.deps import CliDeps
from holdfast.apps.cli.gate_views import changes_table, gate_document, gate_panel, gate_table
from holdfast.apps.cli.output import Output
from holdfast.apps.cli.parameters import AsJson, OneGate, RunId
from holdfast.apps.cli.render import how_to_answer, verdict
from holdfast.domain import standing
from holdfast.domain.decisions import Answer
from holdfast.domain.errors import DecisionRefused, UnknownName
from holdfast.domain.gates import Gate, GateState
from holdfast.domain.view import RunView
from holdfast.ports.runs import WaitingGate


class GateCommands:
    """Looking at gates."""

    def __init__(self, deps: CliDeps) -> None:
        self._deps = deps

    async def waiting(
        self,
        *,
        person: Annotated[
            str,
            Parameter(name="--as", help="Only what waits for this person.", show_default=False),
        ] = "",
        limit: Annotated[int, Parameter(help="How many at most.")] = 50,
        as_json: AsJson = False,
    ) -> None:
        """List the open gates, the longest waiting first."""
        out, name = Output(as_json=as_json), person.strip().lower()
        async with self._deps.run_control() as control:
            waiting = await control.waiting(name, limit=limit)
        if not waiting and name:
            self._known(name)
        if as_json:
            out.document([_line(w) for w in waiting])
        elif waiting:
            out.show(gate_table(waiting, datetime.now(UTC)))
            out.say("To see one in full: holdfast gate show RUN")
        else:
            out.say(f"Nothing waits for {name or 'anybody'}.")

    async def show(self, run: RunId, /, *, gate: OneGate = "", as_json: AsJson = False) -> None:
        """Show a gate: what is asked on what numbers, who approved, who is waited for, until when."""
        out, now = Output(as_json=as_json), datetime.now(UTC)
        async with self._deps.run_control() as control:
            view = await control.view(run)
        shown = the_gate(view, gate)
        if as_json:
            out.document(_document(view, shown, now))
            return
        out.show(gate_panel(shown, view.people, now))
        changes = changes_table(shown)
        if changes is not None:
            out.show(changes)
        if view.verdict is not None:
            for part in verdict(view.verdict, view.baseline, view.run_id):
                out.show(part)
        if shown.state is GateState.OPEN:
            out.say(f"\n{how_to_answer(shown, run)}")

    def _known(self, name: str) -> None:
        """Tell a misspelt name from one for which nothing waits."""
        people = self._deps.library().people()
        if people.named(name) is None:
            raise UnknownName("person", name, [p.name for p in people.people])


def the_gate(view: RunView, gate_id: str) -> Gate:
    """Return the gate of this id, or the one that is open.

    Raises:
        DecisionRefused: none is open.
        UnknownName: the run has had no gate of this id.
    """
    gates = [*view.closed_gates, *([view.gate] if view.gate else [])]
    if gate_id:
        found = next((g for g in reversed(gates) if g.id == gate_id), None)
        if found is None:
            raise UnknownName(f"gate of run {view.run_id}", gate_id, [g.id for g in gates])
        return found
    if view.gate is None:
        raise DecisionRefused(
            Answer.NOT_THE_OPEN_GATE, f"Run {view.run_id} asks nothing now; it is {view.state}: {view.headline}"
        )
    return view.gate


def _line(waiting: WaitingGate) -> dict[str, object]:
    run = waiting.model_dump(mode="json", include={"run_id", "runbook", "title"})
    return run | gate_document(waiting.gate, waiting.waiting)


def _document(view: RunView, gate: Gate, now: datetime) -> dict[str, object]:
    waiting = standing.waiting_for(gate, view.people, now) if gate.state is GateState.OPEN else ()
    changes = gate.basis.diff() if gate.basis else []
    return {
        "run_id": view.run_id,
        **gate_document(gate, waiting),
        "changes": [{"setting": name, "now": before, "then": after} for name, before, after in changes],
        "verdict": view.verdict.model_dump(mode="json") if view.verdict else None,
    }
