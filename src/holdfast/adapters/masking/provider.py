import traceback
from collections.abc import Awaitable
from typing import Any, TypeVar

from holdfast.adapters.masking.mask import HIDDEN, Mask
from holdfast.domain.errors import HoldfastError, InvalidInput
from holdfast.domain.journal import Effect, TargetState, Write
from holdfast.ports.changes import ChangeProvider, Progress

_T = TypeVar("_T")


class MaskingProvider:
    """A change provider whose words pass through a mask: errors, states, what it keeps for the next attempt.

    A state that holds a secret can be looked at, but not changed: the recorded state could not be written back.
    """

    def __init__(self, provider: ChangeProvider, mask: Mask) -> None:
        """Let everything that this provider says pass through the mask."""
        self._provider = provider
        self._mask = mask

    async def read(self, endpoint: str, part: str) -> TargetState:
        """Return the part's state without secrets. See `ports.changes`."""
        return self._state(await self._masked(self._provider.read(endpoint, part)))

    async def foresee(self, effect: Effect, state: TargetState) -> dict[str, Any]:
        """Return the state that the effect would make. See `ports.changes`.

        Raises:
            InvalidInput: besides the provider's own, a secret is in one of the states.
        """
        self._check(effect, state.values)
        foreseen = self._mask.value(await self._masked(self._provider.foresee(effect, state)))
        self._check(effect, foreseen)
        return foreseen

    async def write(self, write: Write, progress: Progress) -> TargetState:
        """Make the move. See `ports.changes`.

        Raises:
            InvalidInput: besides the provider's own, the goal was recorded with a secret masked in it.
        """
        self._check(write.effect, write.goal)
        told = _MaskedProgress(progress, self._mask)
        return self._state(await self._masked(self._provider.write(write, told)))

    async def _masked(self, doing: Awaitable[_T]) -> _T:
        """Await it; an error is told anew, outside its handler, so that no traceback leads to the first one."""
        try:
            return await doing
        except HoldfastError as error:
            told: Exception = _told_anew(error, self._mask)
        except Exception as error:
            text = "".join(traceback.format_exception(error))
            if self._mask.text(text) == text:
                raise
            told = RuntimeError(f"{type(error).__name__}: {self._mask.text(str(error))}")
        raise told

    def _state(self, state: TargetState) -> TargetState:
        masked = {"values": self._mask.value(state.values), "doubt": self._mask.text(state.doubt)}
        return state.model_copy(update=masked)

    def _check(self, effect: Effect, values: dict[str, Any]) -> None:
        for name, value in values.items():
            if HIDDEN in f"{name} {value}":
                raise InvalidInput(
                    f"{effect.endpoint}/{effect.part}: the state's field '{self._mask.text(name)}' holds a "
                    f"secret, which is recorded as {HIDDEN} only and could not be put back: keep the secret "
                    "somewhere else, or give the system one that does not look like an ordinary value"
                )


class _MaskedProgress:
    """Progress that is told through the mask."""

    def __init__(self, progress: Progress, mask: Mask) -> None:
        self._progress = progress
        self._mask = mask

    @property
    def memory(self) -> dict[str, str]:
        return self._progress.memory

    @property
    def repeated(self) -> bool:
        return self._progress.repeated

    @property
    def called_off(self) -> bool:
        return self._progress.called_off

    def keep(self, memory: dict[str, str]) -> None:
        self._progress.keep(self._mask.value(memory))


def _told_anew(error: HoldfastError, mask: Mask) -> HoldfastError:
    """Return an error of the same class and with the same fields, without its cause."""
    kind = type(error)
    told = kind.__new__(kind)
    told.args = (mask.text(str(error)),)
    vars(told).update(mask.value(dict(vars(error))))
    return told
