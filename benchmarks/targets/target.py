"""Compiles and runs `target.c`."""

import asyncio
import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.arithmetic import Floats
from benchmarks.peers.places import CACHE

SOURCE = Path(__file__).with_name("target.c")


@dataclass
class Target:
    """A running target, and once it has ended what it saw.

    Attributes:
        url: base address, on loopback.
        gets, posts: when each such request arrived, in seconds of the monotonic clock.
        counted: its own counts: requests, answers, unknown_tickets, broken, stalled_from, stalled_to.
    """

    url: str
    gets: Floats = field(default_factory=lambda: np.zeros(0))
    posts: Floats = field(default_factory=lambda: np.zeros(0))
    counted: dict[str, Any] = field(default_factory=dict[str, Any])


def compiled() -> Path:
    """Return the compiled target; its name changes with its source.

    Raises:
        SystemExit: there is no C compiler, or it refuses the source.
    """
    binary = CACHE / f"target-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]}"
    if not binary.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        draft = binary.with_suffix(f".{os.getpid()}")
        try:
            subprocess.run(["cc", "-O2", "-Wall", "-o", draft, SOURCE], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SystemExit(
                f"the target could not be compiled: {error}; install a C compiler as 'cc'"
            ) from None
        draft.rename(binary)
    return binary


@asynccontextmanager
async def running(core: int, delay: float, stall: tuple[float, float] | None = None) -> AsyncGenerator[Target]:
    """Run a target on one core; after the block it has ended and tells what it saw.

    Args:
        core: its number.
        delay: between a request and its answer, in seconds.
        stall: how long after the first request it stands still, and for how long, in seconds.
    """
    with tempfile.TemporaryDirectory(prefix="load-target-") as directory:
        arrivals = Path(directory) / "arrivals"
        words = ["--delay-ms", f"{1000 * delay:g}", "--arrivals", str(arrivals)]
        if stall:
            words += ["--stall-at", f"{stall[0]:g}", "--stall-for", f"{stall[1]:g}"]
        process = await asyncio.create_subprocess_exec(
            *("taskset", "-c", str(core), str(compiled()), *words),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None, "it is a pipe"  # for the type checker
        target = Target(f"http://127.0.0.1:{int(await process.stdout.readline())}")
        try:
            yield target
        finally:
            said, _ = await process.communicate(b"")  # closes its input
            if process.returncode:
                raise SystemExit(f"the target ended with {process.returncode}")
            noted = np.fromfile(arrivals, dtype=np.int64)
            seconds, is_post = noted / 1e9, (noted & 1).astype(bool)
            target.gets, target.posts = seconds[~is_post], seconds[is_post]
            target.counted = json.loads(said)
