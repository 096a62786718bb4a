"""Whether a worker still has the share that it makes.

A worker that is cut off from the server, but not from the target, would go on with what somebody else has taken
over: its heartbeats fail unseen. So it asks for an answer. While the server gives none, to this worker or to
nobody, the log tells the two apart: whoever takes a share over reports at once. Where neither answers for as
long as a lease lasts, the share is given up.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from holdfast.domain.errors import EngineUnavailable, HoldfastError
from holdfast.ports.generators import Leases
from holdfast.ports.load import LoadLog

# The server misses a worker 0.7 s after its last heartbeat at the earliest, and whoever takes the share over
# leaves out another 0.25 s; a generator that is told to stop has stopped within 0.3 s.
_LEASE_SECONDS: Final = 0.65
_RENEW_SECONDS: Final = 0.15
# The server answers within milliseconds; the rest of the lease is the log's.
_ANSWER_SECONDS: Final = 0.1


class Lease:
    """The right to make one share.

    Args:
        leases: renews it at the server.
        log: knows who reports the share.
        token: of the activity that makes it.
        run, shard, attempt: name the share.
    """

    def __init__(
        self,
        leases: Leases,
        log: Callable[[], LoadLog | None],
        *,
        token: bytes,
        run: str,
        shard: int,
        attempt: int,
    ) -> None:
        self._leases, self._log, self._token = leases, log, token
        self._run, self._shard, self._attempt = run, shard, attempt

    async def ended(self) -> str:
        """Wait until the share is no longer this worker's, or nobody tells whose it is; return why."""
        held_at = time.monotonic()
        while True:
            asked_at = time.monotonic()
            left = held_at + _LEASE_SECONDS - asked_at
            try:
                # A loop that was held up asks once more; its generator looks after itself, see `Share`.
                async with asyncio.timeout(left if left > 0 else _LEASE_SECONDS / 2):
                    held = await self._held()
            except TimeoutError:
                held = None
            if held is False:
                return "another worker has taken this share over"
            if held:
                held_at = asked_at
            elif time.monotonic() - held_at >= _LEASE_SECONDS:
                return "neither the server nor the database says whose this share is"
            await asyncio.sleep(_RENEW_SECONDS)

    async def _held(self) -> bool | None:
        """Return whether this worker has the share; None where nobody answers."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await self._leases.renew(self._token)
        except (EngineUnavailable, TimeoutError):
            pass
        log = self._log()
        if log is None:
            return None
        try:
            return await log.newest_attempt(self._run, self._shard) <= self._attempt
        except HoldfastError:
            return None
