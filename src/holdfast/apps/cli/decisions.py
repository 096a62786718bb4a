import secrets
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter
from pydantic import ValidationError

from holdfast.apps.cli.deps import CliDeps
from holdfast.apps.cli.output import Output
from holdfast.apps.cli.parameters import AsJson, AsPerson, RunId
from holdfast.apps.cli.render import question
from holdfast.domain.errors import DecisionRefused, InvalidInput
from holdfast.domain.gates import Answer, Choice, Decision
from holdfast.ports.runs import RunControl


@dataclass(frozen=True)
class Said:
    """What both commands take besides the run."""

    person: AsPerson
    gate: Annotated[
        str,
        Parameter(
            help="Which gate; without it the one that is open now, which is shown first.", show_default=False
        ),
    ] = ""
    evidence: Annotated[
        str,
        Parameter(
            help="As `holdfast show` printed it: the answer does not count if it changed.", show_default=False
        ),
    ] = ""
    reason: Annotated[str, Parameter(help="For the record; others read it.", show_default=False)] = ""


_Said = Annotated[Said, Parameter(name="*")]


class DecisionCommands:
    """Answering gates."""

    def __init__(self, deps: CliDeps) -> None:
        self._deps = deps

    async def approve(self, run: RunId, /, *, said: _Said, as_json: AsJson = False) -> None:
        """Approve what a run asks: it goes on."""
        await self._answer(run, Choice.APPROVE, said, Output(as_json=as_json))

    async def reject(self, run: RunId, /, *, said: _Said, as_json: AsJson = False) -> None:
        """Refuse what a run asks: it stops, or rolls back what is out as a canary."""
        await self._answer(run, Choice.REJECT, said, Output(as_json=as_json))

    async def _answer(self, run: str, choice: Choice, said: Said, out: Output) -> None:
        async with self._deps.run_control() as control:
            gate, evidence = said.gate, said.evidence
            if not gate:
                gate, shown = await _open_gate(control, run, out)
                evidence = evidence or shown
            reply = await control.decide(run, _decision(choice, said, gate, evidence))
        out.say(reply.text)
        out.document({"run_id": run, "decision": choice, **reply.model_dump(mode="json")})


async def _open_gate(control: RunControl, run: str, out: Output) -> tuple[str, str]:
    """Show the gate that is open and return its id and the digest of what was shown."""
    view = await control.view(run)
    if view.gate is None:
        raise DecisionRefused(
            Answer.NOT_THE_OPEN_GATE, f"Run {run} asks nothing now; it is {view.state}: {view.headline}"
        )
    out.show(question(view.gate))
    return view.gate.id, view.gate.evidence


def _decision(choice: Choice, said: Said, gate: str, evidence: str) -> Decision:
    try:
        return Decision(
            gate=gate,
            decision=choice,
            by=said.person,
            evidence=evidence,
            reason=said.reason,
            channel="cli",
            id=f"cli-{secrets.token_hex(8)}",
        )
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise InvalidInput(f"that cannot be recorded: {problems}") from None
