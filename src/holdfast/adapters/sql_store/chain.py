"""The audit log's chain of hashes, apart from where it is kept.

The hash of an entry is the SHA-256 of its JSON without `hash`: sorted keys, no spaces, ASCII only, times in UTC
to the microsecond. Whoever has an export can check it with five lines of any language.

It shows every change by somebody who does not rewrite all that follows. Against that, and against a lost end,
the newest hash has to be kept elsewhere from time to time.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast

from pydantic import ValidationError

from holdfast.domain.errors import HoldfastError
from holdfast.ports.audit import AuditEntry, ChainedEntry, ChainReport

BEFORE_THE_FIRST: Final = ""
_UNREADABLE: Final = "\N{REPLACEMENT CHARACTER}"


def link(entry: AuditEntry, *, number: int, previous: str) -> dict[str, Any]:
    """Return the row of an entry that follows the one with the hash `previous`."""
    if entry.at.tzinfo is None:
        raise ValueError("a time without a zone cannot be recorded")
    fields = {
        name: storable(getattr(entry, name)) for name in ("key", "run", "gate", "person", "channel", "text")
    }
    row: dict[str, Any] = fields | {
        "number": number,
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "kind": str(entry.kind),
        "data": _canonical(_plain(entry)),
        "previous": previous,
    }
    return row | {"hash": _hash(row)}


def _plain(entry: AuditEntry) -> Any:
    return entry.model_copy(update={"data": _storable_all(entry.data)}).model_dump(mode="json")["data"]


def _storable_all(value: object) -> object:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        fields = cast("Mapping[object, object]", value)
        return {_storable_all(name): _storable_all(inner) for name, inner in fields.items()}
    if isinstance(value, list | tuple):
        return [_storable_all(inner) for inner in cast("Sequence[object]", value)]
    return value


def storable(text: str) -> str:
    """Replace the characters that no database takes: one odd message must not stop the record."""
    return text.replace("\0", _UNREADABLE).encode(errors="replace").decode()


def entry_of(row: Mapping[str, Any]) -> ChainedEntry:
    """Return the entry of a row.

    Raises:
        HoldfastError: somebody changed it so that it cannot be read any more.
    """
    try:
        fields = {**row, "data": json.loads(row["data"]), "at": datetime.fromisoformat(row["at"])}
        return ChainedEntry.model_validate(fields)
    except (ValueError, TypeError, ValidationError):
        raise HoldfastError(
            f"entry {row['number']} of the audit log cannot be read: somebody changed it. "
            "'holdfast audit verify' shows the first entry that is not as it was written."
        ) from None


class Walk:
    """Follows a chain link by link, and stops at the first that is broken."""

    def __init__(self, *, expected_head: str = "") -> None:
        """Look out for `expected_head` on the way; empty for none."""
        self._report = ChainReport(entries=0, head=BEFORE_THE_FIRST)
        self._missing = expected_head

    @property
    def broken(self) -> bool:
        """Whether there is nothing more to find."""
        return self._report.broken_at is not None

    def step(self, row: Mapping[str, Any]) -> None:
        """Go on to this row."""
        report = self._report
        report.entries += 1
        problem = _problem(row, after=report.entries - 1, previous=report.head)
        if problem:
            report.broken_at, report.problem = row["number"], problem
        else:
            report.head = row["hash"]
            if report.head == self._missing:
                self._missing = ""

    def end(self) -> ChainReport:
        """Return what was found, once there are no more rows."""
        report = self._report
        if not self.broken and self._missing:
            report.broken_at = report.entries + 1
            report.problem = (
                f"no entry has the hash {self._missing}: entries at the end were removed, or all written anew"
            )
        return report


def _problem(row: Mapping[str, Any], *, after: int, previous: str) -> str:
    number, expected = row["number"], after + 1
    if number < expected:
        return "it stands before the first entry"
    if number > expected:
        gone = f"entry {expected} is" if number == expected + 1 else f"entries {expected} to {number - 1} are"
        return f"{gone} missing before it"
    if not _is_as_written(row):
        return "its content is not what it was when it was written"
    if row["previous"] != previous:
        return f"it does not follow the entry {after} that is there now: one of them was written anew"
    return ""


def _is_as_written(row: Mapping[str, Any]) -> bool:
    try:
        return bool(_hash(row) == row["hash"]) and _canonical(json.loads(row["data"])) == row["data"]
    except (ValueError, TypeError, RecursionError):
        return False


def _hash(row: Mapping[str, Any]) -> str:
    hashed = {name: value for name, value in row.items() if name != "hash"} | {"data": json.loads(row["data"])}
    return hashlib.sha256(_canonical(hashed).encode()).hexdigest()


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
