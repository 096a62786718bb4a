"""The whole clientele as three processes, measured the way a judge does: two scrapes and what is between them.

Run as a script it prints the table of all phases: `python -m tests.sim_shop.physics`.
"""

import contextlib
import itertools
import math
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

SICK = {
    "bot_rate_limit_per_s": 10.0,
    "crm_pool_size": 1,
    "crm_keep_alive_s": 60.0,
    "escalation_order": "fifo",
    "order_value_source": "ticket",
    "crm_write_leads": True,
}
FIX_BOT = {"bot_rate_limit_per_s": 25.0}
FIX_POOL = {"crm_pool_size": 4, "crm_keep_alive_s": 1.0}
FIX_ORDER = {"escalation_order": "tier_value"}
BAD_ORDER = {"escalation_order": "tier_value", "order_value_source": "crm_each_time"}
NORMAL, SURGE = 25, 75
Labels = dict[str, str]
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass
class Scrape:
    """All samples of the three processes at one moment."""

    at: float
    samples: list[tuple[str, Labels, float]]

    def total(self, name: str, **labels: str) -> float:
        """Add up the samples of that name whose labels match these patterns."""
        return sum(value for _, value in self._matching(name, labels))

    def buckets(self, name: str, **labels: str) -> dict[float, float]:
        counts: dict[float, float] = {}
        for own, value in self._matching(f"{name}_bucket", labels):
            counts[float(own["le"])] = counts.get(float(own["le"]), 0) + value
        return counts

    def _matching(self, name: str, labels: Labels) -> Iterator[tuple[Labels, float]]:
        for sample, own, value in self.samples:
            if sample == name and all(re.fullmatch(p, own.get(k, "")) for k, p in labels.items()):
                yield own, value


@dataclass
class Window:
    """What happened between two scrapes."""

    before: Scrape
    after: Scrape

    @property
    def seconds(self) -> float:
        return self.after.at - self.before.at

    def count(self, name: str, **labels: str) -> float:
        return self.after.total(name, **labels) - self.before.total(name, **labels)

    def rate(self, name: str, **labels: str) -> float:
        return self.count(name, **labels) / self.seconds

    def quantile(self, q: float, name: str, **labels: str) -> float:
        before, after = self.before.buckets(name, **labels), self.after.buckets(name, **labels)
        counts = sorted((le, count - before.get(le, 0)) for le, count in after.items())
        total = counts[-1][1] if counts else 0
        if not total:
            return math.nan
        floor, below = 0.0, 0.0
        for le, count in counts:
            if count >= q * total:
                return floor if math.isinf(le) else floor + (le - floor) * (q * total - below) / (count - below)
            floor, below = le, count
        return floor

    def p95(self, side: str, context: str = ".*") -> float:
        return self.quantile(0.95, "shop_request_duration_seconds", side=side, context=context)

    def error_percent(self, side: str, context: str = ".*") -> float:
        every = self.count("shop_requests_total", side=side, context=context)
        return 100 * self.count("shop_requests_total", side=side, context=context, status="5..") / max(every, 1)

    def delivered_a_request(self, side: str) -> float:
        every = self.count("shop_requests_total", side=side)
        return self.count("shop_messages_delivered_total", side=side) / max(every, 1)

    def wait_p50(self, side: str, tier: str) -> float:
        return self.quantile(0.5, "shop_escalation_wait_seconds", side=side, tier=tier)

    def cpu(self, process: str) -> float:
        return self.rate("process_cpu_seconds_total", process=process)

    def row(self, phase: str, side: str) -> str:
        """One line of the table."""
        cells = [
            f"{self.p95(side):.2f}",
            *(
                f"{self.p95(side, context):.2f}"
                for context in ("support", "account", "checkout", "notification")
            ),
            f"{self.error_percent(side):.1f}",
            f"{self.rate('shop_bot_sends_total', side=side, result='429|error'):.1f}",
            f"{self.rate('shop_messages_lost_total', side=side):.2f}",
            f"{self.rate('shop_messages_delivered_total', side=side):.1f}",
            f"{self.delivered_a_request(side):.3f}",
            *(f"{self.wait_p50(side, tier):.1f}" for tier in ("gold", "bronze")),
            f"{self.after.total('shop_escalations_waiting', side=side):.0f}",
            f"{self.quantile(0.95, 'shop_crm_call_duration_seconds', side=side):.2f}",
            f"{self.quantile(0.95, 'shop_crm_pool_wait_seconds', side=side):.2f}",
            f"{self.count('shop_crm_stale_connections_total', side=side):.0f}",
            f"{self.rate('shop_checkouts_abandoned_total', side=side):.2f}",
            *(f"{100 * self.cpu(process):.0f}" for process in ("shop", "crm", "customers")),
            f"{self.count('customers_late_starts_total'):.0f}",
        ]
        return f"{phase:26s} {side:6s} " + " ".join(f"{cell:>6s}" for cell in cells)


HEADER = f"{'phase':26s} {'side':6s} " + " ".join(
    f"{cell:>6s}"
    for cell in (
        *("p95", "supp", "acct", "chk", "notif", "err%", "429/s", "lost/s", "dlv/s", "dlv/rq", "gold", "brnz"),
        *("wait#", "crm95", "pool95", "stale", "aband", "shop%", "crm%", "cust%", "late"),
    )
)


@dataclass
class Clientele:
    """The running processes, and what a test does to them."""

    urls: dict[str, str]
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))

    def rate(self, per_second: float) -> None:
        self.http.put(f"{self.urls['customers']}/rate", json={"per_second": per_second}).raise_for_status()

    def put(self, part: str, **body: Any) -> None:
        version = self.http.get(f"{self.urls['shop']}/config").json()["version"]
        body |= {"expected_version": version, "key": f"physics {part}"}
        self.http.put(f"{self.urls['shop']}/config/{part}", json=body).raise_for_status()

    def both(self, *fixes: dict[str, Any]) -> None:
        for side in ("canary", "stable"):
            self.side(side, *fixes)

    def side(self, side: str, *fixes: dict[str, Any]) -> None:
        self.put(side, settings=dict(itertools.chain(*(f.items() for f in (SICK, *fixes)))))

    def scrape(self) -> Scrape:
        samples: list[tuple[str, Labels, float]] = []
        for process, url in self.urls.items():
            for name, labels, value in _SAMPLE.findall(self.http.get(f"{url}/metrics").text):
                samples.append((name, {**dict(_LABEL.findall(labels)), "process": process}, float(value)))
        return Scrape(time.monotonic(), samples)

    def watch(self, seconds: float) -> Window:
        before = self.scrape()
        time.sleep(seconds)
        return Window(before, self.scrape())


@contextlib.contextmanager
def clientele(*, seed: int = 1) -> Iterator[Clientele]:
    """Start the CRM, the shop and its customers at the normal rate; all are ended afterwards."""
    with contextlib.ExitStack() as stack:
        limits = ("--burst", "0", "--operating-limit-seconds", "0")
        crm = stack.enter_context(process("crm", *limits, "--seed", str(seed)))
        shop = stack.enter_context(process("shop", "--crm-url", f"{crm}/rest/1/SECRET", "--seed", str(seed)))
        people = stack.enter_context(
            process("customers", "--shop-url", shop, "--rate", str(NORMAL), "--seed", str(seed))
        )
        world = Clientele({"crm": crm, "shop": shop, "customers": people})
        stack.callback(world.http.close)
        yield world


@contextlib.contextmanager
def process(name: str, *arguments: str) -> Iterator[str]:
    """Run one stand-in on a free port; yields its URL."""
    command = [sys.executable, "-m", f"holdfast.sim.{name}", "--port", "0", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr
        line = running.stderr.readline()
        try:
            yield line.rsplit(maxsplit=1)[-1]
        finally:
            running.terminate()
            try:
                running.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                running.kill()


def _phases(world: Clientele) -> Iterator[tuple[str, tuple[str, ...]]]:
    stable, both = ("stable",), ("stable", "canary")
    time.sleep(3)
    yield "normal, sick", stable
    yield "normal, sick", stable
    world.rate(SURGE)
    for second in (0, 8, 16, 24, 32):
        yield f"surge, sick +{second}s", stable
    world.both(FIX_BOT)
    for second in (0, 8, 16, 24):
        yield f"fix 1 +{second}s", stable
    world.both(FIX_BOT, {"crm_pool_size": FIX_POOL["crm_pool_size"]})
    for second in (0, 8, 16):
        yield f"pool only, old keep +{second}s", stable
    world.both(FIX_BOT, FIX_POOL)
    for second in (0, 8, 16):
        yield f"fix 1+2 +{second}s", stable
    world.put("share", percent=5)
    for second in (0, 8, 16, 24):
        yield f"good canary 5% +{second}s", both
    world.side("canary", FIX_BOT, FIX_POOL, BAD_ORDER)
    for second in (0, 8, 16):
        yield f"bad fix 3 at 5% +{second}s", both
    world.put("share", percent=0)
    world.side("canary", FIX_BOT, FIX_POOL)
    yield "rolled back +0s", stable
    yield "rolled back +8s", stable
    world.both(FIX_BOT, FIX_POOL, FIX_ORDER)
    for second in (0, 8, 16):
        yield f"fix 1+2+3 +{second}s", stable
    world.rate(NORMAL)
    yield "normal again +0s", stable
    yield "normal again +8s", stable


def main() -> None:
    """Print the table."""
    sys.stdout.write(f"{HEADER}\n")
    with clientele() as world:
        for phase, sides in _phases(world):
            window = world.watch(8)
            for side in sides:
                sys.stdout.write(f"{window.row(phase, side)}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
