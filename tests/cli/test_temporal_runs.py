"""The way to runs over a real server, with a run that does no more than its gate needs."""

import asyncio
import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RetryPolicy, SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from holdfast.adapters.temporal.runs import TemporalRuns
from holdfast.domain import gates
from holdfast.domain.decisions import (
    ROLLBACK,
    Answer,
    CodeRequest,
    DecisionReply,
    Extension,
    Handover,
    RollBack,
)
from holdfast.domain.errors import (
    DecisionRefused,
    DeliveryUncertain,
    EngineUnavailable,
    InvalidInput,
    UnknownName,
)
from holdfast.domain.people import People
from holdfast.domain.view import RunState, RunView
from tests.cli.conftest import GATE, PEOPLE, open_gate
from tests.fakes import eventually

WAITS_FOR = SearchAttributeKey.for_keyword_list("HoldfastWaitsFor")
NOW = datetime.now(UTC)
IN_A_WEEK = NOW.replace(microsecond=0) + timedelta(days=7)


@activity.defn
async def tell(request: CodeRequest) -> None:
    """Send nothing; a request for somebody unreachable fails as the real one does."""
    if request.reason:
        raise ApplicationError(f"{request.by}: {request.reason}", type=request.reason, non_retryable=True)


@workflow.defn(name="asks")
class Asks:
    """Has one open gate until it is told to close it."""

    @workflow.init
    def __init__(self, view: RunView) -> None:
        self.shown = view
        self.ended = False

    @workflow.run
    async def run(self, view: RunView) -> None:
        await workflow.wait_condition(lambda: self.ended)

    @workflow.query
    def view(self) -> RunView:
        return self.shown

    @workflow.signal
    def close(self) -> None:
        self.shown.gate = None
        workflow.upsert_search_attributes([WAITS_FOR.value_set([])])

    @workflow.signal
    def end(self) -> None:
        self.ended = True

    @workflow.update
    def extend(self, extension: Extension) -> DecisionReply:
        return gates.extend(extension, self._gate())

    @extend.validator
    def _extension_counts(self, extension: Extension) -> None:
        if extension.by != "boris":
            raise ApplicationError("'vera' may not.", type=Answer.NOT_AN_APPROVER, non_retryable=True)

    @workflow.update(name="delegate")
    def hand_over(self, handover: Handover) -> DecisionReply:
        return gates.hand_over(handover, self._gate(), workflow.now())

    @workflow.update
    def roll_back(self, request: RollBack) -> DecisionReply:
        return DecisionReply(answer=Answer.ACCEPTED, gate=ROLLBACK, text=f"{self._heard(request)} undone")

    @roll_back.validator
    def _rollback_counts(self, request: RollBack) -> None:
        if request.to == "nowhere":
            raise ApplicationError("Nothing stands.", type=Answer.NOTHING_TO_UNDO, non_retryable=True)

    @workflow.signal(name="roll_back")
    def roll_back_signalled(self, request: RollBack) -> None:
        self._heard(request)

    def _heard(self, request: RollBack) -> int:
        """Count each request once: what was left as a signal may come as an update as well."""
        if request.id not in self.shown.may_roll_back:
            self.shown.may_roll_back.append(request.id)
        return len(self.shown.may_roll_back)

    @workflow.update
    async def send_code(self, request: CodeRequest) -> DecisionReply:
        await workflow.execute_activity(
            tell,
            request,
            start_to_close_timeout=timedelta(seconds=5),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )
        return DecisionReply(answer=Answer.ACCEPTED, gate=GATE, text=f"sent to {request.by}")

    def _gate(self) -> gates.Gate:
        if self.shown.gate is None:
            raise ApplicationError("no gate is open", non_retryable=True)
        return self.shown.gate


@pytest.fixture(scope="module")
async def queue(client):
    name = f"asks-{uuid.uuid4().hex[:8]}"
    runner = UnsandboxedWorkflowRunner()
    async with Worker(client, task_queue=name, workflows=[Asks], activities=[tell], workflow_runner=runner):
        yield name


@pytest.fixture(scope="module")
def runs(client: Client, queue: str) -> TemporalRuns:
    async def connected() -> Client:
        return client

    return TemporalRuns(connected, task_queue=queue, address="test", workflow="asks")


@pytest.fixture
def team() -> People:
    """People whom no other test's runs wait for."""
    mark = uuid.uuid4().hex[:6]
    renamed = [p.model_copy(update={"name": f"{p.name}-{mark}"}) for p in PEOPLE.people]
    return People(people=tuple(renamed))


@pytest.fixture
async def ask(client, queue):
    """Start a run that asks, indexed for everybody in it; end all in the end."""
    started: list[WorkflowHandle[Any, Any]] = []

    async def start(people: People, gate: gates.Gate, *, on: str = "") -> WorkflowHandle[Any, Any]:
        run_id = f"asks-{uuid.uuid4().hex[:8]}"
        view = RunView(
            run_id=run_id,
            runbook="support-surge",
            title="A surge",
            requested_by="anna",
            started_at=NOW,
            state=RunState.WAITING,
            gate=gate,
            people=people,
        )
        names = SearchAttributePair(WAITS_FOR, [p.name for p in people.people])
        started.append(
            await client.start_workflow(
                "asks",
                view,
                id=run_id,
                task_queue=on or queue,
                search_attributes=TypedSearchAttributes([names]),
            )
        )
        return started[-1]

    yield start
    for handle in started:
        with suppress(RPCError):  # some have ended
            await handle.terminate()


def gate_for(people: People, *roles: str, hours_ago: int = 1) -> gates.Gate:
    steps = [{"of": [role]} for role in roles or ("sre-lead",)]
    deadline = {"after": "1d"}
    return open_gate(since=NOW - timedelta(hours=hours_ago), people=people, steps=steps, deadline=deadline)


def named(people: People, role: str) -> str:
    return people.holding([role])[0].name


async def test_what_waits_for_a_person_is_found_longest_waiting_first(runs, ask, team):
    new = await ask(team, gate_for(team, hours_ago=1))
    old = await ask(team, gate_for(team, hours_ago=9))
    later = await ask(team, gate_for(team, "crm-owner", "sre-lead"))
    boris, vera = named(team, "sre-lead"), named(team, "crm-owner")

    async def indexed() -> bool:
        everything = {w.run_id for w in await runs.waiting()}
        return {new.id, old.id, later.id} <= everything

    await eventually(indexed)

    for_boris = await runs.waiting(boris.upper())
    assert [w.run_id for w in for_boris] == [old.id, new.id]
    assert [w.run_id for w in await runs.waiting(boris, limit=1)] == [old.id]
    assert [(w.run_id, w.waiting) for w in await runs.waiting(vera)] == [(later.id, (vera,))]
    assert (for_boris[0].gate.id, for_boris[0].runbook, for_boris[0].waiting) == (
        GATE,
        "support-surge",
        (boris,),
    )


async def test_a_silent_run_breaks_no_list_but_an_empty_one_would_be_a_lie(runs, ask, team, client):
    boris, vera = named(team, "sre-lead"), named(team, "crm-owner")
    heard = await ask(team, gate_for(team))
    await ask(team, gate_for(team), on="nobody-serves-this")

    async def both_indexed() -> bool:
        return len([run async for run in client.list_workflows(f"HoldfastWaitsFor = '{boris}'")]) == 2

    await eventually(both_indexed)
    for_boris, for_vera = await asyncio.gather(runs.waiting(boris), runs.waiting(vera), return_exceptions=True)

    assert [w.run_id for w in for_boris] == [heard.id]
    assert isinstance(for_vera, EngineUnavailable)


async def test_a_closed_gate_waits_for_nobody(runs, ask, team, client):
    handle = await ask(team, gate_for(team))
    boris = named(team, "sre-lead")

    async def waits() -> bool:
        return bool(await runs.waiting(boris))

    await eventually(waits)
    await handle.signal("close")

    async def unindexed() -> bool:
        query = f"WorkflowId = '{handle.id}' AND HoldfastWaitsFor IS NOT NULL"
        return not [run async for run in client.list_workflows(query)]

    assert await runs.waiting(boris) == []
    await eventually(unindexed)


@pytest.mark.parametrize("name", ["o'brien", "x' OR WorkflowId != 'y", "\\"])
async def test_a_name_that_nobody_has_is_no_query(runs, name):
    assert await runs.waiting(name) == []


async def test_a_deadline_is_moved_and_a_gate_handed_over(runs, ask):
    run = await ask(PEOPLE, gate_for(PEOPLE))

    extended = await runs.extend(run.id, Extension(gate=GATE, by="boris", until=IN_A_WEEK, id="one"))
    handed = await runs.hand_over(run.id, Handover(gate=GATE, by="boris", to="vera", id="two"))
    again = await runs.hand_over(run.id, Handover(gate=GATE, by="boris", to="vera", id="two"))

    gate = (await runs.view(run.id)).gate
    assert extended.text == f"Gate '{GATE}' is open until {IN_A_WEEK:%Y-%m-%d %H:%M} UTC."
    assert gate.deadline == IN_A_WEEK
    assert handed == again
    assert [(d.by, d.to) for d in gate.delegations] == [("boris", "vera")]


async def test_a_rollback_is_asked_for_and_a_second_delivery_counts_once(runs, ask):
    run = await ask(PEOPLE, gate_for(PEOPLE))

    first = await runs.roll_back(run.id, RollBack(by="boris", id="one"))
    again = await runs.roll_back(run.id, RollBack(by="boris", id="one"))

    assert (first.answer, first.text) == (Answer.ACCEPTED, "1 undone")
    assert again == first
    assert (await runs.view(run.id)).may_roll_back == ["one"]


async def test_a_rollback_is_stored_while_no_worker_is_up(runs, ask, client):
    later = f"asks-later-{uuid.uuid4().hex[:8]}"
    run = await ask(PEOPLE, gate_for(PEOPLE), on=later)

    reply = await runs.roll_back(run.id, RollBack(by="boris", id="one"))

    assert (reply.answer, reply.gate) == (Answer.STORED, ROLLBACK)
    runner = UnsandboxedWorkflowRunner()
    async with Worker(client, task_queue=later, workflows=[Asks], activities=[tell], workflow_runner=runner):

        async def heard() -> bool:
            return (await runs.view(run.id)).may_roll_back == ["one"]

        await eventually(heard)


async def test_why_a_rollback_does_not_count_is_told(runs, ask):
    run = await ask(PEOPLE, gate_for(PEOPLE))
    ended = await ask(PEOPLE, gate_for(PEOPLE))
    await ended.signal("end")
    await ended.result()

    with pytest.raises(DecisionRefused, match="Nothing stands") as refused:
        await runs.roll_back(run.id, RollBack(by="boris", to="nowhere"))
    with pytest.raises(DecisionRefused, match="The run has ended"):
        await runs.roll_back(ended.id, RollBack(by="boris"))
    with pytest.raises(UnknownName):
        await runs.roll_back("asks-nowhere", RollBack(by="boris"))

    assert refused.value.answer == Answer.NOTHING_TO_UNDO


async def test_a_code_is_sent_and_the_reply_says_where(runs, ask):
    run = await ask(PEOPLE, gate_for(PEOPLE))

    reply = await runs.send_code(run.id, CodeRequest(by="boris"))

    assert (reply.answer, reply.text) == (Answer.ACCEPTED, "sent to boris")


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        ("InvalidInput", InvalidInput),
        ("UnknownName", InvalidInput),
        ("DeliveryUncertain", DeliveryUncertain),
        ("not_an_approver", DecisionRefused),
    ],
)
async def test_what_went_wrong_behind_an_update_is_told_in_its_own_words(runs, ask, failure, error):
    run = await ask(PEOPLE, gate_for(PEOPLE))

    with pytest.raises(error, match=f"^boris: {failure}$"):
        await runs.send_code(run.id, CodeRequest(by="boris", reason=failure))


async def test_a_refusal_keeps_its_answer(runs, ask):
    run = await ask(PEOPLE, gate_for(PEOPLE))

    with pytest.raises(DecisionRefused, match="'vera' may not") as refused:
        await runs.extend(run.id, Extension(gate=GATE, by="vera", until=IN_A_WEEK))

    assert refused.value.answer == Answer.NOT_AN_APPROVER


async def test_nothing_is_said_to_a_run_that_is_not_there(runs, ask):
    ended = await ask(PEOPLE, gate_for(PEOPLE))
    await ended.signal("end")
    await ended.result()
    unserved = await ask(PEOPLE, gate_for(PEOPLE), on="nobody-serves-this")

    async def all_ways(run_id: str) -> list[BaseException]:
        ways = (
            runs.extend(run_id, Extension(gate=GATE, by="boris", until=IN_A_WEEK)),
            runs.hand_over(run_id, Handover(gate=GATE, by="boris", to="vera")),
        )
        return await asyncio.gather(*ways, return_exceptions=True)

    assert [type(e) for e in await all_ways("asks-nowhere")] == [UnknownName] * 2
    assert [str(e) for e in await all_ways(ended.id)] == ["The run has ended; nothing is asked any more."] * 2
    assert all("no worker has answered" in str(e) for e in await all_ways(unserved.id))
