"""What the customers tell Prometheus."""

from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram

from holdfast.sim.customers.people import Kind

Outcome = Literal["ok", "refused", "failed", "abandoned", "unreachable"]
_BUCKETS = (0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8)


class CustomerTelemetry:
    """Counts visits by what became of them, and how long they took from when they were meant to begin."""

    def __init__(self, registry: CollectorRegistry) -> None:
        requests = Counter("customers_requests", "Visits", ["kind", "outcome"], registry=registry)
        latency = Histogram(
            "customers_latency_seconds",
            "From the intended start to the answer or to leaving",
            ["kind"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self.late_starts = Counter(
            "customers_late_starts", "Visits begun later than intended", registry=registry
        )
        self._requests = {
            (kind, outcome): requests.labels(kind, outcome)
            for kind in get_args(Kind)
            for outcome in get_args(Outcome)
        }
        self._latency = {kind: latency.labels(kind) for kind in get_args(Kind)}

    def visit(self, kind: Kind, outcome: Outcome, seconds: float) -> None:
        """Count a visit that is over."""
        self._requests[kind, outcome].inc()
        self._latency[kind].observe(seconds)
