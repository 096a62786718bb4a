"""What people say to a run besides answers to gates: wait, go on, I have it, it is over."""

from enum import StrEnum
from typing import Any, ClassVar, Final

from pydantic import Field, field_validator, model_validator

from holdfast.domain import run_phrases
from holdfast.domain.decisions import Answer, Signed
from holdfast.domain.errors import DecisionRefused
from holdfast.domain.view import IncidentView, RunState, RunView


class Act(StrEnum):
    """What is wanted; also the name of the update and of the signal that take it."""

    PAUSE = "pause"
    RESUME = "resume"
    ACKNOWLEDGE = "acknowledge"
    HAND_OVER = "hand_over"
    NOTE = "note"
    RESOLVE = "resolve"


class Word(Signed):
    """One thing said to one run; the approval code covers it.

    Attributes:
        act: what is wanted.
        to: to whom an incident is handed over.
        reason: why a run is paused, what is noted, how an incident was resolved.
    """

    example: ClassVar[str] = '{"act": "acknowledge", "by": "your-name", "code": "…"}'

    act: Act
    to: str = Field(default="", max_length=32)

    @model_validator(mode="before")
    @classmethod
    def _stands_for_its_gate(cls, value: Any) -> Any:
        # A word is about the run, not about a gate of it; codes are bound to what stands in the gate's place.
        return {**value, "gate": str(value.get("act", ""))} if isinstance(value, dict) else value  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType, reportUnknownMemberType]  any JSON

    @field_validator("to", mode="before")
    @classmethod
    def _name_is_lower_case(cls, value: Any) -> Any:
        return value.strip().lower() if isinstance(value, str) else value

    @property
    def action(self) -> str:
        """Name the act, and to whom."""
        return f"{self.act} {self.to}".rstrip()


_TO_INCIDENTS: Final = frozenset({Act.ACKNOWLEDGE, Act.HAND_OVER, Act.NOTE, Act.RESOLVE})


def check_word(word: Word, view: RunView) -> None:
    """Check that this person may say this to this run at this moment.

    Raises:
        DecisionRefused: why not; the text is what the person reads.
    """
    incident = view.incident
    if (word.act in _TO_INCIDENTS) != (incident is not None):
        raise DecisionRefused(Answer.UNREADABLE, run_phrases.OTHER_KIND.format(act=word.act, kind=view.kind))
    state = RunState.RESOLVED if incident is not None and incident.resolution else view.state
    if state.ended:
        said = run_phrases.OVER.format(state=state, act=word.act)
        raise DecisionRefused(Answer.ALREADY_DECIDED, said)
    allowed = view.may_pause if incident is None else incident.may_answer
    if view.state is RunState.PREPARING and not allowed:
        raise DecisionRefused(Answer.UNREADABLE, run_phrases.NOT_READ_YET.format(act=word.act))
    if word.by not in allowed:
        names = ", ".join(allowed) or "nobody"
        raise DecisionRefused(
            Answer.NOT_AN_APPROVER, run_phrases.MAY_NOT.format(by=word.by, act=word.act, names=names)
        )
    if incident is None:
        _check_pause(word, view)
    else:
        _check_answer(word, incident, view)


def _check_pause(word: Word, view: RunView) -> None:
    if word.act is Act.RESUME and not view.paused_by:
        raise DecisionRefused(Answer.ALREADY_DECIDED, run_phrases.NOT_PAUSED)
    if word.act is Act.PAUSE and view.paused_by:
        said = run_phrases.PAUSED_ALREADY.format(by=view.paused_by)
        raise DecisionRefused(Answer.ALREADY_DECIDED, said)
    if word.act is Act.PAUSE and view.state is RunState.ROLLING_BACK:
        raise DecisionRefused(Answer.ALREADY_DECIDED, run_phrases.GOES_BACK)


def _check_answer(word: Word, incident: IncidentView, view: RunView) -> None:
    owner = incident.owner
    if word.act is Act.ACKNOWLEDGE and owner not in {"", word.by}:
        said = run_phrases.HAS_IT.format(owner=owner, run=view.run_id, by=word.by)
        raise DecisionRefused(Answer.ALREADY_DECIDED, said)
    if word.act is Act.RESOLVE and not word.reason.strip():
        raise DecisionRefused(Answer.REASON_NEEDED, run_phrases.WHY_NEEDED)
    if word.act is Act.NOTE and not word.reason.strip():
        raise DecisionRefused(Answer.REASON_NEEDED, run_phrases.NOTE_NEEDED)
    if word.act is Act.HAND_OVER:
        _check_whom(word, owner, view)


def _check_whom(word: Word, owner: str, view: RunView) -> None:
    if not word.to:
        raise DecisionRefused(Answer.UNREADABLE, run_phrases.TO_WHOM)
    person = view.people.named(word.to)
    if person is None:
        raise DecisionRefused(Answer.UNREADABLE, run_phrases.NOBODY.format(to=word.to))
    if word.to == owner:
        raise DecisionRefused(Answer.ALREADY_DECIDED, run_phrases.HAS_IT_ALREADY.format(to=word.to))
    if word.to != word.by and person.telegram_id is None and not person.email:
        raise DecisionRefused(Answer.UNREADABLE, run_phrases.OUT_OF_REACH.format(to=word.to))
