"""Holds systems for a run while it changes them, so that no other run does."""

import asyncio

from pydantic import BaseModel
from temporalio import activity

from activities.failures import as_failures
from activities.pulse import beating
from holdfast.ports.holds import Held, Holder, Holds

_LOOK_AGAIN_SECONDS = 2.0
# A fix that unblocks customers is there before the others when a system is let go of.
_A_FIX_LOOKS_AGAIN_SECONDS = 0.5
# Whoever gives way asks the run that goes first, which may go on for days.
_AFTER_OTHERS_SECONDS = 5.0


class ClaimRequest(BaseModel):
    """Which systems a run wants to hold.

    Attributes:
        wait: for as long as others hold them.
        looks_for_freezes: whether frozen systems are refused; the holder of a fix gets them, and is told.
        after: runs that go first, for as long as they go on.
        until_not: end the waiting also when another run than this one is in the way.
    """

    systems: list[str]
    holder: Holder
    wait: bool = False
    looks_for_freezes: bool = False
    after: list[Holder] = []
    until_not: str = ""

    def pause_seconds(self, held: Held) -> float:
        """How long to wait before the next look; 0 where this is what the run wants to know."""
        if not self.wait or (self.until_not and held.by.run != self.until_not):
            return 0.0
        if held.first:
            return _AFTER_OTHERS_SECONDS
        return _A_FIX_LOOKS_AGAIN_SECONDS if self.until_not else _LOOK_AGAIN_SECONDS


class ClaimReport(BaseModel):
    """What became of a claim.

    Attributes:
        held: who is in the way; nobody when the run holds all that it wants, or is refused.
        frozen: what is frozen, and by whom. Who is no fix is refused for it.
    """

    held: Held | None = None
    frozen: list[Held] = []


class ReleaseRequest(BaseModel):
    """What a run lets go of."""

    systems: list[str]
    run: str


class HoldActivities:
    """Claims and releases systems."""

    def __init__(self, holds: Holds) -> None:
        """Use these holds."""
        self._holds = holds

    @activity.defn
    async def claim_systems(self, request: ClaimRequest) -> ClaimReport:
        """Hold the systems; say who holds one of them, or wait until nobody else does."""
        async with beating():
            while True:
                with as_failures():
                    report = await self._claimed(request)
                pause = request.pause_seconds(report.held) if report.held else 0.0
                if not pause:
                    return report
                await asyncio.sleep(pause)

    @activity.defn
    async def release_systems(self, request: ReleaseRequest) -> None:
        """Let go of the systems."""
        with as_failures():
            await self._holds.release(request.systems, request.run)

    async def _claimed(self, request: ClaimRequest) -> ClaimReport:
        frozen = await self._frozen(request)
        if frozen and not request.holder.fix:
            return ClaimReport(frozen=frozen)
        held = await self._first(request) or await self._holds.claim(request.systems, request.holder)
        if held is None and not request.holder.fix:
            # What is frozen from before the claim on is refused: a freeze may come between the two.
            frozen = await self._frozen(request)
        return ClaimReport(held=held, frozen=frozen)

    async def _frozen(self, request: ClaimRequest) -> list[Held]:
        return await self._holds.frozen(request.systems) if request.looks_for_freezes else []

    async def _first(self, request: ClaimRequest) -> Held | None:
        """Return the first of the runs that go first and have not ended."""
        for other in request.after:
            if await self._holds.goes_first(other.run, before=request.holder.run):
                return Held(system=request.systems[0], by=other, first=True)
        return None
