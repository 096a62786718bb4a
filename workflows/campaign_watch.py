"""What follows from a look at the metrics: a breach opens an incident, recovery closes the loop."""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError

from workflows import campaign_calls
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

    async def look(self) -> None:
        """Watch until there is something to tell, and act on it; or renew what is shown, now and then."""
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
        )
        try:
            report = await campaign_calls.look(request)
        except ActivityError as error:
            self._board.show(say=phrases.NOT_WATCHED.format(why=reason(error)))
            await workflow.sleep(_TRY_AGAIN)
            return
        if report.back_at is not None and report.back_at > workflow.now():
            await until(lambda: False, report.back_at)  # a watch whose clock is ahead; else no time is lost
        await self._act_on(report)

    async def _act_on(self, report: LookReport) -> None:
        self._memory.tracker, self._memory.looked_at = report.tracker, report.looked_at
        moment = report.moment
        if moment is not None:
            self._campaign.looked_at, self._campaign.silent = moment.at, moment.silent
            if not moment.silent:
                self._updates.moment = moment
                self._campaign.contexts = context_lines(self._plan.spec.contexts, moment)
        # People are called before anybody is told anything.
        for one in sorted(report.news, key=lambda news: not isinstance(news, BreachBegan)):
            await self._heed(one)
        broken = ", ".join(breach.title for breach in self._campaign.open_breaches)
        self._board.show(
            RunState.WATCHING, phrases.SOME_BROKEN.format(names=broken) if broken else phrases.ALL_WELL
        )

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
                self._board.show(say=said, ping=said)
            case WentSilent():
                blind = phrases.BLIND.format(why=news.why)
                self._board.show(say=blind, ping=blind)
                self._updates.tell_client(Occasion.BLIND)
            case SpeaksAgain():
                self._board.show(say=phrases.SEES_AGAIN, ping=phrases.SEES_AGAIN)

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
        what = breach.journey or breach.said
        title = phrases.BREACH_TITLE.format(campaign=self._plan.spec.title, title=context.title, what=what)
        try:
            breach.incident = await campaign_calls.open_incident(
                breach, self._board, self._plan, title=title[:_TITLE]
            )
        except (ChildWorkflowError, ApplicationError) as error:
            failed = phrases.NO_INCIDENT.format(why=error)
            self._board.show(say=failed, ping=failed)
        self._campaign.breaches.append(breach)
        self._board.show(RunState.WATCHING, said, say=said)
        if breach.incident:
            self._board.show(say=phrases.BREACH_INCIDENT.format(run=breach.incident))
        self._errands.of_breach(breach)
        self._updates.tell_client(Occasion.BREACH, breach)
        self._updates.tell_others(said)

    def _worst_burn(self, context: str) -> float:
        slos = self._updates.moment.slos if self._updates.moment else []
        burns = [reading.long_burn for slo in slos if slo.context == context for reading in slo.burn]
        return max((burn for burn in burns if burn is not None), default=0.0)

    async def _over(self, news: BreachOver) -> None:
        breach = next((b for b in self._campaign.open_breaches if b.context == news.context), None)
        if breach is None:
            return
        breach.ended = news.at
        minutes = max(1, round((news.at - breach.began) / timedelta(minutes=1)))
        said = phrases.RECOVERED.format(title=breach.title, at=f"{news.at:%H:%M} UTC", n=minutes)
        self._board.show(say=said)
        self._updates.tell_client(Occasion.OVER, breach)
        self._updates.tell_others(said)
        if breach.incident:
            note = phrases.RECOVERY_NOTE.format(run=self._board.view.run_id, what=said)
            try:
                await campaign_calls.tell_incident(breach.incident, note)
            except ApplicationError:  # people have resolved it already
                workflow.logger.info("the incident %s is over already", breach.incident)
