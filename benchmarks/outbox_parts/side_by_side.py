"""The same load through the outbox and through the plain loop, at the same time, each at its own stand-in."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from benchmarks.outbox_parts.figures import Promise, percentile, show_waits
from benchmarks.outbox_parts.loads import Arrival, head_of_line, tiers
from benchmarks.outbox_parts.ours import all_settled, put_load, sent_moments, store_in
from benchmarks.outbox_parts.plain import run_plain
from benchmarks.outbox_parts.sending import SHIPPED, priorities_in
from benchmarks.outbox_parts.world import World, sender_process, world

PEOPLE = 1500
OVERLOAD = {"gold": 6.0, "silver": 12.0, "bronze": 15.0}
GOLD_FLOOD = {"gold": 26.0, "silver": 2.0, "bronze": 2.0}
LOAD_SECONDS = 120.0
# The first seconds fill the queue; from then on there is more than may be sent.
_WARM_SECONDS = 5.0
_DRAIN = timedelta(minutes=10)

Waits = dict[str, float]


@dataclass(frozen=True)
class Result:
    """What became of one load.

    Attributes:
        ours, plain: seconds that each text waited.
        arrived: how often each text of ours is at the stand-in.
        refused, refused_plain: answers 429.
        used_percent: of the permitted rate, while more waited than may be sent.
    """

    load: Sequence[Arrival]
    ours: Waits
    plain: Waits
    arrived: Counter[str]
    refused: int
    used_percent: float
    refused_plain: int = 0

    def lost(self) -> int:
        """Messages that never arrived."""
        return sum(1 for arrival in self.load if not self.arrived[arrival.text])

    def repeated(self) -> int:
        """Copies beyond the first."""
        return sum(count - 1 for count in self.arrived.values() if count > 1)


async def run(directory: Path, load: Sequence[Arrival]) -> Result:
    """Send a load both ways and return what became of it."""
    with world(directory / "ours", people=PEOPLE) as ours, world(directory / "plain", people=PEOPLE) as other:
        store = store_in(directory)
        await store.migrate()
        with sender_process(directory, ours):
            putting = put_load(store, priorities_in(SHIPPED), load)
            plain, began = await asyncio.gather(run_plain(other, load), putting)
            await all_settled(store, within=_DRAIN)
        await store.close()
        return replace(_result(directory, ours, load, plain, began), refused_plain=other.refused())


def _result(directory: Path, place: World, load: Sequence[Arrival], plain: Waits, began: float) -> Result:
    moments = sent_moments(directory)
    return Result(
        load=load,
        ours={text: (sent - put).total_seconds() for text, (put, sent) in moments.items()},
        plain=plain,
        arrived=place.arrived(),
        refused=place.refused(),
        used_percent=_used_percent([sent.timestamp() - began for _, sent in moments.values()]),
    )


def _used_percent(sent: Sequence[float]) -> float:
    """Return the rate at which was sent under overload, in percent of the permitted one."""
    permitted = priorities_in(SHIPPED).limits.bot
    busy = [at for at in sent if _WARM_SECONDS <= at < LOAD_SECONDS]
    allowed = (LOAD_SECONDS - _WARM_SECONDS) / permitted.interval.total_seconds()
    return 100 * len(busy) / allowed


def _by(key: Callable[[str], str], waits: Waits) -> dict[str, list[float]]:
    classes: dict[str, list[float]] = {}
    for text, seconds in waits.items():
        classes.setdefault(key(text), []).append(seconds)
    return dict(sorted(classes.items(), reverse=True))


def _tier(text: str) -> str:
    return text.rpartition("-")[2]


def _addressee(text: str) -> str:
    return "the group" if text.startswith("g") else "500 people"


async def overload(directory: Path) -> list[Promise]:
    """132 % of the permitted rate for two minutes, in three tiers."""
    result = await run(directory, tiers(OVERLOAD, seconds=LOAD_SECONDS, people=PEOPLE))
    ours, plain = _by(_tier, result.ours), _by(_tier, result.plain)
    show_waits("132 % overload for two minutes", {"outbox": ours, "plain loop": plain})
    longest = max(percentile(values, 99.9) for values in ours.values())
    longest_plain = max(percentile(values, 99.9) for values in plain.values())
    gold, gold_plain = percentile(ours["gold"], 95), percentile(plain["gold"], 95)
    return [
        Promise("overload: lost", result.lost(), 0),
        Promise("overload: duplicated", result.repeated(), 0),
        Promise("overload: answers 429", result.refused, 0, result.refused_plain),
        Promise("overload: % of the permitted rate used", result.used_percent, 99, at_least=True),
        Promise("overload: gold p95, s", gold, 2, gold_plain),
        Promise("overload: p99.9 of the slowest tier, s", longest, 70, longest_plain),
    ]


async def gold_flood(directory: Path) -> list[Promise]:
    """A flood of the most important tier, which must not starve the least."""
    result = await run(directory, tiers(GOLD_FLOOD, seconds=LOAD_SECONDS, people=PEOPLE))
    ours, plain = _by(_tier, result.ours), _by(_tier, result.plain)
    show_waits("a flood of gold for two minutes", {"outbox": ours, "plain loop": plain})
    bronze, bronze_plain = percentile(ours["bronze"], 99.9), percentile(plain["bronze"], 99.9)
    return [
        Promise("gold flood: lost", result.lost(), 0),
        Promise("gold flood: answers 429", result.refused, 0, result.refused_plain),
        Promise("gold flood: bronze p99.9, s", bronze, 15, bronze_plain),
    ]


async def one_group(directory: Path) -> list[Promise]:
    """100 messages to one group stand before 500 to 500 people."""
    result = await run(directory, head_of_line())
    ours, plain = _by(_addressee, result.ours), _by(_addressee, result.plain)
    show_waits("100 messages to one group, then 500 to 500 people", {"outbox": ours, "plain loop": plain})
    others, others_plain = percentile(ours["500 people"], 95), percentile(plain["500 people"], 95)
    return [
        Promise("one group: lost", result.lost(), 0),
        Promise("one group: answers 429", result.refused, 0, result.refused_plain),
        Promise("one group: the others' p95, s", others, 25, others_plain),
    ]
