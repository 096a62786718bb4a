"""Child processes that are started, watched, killed, restarted, and never left behind."""

import os
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_STOP_SECONDS = 8.0
_POLL_SECONDS = 0.05
_OURS = range(20_000, 30_000)
_TRIES = 50


class ProcessFailed(Exception):
    """A child process ended, or did not get ready, when it should run; the text names its log file."""


def free_port(preferred: int | None = None, *, besides: Collection[int] = ()) -> int:
    """Return the preferred TCP port on the loopback interface if it is free, else any free one `besides` these.

    Any one is below those that the system gives out itself: one of its own would take it before we do.
    """
    others = random.sample(_OURS, k=_TRIES)
    for port in (*([preferred] if preferred is not None else []), *others):
        if port in besides:
            continue
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise ProcessFailed("no free TCP port on the loopback interface")


def accepts_connections(port: int) -> Callable[[], bool]:
    """Return a readiness check: something listens on this port of the loopback interface."""

    def ready() -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False

    return ready


def answers(url: str) -> Callable[[], bool]:
    """Return a readiness check: the address answers without an error."""

    def ready() -> bool:
        with suppress(OSError, urllib.error.URLError), urllib.request.urlopen(url, timeout=1) as response:  # noqa: S310  our own addresses
            return bool(response.status < 400)  # noqa: PLR2004  HTTP
        return False

    return ready


@dataclass
class Child:
    """One process of a stack.

    Attributes:
        name: what people call it.
        command: argument list.
        environment: added to ours.
        log: where its output goes, appended over restarts.
        ready: tells when it serves; None when it serves nobody.
    """

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    ready: Callable[[], bool] | None = None
    _process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it in a process group of its own, so that Ctrl-C reaches us alone and we stop it in order."""
        if self.running:
            return
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603  commands are composed by us
                list(self.command),
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_ready(self, seconds: float = 30) -> None:
        """Wait until it serves.

        Raises:
            ProcessFailed: it ended or did not serve in time.
        """
        deadline = time.monotonic() + seconds
        while self.ready is not None and not self.ready():
            self._check_running()
            if time.monotonic() > deadline:
                raise ProcessFailed(f"{self.name} is not ready after {seconds:.0f} s; its log: {self.log}")
            time.sleep(_POLL_SECONDS)
        self._check_running()  # what has answered may be somebody else on its port

    def _check_running(self) -> None:
        if not self.running:
            raise ProcessFailed(f"{self.name} ended while starting; its log: {self.log}\n{self.tail()}")

    def kill(self) -> None:
        """Kill it at once, as a crash would (SIGKILL to its whole group)."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def stop(self) -> None:
        """Ask it to stop; kill it when it does not."""
        self._signal(signal.SIGTERM)
        if self._process is None:
            return
        try:
            self._process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of its log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
