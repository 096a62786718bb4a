"""What each generator says of a target that stood still for two seconds, beside the truth."""

import sys
from asyncio import timeout

from rich.console import Console
from rich.table import Table

from benchmarks.peers.arithmetic import Stall, even_schedule, nearest_rank
from benchmarks.peers.figures import Figure
from benchmarks.peers.generators import K6, LOCUST, OHA, OHA_UNCORRECTED, WRK, Generator, Job, Said, absent
from benchmarks.peers.highest_rate import DELAY_SECONDS, GENERATOR_CORE, TARGET_CORE
from benchmarks.peers.ours import Ours
from benchmarks.targets.target import running

RATE, SECONDS = 200, 20.0
STALL = Stall(at=8.0, lasts=2.0, delay=DELAY_SECONDS)
MOST_OFF = 0.02
_TIMEOUT_SECONDS = 60.0
_RIVALS: tuple[tuple[Generator, int, str], ...] = (
    (OHA, 600, "600 connections"),
    (OHA, 20, "20 connections"),
    (OHA_UNCORRECTED, 20, "20 connections"),
    (K6, 600, "600 users"),
    (K6, 20, "20 users"),
    (WRK, 4, "4 connections, closed"),
    (LOCUST, 20, "10/s a user"),
    (LOCUST, 200, "1/s a user"),
)


def truth() -> Said:
    """Return what the schedule says, by arithmetic."""
    due = even_schedule(0.0, RATE, SECONDS)
    latencies = 1000 * STALL.latencies(due)
    p95, p99, most = (nearest_rank(latencies, percent) for percent in (95, 99, 100))
    return Said(due.size, p95, p99, most)


async def stall() -> Figure:
    """Measure a stall with everyone; our p99 and maximum are within 2 % of the truth."""
    table = Table(
        *("", "how", "p95 ms", "p99 ms", "maximum ms", "requests"),
        title=f"{RATE}/s for {SECONDS:g} s, the target stands still for {STALL.lasts:g} s",
    )
    right = truth()
    _add(table, "the truth", "by arithmetic", right)
    mine = await _measured(Ours(), 0)
    _add(table, "holdfast", "", mine)
    for generator, users, how in _RIVALS:
        name = f"{generator.name} {generator.version}"
        if generator.missing:
            table.add_row(name, how, "–")
        else:
            _add(table, name, how, await _measured(generator, users))
    table.caption = absent(generator for generator, _, _ in _RIVALS)
    Console(width=110).print(table)
    off = [mine.p99_ms / right.p99_ms, mine.maximum_ms / right.maximum_ms]
    most = round(mine.maximum_ms, 2), round(right.maximum_ms, 2)
    longest = {"ours": most[0], "reference": most[1], "ratio": round(off[1], 3)}
    return Figure(
        mine.p99_ms,
        right.p99_ms,
        1 + MOST_OFF,
        holds=all(abs(ratio - 1) <= MOST_OFF for ratio in off),
        more={"maximum": longest},
    )


async def _measured(generator: Generator, users: int) -> Said:
    print(f"{generator.name}: {SECONDS:g} s", file=sys.stderr)
    async with (
        running(TARGET_CORE, DELAY_SECONDS, (STALL.at, STALL.lasts)) as target,
        timeout(_TIMEOUT_SECONDS),
    ):
        return await generator.run(Job(target.url, RATE, SECONDS, DELAY_SECONDS, users=users), GENERATOR_CORE)


def _add(table: Table, name: str, how: str, said: Said) -> None:
    latencies = (f"{value:,.0f}" for value in (said.p95_ms, said.p99_ms, said.maximum_ms))
    table.add_row(name, how, *latencies, f"{said.requests:,}")
