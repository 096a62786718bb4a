from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from holdfast.adapters.sql_store import outbox_chats as chats
from holdfast.adapters.sql_store import outbox_leases as leases
from holdfast.adapters.sql_store import outbox_putting as putting
from holdfast.adapters.sql_store import outbox_reading as reading
from holdfast.adapters.sql_store import outbox_sending as sending
from holdfast.adapters.sql_store import outbox_waiting as waiting
from holdfast.adapters.sql_store.database import Database
from holdfast.adapters.sql_store.outbox_box import RequestBox
from holdfast.adapters.sql_store.outbox_rows import moved_chats
from holdfast.domain.proofs import Keyring
from holdfast.outbox.message import Ranked, Row, RowState
from holdfast.outbox.store import Head, LaneState, Lease

_AT_ONCE: Final = 1000  # rows that one transaction wakes or forgets: others wait for its end
_SHUT: Final = "it cannot be read with the keys of the process that sends; see HOLDFAST_SECRET_KEY"
_LOOK_AGAIN: Final = timedelta(minutes=1)


class SqlOutbox:
    """The outbox in tables; see `holdfast.outbox.store.OutboxStore`.

    A process that is killed loses nothing that a method returned from. Neither does a machine that loses its
    power: SQLite's `synchronous` is FULL unless it was built otherwise, so that each commit is on the disk
    before its method returns, and PostgreSQL's `synchronous_commit` is on unless somebody turned it off. With
    less a power cut could bring a row that was sent back to the queue, and it would be sent twice.

    What is to be sent is encrypted: codes and the secrets of authenticator apps are among it.

    Methods without a `now` take the machine's clock where they write a moment down.
    """

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._box = RequestBox(keyring)

    async def put(self, bot: str, messages: Sequence[Ranked]) -> list[int]:
        """Store messages in one transaction; return their ids in order."""
        if not messages:
            return []
        sealed = [self._box.seal(message, bot) for message in messages]
        return await self._database.write(lambda connection: putting.put(connection, bot, sealed))

    async def row(self, row_id: int) -> Row | None:
        """Return a row."""
        found = await self._database.read(lambda connection: reading.row(connection, row_id))
        return self._box.open(found) if found else None

    async def rows(
        self, bot: str, *, states: Collection[RowState] = (), chat: str = "", limit: int = 100
    ) -> list[Row]:
        """Return rows: in `sending`, then queued by `due`, then settled, newest first.

        Reads past the settled rows of other chats where `chat` is given.
        """
        found = await self._database.read(
            lambda connection: reading.rows(connection, bot, states=states, chat=chat, limit=limit)
        )
        return [self._box.open(row) for row in found]

    async def ahead(self, row: Row, *, limit: int = 1000) -> int:
        """Count the queued rows of the same lane that are due before this one; at most `limit`."""
        return await self._database.read(lambda connection: reading.ahead(connection, row, limit=limit))

    async def lanes(self, bot: str) -> Mapping[str, LaneState]:
        """Return each lane that has rows waiting."""
        return await self._database.read(lambda connection: reading.lanes(connection, bot))

    async def counts(self, bot: str) -> Mapping[RowState, int]:
        """Count the rows in each state; all states are there."""
        return await self._database.read(lambda connection: reading.counts(connection, bot))

    async def retry(self, row_id: int, *, why: str, now: datetime) -> bool:
        """Queue an uncertain or dead row again, as if it arrived now.

        False also where a newer version waits or was sent; the row is dead then.
        """
        return await self._database.write(
            lambda connection: waiting.retry(connection, row_id, why=why, now=now)
        )

    async def drop(self, row_id: int, *, why: str) -> bool:
        """Make a queued or uncertain row dead; False where it is neither."""
        return await self._database.write(lambda connection: waiting.drop(connection, row_id, why=why))

    async def forget(self, bot: str, *, settled_before: datetime, limit: int = 10_000) -> int:
        """Delete rows that were sent or dead before, with their keys; return how many went."""
        gone = 0
        while gone < limit:
            at_most = min(_AT_ONCE, limit - gone)
            some = await self._database.write(_forgetting(bot, settled_before, at_most))
            gone += some
            if some < at_most:
                break
        return gone

    async def take_lease(
        self, bot: str, holder: str, *, ttl: timedelta, now: datetime, dead: Collection[str] = ()
    ) -> Lease | None:
        """Take or renew the lease; None while another holder has it."""
        return await self._database.write(
            lambda connection: leases.take_lease(connection, bot, holder, ttl=ttl, now=now, dead=dead)
        )

    async def give_up_lease(self, lease: Lease) -> None:
        """Let the next one take it at once; what is written under it afterwards is refused."""
        await self._database.write(lambda connection: leases.give_up_lease(connection, lease))

    async def holder(self, bot: str) -> Lease | None:
        """Return the lease as it stands; one that was given up ran out in 1970."""
        return await self._database.read(lambda connection: leases.read_lease(connection, bot))

    async def recover(self, lease: Lease, *, now: datetime) -> list[Row]:
        """Turn every row in `sending` into `uncertain`; to be called before anything is claimed."""

        def work(connection: Connection) -> list[Row]:
            leases.hold_under(connection, lease)
            return sending.recover(connection, lease.bot, now=now)

        return [self._box.open(row) for row in await self._database.write(work)]

    async def recent(self, bot: str, *, since: datetime) -> list[tuple[str, datetime]]:
        """Return chat and moment of what was sent, or may have been, since then; a digest is one message."""
        return await self._database.read(lambda connection: reading.recent(connection, bot, since=since))

    async def heads(
        self, bot: str, *, now: datetime, skip: Collection[str] = (), per_lane: int = 32
    ) -> list[Head]:
        """Return the first rows of at most `per_lane` chats in each lane; `alike` is at most 200."""

        def work(connection: Connection) -> list[Head] | None:
            if waiting.is_any_ripe(connection, bot, now=now):
                return None
            return reading.heads(connection, bot, skip=skip, per_lane=per_lane)

        # Only where a row's `not_before` has passed, something has to be written first.
        while (found := await self._database.read(work)) is None:
            await self._database.write(
                lambda connection: waiting.wake(connection, bot, now=now, at_most=_AT_ONCE)
            )
        return found

    async def claim(self, lease: Lease, ids: Sequence[int], *, now: datetime) -> list[Row]:
        """Turn queued rows into `sending`, durably, before they are tried; leave out what is not queued.

        What cannot be read waits a minute: another process may have begun to use a newer key.
        """

        def work(connection: Connection) -> list[Row]:
            leases.hold_under(connection, lease)
            return self._readable(connection, sending.claim(connection, lease.bot, ids, now=now), now)

        return await self._database.write(work)

    async def claim_alike(self, lease: Lease, head: Head, *, at_most: int, now: datetime) -> list[Row]:
        """Claim the first rows of a chat, topic, lane and kind that have a `line`."""

        def work(connection: Connection) -> list[Row]:
            leases.hold_under(connection, lease)
            claimed = sending.claim_alike(connection, lease.bot, head, at_most=at_most, now=now)
            return self._readable(connection, claimed, now)

        return await self._database.write(work)

    def _readable(self, connection: Connection, claimed: Sequence[Row], now: datetime) -> list[Row]:
        """Open rows, and put those back that stay shut."""
        rows = [self._box.open(row) for row in claimed]
        if shut := [row.id for row in rows if self._box.is_shut(row)]:
            bot = rows[0].bot
            again = now + _LOOK_AGAIN
            waiting.requeue(connection, bot, shut, repeated=False, why=_SHUT, not_before=again)
        return [row for row in rows if not self._box.is_shut(row)]

    async def settle(
        self,
        lease: Lease,
        ids: Sequence[int],
        state: RowState,
        *,
        now: datetime,
        message_id: str = "",
        why: str = "",
        code: int = 0,
    ) -> None:
        """Write down what became of rows in `sending`; others are left as they are."""
        if not state.settled:
            raise ValueError(f"a try does not end as '{state}'")
        fate = sending.Fate(state=state, now=now, message_id=message_id, why=why, code=code)

        def work(connection: Connection) -> None:
            leases.hold_under(connection, lease)
            sending.settle(connection, lease.bot, ids, fate)

        await self._database.write(work)

    async def settle_sent(self, lease: Lease, messages: Mapping[int, str], *, now: datetime) -> None:
        """Write down in one transaction that rows arrived, each as its own message."""

        def work(connection: Connection) -> None:
            leases.hold_under(connection, lease)
            for row_id, message_id in messages.items():
                fate = sending.Fate(state=RowState.SENT, now=now, message_id=message_id, why="", code=0)
                sending.settle(connection, lease.bot, [row_id], fate)

        await self._database.write(work)

    async def requeue(
        self,
        lease: Lease,
        ids: Sequence[int],
        *,
        repeated: bool = False,
        why: str = "",
        not_before: datetime | None = None,
    ) -> None:
        """Put rows in `sending` or `uncertain` back with their key and place unchanged.

        Where a newer version waits, is being sent or was sent meanwhile, the older one is dead.
        """

        def work(connection: Connection) -> None:
            leases.hold_under(connection, lease)
            waiting.requeue(connection, lease.bot, ids, repeated=repeated, why=why, not_before=not_before)

        await self._database.write(work)

    async def move_chat(self, bot: str, old: str, new: str) -> None:
        """Send everything that waits for a chat, or will be put for it, to another id."""
        await self._database.write(lambda connection: chats.move_chat(connection, bot, old, new))

    async def moved(self, bot: str, chat: str) -> str:
        """Return the id that a chat has now."""
        found = await self._database.read(lambda connection: moved_chats(connection, bot, [chat]))
        return found.get(chat, chat)

    async def pause(self, bot: str, chat: str, until: datetime) -> None:
        """Remember that a chat must not be written to before; the longer of two pauses counts."""
        await self._database.write(lambda connection: chats.pause(connection, bot, chat, until))

    async def pauses(self, bot: str, *, now: datetime) -> Mapping[str, datetime]:
        """Return the pauses that last, by chat."""
        return await self._database.read(lambda connection: chats.pauses(connection, bot, now=now))


def _forgetting(bot: str, settled_before: datetime, at_most: int) -> Callable[[Connection], int]:
    return lambda connection: chats.forget(connection, bot, settled_before=settled_before, at_most=at_most)
