"""Messages as people see them on a terminal, and as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from holdfast.apps.cli.output import Output
from holdfast.apps.cli.tables import span, table
from holdfast.outbox.message import ANSWERS, Row, RowState
from holdfast.outbox.store import LaneState

_SHOWN: Final = 60
_PRECISE_BELOW: Final = timedelta(minutes=2)


@dataclass(frozen=True)
class Seen:
    """What `list` found.

    Attributes:
        sender: who sends; empty for nobody.
        states: those that were asked for.
        of_chat: whether only one chat was asked for.
    """

    now: datetime
    rows: Sequence[Row]
    counts: Mapping[RowState, int]
    lanes: Mapping[str, LaneState]
    sender: str
    states: Sequence[RowState]
    of_chat: bool

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        tiers = {
            tier: {
                "queued": lane.queued,
                "oldest_seconds": (self.now - lane.oldest).total_seconds() if lane.oldest else None,
            }
            for tier, lane in self.lanes.items()
        }
        return {
            "counts": dict(self.counts),
            "tiers": tiers,
            "sender": self.sender or None,
            "messages": [document(row) for row in self.rows],
        }

    def tell(self, out: Output) -> None:
        """Show it to a person."""
        out.say(self._summary())
        if self.lanes:
            queues = (
                (tier, str(lane.queued), _age(self.now - lane.oldest) if lane.oldest else "–")
                for tier, lane in self.lanes.items()
            )
            out.show(table(("tier", "waiting", "longest"), queues))
        if self.rows:
            columns = ("no.", "state", "tier", "kind", "chat", "age", "says")
            out.show(table(columns, (_cells(row, self.now) for row in self.rows)))
        for hint in self._hints():
            out.say(hint)

    def _summary(self) -> str:
        numbers = ", ".join(f"{self.counts[state]} {state}" for state in RowState if self.counts.get(state))
        nobody = "" if self.sender else " Nobody sends: start 'holdfast bot'."
        return f"{numbers or 'The outbox is empty'}.{nobody}"

    def _hints(self) -> Iterator[str]:
        there = sum(self.counts.get(state, 0) for state in self.states)
        if not self.of_chat and there > len(self.rows):
            yield f"Shown are {len(self.rows)} of {there}; --limit shows more."
        if doubtful := self._first(RowState.UNCERTAIN):
            yield (
                "Uncertain: may or may not have arrived, and is not sent again by itself. Look into the chat.\n"
                f"  it is missing:  holdfast outbox retry {doubtful} --as YOU\n"
                f"  it is there:    holdfast outbox drop {doubtful} --as YOU --reason 'it came'"
            )
        if dead := self._first(RowState.DEAD):
            yield (
                "Dead: will not be sent; why stands beside it.\n"
                f"  the cause is gone:  holdfast outbox retry {dead} --as YOU"
            )

    def _first(self, state: RowState) -> int | None:
        return next((row.id for row in self.rows if row.state is state), None)


def _cells(row: Row, now: datetime) -> Iterator[str]:
    yield from (str(row.id), row.state, row.tier, row.kind, row.chat, _age(now - row.queued_at))
    yield f"{words(row)} ({row.why})" if row.why else words(row)


def _age(waited: timedelta) -> str:
    return f"{max(0, int(waited.total_seconds()))} s" if waited < _PRECISE_BELOW else span(waited)


def words(row: Row) -> str:
    """Return the beginning of what a message says; of an answer nothing, since it may hold a code."""
    if row.tier == ANSWERS:
        return f"{row.request.method} to somebody who tapped or typed"
    text = " ".join((row.line or row.request.plain or row.request.method).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def document(row: Row) -> dict[str, Any]:
    """Return a message as JSON, without what is sent: codes may be in it."""
    shown = row.model_dump(mode="json", exclude={"request", "line"})
    return {**shown, "method": row.request.method, "says": words(row)}
