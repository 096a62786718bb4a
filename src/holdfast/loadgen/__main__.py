"""One generator process: `python -m holdfast.loadgen`.

It reads one line from standard input, a `Share` as JSON, and writes each `Report` as a line of JSON. A further
line, `stop WHY`, stops it at once, and so does the end of standard input: a generator whose parent is dead must
not go on. One whose parent hangs must not either: where the share has a lease, empty lines are the parent's
signs of life. What it cannot or must not do it says in a line `{"error": "…"}` and ends with 2.
"""

import asyncio
import contextlib
import gc
import json
import os
import queue
import resource
import select
import sys
import threading
from collections.abc import Callable

import uvloop
from pydantic import ValidationError

from holdfast.domain.errors import HoldfastError, InvalidInput
from holdfast.loadgen.generator import Generator
from holdfast.loadgen.report import Report, Share
from holdfast.loadgen.safety import LOOPBACK, SETTING, check_targets

_REFUSED = 2
_PIECE = 65536
_COLLECT_EVERY = 1.0


def main() -> int:
    """Make a share of a load test; return the exit status."""
    lines = _Lines()
    try:
        share = _share(lines.following())
        check_targets(share.spec, allowed_hosts())
        _allow_many_connections()
        uvloop.run(_made(share, lines))
    except HoldfastError as error:
        _write((json.dumps({"error": str(error)}) + "\n").encode())
        return _REFUSED
    return 0


def allowed_hosts() -> tuple[str, ...]:
    """Return the hosts that this machine may load, from its settings."""
    listed = tuple(host.strip() for host in os.environ.get(SETTING, "").split(",") if host.strip())
    return listed or LOOPBACK


def _share(line: bytes | None) -> Share:
    if line is None:
        raise InvalidInput("standard input: give a share as one line of JSON")
    try:
        return Share.model_validate_json(line)
    except ValidationError as error:
        # Not the input itself: secrets are in it.
        places = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise InvalidInput(f"standard input is no share: {places}") from None


async def _made(share: Share, lines: "_Lines") -> None:
    loop = asyncio.get_running_loop()
    writer = _Writer(lambda: loop.call_soon_threadsafe(generator.stop, "nobody reads the reports"))
    generator = Generator(share, writer.write)
    lines.then(lambda why: loop.call_soon_threadsafe(generator.stop, why), within=share.lease_seconds)
    _collect_little(loop)
    try:
        await generator.run()
    finally:
        writer.close()


def _collect_little(loop: asyncio.AbstractEventLoop) -> None:
    """Collect the young garbage once a second, and nothing else.

    A full collection walks all sessions and connections, which stops the sending for tens of milliseconds. What
    the hot path makes is freed by its reference counts; circles come from closed connections only.
    """
    gc.collect()
    gc.freeze()
    gc.disable()

    def collect() -> None:
        gc.collect(0)
        loop.call_later(_COLLECT_EVERY, collect)

    collect()


def _allow_many_connections() -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class _Lines:
    """The lines of standard input. They are read by a thread, since it may be a pipe, a file or a terminal."""

    def __init__(self) -> None:
        self._rest = b""

    def following(self, *, within: float = 0.0) -> bytes | None:
        """Return the next line; None at the end.

        Args:
            within: nothing may be missing for longer than this, in seconds; 0: no bound.

        Raises:
            TimeoutError: nothing came for so long.
        """
        while b"\n" not in self._rest:
            # What has come while this process itself was held up is there, and counts.
            if within and not select.select([0], [], [], within)[0]:
                raise TimeoutError
            # Not through `sys.stdin`: a thread that waits in it keeps the interpreter from ending.
            piece = os.read(0, _PIECE)
            if not piece:
                return None
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def then(self, stop: Callable[[str], object], *, within: float = 0.0) -> None:
        """Call `stop` with the reason that a line gives, at the end, or when nothing came for so long."""
        threading.Thread(target=self._watched, args=(stop, within), daemon=True).start()

    def _watched(self, stop: Callable[[str], object], within: float) -> None:
        why = self._reason(within)
        # The loop may be closed by then.
        with contextlib.suppress(RuntimeError):
            stop(why)

    def _reason(self, within: float) -> str:
        try:
            while (line := self.following(within=within)) is not None:
                word, _, rest = line.decode(errors="replace").partition(" ")
                if word == "stop":
                    return rest or "stopped"
        except TimeoutError:
            return f"its parent gave no sign of life for {within:g} s"
        except OSError:
            pass
        return "its parent has ended"


class _Writer:
    """Writes reports in a thread, so that a slow reader does not hold up the load.

    Args:
        broken: called when nobody reads them any more.
    """

    def __init__(self, broken: Callable[[], object]) -> None:
        self._broken = broken
        self._reports: queue.SimpleQueue[Report | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def write(self, report: Report) -> None:
        """Write a report soon."""
        self._reports.put(report)

    def close(self) -> None:
        """Wait until all are written."""
        self._reports.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (report := self._reports.get()) is not None:
            try:
                _write(report.model_dump_json(exclude_defaults=True).encode() + b"\n")
            except OSError:
                with contextlib.suppress(RuntimeError):
                    self._broken()
                return


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


if __name__ == "__main__":
    sys.exit(main())
