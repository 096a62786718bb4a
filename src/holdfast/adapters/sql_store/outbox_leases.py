from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, bindparam, insert, select, update

from holdfast.adapters.sql_store.outbox_rows import hold
from holdfast.adapters.sql_store.tables import outbox_leases as leases
from holdfast.outbox.store import Lease, LeaseLost

_GIVEN_UP: Final = datetime.fromtimestamp(0, UTC)
_READ: Final = select(leases).where(leases.c.bot == bindparam("of_bot"))
_WRITE: Final = (
    update(leases)
    .where(leases.c.bot == bindparam("of_bot"))
    .values(holder=bindparam("new_holder"), epoch=bindparam("new_epoch"), until=bindparam("new_until"))
)


def read_lease(connection: Connection, bot: str) -> Lease | None:
    """Return the lease as it stands."""
    row = connection.execute(_READ, {"of_bot": bot}).mappings().first()
    return None if row is None else Lease(bot, row["holder"], row["epoch"], row["until"])


def hold_under(connection: Connection, lease: Lease) -> None:
    """Hold the bot for a change by the holder of this lease.

    Raises:
        LeaseLost: the lease has moved.
    """
    hold(connection, lease.bot)
    present = read_lease(connection, lease.bot)
    if present is None or present.epoch != lease.epoch:
        whose = f"{present.holder} has epoch {present.epoch}" if present else "there is none"
        held = f"{lease.holder} held epoch {lease.epoch}"
        raise LeaseLost(f"the lease of bot {lease.bot} is lost: {held}, {whose}")


def take_lease(
    connection: Connection, bot: str, holder: str, *, ttl: timedelta, now: datetime, dead: Collection[str]
) -> Lease | None:
    """Take or renew the lease; see `OutboxStore.take_lease`."""
    hold(connection, bot)
    present = read_lease(connection, bot)
    if present is None:
        lease = Lease(bot, holder, 1, now + ttl)
        row = {"bot": bot, "holder": holder, "epoch": lease.epoch, "until": lease.until}
        connection.execute(insert(leases), row)
        return lease
    if present.holder != holder and present.until > now and present.holder not in dead:
        return None
    lease = Lease(bot, holder, present.epoch + (present.holder != holder), now + ttl)
    _write(connection, lease)
    return lease


def give_up_lease(connection: Connection, lease: Lease) -> None:
    """Let the next one take it at once."""
    hold(connection, lease.bot)
    present = read_lease(connection, lease.bot)
    if present is not None and present.epoch == lease.epoch:
        # A later epoch: whatever the one who gave up still has in hand is refused.
        _write(connection, Lease(lease.bot, lease.holder, lease.epoch + 1, _GIVEN_UP))


def _write(connection: Connection, lease: Lease) -> None:
    values = {"new_holder": lease.holder, "new_epoch": lease.epoch, "new_until": lease.until}
    connection.execute(_WRITE, {"of_bot": lease.bot, **values})
