"""The load test: read what is wanted, agree the start, make the load, add it up, and ask where it failed.

Who makes the load stands in `load_shards.py`, what people are asked in `load_questions.py`, what the run takes
from them at any time in `stopping.py`. Ask the Query `view` for the whole state.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel
from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from workflows import calls, load_calls, load_options, load_questions
from workflows.board import Board
from workflows.calls import reason
from workflows.effects import ended, even_if_cancelled
from workflows.gate import GateKeeper
from workflows.hearing import Hearing
from workflows.load_overtaking import Overtaking
from workflows.load_shards import Ready, Shards, agreed
from workflows.questions import call_for
from workflows.stopping import StoppingRun

with workflow.unsafe.imports_passed_through():
    from activities.load_watching import Concluded, ConcludeRequest, LoadLook
    from holdfast.domain import run_phrases
    from holdfast.domain.campaign import LoadView, TestLine, TestVerdict
    from holdfast.domain.gates import Gate, GateState
    from holdfast.domain.view import RunState, RunView
    from holdfast.domain.words import Word
    from holdfast.loadgen.result import Broken
    from holdfast.ports.audit import AuditKind
    from holdfast.ports.load import MadeTest
    from holdfast.ports.runs import LoadRequest
    from holdfast.runbook.load_plan import CampaignPart, LoadPlan

# An owner who cannot be reached by then reads it at the gate.
_CALLED_WITHIN = timedelta(minutes=10)


class LoadReport(BaseModel):
    """How a load test ended; the facts are in the view, what it came to in `view.load.result`."""

    outcome: RunState
    view: RunView


@dataclass
class _Halt:
    """Why the load stops early: a person, or thresholds."""

    stopped: str = ""
    aborted: list[Broken] = field(default_factory=list[Broken])


class _NotMade(Exception):
    """No load could be made; the text says why."""


@workflow.defn(name="load")
class LoadTest(StoppingRun):
    """One run of a load test."""

    @workflow.init
    def __init__(self, start: LoadRequest) -> None:
        """Begin with an empty view."""
        view = _first_view(start)
        self._board = Board(view)
        self._gates = GateKeeper(self._board)
        self._hearing = Hearing(self._gates)
        self._load = view.load = LoadView(campaign=start.campaign)
        self._halt: _Halt | None = None
        self._is_over = False
        self._made_as = MadeTest()
        self._overtaking = Overtaking(self._board, self._gates, self._load)
        self._carded_at: datetime | None = None

    @workflow.run
    async def run(self, start: LoadRequest) -> LoadReport:
        """Make the test and say what it came to."""
        self._gates.begin(protocol=True, requester=start.requested_by)
        self._board.show(quietly=True)
        publishing = asyncio.create_task(self._publish())
        cancelled = False
        try:
            ending = await self._tested(start)
        except asyncio.CancelledError:
            cancelled = True
            ending = self._board.end(RunState.STOPPED, run_phrases.LOAD_CANCELLED)
            self._gates.supersede(run_phrases.LOAD_CANCELLED)
            self._gates.ledger.note_event(AuditKind.CLOSING, run_phrases.LOAD_CANCELLED)
        await self._told(publishing)
        if cancelled:
            raise asyncio.CancelledError
        if ending is RunState.FAILED:
            raise ApplicationError(self._board.view.headline, type="LoadTestFailed", non_retryable=True)
        return LoadReport(outcome=ending, view=self._board.view)

    # --- the runbook ------------------------------------------------------------------------------------

    async def _tested(self, start: LoadRequest) -> RunState:
        plan: LoadPlan | None = None
        try:
            plan = await load_calls.plan(start)
            self._open(start, plan)
            skipped = plan.skip or await self._claimed(plan)
            if skipped:
                return self._skipped(skipped)
            test = await self._loaded(plan)
        except ActivityError as error:
            return await self._not_made(plan, reason(error))
        except _NotMade as error:
            return await self._not_made(plan, str(error))
        await self._tell_campaign(plan, test.line)
        await self._overtaking.overtake(plan, test.line)
        if (
            test.line.verdict is TestVerdict.FAILED
            and plan.campaign
            and not self._overtaking.overtakes(test.line)
        ):
            await self._decided(plan, plan.campaign, test)
        return self._ended(test.line)

    async def _loaded(self, plan: LoadPlan) -> Concluded:
        """Make the load while nobody else tests the same, and return what it came to."""
        try:
            ready = await self._agreed(plan)
            await self._made(plan, ready)
            return await self._concluded(plan, ready)
        finally:
            await even_if_cancelled(self._release(plan))

    async def _agreed(self, plan: LoadPlan) -> Ready:
        self._board.show(say=run_phrases.LOAD_ASKING, quietly=True)
        ready = await agreed(self._board, plan.spec)
        if not ready.workers:
            raise _NotMade(ready.refused or run_phrases.LOAD_NOBODY)
        self._load.shards = len(ready.workers)
        self._made_as.start_at = ready.start_at
        at = datetime.fromtimestamp(ready.start_at, UTC)
        begins = run_phrases.LOAD_BEGINS.format(n=len(ready.workers), at=f"{at:%H:%M:%S} UTC")
        self._board.show(RunState.TESTING, begins, say=begins)
        return ready

    async def _made(self, plan: LoadPlan, ready: Ready) -> None:
        """Make all shards, to their end or until a person or a threshold stops them."""
        shards = Shards(self._board, plan.spec, ready)
        making = asyncio.create_task(shards.made())
        watching = asyncio.create_task(self._watch(plan, ready))
        try:
            await workflow.wait_condition(lambda: making.done() or self._halt is not None)
        finally:
            self._is_over = True
            for task in (making, watching):
                task.cancel()
            await even_if_cancelled(_all_ended(making, watching))
        if shards.failed and not self._halt and self._load.offset_seconds <= 0:
            raise _NotMade(shards.failed)

    async def _watch(self, plan: LoadPlan, ready: Ready) -> None:
        """Show the newest figures, until cancelled or until a threshold stops the test."""
        while True:
            try:
                look = await load_calls.look(self._board.view.run_id, plan.spec, ready.start_at)
            except ActivityError as error:  # the load goes on, and is added up at its end
                self._board.show(say=run_phrases.LOAD_UNSEEN.format(why=reason(error)))
                return
            self._show(look)
            if look.broken and self._halt is None:
                why = run_phrases.LOAD_ABORTED.format(why="; ".join(look.said))
                self._halt = _Halt(aborted=look.broken)
                self._board.show(headline=why, say=why, ping=why)
                return
            title = look.phase or self._board.view.title
            runs = run_phrases.LOAD_RUNS.format(title=title, n=f"{look.rate:.0f}", m=f"{plan.highest:g}")
            self._board.show(RunState.TESTING, runs, quietly=not self._card_is_due(plan))

    def _card_is_due(self, plan: LoadPlan) -> bool:
        """Whether the chat's message takes part in this look; the page takes part in each."""
        if not workflow.patched("looks-each-second"):
            return True
        every = max(load_options.CARD_EVERY, plan.spec.lasts / load_options.MOST_CARDS)
        if self._carded_at is not None and workflow.now() - self._carded_at < every:
            return False
        self._carded_at = workflow.now()
        return True

    async def _concluded(self, plan: LoadPlan, ready: Ready) -> Concluded:
        self._board.show(headline=run_phrases.LOAD_OVER)
        halt = self._halt or _Halt()
        test = await load_calls.conclude(
            ConcludeRequest(
                run=self._board.view.run_id,
                plan=plan,
                start_at=ready.start_at,
                stopped=halt.stopped,
                aborted=halt.aborted,
            )
        )
        self._load.result = test.line
        self._show(test.look)
        self._load.rate = 0.0
        self._board.show(say=" ".join(test.sentences))
        return test

    async def _decided(self, plan: LoadPlan, campaign: CampaignPart, test: Concluded) -> None:
        """Call the owner, and ask until people have decided whether the campaign goes."""
        calling = asyncio.create_task(self._call_owner(plan, campaign, test.line))
        gate = await self._asked(plan, campaign, test)
        if gate.state is GateState.SUPERSEDED:  # nobody has decided anything, so nobody is told so
            calling.cancel()
            await ended(calling)
            return
        go, by = load_questions.decided(gate), load_questions.deciders(gate)
        line = self._load.result = test.line.model_copy(update={"go": go, "decided_by": by})
        await self._gates.on_record()
        said = run_phrases.LOAD_DECIDED.format(names=by, what=go)
        self._board.show(headline=said, say=said)
        try:
            await load_calls.record(self._board.view.run_id, go, by)
        except ActivityError as error:
            self._board.show(say=run_phrases.LOAD_NOT_KEPT.format(why=reason(error)))
        await self._tell_campaign(plan, line)
        await ended(calling)

    async def _asked(self, plan: LoadPlan, campaign: CampaignPart, test: Concluded) -> Gate:
        """Ask, and again where the evidence has become too old to decide on."""
        while True:
            gate = load_questions.ask_go(self._gates, plan, campaign, test)
            self._board.show(RunState.WAITING, gate.title, say=f"asked: {gate.title}", ping=call_for(gate))
            await self._gates.decided(gate)
            if gate.state is not GateState.VOIDED:
                return gate

    async def _call_owner(self, plan: LoadPlan, campaign: CampaignPart, line: TestLine) -> None:
        """Call those who own the campaign, whether or not they may decide."""
        text = run_phrases.LOAD_OWNER_CALLED.format(
            title=campaign.title, why=line.saturates or line.said, run=self._board.view.run_id
        )
        for name in campaign.owner:
            person = plan.people.named(name)
            if person is None:
                continue
            try:
                await calls.tell_person(
                    person, text, schedule_to_close_timeout=_CALLED_WITHIN, summary=f"call {person.name}"
                )
            except ActivityError as error:
                self._board.show(say=run_phrases.NOT_REACHED.format(name=name, why=reason(error)))

    def _ended(self, line: TestLine) -> RunState:
        said = self._load.result.said if self._load.result else line.said
        match line.verdict:
            case TestVerdict.PASSED:
                return self._board.end(RunState.PASSED, said)
            case TestVerdict.STOPPED:
                return self._board.end(RunState.STOPPED, said)
            case _:
                return self._board.end(RunState.NOT_PASSED, f"{said}{self._what_follows(line)}")

    def _what_follows(self, line: TestLine) -> str:
        """Return what was decided on a failed test, or why nothing was; empty where nobody was asked."""
        result = self._load.result
        if result is not None and result.go:
            return f" {run_phrases.LOAD_DECIDED.format(names=result.decided_by, what=result.go)}."
        return f" {run_phrases.LOAD_UNDECIDED}" if self._overtaking.overtakes(line) else ""

    # --- what does not come to a test -------------------------------------------------------------------

    async def _claimed(self, plan: LoadPlan) -> str:
        """Keep others from testing the same; return why this one must not begin."""
        other = await load_calls.claim(plan.guards, self._board.view.title)
        return run_phrases.LOAD_BUSY.format(run=other) if other else ""

    def _skipped(self, why: str) -> RunState:
        said = run_phrases.LOAD_SKIPPED.format(why=why)
        self._load.result = self._line(TestVerdict.SKIPPED, said)
        self._is_over = True
        return self._board.end(RunState.FINISHED, said)

    async def _not_made(self, plan: LoadPlan | None, why: str) -> RunState:
        """End without a test; for the campaign it counts neither as passed nor as failed."""
        self._is_over = True
        said = run_phrases.LOAD_UNUSABLE.format(why=why)
        self._load.result = self._line(TestVerdict.VOID, said)
        if plan is not None:
            await self._tell_campaign(plan, self._load.result)
        return self._board.end(RunState.FAILED, said)

    # --- newer tests of the campaign --------------------------------------------------------------------

    @workflow.signal(
        name="overtaken", description="For runs: a newer load test of the same campaign has passed or failed."
    )
    def overtaken(self, message: Any = None) -> None:
        """Take the question back: it is about a test that says less than the newer one."""
        if workflow.patched("overtaken-tests"):  # a worker that knows no such signal goes on without it
            self._overtaking.hear(message)

    # --- what is watched from outside -------------------------------------------------------------------

    @workflow.query(name="made", description="For `holdfast load watch`: the test, its start, what it came to.")
    def made(self) -> MadeTest:
        """Return what somebody who reads the reports has to know of the test."""
        result, view = self._load.result, self._board.view
        verdict = result.verdict if result else None
        told = {"headline": view.headline, "verdict": verdict, "open": not view.state.ended}
        return self._made_as.model_copy(update=told)

    # --- what people say --------------------------------------------------------------------------------

    def _heed(self, word: Word) -> str:
        if self._is_over or self._halt is not None:
            return run_phrases.SAID_NO_LOAD
        why = word.reason.strip()
        template = run_phrases.LOAD_STOPPED_BECAUSE if why else run_phrases.LOAD_STOPPED_BY
        said = template.format(by=word.by, why=why)
        self._halt = _Halt(stopped=said)
        self._load.stopped_by = word.by
        self._board.show(headline=said, say=said, ping=said)
        return run_phrases.SAID_STOPPED

    # --- bookkeeping ------------------------------------------------------------------------------------

    def _open(self, start: LoadRequest, plan: LoadPlan) -> None:
        """Show what was read, and who may stop it."""
        view, load = self._board.view, self._load
        view.title, view.digest, view.runbook = plan.spec.title, plan.digest, plan.spec.name
        self._made_as.spec = plan.spec
        load.campaign = plan.campaign.name if plan.campaign else ""
        load.lasts_seconds = plan.spec.lasts.total_seconds()
        load.highest, load.may_stop = plan.highest, list(plan.may_stop)
        self._gates.know(plan.people, mfa=False)
        started = run_phrases.OPENED.format(by=start.schedule or start.requested_by)
        self._gates.ledger.note_event(AuditKind.REQUEST, f"{started}: {plan.spec.title}")
        self._board.show(say=started)

    def _show(self, look: LoadLook) -> None:
        load = self._load
        load.phase, load.rate, load.lines = look.phase, look.rate, look.lines
        load.offset_seconds = min(look.offset, load.lasts_seconds)
        load.late_percent, load.lost, load.broken = look.late_percent, look.lost, look.said
        load.client = look.client

    def _line(self, verdict: TestVerdict, said: str) -> TestLine:
        return TestLine(run=self._board.view.run_id, at=workflow.now(), verdict=verdict, said=said)

    async def _release(self, plan: LoadPlan) -> None:
        try:
            await load_calls.release(plan.guards)
        except ActivityError as error:  # a run that has ended holds nothing
            workflow.logger.warning("the test still counts as running: %s", reason(error))

    async def _tell_campaign(self, plan: LoadPlan, line: TestLine) -> None:
        if plan.campaign is None:
            return
        try:
            await load_calls.tell_campaign(plan.campaign.name, line)
        except ActivityError as error:
            self._board.show(say=run_phrases.LOAD_NOT_TOLD.format(why=reason(error)))

    async def _publish(self) -> None:
        """Open a topic, then keep its card up to date; the load waits for neither."""
        await workflow.wait_condition(lambda: self._board.view.revision > 0)
        try:
            self._board.message = await calls.open_thread(self._board.view)
        except ActivityError as error:
            self._board.show(say=run_phrases.NO_TOPIC.format(why=reason(error)))
        await self._board.keep_publishing()


async def _all_ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        await ended(task)


def _first_view(start: LoadRequest) -> RunView:
    return RunView(
        run_id=workflow.info().workflow_id,
        runbook=start.runbook or start.campaign,
        title=start.runbook or start.campaign,
        requested_by=start.requested_by,
        started_at=workflow.now(),
        headline=run_phrases.LOAD_READING,
        kind="load",
    )
