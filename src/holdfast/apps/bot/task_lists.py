"""Roles and tasks of campaigns as lines and buttons of a chat."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup

from holdfast.apps.bot import tasking_texts as texts
from holdfast.apps.bot.texts import fill, say
from holdfast.apps.bot.times import shown
from holdfast.domain.campaign import RoleLine, TaskLine
from holdfast.domain.people import People, Person
from holdfast.domain.proofs import Keyring
from holdfast.domain.view import RunView
from holdfast.domain.words import Act

_CALLBACK_BYTES: Final = 64
_LABEL: Final = 40
_MOST_BUTTONS: Final = 20


@dataclass(frozen=True)
class Item:
    """A role or a task of a campaign.

    Attributes:
        view: of the campaign's run.
        line: the role or task.
        can: whether the person may accept it, or tick it off, now.
    """

    view: RunView
    line: RoleLine | TaskLine
    can: bool

    @property
    def act(self) -> Act:
        """What its button says."""
        return Act.ACCEPT if isinstance(self.line, RoleLine) else Act.DONE

    @property
    def to(self) -> str:
        """Name of the role, or id of the task."""
        return self.line.name if isinstance(self.line, RoleLine) else self.line.id


def everything_of(view: RunView, person: Person) -> list[Item]:
    """Return all roles and open tasks of a campaign: what is open first, tasks by their deadlines."""
    campaign = view.campaign
    if campaign is None:
        return []
    may_all = person.name in campaign.may_answer
    roles = [
        Item(view, role, not role.person and (may_all or person.name in role.asked)) for role in campaign.roles
    ]
    tasks = [
        Item(view, task, may_all or task.person == person.name)
        for task in sorted(campaign.tasks, key=lambda task: task.due)
        if task.done_at is None
    ]
    return [*sorted(roles, key=lambda item: bool(item.line.person)), *tasks]


def mine(views: Iterable[RunView], person: Person) -> list[Item]:
    """Return what is asked of this person: roles that wait for an answer, tasks, and the roles they have."""
    items = [item for view in views for item in everything_of(view, person) if _is_mine(item, person)]
    return sorted(items, key=_urgency)


def lines_of(items: Sequence[Item], person: Person, people: People) -> list[str]:
    """Return a paragraph of HTML for each."""
    return [_line(item, person, people) for item in items]


def buttons_of(items: Sequence[Item], keyring: Keyring, person: Person) -> InlineKeyboardMarkup:
    """Return a button for each that the person may accept or tick off."""
    made = (_button(item, keyring, person) for item in items if item.can)
    return InlineKeyboardMarkup(inline_keyboard=[[button] for button in made if button][:_MOST_BUTTONS])


def _is_mine(item: Item, person: Person) -> bool:
    if isinstance(item.line, RoleLine):
        waits = not item.line.person and person.name in item.line.asked
        return waits or item.line.person == person.name
    return item.line.person == person.name


def _urgency(item: Item) -> tuple[int, datetime]:
    if isinstance(item.line, TaskLine):
        return 1, item.line.due
    return (0 if not item.line.person else 2), item.view.started_at


def _line(item: Item, person: Person, people: People) -> str:
    common = {"title": item.line.title, "campaign": item.view.title, "run": item.view.run_id}
    if isinstance(item.line, RoleLine):
        return _role(item.line, person, people, common)
    name = _title(item.line.person, people) or item.line.owner
    template = texts.TASK_LATE if item.line.overdue else texts.TASK_OPEN
    return fill(template, task=item.line.id, name=name, until=shown(item.line.due, person.zone), **common)


def _role(role: RoleLine, person: Person, people: People, common: dict[str, str]) -> str:
    if role.person == person.name:
        return fill(texts.ROLE_YOURS, role=role.name, **common)
    if role.person:
        return fill(texts.ROLE_TAKEN, role=role.name, name=_title(role.person, people), **common)
    if person.name in role.asked:
        return fill(texts.ROLE_ASKED, role=role.name, **common)
    names = ", ".join(_title(name, people) for name in role.asked) or say(texts.NOBODY)
    return fill(texts.ROLE_OPEN, role=role.name, names=names, **common)


def _title(name: str, people: People) -> str:
    person = people.named(name) if name else None
    return person.title if person else name


def _button(item: Item, keyring: Keyring, person: Person) -> InlineKeyboardButton | None:
    """Return a button for this person only; None when the run's id is too long for one."""
    run, act = item.view.run_id, item.act
    data = f"t:{run}:{act.value[:1]}{keyring.button(run, act, item.to, person.name)}"
    if len(data.encode()) > _CALLBACK_BYTES:
        return None
    template = texts.ROLE_BUTTON if act is Act.ACCEPT else texts.TASK_BUTTON
    return InlineKeyboardButton(text=say(template, title=item.line.title)[:_LABEL], callback_data=data)
