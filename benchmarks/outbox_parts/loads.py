"""Loads: who is written to, when, about whom."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.outbox_parts.world import FIRST_USER, GROUP

_SEED = 20_261_121


@dataclass(frozen=True, order=True)
class Arrival:
    """A message that comes at a moment.

    Attributes:
        at: seconds from the beginning.
        text: unlike all others.
    """

    at: float
    text: str
    chat: int
    tier: str
    value: float = 0.0


def tiers(rates: dict[str, float], *, seconds: float, people: int) -> list[Arrival]:
    """Return Poisson arrivals of each tier, to people in turn, so that no private limit is met."""
    chance = random.Random(_SEED)
    arrivals: list[tuple[float, str, float]] = []
    for tier, rate in rates.items():
        at = chance.expovariate(rate)
        while at < seconds:
            arrivals.append((at, tier, chance.random() ** 4 * 1_000_000))
            at += chance.expovariate(rate)
    return [
        Arrival(at, f"m{n}-{tier}", FIRST_USER + n % people, tier, value)
        for n, (at, tier, value) in enumerate(sorted(arrivals))
    ]


def head_of_line() -> list[Arrival]:
    """Return 100 messages to one group and then 500 to 500 people, all of one tier, all at once."""
    return list(_head_of_line())


def _head_of_line() -> Iterator[Arrival]:
    yield from (Arrival(0.0, f"g{n:03}", GROUP, "gold") for n in range(100))
    yield from (Arrival(0.001, f"p{n:03}", FIRST_USER + n, "gold") for n in range(500))
