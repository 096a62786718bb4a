"""Each generator behind one face: a job in, what it says of itself out."""

import asyncio
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from benchmarks.peers.install import NOT_TO_BE_HAD, PEERS

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Job:
    """What a generator is asked for.

    Attributes:
        url: base address of the target.
        rate: sessions that begin in a second; a session is one GET, or with `two_steps` a POST and a GET.
        seconds: how long sessions begin.
        delay: of the target, in seconds: says how many connections are needed.
        users: connections, or users where the generator has them; 0 for enough.
    """

    url: str
    rate: float
    seconds: float
    delay: float
    two_steps: bool = False
    users: int = 0


@dataclass(frozen=True)
class Said:
    """What a generator says of its own run; latencies in milliseconds, `not a number` where it says nothing.

    Attributes:
        on_time_percent: of the requests that were due, if it knows.
        rate: that it says it made.
    """

    requests: int
    p95_ms: float = math.nan
    p99_ms: float = math.nan
    maximum_ms: float = math.nan
    errors_percent: float = 0.0
    on_time_percent: float | None = None
    rate: float = math.nan


class Generator(Protocol):
    """A load generator."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def version(self) -> str:
        """Which one it is."""
        ...

    @property
    def missing(self) -> str:
        """Say why it cannot run here, or nothing."""
        ...

    @property
    def settles(self) -> bool:
        """Whether its schedule begins only after a second, in which it starts its users."""
        ...

    async def run(self, job: Job, core: int) -> Said:
        """Do a job on one core.

        Raises:
            SystemExit: the generator failed, with what it said.
        """
        ...


@dataclass(frozen=True)
class Peer:
    """A generator that is a program with options.

    Attributes:
        key: among `PEERS`.
        words: of its command, for a job.
        read: what it prints, understood.
        variables: of its environment, for a job.
    """

    name: str
    key: str
    words: Callable[[Job], Sequence[str]]
    read: Callable[[str], Said]
    variables: Callable[[Job], Mapping[str, str]] = field(default=lambda _: {})
    settles: bool = False

    @property
    def version(self) -> str:
        """What is pinned."""
        return PEERS[self.key].version

    @property
    def missing(self) -> str:
        """Say why it cannot run here, or nothing."""
        return PEERS[self.key].missing

    async def run(self, job: Job, core: int) -> Said:
        """Do a job on one core.

        Raises:
            SystemExit: the generator failed, with what it said.
        """
        installed = PEERS[self.key]
        process = await asyncio.create_subprocess_exec(
            *("taskset", "-c", str(core), str(installed.binary), *self.words(job)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **installed.environment, **self.variables(job)},
        )
        try:
            out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        try:
            return self.read(out.decode())
        except (ValueError, KeyError, IndexError) as error:
            said = f"{err.decode()[-500:]}\n{out.decode()[-500:]}"
            raise SystemExit(f"{self.name} ended with {process.returncode} ({error}):\n{said}") from None


def absent(generators: Iterable[Generator]) -> str:
    """Say which generators cannot run here, and why, the ones that nobody can install among them."""
    missing = {each.name: each.missing for each in generators if each.missing}
    return "; ".join(f"{name}: {why}" for name, why in {**missing, **NOT_TO_BE_HAD}.items())


def _last_json(out: str) -> Said:
    found: dict[str, Any] = json.loads(out[out.rindex('{"requests"') :].splitlines()[0])
    return Said(**found)


# --- oha ----------------------------------------------------------------------------------------------------


def _enough(job: Job, spare: float) -> int:
    steps = 2 if job.two_steps else 1
    return job.users or max(50, round(spare * steps * job.rate * job.delay))


def _oha_words(job: Job, *, correct: bool, threads: int = 1) -> list[str]:
    words = ["-z", f"{job.seconds:g}s", "-q", f"{job.rate:g}", "-c", str(_enough(job, 1.5))]
    words += ["--latency-correction"] if correct else []
    return [*words, "--worker-threads", str(threads), "--no-tui", "--output-format", "json", f"{job.url}/k"]


def _oha_says(out: str) -> Said:
    found = json.loads(out)
    latency, statuses = found["latencyPercentiles"], found["statusCodeDistribution"]
    cut_off = {"aborted due to deadline"}
    wrong = sum(count for error, count in found["errorDistribution"].items() if error not in cut_off)
    good = statuses.get("200", 0)
    return Said(
        requests=sum(statuses.values()) + wrong,
        p95_ms=1000 * (latency["p95"] or math.nan),
        p99_ms=1000 * (latency["p99"] or math.nan),
        maximum_ms=1000 * (found["summary"]["slowest"] or math.nan),
        errors_percent=100 - 100 * good / max(1, sum(statuses.values()) + wrong),
    )


OHA = Peer("oha", "oha", lambda job: _oha_words(job, correct=True), _oha_says)
# Its default on a machine of two cores; on one core it is sometimes the better one.
OHA_TWO_THREADS = Peer("oha, 2 threads", "oha", lambda job: _oha_words(job, correct=True, threads=2), _oha_says)
OHA_UNCORRECTED = Peer("oha, no correction", "oha", lambda job: _oha_words(job, correct=False), _oha_says)


# --- k6, Locust, wrk ----------------------------------------------------------------------------------------


def _variables(job: Job, users: int) -> dict[str, str]:
    return {
        "URL": job.url,
        "RATE": f"{job.rate:.0f}",
        "SECONDS": f"{job.seconds:g}",
        "USERS": str(users),
        "STEPS": "2" if job.two_steps else "1",
    }


def _locust_users(job: Job) -> int:
    """Ten sessions a second of each user, unless told: fewer users are less work for Locust."""
    return job.users or max(5, round(job.rate / 10))


def _locust_words(job: Job) -> list[str]:
    users = _locust_users(job)
    script = ("-f", str(_HERE / "locust_users.py"), "--headless", "--only-summary", "--exit-code-on-error", "0")
    return [*script, "-u", str(users), "-r", str(users), "-t", f"{math.ceil(job.seconds)}s"]


def _wrk_words(job: Job) -> list[str]:
    connections = job.users or 2000
    script = ("-s", str(_HERE / "wrk.lua"))
    return ["-t1", f"-c{connections}", f"-d{math.ceil(job.seconds)}s", *script, f"{job.url}/k"]


K6 = Peer(
    "k6",
    "k6",
    lambda _: ["run", "--quiet", str(_HERE / "k6.js")],
    _last_json,
    lambda job: _variables(job, _enough(job, 4)),
)
LOCUST = Peer(
    "Locust",
    "Locust",
    _locust_words,
    _last_json,
    lambda job: _variables(job, _locust_users(job)),
    settles=True,
)
WRK = Peer("wrk", "wrk", _wrk_words, _last_json)
