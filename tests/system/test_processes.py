"""How processes end: the demo cleans up after Ctrl-C, and short commands never end with a false alarm."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from temporalio.client import Client

ROOT = Path(__file__).parents[2]


def children_of(process_id: int) -> set[int]:
    """Every descendant that still runs."""
    listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True)
    rows = [line.split() for line in listed.stdout.splitlines()]
    parents = {int(pid): int(ppid) for pid, ppid, stat in rows if not stat.startswith("Z")}
    found: set[int] = set()
    while grown := {pid for pid, ppid in parents.items() if ppid in found | {process_id}} - found:
        found |= grown
    return found


def still_there(processes: set[int]) -> list[int]:
    """Return those that have not ended within ten seconds: a killed one is there until the system reaps it."""
    deadline = time.monotonic() + 10
    while left := [pid for pid in processes if Path(f"/proc/{pid}").exists()]:
        if time.monotonic() > deadline:
            return left
        time.sleep(0.05)
    return []


@pytest.mark.slow
@pytest.mark.xdist_group("demo")  # two demos would take each other's familiar ports
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_stops_everything_it_started_when_it_is_interrupted(number: signal.Signals) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "workers.demo"], cwd=ROOT, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert demo.stdout is not None
    with demo.stdout:
        for line in demo.stdout:
            if "normal traffic" in line:
                break
        started = children_of(demo.pid)
        assert len(started) >= 8
        demo.send_signal(number)
        demo.stdout.read()
    assert demo.wait(timeout=60) == 130
    assert still_there(started) == []


def test_short_commands_end_with_their_own_exit_code_every_time(client: Client) -> None:
    environment = {**os.environ, "HOLDFAST_TEMPORAL_ADDRESS": client.service_client.config.target_host}
    for _ in range(8):
        ended = subprocess.run(
            [sys.executable, "-m", "workers.cli", "runs", "--json"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout.startswith("[")
