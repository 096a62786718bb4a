"""Pressed inline buttons and the answers to them."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from holdfast.sim.telegram.database import Database
from holdfast.sim.telegram.errors import bad_request

MAX_ANSWER_CHARACTERS = 200


@dataclass(frozen=True)
class CallbackAnswer:
    """What the person who pressed sees: nothing, a toast, or a dialog to be closed."""

    text: str
    show_alert: bool
    url: str


class Callbacks:
    """Callback queries that wait for their answer.

    Args:
        database: where they are kept.
        unix_time: the wall clock, in seconds.
        patience_seconds: how long a query can be answered.
    """

    def __init__(self, database: Database, unix_time: Callable[[], float], patience_seconds: float) -> None:
        self._database = database
        self._unix_time = unix_time
        self._patience_seconds = patience_seconds
        self._waiting: dict[str, asyncio.Future[CallbackAnswer]] = {}

    def open(self, bot_id: int, user_id: int) -> str:
        """A new query of a user to a bot; its id."""
        callback_id = str(secrets.randbits(62))
        now = self._unix_time()
        self._database.execute("DELETE FROM callbacks WHERE created_at < ?", now - self._patience_seconds)
        self._database.execute(
            "INSERT INTO callbacks VALUES (?, ?, ?, ?, 0)", callback_id, bot_id, user_id, now
        )
        return callback_id

    async def wait(self, callback_id: str, wait_seconds: float) -> CallbackAnswer | None:
        """The answer to a query, None when none comes in time."""
        waiting = self._waiting[callback_id] = asyncio.get_running_loop().create_future()
        try:
            return await asyncio.wait_for(waiting, wait_seconds)
        except TimeoutError:
            return None
        finally:
            del self._waiting[callback_id]

    def answer(self, bot_id: int, callback_id: str, answer: CallbackAnswer) -> None:
        """Hand an answer to whoever waits.

        Raises:
            ApiError: 400 when the text is too long, or the query is unknown, too old or already answered.
        """
        if len(answer.text) > MAX_ANSWER_CHARACTERS:
            raise bad_request("MESSAGE_TOO_LONG")
        answered = self._database.execute(
            "UPDATE callbacks SET answered = 1 "
            "WHERE callback_id = ? AND bot_id = ? AND answered = 0 AND created_at >= ?",
            *(callback_id, bot_id, self._unix_time() - self._patience_seconds),
        )
        if not answered:
            raise bad_request("query is too old and response timeout expired or query ID is invalid")
        # After a restart nobody waits any more, but the answer is still right.
        waiting = self._waiting.get(callback_id)
        if waiting and not waiting.done():
            waiting.set_result(answer)
