"""The open gate of a run: asks, checks every answer by the same rules, and waits for as long as it takes.

Waiting costs no history: one activity calls people, attempt by attempt, and one timer stands for what comes
next.
"""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows import options
from workflows.board import Board
from workflows.calls import call, reason
from workflows.ledger import Ledger
from workflows.moments import until

with workflow.unsafe.imports_passed_through():
    from activities.calling import CallingActivities, CallRequest, RetireRequest
    from activities.signing import (
        Asked,
        BeforeActing,
        RecordActivities,
        SigningActivities,
        StandingFor,
        StillGood,
    )
    from holdfast.domain import gates, standing
    from holdfast.domain.evidence import Evidence
    from holdfast.domain.gates import Gate, GateState, Question
    from holdfast.domain.people import People
    from holdfast.domain.signoff import SignOff
    from holdfast.ports.audit import AuditKind


class GateKeeper:
    """Opens one gate at a time on a run's board. What people say to it is heard in `hearing.py`.

    Attributes:
        people: who is who; nobody is known until the plan is.
        requester: who started the run.
        mfa: whether gates ask for a code of the authenticator app where their policy does not say.
        protocol: whether people are called, reminded and put on record; not so in runs of the first version.
    """

    def __init__(self, board: Board) -> None:
        """Keep gates on this board."""
        self.board = board
        self.people = People()
        self.requester = ""
        self.mfa = False
        self.protocol = False
        self.ledger = Ledger()
        self._recording: asyncio.Task[None] | None = None
        self._farewells: set[asyncio.Task[None]] = set()

    def begin(self, *, protocol: bool, requester: str) -> None:
        """Begin to keep the gates of a run."""
        self.protocol, self.requester = protocol, requester.strip().lower()
        self.ledger.on = protocol
        if protocol:
            self._recording = asyncio.create_task(self.ledger.keep_writing())

    def know(self, people: People, *, mfa: bool) -> None:
        """Learn who is who, from the plan."""
        self.people, self.mfa = people, mfa
        self.board.view.people = people

    @property
    def knows_people(self) -> bool:
        """Whether the run has learnt who is who."""
        return bool(self.people.people)

    @property
    def gate(self) -> Gate | None:
        """The gate that is open."""
        return self.board.view.gate

    def open(
        self, gate_id: str, policy: SignOff, question: Question, evidence: Evidence, *, again: str = ""
    ) -> Gate:
        """Ask a question; `again` says what changed since the same was asked before."""
        gate = gates.open_gate(
            gate_id,
            policy,
            question,
            evidence,
            people=self.people,
            token=workflow.uuid4().hex[:16],
            now=workflow.now(),
            requester=self.requester if self.protocol else "",
            mfa=self.mfa and self.protocol,
            execution=workflow.info().run_id,
        )
        gate.again_because = again
        self.board.view.gate = gate
        if self.protocol:
            self.ask_everybody(gate)
        return gate

    async def decided(self, gate: Gate) -> Gate:
        """Wait, for a year if need be, until the gate is closed; see `Gate.goes_on`."""
        if not self.protocol:
            await workflow.wait_condition(lambda: gate.state is not GateState.OPEN)
            return gate
        self.ledger.note(AuditKind.REQUEST, gate, f"asked: {gate.title}. {gate.told}")
        looking = asyncio.create_task(self._find_stand_ins(gate))
        try:
            while gate.state is GateState.OPEN:
                calling = asyncio.create_task(self._call_people(gate))
                try:
                    await self._until_something_changes(gate)
                finally:
                    calling.cancel()
        finally:
            looking.cancel()
        return gate

    async def on_record(self) -> None:
        """Wait until everything that people said is on record: nothing is done before."""
        if self.protocol:
            await self.ledger.written()

    def supersede(self, why: str = "") -> None:
        """Close the open gate unanswered, because what it asks about is no longer so."""
        if self.gate is not None:
            gates.supersede(self.gate, workflow.now(), why.rstrip("."))
            self.closed(self.gate)

    def void(self, gate: Gate, why: str) -> None:
        """Take back the approvals of a gate that was approved, because what they rested on changed."""
        gates.void(gate, why, workflow.now())
        self.board.view.closed_gates = [
            gates.slim(gate) if g.id == gate.id else g for g in self.board.view.closed_gates
        ]
        self.ledger.note(AuditKind.VOIDING, gate, gates.outcome_of(gate))

    async def still_good(self, gate: Gate) -> StillGood:
        """Look, at the moment of action, whether the approvals are this execution's, and at the file."""
        await self.on_record()
        if not self.protocol:
            return StillGood(file=gate.basis.file if gate.basis else "")
        approved = [d.at for d in gate.approvals if d.at] or [gate.closed_at or workflow.now()]
        request = BeforeActing(
            run=self.board.view.run_id, runbook=self.board.view.runbook, approved_at=min(approved)
        )
        return await call(
            SigningActivities.before_acting, request, returns=StillGood, summary=f"still good? {gate.id}"
        )

    async def settled(self) -> None:
        """Wait until everything is on record and no message has live buttons, or give up after a day."""
        if not self.protocol:
            return
        try:
            await self.ledger.written(give_up_after=options.LAST_CARD)
            await workflow.wait_condition(lambda: not self._farewells, timeout=options.LAST_CARD)
        except TimeoutError:
            workflow.logger.warning("the audit log or a chat did not answer; the run ends without them")

    # --- how --------------------------------------------------------------------------------------------

    async def _find_stand_ins(self, gate: Gate) -> None:
        """Learn who has handed over all gates; while the store is down, people answer for themselves."""
        asked = Asked(names=tuple(_everybody(gate, self.people)), now=workflow.now())
        try:
            known = await call(
                RecordActivities.standing_delegations,
                asked,
                returns=StandingFor,
                task_queue=options.RECORD_QUEUE,
                summary=f"who stands in at {gate.id}",
            )
        except ActivityError as error:
            self.board.show(say=f"standing delegations are not known: {reason(error)}")
            return
        if known.delegations:
            gate.delegations += known.delegations
            gate.revision += 1
            self.ask_everybody(gate)
            self.board.show()

    async def _call_people(self, gate: Gate) -> None:
        """Call and remind whoever is asked, until cancelled."""
        everybody = _everybody(gate, self.people)
        view = self.board.view
        known = tuple(p for p in self.people.people if p.name in everybody)
        try:
            await call(
                CallingActivities.call_people,
                CallRequest(run_id=view.run_id, run_title=view.title, gate=gate, people=People(people=known)),
                returns=type(None),
                task_queue=options.CHAT_QUEUE,
                summary=f"call people for {gate.id}",
            )
        except ActivityError as error:
            self.board.show(say=f"people could not be called: {reason(error)}")

    async def _until_something_changes(self, gate: Gate) -> None:
        """Wait for an answer, an extension or a hand-over, or for the moment at which time decides."""
        before = gate.revision
        moments = [m for m in (None if gate.overdue else gate.deadline, gate.stale_at) if m is not None]
        await until(
            lambda: gate.state is not GateState.OPEN or gate.revision != before, min(moments, default=None)
        )
        if gate.state is not GateState.OPEN or gate.revision != before:
            return
        now = workflow.now()
        if gates.expire(gate, now):
            self._expired(gate)
        elif gate.stale_at is not None and now >= gate.stale_at:
            gates.void(gate, "the evidence has become older than the runbook allows", now)
            self.ledger.note(AuditKind.VOIDING, gate, gates.outcome_of(gate))
            self.closed(gate)

    def _expired(self, gate: Gate) -> None:
        overdue = f"gate '{gate.id}' is overdue since {gate.deadline:%Y-%m-%d %H:%M:%S} UTC and stays open"
        text = overdue if gate.overdue else gates.outcome_of(gate)
        self.ledger.note(AuditKind.EXPIRY, gate, text)
        self.board.show(say=text)
        if gate.state is not GateState.OPEN:
            self.closed(gate)

    def ask_everybody(self, gate: Gate) -> None:
        """List the run under whoever may come to answer."""
        self.board.waits_for = _everybody(gate, self.people)

    def closed(self, gate: Gate) -> None:
        """Put a gate that has just been closed among the closed ones."""
        view = self.board.view
        view.closed_gates.append(gates.slim(gate))
        view.gate = None
        self.board.forget_pings(gate.id)
        self.ledger.note(AuditKind.CLOSING, gate, gates.outcome_of(gate))
        if self.protocol:
            self.board.waits_for = []
            self._say_goodbye(gate)

    def _say_goodbye(self, gate: Gate) -> None:
        """Take the buttons off every message about a gate that no longer acts; nobody has to wait for that."""
        task = asyncio.create_task(self._retire(gate))
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)

    async def _retire(self, gate: Gate) -> None:
        request = RetireRequest(run_id=self.board.view.run_id, gate=gates.slim(gate))
        await self.ledger.written()  # what follows a decision goes before telling of it
        try:
            await call(
                CallingActivities.retire_notices,
                request,
                returns=type(None),
                task_queue=options.CHAT_QUEUE,
                schedule_to_close_timeout=options.LAST_CARD,
                summary=f"{gate.id} is {gate.state}",
            )
        except ActivityError as error:
            workflow.logger.warning("messages about a closed gate keep their buttons: %s", reason(error))


def _everybody(gate: Gate, people: People) -> list[str]:
    """Return whoever may come to answer this gate: approvers, vetoes, later tiers, and who stands for them."""
    names = dict.fromkeys([*gate.approvers, *gate.veto, *(n for t in gate.tiers for n in t.names)])
    for _ in range(standing.LONGEST_CHAIN):
        names |= dict.fromkeys(d.to for d in gate.delegations if d.by in names)
        names |= dict.fromkeys(p.deputy for p in people.people if p.name in names and p.deputy)
    return [name for name in names if name != gate.excluded]
