"""The load generator beside oha, k6, Locust and wrk, against the same compiled target on this machine.

The generator has core 0 and the target core 1; the target answers each request after 20 ms and notes when it
arrived. A request is on time when it reached the target at most 50 ms after its moment; a rate is kept when
99 % of the requests were on time in a run of 5 s (after 1 s for opening connections) and at most 1 % failed.
The target judges all alike; ours must also have called itself on time.

- rate: the highest rate of plain GETs that is kept, by doubling and bisecting; at least 1.5 times oha's.
- scenario: the same with two steps: a POST, the ticket's number out of its JSON, a GET of that ticket with a
  check of status and body; at least ten times k6's.
- stall: the target stands still for 2 s in a run of 20 s at 200/s; our 99th percentile and maximum are within
  2 % of what follows from the schedule.

`--install` first obtains the other generators, pinned, into ~/.cache/holdfast/peers; one that is missing is
named in the tables. Needs a C compiler and two cores, and takes about a quarter of an hour; `--only PART` runs
one part. Prints tables and, as its last line, one JSON object: the figures of the first part, those of the
others below their names; `holds` is true when all hold.
"""

import argparse
import asyncio
import os
import resource
import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.peers.figures import Figure, result
from benchmarks.peers.highest_rate import TARGET_CORE, rate, scenario
from benchmarks.peers.install import install
from benchmarks.peers.stalled import stall

PARTS: Mapping[str, Callable[[], Coroutine[Any, Any, Figure]]] = {
    "rate": rate,
    "scenario": scenario,
    "stall": stall,
}


def main() -> int:
    """Measure, print, and return 0 when everything holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, action="append", help="run this part; repeat for more")
    parser.add_argument("--install", action="store_true", help="obtain the other generators that are missing")
    said = parser.parse_args()
    if said.install:
        install()
    _make_room()
    found: dict[str, Figure] = {}
    for name in said.only or PARTS:
        Console().print(f"[bold]{name}[/bold] …")
        found[name] = asyncio.run(PARTS[name]())
    print(result(found))
    return 0 if all(figure.holds for figure in found.values()) else 1


def _make_room() -> None:
    """Keep this process off the generator's core, and allow everybody as many connections as may be."""
    if TARGET_CORE not in os.sched_getaffinity(0):
        raise SystemExit(f"this needs core {TARGET_CORE} for the target and core 0 for the generator")
    os.sched_setaffinity(0, {TARGET_CORE})
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    sys.exit(main())
