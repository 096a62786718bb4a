"""What the log of a pipeline is told of a run: one line a change, and one a minute where nothing changes."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from holdfast.domain import standing
from holdfast.domain.errors import EngineUnavailable, HoldfastError
from holdfast.domain.gates import Gate, outcome_of
from holdfast.domain.signoff import Lapse
from holdfast.domain.view import RunView, StageState, VerdictView
from holdfast.ports.runs import RunControl

T = TypeVar("T")


class Progress:
    """Writes lines with time stamps (UTC) for whoever reads the log of a CI job."""

    def __init__(self, say: Callable[[str], None], *, quiet: timedelta, digest: str = "") -> None:
        """Prepare to write.

        Args:
            say: takes one line.
            quiet: after so long without a change it is said that nothing has changed.
            digest: of the runbook's file as it was checked here, to tell when the workers run another one.
        """
        self._say = say
        self._quiet = quiet
        self._digest = digest
        self._told: dict[str, str] = {}
        self._said_at = datetime.now(UTC)
        self._silent = False

    def line(self, text: str, now: datetime | None = None) -> None:
        """Write one line."""
        self._said_at = now or datetime.now(UTC)
        # A line break in somebody's reason must not begin a line that a CI system takes for its own command.
        self._say(f"{self._said_at:%Y-%m-%d %H:%M:%SZ}  {' '.join(text.split())}")

    def tell(self, view: RunView, now: datetime) -> None:
        """Write what differs from what was told before."""
        if self._silent:
            self._silent = False
            self.line("Temporal answers again.", now)
        for subject, text in (*self._doubts(view), *_facts(view, now)):
            if self._told.get(subject) != text:
                self._told[subject] = text
                self.line(text, now)
        if now - self._said_at >= self._quiet:
            self.line(f"still {_standing(view, now)}", now)

    def _doubts(self, view: RunView) -> Iterator[tuple[str, str]]:
        # The workers read the file on their own machines; what was checked here may not be what runs.
        if self._digest and view.digest and view.digest != self._digest:
            differ = f"the run's file is {view.digest}, the one that was checked here is {self._digest}"
            yield "digest", f"careful: {differ}; the run goes by its own"

    def tell_silence(self, error: EngineUnavailable, now: datetime) -> None:
        """Write that nothing is heard: at once, then as often as of any other standstill."""
        if not self._silent:
            self._silent = True
            self.line(f"{error}; trying on …", now)
        elif now - self._said_at >= self._quiet:
            self.line(f"still trying: {error}", now)


class Watch:
    """Looks at one run until it ends, over a server and workers that may be away for a while.

    Attributes:
        view: what was seen last; None before the first look.
        progress: where it is told.
    """

    def __init__(self, control: RunControl, run_id: str, progress: Progress, *, poll: timedelta) -> None:
        self.view: RunView | None = None
        self._control = control
        self._run_id = run_id
        self.progress = progress
        self._poll_seconds = poll.total_seconds()

    async def first_look(self) -> RunView:
        """Return the run once it can be seen; raises UnknownName where there is none."""
        return await self.insist(lambda: self._control.view(self._run_id))

    async def end(self) -> dict[str, Any]:
        """Tell what happens until the run ends, and return its report."""
        return await self.insist(self._listen)

    async def insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call until there is an answer; how long to wait for it is up to the caller."""
        while True:
            try:
                return await call()
            except EngineUnavailable as error:
                self.progress.tell_silence(error, datetime.now(UTC))
                await asyncio.sleep(self._poll_seconds)

    async def _listen(self) -> dict[str, Any]:
        # The end is asked for beside the view: a run that was terminated from outside shows no end of its own.
        ending = asyncio.ensure_future(self._control.result(self._run_id))
        try:
            while not ending.done():
                await self._look()
                await asyncio.wait({ending}, timeout=self._poll_seconds)
            await self._look()
            return ending.result()
        finally:
            ending.cancel()
            with contextlib.suppress(asyncio.CancelledError, HoldfastError):
                await ending

    async def _look(self) -> None:
        self.view = await self._control.view(self._run_id)
        self.progress.tell(self.view, datetime.now(UTC))


def verdict_line(verdict: VerdictView) -> str:
    """Return a verdict with its risk and reason in one line."""
    risk = f"risk {verdict.risk} at {verdict.share_percent} %"
    bands = f" ({verdict.thresholds})" if verdict.thresholds else ""
    return f"verdict: {verdict.said}, {risk}{bands}: {verdict.reason.removeprefix(f'{risk}: ')}"


def waits_for(gate: Gate, view: RunView, now: datetime) -> str:
    """Say who could answer a gate, and until when."""
    names = ", ".join(standing.waiting_for(gate, view.people, now)) or "somebody who could answer"
    return f"waits for {names} ({gate.missing} of {gate.needed} approvals missing), {_until(gate)}"


def _until(gate: Gate) -> str:
    if gate.deadline is None:
        return "without a deadline"
    until = f"until {gate.deadline:%Y-%m-%d %H:%M} UTC"
    if gate.overdue:
        return f"overdue, it was asked {until}"
    meaning = "goes on waiting" if gate.on_deadline is Lapse.HOLD else f"means: {gate.on_deadline}"
    return f"{until}; no answer by then {meaning}"


def _facts(view: RunView, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield what is to be told, each with its subject: a subject is told again when its text changes."""
    yield "state", f"{view.state}: {view.headline}"
    for gate in view.closed_gates:
        yield f"decided {gate.id}", f"decided: {outcome_of(gate)}"
    for number, stage in enumerate(view.stages, start=1):
        if stage.state is not StageState.AHEAD:
            share = f" at {stage.share_percent} %" if stage.share_percent else ""
            where = f"stage {number} of {len(view.stages)}, {stage.name}"
            yield f"stage {stage.name}", f"{where}: {stage.state}{share}"
    if view.verdict:
        yield f"verdict {view.verdict.at}", verdict_line(view.verdict)
    if view.gate:
        text = f"gate {view.gate.id} asks: {view.gate.told} It {waits_for(view.gate, view, now)}."
        answer = f"Answer in the chat or: holdfast approve {view.run_id} --as NAME --gate {view.gate.id}"
        yield f"gate {view.gate.id}", f"{text} {answer}"


def _standing(view: RunView, now: datetime) -> str:
    gate = f"; gate {view.gate.id} {waits_for(view.gate, view, now)}" if view.gate else ""
    return f"{view.state}: {view.headline}{gate}"
