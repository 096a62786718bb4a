"""A rollout as a step of a CI/CD pipeline: checked, started or found again, followed, told by an exit code."""

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Final, NoReturn

from cyclopts import App, CycloptsError, Group, Parameter

from activities.planning import PlanRequest, make_plan
from holdfast.apps.cli.deps import CliDeps
from holdfast.apps.cli.gate_following import Following, GateExit, Order, write_line
from holdfast.apps.cli.gate_progress import Progress, Watch
from holdfast.apps.cli.moments import span_typed
from holdfast.apps.cli.output import Output, complain
from holdfast.apps.cli.parameters import AsPerson
from holdfast.domain.errors import HoldfastError, InvalidInput
from holdfast.domain.ids import run_id as new_run_id
from holdfast.ports.runs import RolloutRequest
from holdfast.runbook.plan import Plan

_POLL, _QUIET = timedelta(seconds=2), timedelta(minutes=1)
# Of each CI system: which server it is, if there can be several, and what tells one pipeline from all others.
_KEYS: Final = (
    ("gitlab", "CI_SERVER_URL", ("CI_PROJECT_ID", "CI_PIPELINE_ID")),
    ("github", "GITHUB_SERVER_URL", ("GITHUB_REPOSITORY", "GITHUB_RUN_ID")),
    ("jenkins", "", ("JENKINS_URL", "BUILD_TAG")),
)
_HELP = """\
Examples:
  holdfast gate-check support-surge --as anna
  holdfast gate-check support-surge --as anna --check-only
  holdfast gate-check support-surge --as anna --key release-2026.11 --wait 2h
  holdfast gate-check support-surge --as anna --run rollout-4f7qk2mz --wait 2h
  holdfast gate-check support-surge --as anna --json | jq -r .state

Exit codes (of this command only):
  0  promoted: every stage is in place; with --check-only: it could start
  1  not promoted: rolled back, stopped, rejected or failed; the last lines
     say why and where to look
  2  not ended within --wait, or this command was told to end (Ctrl-C,
     SIGTERM). Nothing is stopped, the run goes on; the last lines have the
     command that attaches to it again
  3  wrong input; or the Temporal server did not answer within --wait, so
     that no run is known to have started
  4  a bug in Holdfast

What moves the run on is the verdict on the canary, by the edges that the
runbook sets. The usual ones: a risk up to 0.5 goes on, between 0.5 and 1.5
pauses for a person, above 1.5 rolls back.

The same key finds the same run: a job that is repeated starts nothing twice.
Without --key it is made of the runbook's name and of
  GitLab   CI_PROJECT_ID and CI_PIPELINE_ID
  GitHub   GITHUB_REPOSITORY and GITHUB_RUN_ID
  Jenkins  JENKINS_URL and BUILD_TAG"""


_Key = Annotated[str, Parameter(help="What makes this rollout one; else of the CI system.", show_default=False)]
_AttachTo = Annotated[
    str, Parameter(help="Attach to this run; nothing is checked or started.", show_default=False)
]
_CheckOnly = Annotated[bool, Parameter(help="Check file, person and pace; start nothing.", show_default=False)]
_AsJsonLine = Annotated[
    bool,
    Parameter(name="--json", help="One line of JSON on stdout, the rest on stderr.", show_default=False),
]


class GateCheckCommand:
    """`holdfast gate-check`."""

    def __init__(self, deps: CliDeps, *, poll: timedelta = _POLL, quiet: timedelta = _QUIET) -> None:
        """Look at runs every `poll`, and say something at least every `quiet`."""
        self._deps = deps
        self._poll = poll
        self._quiet = quiet

    async def gate_check(
        self,
        runbook: Annotated[str, Parameter(help="The runbook, as `holdfast runbooks` lists it.")],
        /,
        *,
        person: AsPerson,
        pace: Annotated[str, Parameter(help="One of the runbook's paces.", show_default=False)] = "",
        key: _Key = "",
        wait: Annotated[str, Parameter(help="How long to wait for the end, e.g. 90s, 45m, 2h.")] = "45m",
        run: _AttachTo = "",
        check_only: _CheckOnly = False,
        as_json: _AsJsonLine = False,
    ) -> GateExit:
        """Run a rollout as a step of a pipeline; its outcome is the exit code.

        Checks file, person and pace, starts the rollout or finds the one that
        this pipeline has started, says what changes, and ends with the run.
        """
        out = Output(as_json=as_json)
        try:
            _only_one("--run", run, {"--key": key, "--pace": pace, "--check-only": check_only})
            limit, name = span_typed("--wait", wait), person.strip().lower()
            if run:
                return await self._follow(Order(runbook, name, run, wait, limit), out)
            request = RolloutRequest(runbook=runbook, requested_by=name, pace=pace or self._deps.default_pace)
            plan = self._checked(request, out)
            if check_only:
                return _could_be_started(plan, out)
            run_id = new_run_id("rollout", _key(key, runbook, os.environ, out))
            return await self._follow(Order(runbook, name, run_id, wait, limit, request, plan.digest), out)
        except HoldfastError as error:
            complain(str(error))
            return GateExit.NOT_STARTED

    def _checked(self, request: RolloutRequest, out: Output) -> Plan:
        plan = make_plan(self._deps.library(), PlanRequest(**request.model_dump()))
        spec = plan.spec
        out.say(f"Checked: {spec.title} (runbook {spec.name}, {plan.digest}, pace {plan.pace_name})")
        for number, stage in enumerate(spec.stages, start=1):
            approvers = ", ".join(p.name for p in plan.people.holding(stage.gate.listed))
            out.say(f"  stage {number}, {stage.name}: {stage.title}; asks {approvers}")
        if spec.scoring.model != "judge":  # that one has a score of its own, which each verdict explains
            go_on, pause = spec.scoring.continue_up_to_percent / 100, spec.scoring.pause_up_to_percent / 100
            out.say(f"  risk up to {go_on:.2f} goes on, up to {pause:.2f} asks a person, above it rolls back")
        return plan

    async def _follow(self, order: Order, out: Output) -> GateExit:
        url = self._deps.ui_url(order.run_id)
        progress = Progress(out.say, quiet=self._quiet, digest=order.digest)
        async with self._deps.run_control() as control:
            watch = Watch(control, order.run_id, progress, poll=self._poll)
            return await Following(control, order, url=url, watch=watch, out=out).to_an_exit()


def add_gate_check(app: App, deps: CliDeps, *, poll: timedelta = _POLL, quiet: timedelta = _QUIET) -> None:
    """Add `holdfast gate-check`; its wrong usage ends with another exit code than that of other commands."""
    command = App(
        name="gate-check",
        group=Group("Pipelines", sort_key=1),
        help_epilogue=_HELP,
        error_formatter=_leave_for_wrong_usage,
    )
    command.default(GateCheckCommand(deps, poll=poll, quiet=quiet).gate_check)
    app.command(command)


def _key(given: str, runbook: str, environment: Mapping[str, str], out: Output) -> str:
    """Return the key of this rollout and say where it is from.

    Raises:
        InvalidInput: none is given, and this is no CI system that we know.
    """
    if given.strip():
        out.say(f"Key: {given.strip()} (from --key)")
        return given.strip()
    for system, server, names in _KEYS:
        values = [environment.get(name, "") for name in names]
        if all(values):
            # Two rollouts of one pipeline must not find each other, hence the runbook's name.
            key = "/".join((system, *filter(None, [environment.get(server, "")]), *values, runbook))
            out.say(f"Key: {key} (from {' and '.join(names)})")
            return key
    known = "; ".join(f"{system}: {' and '.join(names)}" for system, _server, names in _KEYS)
    raise InvalidInput(
        f"--key: the variables of no CI system are set ({known}). Give a --key that is the same whenever this "
        "pipeline is repeated, and another one for each rollout."
    )


def _only_one(option: str, given: str, others: Mapping[str, str | bool]) -> None:
    """Refuse options that say two things at once."""
    clash = [name for name, value in others.items() if value]
    if given and clash:
        raise InvalidInput(f"{option}: it attaches to a run that is there; leave out {', '.join(clash)}")


def _could_be_started(plan: Plan, out: Output) -> GateExit:
    out.say("It could be started. Nothing was started, because of --check-only.")
    if out.as_json:
        stages = [{"name": s.name, "state": "ahead", "share_percent": 0} for s in plan.spec.stages]
        checked = {"run_id": None, "state": "checked", "headline": "could be started", "url": None}
        write_line(checked | {"stages": stages, "risk": None, "exit": int(GateExit.PROMOTED)})
    return GateExit.PROMOTED


def _leave_for_wrong_usage(error: CycloptsError) -> NoReturn:
    """Say what is wrong and leave; cyclopts itself would leave with 2, which means something else here."""
    complain(f"{error}\nholdfast gate-check --help explains every option.")
    raise SystemExit(GateExit.NOT_STARTED)
