"""Holds systems for a run while it changes them, so that no other run does."""

import asyncio

from pydantic import BaseModel
from temporalio import activity

from activities.failures import as_failures
from activities.pulse import beating
from holdfast.ports.holds import Held, Holder, Holds

_LOOK_AGAIN_SECONDS = 2.0


class ClaimRequest(BaseModel):
    """Which systems a run wants to hold; `wait` for as long as others hold them."""

    systems: list[str]
    holder: Holder
    wait: bool = False


class ClaimReport(BaseModel):
    """Who is in the way; nobody when the run holds all that it wants."""

    held: Held | None = None


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
                    held = await self._holds.claim(request.systems, request.holder)
                if held is None or not request.wait:
                    return ClaimReport(held=held)
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    @activity.defn
    async def release_systems(self, request: ReleaseRequest) -> None:
        """Let go of the systems."""
        with as_failures():
            await self._holds.release(request.systems, request.run)
