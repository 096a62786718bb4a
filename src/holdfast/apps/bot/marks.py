"""Which updates of the inbox are in hand, and what is written down of each in the end."""

from contextlib import suppress
from datetime import datetime

import structlog

from holdfast.apps.bot.metrics import BotMetrics
from holdfast.domain.errors import Unavailable
from holdfast.ports.inbox import Inbox

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_MOST_FINISHED = 20_000


class Marks:
    """Marks updates as done or put aside; later, where the store does not answer.

    Args:
        inbox: where they are kept.
        name: of the bot whose updates they are.
        metrics: counts the times that the store did not answer.
    """

    def __init__(self, inbox: Inbox, name: str, metrics: BotMetrics) -> None:
        self._inbox, self._name, self._metrics = inbox, name, metrics
        self._in_hand: set[int] = set()
        self._unmarked: dict[int, str] = {}
        self._finished: dict[int, None] = {}  # what was read as waiting may be done before it is handed in

    def knows(self, update_id: int) -> bool:
        """Whether it is in hand, or was lately."""
        return update_id in self._in_hand or update_id in self._finished

    def take(self, update_id: int) -> None:
        """Take it in hand."""
        self._in_hand.add(update_id)

    async def write(self, update_id: int, quarantined: str = "") -> None:
        """Write down that it is done, or why it was put aside; later, if the store does not answer."""
        try:
            await self._write(update_id, quarantined)
        except Unavailable as down:
            self.store_failed("mark", down)
            self._unmarked[update_id] = quarantined  # and stays in hand, so that it is not handled again
        else:
            self._finish(update_id)

    async def write_again(self) -> None:
        """Write down what could not be written before, as far as the store answers."""
        for update_id, quarantined in list(self._unmarked.items()):
            try:
                await self._write(update_id, quarantined)
            except Unavailable as down:
                self.store_failed("mark", down)
                return
            del self._unmarked[update_id]
            self._finish(update_id)

    async def forget(self, *, done_before: datetime) -> None:
        """Have the inbox forget what was done before that moment; if it does not answer, another time."""
        with suppress(Unavailable):
            await self._inbox.forget(self._name, done_before=done_before)

    def store_failed(self, operation: str, down: Unavailable) -> None:
        """Count and log that the store did not answer."""
        self._metrics.inbox_failed.labels(operation).inc()
        _log.warning("bot_inbox_failed", operation=operation, error=str(down))

    async def _write(self, update_id: int, quarantined: str) -> None:
        if quarantined:
            await self._inbox.quarantine(self._name, update_id, quarantined)
        else:
            await self._inbox.done(self._name, update_id)

    def _finish(self, update_id: int) -> None:
        self._in_hand.discard(update_id)
        self._finished[update_id] = None
        if len(self._finished) > _MOST_FINISHED:
            del self._finished[next(iter(self._finished))]
