"""What people say to a run besides answers to gates: wait, go on, I have it, it is over."""

from enum import StrEnum
from typing import Any, ClassVar, Final

from pydantic import Field, field_validator, model_validator

from holdfast.domain import run_phrases
from holdfast.domain.campaign import COMMANDER, CampaignView
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
    ACCEPT = "accept"  # a role of a campaign's response, named in `to`
    DONE = "done"  # a task of a campaign's checklist, named in `to`
    STOP = "stop"  # a load test
    TEST = "test"  # a campaign's load test, at once


class Word(Signed):
    """One thing said to one run; the approval code covers it.

    Attributes:
        act: what is wanted.
        to: to whom an incident is handed over; which role is accepted; which task is done.
        reason: why a run is paused, what is noted, how an incident was resolved.
    """

    example: ClassVar[str] = '{"act": "acknowledge", "by": "your-name", "code": "…"}'

    act: Act
    to: str = Field(default="", max_length=48)

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


_TO_CAMPAIGNS: Final = frozenset({Act.ACCEPT, Act.DONE, Act.TEST, Act.STOP})
_TO_INCIDENTS: Final = frozenset({Act.ACKNOWLEDGE, Act.HAND_OVER, Act.NOTE, Act.RESOLVE})


def check_word(word: Word, view: RunView) -> None:
    """Check that this person may say this to this run at this moment.

    Raises:
        DecisionRefused: why not; the text is what the person reads.
    """
    if word.act in _TO_CAMPAIGNS or view.campaign is not None or view.load is not None:
        _check_of_campaign(word, view)
        return
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


def _check_of_campaign(word: Word, view: RunView) -> None:
    """Check what is said to a campaign or to a load test."""
    campaign, load = view.campaign, view.load
    fits = {Act.STOP} if load else _TO_CAMPAIGNS - {Act.STOP} | {Act.NOTE} if campaign else set[Act]()
    if word.act not in fits:
        raise DecisionRefused(Answer.UNREADABLE, run_phrases.OTHER_KIND.format(act=word.act, kind=view.kind))
    if view.state.ended:
        said = run_phrases.OVER.format(state=view.state, act=word.act)
        raise DecisionRefused(Answer.ALREADY_DECIDED, said)
    if view.state is RunState.PREPARING and not view.people.people:
        raise DecisionRefused(Answer.UNREADABLE, run_phrases.NOT_READ_YET.format(act=word.act))
    if word.act is Act.NOTE and not word.reason.strip():
        raise DecisionRefused(Answer.REASON_NEEDED, run_phrases.NOTE_NEEDED)
    allowed = load.may_stop if load else _allowed(word, campaign, view) if campaign else []
    if word.by not in allowed:
        names = ", ".join(allowed) or "nobody"
        raise DecisionRefused(
            Answer.NOT_AN_APPROVER, run_phrases.MAY_NOT.format(by=word.by, act=word.act, names=names)
        )


def _allowed(word: Word, campaign: CampaignView, view: RunView) -> list[str]:
    """Return who may say it; refuse where there is no such role or task, or it is done."""
    if word.act is Act.NOTE:
        return [person.name for person in view.people.people]
    if word.act is Act.ACCEPT:
        role = campaign.role(word.to)
        if role is None:
            known = ", ".join(role.name for role in campaign.roles)
            raise DecisionRefused(Answer.UNREADABLE, run_phrases.NO_ROLE.format(to=word.to, known=known))
        if role.person == word.by:
            said = run_phrases.ROLE_IS_YOURS.format(role=role.name)
            raise DecisionRefused(Answer.ALREADY_DECIDED, said)
        return list(dict.fromkeys([*role.asked, *campaign.may_answer]))
    if word.act is Act.DONE:
        task = campaign.task(word.to)
        if task is None:
            known = ", ".join(task.id for task in campaign.tasks if task.done_at is None) or "none"
            raise DecisionRefused(Answer.UNREADABLE, run_phrases.NO_TASK.format(to=word.to, known=known))
        if task.done_at is not None:
            said = run_phrases.TASK_IS_DONE.format(task=task.id, by=task.done_by)
            raise DecisionRefused(Answer.ALREADY_DECIDED, said)
        commander = campaign.role(COMMANDER)
        theirs = [task.person, commander.person if commander else "", *campaign.may_answer]
        return list(dict.fromkeys(name for name in theirs if name))
    if campaign.test_running and word.act is Act.TEST:
        said = run_phrases.TEST_RUNS.format(run=campaign.test_running)
        raise DecisionRefused(Answer.ALREADY_DECIDED, said)
    return campaign.may_answer
