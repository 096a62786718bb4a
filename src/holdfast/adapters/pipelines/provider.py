from collections.abc import Mapping
from typing import Any, Final

from holdfast.adapters.pipelines.following import Following, Timing
from holdfast.domain.errors import InvalidInput, UnknownName
from holdfast.domain.journal import Effect, TargetState, Write
from holdfast.ports.changes import Progress
from holdfast.ports.pipelines import Action, Deployed, PipelineOrder, Pipelines

_VERSION: Final = "version"
_PARTS: Final = ("canary", "stable", "all")


class PipelineProvider:
    """Changes that a CI system makes: parts `canary`, `stable` or `all`, values `{"version": …}`.

    See `ports.changes`. A run is found by its key before one is started, so that one run is started a key,
    whatever dies in between. Should two runs with one key ever be seen, the oldest counts: one that was
    started behind our back, or one that its system showed later than `visible_within`.
    """

    def __init__(self, pipelines: Pipelines, systems: Mapping[str, Timing]) -> None:
        """Work with the pipelines of one kind of CI system.

        Args:
            pipelines: finds, starts and follows runs.
            systems: how often and how long to look, by the name in `systems.yaml`.
        """
        self._pipelines = pipelines
        self._systems = systems

    async def read(self, endpoint: str, part: str) -> TargetState:
        """Return which version is deployed, and whether a newer run leaves that in doubt."""
        self._timing(endpoint)
        _check(part)
        return _state(await self._pipelines.deployed(endpoint, part))

    async def foresee(self, effect: Effect, state: TargetState) -> dict[str, Any]:
        """Return the version that the effect deploys; refuse where there is no sure way back."""
        where = f"pipeline '{effect.endpoint}', part '{effect.part}'"
        if state.unsettled:
            raise InvalidInput(
                f"{where} is in doubt: {state.doubt or state.unsettled}. "
                "Let that run end, or run a deployment that succeeds; then try again"
            )
        if not state.values.get(_VERSION):
            raise InvalidInput(
                f"{where} has never been deployed, so that there is no version to go back to: "
                "deploy the present version with this pipeline first"
            )
        return {_VERSION: effect.values[_VERSION]}

    async def write(self, write: Write, progress: Progress) -> TargetState:
        """Run the pipeline that deploys, or the one that rolls back, to its end.

        A cancellation that calls the write off stops the run first. Any other cancellation leaves the run
        alone: it goes on, and the next attempt finds it.
        """
        _check(write.effect.part)
        order = _order(write)
        timing = self._timing(order.system)
        for earlier in _earlier(write):
            await Following(self._pipelines, earlier, progress, timing).stop_if_under_way()
        return _state(await Following(self._pipelines, order, progress, timing).conduct())

    def _timing(self, system: str) -> Timing:
        if system not in self._systems:
            raise UnknownName("pipeline", system, self._systems)
        return self._systems[system]


def _check(part: str) -> None:
    if part not in _PARTS:
        raise UnknownName("part of a pipeline", part, _PARTS)


def _order(write: Write) -> PipelineOrder:
    return PipelineOrder(
        system=write.effect.endpoint,
        action=Action.ROLLBACK if write.undo else Action.DEPLOY,
        part=write.effect.part,
        version=str(write.goal[_VERSION]),
        key=write.key,
        parameters=write.effect.parameters,
    )


def _earlier(write: Write) -> list[PipelineOrder]:
    """Return what may still be under way when an effect is taken back: itself, and earlier tries at that."""
    if not write.undo:
        return []
    tries = [write.model_copy(update={"attempt": number}) for number in range(1, write.attempt)]
    return [_order(write.model_copy(update={"undo": False})), *map(_order, tries)]


def _state(deployed: Deployed) -> TargetState:
    return TargetState(values={_VERSION: deployed.version}, unsettled=deployed.unsettled, doubt=deployed.doubt)
