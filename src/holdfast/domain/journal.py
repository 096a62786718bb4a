"""The undo stack: what was changed and what it replaced, recorded before the change is made."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel


class Effect(BaseModel):
    """One small change to one part of a target, idempotent by its key.

    Attributes:
        key: `run/stage/step`; the target's audit trail shows it.
        kind: change provider, e.g. `http_config` or `canary_share`.
        endpoint: name of the system that is changed; the worker knows its address.
        part: what is changed there, e.g. `stable`, `canary`, `share`.
        values: the fields to set; fields that are not named stay as they are.
        title: what people read, e.g. `canary share 5 %`.
    """

    key: str
    stage: str
    kind: str
    endpoint: str
    part: str
    values: dict[str, Any]
    title: str


class TargetState(BaseModel):
    """The whole state of one part of a target, with the version a conditional write needs."""

    version: int
    values: dict[str, Any]


class EntryStatus(StrEnum):
    """Where a journalled effect stands."""

    PLANNED = "planned"  # recorded; may or may not have reached the target
    APPLIED = "applied"
    REVERTED = "reverted"
    DRIFTED = "drifted"  # somebody else changed the part meanwhile; left as it is


class JournalEntry(BaseModel):
    """An effect with the whole state it replaces (`before`) and the whole state it makes (`after`)."""

    effect: Effect
    before: dict[str, Any]
    after: dict[str, Any]
    status: EntryStatus = EntryStatus.PLANNED
    recorded_at: datetime
    note: str = ""

    @property
    def differs(self) -> bool:
        """Whether the effect changes anything at all."""
        return self.before != self.after


class Drift(BaseModel):
    """A part whose state after a rollback is not what the journal recorded before the change."""

    endpoint: str
    part: str
    expected: dict[str, Any]
    found: dict[str, Any]

    def describe(self) -> str:
        """Name each field that differs, with the recorded and the found value."""
        fields = sorted(set(self.expected) | set(self.found))
        diffs = [
            f"{f}: {self.expected.get(f)!r} was recorded, {self.found.get(f)!r} is there"
            for f in fields
            if self.expected.get(f) != self.found.get(f)
        ]
        return f"{self.endpoint}/{self.part}: " + "; ".join(diffs)


def to_undo(journal: list[JournalEntry], stage: str) -> list[JournalEntry]:
    """Return the entries of one stage that may stand at the target, newest first."""
    standing = {EntryStatus.PLANNED, EntryStatus.APPLIED}
    return [e for e in reversed(journal) if e.effect.stage == stage and e.status in standing]


def origins(journal: list[JournalEntry], stage: str) -> list[JournalEntry]:
    """Return, for each part the stage touched, its first entry: `before` is the state to return to."""
    first: dict[tuple[str, str], JournalEntry] = {}
    for entry in journal:
        if entry.effect.stage == stage:
            first.setdefault((entry.effect.endpoint, entry.effect.part), entry)
    return list(first.values())
