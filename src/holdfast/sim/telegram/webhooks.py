"""Webhooks: updates are posted to the bot instead of being fetched.

Updates of one chat go one after the other, those of different chats side by side. What is not answered with
2xx is sent again: at once, then after 2, 4, 8 ... seconds, up to a minute or two, or when `Retry-After` says,
until it is a day old.
"""

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import cast

import aiohttp

from holdfast.sim.telegram.database import Database
from holdfast.sim.telegram.shapes import Json
from holdfast.sim.telegram.updates import Updates

_ANSWER_SECONDS = 60
_MAX_DELAY_SECONDS = 60
_MAX_RETRY_AFTER_SECONDS = 3600
_MAX_LOADED = 200


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """Where a bot wants its updates, and how the last trouble looked."""

    url: str
    secret_token: str = ""
    max_connections: int = 40
    last_error_date: int = 0
    last_error_message: str = ""


class Webhooks:
    """Delivers the updates of all bots that have a webhook."""

    def __init__(self, database: Database, updates: Updates, unix_time: Callable[[], float]) -> None:
        self._database = database
        self._updates = updates
        self._unix_time = unix_time
        self._deliveries: dict[tuple[int, int], asyncio.Task[None]] = {}
        self._slots: dict[int, asyncio.Semaphore] = {}
        self._client: aiohttp.ClientSession | None = None
        updates.listeners.append(self.wake)

    def get(self, bot_id: int) -> Webhook | None:
        """The webhook of a bot."""
        row = self._database.row("SELECT webhook FROM intakes WHERE bot_id = ?", bot_id)
        return Webhook(**json.loads(row["webhook"])) if row and row["webhook"] else None

    def set(self, bot_id: int, webhook: Webhook | None) -> None:
        """Give a bot another webhook, or none."""
        # What is under way may arrive at the old address and at the new one: at least once, not exactly once.
        for key in [key for key in self._deliveries if key[0] == bot_id]:
            self._deliveries.pop(key).cancel()
        self._slots[bot_id] = asyncio.Semaphore(webhook.max_connections if webhook else 1)
        self._write(bot_id, webhook)
        self.wake(bot_id)

    def wake(self, bot_id: int) -> None:
        """Start the delivery of whatever waits for a bot and is not under way."""
        webhook = self.get(bot_id)
        if webhook is None:
            return
        self._slots.setdefault(bot_id, asyncio.Semaphore(webhook.max_connections))
        for queue_id in {_queue_of(update) for update in self._updates.pending(bot_id, _MAX_LOADED)}:
            key = (bot_id, queue_id)
            if key not in self._deliveries:
                delivery = self._deliver(bot_id, queue_id, webhook)
                self._deliveries[key] = asyncio.get_running_loop().create_task(delivery)

    async def close(self) -> None:
        """Stop all deliveries; what is not delivered stays queued."""
        running = list(self._deliveries.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self._client:
            await self._client.close()

    async def _deliver(self, bot_id: int, queue_id: int, webhook: Webhook) -> None:
        failures = 0
        try:
            while update := self._next(bot_id, queue_id):
                async with self._slots[bot_id]:
                    trouble, retry_after_seconds = await self._post(webhook, update)
                if trouble:
                    self._note_trouble(bot_id, trouble)
                    await asyncio.sleep(retry_after_seconds or _delay_seconds(failures))
                    failures += 1
                else:
                    self._updates.remove(bot_id, update["update_id"])
                    failures = 0
        finally:
            if self._deliveries.get((bot_id, queue_id)) is asyncio.current_task():
                del self._deliveries[bot_id, queue_id]

    def _next(self, bot_id: int, queue_id: int) -> Json | None:
        waiting = self._updates.pending(bot_id, _MAX_LOADED)
        return next((update for update in waiting if _queue_of(update) == queue_id), None)

    async def _post(self, webhook: Webhook, update: Json) -> tuple[str, float]:
        headers = {"X-Telegram-Bot-Api-Secret-Token": webhook.secret_token} if webhook.secret_token else {}
        request = self._session().post(webhook.url, json=update, headers=headers, allow_redirects=False)
        try:
            async with request as response:
                if response.status // 100 == 2:  # noqa: PLR2004 - the 2 of 2xx
                    return "", 0
                trouble = f"Wrong response from the webhook: {response.status} {response.reason}"
                return trouble, _retry_after_seconds(response.headers.get("Retry-After", ""))
        except TimeoutError:
            return "Read timeout expired", 0
        except aiohttp.ClientConnectorError:
            return "Connection refused", 0
        except aiohttp.ClientError:
            return "Webhook connection closed", 0

    def _session(self) -> aiohttp.ClientSession:
        if self._client is None:
            self._client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ANSWER_SECONDS))
        return self._client

    def _note_trouble(self, bot_id: int, trouble: str) -> None:
        webhook = self.get(bot_id)
        if webhook:
            noted = replace(webhook, last_error_date=int(self._unix_time()), last_error_message=trouble)
            self._write(bot_id, noted)

    def _write(self, bot_id: int, webhook: Webhook | None) -> None:
        body = json.dumps(asdict(webhook)) if webhook else None
        self._database.execute("UPDATE intakes SET webhook = ? WHERE bot_id = ?", body, bot_id)


def _retry_after_seconds(header: str) -> float:
    return min(int(header), _MAX_RETRY_AFTER_SECONDS) if header.isascii() and header.isdigit() else 0


def _delay_seconds(failures: int) -> float:
    if failures == 0:
        return 0
    # The spread keeps many failing chats from coming back in one moment.
    return min(2.0**failures, random.uniform(_MAX_DELAY_SECONDS, 2 * _MAX_DELAY_SECONDS))


def _queue_of(update: Json) -> int:
    """The chat or user whose updates must stay in order; an update of another kind is its own queue."""
    for value in update.values():
        content = cast("Json", value) if isinstance(value, dict) else {}
        for origin in (content.get("chat"), content.get("from")):
            origin_id = cast("Json", origin).get("id") if isinstance(origin, dict) else None
            if isinstance(origin_id, int):
                return origin_id
    return int(update["update_id"])
