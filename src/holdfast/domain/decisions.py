"""What people say to a gate, as it travels: decisions, extensions and hand-overs, each with its proof."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Self, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from holdfast.domain.errors import DecisionRefused


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("outside of all calendars") from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]  # whatever zone it was typed in, kept in UTC


# Stands where a gate's id would: a rollback can be asked for whether or not a gate is open.
ROLLBACK: Final = "rollback"


class Choice(StrEnum):
    """What a person answers: go on, not, or go on with limits where the gate offers that."""

    APPROVE = "approve"
    REJECT = "reject"
    LIMIT = "limit"

    @property
    def said(self) -> str:
        """The answer in words."""
        return "go with limits" if self is Choice.LIMIT else str(self)


# People type into the Temporal UI, too, where no button says which word is meant.
_SYNONYMS = {
    **dict.fromkeys(("yes", "continue", "go"), "approve"),
    **dict.fromkeys(("no", "rollback", "stop", "no-go"), "reject"),
    **dict.fromkeys(("limits", "with-limits", "go-with-limits", "go with limits"), "limit"),
}


def _as_typed(value: Any) -> str:
    typed = str(value).strip().lower()
    return _SYNONYMS.get(typed, typed)


class Answer(StrEnum):
    """What became of a decision; told to the person who took it, whatever the channel."""

    ACCEPTED = "accepted"
    WAITING_FOR_MORE = "waiting_for_more"
    ALREADY_DECIDED = "already_decided"
    NOT_AN_APPROVER = "not_an_approver"
    NOT_YOUR_TURN = "not_your_turn"
    NOT_THE_OPEN_GATE = "not_the_open_gate"
    EVIDENCE_OUT_OF_DATE = "evidence_out_of_date"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    REASON_NEEDED = "reason_needed"
    NOTHING_TO_UNDO = "nothing_to_undo"  # a rollback was asked for, and nothing stands that it would undo
    CODE_NEEDED = "code_needed"  # the gate wants a code of the authenticator app, and there was none
    NOT_PROVEN = "not_proven"  # the approval code is missing, wrong, for something else, or too old
    UNREADABLE = "unreadable"
    STORED = "stored"  # no worker was up: kept, and checked as soon as one is


class Message(BaseModel):
    """What people may type into the Temporal UI; `example` is shown when it cannot be read."""

    example: ClassVar[str]


class Signed(Message):
    """What a person said, and the proof that this person said it.

    Attributes:
        gate: id of the gate that is meant; may be left out by a button that carries the gate's token.
        token: the open gate's token, from a button.
        by: short name of the person in `people.yaml`.
        evidence: digest of what the person saw.
        reason: free text for the record.
        channel: where it was said: `telegram`, `web`, `temporal-ui` or `cli`.
        id: a repeated delivery carries the same id and counts once.
        at: when the run recorded it; set by the run.
        expires_at: until when the code is good.
        proofs: how the person was recognised, e.g. `telegram`, `totp`; covered by the code.
        code: the approval code, see `holdfast.domain.proofs`.
    """

    gate: str = ""
    token: str = ""
    by: str = Field(min_length=1)
    evidence: str = ""
    reason: str = Field(default="", max_length=1000)
    channel: str = "temporal-ui"
    id: str = ""
    at: datetime | None = None
    expires_at: Moment | None = None
    proofs: tuple[str, ...] = ()
    code: str = ""

    @field_validator("by", mode="before")
    @classmethod
    def _names_are_lower_case(cls, value: Any) -> Any:
        return value.strip().lower() if isinstance(value, str) else value

    @field_validator("proofs", mode="before")
    @classmethod
    def _proofs_may_be_joined(cls, value: Any) -> Any:
        return tuple(p for p in value.split("+") if p) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _names_a_gate(self) -> Self:
        if not self.gate and not self.token:
            raise ValueError("'gate' is missing: copy the id of the open gate")
        return self

    @property
    def action(self) -> str:
        """What is asked for, in the one spelling that the approval code covers."""
        raise NotImplementedError


class Decision(Signed):
    """One person's answer to one gate, bound to the evidence that the person saw.

    Attributes:
        decision: `approve`, `reject`, or `limit` where the gate offers it (`yes`, `continue`, `go`, `no`,
            `stop`, `rollback`, `no-go`, `limits`, `with-limits`, `go-with-limits` are understood).
        on_behalf_of: whose vote it is, where somebody acts for somebody else; set by the run.
        how: why it counted: `delegation`, `deputy`, `escalation`, `veto`; empty: an own vote; set by the run.
        step: the step of the sign-off for which it counted; set by the run.
    """

    example: ClassVar[str] = '{"gate": "…", "decision": "approve", "by": "your-name", "code": "…"}'

    decision: Choice
    on_behalf_of: str = ""
    how: str = ""
    step: int = 0

    @field_validator("decision", mode="before")
    @classmethod
    def _as_people_type_it(cls, value: Any) -> Any:
        return _as_typed(value)

    @property
    def action(self) -> str:
        """`approve`, `reject` or `limit`."""
        return self.decision


class Extension(Signed):
    """Moves a gate's deadline to a later moment."""

    example: ClassVar[str] = '{"gate": "…", "until": "2026-12-31T12:00:00Z", "by": "your-name", "code": "…"}'

    until: Moment

    @property
    def action(self) -> str:
        """Name the new deadline."""
        return f"extend {self.until.timestamp():.0f}"


class Handover(Signed):
    """Hands one gate over to somebody else.

    Attributes:
        to: who may answer in this person's place.
        until: for how long; None for as long as the gate is open.
    """

    example: ClassVar[str] = '{"gate": "…", "to": "their-name", "by": "your-name", "code": "…"}'

    to: str = Field(min_length=1)
    until: Moment | None = None

    @field_validator("to", mode="before")
    @classmethod
    def _name_is_lower_case(cls, value: Any) -> Any:
        return value.strip().lower() if isinstance(value, str) else value

    @property
    def action(self) -> str:
        """Name the other person and the end."""
        return f"delegate {self.to} {self.until.timestamp():.0f}" if self.until else f"delegate {self.to}"


class RollBack(Signed):
    """Asks a run to undo what it did: everything, or what came after a stage that stays.

    Attributes:
        to: name of the last stage that stays; empty: nothing stays.
    """

    example: ClassVar[str] = '{"gate": "rollback", "to": "", "by": "your-name", "code": "…"}'

    gate: str = ROLLBACK
    to: str = ""

    @property
    def action(self) -> str:
        """Name what stays."""
        return f"{ROLLBACK} {self.to}".rstrip()


class CodeRequest(Message):
    """Asks for an approval code for a person's private chat; anybody may ask, only that person gets it.

    Attributes:
        by: short name of the person.
        decision: what the code is to be good for, where it is neither an extension nor a hand-over.
        gate: the gate; empty is the one that is open; `rollback` for a rollback, then `to` is what stays.
        reason: part of the JSON that is sent; a rejection needs one.
        until: alone, the new deadline of an extension; with `to`, the end of a hand-over.
        to: to whom the gate is to be handed over.
    """

    example: ClassVar[str] = '{"by": "your-name", "decision": "approve"}'

    by: str = Field(min_length=1)
    decision: Choice = Choice.APPROVE
    gate: str = ""
    reason: str = Field(default="", max_length=1000)
    until: Moment | None = None
    to: str = ""

    @field_validator("decision", mode="before")
    @classmethod
    def _as_people_type_it(cls, value: Any) -> Any:
        return _as_typed(value)

    @field_validator("by", "to", mode="before")
    @classmethod
    def _names_are_lower_case(cls, value: Any) -> Any:
        return value.strip().lower() if isinstance(value, str) else value


class DecisionReply(BaseModel):
    """The true answer to what counted: `accepted`, or `waiting_for_more` approvals."""

    answer: Answer
    text: str
    gate: str
    waiting_for: int = 0


S = TypeVar("S", bound=Message)


def parse(model: type[S], message: Any) -> S:
    """Read what a person may have typed as any JSON.

    Raises:
        DecisionRefused: the text says what is missing or wrong, field by field.
    """
    # Declared as any JSON and read here: where the SDK decodes into a strict model, a wrong field shows the
    # approver a Python traceback (Update), or vanishes in a worker's log (Signal).
    what = model.__name__.lower()
    if not isinstance(message, dict):
        raise DecisionRefused(
            Answer.UNREADABLE,
            f"A {what} is a JSON object such as {model.example}; the run's details say how to get yours.",
        )
    try:
        return model.model_validate(message)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise DecisionRefused(
            Answer.UNREADABLE,
            f"The {what} was not understood ({problems}). It looks like {model.example}.",
        ) from None


def parse_decision(message: Any) -> Decision:
    """Read a decision; see `parse`."""
    return parse(Decision, message)
