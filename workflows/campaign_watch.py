"""What follows from a look at the metrics: a breach opens an incident, recovery closes the loop."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError
from temporalio.workflow import ChildWorkflowHandle

from workflows import calls, campaign_calls
from workflows.board import Board
from workflows.calls import reason
from workflows.campaign_carrying import Memory
from workflows.campaign_errands import Errands
from workflows.campaign_updates import Updates
from workflows.moments import until

with workflow.unsafe.imports_passed_through():
    from activities.window import LookReport, LookRequest
    from holdfast.domain import campaign_phrases as phrases
    from holdfast.domain.campaign import BreachLine, CampaignView
    from holdfast.domain.client_words import Occasion
    from holdfast.domain.view import RunState
    from holdfast.runbook.campaigns import CampaignPlan
    from holdfast.slo.lines import context_lines
    from holdfast.slo.tracker import BreachBegan, BreachOver, BudgetCrossed, News, SpeaksAgain, WentSilent

_TITLE = 120
_TRY_AGAIN = timedelta(seconds=30)
# A watch that has not come back so long after it should have is carried out by nobody.
_LATE = timedelta(minutes=2)


class Watching:
    """Watches one campaign's window."""

    def __init__(
        self,
        board: Board,
        campaign: CampaignView,
        plan: CampaignPlan,
        *,
        memory: Memory,
        errands: Errands,
        updates: Updates,
    ) -> None:
        """Show on this board what is seen, and act on it by the plan."""
        self._board, self._campaign, self._plan, self._memory = board, campaign, plan, memory
        self._errands, self._updates = errands, updates
        self._unwatched = ""
        self._beside: set[asyncio.Task[None]] = set()

    async def look(self) -> None:
        """Watch until there is something to tell, and act on it; or renew what is shown, now and then."""
        await self._watch()
        # Who was away as the window closed still has to count it whole; the metrics know how it stood then.
        if self._misses_the_end and workflow.patched("last-look"):
            await self._watch()

    @property
    def _misses_the_end(self) -> bool:
        seen, closes = self._memory.looked_at, self._plan.closes
        return workflow.now() >= closes and (seen is None or seen < closes)

    async def _watch(self) -> None:
        now, spec = workflow.now(), self._plan.spec
        # The first look is shown at once: nobody knows yet how anything stands.
        shown_by = now + spec.watch.show_every if self._memory.looked_at else now
        request = LookRequest(
            run=self._board.view.run_id,
            campaign=spec.name,
            contexts=spec.contexts,
            interval=spec.watch.interval,
            breach_after=spec.watch.breach_after,
            recover_after=spec.watch.recover_after,
            baseline=spec.watch.baseline,
            tracker=self._memory.tracker,
            looked_at=self._memory.looked_at,
            back_by=min(shown_by, self._plan.closes),
            opens=self._plan.opens,
            closes=self._plan.closes,
        )
        try:
            report = await self._looked(request)
        except ActivityError as error:
            self._say_not_watched(reason(error))
            await workflow.sleep(_TRY_AGAIN)
            return
        if report is None:
            return
        self._unwatched = ""
        if report.back_at is not None and report.back_at > workflow.now():
            await until(lambda: False, report.back_at)  # a watch whose clock is ahead; else no time is lost
        await self._act_on(report)

    async def _looked(self, request: LookRequest) -> LookReport | None:
        """Return what there is to tell; None where the watch is late, because no worker carries it out."""
        looking = asyncio.create_task(campaign_calls.look(request))
        try:
            await until(looking.done, max(request.back_by, workflow.now()) + _LATE)
        finally:
            looking.cancel()
        if looking.done():
            return looking.result()
        self._say_not_watched(phrases.NO_WATCHER)
        return None

    def _say_not_watched(self, why: str) -> None:
        """Call people's attention to it, once for each reason."""
        said = phrases.NOT_WATCHED.format(why=why)
        self._board.show(headline=said, say=said, ping=None if why == self._unwatched else said)
        self._unwatched = why

    async def _act_on(self, report: LookReport) -> None:
        self._memory.tracker, self._memory.looked_at = report.tracker, report.looked_at
        moment = report.moment
        if moment is not None:
            self._campaign.looked_at, self._campaign.silent = moment.at, moment.silent
            if moment.silent:
                self._memory.moment = (self._memory.moment or moment).recounted(moment)
            else:
                moment = self._memory.moment = moment.remembering(self._memory.moment)
                self._campaign.contexts = context_lines(self._plan.spec.contexts, moment)
                for breach in self._campaign.open_breaches:
                    breach.worst_burn = max(breach.worst_burn, self._worst_burn(breach.context))
        # People are called before anybody is told anything.
        for one in sorted(report.news, key=lambda news: not isinstance(news, BreachBegan)):
            await self._heed(one)
        self._board.show(RunState.WATCHING, self._updates.in_short())

    async def _heed(self, news: News) -> None:
        match news:
            case BreachBegan():
                await self._began(news)
            case BreachOver():
                await self._over(news)
            case BudgetCrossed():
                title = self._plan.spec.contexts[news.context].title
                template = phrases.BUDGET if news.left_percent > 0 else phrases.BUDGET_SPENT
                said = template.format(title=title, n=round(news.left_percent), wanted=news.slo)
                # Who knows that a promise is in breach need not hear what that costs.
                known = any(breach.context == news.context for breach in self._campaign.open_breaches)
                self._board.show(say=said, ping=None if known else said)
            case WentSilent():
                self._went_silent(news)
            case SpeaksAgain():
                self._speaks_again(news)

    def _went_silent(self, news: WentSilent) -> None:
        """Tell the team; the client only where nothing at all is known: a context may have no visitors."""
        blind = phrases.BLIND.format(why=news.why)
        if news.context:
            title = self._plan.spec.contexts[news.context].title
            blind = phrases.CONTEXT_BLIND.format(title=title, why=news.why)
        else:
            self._updates.tell_client(Occasion.BLIND)
        self._board.show(say=blind, ping=blind)

    def _speaks_again(self, news: SpeaksAgain) -> None:
        seen = phrases.SEES_AGAIN
        if news.context:
            seen = phrases.CONTEXT_SEEN.format(title=self._plan.spec.contexts[news.context].title)
        else:
            self._updates.tell_client(Occasion.UPDATE)
        self._board.show(say=seen, ping=seen)

    async def _began(self, news: BreachBegan) -> None:
        """Call people first; then tell everybody else."""
        context = self._plan.spec.contexts[news.context]
        journeys = [context.slos[slo].journey for slo in news.slos if context.slos[slo].journey]
        breach = BreachLine(
            number=len(self._campaign.breaches) + 1,
            context=news.context,
            title=context.title,
            slos=list(news.slos),
            journey=journeys[0] if journeys else "",
            began=news.at,
            said="; ".join(news.said),
            worst_burn=self._worst_burn(news.context),
        )
        said = phrases.BREACH.format(title=context.title, what=breach.said)
        template = phrases.BREACH_TITLE if breach.journey else phrases.BREACH_UNNAMED
        title = template.format(campaign=self._plan.spec.title, title=context.title, what=breach.journey)
        await self._open_incident(breach, title[:_TITLE])
        self._campaign.breaches.append(breach)
        self._board.show(RunState.WATCHING, said, say=said)
        if breach.incident:
            self._board.show(say=phrases.BREACH_INCIDENT.format(run=breach.incident))
        self._errands.of_breach(breach)
        self._updates.tell_client(Occasion.BREACH, breach)
        self._updates.tell_others(said)

    async def _open_incident(self, breach: BreachLine, title: str) -> None:
        try:
            breach.incident, run = await campaign_calls.open_incident(
                breach, self._board, self._plan, title=title
            )
        except FailureError as error:
            self._follow(self._call_owners(breach, str(error)))
        else:
            self._follow(self._see_it_begin(breach, run))

    def _follow(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it beside the watch."""
        task = asyncio.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def _see_it_begin(self, breach: BreachLine, run: ChildWorkflowHandle[Any, Any] | None) -> None:
        """Call the owners where an incident's run cannot read its files: it calls nobody."""
        try:
            if run is not None:
                await run
        except FailureError as error:
            cause = error.cause
            if isinstance(cause, ApplicationError) and cause.type == "IncidentFailed":
                breach.incident = ""
                await self._call_owners(breach, cause.message)

    async def _call_owners(self, breach: BreachLine, why: str) -> None:
        failed = phrases.NO_INCIDENT.format(why=why)
        self._board.show(say=failed, ping=failed)
        text = phrases.NOBODY_CALLED.format(campaign=self._plan.spec.title, title=breach.title, why=why)
        for name in self._plan.owners:
            person = self._plan.people.named(name)
            if person is None:
                continue
            try:
                await calls.tell_person(person, text, summary=f"tell {person.name} how it goes")
            except ActivityError as error:
                self._board.show(say=phrases.NOT_TOLD.format(name=name, why=reason(error)))

    def _worst_burn(self, context: str) -> float:
        slos = self._memory.moment.slos if self._memory.moment else []
        burns = [reading.long_burn for slo in slos if slo.context == context for reading in slo.burn]
        return max((burn for burn in burns if burn is not None), default=0.0)

    async def _over(self, news: BreachOver) -> None:
        breach = next((b for b in self._campaign.open_breaches if b.context == news.context), None)
        if breach is None:
            return
        breach.ended = news.well_since
        minutes = max(1, round((breach.ended - breach.began) / timedelta(minutes=1)))
        at = f"{breach.ended.astimezone(UTC):%H:%M} UTC"
        said = phrases.RECOVERED.format(title=breach.title, at=at, n=minutes)
        self._board.show(say=said)
        self._updates.tell_client(Occasion.OVER, breach)
        self._updates.tell_others(said)
        if breach.incident:
            note = phrases.RECOVERY_NOTE.format(run=self._board.view.run_id, what=said)
            try:
                await campaign_calls.tell_incident(breach.incident, note)
            except FailureError:  # people have resolved it already
                workflow.logger.info("the incident %s is over already", breach.incident)
