"""Saying something to a gate: each command needs the approval JSON that only the person's private chat gets."""

import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

from cyclopts import Parameter
from pydantic import ValidationError

from holdfast.apps.cli.deps import CliDeps
from holdfast.apps.cli.gate_views import gate_panel
from holdfast.apps.cli.gates import the_gate
from holdfast.apps.cli.moments import until as read_until
from holdfast.apps.cli.output import Output
from holdfast.apps.cli.parameters import AllSaid, AsJson, AsPerson, OneGate, Reason, RunId, Said, Until
from holdfast.apps.cli.proof import at_hand, from_terminal, proven
from holdfast.domain.decisions import (
    ROLLBACK,
    Choice,
    CodeRequest,
    Decision,
    DecisionReply,
    Extension,
    Handover,
    Signed,
)
from holdfast.domain.errors import InvalidInput
from holdfast.domain.words import Act
from holdfast.ports.runs import RunControl

S = TypeVar("S", bound=Signed)
_WORDS: Final[dict[str, str]] = {Act.ACCEPT: "task accept", Act.DONE: "task done", Act.STOP: "stop"}
_NOT_WITH: Final = {
    "--rollback": ("--reject", "--limit", "--until", "--gate"),
    "--reject": ("--limit", "--until", "--to"),
    "--limit": ("--until", "--to"),
}
_To = Annotated[str, Parameter(name="--to", help="Who may answer in your place.", show_default=False)]


class DecisionCommands:
    """Answering gates, moving their deadlines, handing them over."""

    def __init__(self, deps: CliDeps) -> None:
        self._deps = deps

    async def approve(self, run: RunId, /, *, said: AllSaid, as_json: AsJson = False) -> None:
        """Approve what a run asks: it goes on."""
        await self._answer(run, Choice.APPROVE, said, Output(as_json=as_json))

    async def limit(self, run: RunId, /, *, said: AllSaid, as_json: AsJson = False) -> None:
        """Let a run go on with the limits that its gate names; only where the gate offers that."""
        await self._answer(run, Choice.LIMIT, said, Output(as_json=as_json))

    async def reject(self, run: RunId, /, *, said: AllSaid, as_json: AsJson = False) -> None:
        """Refuse what a run asks: it stops, or rolls back what is out as a canary. Give a --reason."""
        await self._answer(run, Choice.REJECT, said, Output(as_json=as_json))

    async def extend(self, run: RunId, /, *, until: Until = "", said: AllSaid, as_json: AsJson = False) -> None:
        """Move the deadline of a gate to a later moment."""
        out, request = Output(as_json=as_json), request_of(said, until=until)
        if request.until is None and not said.paste:
            raise InvalidInput("say until when: --until 2026-12-31T12:00+01:00, or --until +7d from now")
        async with self._deps.run_control() as control:
            extension = await _proof(control, run, Extension, request, said, out=out)
            reply = await control.extend(run, extension)
        _tell(out, run, reply, until=extension.until.isoformat())

    async def delegate(
        self, run: RunId, /, *, to: _To = "", until: Until = "", said: AllSaid, as_json: AsJson = False
    ) -> None:
        """Hand a gate over: somebody else may answer it in your place."""
        out, request = Output(as_json=as_json), request_of(said, to=to, until=until)
        if not request.to and not said.paste:
            raise InvalidInput("say to whom: --to NAME, a short name in people.yaml")
        async with self._deps.run_control() as control:
            handover = await _proof(control, run, Handover, request, said, out=out)
            reply = await control.hand_over(run, handover)
        end = handover.until.isoformat() if handover.until else None
        _tell(out, run, reply, to=handover.to, until=end)

    async def code(
        self,
        run: RunId,
        /,
        *,
        person: AsPerson,
        reject: Annotated[
            bool, Parameter(help="For a rejection; give a --reason.", show_default=False)
        ] = False,
        limit: Annotated[
            bool, Parameter(help="For going on with limits, where the gate offers it.", show_default=False)
        ] = False,
        rollback: Annotated[
            bool,
            Parameter(help="For a rollback; --to is then the last stage that stays.", show_default=False),
        ] = False,
        until: Until = "",
        to: _To = "",
        gate: OneGate = "",
        reason: Reason = "",
        as_json: AsJson = False,
    ) -> None:
        """Have the approval JSON sent to your private chat, for use here or in the Temporal UI.

        It is for an approval; with --reject for a rejection, with --limit for going on with limits, with
        --until for another deadline, with --to for handing over, with --rollback for a rollback. Anybody may
        ask, only the person whom --as names gets it.
        """
        options = {"--reject": reject, "--limit": limit, "--rollback": rollback}
        _check_one_thing(options | {"--until": until, "--to": to, "--gate": gate})
        said = Said(person=person, gate=ROLLBACK if rollback else gate, reason=reason)
        out = Output(as_json=as_json)
        choice = Choice.REJECT if reject else Choice.LIMIT if limit else Choice.APPROVE
        request = request_of(said, decision=choice, until=until, to=to)
        _needs_reason(request)
        async with self._deps.run_control() as control:
            reply = await control.send_code(run, request)
        _tell(out, run, reply)
        out.say(f"Then: holdfast {_command(request, run)} --as {request.by} --paste FILE, or - for stdin")

    async def _answer(self, run: str, choice: Choice, said: Said, out: Output) -> None:
        async with self._deps.run_control() as control:
            decision = await _proof(control, run, Decision, request_of(said, decision=choice), said, out=out)
            reply = await control.decide(run, decision)
        _tell(out, run, reply, decision=choice)


async def _proof(
    control: RunControl, run: str, model: type[S], request: CodeRequest, said: Said, *, out: Output
) -> S:
    """Get the approval JSON: what came with the command, or what the person pastes after it was sent."""
    text = at_hand(said.paste)
    if text is not None:
        if not text.strip():
            raise InvalidInput(how_to_get_one(run, request))
        return proven(model, text, request, evidence=said.evidence)
    _needs_reason(request)
    request, evidence = await _shown(control, run, request, said.evidence, out)
    if not said.no_request:
        out.say((await control.send_code(run, request)).text)
    return proven(model, from_terminal(out.say), request, evidence=evidence)


async def proof_at_once(
    control: RunControl, run: str, model: type[S], request: CodeRequest, said: Said, *, out: Output
) -> S:
    """Get the approval JSON for what needs no gate to be shown first: a word, or a rollback.

    Args:
        control: has a code sent where none came with the command.
        run: the run's id.
        model: what the JSON has to be.
        request: what the person wants to say.
        said: what came with the command.
        out: where the person is told what to do.

    Raises:
        InvalidInput: there is no JSON, or it is for something else.
    """
    text = at_hand(said.paste)
    if text is None:
        if not said.no_request:
            out.say((await control.send_code(run, request)).text)
        text = from_terminal(out.say)
    elif not text.strip():
        raise InvalidInput(how_to_get_one(run, request))
    return proven(model, text, request, evidence="")


async def _shown(
    control: RunControl, run: str, request: CodeRequest, evidence: str, out: Output
) -> tuple[CodeRequest, str]:
    """Show the open gate where none is named; return what it is about then, and on what evidence."""
    if request.gate:
        return request, evidence
    view = await control.view(run)
    gate = the_gate(view, "")
    out.show(gate_panel(gate, view.people, datetime.now(UTC)))
    return request.model_copy(update={"gate": gate.id}), evidence or gate.evidence


def request_of(said: Said, *, decision: Choice = Choice.APPROVE, until: str = "", to: str = "") -> CodeRequest:
    """Return what is to be said, as a request for the code that it needs.

    Raises:
        InvalidInput: it could not be recorded.
    """
    try:
        return CodeRequest(
            by=said.person,
            decision=decision,
            gate=said.gate,
            reason=said.reason,
            until=read_until(until) if until else None,
            to=to,
        )
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise InvalidInput(f"that cannot be recorded: {problems}") from None


def _check_one_thing(given: Mapping[str, str | bool]) -> None:
    """Refuse options that say two things: whoever gets a code must not be able to use it for another."""
    for option, others in _NOT_WITH.items():
        if given[option] and any(given[other] for other in others):
            listed = f"{', '.join(others[:-1])} or {others[-1]}"
            raise InvalidInput(f"{option} does not go with {listed}: one code is for one thing")


def _needs_reason(request: CodeRequest) -> None:
    if request.decision is Choice.REJECT and not request.reason.strip():
        raise InvalidInput(
            "a rejection needs a --reason: others have to know what to change before they ask again"
        )


def how_to_get_one(run: str, request: CodeRequest) -> str:
    """Return the sentence for somebody who gave no JSON where one was expected."""
    words = ["holdfast", "gate", "code", run, "--as", request.by]
    if request.decision is Choice.REJECT:
        words += ["--reject", "--reason", request.reason or "why"]
    if request.decision is Choice.LIMIT:
        words += ["--limit"]
    if request.gate == ROLLBACK:
        words += ["--rollback"]
    if request.gate in set(Act):
        words += ["--gate", request.gate]
    if request.to:
        words += ["--to", request.to]
    if request.until:
        words += ["--until", request.until.isoformat()]
    return (
        f"there is no approval JSON on standard input. Have one sent to your private chat: "
        f"{shlex.join(words)}; then give it with --paste FILE, or on standard input"
    )


def _command(request: CodeRequest, run: str) -> str:
    if request.gate == ROLLBACK:
        return f"rollback {run} --to {request.to}" if request.to else f"rollback {run}"
    if request.gate in _WORDS:
        return f"{_WORDS[request.gate]} {run} {request.to}".rstrip()
    if request.to:
        return f"gate delegate {run}"
    return f"gate {'extend' if request.until else request.decision} {run}"


def _tell(out: Output, run: str, reply: DecisionReply, **said: Any) -> None:
    out.say(reply.text)
    out.document({"run_id": run, **said, **reply.model_dump(mode="json")})
