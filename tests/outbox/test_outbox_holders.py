import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from holdfast.outbox.holders import dead_holders, holder_name
from holdfast.outbox.store import Lease

NAME = """
import time
from holdfast.outbox.holders import holder_name
print(holder_name(), flush=True)
time.sleep(60)
"""


def held_by(holder: str) -> Lease:
    return Lease("77", holder, 1, datetime(2026, 3, 1, tzinfo=UTC))


def test_a_process_that_was_killed_is_known_to_be_gone_and_a_living_one_is_not() -> None:
    with subprocess.Popen([sys.executable, "-c", NAME], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        name = other.stdout.readline().strip()
        assert dead_holders(held_by(name)) == frozenset()
        other.kill()
        # Not even waited for by its parent: a zombie sends nothing.
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert dead_holders(held_by(name)) == {name}
    assert dead_holders(held_by(name)) == {name}


def test_a_process_names_itself_the_same_each_time_and_is_alive() -> None:
    assert holder_name() == holder_name()
    assert dead_holders(held_by(holder_name())) == frozenset()
    assert dead_holders(None) == frozenset()


def test_a_pid_that_was_given_again_is_another_process() -> None:
    boot, namespace, pid, started = holder_name().split("/")
    earlier = f"{boot}/{namespace}/{pid}/{int(started) - 1}"
    assert dead_holders(held_by(earlier)) == {earlier}


def test_nothing_is_known_of_processes_elsewhere() -> None:
    boot, namespace, _, started = holder_name().split("/")
    for elsewhere in (f"other-boot/{namespace}/1/{started}", f"{boot}/1/1/{started}", "somebody", "a/b/c/d"):
        assert dead_holders(held_by(elsewhere)) == frozenset()


def test_without_proc_a_name_is_unique_and_never_judged(tmp_path: Path) -> None:
    one, two = holder_name(tmp_path), holder_name(tmp_path)
    assert one != two
    assert dead_holders(held_by(one), tmp_path) == frozenset()
    assert dead_holders(held_by(holder_name()), tmp_path) == frozenset()
