"""Who said something: checked in the validators of runs, which can do no I/O but need the secret key.

A worker installs its guard once, before it serves runs; without one nothing counts.
"""

import queue
from datetime import datetime
from typing import Final

from holdfast.domain.decisions import Answer, Signed
from holdfast.domain.errors import DecisionRefused
from holdfast.domain.proofs import Keyring
from holdfast.ports.audit import AuditEntry

# A flood of wrong attempts must not fill the memory of a worker whose store is down.
_MOST_WAITING: Final = 10_000


class Guard:
    """Checks approval codes, and keeps refusals until they are written into the audit log."""

    def __init__(self, keyring: Keyring) -> None:
        """Check by these keys."""
        self._keyring = keyring
        self._refusals: queue.Queue[AuditEntry] = queue.Queue(maxsize=_MOST_WAITING)

    def check(self, said: Signed, *, run: str, execution: str, now: datetime) -> None:
        """Check the code of a message; see `Keyring.check`."""
        self._keyring.check(said, run=run, execution=execution, now=now)

    def refused(self, entry: AuditEntry) -> None:
        """Keep a refusal for the audit log: a refused update leaves no trace in a run's history."""
        if not self._refusals.full():
            self._refusals.put_nowait(entry)

    def waiting(self) -> list[AuditEntry]:
        """Return the refusals that nobody has taken yet, oldest first."""
        entries: list[AuditEntry] = []
        while not self._refusals.empty():
            entries.append(self._refusals.get_nowait())
        return entries


class _Post:
    """Where the worker's guard stands; one a process, as there is one secret."""

    guard: Guard | None = None


def install(guard: Guard) -> None:
    """Let the runs of this process be guarded by this one."""
    _Post.guard = guard


def guard() -> Guard:
    """Return this process's guard.

    Raises:
        DecisionRefused: there is none, so nobody can be recognised.
    """
    if _Post.guard is None:
        raise DecisionRefused(
            Answer.NOT_PROVEN, "This worker has no secret key, so it cannot tell who you are."
        )
    return _Post.guard
