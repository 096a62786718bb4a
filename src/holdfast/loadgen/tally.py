"""Counts and latencies of requests that add up, whatever they are grouped by."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from holdfast.loadgen.histogram import Histogram
from holdfast.loadgen.report import StepSecond

# Kinds of errors without an answer; every other kind is an answer that was no good.
UNANSWERED = frozenset({"timeout", "connect", "protocol", "closed"})


@dataclass
class Tally:
    """The requests of some steps over some time; as `StepSecond`, with the histogram ready to use.

    Attributes:
        latency: of the answered ones; those that were given up are in it with their timeout, the least that
            they took, so that a percentile does not flatter a target that never answers.
    """

    due: int = 0
    late: int = 0
    unsent: int = 0
    good: int = 0
    errors: Counter[str] = field(default_factory=Counter[str])
    sent_bytes: int = 0
    received_bytes: int = 0
    latency: Histogram = field(default_factory=Histogram.empty)

    @classmethod
    def of(cls, said: StepSecond, timeout_us: float = 0.0) -> Self:
        """Return what a generator said; `timeout_us` stands for the latency of those that were given up."""
        latency = Histogram.decoded(said.latency)
        if timeout_us and said.errors.get("timeout"):
            latency = latency.add(Histogram.repeated(timeout_us, said.errors["timeout"]))
        tally = cls(said.due, said.late, said.unsent, said.good, Counter(said.errors))
        tally.sent_bytes, tally.received_bytes, tally.latency = said.sent_bytes, said.received_bytes, latency
        return tally

    @classmethod
    def sum_of(cls, parts: Iterable["Tally"]) -> Self:
        """Return all of them together."""
        total, held = cls(), list(parts)
        for part in held:
            total._count(part)
        total.latency = Histogram.sum_of(part.latency for part in held)
        return total

    def add(self, other: "Tally") -> None:
        """Take another one in."""
        self._count(other)
        if other.latency.count:
            self.latency = self.latency.add(other.latency)

    def said(self) -> StepSecond:
        """Return it as plain data; `of` without a timeout gives it back."""
        return StepSecond(
            due=self.due,
            late=self.late,
            unsent=self.unsent,
            good=self.good,
            errors=dict(sorted(self.errors.items())),
            sent_bytes=self.sent_bytes,
            received_bytes=self.received_bytes,
            latency=self.latency.encoded() if self.latency.count else "",
        )

    @property
    def sent(self) -> int:
        """Requests that were sent."""
        return self.due - self.unsent

    @property
    def failed(self) -> int:
        """Requests that ended as errors."""
        return self.errors.total()

    @property
    def answered(self) -> int:
        """Requests that got an answer, a good one or not."""
        return self.good + sum(count for kind, count in self.errors.items() if kind not in UNANSWERED)

    @property
    def open(self) -> int:
        """Requests that were sent and whose end is not known (yet)."""
        return max(0, self.sent - self.good - self.failed)

    @property
    def errors_percent(self) -> float:
        """Errors, of the requests that were due."""
        return 100 * self.failed / self.due if self.due else 0.0

    @property
    def on_time_percent(self) -> float:
        """Requests that were sent on time, of those that were due."""
        return 100 * (self.due - self.late - self.unsent) / self.due if self.due else 100.0

    def seconds(self, percent: float) -> float | None:
        """Return a percentile of the latency in seconds; None without an answer."""
        return self.latency.percentile(percent) / 1e6 if self.latency.count else None

    def _count(self, other: "Tally") -> None:
        self.due += other.due
        self.late += other.late
        self.unsent += other.unsent
        self.good += other.good
        self.errors.update(other.errors)
        self.sent_bytes += other.sent_bytes
        self.received_bytes += other.received_bytes
