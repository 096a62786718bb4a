import secrets
from typing import Annotated, Any, Final

from cyclopts import Parameter

from activities.planning import PlanRequest, make_plan
from holdfast.apps.cli.deps import CliDeps
from holdfast.apps.cli.exits import Exit
from holdfast.apps.cli.follow import to_the_end
from holdfast.apps.cli.gate_views import PRIVATE_OF_GATE
from holdfast.apps.cli.output import Output, complain
from holdfast.apps.cli.parameters import AsJson, AsPerson, RunId, Wait
from holdfast.apps.cli.render import run_list, whole_run
from holdfast.domain.errors import InvalidInput
from holdfast.domain.ids import run_id as new_run_id
from holdfast.domain.view import RunState, RunView
from holdfast.ports.runs import IncidentRequest, RolloutRequest
from holdfast.runbook.incidents import plan_incident
from holdfast.runbook.plan import Plan

_LONGEST_TITLE: Final = 120
# People's addresses are nothing that a run shows; `holdfast people` lists who is who.
_PRIVATE: Final[dict[str, Any]] = {
    "gate": PRIVATE_OF_GATE,
    "closed_gates": {"__all__": PRIVATE_OF_GATE},
    "people": True,
}


class RunCommands:
    """Starting runs and looking at them."""

    def __init__(self, deps: CliDeps) -> None:
        self._deps = deps

    async def rollout(
        self,
        name: Annotated[str, Parameter(help="The runbook, as `holdfast runbooks` lists it.")],
        /,
        *,
        person: AsPerson,
        pace: Annotated[str, Parameter(help="One of the runbook's paces.", show_default=False)] = "",
        wait: Wait = False,
        as_json: AsJson = False,
    ) -> Exit:
        """Start a staged fix rollout.

        The file, the person and the pace are checked here before anything is started.
        """
        out = Output(as_json=as_json)
        request = PlanRequest(
            runbook=name, requested_by=person.strip().lower(), pace=pace or self._deps.default_pace
        )
        plan = make_plan(self._deps.library(), request)
        run_id = new_run_id("rollout", secrets.token_hex(16))
        async with self._deps.run_control() as control:
            await control.start(RolloutRequest(**request.model_dump()), run_id=run_id)
            self._say_started(out, run_id, plan)
            document: dict[str, Any] = {
                "run_id": run_id,
                "ui_url": self._deps.ui_url(run_id),
                **request.model_dump(),
            }
            code = Exit.DONE
            if wait:
                code = await to_the_end(control, run_id, out, document, wanted=RunState.PROMOTED)
        out.document(document)
        return code

    async def incident(
        self,
        name: Annotated[str, Parameter(help="The runbook, as `holdfast runbooks` lists it.")],
        /,
        *,
        title: Annotated[str, Parameter(help="What is wrong, in one line.")],
        person: AsPerson,
        tier: Annotated[str, Parameter(help="The customer's, by priorities.yaml.", show_default=False)] = "",
        value: Annotated[float, Parameter(help="Of the order it is about.", show_default=False)] = 0.0,
        as_json: AsJson = False,
    ) -> None:
        """Open an incident: people are called at once, step by step, until one acknowledges.

        The file, the person and the tier are checked here before anybody is called.
        """
        out, by = Output(as_json=as_json), person.strip().lower()
        request = IncidentRequest(runbook=name, requested_by=by, title=_one_line(title), tier=tier, value=value)
        plan = plan_incident(self._deps.library(), request)
        run_id = new_run_id("incident", secrets.token_hex(16))
        async with self._deps.run_control() as control:
            await control.open_incident(request, run_id=run_id)
        out.document({"run_id": run_id, "ui_url": self._deps.ui_url(run_id), **request.model_dump()})
        out.say(f"Opened {run_id}: {request.title} (runbook {plan.spec.name}, customer tier {plan.tier})")
        out.say(f"Follow it: {self._deps.ui_url(run_id)}")
        out.say(f"Called first: {', '.join(plan.policy.steps[0].page)} (policy {plan.spec.escalation})")
        for warning in plan.warnings:
            complain(f"In the files, and worth a look afterwards: {warning}")

    async def runs(
        self,
        *,
        limit: Annotated[int, Parameter(help="How many at most.")] = 20,
        as_json: AsJson = False,
    ) -> None:
        """List the newest runs, newest first."""
        out = Output(as_json=as_json)
        async with self._deps.run_control() as control:
            runs = await control.recent(limit=limit)
        if as_json:
            out.document([run.model_dump() for run in runs])
        elif runs:
            out.show(run_list(runs))
        else:
            out.say("No run yet. Start one: holdfast run rollout NAME --as PERSON")

    async def show(self, run: RunId, /, *, as_json: AsJson = False) -> None:
        """Show a run: what is asked, the plan, the newest verdict, what was changed, what happened."""
        out = Output(as_json=as_json)
        async with self._deps.run_control() as control:
            view = await control.view(run)
        if as_json:
            out.document(_public(view) | {"ui_url": self._deps.ui_url(run)})
        else:
            out.show(whole_run(view))
            out.say(f"\n{self._deps.ui_url(run)}")

    def _say_started(self, out: Output, run_id: str, plan: Plan) -> None:
        first = plan.spec.stages[0]
        approvers = ", ".join(p.name for p in plan.people.holding(first.gate.listed))
        out.say(f"Started {run_id}: {plan.spec.title} (runbook {plan.spec.name}, pace {plan.pace_name})")
        out.say(f"Follow it: {self._deps.ui_url(run_id)}")
        out.say(
            f"What happens next: the system is checked, then {approvers} will be asked about the first of "
            f"{len(plan.spec.stages)} stages, '{first.title}'. Nothing changes before that."
        )
        out.say(f"To see what is asked: holdfast show {run_id}")


def _one_line(title: str) -> str:
    """Return a title as chats show it.

    Raises:
        InvalidInput: there is nothing to show, or too much.
    """
    line = " ".join(title.split())
    if not 1 <= len(line) <= _LONGEST_TITLE:
        raise InvalidInput(f"--title: say in 1 to {_LONGEST_TITLE} characters what is wrong")
    return line


def _public(view: RunView) -> dict[str, Any]:
    return view.model_dump(mode="json", exclude=_PRIVATE)
