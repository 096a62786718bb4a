"""The communication protocol: who is told how it goes, by timers, so that no update is forgotten."""

from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows import calls, campaign_calls, options
from workflows.board import Board
from workflows.calls import reason
from workflows.campaign_carrying import Memory
from workflows.moments import until

with workflow.unsafe.imports_passed_through():
    from activities.announcing import AnnounceRequest
    from holdfast.domain import campaign_phrases as phrases
    from holdfast.domain.campaign import BreachLine, CampaignView, Phase
    from holdfast.domain.client_words import ClientNews, Occasion, PromiseLine
    from holdfast.runbook.campaigns import CampaignPlan
    from holdfast.runbook.kinds.campaign import Update
    from holdfast.slo.status import SloStatus

_CLIENT, _TEAM = "client", "team"


class Updates:
    """Who is told what of one campaign."""

    def __init__(self, board: Board, campaign: CampaignView, plan: CampaignPlan, memory: Memory) -> None:
        """Tell what this board shows, to whom the plan says."""
        self._board, self._campaign, self._plan, self._memory = board, campaign, plan, memory
        self._queue: list[Callable[[], Awaitable[None]]] = []
        self._telling = False

    async def keep_telling(self) -> None:
        """Tell whoever is due, until cancelled."""
        while True:
            due = self._next_due()
            await until(lambda: bool(self._queue) or self._next_due() != due, due)  # noqa: B023  awaited here
            self._telling = True
            for number, update in self._due_now():
                await self._tell(number, update)
            while self._queue:
                await self._queue.pop(0)()
            self._telling = False

    def begin(self) -> None:
        """Tell the client that the window is open; from here on the others' updates count."""
        for number in range(len(self._plan.spec.response.updates)):
            self._memory.told[number] = workflow.now()
        self.tell_client(Occasion.OPENED)

    def tell_client(self, occasion: Occasion, breach: BreachLine | None = None) -> None:
        """Tell the client something at once; where the client has no channel, nobody is told."""
        if self._plan.spec.client.telegram_chat is not None:
            self._queue.append(partial(self._send, self._news(occasion, breach)))
            for number, update in enumerate(self._plan.spec.response.updates):
                if update.audience == _CLIENT:
                    self._memory.told[number] = workflow.now()

    @property
    def is_quiet(self) -> bool:
        """Whether everything that is queued is told."""
        return not self._queue and not self._telling

    async def all_told(self) -> None:
        """Wait until everything that is queued is told, or give up after a minute."""
        try:
            await workflow.wait_condition(lambda: self.is_quiet, timeout=options.CARD_BEFORE_NEW)
        except TimeoutError:
            workflow.logger.warning("somebody was not told how it goes")

    def tell_others(self, text: str) -> None:
        """Tell the team and the roles of the protocol at once that a breach began or is over."""
        for number, update in enumerate(self._plan.spec.response.updates):
            if update.audience != _CLIENT and update.during_breach is not None:
                self._memory.told[number] = workflow.now()
                if update.audience != _TEAM:
                    self._queue.append(partial(self._tell_role, update.audience, text))
        self._board.show(ping=text)

    # --- how --------------------------------------------------------------------------------------------

    def _every(self, update: Update) -> timedelta | None:
        broken = bool(self._campaign.open_breaches)
        return update.during_breach or update.every if broken else update.every

    def _dues(self) -> Iterator[tuple[datetime, int, Update]]:
        if self._campaign.phase is not Phase.OPEN:
            return
        for number, update in enumerate(self._plan.spec.response.updates):
            every = self._every(update)
            if every is not None:
                yield self._memory.told.get(number, self._campaign.opens) + every, number, update

    def _next_due(self) -> datetime | None:
        return min((at for at, _, _ in self._dues()), default=None)

    def _due_now(self) -> list[tuple[int, Update]]:
        now = workflow.now()
        return [(number, update) for at, number, update in self._dues() if at <= now]

    async def _tell(self, number: int, update: Update) -> None:
        self._memory.told[number] = workflow.now()
        if update.audience == _CLIENT:
            self.tell_client(Occasion.BLIND if self._campaign.silent else Occasion.UPDATE)
            return
        in_short = self.in_short()
        if update.audience == _TEAM:
            self._board.show(ping=phrases.UPDATE.format(what=in_short))
            return
        await self._tell_role(update.audience, in_short)

    async def _tell_role(self, name: str, what: str) -> None:
        """Write to whoever has the role in private; nobody may have it yet."""
        role = self._campaign.role(name)
        person = self._plan.people.named(role.person) if role else None
        if person is None:
            return
        try:
            text = phrases.UPDATE_OF.format(campaign=self._plan.spec.title, what=what)
            await calls.tell_person(person, text, summary=f"tell {person.name} how it goes")
        except ActivityError as error:
            self._board.show(say=phrases.NOT_TOLD.format(name=person.name, why=reason(error)))

    def in_short(self) -> str:
        """Say in one sentence how it goes."""
        if self._campaign.silent:
            return phrases.BLIND.format(why=self._campaign.silent)
        broken = [breach.title for breach in self._campaign.open_breaches]
        return phrases.SOME_BROKEN.format(names=", ".join(broken)) if broken else phrases.ALL_WELL

    async def _send(self, news: ClientNews) -> None:
        chat = self._plan.spec.client.telegram_chat
        if chat is None:
            return
        self._memory.news += 1
        key = f"client/{self._board.view.run_id}/{self._memory.news}"
        try:
            await campaign_calls.tell_client(AnnounceRequest(chat=chat, news=news, key=key))
        except ActivityError as error:
            self._board.show(say=phrases.NOT_TOLD.format(name=self._campaign.client, why=reason(error)))
            return
        self._board.show(say=phrases.CLIENT_TOLD, quietly=True)

    def _news(self, occasion: Occasion, breach: BreachLine | None) -> ClientNews:
        spec, now = self._plan.spec, workflow.now()
        every = next((self._every(u) for u in spec.response.updates if u.audience == _CLIENT), None)
        ended = breach.ended if breach else None
        return ClientNews(
            occasion=occasion,
            title=spec.title,
            language=spec.client.language,
            time_zone=spec.client.time_zone,
            at=ended or now,
            closes=self._plan.closes,
            limits=self._campaign.limits,
            promises=self._promises(),
            disturbed=bool(self._campaign.open_breaches),
            context=breach.title if breach else "",
            journey=breach.journey if breach else "",
            since=breach.began if breach else None,
            minutes=_minutes(breach.began, ended) if breach and ended else 0,
            next_at=now + every if every and self._campaign.phase is Phase.OPEN else None,
            breaches=len(self._campaign.breaches),
        )

    def _promises(self) -> list[PromiseLine]:
        slos = self._memory.moment.slos if self._memory.moment else []
        now, closes = workflow.now(), self._plan.closes
        # While nothing happens the watch comes back so often, and what it counted since is not known here.
        at = closes if now >= closes else now - self._plan.spec.watch.show_every
        return [_promise(slo, at) for slo in slos]


def _promise(slo: SloStatus, at: datetime) -> PromiseLine:
    line = PromiseLine(promise=slo.promise, left_percent=slo.budget_left_percent)
    if slo.window is None:
        return line
    counted = {
        "sli_percent": slo.window.sli_percent,
        "objective_percent": slo.objective_percent,
        "kept": slo.window.kept,
        "counted_until": slo.window.stopped_at(at),
    }
    return line.model_copy(update=counted)


def _minutes(since: datetime, until_: datetime) -> int:
    return max(1, round((until_ - since) / timedelta(minutes=1)))
