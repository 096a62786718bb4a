"""Stands for a generator: replays recorded samples, `python replay_samples.py FILE`, with the real words.

Of the samples, rows of `[second, latency in µs]`, number k is reported by the shard `k % shards`.
"""

import asyncio
import json
import sys
from array import array
from pathlib import Path

from holdfast.loadgen.histogram import Histogram
from holdfast.loadgen.report import Report, Second, Share, StepSecond


def reports(samples: list[tuple[int, float]], share: Share) -> list[Report]:
    """Return what a generator with this share says, a report a second."""
    mine = [sample for number, sample in enumerate(samples) if number % share.shards == share.shard]
    said: list[Report] = []
    for second in range(max(second for second, _ in samples) + 1):
        latencies = array("d", [latency for when, latency in mine if when == second])
        step = StepSecond(due=len(latencies), good=len(latencies), latency=Histogram.of(latencies).encoded())
        said.append(
            Report(
                shard=share.shard,
                offset=second + 1.0,
                seconds=[Second(number=second, steps={"ask": step})],
            )
        )
    said[-1].done = True
    return said


async def main() -> None:
    share = Share.model_validate_json(await asyncio.to_thread(sys.stdin.readline))
    samples = json.loads(await asyncio.to_thread(Path(sys.argv[1]).read_text))
    for report in reports(samples, share):
        print(report.model_dump_json(exclude_defaults=True), flush=True)  # noqa: T201  its worker reads it


if __name__ == "__main__":
    asyncio.run(main())
