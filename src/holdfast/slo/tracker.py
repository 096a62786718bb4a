"""What is worth telling from one look to the next: a small state machine without a clock.

It is carried from look to look, in heartbeats too, so that after a worker's death nothing is repeated or
forgotten.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field

from holdfast.slo.status import Level, Moment, SloStatus

# One unanswered look is a restart somewhere; three in a row mean that nobody watches.
LOOKS_UNTIL_SILENT: Final = 3
BUDGET_MARKS: Final = (50.0, 25.0, 0.0)
# A rolling budget wanders about a mark; it has to climb well above one before the mark counts again.
_CLEAR_OF_MARK: Final = 5.0


class BreachBegan(BaseModel):
    """A context broke a promise fast enough to call people.

    Attributes:
        at: when it was seen first.
        slos: which of its SLOs burn.
        said: what each of them says.
    """

    kind: Literal["breach began"] = "breach began"
    context: str
    at: datetime
    slos: list[str] = Field(default_factory=list[str])
    said: list[str] = Field(default_factory=list[str])


class BreachOver(BaseModel):
    """All of a context has been well for long enough.

    Attributes:
        began: when the breach was seen first.
        well_since: since when all is well.
        at: when that was long enough.
    """

    kind: Literal["breach over"] = "breach over"
    context: str
    began: datetime
    well_since: datetime
    at: datetime


class WentSilent(BaseModel):
    """Nothing is known any more; of one context, or of all where `context` is empty."""

    kind: Literal["went silent"] = "went silent"
    context: str = ""
    since: datetime
    at: datetime
    why: str = ""


class SpeaksAgain(BaseModel):
    """Something is known again; of one context, or of all where `context` is empty."""

    kind: Literal["speaks again"] = "speaks again"
    context: str = ""
    silent_since: datetime
    at: datetime


class BudgetCrossed(BaseModel):
    """An error budget fell to a mark or below; of several at once only the lowest is told."""

    kind: Literal["budget crossed"] = "budget crossed"
    context: str
    slo: str
    mark_percent: float
    left_percent: float
    at: datetime


News = Annotated[
    BreachBegan | BreachOver | WentSilent | SpeaksAgain | BudgetCrossed, Field(discriminator="kind")
]


class Silence(BaseModel):
    """How long nothing was known.

    Attributes:
        looks: in a row.
        since: the first of them.
        told: people know.
    """

    looks: int = 0
    since: datetime | None = None
    told: bool = False


class Standing(BaseModel):
    """What is remembered of a context.

    Attributes:
        breach_since: when the open breach was seen first; None where none is open.
        seen: looks in a row that saw a breach; looks that know nothing do not count either way.
        seen_since: the first of them.
        broken: SLOs that were seen to break; all of them must be known to be well before the breach is over.
        well_since: since when they are, while a breach is open.
        marks: the lowest mark that the budget of each SLO has crossed.
    """

    breach_since: datetime | None = None
    seen: int = 0
    seen_since: datetime | None = None
    broken: list[str] = Field(default_factory=list[str])
    well_since: datetime | None = None
    silence: Silence = Silence()
    marks: dict[str, float] = Field(default_factory=dict[str, float])


class Tracker(BaseModel):
    """What is remembered from look to look.

    Attributes:
        contexts: by name.
        silence: of all metrics.
    """

    contexts: dict[str, Standing] = Field(default_factory=dict[str, Standing])
    silence: Silence = Silence()

    def step(
        self, moment: Moment, *, breach_after: int, recover_after: timedelta
    ) -> "tuple[Tracker, list[News]]":
        """Take one more look into account; return what is remembered then, and what is worth telling.

        Args:
            moment: later than those before.
            breach_after: looks in a row that must see a breach.
            recover_after: how long all must be well before a breach is over; a look that knows nothing
                begins that anew.
        """
        look = _Look(moment, breach_after, recover_after)
        silence = look.heard(self.silence, "", moment.silent)
        contexts = dict(self.contexts)
        for name in dict.fromkeys(status.context for status in moment.slos):
            contexts[name] = look.stepped(contexts.get(name, Standing()), name)
        return Tracker(contexts=contexts, silence=silence), look.news


@dataclass
class _Look:
    """One look, and what is worth telling of it."""

    moment: Moment
    breach_after: int
    recover_after: timedelta
    news: list[News] = field(default_factory=list[News])

    def stepped(self, before: Standing, name: str) -> Standing:
        """Return what is remembered of a context after this look."""
        slos = [status for status in self.moment.slos if status.context == name]
        standing = before.model_copy(deep=True)
        if not self.moment.silent:  # of all at once it is told once
            unknown = all(status.level is Level.UNKNOWN for status in slos)
            standing.silence = self.heard(before.silence, name, slos[0].said if unknown else "")
            for status in slos:
                self._cross_marks(standing, status)
        broken = [status for status in slos if status.level is Level.BREACH]
        if broken:
            self._breaks(standing, name, broken)
        elif any(status.level is Level.UNKNOWN for status in slos if status.slo in standing.broken):
            standing.well_since = None
        elif any(status.level is not Level.UNKNOWN for status in slos):
            self._is_well(standing, name)
        return standing

    def heard(self, before: Silence, context: str, why: str) -> Silence:
        """Return the silence after this look; `why` is empty where something is known."""
        at = self.moment.at
        if not why:
            if before.told and before.since is not None:
                self.news.append(SpeaksAgain(context=context, silent_since=before.since, at=at))
            return Silence()
        since, looks = before.since or at, before.looks + 1
        if looks >= LOOKS_UNTIL_SILENT and not before.told:
            self.news.append(WentSilent(context=context, since=since, at=at, why=why))
        return Silence(looks=looks, since=since, told=looks >= LOOKS_UNTIL_SILENT)

    def _breaks(self, standing: Standing, name: str, broken: list[SloStatus]) -> None:
        standing.well_since = None
        standing.seen += 1
        standing.seen_since = standing.seen_since or self.moment.at
        names = [status.slo for status in broken]
        standing.broken = list(dict.fromkeys([*standing.broken, *names]))
        if standing.breach_since is None and standing.seen >= self.breach_after:
            standing.breach_since = standing.seen_since
            said = [status.said for status in broken]
            self.news.append(BreachBegan(context=name, at=standing.breach_since, slos=names, said=said))

    def _is_well(self, standing: Standing, name: str) -> None:
        at, began = self.moment.at, standing.breach_since
        standing.seen, standing.seen_since = 0, None
        if began is None:
            standing.broken = []
            return
        since = standing.well_since = standing.well_since or at
        if at - since >= self.recover_after:
            self.news.append(BreachOver(context=name, began=began, well_since=since, at=at))
            standing.breach_since, standing.well_since, standing.broken = None, None, []

    def _cross_marks(self, standing: Standing, status: SloStatus) -> None:
        left, told = status.budget_left_percent, standing.marks.get(status.slo)
        if left is None:
            return
        if told is not None and left > told + _CLEAR_OF_MARK:
            told = _lowest(left - _CLEAR_OF_MARK)
        crossed = _lowest(left)
        if crossed is not None and (told is None or crossed < told):
            told = crossed
            self.news.append(
                BudgetCrossed(
                    context=status.context,
                    slo=status.slo,
                    mark_percent=crossed,
                    left_percent=left,
                    at=self.moment.at,
                )
            )
        standing.marks.pop(status.slo, None)
        if told is not None:
            standing.marks[status.slo] = told


def _lowest(left: float) -> float | None:
    """Return the lowest mark that a budget has fallen to; None above all."""
    return min((mark for mark in BUDGET_MARKS if left <= mark), default=None)
