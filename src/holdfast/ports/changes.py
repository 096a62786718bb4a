from typing import Any, Protocol

from holdfast.domain.journal import Effect, TargetState, Write


class Progress(Protocol):
    """Tells that a long write is alive, and carries what the next worker needs when this one dies."""

    @property
    def memory(self) -> dict[str, str]:
        """What an earlier attempt at the same write has kept, perhaps a little old; empty in the first one."""
        ...

    @property
    def repeated(self) -> bool:
        """Whether an earlier attempt at the same write began: it may have reached the target."""
        ...

    @property
    def called_off(self) -> bool:
        """Whether the write was cancelled because it is not wanted any more, not because a worker stops."""
        ...

    def keep(self, memory: dict[str, str]) -> None:
        """Remember this for the next attempt. Never a secret: people see it."""
        ...


class ChangeProvider(Protocol):
    """Reads and writes one part (`stable`, `canary`, `share`, `all`, …) of the systems of one kind."""

    async def read(self, endpoint: str, part: str) -> TargetState:
        """Return the part's whole state.

        Raises:
            Unavailable: the target does not answer now.
            InvalidInput: the endpoint or part is not known.
        """
        ...

    async def foresee(self, effect: Effect, state: TargetState) -> dict[str, Any]:
        """Return the whole state that the effect would make of this one; try it out where that can be done.

        Nothing is changed at the target.

        Raises:
            InvalidInput: it could not be made, or not be taken back; the text says why.
            Unavailable: the target does not answer now.
        """
        ...

    async def write(self, write: Write, progress: Progress) -> TargetState:
        """Bring the part from `write.source` to `write.goal` and return the new state.

        It happens at most once under `write.key`: what an earlier attempt has begun is found and followed,
        never begun again. When it is cancelled and `progress.called_off`, it has ended at the target
        before the cancellation goes through. Cancelled otherwise, it may go on, and the next attempt finds it.

        Raises:
            ChangeConflict: the target is at another version; nothing was changed.
            ChangeFailed: the target tried and failed; what it left is in the next reading.
            InvalidInput: the target refuses the values; the text is the target's own.
            Unavailable: the target did not answer; whether it wrote is not known: read before writing again.
        """
        ...
