from typing import Any, Protocol

from holdfast.domain.journal import TargetState


class ChangeProvider(Protocol):
    """Reads and conditionally writes one part (`stable`, `canary`, `share`, …) of a target."""

    async def read(self, endpoint: str, part: str) -> TargetState:
        """Return the part's whole state.

        Raises:
            Unavailable: the target does not answer now.
            InvalidInput: the endpoint or part is not known.
        """
        ...

    async def write(
        self, endpoint: str, part: str, values: dict[str, Any], *, expected_version: int, key: str
    ) -> TargetState:
        """Replace the part's whole state if the target is still at `expected_version`; return the new state.

        Raises:
            ChangeConflict: the target is at another version; nothing was changed.
            InvalidInput: the target refuses the values; the text is the target's own.
            Unavailable: the target did not answer; whether it wrote is not known: read before writing again.
        """
        ...
