"""Follows a run to its end, line by line, over a Temporal server that may be away for a while."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from holdfast.apps.cli.exits import Exit
from holdfast.apps.cli.output import Output
from holdfast.domain.errors import EngineUnavailable
from holdfast.domain.view import LogLine, RunState, RunView
from holdfast.ports.runs import RunControl

_POLL_SECONDS = 1.0
PATIENCE = timedelta(minutes=5)


class _News:
    """Tells what is new in a view since the last one."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._told: list[LogLine] = []
        self._silent_since: float | None = None

    def tell(self, view: RunView) -> None:
        if self._silent_since is not None:
            self._say("Temporal answers again.")
        self._silent_since = None
        for line in view.log:
            if line not in self._told:
                self._say(f"{line.at:%H:%M:%S}  {line.text}")
        self._told = view.log

    def tell_silence(self, error: EngineUnavailable) -> float:
        """Say once that nothing is heard; return for how many seconds that has been so."""
        now = time.monotonic()
        if self._silent_since is None:
            self._silent_since = now
            self._say(f"{error}; the run itself goes on, still listening …")
        return now - self._silent_since


async def follow(
    control: RunControl, run_id: str, say: Callable[[str], None], *, patience: timedelta = PATIENCE
) -> tuple[RunView, dict[str, Any]]:
    """Say what happens in a run until it ends; return how it looks then, and its report.

    Raises:
        EngineUnavailable: nothing was heard for longer than `patience`.
    """
    news = _News(say)
    while True:
        try:
            return await _until_end(control, run_id, news)
        except EngineUnavailable as error:
            if news.tell_silence(error) > patience.total_seconds():
                raise
            await asyncio.sleep(_POLL_SECONDS)


async def to_the_end(
    control: RunControl, run_id: str, out: Output, document: dict[str, Any], *, wanted: RunState
) -> Exit:
    """Follow a run to its end, put how it ended into the document, and return whether that was wanted.

    Raises:
        EngineUnavailable: nothing was heard for a while; the run goes on by itself.
    """
    try:
        view, report = await follow(control, run_id, out.say)
    except EngineUnavailable as error:
        raise EngineUnavailable(f"{error}. The run goes on without us: holdfast show {run_id}") from None
    state = view.state if view.state.ended else f"ended from outside while {view.state}"
    out.say(f"{run_id}: {state}. {view.headline}")
    document |= {"state": state, "headline": view.headline, "why": report.get("why", "")}
    return Exit.DONE if view.state is wanted else Exit.OTHERWISE


async def _until_end(control: RunControl, run_id: str, news: _News) -> tuple[RunView, dict[str, Any]]:
    ending = asyncio.ensure_future(control.result(run_id))
    try:
        while not ending.done():
            news.tell(await control.view(run_id))
            await asyncio.wait({ending}, timeout=_POLL_SECONDS)
        view = await control.view(run_id)
        news.tell(view)
        return view, ending.result()
    finally:
        ending.cancel()
        with contextlib.suppress(asyncio.CancelledError, EngineUnavailable):
            await ending
