"""A Bot API stand-in of its own, with its limits on, and what arrived there."""

import json
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml

from workers.processes import Child, answers, free_port

TOKEN = "501:BENCHMARK"
FIRST_USER, GROUP = 10_001, -7001
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class World:
    """A running stand-in."""

    url: str
    state: Path

    def arrived(self) -> Counter[str]:
        """Return how often each text arrived."""
        with sqlite3.connect(self.state) as database:
            rows = database.execute("SELECT body FROM messages")
            return Counter(json.loads(body)["text"] for (body,) in rows)

    def refused(self) -> int:
        """Return how often a bot was answered 429."""
        return int(httpx.get(f"{self.url}/human/log").json()["rejected_429"])


@contextmanager
def world(directory: Path, *, people: int, limits: tuple[str, ...] = ()) -> Generator[World]:
    """Run a stand-in with so many people, and one group that all belong to."""
    directory.mkdir(parents=True, exist_ok=True)
    users = [{"id": FIRST_USER + n, "first_name": f"Person {n}", "started": True} for n in range(people)]
    chats = [{"id": GROUP, "type": "supergroup", "title": "Group", "members": [FIRST_USER]}]
    (directory / "people.yaml").write_text(yaml.safe_dump({"users": users, "chats": chats}))
    port, state = free_port(), directory / "telegram.db"
    command = [
        sys.executable, "-m", "holdfast.sim.telegram", "--port", str(port), "--state", str(state),
        "--people", str(directory / "people.yaml"), "--token", TOKEN, *limits,
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    child = Child("telegram", command, directory / "telegram.log", ready=answers(f"{url}/healthz"))
    child.start()
    try:
        child.wait_ready()
        yield World(url, state)
    finally:
        child.stop()


@contextmanager
def sender_process(directory: Path, world: World, *options: str) -> Generator[subprocess.Popen[bytes]]:
    """Run our sender as a process of its own."""
    command = [
        sys.executable, "-m", "benchmarks.outbox_parts.sending", str(directory), world.url, *options,
    ]  # fmt: skip
    with (directory / "sender.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=_ROOT)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)
