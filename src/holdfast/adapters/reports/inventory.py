"""Takes the message inventory: what the metrics say, and what the logs say beside them."""

import asyncio
import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from holdfast.domain.errors import InvalidInput, MetricsUnavailable
from holdfast.ports.inventory import Inventory, InventoryLine, LogSummary
from holdfast.ports.logs import LoggedMessage, MessageLogs
from holdfast.ports.metrics import Labelled, MetricsSource
from holdfast.runbook.kinds.campaign import Message
from holdfast.verdict.query import resolve

_QUANTILES: Final = (("p50", 0.50), ("p95", 0.95), ("p99", 0.99))
_FEWEST_BUCKETS: Final = 2
_SHORTEST: Final = timedelta(seconds=1)


class MessageInventory:
    """Takes inventories; see `holdfast.ports.inventory.InventoryTaking`.

    Args:
        metrics: answers the queries of the file; None where there are only logs.
        logs: reads log files.
        always: names those that are read where a caller names none.
    """

    def __init__(
        self,
        metrics: MetricsSource | None,
        logs: MessageLogs,
        *,
        always: Callable[[], Sequence[Path]] = lambda: (),
    ) -> None:
        self._metrics, self._logs, self._always = metrics, logs, always

    async def take(
        self,
        messages: Sequence[Message],
        *,
        since: datetime,
        until: datetime,
        logs: Sequence[Path] | None = None,
    ) -> Inventory:
        """Ask for each message over the stretch; errors as the port says."""
        if until - since < _SHORTEST:
            raise InvalidInput("--until: must be later than --since")
        logs = await asyncio.to_thread(self._always) if logs is None else logs
        asked = await asyncio.gather(*(self._asked(message, since, until) for message in messages))
        if not logs:
            return Inventory(since=since, until=until, lines=asked)
        logged, summary = await asyncio.to_thread(self._logs.read, logs, since=since, until=until)
        lines = _merged(messages, asked, logged, _seconds(summary))
        return Inventory(since=since, until=until, lines=lines, logs=summary)

    async def _asked(self, message: Message, since: datetime, until: datetime) -> InventoryLine:
        line = InventoryLine(
            name=message.name, title=message.title, sender=message.sender, receiver=message.receiver
        )
        if self._metrics is None:
            return line
        asking = _Asking(self._metrics, until - since, until, line.problems)
        rate, errors, size = [await asking.number(q) for q in (message.rate, message.errors, message.bytes)]
        found: dict[str, Any] = {}
        if rate is not None:
            found |= {"rate": rate, "rate_from": "metrics"}
        if rate and errors is not None:
            found |= {"errors_percent": 100 * errors / rate, "errors_from": "metrics"}
        if rate and size is not None:
            found |= {"bytes_mean": size / rate, "bytes_from": "metrics"}
        buckets = await asking.buckets(message.latency_buckets)
        quantiles = {name: quantile(part, buckets) for name, part in _QUANTILES}
        if quantiles["p50"] is not None:
            found |= quantiles | {"latency_from": "metrics"}
        return line.model_copy(update=found)


class _Asking:
    """Asks queries over one stretch; what cannot be asked is noted."""

    def __init__(self, metrics: MetricsSource, window: timedelta, at: datetime, problems: list[str]) -> None:
        self._metrics, self._window, self._at, self._problems = metrics, window, at, problems

    async def number(self, query: str | None) -> float | None:
        if query is None:
            return None
        try:
            return await self._metrics.instant(resolve(query, side="", window=self._window), at=self._at)
        except (InvalidInput, MetricsUnavailable) as error:
            self._problems.append(str(error))
            return None

    async def buckets(self, query: str | None) -> list[tuple[float, float]]:
        if query is None:
            return []
        try:
            found = await self._metrics.vector(resolve(query, side="", window=self._window), at=self._at)
        except (InvalidInput, MetricsUnavailable) as error:
            self._problems.append(str(error))
            return []
        return _bounds(found)


def _bounds(series: Sequence[Labelled]) -> list[tuple[float, float]]:
    """Return the upper bound and the cumulative number of each bucket, the lowest first."""
    added: dict[float, float] = {}
    for one in series:
        try:
            bound = float(one.labels.get("le", ""))
        except ValueError:
            continue
        if one.value is not None and not math.isnan(bound):
            added[bound] = added.get(bound, 0.0) + one.value
    return sorted(added.items())


def quantile(part: float, buckets: Sequence[tuple[float, float]]) -> float | None:
    """Return a quantile as Prometheus' `histogram_quantile` does for classic histograms.

    Linear within the bucket, whose lower bound is 0 for the first one; in the bucket without an upper bound it
    is the highest finite one. Numbers that fall from bucket to bucket are levelled.

    Args:
        part: of the events, 0 to 1.
        buckets: upper bound and cumulative number, the lowest first, the last one without an upper bound.

    Returns:
        None where there are no events, fewer than two buckets, or the last one is missing.
    """
    if len(buckets) < _FEWEST_BUCKETS or not math.isinf(buckets[-1][0]):
        return None
    counts: list[float] = []
    for _, count in buckets:
        counts.append(max(count, counts[-1] if counts else 0.0))
    total = counts[-1]
    if total <= 0:
        return None
    rank = part * total
    place = next((i for i, count in enumerate(counts[:-1]) if count >= rank), len(buckets) - 1)
    if place == len(buckets) - 1:
        return buckets[-2][0]
    bound, below = buckets[place][0], counts[place - 1] if place else 0.0
    if place == 0 and bound <= 0:
        return bound
    start = buckets[place - 1][0] if place else 0.0
    within = counts[place] - below
    return start + (bound - start) * ((rank - below) / within if within > 0 else 0.0)


def _merged(
    messages: Sequence[Message],
    asked: Sequence[InventoryLine],
    logged: Sequence[LoggedMessage],
    seconds: float | None,
) -> list[InventoryLine]:
    """Put beside each message what the logs say of it, and at the end what only they know."""
    lines: list[InventoryLine] = []
    used: set[int] = set()
    for message, line in zip(messages, asked, strict=True):
        fits = [n for n, found in enumerate(logged) if message.logged and found.name == message.logged]
        # The same name between others is another message, unless none is between these two.
        exact = [
            n for n in fits if (logged[n].sender, logged[n].receiver) == (message.sender, message.receiver)
        ]
        chosen = (exact or fits)[:1]
        used.update(chosen)
        lines.append(_beside(line, logged[chosen[0]], seconds) if chosen else line)
    others = [found for number, found in enumerate(logged) if number not in used]
    return lines + [_beside(_unlisted(found), found, seconds) for found in others]


def _unlisted(found: LoggedMessage) -> InventoryLine:
    return InventoryLine(name=found.name, sender=found.sender, receiver=found.receiver, listed=False)


def _beside(line: InventoryLine, logged: LoggedMessage, seconds: float | None) -> InventoryLine:
    """Fill up from the logs what the metrics do not say; sizes are theirs, because they know each one."""
    rate = logged.count / seconds if seconds else None
    found: dict[str, Any] = {"logged": logged.count, "logs_rate": rate}
    if line.rate is None and rate is not None:
        found |= {"rate": rate, "rate_from": "logs"}
    if line.errors_percent is None and logged.count:
        found |= {"errors_percent": 100 * logged.failed / logged.count, "errors_from": "logs"}
    if line.p50 is None and logged.timed:
        found |= {"p50": logged.p50, "p95": logged.p95, "p99": logged.p99, "latency_from": "logs"}
    if logged.sized:
        found |= {"bytes_mean": logged.bytes_mean, "bytes_p95": logged.bytes_p95, "bytes_from": "logs"}
    return line.model_copy(update=found)


def _seconds(summary: LogSummary) -> float | None:
    """Return how long the logs speak, from their first line of the stretch to their last."""
    if summary.first is None or summary.last is None:
        return None
    lasted = (summary.last - summary.first).total_seconds()
    return lasted if lasted >= 1 else None
