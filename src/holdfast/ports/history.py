from datetime import datetime
from typing import Any, Protocol

from pydantic import BaseModel


class SignalStamp(BaseModel):
    """What the server wrote down about a signal.

    Attributes:
        at: when the server took it.
        principal: who the server says has sent it, e.g. `jwt/alice`; empty where it stamps nobody.
    """

    at: datetime
    principal: str = ""


class RunHistory(Protocol):
    """What the Temporal server itself recorded of a run. All methods raise `EngineUnavailable`."""

    async def stamp(self, run: str, execution: str, *, signal: str, code: str) -> SignalStamp | None:
        """Return the stamp of the first signal of this name that carries this code, if there is one."""
        ...

    async def reset_at(self, run: str, execution: str) -> datetime | None:
        """Return when somebody made this execution by resetting another one; None if nobody did."""
        ...

    async def recall(self, run: str) -> dict[str, Any]:
        """Return the `plan` and the newest `view` of a run, and whether the server has it `closed`.

        Raises:
            InvalidInput: the server has no such run, or keeps it no longer.
        """
        ...
