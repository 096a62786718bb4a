"""A structured log of the messages that the shop exchanges: one JSON object a line."""

import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO


@dataclass
class Exchange:
    """One message under way; who sends it says how it went.

    Attributes:
        bytes: of its body as it is on the wire.
        ok: it got there, and was understood.
    """

    bytes: int
    ok: bool = True


class MessageLog:
    """Writes the log; without a file nothing is written.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path | None = None) -> None:
        # Line by line: whoever follows the file sees each message at once.
        self._file: TextIO | None = path.open("a", encoding="utf-8", buffering=1) if path else None

    @contextmanager
    def exchange(self, message: str, sender: str, receiver: str, size: int) -> Generator[Exchange]:
        """Measure a message for the block; it failed where the block raises."""
        under_way, began = Exchange(size), time.perf_counter()
        try:
            yield under_way
        except BaseException:
            under_way.ok = False
            raise
        finally:
            self._write(message, sender, receiver, under_way, time.perf_counter() - began)

    def close(self) -> None:
        """Close the file; what comes later is not written."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, message: str, sender: str, receiver: str, under_way: Exchange, seconds: float) -> None:
        if self._file is None:
            return
        line = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "message": message,
            "from": sender,
            "to": receiver,
            "bytes": under_way.bytes,
            "seconds": round(seconds, 6),
            "ok": under_way.ok,
        }
        self._file.write(json.dumps(line) + "\n")
