from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from holdfast.adapters.sql_store.database import Database, Lock
from holdfast.adapters.sql_store.tables import delegations
from holdfast.domain.errors import InvalidInput
from holdfast.domain.gates import Delegation
from holdfast.domain.standing import LONGEST_CHAIN


class SqlDelegations:
    """Who stands in for whom, from date to date; see `holdfast.ports.delegations.StandingDelegations`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, delegation: Delegation, *, key: str) -> None:
        """Remember a delegation, once a key; see the port for what is refused."""
        since, until = _span(delegation)

        def work(connection: Connection) -> None:
            if connection.scalar(select(delegations.c.key).where(delegations.c.key == key)) is not None:
                return
            others = _holding(connection, since, until)
            _check_circle(delegation, others, since, until)
            _check_chain(delegation, others, since, until)
            row = {"by_person": delegation.by, "to_person": delegation.to, "since": since, "until": until}
            connection.execute(insert(delegations).values(key=key, **row))

        await self._database.write(work, lock=Lock.DELEGATIONS)

    async def active_after(self, now: datetime) -> Sequence[Delegation]:
        """Return those that hold now or later, oldest first."""
        return await self._database.read(lambda connection: _holding(connection, now, None))

    async def end(self, by: str, *, now: datetime) -> int:
        """End all delegations of this person that hold now or later; return how many."""
        # Those to come are ended before they begin, not removed: a repeated `add` must not bring them back.
        theirs = (
            delegations.c.by_person == by,
            delegations.c.until > now,
            delegations.c.since < delegations.c.until,
        )
        statement = update(delegations).where(*theirs).values(until=now)
        return await self._database.write(
            lambda connection: connection.execute(statement).rowcount, lock=Lock.DELEGATIONS
        )


def _span(delegation: Delegation) -> tuple[datetime, datetime]:
    since, until = delegation.since, delegation.until
    if since is None or until is None:
        which = "since" if since is None else "until"
        raise InvalidInput(f"{which}: say from when to when {delegation.to} stands in for {delegation.by}")
    if since.tzinfo is None or until.tzinfo is None:
        raise InvalidInput("since, until: a time needs its zone, like 2026-12-31T12:00+01:00")
    if until <= since:
        raise InvalidInput(f"until: {_shown(until)} is not later than since, {_shown(since)}")
    if delegation.by == delegation.to:
        raise InvalidInput(f"to: {delegation.to} cannot stand in for themselves; name somebody else")
    return since, until


def _holding(connection: Connection, since: datetime, until: datetime | None) -> list[Delegation]:
    """Return those that hold at some moment between; those that were ended before they began hold at none."""
    table = delegations.c
    query = select(delegations).where(table.until > since, table.since < table.until)
    if until is not None:
        query = query.where(table.since < until)
    rows = connection.execute(query.order_by(table.since, table.key)).mappings()
    return [Delegation(by=r["by_person"], to=r["to_person"], since=r["since"], until=r["until"]) for r in rows]


def _check_circle(new: Delegation, others: Sequence[Delegation], since: datetime, until: datetime) -> None:
    for way, start, end in _ways(new.to, others, since, until, back=False):
        if way[-1] == new.by:
            raise InvalidInput(
                f"to: from {_shown(start)} to {_shown(end)} this would be a circle, "
                f"{' → '.join((new.by, *way))}. Name somebody else, or other dates."
            )


def _check_chain(new: Delegation, others: Sequence[Delegation], since: datetime, until: datetime) -> None:
    for onward, start, end in _ways(new.to, others, since, until, back=False):
        for back, first, last in _ways(new.by, others, start, end, back=True):
            people = (*reversed(back), *onward)
            if len(people) - 1 > LONGEST_CHAIN:
                raise InvalidInput(
                    f"to: a gate is handed on {LONGEST_CHAIN} times at most, and from {_shown(first)} to "
                    f"{_shown(last)} this would be {' → '.join(people)}. Name somebody who has not handed on."
                )


def _ways(
    name: str, others: Sequence[Delegation], start: datetime, end: datetime, *, back: bool
) -> Iterator[tuple[tuple[str, ...], datetime, datetime]]:
    """Yield each way on from (or back to) a person, and when all of it holds; they make no circles yet."""
    yield (name,), start, end
    for other in others:
        here, there = (other.to, other.by) if back else (other.by, other.to)
        first, last = max(start, other.since or start), min(end, other.until or end)
        if here == name and first < last:
            for way, way_start, way_end in _ways(there, others, first, last, back=back):
                yield (name, *way), way_start, way_end


def _shown(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M %Z}"
