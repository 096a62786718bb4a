"""One look at a campaign's metrics: asks everything at once, and waits for nothing that may hang.

What a page needs is asked apart from what is only shown, each with slots of its own, so that slow KPIs hold up
no promise and a slow promise no other.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Self

from temporalio import activity

from holdfast.domain.errors import InvalidInput, MetricsUnavailable
from holdfast.ports.metrics import MetricsSource
from holdfast.slo import queries
from holdfast.slo.baseline import Usual, baseline_step, usual
from holdfast.slo.evaluate import evaluate, silence, window_counts
from holdfast.slo.queries import Question
from holdfast.slo.spec import ServiceContext
from holdfast.slo.status import Moment, WindowCount

# Prometheus answers 20 questions at once, and holds the others back.
_PROMISES_AT_ONCE: Final = 10
_NUMBERS_AT_ONCE: Final = 4
_BESIDE_AT_ONCE: Final = 4
_COUNTS_AT_ONCE: Final = 2
# What reads weeks of samples is asked so often, however short the interval is.
_COSTLY_EVERY: Final = timedelta(minutes=1)
# The window is counted at each look while it is as short as this, and later as often as what is costly.
_COUNTED_AT_EACH_LOOK: Final = timedelta(hours=1)
_BASELINES_EVERY: Final = timedelta(hours=1)

Answers = dict[str, float | None]
_Asking = dict[str, "asyncio.Task[float | None]"]


@dataclass(frozen=True)
class Patience:
    """How long a look waits, in seconds.

    Attributes:
        page: for anything else, once a look calls people.
        promise: for each question about a promise.
        number: for KPIs, resources and the window's count, from the look's beginning.
        last: for the count at the window's end.
    """

    page: float = 0.25
    promise: float = 5.0
    number: float = 2.0
    last: float = 10.0

    @classmethod
    def of(cls, interval: timedelta) -> Self:
        """Return what suits looks at this distance."""
        third = interval.total_seconds() / 3
        return cls(promise=min(max(third, 1.0), 5.0), number=min(max(third, 0.5), 2.0))


@dataclass(frozen=True)
class Scene:
    """What is looked at.

    Attributes:
        run: for the log.
        interval: `$window` of KPIs and resources.
        baseline: how far back the usual values are looked up.
        opens, closes: the window whose events are counted; None where it is not known.
    """

    run: str
    contexts: Mapping[str, ServiceContext]
    interval: timedelta
    baseline: timedelta
    opens: datetime | None = None
    closes: datetime | None = None


class Look:
    """Asks everything there is to ask, and remembers what need not be asked each time."""

    def __init__(
        self, metrics: MetricsSource, scene: Scene, patience: Patience, *, before: Moment | None = None
    ) -> None:
        """Look at this scene; `before` is what was seen last."""
        self._metrics, self._scene, self._patience = metrics, scene, patience
        asked = queries.questions(scene.contexts, window=scene.interval)
        cheap = [question for question in asked if not question.costly]
        self._promises = [question for question in cheap if queries.is_of_promise(question)]
        self._numbers = [question for question in cheap if not queries.is_of_promise(question)]
        self._beside = [question for question in asked if question.costly]
        self._costly = Answers()
        self._costly_at: datetime | None = None
        self._counts: dict[tuple[str, str], WindowCount] = {}
        self._counted_at: datetime | None = None
        self._usual: dict[str, Usual] = {}
        self._usual_at: datetime | None = None
        self._before = before
        self._knowing, self._counting, self._looking_up = _Errand(), _Errand(), _Errand()
        limits = (_PROMISES_AT_ONCE, _NUMBERS_AT_ONCE, _BESIDE_AT_ONCE, _COUNTS_AT_ONCE)
        self._limit, self._limit_numbers, self._limit_beside, self._limit_counts = map(
            asyncio.Semaphore, limits
        )

    def close(self) -> None:
        """Ask nothing any more."""
        for errand in (self._knowing, self._counting, self._looking_up):
            errand.stop()

    async def at(self, at: datetime, pages: Callable[[Moment], bool]) -> Moment:
        """Return how everything stands at that moment; what was not answered in time is not known.

        Args:
            at: not before the last one.
            pages: whether somebody is called for what is seen so far; then nothing else is waited for.
        """
        began = asyncio.get_running_loop().time()
        self._look_up_what_is_usual(at)
        promises = self._ask_all(self._promises, at, self._limit, self._patience.promise)
        numbers = self._ask_all(self._numbers, at, self._limit_numbers)
        costly, count = self._know_what_is_costly(at), self._count_the_window(at)
        try:
            if await self._calls_people(promises, lambda: pages(self._seen(at, promises, numbers))):
                await _ended([*promises.values(), *numbers.values(), *count, *costly], self._patience.page)
                return self._remembered(self._whole(at, promises, numbers))
            spent = asyncio.get_running_loop().time() - began
            await _ended([*numbers.values(), *count], self._patience.number - spent)
            if self._is_last(at):
                await _ended(count, self._patience.last - spent)
            await _ended(costly, self._patience.page - spent)
            return self._remembered(self._whole(at, promises, numbers))
        finally:
            _stop([*promises.values(), *numbers.values()])

    async def _calls_people(self, promises: _Asking, pages: Callable[[], bool]) -> bool:
        """Wait for the promises; say as soon as what is answered calls people, whatever else still hangs."""
        while True:
            await _ended(promises.values(), self._patience.page)
            whole = all(task.done() for task in promises.values())
            if pages():
                return True
            if whole:
                return False

    def _remembered(self, moment: Moment) -> Moment:
        """Return it with the newest counts that there are, which are all that a silent one knows."""
        remembered = moment.remembering(self._before)
        if not moment.silent:
            self._before, self._counts = remembered, {}
        return remembered

    def _whole(self, at: datetime, promises: _Asking, numbers: _Asking) -> Moment:
        """Return what is seen; where nothing at all was answered, that the metrics are silent."""
        troubles = [*self._troubles(promises), *self._troubles(numbers)]
        if troubles and not any(_is_answered(task) for task in (*promises.values(), *numbers.values())):
            return silence(self._scene.contexts, at, str(troubles[0]))
        for trouble in troubles:
            activity.logger.warning("%s: a query was not answered: %s", self._scene.run, trouble)
        return self._seen(at, promises, numbers)

    def _seen(self, at: datetime, promises: _Asking, numbers: _Asking) -> Moment:
        answers = {**_answers(self._promises, promises), **_answers(self._numbers, numbers)}
        return evaluate(self._scene.contexts, {**self._costly, **answers}, self._usual, at, counts=self._counts)

    # --- asking -----------------------------------------------------------------------------------------

    def _ask_all(
        self, asked: Iterable[Question], at: datetime, limit: asyncio.Semaphore, seconds: float | None = None
    ) -> _Asking:
        return {
            query: asyncio.create_task(self._ask(query, at, limit, seconds))
            for query in queries.by_query(asked)
        }

    async def _ask(
        self, query: str, at: datetime, limit: asyncio.Semaphore, seconds: float | None
    ) -> float | None:
        """Return a number; None where there is no data, and where one query is wrong: the others count."""
        async with limit:
            try:
                async with asyncio.timeout(seconds):
                    return await self._metrics.instant(query, at=at)
            except InvalidInput as error:
                activity.logger.warning("%s: a query has no answer: %s", self._scene.run, error)
                return None
            except TimeoutError:
                raise MetricsUnavailable(f"'{query}' was not answered within {seconds:g} s") from None

    async def _answered(self, asked: Sequence[Question], at: datetime, limit: asyncio.Semaphore) -> Answers:
        """Ask beside the looks; what is not answered is missing."""
        asking = self._ask_all(asked, at, limit)
        try:
            await _ended(asking.values())
            troubles = self._troubles(asking)
            if troubles:  # once for all of them: of a database that is down each would say the same
                said = "%s: %d queries were not answered, the first: %s"
                activity.logger.warning(said, self._scene.run, len(troubles), troubles[0])
            return _answers(asked, asking)
        finally:
            _stop(asking.values())

    def _troubles(self, asking: _Asking) -> list[MetricsUnavailable]:
        """Return why questions had no answer; what is no trouble of the metrics is raised."""
        found: list[MetricsUnavailable] = []
        for query, task in asking.items():
            if not task.done():
                found.append(MetricsUnavailable(f"'{query}' was not answered in time"))
                continue
            error = task.exception()
            if isinstance(error, MetricsUnavailable):
                found.append(error)
            elif error is not None:
                raise error
        return found

    # --- what need not be asked each time ---------------------------------------------------------------

    def _know_what_is_costly(self, at: datetime) -> "list[asyncio.Task[None]]":
        """Ask now and then what reads weeks, beside the looks: a page does not wait for a budget."""
        due = self._costly_at is None or at - self._costly_at >= _COSTLY_EVERY
        if not due or self._knowing.goes_on or not self._beside:
            return []
        self._costly_at = at
        return [self._knowing.begin(self._read_what_is_costly(at))]

    async def _read_what_is_costly(self, at: datetime) -> None:
        """Without it the budget is not known, and all else is."""
        self._costly = await self._answered(self._beside, at, self._limit_beside) or self._costly

    def _count_the_window(self, at: datetime) -> "list[asyncio.Task[None]]":
        """Count each promise's events since the window opened, where that is due."""
        opens, last = self._scene.opens, self._is_last(at)
        if opens is None:
            return []
        since = timedelta(seconds=round((at - opens).total_seconds()))
        if since < (timedelta(seconds=1) if last else 2 * self._scene.interval):
            return []  # a rate needs two scrapes
        every = _COSTLY_EVERY if since > _COUNTED_AT_EACH_LOOK else timedelta(0)
        due = self._counted_at is None or at - self._counted_at >= every
        if not last and (not due or self._counting.goes_on):
            return []
        self._counted_at = at
        return [self._counting.begin(self._count(since, at))]

    async def _count(self, since: timedelta, at: datetime) -> None:
        asked = queries.window_questions(self._scene.contexts, window=since)
        answers = await self._answered(asked, at, self._limit_counts)
        self._counts = window_counts(self._scene.contexts, answers, since, at)

    def _is_last(self, at: datetime) -> bool:
        return self._scene.closes is not None and at >= self._scene.closes

    def _look_up_what_is_usual(self, at: datetime) -> None:
        """Look the KPIs' past up beside the looks, now and then; until it is known nothing deviates."""
        if self._looking_up.goes_on:
            return
        if self._usual_at is None or at - self._usual_at >= _BASELINES_EVERY:
            self._looking_up.begin(self._know_what_is_usual(at))

    async def _know_what_is_usual(self, at: datetime) -> None:
        asked = queries.baseline_questions(self._scene.contexts, window=self._scene.interval)
        try:
            for question in asked:
                summary = usual(await self._past(question, at), at=at)
                if summary is not None:
                    self._usual[question.key] = summary
            self._usual_at = at
        except (MetricsUnavailable, InvalidInput) as error:
            activity.logger.warning("%s: what is usual is not known: %s", self._scene.run, error)

    async def _past(self, question: Question, at: datetime) -> list[tuple[datetime, float]]:
        step = baseline_step(self._scene.baseline, interval=self._scene.interval)
        async with self._limit_beside:
            return await self._metrics.points(
                question.query, start=at - self._scene.baseline, end=at, step=step
            )


class _Errand:
    """Something that is done beside the looks, once at a time."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    @property
    def goes_on(self) -> bool:
        return self._task is not None and not self._task.done()

    def begin(self, work: Any) -> "asyncio.Task[None]":
        """Do it from here on; what is still under way is given up."""
        self.stop()
        self._task = asyncio.create_task(work)
        return self._task

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()


async def _ended(tasks: "Iterable[asyncio.Task[Any]]", seconds: float | None = None) -> None:
    """Wait until all are done, or for so many seconds; what is over by then is not waited for."""
    waiting = list(tasks)
    if waiting:
        await asyncio.wait(waiting, timeout=seconds if seconds is None else max(seconds, 0.0))


def _stop(tasks: "Iterable[asyncio.Task[Any]]") -> None:
    for task in tasks:
        task.cancel()


def _is_answered(task: "asyncio.Task[Any]") -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


def _answers(asked: Iterable[Question], asking: _Asking) -> Answers:
    """Return the answers that are there, by the questions' keys."""
    return {
        question.key: asking[query].result()
        for query, same in queries.by_query(asked).items()
        if _is_answered(asking[query])
        for question in same
    }
