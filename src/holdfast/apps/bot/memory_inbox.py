"""Updates that are kept in memory: for tests, and for a bot that may forget on a crash."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from holdfast.ports.inbox import KeptUpdate, UpdateState


class MemoryInbox:
    """An `Inbox` whose updates die with the process: what was taken and not handled is then lost."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, int], KeptUpdate] = {}

    async def keep(self, bot: str, updates: Mapping[int, Any], *, now: datetime) -> list[int]:
        """Store raw updates; return the ids that were not there before."""
        new = [update_id for update_id in updates if (bot, update_id) not in self._rows]
        for update_id in new:
            self._rows[bot, update_id] = KeptUpdate(
                bot=bot, update_id=update_id, raw=updates[update_id], received_at=now
            )
        return new

    async def waiting(self, bot: str, *, after: int = 0, limit: int = 100) -> Sequence[KeptUpdate]:
        """Return what is still to be handled, by id."""
        ids = sorted(r.update_id for r in self._of(bot, UpdateState.NEW) if r.update_id > after)
        return [self._rows[bot, update_id].model_copy() for update_id in islice(ids, limit)]

    async def done(self, bot: str, update_id: int) -> None:
        """Note that it was handled."""
        self._rows[bot, update_id].state = UpdateState.DONE

    async def failed(self, bot: str, update_id: int) -> int:
        """Count one attempt in vain and return how many there were."""
        row = self._rows[bot, update_id]
        row.attempts += 1
        return row.attempts

    async def quarantine(self, bot: str, update_id: int, why: str) -> None:
        """Put it aside for people."""
        row = self._rows[bot, update_id]
        row.state, row.why = UpdateState.QUARANTINED, why

    async def quarantined(self, bot: str, *, limit: int = 100) -> Sequence[KeptUpdate]:
        """Return what was put aside, newest first."""
        aside = sorted(self._of(bot, UpdateState.QUARANTINED), key=lambda row: row.update_id, reverse=True)
        return aside[:limit]

    async def counts(self, bot: str) -> Mapping[UpdateState, int]:
        """Count the updates in each state."""
        return {state: len(self._of(bot, state)) for state in UpdateState}

    async def forget(self, bot: str, *, done_before: datetime) -> int:
        """Delete what was done and received before; return how many went."""
        old = [r for r in self._of(bot, UpdateState.DONE) if r.received_at < done_before]
        for row in old:
            del self._rows[bot, row.update_id]
        return len(old)

    def _of(self, bot: str, state: UpdateState) -> list[KeptUpdate]:
        return [row for (of, _), row in self._rows.items() if of == bot and row.state is state]
