"""Names of those who hold a lease, from which a successor on the same host sees that its holder is gone."""

import os
import uuid
from pathlib import Path
from typing import Final

from holdfast.outbox.store import Lease

_PROC: Final = Path("/proc")
_PARTS: Final = 4
_START_TIME: Final = (
    19  # of the fields after the command's name in /proc/<pid>/stat, counted from 0; see proc(5)
)


def holder_name(proc: Path = _PROC) -> str:
    """Name this process: `boot/pid namespace/pid/start time`; a random name where the system has no /proc.

    A pid alone is given again after a restart, and means another process in each container.
    """
    here = _place(proc)
    pid = os.getpid()
    started = _started(proc, pid)
    if not here or not started:
        return f"process-{uuid.uuid4()}"
    return f"{here}/{pid}/{started}"


def dead_holders(current: Lease | None, proc: Path = _PROC) -> frozenset[str]:
    """Return the holder of a lease if it was a process of this host and pid namespace that is gone.

    Says nothing of processes elsewhere: their lease has to run out.
    """
    parts = current.holder.split("/") if current else []
    if current is None or len(parts) != _PARTS or not parts[2].isdecimal():
        return frozenset()
    if "/".join(parts[:2]) != _place(proc):
        return frozenset()
    return frozenset() if _started(proc, int(parts[2])) == parts[3] else frozenset({current.holder})


def _place(proc: Path) -> str:
    """Return boot and pid namespace; empty where they cannot be told."""
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = os.readlink(proc / "self/ns/pid")  # noqa: PTH115  the link's text; nothing is behind it
    except OSError:
        return ""
    return f"{boot}/{namespace.strip('pid:[]')}"


def _started(proc: Path, pid: int) -> str:
    """Return when a process started, in ticks since boot; empty where it is gone."""
    try:
        stat = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The name is in parentheses and may hold anything. A zombie is gone: it sends nothing.
    fields = stat.rpartition(")")[2].split()
    return "" if fields[:1] in (["Z"], ["X"]) else fields[_START_TIME]
