"""One portal: contents, limits and workers put together; runs single calls and batches."""

import random
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

from holdfast.sim.crm.errors import RestError
from holdfast.sim.crm.limits import LeakyBucket, OperatingTime
from holdfast.sim.crm.methods import METHODS, Reply
from holdfast.sim.crm.php import Params, as_object, or_empty_list, parse_query
from holdfast.sim.crm.seeding import seed
from holdfast.sim.crm.settings import CrmSettings
from holdfast.sim.crm.store import Store
from holdfast.sim.crm.workers import Worker, Workers

BATCH = "batch"
_MAX_COMMANDS = 50
_REFERENCE = re.compile(r"\$result((?:\[[^\[\]]+\])+)")
_TRUE = frozenset({"1", "true", "y"})


class Portal:
    """Answers calls by method name; knows nothing of HTTP.

    Args:
        settings: limits, speed, contents.
        clock: seconds since the epoch.
    """

    def __init__(self, settings: CrmSettings, clock: Callable[[], float] = time.time) -> None:
        self.store = Store()
        self.operating = OperatingTime(settings.operating_limit_seconds, clock)
        self.workers = Workers(
            settings.workers, settings.service_seconds, settings.contention, random.Random(settings.seed)
        )
        self._bucket = LeakyBucket(settings.burst, settings.per_second, clock)
        self._clock = clock
        seed(self.store, contacts=settings.contacts, seed=settings.seed)

    async def answer(self, method: str, params: Params) -> dict[str, Any]:
        """Run one request and return its whole answer with the `time` block.

        Raises:
            RestError: the portal refuses.
        """
        began = self._clock()
        if not self._bucket.take():
            raise RestError(503, "QUERY_LIMIT_EXCEEDED", "Too many requests")
        if method == BATCH:
            return await self._answer_batch(params, began)
        self._refuse_unless_possible(method)
        async with self.workers.one() as worker:
            reply, timing = await self._timed(worker, method, params, began)
        return {"result": reply.result, **reply.counts, "time": timing}

    async def _answer_batch(self, params: Params, began: float) -> dict[str, Any]:
        commands = as_object(params.get("cmd"))
        if len(commands) > _MAX_COMMANDS:
            raise RestError(400, "ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded")
        async with self.workers.one() as worker:
            run = _BatchRun(self, worker)
            processing = self._clock()
            await run.all(commands, halt=str(params.get("halt", "")).lower() in _TRUE)
        return {"result": run.answer(), "time": self._time(began, self._clock() - processing)}

    async def command(self, worker: Worker, text: str, results: Params) -> tuple[Reply, dict[str, Any]]:
        """Run one command of a batch; what earlier ones answered can be referred to.

        Raises:
            RestError: the portal refuses this command.
        """
        method, _, query = text.partition("?")
        if method.lower() == BATCH:
            raise RestError(400, "ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage")
        self._refuse_unless_possible(method)
        params = cast("Params", _resolved(parse_query(query), results))
        return await self._timed(worker, method, params, self._clock())

    def _refuse_unless_possible(self, method: str) -> None:
        if method not in METHODS:
            raise RestError(404, "ERROR_METHOD_NOT_FOUND", "Method not found!")
        if self.operating.is_over(method):
            raise RestError(429, "OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.")

    async def _timed(
        self, worker: Worker, method: str, params: Params, began: float
    ) -> tuple[Reply, dict[str, Any]]:
        seconds = await worker.work(METHODS[method].weight(params))
        self.operating.add(method, seconds)
        reply = METHODS[method].handle(self.store, params)
        operating = {
            "operating_reset_at": self.operating.reset_at(method),
            "operating": self.operating.used(method),
        }
        return reply, self._time(began, seconds) | operating

    def _time(self, began: float, processing: float) -> dict[str, Any]:
        finished = self._clock()
        return {
            "start": began,
            "finish": finished,
            "duration": finished - began,
            "processing": processing,
            "date_start": _date(began),
            "date_finish": _date(finished),
        }


class _BatchRun:
    """The state of one batch: commands run one after the other on one worker."""

    def __init__(self, portal: Portal, worker: Worker) -> None:
        self._portal = portal
        self._worker = worker
        self._results: Params = {}
        self._errors: Params = {}
        self._times: Params = {}
        self._counts: dict[str, dict[str, int]] = {"total": {}, "next": {}}

    async def all(self, commands: Params, *, halt: bool) -> None:
        for name, text in commands.items():
            try:
                reply, timing = await self._portal.command(self._worker, str(text), self._results)
            except RestError as error:
                self._errors[name] = error.body
                if halt:
                    return
                continue
            self._results[name], self._times[name] = reply.result, timing
            for kind, count in reply.counts.items():
                self._counts[kind][name] = count

    def answer(self) -> dict[str, Any]:
        return {
            "result": or_empty_list(self._results),
            "result_error": or_empty_list(self._errors),
            "result_total": self._counts["total"] or [],
            "result_next": self._counts["next"] or [],
            "result_time": or_empty_list(self._times),
        }


def _resolved(value: Any, results: Params) -> Any:
    if isinstance(value, dict):
        return {key: _resolved(inner, results) for key, inner in cast("Params", value).items()}
    return _REFERENCE.sub(lambda match: _looked_up(match[1], results), str(value))


def _looked_up(path: str, results: Params) -> str:
    value: Any = results
    for key in path[1:-1].split("]["):
        value = as_object(value).get(key)
    return "" if value is None else str(value)


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
