"""Bad network weather: what stands between a client and Telegram on bad days. Fine unless asked for."""

from dataclasses import asdict, dataclass
from typing import Any

from holdfast.sim.telegram.errors import HumanError


@dataclass
class Weather:
    """How many calls will still be hit.

    Attributes:
        drop_after_store: messages that are stored, and then the connection breaks before the answer.
        bad_gateway: calls that a proxy answers with a 502 page in HTML; Telegram never sees them.
        method: only calls of this method are hit, "" for any.
    """

    drop_after_store: int = 0
    bad_gateway: int = 0
    method: str = ""

    def change(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Set the fields that are named; all fields as they are now.

        Raises:
            HumanError: 400 for an unknown field or a value of the wrong type; nothing is changed.
        """
        current = asdict(self)
        for name, value in wanted.items():
            if name not in current:
                raise HumanError(400, f"{name}: unknown; known are {', '.join(current)}")
            if type(value) is not type(current[name]) or (isinstance(value, int) and value < 0):
                raise HumanError(
                    400, f"{name}: must be a {'text' if name == 'method' else 'count of 0 or more'}"
                )
        for name, value in wanted.items():
            setattr(self, name, value)
        return asdict(self)

    def hits_gateway(self, method: str) -> bool:
        """Whether this call ends at the proxy; counts it."""
        if self.bad_gateway == 0 or not self._concerns(method):
            return False
        self.bad_gateway -= 1
        return True

    def drops_answer(self, method: str) -> bool:
        """Whether the answer to this call, which stored a message, is lost; counts it."""
        if self.drop_after_store == 0 or not self._concerns(method):
            return False
        self.drop_after_store -= 1
        return True

    def _concerns(self, method: str) -> bool:
        return not self.method or self.method.lower() == method.lower()
