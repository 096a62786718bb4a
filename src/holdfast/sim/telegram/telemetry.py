"""Counts of what bots asked and what they were answered."""

from collections import Counter
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, generate_latest
from prometheus_client import Counter as MetricCounter

from holdfast.sim.telegram.shapes import Json


class Telemetry:
    """Call counts since the start, for people and for Prometheus."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._calls: Counter[tuple[str, int]] = Counter()
        self._refused: Counter[int] = Counter()
        self._metric = MetricCounter(
            "telegram_calls",
            "Bot API calls by method and HTTP status.",
            ("method", "code"),
            registry=self._registry,
        )
        self._pending = Gauge(
            "telegram_pending_updates", "Updates a bot has not confirmed.", ("bot",), registry=self._registry
        )

    def count(self, method: str, code: int) -> None:
        """Count one answered call."""
        self._calls[method, code] += 1
        self._metric.labels(method, str(code)).inc()

    def watch_pending(self, bot_id: int, count: Callable[[], float]) -> None:
        """Report how many updates wait for a bot, asked at each scrape."""
        self._pending.labels(str(bot_id)).set_function(count)

    def calls(self) -> Json:
        """Counts by method and status."""
        methods = sorted({method for method, _ in self._calls})
        return {
            method: {str(code): count for (name, code), count in sorted(self._calls.items()) if name == method}
            for method in methods
        }

    def rejected(self) -> int:
        """How many calls met a limit."""
        return sum(count for (_, code), count in self._calls.items() if code == 429)  # noqa: PLR2004 - the HTTP status

    def count_refused(self, chat_id: int) -> None:
        """Count one message to a chat that met a limit."""
        self._refused[chat_id] += 1

    def refused_by_chat(self) -> Json:
        """How many messages met a limit, by chat."""
        return {str(chat_id): count for chat_id, count in sorted(self._refused.items())}

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)
