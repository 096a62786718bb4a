"""Our generator, run as the product runs it: a share into `python -m holdfast.loadgen`, its reports out."""

import asyncio
import sys
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.peers.generators import Job, Said
from holdfast.loadgen.report import Report, Share
from holdfast.loadgen.totals import Totals
from holdfast.runbook.kinds.load import LoadSpec

# Long enough for the process to be there before the agreed start.
_AHEAD_SECONDS = 2.0
_LINE_LIMIT = 1 << 24  # bytes of one report


@dataclass(frozen=True)
class Ours:
    """Our generator.

    Attributes:
        name, version, missing, settles: as of any generator.
    """

    name: str = "holdfast"
    version: str = "this tree"
    missing: str = ""
    settles: bool = False

    async def run(self, job: Job, core: int) -> Said:
        """Do a job on one core.

        Raises:
            SystemExit: the generator failed, with what it said.
        """
        spec = LoadSpec.model_validate(_spec(job))
        process = await asyncio.create_subprocess_exec(
            *("taskset", "-c", str(core), sys.executable, "-m", "holdfast.loadgen"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_LIMIT,
        )
        assert process.stdin is not None, "it is a pipe"  # for the type checker
        share = Share(spec=spec, start_at=time.time() + _AHEAD_SECONDS, name="benchmark")
        process.stdin.write(share.model_dump_json(by_alias=True).encode() + b"\n")
        try:
            reports = await _reports(process)
        finally:
            process.stdin.close()  # which ends it
            await process.wait()
        totals = Totals(spec)
        for report in reports:
            totals.add(report)
        return _said(totals, job)


async def _reports(process: asyncio.subprocess.Process) -> list[Report]:
    assert process.stdout is not None, "it is a pipe"  # for the type checker
    lines: list[bytes] = []
    # Read now, understood later: this process shares a core with the target.
    async for line in process.stdout:
        lines.append(line)
        if b'"done":true' in line:
            break
    if not lines or b'"error"' in lines[-1][:10]:
        raise SystemExit(f"our generator failed: {lines[-1].decode() if lines else 'it said nothing'}")
    return [Report.model_validate_json(line) for line in lines]


def _said(totals: Totals, job: Job) -> Said:
    everything = totals.of_steps(totals.steps_of("*"))
    p95, p99, most = (value / 1000 for value in everything.latency.percentiles((95, 99, 100)))
    return Said(
        requests=everything.sent,
        p95_ms=p95,
        p99_ms=p99,
        maximum_ms=most,
        errors_percent=everything.errors_percent,
        on_time_percent=everything.on_time_percent,
        rate=everything.due / job.seconds,
    )


def _spec(job: Job) -> dict[str, Any]:
    ticket = {
        "name": "open",
        "http": {
            "target": "shop",
            "method": "POST",
            "path": "/tickets",
            "json": {"text": "Where is my order?"},
        },
        "check": {"status": [201]},
        "extract": {"ticket": {"json": "ticket"}},
    }
    look = {
        "name": "look",
        "http": {"target": "shop", "path": "/tickets/{ticket}"},
        "check": {"status": [200], "json": {"ok": True}},
    }
    get = {"name": "get", "http": {"target": "shop", "path": "/k"}}
    return {
        "kind": "load",
        "name": "benchmark",
        "title": "Benchmark",
        "summary": "As much as one core gives.",
        "starters": ["anyone"],
        "targets": {"shop": {"url": job.url}},
        "scenarios": [{"name": "session", "steps": [ticket, look] if job.two_steps else [get]}],
        "arrivals": "even",
        "phases": [{"rate": job.rate, "for": f"{job.seconds:g}s"}],
        "ceilings": {"rate": 1_000_000, "for": "5m", "in_flight": 18_000},
    }
