"""Shows a load test that runs: on this machine, or on the load workers by what they have reported."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from rich.live import Live as Screen

from holdfast.apps.cli import load_views as views
from holdfast.apps.cli.output import Output
from holdfast.domain.errors import EngineUnavailable, HoldfastError, Unavailable
from holdfast.loadgen.totals import Live, Totals
from holdfast.ports.load import KeptTest, LoadLog, LoadRuns, MadeTest
from holdfast.runbook.kinds.load import LoadSpec

Show = Callable[[LoadSpec, Live], None]

ONLY_WATCHING: Final = "Ctrl-C ends the watching, not the test"
# Reports are kept four times a second; so no full second is missed.
_LOOK_SECONDS: Final = 0.25
_ASK_SECONDS: Final = 2.0
_PATIENCE: Final = timedelta(minutes=5)


@dataclass(frozen=True)
class LoadWatching:
    """What a test is watched by.

    Attributes:
        log: has the reports and the results.
        runs: know which test is made, and since when.
    """

    log: LoadLog
    runs: LoadRuns


Watching = Callable[[], AbstractAsyncContextManager[LoadWatching]]


@contextmanager
def drawn(out: Output, *, ctrl_c: str) -> Generator[Show]:
    """Lend what shows the newest second: a table that changes on a terminal, a line a second elsewhere.

    Args:
        out: where to.
        ctrl_c: what Ctrl-C does, for the table.
    """
    if out.console.is_terminal:
        with Screen(console=out.console, auto_refresh=False, transient=True) as screen:
            yield lambda spec, live: screen.update(views.live_table(spec, live, ctrl_c=ctrl_c), refresh=True)
        return

    def say(_spec: LoadSpec, live: Live) -> None:
        if live.second >= 0:
            out.say(views.live_line(live))

    yield say


@asynccontextmanager
async def shown_beside(watching: Watching, run: str, out: Output) -> AsyncGenerator[None]:
    """Show a test's newest second while the block lasts; nothing of it depends on that."""
    task = asyncio.create_task(_shown(watching, run, out))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _shown(watching: Watching, run: str, out: Output) -> None:
    try:
        async with watching() as lent:
            with drawn(out, ctrl_c=ONLY_WATCHING) as show:
                await Watcher(lent, run, show=show).end()
    except HoldfastError as error:
        out.say(f"The figures of each second are not shown: {error}")


class Watcher:
    """Follows one test until it is over.

    Args:
        watching: where it is read.
        run: id of its run.
        show: told each full second once.
        say: told what else there is to know, in sentences.
    """

    def __init__(
        self, watching: LoadWatching, run: str, *, show: Show, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self._log, self._runs, self._run = watching.log, watching.runs, run
        self._show, self._say = show, say
        self._made = MadeTest()
        self._totals: Totals | None = None
        self._mark, self._second = 0, -1
        self._ask_at = self._heard_at = 0.0
        self._asking: asyncio.Task[MadeTest] | None = None
        self._silent = False

    async def end(self) -> KeptTest | MadeTest:
        """Wait for the end; return what is kept of the test, or its run where nothing is: no load was made.

        A store or a server that is away for a while, after they have answered once, is waited for.

        Raises:
            UnknownName: there is no such run.
            InvalidInput: it is no load test.
            Unavailable: nothing was heard for five minutes; the test itself goes on.
        """
        try:
            ended = await self._looked()
            while ended is None:
                await asyncio.sleep(_LOOK_SECONDS)
                try:
                    ended = await self._looked()
                except Unavailable as error:
                    self._be_patient(error)
        finally:
            if self._asking is not None:
                self._asking.cancel()
                await asyncio.gather(self._asking, return_exceptions=True)
        return ended

    async def _looked(self) -> KeptTest | MadeTest | None:
        """Read what is new and show it; return how it ended, if it has."""
        kept = await self._log.test(self._run)
        if kept is not None:
            return kept
        if await self._reported():
            self._heard()
        await self._ask()
        if not self._made.open:  # its result may have been kept between the two questions
            return await self._log.test(self._run) or self._made
        self._tell()
        return None

    async def _reported(self) -> bool:
        """Take in the new reports; return whether there were some."""
        if self._totals is None:
            return False
        reports, self._mark = await self._log.reports(self._run, after=self._mark)
        for kept in reports:
            self._totals.add(kept.report, attempt=kept.attempt)
        return bool(reports)

    async def _ask(self) -> None:
        """Ask the run now and then; while it is silent, its reports are enough."""
        made = await self._answer()
        if made is None:
            return
        self._heard()
        self._ask_at = time.monotonic() + (_ASK_SECONDS if made.start_at else _LOOK_SECONDS)
        if made.open and made.headline != self._made.headline and not made.start_at:
            self._say(made.headline)
        self._made = made
        if self._totals is None and made.spec is not None:
            self._totals = Totals(made.spec)

    async def _answer(self) -> MadeTest | None:
        """Return what the run says; None where nothing is asked, or not answered yet.

        The client gives a server that is away up after ten seconds; those of the test are shown meanwhile.
        """
        if self._asking is None:
            if time.monotonic() < self._ask_at:
                return None
            self._asking = asyncio.create_task(self._runs.made(self._run))
        if self._totals is not None and not self._asking.done():
            return None
        asked, self._asking = self._asking, None
        try:
            return await asked
        except EngineUnavailable:
            self._ask_at = time.monotonic() + _ASK_SECONDS
            if self._totals is None or time.monotonic() - self._heard_at > _ASK_SECONDS:
                raise
            return None

    def _tell(self) -> None:
        if self._totals is None or not self._made.start_at:
            return
        live = self._totals.live(time.time() - self._made.start_at)
        if live.second > self._second:
            self._second = live.second
            self._show(self._totals.spec, live)

    def _heard(self) -> None:
        self._heard_at = time.monotonic()
        if self._silent:
            self._silent = False
            self._say("It is heard of again.")

    def _be_patient(self, error: Unavailable) -> None:
        """Say once that nothing is heard; raise when that has been so for long."""
        if time.monotonic() - self._heard_at > _PATIENCE.total_seconds():
            raise error
        if not self._silent:
            self._silent = True
            self._say(f"{error}; the test itself goes on, still listening …")
