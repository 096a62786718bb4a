"""Systems as they would be after what was planned so far; through this nothing can be written."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn

from holdfast.domain.errors import ChangeFailed, HoldfastError, Unavailable
from holdfast.domain.journal import Effect, TargetState, Write
from holdfast.ports.changes import ChangeProvider, Progress
from holdfast.ports.metrics import Labelled, LabelledSeries, MetricsSource

# Kinds of which an effect is tried out on a copy, which takes long and needs the real state to start from.
_TRIED_OUT: Final = frozenset({"alembic"})
_Place = tuple[str, str]  # endpoint and part


class Ahead:
    """Remembers what was read, once a part, and what planned effects make of it.

    Attributes:
        providers: by kind; they read from here, foresee, and refuse to write.
        untried: why an effect was not tried out although its kind can be, by the effect's key.
    """

    def __init__(self, providers: Mapping[str, ChangeProvider], *, dry_run: bool = True) -> None:
        """Read through these; without `dry_run` nothing is tried out on copies."""
        self.providers = {kind: _Reader(kind, provider, self) for kind, provider in providers.items()}
        self.untried: dict[str, str] = {}
        self._dry_run = dry_run
        self._read: dict[_Place, TargetState] = {}
        self._failed: dict[_Place, HoldfastError] = {}
        self._assumed: dict[_Place, TargetState] = {}
        self._made_by: dict[tuple[str, str, str], int] = {}

    def failures(self, endpoint: str) -> list[str]:
        """Return why parts of a system could not be read, each reason once."""
        return list(dict.fromkeys(str(error) for (name, _), error in self._failed.items() if name == endpoint))

    def assume(self, effect: Effect, before: dict[str, Any], after: dict[str, Any], *, stage: int) -> None:
        """Let everything from here on find the effect made, by the stage of this number."""
        at = (effect.endpoint, effect.part)
        self._assumed[at] = TargetState(values=after)
        for name in before.keys() | after.keys():
            if before.get(name) != after.get(name):
                self._made_by[*at, name] = stage

    def made_by(self, effect: Effect, name: str) -> int | None:
        """Return the number of the stage that makes the present value of a field; None where it is there."""
        at = (effect.endpoint, effect.part)
        if at not in self._assumed:
            return None
        read, assumed = self._read.get(at), self._assumed[at]
        if read is not None and read.values.get(name) == assumed.values.get(name):
            return None
        return self._made_by.get((*at, name))

    def assume_of_unknown(self, effect: Effect, *, stage: int) -> None:
        """Do the same where the state before is not known; settings are more than one effect sets."""
        if effect.values and effect.kind != "http_config":
            self.assume(effect, {}, dict(effect.values), stage=stage)

    async def state(self, provider: ChangeProvider, at: _Place) -> TargetState:
        """Return a part's state as planned so far; raises what the reading raised."""
        if at in self._assumed:
            return self._assumed[at].model_copy(deep=True)
        if at in self._failed:
            raise self._failed[at]
        if at not in self._read:
            try:
                self._read[at] = await self._really(provider, at)
            except HoldfastError as error:
                self._failed[at] = error
                raise
        return self._read[at].model_copy(deep=True)

    async def _really(self, provider: ChangeProvider, at: _Place) -> TargetState:
        # A system that is away would have people wait for its time limit once more for each of its parts.
        for (endpoint, _), error in self._failed.items():
            if endpoint == at[0] and isinstance(error, Unavailable):
                raise error
        return await provider.read(*at)

    def why_untried(self, effect: Effect) -> str:
        """Return why an effect cannot be tried out here; empty where it can."""
        if effect.kind not in _TRIED_OUT:
            return ""
        if not self._dry_run:
            return "not tried out, because of --no-dry-run"
        number = self.made_by(effect, next(iter(effect.values)))
        return f"cannot be tried out before stage {number} is in place" if number else ""


class _Reader:
    """One kind of systems. See `ports.changes`."""

    def __init__(self, kind: str, provider: ChangeProvider, ahead: Ahead) -> None:
        self._kind = kind
        self._provider = provider
        self._ahead = ahead
        self._foreseen: dict[str, dict[str, Any] | HoldfastError] = {}

    async def read(self, endpoint: str, part: str) -> TargetState:
        return await self._ahead.state(self._provider, (endpoint, part))

    async def foresee(self, effect: Effect, state: TargetState) -> dict[str, Any]:
        """Foresee an effect once; a dry run takes long and is not done for the checks and for us."""
        if effect.key not in self._foreseen:
            self._foreseen[effect.key] = await self._once(effect, state)
        found = self._foreseen[effect.key]
        if isinstance(found, HoldfastError):
            raise found
        return dict(found)

    async def write(self, write: Write, progress: Progress) -> NoReturn:  # noqa: ARG002  whatever it is
        raise ChangeFailed(f"{write.effect.title}: a plan changes nothing")

    async def _once(self, effect: Effect, state: TargetState) -> dict[str, Any] | HoldfastError:
        untried = self._ahead.why_untried(effect)
        if untried:
            self._ahead.untried[effect.key] = untried
            return goal_of(effect, state)
        try:
            return await self._provider.foresee(effect, state)
        except HoldfastError as error:
            return error


def goal_of(effect: Effect, state: TargetState) -> dict[str, Any]:
    """Return what an effect makes that is not foreseen; a database's other fields are not known then."""
    if all(state.values.get(name) == value for name, value in effect.values.items()):
        return dict(state.values)
    return dict(effect.values) if effect.kind in _TRIED_OUT else {**state.values, **effect.values}


class AskedOnce:
    """Metrics that give the same answer to the same question, so that all stages rest on the same numbers."""

    def __init__(self, metrics: MetricsSource) -> None:
        """Ask these."""
        self._metrics = metrics
        self._known: dict[str, float | HoldfastError | None] = {}

    async def instant(self, query: str, *, at: datetime) -> float | None:
        """Return the number of the first time it was asked. See `ports.metrics`."""
        if query not in self._known:
            try:
                self._known[query] = await self._metrics.instant(query, at=at)
            except HoldfastError as error:
                self._known[query] = error
        found = self._known[query]
        if isinstance(found, HoldfastError):
            raise found
        return found

    async def series(self, query: str, *, start: datetime, end: datetime, step: timedelta) -> list[float]:
        """Pass the question on, as all that follow: the checks ask for single numbers only."""
        return await self._metrics.series(query, start=start, end=end, step=step)

    async def points(
        self, query: str, *, start: datetime, end: datetime, step: timedelta
    ) -> list[tuple[datetime, float]]:
        """Pass the question on."""
        return await self._metrics.points(query, start=start, end=end, step=step)

    async def vector(self, query: str, *, at: datetime) -> list[Labelled]:
        """Pass the question on."""
        return await self._metrics.vector(query, at=at)

    async def matrix(
        self, query: str, *, start: datetime, end: datetime, step: timedelta
    ) -> list[LabelledSeries]:
        """Pass the question on."""
        return await self._metrics.matrix(query, start=start, end=end, step=step)
