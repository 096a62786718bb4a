"""What waits for each bot: updates are kept a day and delivered until the bot confirms them."""

import asyncio
import json
import random
from collections.abc import Callable, Sequence

from holdfast.sim.telegram.database import Database
from holdfast.sim.telegram.errors import ApiError, conflict
from holdfast.sim.telegram.shapes import Json

KEPT_SECONDS = 24 * 3600
MAX_BATCH = 100
MAX_POLL_SECONDS = 50
_ONLY_ON_DEMAND = {"chat_member", "message_reaction", "message_reaction_count"}
_OTHER_POLLER = "terminated by other getUpdates request; make sure that only one bot instance is running"


class Updates:
    """The queues of all bots.

    Args:
        database: where they are kept.
        unix_time: the wall clock, in seconds.

    Attributes:
        listeners: called with the bot's id after an update was queued.
    """

    def __init__(self, database: Database, unix_time: Callable[[], float]) -> None:
        self._database = database
        self._unix_time = unix_time
        self.listeners: list[Callable[[int], None]] = []
        self._pollers: dict[int, asyncio.Future[None]] = {}

    def register(self, bot_id: int) -> None:
        """Make the queue of a bot that is not known yet; its update ids begin somewhere, as at Telegram."""
        # Clients must not count on ids that begin at 1, nor on those of another bot.
        first = random.randrange(100_000_000, 900_000_000)
        self._database.execute("INSERT OR IGNORE INTO intakes VALUES (?, ?, NULL, NULL)", bot_id, first)

    def queue(self, bot_id: int, kind: str, content: Json) -> None:
        """Queue an update of a kind, unless the bot did not subscribe to that kind."""
        chosen = self.subscribed(bot_id)
        if kind in chosen or (not chosen and kind not in _ONLY_ON_DEMAND):
            self.queue_raw(bot_id, {kind: content})

    def queue_raw(self, bot_id: int, body: Json) -> int:
        """Queue an update as it is; its id."""
        row = self._database.row(
            "UPDATE intakes SET last_update_id = last_update_id + 1 WHERE bot_id = ? RETURNING last_update_id",
            bot_id,
        )
        update_id = int(row["last_update_id"]) if row else 0
        complete = json.dumps({**body, "update_id": update_id})
        self._database.execute(
            "INSERT INTO updates VALUES (?, ?, ?, ?)", bot_id, update_id, self._unix_time(), complete
        )
        self._wake(bot_id)
        for listener in self.listeners:
            listener(bot_id)
        return update_id

    def pending(self, bot_id: int, limit: int = MAX_BATCH) -> list[Json]:
        """The oldest unconfirmed updates."""
        self._database.execute("DELETE FROM updates WHERE created_at < ?", self._unix_time() - KEPT_SECONDS)
        rows = self._database.rows(
            "SELECT body FROM updates WHERE bot_id = ? ORDER BY update_id LIMIT ?", bot_id, limit
        )
        return [json.loads(row["body"]) for row in rows]

    def count(self, bot_id: int) -> int:
        """How many updates wait."""
        row = self._database.row("SELECT COUNT(*) AS number FROM updates WHERE bot_id = ?", bot_id)
        return int(row["number"]) if row else 0

    def confirm(self, bot_id: int, offset: int) -> None:
        """Forget what comes before `offset`; a negative one keeps that many of the newest."""
        if offset < 0:
            rows = self._database.rows(
                "SELECT update_id FROM updates WHERE bot_id = ? ORDER BY update_id DESC LIMIT ?",
                bot_id,
                -offset,
            )
            offset = int(rows[-1]["update_id"]) if rows else 0
        self._database.execute("DELETE FROM updates WHERE bot_id = ? AND update_id < ?", bot_id, offset)

    def remove(self, bot_id: int, update_id: int) -> None:
        """Forget one update that a webhook took."""
        self._database.execute("DELETE FROM updates WHERE bot_id = ? AND update_id = ?", bot_id, update_id)

    def drop_all(self, bot_id: int) -> None:
        """Forget everything that waits."""
        self._database.execute("DELETE FROM updates WHERE bot_id = ?", bot_id)

    def subscribe(self, bot_id: int, kinds: Sequence[str]) -> None:
        """Choose the kinds of updates to come; none means the usual ones. What already waits stays."""
        self._database.execute(
            "UPDATE intakes SET allowed = ? WHERE bot_id = ?", json.dumps(list(kinds)), bot_id
        )

    def subscribed(self, bot_id: int) -> list[str]:
        """The kinds a bot chose, in its order; empty for the usual ones."""
        row = self._database.row("SELECT allowed FROM intakes WHERE bot_id = ?", bot_id)
        return json.loads(row["allowed"]) if row and row["allowed"] else []

    async def poll(self, bot_id: int, *, limit: int, timeout_seconds: float) -> list[Json]:
        """Wait for updates; ends an older poll of the same bot with a 409.

        Raises:
            ApiError: 409 when a newer poll or a webhook takes over meanwhile.
        """
        # The newer poll wins, also when it does not wait: that is how two running bots take turns at failing.
        self.end_poll(bot_id, conflict(_OTHER_POLLER))
        found = self.pending(bot_id, limit)
        if found or timeout_seconds <= 0:
            return found
        poller = asyncio.get_running_loop().create_future()
        self._pollers[bot_id] = poller
        try:
            await asyncio.wait_for(poller, timeout_seconds)
        except TimeoutError:
            return []
        finally:
            if self._pollers.get(bot_id) is poller:
                del self._pollers[bot_id]
        return self.pending(bot_id, limit)

    def end_poll(self, bot_id: int, reason: ApiError) -> None:
        """Answer a waiting poll with an error."""
        poller = self._pollers.pop(bot_id, None)
        if poller and not poller.done():
            poller.set_exception(reason)

    def end_all_polls(self) -> None:
        """Answer all waiting polls with what there is."""
        for bot_id in list(self._pollers):
            self._wake(bot_id)

    def _wake(self, bot_id: int) -> None:
        poller = self._pollers.get(bot_id)
        if poller and not poller.done():
            poller.set_result(None)
