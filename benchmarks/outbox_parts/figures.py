"""Waiting times in figures, and the promises that they are held against."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that so many percent of all do not exceed (nearest rank)."""
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, min(len(ordered), int(rank)) - 1)] if ordered else 0.0


@dataclass(frozen=True)
class Promise:
    """One thing that must hold.

    Attributes:
        what: with its unit.
        ours, reference: measured in the same run; None where the plain loop has no such thing.
        bound: the most that ours may be, or the least where `at_least`.
    """

    what: str
    ours: float
    bound: float
    reference: float | None = None
    at_least: bool = False

    @property
    def holds(self) -> bool:
        """Whether it was kept."""
        return self.ours >= self.bound if self.at_least else self.ours <= self.bound


def show_waits(title: str, waits: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    """Print p50, p95, p99.9 and the longest wait of each class of messages, a line a way of sending."""
    table = Table("", "messages", "class", "p50 s", "p95 s", "p99.9 s", "longest s", title=title)
    for way, classes in waits.items():
        for name, values in classes.items():
            figures = [percentile(values, p) for p in (50, 95, 99.9, 100)]
            table.add_row(way, str(len(values)), name, *(f"{x:.2f}" for x in figures))
    Console().print(table)


def show_promises(promises: Iterable[Promise]) -> None:
    """Print each promise with what was measured."""
    table = Table("promise", "bound", "ours", "plain loop", "holds")
    for promise in promises:
        bound = f"{'≥' if promise.at_least else '≤'} {promise.bound:g}"
        reference = "–" if promise.reference is None else f"{promise.reference:.2f}"
        table.add_row(promise.what, bound, f"{promise.ours:.2f}", reference, "yes" if promise.holds else "NO")
    Console().print(table)
