"""Applies and reverts journalled effects, each at most once, whatever dies in between."""

from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import BaseModel
from temporalio import activity

from activities.failures import as_failures
from activities.pulse import beating
from holdfast.domain.errors import ChangeConflict, ChangeFailed, Unavailable, UnknownName
from holdfast.domain.journal import Drift, Effect, EntryStatus, JournalEntry, TargetState, Write
from holdfast.ports.changes import ChangeProvider, Progress

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
        """Read what the effect would replace, and foresee what it would make; nothing is changed."""
        with as_failures():
            async with beating():
                provider = provider_of(self._providers, effect.kind)
                state = await provider.read(effect.endpoint, effect.part)
                if state.unsettled:
                    raise ChangeConflict(
                        f"{effect.title}: {state.doubt or state.unsettled}, so nobody knows what is there; "
                        "nothing was written"
                    )
                after = await provider.foresee(effect, state)
        return JournalEntry(effect=effect, before=state.values, after=after, recorded_at=datetime.now(UTC))

    @activity.defn
    async def apply_effect(self, entry: JournalEntry) -> EntryStatus:
        """Bring the part from `before` to `after`; a repeated call finds it done."""
        move = Write(effect=entry.effect, source=entry.before, goal=entry.after)
        with as_failures():
            async with beating() as progress:
                found = await self._move(move, progress)
            if found is not None:
                raise ChangeConflict(
                    f"{entry.effect.title}: somebody else changed it after it was read; nothing was written. "
                    f"{_differences(entry, entry.before, found)}"
                )
        return EntryStatus.APPLIED

    @activity.defn
    async def revert_effect(self, entry: JournalEntry) -> RevertReport:
        """Bring the part back to `before` and read it; leave alone what is neither `after` nor `before`."""
        move = Write(
            effect=entry.effect, source=entry.after, goal=entry.before, undo=True, attempt=entry.attempts
        )
        with as_failures():
            async with beating() as progress:
                found = await self._move(move, progress)
                if found is None:
                    await self._verify(entry)
                    return RevertReport(status=EntryStatus.REVERTED)
            if _is_ours(move, found):
                raise ChangeFailed(
                    f"{entry.effect.title}: it did not end well, and left what is neither the old nor the new "
                    f"state. {_differences(entry, entry.before, found)}"
                )
        note = f"left alone: {_differences(entry, entry.before, found)}"
        return RevertReport(status=EntryStatus.DRIFTED, note=note)

    @activity.defn
    async def verify_rollback(self, request: VerifyRequest) -> VerifyReport:
        """Read every part that was touched and compare it with what the journal recorded before."""
        drifts: list[Drift] = []
        for origin in request.origins:
            with as_failures():
                found = await self._read(origin.effect)
            if found.values != origin.before or found.unsettled:
                drifts.append(_drift(origin, origin.before, found))
        return VerifyReport(drifts=drifts)

    async def _read(self, effect: Effect) -> TargetState:
        return await provider_of(self._providers, effect.kind).read(effect.endpoint, effect.part)

    async def _move(self, move: Write, progress: Progress) -> TargetState | None:
        """Write `goal` where `source` is, once; return what is there instead if it is a third state."""
        effect = move.effect
        for _ in range(_WRITE_ROUNDS):
            state = await self._read(effect)
            if state.values == move.goal and not state.unsettled:
                return None
            if not _may_write(move, state):
                return state
            try:
                write = move.model_copy(update={"version": state.version})
                await provider_of(self._providers, effect.kind).write(write, progress)
            except ChangeConflict:
                continue
            return None
        raise Unavailable(
            f"{effect.title}: {effect.endpoint} was changed by others each time that it was to be written"
        )

    async def _verify(self, entry: JournalEntry) -> None:
        found = await self._read(entry.effect)
        if found.values != entry.before or found.unsettled:
            raise ChangeFailed(
                f"{entry.effect.title}: it was taken back, and yet it is not as it was. "
                f"{_differences(entry, entry.before, found)}"
            )


def provider_of(providers: Mapping[str, ChangeProvider], kind: str) -> ChangeProvider:
    """Return the provider of this kind of change; raises UnknownName when there is none."""
    try:
        return providers[kind]
    except KeyError:
        raise UnknownName("change kind", kind, providers) from None


def _may_write(move: Write, state: TargetState) -> bool:
    """Whether the part is as the move expects it, or only in doubt because of the same effect."""
    if state.unsettled:
        return _is_ours(move, state) and state.values in (move.source, move.goal)
    return state.values == move.source


def _is_ours(move: Write, state: TargetState) -> bool:
    """Whether the part is in doubt because of this very effect, or of an earlier try at taking it back."""
    return state.unsettled == move.effect.key or state.unsettled.startswith(f"{move.effect.key}/undo")


def _differences(entry: JournalEntry, expected: dict[str, object], found: TargetState) -> str:
    return _drift(entry, expected, found).describe()


def _drift(entry: JournalEntry, expected: dict[str, object], found: TargetState) -> Drift:
    effect = entry.effect
    return Drift(
        endpoint=effect.endpoint, part=effect.part, expected=expected, found=found.values, doubt=found.doubt
    )
