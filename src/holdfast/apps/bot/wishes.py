"""What a person wants done at a gate, in a form that survives a restart while a reason or a code is awaited."""

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict

from holdfast.domain.decisions import Choice


class What(StrEnum):
    """What is wanted."""

    DECIDE = "decide"
    EXTEND = "extend"
    HAND_OVER = "hand_over"
    STAND_IN = "stand_in"  # hand over all gates, from date to date
    CODE = "code"  # a signed answer to carry elsewhere


class Wish(BaseModel):
    """One thing that a person wants done.

    Attributes:
        id: of the update in which it was said; a repeated delivery has the same.
        run: of the gate; empty for what is about all gates.
        gate, button: one of both names the gate.
        choice, reason: of a decision or code.
        to: who stands in.
        since, until: from when, and until when.
    """

    model_config = ConfigDict(frozen=True)

    what: What
    id: str
    run: str = ""
    gate: str = ""
    button: str = ""
    choice: Choice = Choice.APPROVE
    reason: str = ""
    to: str = ""
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None

    @property
    def needs_reason(self) -> bool:
        """Whether it is a rejection that does not say why."""
        return self.what is What.DECIDE and self.choice is Choice.REJECT and not self.reason.strip()

    def data(self) -> dict[str, str]:
        """Return it as an intent keeps it."""
        return self.model_dump(mode="json", exclude_defaults=True)
