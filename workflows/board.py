"""Shows a run to people: the page in the Temporal UI at once, the chat message as soon as the chat takes it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributeUpdate
from temporalio.exceptions import ActivityError, ApplicationError

from workflows import options
from workflows.calls import call, reason

with workflow.unsafe.imports_passed_through():
    from activities.telling import CardRequest, PingRequest, TellingActivities
    from holdfast.domain import run_phrases
    from holdfast.domain.details import details
    from holdfast.domain.people import People
    from holdfast.domain.view import LogLine, MessageRef, RunState, RunView, StageView
    from holdfast.runbook.plan import Plan, describe_change

STATE_ATTRIBUTE = SearchAttributeKey.for_keyword("HoldfastState")
RUNBOOK_ATTRIBUTE = SearchAttributeKey.for_keyword("HoldfastRunbook")
WAITS_FOR_ATTRIBUTE = SearchAttributeKey.for_keyword_list("HoldfastWaitsFor")
_LOG_LINES = 30
_CARD_LOG_LINES = 6


@dataclass(frozen=True)
class Doing:
    """What the run does, which a pause hides from the view."""

    state: RunState
    headline: str


@dataclass(frozen=True)
class Ping:
    """A call for people's attention; `about` is the gate that was open then."""

    text: str
    about: str = ""


class Board:
    """The one place where a run's view changes; `view` and `message` are carried into a continued run.

    Attributes:
        waits_for: who is asked now, for the run list; None in runs that do not list it.
        doing: what the run does, also while the view says that it is paused.
    """

    def __init__(self, view: RunView, message: MessageRef | None = None, *, calls_first: bool = False) -> None:
        """Show this view.

        Args:
            view: what to show.
            message: where the chat message of an earlier part of the run is.
            calls_first: whether people are called before the message is renewed, for which a full chat may
                have no room for a while.
        """
        self.view = view
        self._calls_first = calls_first
        self.message = message
        self._published_revision = -1
        self.waits_for: list[str] | None = None
        resting = Doing(RunState.CHECKING, "between two stages")  # where a run continues as new
        self.doing = resting if view.paused_by else Doing(view.state, view.headline)
        self._listed_state: RunState | None = None
        self._listed_asked: list[str] | None = None
        self._pings: list[Ping] = []
        self._calling = 0  # pings that are being sent
        self._failures = 0  # cards that the chat has not taken, one after the other

    def show(
        self,
        state: RunState | None = None,
        headline: str | None = None,
        *,
        say: str | None = None,
        ping: str | None = None,
        quietly: bool = False,
    ) -> None:
        """Change what people see.

        Args:
            state: where the run stands now; stays if not given.
            headline: what is happening, one sentence; stays if not given.
            say: a line for the timeline.
            ping: call people's attention to it in the chat.
            quietly: only on the page, not worth an edit of the chat message.
        """
        view = self.view
        self._do(state, headline)
        if say:
            self._log(say)
        if ping:
            self._pings.append(Ping(ping, about=view.gate.id if view.gate else ""))
        workflow.set_current_details(details(view))
        if not quietly:
            view.revision += 1
            self._list_state()

    def pause(self, by: str, why: str) -> None:
        """Show that somebody has paused the run; what it does meanwhile is kept in `doing`."""
        said = run_phrases.PAUSED_BECAUSE if why else run_phrases.PAUSED
        self.view.state, self.view.headline = RunState.PAUSED, said.format(by=by, why=why)
        self.view.paused_by = by
        self.show(say=self.view.headline, ping=self.view.headline)

    def resume(self, by: str) -> None:
        """Show again what the run does."""
        self.view.paused_by = ""
        self.show(self.doing.state, self.doing.headline, say=run_phrases.RESUMED.format(by=by))

    async def unpaused(self) -> bool:
        """Wait while the run is paused; return whether it was. Where it is not, nothing is awaited."""
        waited = False
        while self.view.paused_by:
            waited = True
            await workflow.wait_condition(lambda: not self.view.paused_by)
        return waited

    def _do(self, state: RunState | None, headline: str | None) -> None:
        view = self.view
        self.doing = Doing(state or self.doing.state, headline or self.doing.headline)
        if view.paused_by and (self.doing.state.ended or self.doing.state is RunState.ROLLING_BACK):
            view.paused_by = ""
            self._log(run_phrases.PAUSE_LIFTED)
        if not view.paused_by:
            view.state, view.headline = self.doing.state, self.doing.headline

    def _log(self, text: str) -> None:
        self.view.log = [*self.view.log, LogLine(at=workflow.now(), text=text)][-_LOG_LINES:]

    def forget_pings(self, gate_id: str) -> None:
        """Call nobody to a gate that is closed: an old call after the news only confuses."""
        if workflow.patched("fresh-pings"):
            self._pings = [ping for ping in self._pings if ping.about != gate_id]

    def end(self, state: RunState, headline: str) -> RunState:
        """Show how the run ended, call people's attention to it, and return that state."""
        ending = f"{state.capitalize()}: {headline}"
        self.show(state, headline, say=ending, ping=ending)
        return state

    def line(self, stage: str) -> StageView:
        """Return the plan's line of this stage."""
        return next(s for s in self.view.stages if s.name == stage)

    def _list_state(self) -> None:
        """Let the run list filter by state and by who is asked; passing states are left out.

        Each change costs the server milliseconds. That nobody is asked any more is listed with the next state.
        """
        asked = self.waits_for
        if self.view.state is self._listed_state and (not asked or asked == self._listed_asked):
            return
        updates: list[SearchAttributeUpdate[Any]] = [
            STATE_ATTRIBUTE.value_set(str(self.view.state)),
            RUNBOOK_ATTRIBUTE.value_set(self.view.runbook),
        ]
        if asked is not None and asked != self._listed_asked:
            updates.append(WAITS_FOR_ATTRIBUTE.value_set(asked))
        self._listed_state, self._listed_asked = self.view.state, asked
        workflow.upsert_search_attributes(updates)  # pyright: ignore[reportUnknownMemberType]  the SDK's own union

    def show_plan(self, plan: Plan) -> None:
        """Show the stages of the runbook that was read."""
        view = self.view
        view.title, view.digest = plan.spec.title, plan.digest
        view.stages = [
            StageView(name=s.name, title=s.title, change=describe_change(s)) for s in plan.spec.stages
        ]

    async def keep_publishing(self) -> None:
        """Publish each new revision, always the newest, until cancelled."""
        while True:
            await workflow.wait_condition(self._behind)
            await workflow.sleep(options.CARD_PAUSE)
            if self._calls_first and self.message is not None:
                await self._call_out()
            await self._publish()
            await self._call_out()

    async def published(self, *, give_up_after: timedelta = options.LAST_CARD) -> None:
        """Wait until the chat shows the newest view and has called everybody, or give up."""
        to_the_last_ping = workflow.patched("last-ping")
        try:
            await workflow.wait_condition(
                lambda: not self._behind() and not (to_the_last_ping and self._calling),
                timeout=give_up_after,
            )
        except TimeoutError:
            workflow.logger.warning("the chat did not take the last card; the run goes on without it")

    def _behind(self) -> bool:
        return self._published_revision < self.view.revision or bool(self._pings)

    async def _publish(self) -> None:
        revision = self.view.revision
        if revision == self._published_revision:
            return
        card = self.view.model_copy(update={"log": self.view.log[-_CARD_LOG_LINES:], "people": People()})
        try:
            self.message = await call(
                TellingActivities.publish_card,
                CardRequest(view=card, message=self.message),
                returns=MessageRef,
                task_queue=options.CHAT_QUEUE,
                retry_policy=options.CHAT,
                summary=f"{card.state}: {card.headline}"[:200],
            )
        except ActivityError as error:
            await self._after_failure(error)
            return
        self._published_revision, self._failures = revision, 0

    async def _after_failure(self, error: ActivityError) -> None:
        """Remember a card whose fate is unknown, and give a chat that is down a break."""
        kind = error.cause.type if isinstance(error.cause, ApplicationError) else None
        if kind == "DeliveryUncertain":
            self.message = MessageRef(chat="", message_id="", uncertain=True)
        self.show(say=f"chat: {reason(error)}", quietly=True)
        self._failures += 1
        longer = max(0, self._failures - options.CHAT_BREAKS)
        await workflow.sleep(min(options.CHAT_BREAK * 2 ** min(longer, 10), options.LONGEST_CHAT_BREAK))

    async def _call_out(self) -> None:
        """Ring people's phones once; a ping whose fate is unknown is not worth a second one."""
        pings, self._pings = self._pings, []
        if not self.message or not self.message.message_id:
            return
        self._calling = len(pings)
        for ping in pings:
            try:
                await call(
                    TellingActivities.ping_people,
                    PingRequest(text=ping.text, message=self.message),
                    returns=type(None),
                    task_queue=options.CHAT_QUEUE,
                    retry_policy=options.ONCE,
                )
            except ActivityError as error:
                workflow.logger.warning("a ping was not sent: %s", reason(error))
            self._calling -= 1
