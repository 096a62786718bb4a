"""A rollout as a step of a CI/CD pipeline: checked, started or found again, followed, told by an exit code."""

import asyncio
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Annotated, Any, Final, NoReturn, TypeVar

from cyclopts import App, CycloptsError, Group, Parameter

from activities.planning import PlanRequest, make_plan
from holdfast.apps.cli.deps import CliDeps
from holdfast.apps.cli.gate_progress import Progress, Watch, verdict_line, waits_for
from holdfast.apps.cli.moments import span_typed
from holdfast.apps.cli.output import Output, complain
from holdfast.apps.cli.parameters import AsPerson
from holdfast.domain import standing
from holdfast.domain.errors import HoldfastError, InvalidInput, UnknownName
from holdfast.domain.ids import run_id as new_run_id
from holdfast.domain.view import RunState, RunView
from holdfast.ports.runs import RolloutRequest, RunControl
from holdfast.runbook.plan import Plan

T = TypeVar("T")
_POLL, _QUIET = timedelta(seconds=2), timedelta(minutes=1)
# Of each CI system: which server it is, if there can be several, and what tells one pipeline from all others.
_KEYS: Final = (
    ("gitlab", "CI_SERVER_URL", ("CI_PROJECT_ID", "CI_PIPELINE_ID")),
    ("github", "GITHUB_SERVER_URL", ("GITHUB_REPOSITORY", "GITHUB_RUN_ID")),
    ("jenkins", "", ("JENKINS_URL", "BUILD_TAG")),
)
_OF_STAGE: Final = {"name", "state", "share_percent"}
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


class GateExit(IntEnum):
    """The exit codes of `holdfast gate-check`."""

    PROMOTED = 0
    NOT_PROMOTED = 1
    GOES_ON = 2
    NOT_STARTED = 3


@dataclass(frozen=True)
class _Order:
    """What was asked for, checked.

    Attributes:
        wait: as it was typed, in `limit` as a span.
        request: what to start; None for a run that is there.
        digest: of the runbook's file here; empty where it was not read.
    """

    runbook: str
    person: str
    run_id: str
    wait: str
    limit: timedelta
    request: RolloutRequest | None = None
    digest: str = ""

    @property
    def attach(self) -> str:
        """The command that finds the run again."""
        words = ("gate-check", self.runbook, "--as", self.person, "--run", self.run_id, "--wait", self.wait)
        return shlex.join(("holdfast", *words))


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
        key: Annotated[
            str, Parameter(help="What makes this rollout one; else of the CI system.", show_default=False)
        ] = "",
        wait: Annotated[str, Parameter(help="How long to wait for the end, e.g. 90s, 45m, 2h.")] = "45m",
        run: Annotated[
            str, Parameter(help="Attach to this run; nothing is checked or started.", show_default=False)
        ] = "",
        check_only: Annotated[
            bool, Parameter(help="Check file, person and pace; start nothing.", show_default=False)
        ] = False,
        as_json: Annotated[
            bool,
            Parameter(
                name="--json", help="One line of JSON on stdout, the rest on stderr.", show_default=False
            ),
        ] = False,
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
                return await self._follow(_Order(runbook, name, run, wait, limit), out)
            request = RolloutRequest(runbook=runbook, requested_by=name, pace=pace or self._deps.default_pace)
            plan = self._checked(request, out)
            if check_only:
                return _could_be_started(plan, out)
            run_id = new_run_id("rollout", _key(key, runbook, os.environ, out))
            return await self._follow(_Order(runbook, name, run_id, wait, limit, request, plan.digest), out)
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

    async def _follow(self, order: _Order, out: Output) -> GateExit:
        url = self._deps.ui_url(order.run_id)
        progress = Progress(out.say, quiet=self._quiet, digest=order.digest)
        async with self._deps.run_control() as control:
            watch = Watch(control, order.run_id, progress, poll=self._poll)
            return await _Following(control, order, url=url, watch=watch, out=out).to_an_exit()


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


class _Following:
    """One rollout from its start, or from being found, to the exit code."""

    def __init__(self, control: RunControl, order: _Order, *, url: str, watch: Watch, out: Output) -> None:
        self._control = control
        self._order = order
        self._url = url
        self._watch = watch
        self._progress = watch.progress
        self._out = out
        self._is_there = order.request is None  # until the server says so, a start is nothing but a wish

    async def to_an_exit(self) -> GateExit:
        """Follow the run for as long as `--wait` allows; say how it stands then."""
        limit = asyncio.timeout(self._order.limit.total_seconds())
        try:
            async with limit:
                code = self._ended(await _unless_told_to_end(self._to_the_end()))
        except TimeoutError:
            if not limit.expired():
                raise
            code = self._left(f"waited {self._order.wait}, as --wait says")
        except _ToldToEndError as told:
            code = self._left(f"told to end by {told}")
        except UnknownName:
            if self._watch.view is None:
                raise
            code = self._not_promoted("gone", "the Temporal server does not know the run any more")
        self._write_document(code)
        return code

    async def _to_the_end(self) -> dict[str, Any]:
        order, watch = self._order, self._watch
        request = order.request
        if request is not None and await watch.insist(
            lambda: self._control.start(request, run_id=order.run_id)
        ):
            self._is_there = True
            self._progress.line(f"started {order.run_id}: {self._url}")
        else:
            self._is_there = True
            self._attached(await watch.first_look())
        return await watch.end()

    def _attached(self, view: RunView) -> None:
        if view.runbook != self._order.runbook:
            raise InvalidInput(
                f"{self._order.run_id} is a run of runbook '{view.runbook}', not of '{self._order.runbook}': "
                "give another --key or --run"
            )
        who = f"started by {view.requested_by} at {view.started_at:%Y-%m-%d %H:%M:%S} UTC, pace {view.pace}"
        self._progress.line(f"attached to {self._order.run_id}, {who}: {self._url}")

    def _ended(self, report: dict[str, Any]) -> GateExit:
        view = self._watch.view
        if view is not None and view.state is RunState.PROMOTED:
            self._progress.line(f"{view.run_id}: promoted. {view.headline}")
            return GateExit.PROMOTED
        if view is None or not view.state.ended:
            state = f"ended from outside while {view.state}" if view else "ended"
            return self._not_promoted(state, str(report.get("why", "")))
        why = str(report.get("why", ""))
        return self._not_promoted(view.state, f"{view.headline} {'' if why in view.headline else why}".strip())

    def _not_promoted(self, state: str, why: str) -> GateExit:
        run_id, view = self._order.run_id, self._watch.view
        self._progress.line(f"{run_id}: {state}. {why}".rstrip())
        looks = [self._url, f"holdfast show {run_id}"]
        if view is not None and view.verdict is not None:
            self._progress.line(f"newest {verdict_line(view.verdict)}")
            looks.append(f"holdfast verdict explain {run_id}")
        self._progress.line(f"Where to look: {' | '.join(looks)}")
        return GateExit.NOT_PROMOTED

    def _left(self, why: str) -> GateExit:
        order, line = self._order, self._progress.line
        if not self._is_there:
            complain(
                f"{why}; the Temporal server has not answered, so no run is known to have started. "
                f"The same command with the same key is safe: if the start has got through after all, it finds "
                f"{order.run_id}."
            )
            return GateExit.NOT_STARTED
        line(f"{why}. Nothing is stopped: {order.run_id} goes on. {self._how_it_stands()}".rstrip())
        line(f"Attach again: {order.attach}")
        able = ", ".join(self._watch.view.may_roll_back) if self._watch.view else ""
        line(f"To undo it: holdfast rollback {order.run_id} --as NAME{f' (one of: {able})' if able else ''}")
        return GateExit.GOES_ON

    def _how_it_stands(self) -> str:
        view = self._watch.view
        if view is None:
            return "It has not been seen, because no worker or server has answered."
        asked = f"; gate {view.gate.id} {waits_for(view.gate, view, datetime.now(UTC))}" if view.gate else ""
        return f"It is {view.state}: {view.headline}{asked}."

    def _write_document(self, code: GateExit) -> None:
        if self._out.as_json:
            _write_line(_document(self._watch.view, self._order, self._url, code))


class _ToldToEndError(Exception):
    """A signal arrived; the text is its name."""


async def _unless_told_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Do the work; raises `_ToldToEndError` when SIGINT or SIGTERM comes first, as CI systems send it."""
    task = asyncio.ensure_future(work)
    told: list[str] = []

    def end(name: str) -> None:
        told.append(name)
        task.cancel()

    with _signals(end):
        try:
            return await task
        except asyncio.CancelledError:
            if told:
                raise _ToldToEndError(told[0]) from None
            raise


@contextmanager
def _signals(hear: Callable[[str], None]) -> Generator[None]:
    loop, heard = asyncio.get_running_loop(), (signal.SIGINT, signal.SIGTERM)
    # Neither another thread than the main one nor Windows can listen; there a signal ends the process at once.
    with suppress(NotImplementedError, RuntimeError, ValueError):
        for number in heard:
            loop.add_signal_handler(number, hear, number.name)
    try:
        yield
    finally:
        with suppress(NotImplementedError):
            for number in heard:
                loop.remove_signal_handler(number)


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
        _write_line(checked | {"stages": stages, "risk": None, "exit": int(GateExit.PROMOTED)})
    return GateExit.PROMOTED


def _document(view: RunView | None, order: _Order, url: str, code: GateExit) -> dict[str, Any]:
    document: dict[str, Any] = {
        "run_id": order.run_id,
        "state": None,
        "headline": "",
        "url": url,
        "stages": [],
        "risk": None,
        "verdict": None,
        "waits_for": [],
        "limited": False,
        "exit": int(code),
    }
    if view is not None:
        gate, verdict = view.gate, view.verdict
        document |= {
            "state": view.state,
            "headline": view.headline,
            "stages": [s.model_dump(mode="json", include=_OF_STAGE) for s in view.stages],
            "risk": None if verdict is None or verdict.risk_percent is None else verdict.risk_percent / 100,
            "verdict": verdict.outcome if verdict else None,
            "limited": any(closed.limited for closed in view.closed_gates),
            "waits_for": list(standing.waiting_for(gate, view.people, datetime.now(UTC))) if gate else [],
        }
    return document | ({"attach": order.attach} if code is GateExit.GOES_ON else {})


def _write_line(document: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _leave_for_wrong_usage(error: CycloptsError) -> NoReturn:
    """Say what is wrong and leave; cyclopts itself would leave with 2, which means something else here."""
    complain(f"{error}\nholdfast gate-check --help explains every option.")
    raise SystemExit(GateExit.NOT_STARTED)
