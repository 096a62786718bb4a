"""Watching a campaign's window: judges the promises, and comes back when there is something to tell.

One activity watches for as long as nothing happens. Its heartbeats carry what it remembers, so that another
worker goes on where a dead one stopped.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import BaseModel, Field
from temporalio import activity

from activities.clock import server_now
from activities.looking import Look, Patience, Scene
from holdfast.domain.errors import HoldfastError
from holdfast.ports.campaigns import CampaignLog, KeptMoment
from holdfast.ports.metrics import MetricsSource
from holdfast.slo.spec import ServiceContext
from holdfast.slo.status import Moment
from holdfast.slo.tracker import BreachBegan, News, Tracker

_BEAT_SECONDS: Final = 1.0
# Of a store that is down, what was seen waits for it: about a day of minutes.
_MOST_UNKEPT: Final = 1_500
_STORE_SECONDS: Final = 5.0
_SETTLE_SECONDS: Final = 0.25


class LookRequest(BaseModel):
    """What to watch, and until when.

    Attributes:
        run, campaign: under which names it is kept.
        interval: from one look to the next; also the `$window` of KPIs and resources.
        breach_after: looks in a row that must see a breach.
        recover_after: how long all must be well before a breach counts as over.
        baseline: how far back the usual values are looked up.
        tracker: what is known of breaches.
        looked_at: when was looked last; None for never.
        back_by: when to come back although nothing happened.
        opens, closes: the campaign's window: its events are counted, and the last look is at its end. None
            where it is not known.
    """

    run: str
    campaign: str
    contexts: dict[str, ServiceContext]
    interval: timedelta
    breach_after: int
    recover_after: timedelta
    baseline: timedelta
    tracker: Tracker = Tracker()
    looked_at: datetime | None = None
    back_by: datetime
    opens: datetime | None = None
    closes: datetime | None = None


class LookReport(BaseModel):
    """What there is to tell.

    Attributes:
        moment: the newest look; None where there was none.
        back_at: the watch's time when it came back.
    """

    tracker: Tracker
    looked_at: datetime | None = None
    back_at: datetime | None = None
    moment: Moment | None = None
    news: list[News] = Field(default_factory=list[News])


class WindowActivities:
    """Watches windows.

    Args:
        metrics: where queries are answered.
        log: gives the log of campaigns, or None while there is none; without it the watch goes on.
        clock: the time now, aware; the server's where not given, by which windows are set.
        sleep: waits for that many seconds of the clock.
        patience: how long a look waits for what; by the interval where not given.
    """

    def __init__(
        self,
        metrics: MetricsSource,
        *,
        log: Callable[[], CampaignLog | None] = lambda: None,
        clock: Callable[[], datetime] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        patience: Patience | None = None,
    ) -> None:
        self._metrics, self._log, self._given_clock, self._sleep = metrics, log, clock, sleep
        self._patience = patience
        self._keepers: dict[str, _Keeper] = {}

    @activity.defn
    async def watch_window(self, request: LookRequest) -> LookReport:
        """Look at each interval; return at the first look that brings news, or when it is time to come back.

        Metrics that do not answer are news, never an error.
        """
        clock = self._given_clock or _server_clock()
        report = _report_of_a_dead_worker() or LookReport(tracker=request.tracker, looked_at=request.looked_at)
        keeper = self._keeper(request)
        patience = self._patience or Patience.of(request.interval)
        if report.moment is not None:  # the dead worker may not have come to keeping it
            keeper.keep(report.moment)
        with closing(Look(self._metrics, _scene(request), patience, before=report.moment)) as look:
            while not report.news:  # what a dead worker could not tell any more is told first
                due = _next_look(request, report.looked_at) or clock()
                if due > request.back_by and report.moment is not None:
                    await self._until(request.back_by, clock, report)
                    break
                await self._until(due, clock, report)
                report, moment = await self._looked(look, request, report, due, clock)
                activity.heartbeat(report)
                keeper.keep(moment)
        # The report is made after the last look, of what is kept; before it a page must not wait for the store.
        is_last = request.closes is not None and report.looked_at == request.closes
        await keeper.settled(_STORE_SECONDS if is_last and not _pages(report.news) else _SETTLE_SECONDS)
        return report.model_copy(update={"back_at": clock()})

    async def _looked(
        self,
        look: Look,
        request: LookRequest,
        report: LookReport,
        due: datetime,
        clock: Callable[[], datetime],
    ) -> tuple[LookReport, Moment]:
        """Look once; the report says what there is to tell of it."""
        now = clock()
        at = max(due, now - request.interval)  # after an outage: what is now, not what was
        if request.closes is not None and max(at, now) >= request.closes:
            at = request.closes  # once it is over, only how it ended is worth a look

        def step(seen: Moment) -> tuple[Tracker, list[News]]:
            return report.tracker.step(
                seen, breach_after=request.breach_after, recover_after=request.recover_after
            )

        moment = await _beating(look.at(at, lambda seen: _pages(step(seen)[1])), report)
        tracker, news = step(moment)
        return LookReport(tracker=tracker, looked_at=at, moment=moment, news=news), moment

    def _keeper(self, request: LookRequest) -> "_Keeper":
        """Return what keeps the looks of this run; it still has what a store that was down has not taken."""
        return self._keepers.setdefault(request.run, _Keeper(self._log, request))

    async def _until(self, due: datetime, clock: Callable[[], datetime], report: LookReport) -> None:
        while (left := (due - clock()).total_seconds()) > 0:
            activity.heartbeat(report)
            await self._sleep(min(left, _BEAT_SECONDS))


class _Keeper:
    """Puts what was seen into the log; what could not be kept is tried again with the next look."""

    def __init__(self, log: Callable[[], CampaignLog | None], request: LookRequest) -> None:
        self._log, self._request = log, request
        self._unkept: list[KeptMoment] = []
        self._keeping: asyncio.Task[None] | None = None

    def keep(self, moment: Moment) -> None:
        """Keep it soon; a page does not wait for the store."""
        kept = KeptMoment(run=self._request.run, campaign=self._request.campaign, moment=moment)
        self._unkept = [*self._unkept, kept][-_MOST_UNKEPT:]
        if self._keeping is None or self._keeping.done():
            self._keeping = asyncio.create_task(self._keep())

    async def settled(self, seconds: float) -> None:
        """Wait for the store, so many seconds at most."""
        if self._keeping is not None:
            await asyncio.wait({self._keeping}, timeout=seconds)

    async def _keep(self) -> None:
        """Keep what there is, and what was seen meanwhile."""
        log = self._log()
        while log is not None and self._unkept and await self._kept_by(log):
            pass

    async def _kept_by(self, log: CampaignLog) -> bool:
        batch = list(self._unkept)
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                await log.saw(batch)
        except (HoldfastError, TimeoutError) as error:
            activity.logger.warning("%s: what was seen is not kept yet: %r", self._request.run, error)
            return False
        done = {id(kept) for kept in batch}  # comparing a day of looks with each other would take seconds
        self._unkept = [kept for kept in self._unkept if id(kept) not in done]
        return True


def _scene(request: LookRequest) -> Scene:
    return Scene(
        run=request.run,
        contexts=request.contexts,
        interval=request.interval,
        baseline=request.baseline,
        opens=request.opens,
        closes=request.closes,
    )


def _next_look(request: LookRequest, looked_at: datetime | None) -> datetime | None:
    """Return when to look again, the last time as the window closes; None where nobody has looked yet."""
    if looked_at is None:
        return None
    due = looked_at + request.interval
    return min(due, request.closes) if request.closes and looked_at < request.closes else due


def _pages(news: Sequence[News]) -> bool:
    return any(isinstance(one, BreachBegan) for one in news)


async def _beating(work: Coroutine[Any, Any, Moment], report: LookReport) -> Moment:
    """Await a look, with heartbeats, so that slow metrics do not look like a dead worker."""
    task = asyncio.create_task(work)
    try:
        while not (await asyncio.wait({task}, timeout=_BEAT_SECONDS))[0]:
            activity.heartbeat(report)
        return task.result()
    finally:
        task.cancel()


def _server_clock() -> Callable[[], datetime]:
    """Return a clock that shows the server's time, going on from the attempt's beginning."""
    at, began = server_now(), time.monotonic()
    return lambda: at + timedelta(seconds=time.monotonic() - began)


def _report_of_a_dead_worker() -> LookReport | None:
    details = activity.info().heartbeat_details
    return LookReport.model_validate(details[0]) if details else None
