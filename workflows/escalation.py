"""Calls people to an incident, step by step, round by round, until somebody answers."""

from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows import options
from workflows.board import Board
from workflows.calls import call, reason
from workflows.incident_carrying import Ladder
from workflows.moments import until

with workflow.unsafe.imports_passed_through():
    from activities.paging import PagedStep, PageRequest, PagingActivities, RetirePages
    from holdfast.domain import run_phrases
    from holdfast.domain.escalation import Call, next_call
    from holdfast.domain.people import People
    from holdfast.domain.view import IncidentView
    from holdfast.runbook.incidents import IncidentPlan


_LOG_LINES = 6


class Escalation:
    """The ladder of one incident.

    Attributes:
        ladder: where it stands; carried into a continued run.
    """

    def __init__(self, board: Board, incident: IncidentView, plan: IncidentPlan, ladder: Ladder) -> None:
        """Call people to the incident on this board, by the plan's policy."""
        self._board, self._incident, self._plan, self.ladder = board, incident, plan, ladder
        self._policy = plan.policy
        self._answered: Callable[[], bool] = lambda: False

    async def call_until(self, answered: Callable[[], bool]) -> None:
        """Call whoever is due, until it is answered; costs no history between two calls."""
        self._answered = answered
        while not answered():
            if self.ladder.handing:
                await self._call_alone()
            elif self.ladder.due is None or workflow.now() >= self.ladder.due:
                await self._call_next()
            if not answered():
                self._incident.next_call = self.ladder.due
                self._board.show()
            if self.ladder.due is not None:  # else nobody was reached, so nobody is waited for
                await until(lambda: answered() or self.ladder.handing, self.ladder.due)

    async def retire(self, text: str) -> None:
        """Take the buttons off all calls and say in them why; a chat that is down is waited for, for a day."""
        if not self.ladder.pages:
            return
        request = RetirePages(pages=self.ladder.pages, text=text)
        try:
            await call(
                PagingActivities.retire_pages,
                request,
                returns=type(None),
                task_queue=options.CHAT_QUEUE,
                start_to_close_timeout=options.RETIRE_ATTEMPT,
                schedule_to_close_timeout=options.LAST_CARD,
                summary="take the buttons off the calls",
            )
        except ActivityError as error:
            workflow.logger.warning("calls keep their buttons: %s", reason(error))

    # --- how --------------------------------------------------------------------------------------------

    async def _call_alone(self) -> None:
        """Call whom it is handed over to; without an answer the first step follows, with that person first."""
        ladder, wait = self.ladder, self._policy.steps[0].wait
        ladder.handing = False
        said = run_phrases.CALLED_TO_TAKE_OVER.format(names=ladder.to, by=ladder.by)
        paged = await self._paged(Call(0, 1), wait, following=1)
        if not ladder.handing:  # else it was handed on meanwhile
            self._tell(said if paged.reached else "")
            ladder.due = workflow.now() + wait if paged.reached else None

    async def _call_next(self) -> None:
        """Call the step that is due, and set when the next one is."""
        ladder = self.ladder
        if ladder.all_called:
            await self._call_again()
            return
        place = Call(ladder.step, ladder.round)
        wait, following = self._policy.steps[place.step - 1].wait, next_call(self._policy, place)
        paged = await self._paged(place, wait, following=following.step if following else place.step)
        if ladder.handing:
            return  # it begins anew
        self._tell(self._called(place, paged))
        ladder.to = ladder.by = ladder.why = ""
        ladder.reached = ladder.reached or bool(paged.reached)
        ladder.due = workflow.now() + wait if paged.reached else None
        # Where nobody can be reached at all, further rounds would only be over sooner.
        in_vain = place.step == len(self._policy.steps) and not ladder.reached
        if following is None or in_vain:
            ladder.all_called = True
        else:
            ladder.reached = ladder.reached and following.round == place.round
            ladder.step, ladder.round = following

    async def _call_again(self) -> None:
        """Say that nobody answers; from then on call those again who come last and can be reached."""
        ladder, last = self.ladder, len(self._policy.steps)
        if not ladder.said_so:
            ladder.said_so = True
            self._board.show(
                headline=run_phrases.NOBODY_ANSWERS,
                say=run_phrases.NOBODY_ANSWERS,
                ping=run_phrases.NOBODY_ANSWERS,
            )
        else:
            for step in range(last, 0, -1):
                place = Call(step, ladder.round)
                paged = await self._paged(place, options.CALLED_AGAIN_EVERY, following=last)
                if ladder.handing:
                    return
                self._board.show(say=self._called(place, paged))
                if paged.reached or self._answered():
                    break
        ladder.due = workflow.now() + options.CALLED_AGAIN_EVERY

    async def _paged(self, place: Call, wait: timedelta, *, following: int) -> PagedStep:
        """Call a step for at most as long as it waits; show who was called, and who was not and why."""
        ladder, incident, view = self.ladder, self._incident, self._board.view
        if place.step:
            incident.step, incident.round = place
        # What is sent is to say when the next ones are called if nobody answers.
        told = incident.model_copy(update={"next_call": workflow.now() + wait})
        request = PageRequest(
            view=view.model_copy(
                update={"log": view.log[-_LOG_LINES:], "people": People(), "stages": [], "incident": told}
            ),
            policy=self._policy,
            people=self._plan.people,
            step=place.step,
            round=place.round,
            to=ladder.to,
            by=ladder.by,
            why=ladder.why,
            next_step=following,
            numbers=ladder.numbers,
            earlier=ladder.pages,
        )
        within = max(wait, options.ATTEMPT)
        try:
            paged = await call(
                PagingActivities.page_step,
                request,
                returns=PagedStep,
                task_queue=options.CHAT_QUEUE,
                start_to_close_timeout=within,
                schedule_to_close_timeout=within,
                heartbeat_timeout=options.HEARTBEAT,
                summary=f"call step {place.step}, round {place.round}" if place.step else f"call {ladder.to}",
            )
        except ActivityError as error:
            paged = PagedStep(pages=ladder.pages, troubles=[reason(error)], answering=incident.may_answer)
        self._take_in(paged)
        return paged

    def _take_in(self, paged: PagedStep) -> None:
        ladder, incident = self.ladder, self._incident
        ladder.pages = paged.pages
        for name in paged.settled:
            ladder.numbers[name] = ladder.numbers.get(name, 0) + 1
        incident.called = list(dict.fromkeys([*incident.called, *paged.reached]))
        incident.may_answer = list(dict.fromkeys([*incident.may_answer, *paged.reached, *paged.answering]))
        incident.next_called = paged.next_called
        for trouble in paged.troubles:
            self._board.show(say=trouble, quietly=True)

    def _called(self, place: Call, paged: PagedStep) -> str:
        said = run_phrases.CALLED if paged.reached else run_phrases.NOBODY_REACHED
        return said.format(
            names=", ".join(paged.reached),
            step=place.step,
            steps=len(self._policy.steps),
            round=place.round,
        )

    def _tell(self, said: str) -> None:
        """Show what was done, unless somebody has answered meanwhile."""
        if said:
            self._board.show(headline=None if self._answered() else said, say=said)
