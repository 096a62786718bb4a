"""Who may say what to a campaign."""

import pytest

from holdfast.domain.campaign import COMMANDER
from holdfast.domain.decisions import Answer
from holdfast.domain.errors import DecisionRefused
from holdfast.domain.people import People
from holdfast.domain.view import RunView
from holdfast.domain.words import Act, Word, check_word
from tests.campaign_views import a_campaign


def campaign() -> RunView:
    """Return a campaign whose commander is `vera`, who may not start it; `boris` is known besides."""
    people = People.model_validate({"people": [{"name": name, "title": name} for name in ("vera", "boris")]})
    view = a_campaign().model_copy(update={"people": people}, deep=True)
    assert view.campaign is not None
    view.campaign.may_answer = ["anna"]
    commander = view.campaign.role(COMMANDER)
    assert commander is not None
    commander.person = "vera"
    return view


def open_task(view: RunView) -> str:
    assert view.campaign is not None
    return next(task.id for task in view.campaign.tasks if task.done_at is None)


def test_the_commander_who_hears_of_late_tasks_may_tick_them_off() -> None:
    view = campaign()

    check_word(Word(act=Act.DONE, by="vera", to=open_task(view)), view)

    with pytest.raises(DecisionRefused) as refused:
        check_word(Word(act=Act.DONE, by="boris", to=open_task(view)), view)
    assert refused.value.answer is Answer.NOT_AN_APPROVER


def test_whoever_is_known_may_note_something_and_nobody_else() -> None:
    view = campaign()

    check_word(Word(act=Act.NOTE, by="boris", reason="the CRM is slow"), view)

    with pytest.raises(DecisionRefused) as refused:
        check_word(Word(act=Act.NOTE, by="mallory", reason="the CRM is slow"), view)
    assert refused.value.answer is Answer.NOT_AN_APPROVER
