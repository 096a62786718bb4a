"""One rollout of `holdfast gate-check`, followed from its start to the exit code, and told as it stands."""

import asyncio
import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, Final

from holdfast.apps.cli.gate_progress import Watch, verdict_line, waits_for
from holdfast.apps.cli.output import Output, complain
from holdfast.apps.cli.signals import ToldToEndError, unless_told_to_end
from holdfast.domain import standing
from holdfast.domain.errors import InvalidInput, UnknownName
from holdfast.domain.view import RunState, RunView
from holdfast.ports.runs import RolloutRequest, RunControl

_OF_STAGE: Final = {"name", "state", "share_percent"}


class GateExit(IntEnum):
    """The exit codes of `holdfast gate-check`."""

    PROMOTED = 0
    NOT_PROMOTED = 1
    GOES_ON = 2
    NOT_STARTED = 3


@dataclass(frozen=True)
class Order:
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


class Following:
    """One rollout from its start, or from being found, to the exit code."""

    def __init__(self, control: RunControl, order: Order, *, url: str, watch: Watch, out: Output) -> None:
        """Follow with this watch; `url` is the run's page, for people."""
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
                code = self._ended(await unless_told_to_end(self._to_the_end()))
        except TimeoutError:
            if not limit.expired():
                raise
            code = self._left(f"waited {self._order.wait}, as --wait says")
        except ToldToEndError as told:
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
            write_line(_document(self._watch.view, self._order, self._url, code))


def _document(view: RunView | None, order: Order, url: str, code: GateExit) -> dict[str, Any]:
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


def write_line(document: Mapping[str, Any]) -> None:
    """Write one line of JSON to stdout, for a pipeline to read."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    sys.stdout.flush()
