"""Applies and reverts journalled effects, each at most once, whatever dies in between."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel
from temporalio import activity

from activities.failures import as_failures
from holdfast.domain.errors import ChangeConflict, UnknownName
from holdfast.domain.journal import Drift, Effect, EntryStatus, JournalEntry
from holdfast.ports.changes import ChangeProvider

# Another writer may bump the target's version between our read and our write; a few rounds settle that.
_WRITE_ROUNDS = 5


class RevertReport(BaseModel):
    """What became of one journal entry during a rollback."""

    status: EntryStatus
    note: str = ""


class VerifyRequest(BaseModel):
    """The first entry of every part a stage touched; their `before` is what must be there again."""

    origins: list[JournalEntry]


class VerifyReport(BaseModel):
    """What differs from the recorded state; empty when the rollback is proven."""

    drifts: list[Drift]


class ChangeActivities:
    """The effects of a rollout on its target."""

    def __init__(self, providers: Mapping[str, ChangeProvider]) -> None:
        """Use these change providers, by kind."""
        self._providers = providers

    @activity.defn
    async def plan_effect(self, effect: Effect) -> JournalEntry:
        """Read what the effect would replace; nothing is changed."""
        with as_failures():
            state = await self._provider(effect).read(effect.endpoint, effect.part)
        return JournalEntry(
            effect=effect,
            before=state.values,
            after={**state.values, **effect.values},
            recorded_at=datetime.now(UTC),
        )

    @activity.defn
    async def apply_effect(self, entry: JournalEntry) -> EntryStatus:
        """Bring the part from `before` to `after`; a repeated call finds it done."""
        with as_failures():
            done = await self._move(entry.effect, source=entry.before, goal=entry.after)
            if not done:
                raise ChangeConflict(
                    f"{entry.effect.title}: somebody else changed {entry.effect.endpoint}/{entry.effect.part} "
                    "after it was read; nothing was written. Look at its configuration log."
                )
        return EntryStatus.APPLIED

    @activity.defn
    async def revert_effect(self, entry: JournalEntry) -> RevertReport:
        """Bring the part back to `before`; leave it alone when it is neither `after` nor `before`."""
        with as_failures():
            if await self._move(entry.effect, source=entry.after, goal=entry.before, undo=True):
                return RevertReport(status=EntryStatus.REVERTED)
            found = await self._provider(entry.effect).read(entry.effect.endpoint, entry.effect.part)
        drift = _drift(entry, found.values)
        return RevertReport(status=EntryStatus.DRIFTED, note=f"left alone: {drift.describe()}")

    @activity.defn
    async def verify_rollback(self, request: VerifyRequest) -> VerifyReport:
        """Read every part that was touched and compare it with what the journal recorded before."""
        drifts: list[Drift] = []
        for origin in request.origins:
            with as_failures():
                found = await self._provider(origin.effect).read(origin.effect.endpoint, origin.effect.part)
            if found.values != origin.before:
                drifts.append(_drift(origin, found.values))
        return VerifyReport(drifts=drifts)

    def _provider(self, effect: Effect) -> ChangeProvider:
        try:
            return self._providers[effect.kind]
        except KeyError:
            raise UnknownName("change kind", effect.kind, self._providers) from None

    async def _move(
        self, effect: Effect, *, source: dict[str, Any], goal: dict[str, Any], undo: bool = False
    ) -> bool:
        """Write `goal` where `source` is, once; False when a third state is there."""
        provider = self._provider(effect)
        for _ in range(_WRITE_ROUNDS):
            state = await provider.read(effect.endpoint, effect.part)
            if state.values == goal:
                return True
            if state.values != source:
                return False
            try:
                await provider.write(
                    effect.endpoint,
                    effect.part,
                    goal,
                    expected_version=state.version,
                    key=f"{effect.key}/undo" if undo else effect.key,
                )
            except ChangeConflict:
                continue
            return True
        return False


def _drift(entry: JournalEntry, found: dict[str, Any]) -> Drift:
    return Drift(endpoint=entry.effect.endpoint, part=entry.effect.part, expected=entry.before, found=found)
