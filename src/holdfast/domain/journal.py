"""The undo stack: what was changed and what it replaced, recorded before the change is made."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

_WHOLE = "all"
_FINGERPRINT = "fingerprint"


class Effect(BaseModel):
    """One small change to one part of a target, idempotent by its key.

    Attributes:
        key: `run/stage/step`; the target's audit trail shows it.
        kind: change provider, e.g. `http_config` or `canary_share`.
        endpoint: name of the system that is changed; the worker knows its address.
        part: what is changed there, e.g. `stable`, `canary`, `share`; `all` where a system has no sides.
        values: the fields to set; fields that are not named stay as they are.
        title: what people read, e.g. `canary share 5 %`.
        parameters: what the system is told besides; nothing that could be read back.
        give_up_after: how long the system may take; None is the file's `apply_for`.
        lasting: whether it cannot be undone: a point of no return.
    """

    key: str
    stage: str
    kind: str
    endpoint: str
    part: str
    values: dict[str, Any]
    title: str
    parameters: dict[str, str] = {}
    give_up_after: timedelta | None = None
    lasting: bool = False


class TargetState(BaseModel):
    """The whole state of one part of a target.

    Attributes:
        version: what a conditional write needs; 0 where the system has none.
        values: everything that is set.
        unsettled: key of an effect that began here and did not come to its end, so that `values` may be true
            in part only; empty where nothing is in doubt.
        doubt: the same for people, e.g. `pipeline 17 failed`.
    """

    version: int = 0
    values: dict[str, Any]
    # Without it a pipeline that failed half-way would look like the old version, and a rollback would pass it
    # over (docs/decisions/0009).
    unsettled: str = ""
    doubt: str = ""


class Write(BaseModel):
    """One move of one part of a target, from the state that must be there to the state that is wanted.

    Attributes:
        effect: what is moved, and how.
        source: the whole state that is there.
        goal: the whole state that is wanted.
        version: of `source`, from the newest reading.
        undo: whether an effect is taken back by this.
        attempt: which try at taking it back this is; a person may ask for one more.
    """

    effect: Effect
    source: dict[str, Any]
    goal: dict[str, Any]
    version: int = 0
    undo: bool = False
    attempt: int = 1

    @property
    def key(self) -> str:
        """The key under which this happens at most once: the effect's, or `…/undo`, `…/undo-2`."""
        if not self.undo:
            return self.effect.key
        return f"{self.effect.key}/undo" + (f"-{self.attempt}" if self.attempt > 1 else "")


class EntryStatus(StrEnum):
    """Where a journalled effect stands."""

    PLANNED = "planned"  # recorded; may or may not have reached the target
    APPLIED = "applied"
    REVERTED = "reverted"
    DRIFTED = "drifted"  # somebody else changed the part meanwhile; left as it is
    LEFT = "left"  # could not be undone; a person decided to leave it


class JournalEntry(BaseModel):
    """An effect with the whole state it replaces (`before`) and the whole state it makes (`after`).

    Attributes:
        attempts: how many tries at undoing it were asked for, the first one included.
    """

    # States, not steps: undoing is the same write with the two exchanged, so the way back needs no code of its
    # own that is as untested as it is rare (docs/decisions/0009).
    effect: Effect
    before: dict[str, Any]
    after: dict[str, Any]
    status: EntryStatus = EntryStatus.PLANNED
    recorded_at: datetime
    note: str = ""
    attempts: int = 1

    @property
    def differs(self) -> bool:
        """Whether the effect changes anything at all."""
        return self.before != self.after

    @property
    def stands(self) -> bool:
        """Whether it may be at its target, for all that the journal knows."""
        # A planned one, too: it was recorded before it was tried, and the worker may have died in between.
        return self.status in {EntryStatus.PLANNED, EntryStatus.APPLIED}

    @property
    def forth(self) -> str:
        """What was changed where, e.g. `shop/canary limit: 8 → 25`."""
        return self._way(self.before, self.after)

    @property
    def back(self) -> str:
        """The way back, e.g. `shop/canary limit: 25 → 8`."""
        return self._way(self.after, self.before)

    def _way(self, source: dict[str, Any], goal: dict[str, Any]) -> str:
        changed = [name for name in {**source, **goal} if source.get(name) != goal.get(name)]
        # A fingerprint says nothing to people where another field has changed, too.
        shown = [name for name in changed if name != _FINGERPRINT] or changed
        effect = self.effect
        where = effect.endpoint if effect.part == _WHOLE else f"{effect.endpoint}/{effect.part}"
        ways = (f"{name}: {_shown(source, name)} → {_shown(goal, name)}" for name in shown)
        return f"{where} {', '.join(ways)}"


def _shown(values: dict[str, Any], name: str) -> str:
    value = values.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # systems write 25.0 where people wrote 25
    return "nothing" if value in (None, "") else str(value)


class Drift(BaseModel):
    """A part whose state after a rollback is not what the journal recorded before the change."""

    endpoint: str
    part: str
    expected: dict[str, Any]
    found: dict[str, Any]
    doubt: str = ""

    def describe(self) -> str:
        """Name each field that differs, with the recorded and the found value, and what is in doubt."""
        fields = sorted(set(self.expected) | set(self.found))
        diffs = [
            f"{f}: {self.expected.get(f)!r} was recorded, {self.found.get(f)!r} is there"
            for f in fields
            if self.expected.get(f) != self.found.get(f)
        ]
        return f"{self.endpoint}/{self.part}: " + "; ".join([*diffs, *([self.doubt] if self.doubt else [])])


def to_undo(journal: list[JournalEntry], stage: str) -> list[JournalEntry]:
    """Return the entries of one stage that may stand at the target, newest first."""
    # Stage by stage: each was signed off by itself, and an earlier one may be what keeps the system alive
    # (docs/decisions/0002).
    return [e for e in reversed(journal) if e.effect.stage == stage and e.stands]


def origins(journal: list[JournalEntry], stage: str) -> list[JournalEntry]:
    """Return, for each part the stage touched, its first entry: `before` is the state to return to."""
    first: dict[tuple[str, str], JournalEntry] = {}
    for entry in journal:
        if entry.effect.stage == stage:
            first.setdefault((entry.effect.endpoint, entry.effect.part), entry)
    return list(first.values())
