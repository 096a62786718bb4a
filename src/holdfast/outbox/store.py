"""Where the rows are. Several processes share a store; only the holder of a bot's lease sends."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from holdfast.domain.errors import HoldfastError
from holdfast.outbox.message import Ranked, Row, RowState


class LeaseLost(HoldfastError):
    """Somebody else sends for this bot; nothing was changed."""


@dataclass(frozen=True)
class Lease:
    """The right to send for a bot.

    Attributes:
        epoch: grows whenever the lease moves; what is written under an older one is refused with `LeaseLost`.
        until: it is anybody's after this, unless renewed.
    """

    bot: str
    holder: str
    # Two senders never settle one row: what the old one writes after it has lost the lease is refused
    # (docs/decisions/0013).
    epoch: int
    until: datetime


@dataclass(frozen=True)
class Head:
    """The first waiting row of a chat in a lane.

    Attributes:
        alike: how many rows of the same chat, topic and kind wait in this lane and could become one digest; 0
            for a row that has no `line`.
    """

    id: int
    chat: str
    tier: str
    kind: str
    thread: str
    due: datetime
    alike: int = 0


@dataclass(frozen=True)
class LaneState:
    """One lane of a bot.

    Attributes:
        oldest: arrival of the row that waits longest; None where none waits.
    """

    queued: int
    oldest: datetime | None


class OutboxStore(Protocol):
    """The rows of all bots. All methods raise `Unavailable` when the store does not answer."""

    # --- for everybody ----------------------------------------------------------------------------------

    async def put(self, bot: str, messages: Sequence[Ranked]) -> list[int]:
        """Store messages in one transaction; return their ids in order.

        A key that is there already gives the id that it has, and changes nothing. While a row of the same chat
        and `replaces` is queued, the newer message takes its content, keeps its id and place, and the newer
        key gives that id as well.
        """
        ...

    async def row(self, row_id: int) -> Row | None:
        """Return a row."""
        ...

    async def rows(
        self, bot: str, *, states: Collection[RowState] = (), chat: str = "", limit: int = 100
    ) -> list[Row]:
        """Return rows, those that go first coming first; settled ones newest first. No states means all."""
        ...

    async def ahead(self, row: Row, *, limit: int = 1000) -> int:
        """Count the queued rows of the same lane that are due before this one; at most `limit`."""
        ...

    async def lanes(self, bot: str) -> Mapping[str, LaneState]:
        """Return each lane that has rows waiting; `counts` has the other states."""
        ...

    async def counts(self, bot: str) -> Mapping[RowState, int]:
        """Count the rows in each state."""
        ...

    async def retry(self, row_id: int, *, why: str, now: datetime) -> bool:
        """Queue an uncertain or dead row again (an uncertain one as `repeated`); False where it is neither."""
        ...

    async def drop(self, row_id: int, *, why: str) -> bool:
        """Make a queued or uncertain row dead; False where it is neither."""
        ...

    async def forget(self, bot: str, *, settled_before: datetime, limit: int = 10_000) -> int:
        """Delete rows that were settled before; uncertain ones stay. Return how many went."""
        ...

    # --- for the holder of the lease ----------------------------------------------------------------------

    async def take_lease(
        self, bot: str, holder: str, *, ttl: timedelta, now: datetime, dead: Collection[str] = ()
    ) -> Lease | None:
        """Take or renew the lease; None while another holder has it.

        Args:
            bot: whose.
            holder: who asks; the same holder renews, under the same epoch.
            ttl: for how long.
            now: the present moment.
            dead: holders that are known to be gone, whose lease need not run out.
        """
        ...

    async def give_up_lease(self, lease: Lease) -> None:
        """Let the next one take it at once; nothing where it has moved already."""
        ...

    async def holder(self, bot: str) -> Lease | None:
        """Return the lease as it stands, run out or not; None before the first."""
        ...

    async def recover(self, lease: Lease, *, now: datetime) -> list[Row]:
        """Turn every row that an earlier holder left in `sending` into `uncertain`, and return them all."""
        ...

    async def recent(self, bot: str, *, since: datetime) -> list[tuple[str, datetime]]:
        """Return chat and moment of what was sent, or may have been, since then; oldest first."""
        ...

    async def heads(
        self, bot: str, *, now: datetime, skip: Collection[str] = (), per_lane: int = 32
    ) -> list[Head]:
        """Return the first rows of at most `per_lane` chats in each lane, by `due`.

        Costs the same with a million rows as with a thousand.

        Args:
            bot: whose.
            now: rows that are not to be tried before are left out.
            skip: chats that cannot be served now; there are few.
            per_lane: how many.
        """
        ...

    async def claim(self, lease: Lease, ids: Sequence[int], *, now: datetime) -> list[Row]:
        """Turn queued rows into `sending`, durably, before they are tried; leave out what is not queued.

        Raises:
            LeaseLost: somebody else sends.
        """
        ...

    async def claim_alike(self, lease: Lease, head: Head, *, at_most: int, now: datetime) -> list[Row]:
        """Claim the first rows of a chat, topic, lane and kind that have a `line`; otherwise as `claim`."""
        ...

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
        """Write down what became of rows in `sending`: `sent`, `uncertain` or `dead`.

        Raises:
            LeaseLost: somebody else sends, and has made them uncertain.
        """
        ...

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

        Where a newer version of an edit waits meanwhile, the older one is dead: "replaced by a newer version".

        Raises:
            LeaseLost: somebody else sends.
        """
        ...

    async def move_chat(self, bot: str, old: str, new: str) -> None:
        """Send everything that waits for a chat, or will be put for it, to another id."""
        ...

    async def moved(self, bot: str, chat: str) -> str:
        """Return the id that a chat has now."""
        ...

    async def pause(self, bot: str, chat: str, until: datetime) -> None:
        """Remember that a chat must not be written to before; an empty chat means the whole bot."""
        ...

    async def pauses(self, bot: str, *, now: datetime) -> Mapping[str, datetime]:
        """Return the pauses that last, by chat."""
        ...


@runtime_checkable
class SettlesTogether(Protocol):
    """What a store may offer beside `OutboxStore`: many messages that arrived, written in one transaction.

    The sender uses it where it is there. It matters above some hundred messages a second, where a transaction
    for each would be the limit.
    """

    async def settle_sent(self, lease: Lease, message_ids: Mapping[int, str], *, now: datetime) -> None:
        """Write down that rows in `sending` arrived, each under its own message id; otherwise as `settle`.

        Raises:
            LeaseLost: somebody else sends, and has made them uncertain.
        """
        ...
