"""What the outbox tells Prometheus."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from holdfast.outbox.limits import is_group
from holdfast.outbox.message import Row, RowState
from holdfast.outbox.store import LaneState

_WAITING_BUCKETS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 900, 3600)


class OutboxMetrics:
    """What the sender and the facade count.

    Args:
        registry: where the metrics are exposed; one `OutboxMetrics` a registry.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._tiers: set[str] = set()
        self._show_what_waits(registry)
        self._count_sent(registry)
        self._count_troubles(registry)

    def _show_what_waits(self, registry: CollectorRegistry) -> None:
        self._oldest = Gauge(
            "holdfast_outbox_oldest_seconds",
            "Age of the message that waits longest, by tier",
            ["tier"],
            registry=registry,
        )
        self._queued = Gauge("holdfast_outbox_queued", "Messages waiting, by tier", ["tier"], registry=registry)
        self._rows = Gauge("holdfast_outbox_rows", "Rows in the store, by state", ["state"], registry=registry)
        self._tokens = Gauge(
            "holdfast_outbox_tokens", "Messages that the bot may send at this moment", registry=registry
        )
        self._leader = Gauge(
            "holdfast_outbox_leader", "Whether this process sends (1) or stands by (0)", registry=registry
        )

    def _count_sent(self, registry: CollectorRegistry) -> None:
        self._sent = Counter("holdfast_outbox_sent", "Messages sent, by tier", ["tier"], registry=registry)
        self._waiting = Histogram(
            "holdfast_outbox_waiting_seconds",
            "Seconds from a message's arrival in the outbox to its being sent, by tier",
            ["tier"],
            buckets=_WAITING_BUCKETS,
            registry=registry,
        )
        self._coalesced = Counter(
            "holdfast_outbox_coalesced",
            "Newer versions that took the place of one that waited, put by this process",
            registry=registry,
        )
        self._digests = Counter("holdfast_outbox_digests", "Digests sent", registry=registry)
        self._digest_lines = Counter(
            "holdfast_outbox_digest_lines", "Messages that were sent as a line of a digest", registry=registry
        )

    def _count_troubles(self, registry: CollectorRegistry) -> None:
        self._refused = Counter(
            "holdfast_outbox_refused",
            "Answers 429 of the chat, by kind of chat: private, group",
            ["chat"],
            registry=registry,
        )
        self._uncertain = Counter(
            "holdfast_outbox_uncertain",
            "Messages that were tried and may or may not have arrived, by tier",
            ["tier"],
            registry=registry,
        )
        self._repeated = Counter(
            "holdfast_outbox_repeated",
            "Messages queued again though an earlier copy may have arrived, by tier",
            ["tier"],
            registry=registry,
        )
        self._dead = Counter(
            "holdfast_outbox_dead", "Messages that the chat does not take, by tier", ["tier"], registry=registry
        )
        self._not_sent = Counter(
            "holdfast_outbox_not_sent",
            "Tries that did not reach the chat; the message is tried again",
            registry=registry,
        )

    def watch(self, *, leads: Callable[[], bool], tokens: Callable[[], int]) -> None:
        """Ask a sender whenever the metrics are read."""
        self._leader.set_function(lambda: float(leads()))
        self._tokens.set_function(lambda: float(tokens()) if leads() else 0.0)

    def measured(
        self,
        lanes: Mapping[str, LaneState],
        counts: Mapping[RowState, int],
        tiers: Iterable[str],
        now: datetime,
    ) -> None:
        """Show what waits, and the rows in each state; of `tiers` those too in which nothing waits."""
        self._tiers |= {*lanes, *tiers}
        for tier in self._tiers:
            lane = lanes.get(tier)
            oldest = lane.oldest if lane else None
            self._queued.labels(tier).set(lane.queued if lane else 0)
            self._oldest.labels(tier).set(max(0.0, (now - oldest).total_seconds()) if oldest else 0.0)
        for state in RowState:
            self._rows.labels(state.value).set(counts.get(state, 0))

    def not_measured(self) -> None:
        """Show nothing of the rows: another process sends, and shows them."""
        for gauge in (self._queued, self._oldest, self._rows):
            gauge.clear()
        self._tiers.clear()

    def sent(self, rows: Iterable[Row], now: datetime) -> None:
        """Count messages that arrived."""
        for row in rows:
            self._sent.labels(row.tier).inc()
            self._waiting.labels(row.tier).observe(max(0.0, (now - row.queued_at).total_seconds()))

    def digest(self, lines: int) -> None:
        """Count a digest that arrived."""
        self._digests.inc()
        self._digest_lines.inc(lines)

    def refused(self, chat: str) -> None:
        """Count a 429."""
        self._refused.labels("group" if is_group(chat) else "private").inc()

    def uncertain(self, rows: Iterable[Row]) -> None:
        """Count messages of unknown fate."""
        for row in rows:
            self._uncertain.labels(row.tier).inc()

    def repeated(self, rows: Iterable[Row]) -> None:
        """Count messages of unknown fate that are sent again."""
        for row in rows:
            self._repeated.labels(row.tier).inc()

    def dead(self, rows: Iterable[Row]) -> None:
        """Count messages that the chat does not take."""
        for row in rows:
            self._dead.labels(row.tier).inc()

    def not_sent(self) -> None:
        """Count a try that did not reach the chat."""
        self._not_sent.inc()

    def coalesced(self) -> None:
        """Count a newer version that took the place of one that waited."""
        self._coalesced.inc()
