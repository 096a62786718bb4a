"""Asks people for roles and tasks, and asks again, so that nothing on a campaign's checklist is forgotten."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows import campaign_calls, options
from workflows.board import Board
from workflows.calls import call, reason
from workflows.campaign_carrying import Asking, Memory
from workflows.moments import until

with workflow.unsafe.imports_passed_through():
    from activities.errands import ErrandRequest
    from activities.paging import PagingActivities, RetirePages
    from holdfast.domain import campaign_phrases as phrases
    from holdfast.domain.calendar import next_working_moment
    from holdfast.domain.campaign import COMMANDER, BreachLine, CampaignView, RoleLine, TaskLine
    from holdfast.domain.words import Act, Word
    from holdfast.runbook.campaigns import CampaignPlan

# Whoever has not done an overdue task is asked again so often, so many times.
_LATE_AGAIN = timedelta(hours=1)
_LATE_TIMES = 3


@dataclass(frozen=True)
class _Errand:
    """What somebody is asked for."""

    act: Act
    to: str
    text: str
    due: datetime | None = None


class Errands:
    """The roles and the checklist of one campaign; what is asked stands in its memory."""

    def __init__(self, board: Board, campaign: CampaignView, plan: CampaignPlan, memory: Memory) -> None:
        """Ask for what the plan wants, on this board."""
        self._board, self._campaign, self._plan, self._memory = board, campaign, plan, memory
        self._changed = False
        self._asking = False
        self._resting = False
        self._farewells: set[asyncio.Task[None]] = set()
        if not campaign.roles:
            self._list_all()

    async def keep_asking(self) -> None:
        """Ask whoever is due, until cancelled; costs no history between two moments."""
        while True:
            self._changed = False
            self._asking = True
            await self._ask_whoever_is_due()
            self._asking = False
            due = min(self._moments(), default=None)
            await until(lambda: self._changed and not self._resting, due)
            await workflow.wait_condition(lambda: not self._resting)

    def rest(self) -> None:
        """Begin to ask nobody any more, because the run continues as new."""
        self._resting = True

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is being sent."""
        return not self._asking and not self._farewells

    def wake(self) -> None:
        """Ask again."""
        self._resting = False

    def accepted(self, word: Word) -> str:
        """Give a role to somebody; the tasks of the role are theirs from here on."""
        role = next(role for role in self._campaign.roles if role.name == word.to)
        role.person, role.accepted_at, role.next_at = word.by, workflow.now(), None
        asking = self._memory.roles.setdefault(role.name, Asking())
        asking.next_at = None
        taken = _taken(role)
        self._say_goodbye(asking, taken)
        for task in self._campaign.tasks:
            if task.owner == role.name and task.done_at is None:
                task.person = word.by
                # Asked anew, under another number: the same one counts as sent already.
                asking = self._memory.tasks.setdefault(task.id, Asking())
                asking.next_at = workflow.now()
                self._say_goodbye(asking, taken)
        self._board.show(say=taken)
        self._changed = True
        return phrases.SAID_ROLE.format(title=role.title)

    def done(self, word: Word) -> str:
        """Tick off a task."""
        task = next(task for task in self._campaign.tasks if task.id == word.to)
        task.done_by, task.done_at, task.overdue = word.by, workflow.now(), False
        said = _ticked_off(task)
        self._say_goodbye(self._memory.tasks.setdefault(task.id, Asking()), said)
        self._board.show(say=said)
        return phrases.SAID_DONE.format(title=task.title)

    def of_breach(self, breach: BreachLine) -> None:
        """Put the tasks of a breach on the checklist."""
        for task in self._plan.spec.response.tasks:
            if task.after_breach is not None:
                role = self._campaign.role(task.owner)
                self._campaign.tasks.append(
                    TaskLine(
                        id=f"{task.name}.{breach.number}",
                        title=task.title,
                        owner=task.owner,
                        person=role.person if role else "",
                        due=breach.began + task.after_breach,
                        breach=breach.number,
                    )
                )
        self._changed = True

    async def retire(self, text: str) -> None:
        """Take the buttons off everything that was asked and say in it why."""
        for asking in (*self._memory.roles.values(), *self._memory.tasks.values()):
            self._say_goodbye(asking, text)
        await workflow.wait_condition(lambda: not self._farewells)

    # --- how --------------------------------------------------------------------------------------------

    def _list_all(self) -> None:
        response = self._plan.spec.response
        self._campaign.roles = [
            RoleLine(name=name, title=role.title, next_at=workflow.now())
            for name, role in response.roles.items()
        ]
        self._campaign.tasks = [
            TaskLine(id=task.name, title=task.title, owner=task.owner, due=self._due(task.before))
            for task in response.tasks
            if task.before is not None
        ]

    def _due(self, before: timedelta) -> datetime:
        """Return a deadline; one that is past already is the window's opening, or an hour from now."""
        now = workflow.now()
        coming = (at for at in (self._plan.opens - before, self._plan.opens) if at > now)
        return next(coming, now + _LATE_AGAIN)

    def _moments(self) -> list[datetime]:
        roles = [role.next_at for role in self._campaign.roles if not role.person and role.next_at]
        tasks = [self._memory.tasks.get(task.id, Asking()).next_at for task in self._open_tasks()]
        return [*roles, *(at for at in tasks if at is not None)]

    def _open_tasks(self) -> list[TaskLine]:
        return [task for task in self._campaign.tasks if task.done_at is None]

    async def _ask_whoever_is_due(self) -> None:
        for role in self._campaign.roles:
            if not role.person and role.next_at is not None and workflow.now() >= role.next_at:
                await self._ask_for_role(role)
        for task in self._open_tasks():
            asking = self._memory.tasks.setdefault(task.id, Asking())
            if not task.person and workflow.now() < task.due:
                asking.next_at = task.due  # nobody has the role yet; when it is due, somebody must hear of it
            elif asking.number == 0 or (asking.next_at is not None and workflow.now() >= asking.next_at):
                await self._ask_for_task(task, asking)

    async def _ask_for_role(self, role: RoleLine) -> None:
        """Ask the next candidate, or all those again who were asked before."""
        spec = self._plan.spec.response.roles[role.name]
        asking = self._memory.roles.setdefault(role.name, Asking())
        asking.number += 1
        try:
            names = await campaign_calls.candidates(spec, self._plan)
        except ActivityError as error:
            self._board.show(say=phrases.NOT_ASKED.format(name=role.name, why=reason(error)))
            names = []
        fresh = [name for name in names if name not in role.asked]
        due = workflow.now() + spec.accept_within
        errand = _Errand(Act.ACCEPT, role.name, self._role_text(role), due)
        for name in fresh[:1] or self._awake(role):
            await self._ask(name, errand, asking, over=lambda: _taken(role))
            if name not in role.asked:
                role.asked.append(name)
                self._board.show(say=phrases.ROLE_ASKED.format(name=name, title=role.title))
        if not names and not role.asked and asking.number == 1:
            nobody = phrases.ROLE_NOBODY.format(title=role.title)
            self._board.show(say=nobody, ping=nobody)
        role.next_at = due if fresh[1:] else self._again_at(role, due)

    def _awake(self, role: RoleLine) -> list[str]:
        """Return who may be asked once more: before the window only who works at this moment."""
        return [name for name in role.asked if self._may_be_asked(name, workflow.now()) == workflow.now()]

    def _again_at(self, role: RoleLine, at: datetime) -> datetime:
        return min((self._may_be_asked(name, at) for name in role.asked), default=at)

    def _may_be_asked(self, name: str, at: datetime) -> datetime:
        person = self._plan.people.named(name)
        if person is None or at >= self._plan.opens:
            return at
        return min(next_working_moment(person, at), self._plan.opens)

    def _role_text(self, role: RoleLine) -> str:
        closes = f"{self._plan.closes.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        return phrases.ERRAND_ROLE.format(title=role.title, campaign=self._plan.spec.title, until=closes)

    async def _ask_for_task(self, task: TaskLine, asking: Asking) -> None:
        """Ask whoever has the role; when it is late, the commander hears of it too."""
        late = workflow.now() >= task.due
        asking.number += 1
        asking.next_at = task.due
        names = [task.person] if task.person else []
        if late:
            commander = self._campaign.role(COMMANDER)
            names += [commander.person] if commander and commander.person else list(self._plan.owners)
            asking.next_at = workflow.now() + _LATE_AGAIN if asking.number <= _LATE_TIMES else None
            self._say_late(task)
        template = phrases.ERRAND_LATE if late else phrases.ERRAND_TASK
        text = template.format(campaign=self._plan.spec.title, title=task.title)
        errand = _Errand(Act.DONE, task.id, text, task.due)
        for name in dict.fromkeys(names):
            await self._ask(name, errand, asking, over=lambda: _ticked_off(task))

    def _say_late(self, task: TaskLine) -> None:
        if not task.overdue:
            task.overdue = True
            late = phrases.TASK_OVERDUE.format(title=task.title, owner=task.person or task.owner)
            self._board.show(say=late, ping=late)

    async def _ask(self, name: str, errand: _Errand, asking: Asking, *, over: Callable[[], str]) -> None:
        """Ask one person, unless it is over; that may come while a message is under way."""
        if over():
            return
        request = ErrandRequest(
            view=self._board.view,
            people=self._plan.people,
            name=name,
            text=errand.text,
            act=errand.act,
            to=errand.to,
            due=errand.due,
            number=asking.number,
            key=f"errand/{self._board.view.run_id}/{errand.to}/{name}/{asking.number}",
        )
        try:
            sent = await campaign_calls.ask_person(request)
        except ActivityError as error:
            self._board.show(say=phrases.NOT_ASKED.format(name=name, why=reason(error)))
            return
        asking.pages = [*asking.pages, *sent.pages]
        if over():
            self._say_goodbye(asking, over())
        for trouble in sent.troubles:
            self._board.show(say=phrases.NOT_ASKED.format(name=name, why=trouble), quietly=True)

    def _say_goodbye(self, asking: Asking, text: str) -> None:
        """Take the buttons off what is answered; nobody has to wait for that."""
        if not asking.pages:
            return
        pages, asking.pages = asking.pages, []
        task = asyncio.create_task(_retired(RetirePages(pages=pages, text=text)))
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)


def _taken(role: RoleLine) -> str:
    """Say who has the role; empty while nobody has."""
    return phrases.ROLE_TAKEN.format(by=role.person, title=role.title) if role.person else ""


def _ticked_off(task: TaskLine) -> str:
    """Say who has done it; empty while nobody has."""
    return phrases.TASK_DONE.format(by=task.done_by, title=task.title) if task.done_by else ""


async def _retired(request: RetirePages) -> None:
    try:
        await call(
            PagingActivities.retire_pages,
            request,
            returns=type(None),
            task_queue=options.CHAT_QUEUE,
            start_to_close_timeout=options.RETIRE_ATTEMPT,
            schedule_to_close_timeout=options.LAST_CARD,
            summary="take the buttons off",
        )
    except ActivityError as error:
        workflow.logger.warning("messages keep their buttons: %s", reason(error))
