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
from holdfast.domain.errors import HoldfastError, InvalidInput, MetricsUnavailable
from holdfast.ports.campaigns import CampaignLog, KeptMoment
from holdfast.ports.metrics import MetricsSource
from holdfast.slo import queries
from holdfast.slo.baseline import Usual, baseline_step, usual
from holdfast.slo.evaluate import evaluate, silence
from holdfast.slo.queries import Question
from holdfast.slo.spec import ServiceContext
from holdfast.slo.status import Moment
from holdfast.slo.tracker import News, Tracker

_BEAT_SECONDS: Final = 1.0
# Of the 20 questions that Prometheus answers at once, so many are ours: what a page needs, and all else.
_AT_ONCE: Final = 12
_BESIDE_AT_ONCE: Final = 4
# What reads weeks of samples is asked so often, however short the interval is.
_COSTLY_EVERY: Final = timedelta(minutes=1)
_BASELINES_EVERY: Final = timedelta(hours=1)
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
    """

    def __init__(
        self,
        metrics: MetricsSource,
        *,
        log: Callable[[], CampaignLog | None] = lambda: None,
        clock: Callable[[], datetime] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._metrics, self._log, self._given_clock, self._sleep = metrics, log, clock, sleep
        self._keepers: dict[str, _Keeper] = {}

    @activity.defn
    async def watch_window(self, request: LookRequest) -> LookReport:
        """Look at each interval; return at the first look that brings news, or when it is time to come back.

        Metrics that do not answer are news, never an error.
        """
        clock = self._given_clock or _server_clock()
        report = _report_of_a_dead_worker() or LookReport(tracker=request.tracker, looked_at=request.looked_at)
        keeper = self._keeper(request)
        with closing(_Look(self._metrics, request)) as look:
            while not report.news:  # what a dead worker could not tell any more is told first
                due = (report.looked_at + request.interval) if report.looked_at else clock()
                if due > request.back_by and report.moment is not None:
                    await self._until(request.back_by, clock, report)
                    break
                await self._until(due, clock, report)
                at = max(due, clock() - request.interval)  # after an outage: what is now, not what was
                moment = await _beating(look.at(at), report)
                tracker, news = report.tracker.step(
                    moment, breach_after=request.breach_after, recover_after=request.recover_after
                )
                report = LookReport(tracker=tracker, looked_at=at, moment=moment, news=news)
                activity.heartbeat(report)
                keeper.keep(moment)
        await keeper.settled()
        return report.model_copy(update={"back_at": clock()})

    def _keeper(self, request: LookRequest) -> "_Keeper":
        """Return what keeps the looks of this run; it still has what a store that was down has not taken."""
        return self._keepers.setdefault(request.run, _Keeper(self._log, request))

    async def _until(self, due: datetime, clock: Callable[[], datetime], report: LookReport) -> None:
        while (left := (due - clock()).total_seconds()) > 0:
            activity.heartbeat(report)
            await self._sleep(min(left, _BEAT_SECONDS))


class _Look:
    """Asks everything there is to ask, and remembers what need not be asked each time."""

    def __init__(self, metrics: MetricsSource, request: LookRequest) -> None:
        self._metrics, self._request = metrics, request
        self._asked = queries.questions(request.contexts, window=request.interval)
        self._costly: dict[str, float | None] = {}
        self._costly_at: datetime | None = None
        self._asking: asyncio.Task[None] | None = None
        self._usual: dict[str, Usual] = {}
        self._usual_at: datetime | None = None
        self._looking_up: asyncio.Task[None] | None = None
        self._limit, self._limit_beside = asyncio.Semaphore(_AT_ONCE), asyncio.Semaphore(_BESIDE_AT_ONCE)

    def close(self) -> None:
        """Ask nothing any more."""
        for task in (self._asking, self._looking_up):
            if task is not None:
                task.cancel()

    async def at(self, at: datetime) -> Moment:
        """Return how everything stands at that moment."""
        self._look_up_what_is_usual(at)
        try:
            asked = [question for question in self._asked if not question.costly]
            answers = await self._answers(asked, at, self._limit)
        except MetricsUnavailable as error:
            return silence(self._request.contexts, at, str(error))
        await self._ask_what_is_costly(at)
        return evaluate(self._request.contexts, {**self._costly, **answers}, self._usual, at)

    async def _ask_what_is_costly(self, at: datetime) -> None:
        """Ask now and then what reads weeks, beside the looks: a page does not wait for a budget."""
        due = self._costly_at is None or at - self._costly_at >= _COSTLY_EVERY
        if due and (self._asking is None or self._asking.done()):
            self._costly_at = at
            self._asking = asyncio.create_task(self._know_what_is_costly(at))
            await asyncio.wait({self._asking}, timeout=_SETTLE_SECONDS)

    async def _know_what_is_costly(self, at: datetime) -> None:
        """Without it the budget is not known, and all else is."""
        try:
            asked = [question for question in self._asked if question.costly]
            self._costly = await self._answers(asked, at, self._limit_beside)
        except MetricsUnavailable as error:
            activity.logger.warning("%s: budgets are not known: %s", self._request.run, error)

    async def _answers(
        self, asked: Sequence[Question], at: datetime, limit: asyncio.Semaphore
    ) -> dict[str, float | None]:
        by_query = queries.by_query(asked)
        asking = (self._ask(query, at, limit) for query in by_query)
        found = await asyncio.gather(*asking, return_exceptions=True)
        failed = [answer for answer in found if isinstance(answer, BaseException)]
        for error in failed:
            if len(failed) == len(found) or not isinstance(error, MetricsUnavailable):
                raise error
            activity.logger.warning("%s: a query was not answered: %s", self._request.run, error)
        known = [None if isinstance(answer, BaseException) else answer for answer in found]
        pairs = zip(by_query.values(), known, strict=True)
        return {question.key: answer for same, answer in pairs for question in same}

    async def _ask(self, query: str, at: datetime, limit: asyncio.Semaphore) -> float | None:
        """Return a number; None where there is no data, and where one query is wrong: the others count."""
        async with limit:
            try:
                return await self._metrics.instant(query, at=at)
            except InvalidInput as error:
                activity.logger.warning("%s: a query has no answer: %s", self._request.run, error)
                return None

    def _look_up_what_is_usual(self, at: datetime) -> None:
        """Look the KPIs' past up beside the looks, now and then; until it is known nothing deviates."""
        if self._looking_up is not None and not self._looking_up.done():
            return
        if self._usual_at is None or at - self._usual_at >= _BASELINES_EVERY:
            self._looking_up = asyncio.create_task(self._know_what_is_usual(at))

    async def _know_what_is_usual(self, at: datetime) -> None:
        asked = queries.baseline_questions(self._request.contexts, window=self._request.interval)
        try:
            for question in asked:
                summary = usual(await self._past(question, at), at=at)
                if summary is not None:
                    self._usual[question.key] = summary
            self._usual_at = at
        except (MetricsUnavailable, InvalidInput) as error:
            activity.logger.warning("%s: what is usual is not known: %s", self._request.run, error)

    async def _past(self, question: Question, at: datetime) -> list[tuple[datetime, float]]:
        step = baseline_step(self._request.baseline, interval=self._request.interval)
        async with self._limit_beside:
            return await self._metrics.points(
                question.query, start=at - self._request.baseline, end=at, step=step
            )


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

    async def settled(self) -> None:
        """Wait a moment for the store, which must not hold up a page."""
        if self._keeping is not None:
            await asyncio.wait({self._keeping}, timeout=_SETTLE_SECONDS)

    async def _keep(self) -> None:
        log = self._log()
        if log is None:
            return
        batch = list(self._unkept)
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                await log.saw(batch)
        except (HoldfastError, TimeoutError) as error:
            activity.logger.warning("%s: what was seen is not kept yet: %r", self._request.run, error)
            return
        done = {id(kept) for kept in batch}  # comparing a day of looks with each other would take seconds
        self._unkept = [kept for kept in self._unkept if id(kept) not in done]


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
