"""What the shop tells Prometheus; every series carries its side."""

import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from holdfast.sim.shop.settings import SIDES, Side
from holdfast.sim.tiers import TIERS, Tier

Context = Literal["support", "account", "notification", "checkout"]
CONTEXTS: tuple[Context, ...] = ("support", "account", "notification", "checkout")
SendResult = Literal["ok", "429", "error"]
_SEND_RESULTS: tuple[SendResult, ...] = ("ok", "429", "error")
CallResult = Literal["ok", "error", "abandoned"]
_CALL_RESULTS: tuple[CallResult, ...] = get_args(CallResult)
CrmPart = Literal["crm-contacts", "crm-leads", "crm-deals", "crm-timeline"]
CrmFailureKind = Literal["operation_limit", "query_limit", "server_error", "timeout", "dropped", "refused"]
CALLERS: Mapping[Context, str] = MappingProxyType(
    {"support": "bot", "account": "account-page", "checkout": "checkout-page"}
)
_EDGES = (
    *((caller, "shop") for caller in CALLERS.values()),
    *(("shop", callee) for callee in (*get_args(CrmPart), "telegram")),
)
_CLIENT_LEFT, _CRM_LIMIT, _SERVER_ERRORS = 499, 429, 500
_STATUSES = (200, 404, 422, 429, 499, 502, 503)
_CRM_METHODS = (
    "crm.item.get",
    "crm.item.add",
    "crm.item.update",
    "crm.item.list",
    "crm.timeline.comment.add",
)
_REQUEST_BUCKETS = (
    *(0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9),
    *(1, 1.2, 1.4, 1.7, 2, 2.5, 3, 3.5, 4, 5, 6.5, 8),
)
_CALL_BUCKETS = (0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1, 2, 5)
_POOL_BUCKETS = (0.001, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 2, 2.5, 3, 3.5, 6)
_WAIT_BUCKETS = (0.25, 0.5, 1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 300)


class _Families:
    """The metrics before they are split by side."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, ["side", *labels], registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(name, text, ["side", *labels], buckets=buckets, registry=registry)

        self.durations = histogram(
            "shop_request_duration_seconds", "From request to answer", _REQUEST_BUCKETS, "context"
        )
        self.requests = counter("shop_requests", "Requests by HTTP status", "context", "status")
        self.delivered = counter("shop_messages_delivered", "Messages that reached a person")
        self.lost = counter("shop_messages_lost", "Messages given up")
        self.sends = counter("shop_bot_sends", "Attempts at the bot gateway", "result")
        self.waits = histogram(
            "shop_escalation_wait_seconds", "From ticket to a person's word", _WAIT_BUCKETS, "tier"
        )
        self.crm_calls = histogram(
            "shop_crm_call_duration_seconds", "CRM calls, time on the wire", _CALL_BUCKETS, "method"
        )
        self.pool_waits = histogram("shop_crm_pool_wait_seconds", "Waits for a CRM connection", _POOL_BUCKETS)
        self.stale = counter("shop_crm_stale_connections", "Requests that met a dead CRM connection")
        self.crm_failures = counter(
            "shop_crm_call_failures", "CRM calls that failed, by how; an unknown customer is an answer", "kind"
        )
        self.syncs = counter("shop_crm_syncs", "Writes to the CRM")
        self.sync_failures = counter("shop_crm_sync_failures", "Writes that failed, or of unknown fate")
        self.reconciliations = counter(
            "shop_crm_reconciliations", "Comparisons of leads with the CRM", "result"
        )
        self.expected = counter("shop_crm_leads_expected", "Compared leads: in the CRM as the shop believes")
        self.found = counter("shop_crm_leads_found", "Compared leads: in the CRM as the CRM says")
        self.edges = counter("shop_edge_calls", "Calls by who calls whom", "caller", "callee", "result")
        self.abandoned = counter("shop_checkouts_abandoned", "Checkouts whose customer left before the end")
        self.cpu = counter("shop_cpu_seconds", "Processor time of the shop's own computing")


class SideMetrics:
    """The metrics of one side, every series there from the start so that rates see the first increment."""

    def __init__(self, families: _Families, side: Side) -> None:
        self._families = families
        self._side = side
        self._durations = {name: families.durations.labels(side, name) for name in CONTEXTS}
        self._requests = {
            (name, status): families.requests.labels(side, name, str(status))
            for name in CONTEXTS
            for status in _STATUSES
        }
        self._sends = {result: families.sends.labels(side, result) for result in _SEND_RESULTS}
        self._waits = {tier: families.waits.labels(side, tier) for tier in TIERS}
        self._crm_calls = {name: families.crm_calls.labels(side, name) for name in _CRM_METHODS}
        self._crm_failures = {
            kind: families.crm_failures.labels(side, kind) for kind in get_args(CrmFailureKind)
        }
        self._syncs = families.syncs.labels(side)
        self._sync_failures = families.sync_failures.labels(side)
        self._reconciliations = {
            failed: families.reconciliations.labels(side, "error" if failed else "ok")
            for failed in (False, True)
        }
        self._expected = families.expected.labels(side)
        self._found = families.found.labels(side)
        self._edges = {
            (caller, callee, result): families.edges.labels(side, caller, callee, result)
            for caller, callee in _EDGES
            for result in _CALL_RESULTS
        }
        self.delivered = families.delivered.labels(side)
        self.lost = families.lost.labels(side)
        self.pool_wait = families.pool_waits.labels(side)
        self.stale_connections = families.stale.labels(side)
        self.checkouts_abandoned = families.abandoned.labels(side)
        self._cpu = families.cpu.labels(side)

    def request(self, context: Context, status: int, seconds: float) -> None:
        """Count a finished request."""
        self._durations[context].observe(seconds)
        self._requests[context, status].inc()
        if context in CALLERS:
            self.edge(CALLERS[context], "shop", _result_of(status))

    def send(self, result: SendResult) -> None:
        """Count an attempt to send through the bot gateway."""
        self._sends[result].inc()
        self.edge("shop", "telegram", "ok" if result == "ok" else "error")

    def escalation_waited(self, tier: Tier, seconds: float) -> None:
        """Count an escalation whose customer got a person's word."""
        self._waits[tier].observe(seconds)

    def crm_call(self, method: str, seconds: float) -> None:
        """Count a call to the CRM."""
        self._crm_calls[method].observe(seconds)

    def crm_failed(self, kind: CrmFailureKind) -> None:
        """Count a call to the CRM that failed."""
        self._crm_failures[kind].inc()

    def synced(self, *, failed: bool) -> None:
        """Count something that was to be written to the CRM."""
        self._syncs.inc()
        if failed:
            self._sync_failures.inc()

    def reconciled(self, *, failed: bool) -> None:
        """Count a comparison with the CRM, also one that found nothing to compare."""
        self._reconciliations[failed].inc()

    def leads_compared(self, *, expected: int, found: int) -> None:
        """Count leads that should be in the CRM, and those of them that are."""
        self._expected.inc(expected)
        self._found.inc(found)

    def edge(self, caller: str, callee: str, result: CallResult) -> None:
        """Count a call from one part of the client's system to another."""
        self._edges[caller, callee, result].inc()

    @contextmanager
    def computing(self) -> Generator[None]:
        """Measure the processor time of a block that does not await."""
        began = time.thread_time()
        try:
            yield
        finally:
            self._cpu.inc(time.thread_time() - began)


def _result_of(status: int) -> CallResult:
    """Say what an answer was for its caller: what customers got wrong themselves is no error."""
    if status == _CLIENT_LEFT:
        return "abandoned"
    return "error" if status >= _SERVER_ERRORS or status == _CRM_LIMIT else "ok"


@dataclass(frozen=True)
class SideSnapshot:
    """What is momentarily true of a side."""

    pods: int
    memory_bytes: int
    waiting: Mapping[Tier, int]


class _Momentary(Collector):
    """Gauges read when Prometheus asks; a side without pods has none."""

    def __init__(self, look: Callable[[], tuple[int, Mapping[Side, SideSnapshot]]]) -> None:
        self._look = look

    def collect(self) -> Iterable[GaugeMetricFamily]:
        share_percent, sides = self._look()
        yield GaugeMetricFamily("shop_canary_share_percent", "Share of the canary", value=share_percent)
        pods = GaugeMetricFamily("shop_pods", "Pods of the side", labels=["side"])
        memory = GaugeMetricFamily(
            "shop_memory_bytes", "Bytes held for sessions, requests at work and queues", labels=["side"]
        )
        waiting = GaugeMetricFamily(
            "shop_escalations_waiting", "Escalations nobody has picked", labels=["side", "tier"]
        )
        for side, snapshot in sides.items():
            pods.add_metric([side], snapshot.pods)
            memory.add_metric([side], snapshot.memory_bytes)
            for tier, count in snapshot.waiting.items():
                waiting.add_metric([side, tier], count)
        yield from (pods, memory, waiting)


class ShopMetrics:
    """All metrics of the shop."""

    def __init__(self, registry: CollectorRegistry) -> None:
        families = _Families(registry)
        self._registry = registry
        self.sides: Mapping[Side, SideMetrics] = {side: SideMetrics(families, side) for side in SIDES}

    def watch(self, look: Callable[[], tuple[int, Mapping[Side, SideSnapshot]]]) -> None:
        """Read the share in percent and what is momentarily true from `look` at each scrape."""
        self._registry.register(_Momentary(look))
