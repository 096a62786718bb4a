"""A run that gives people roles and tasks, and a gate that takes three answers, on a real server."""

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.errands import ErrandActivities, ErrandRequest, ErrandSent
from activities.signing import SigningActivities
from holdfast.adapters.temporal.history import TemporalHistory
from holdfast.domain.campaign import CampaignView, RoleLine, TaskLine
from holdfast.domain.decisions import Answer, CodeRequest
from holdfast.domain.errors import DecisionRefused
from holdfast.domain.evidence import Evidence
from holdfast.domain.gates import Question
from holdfast.domain.people import People, Person
from holdfast.domain.signoff import SignOff
from holdfast.domain.view import RunState, RunView
from holdfast.domain.words import Act, Word
from tests import signing
from tests.fakes import eventually
from tests.workflows.conftest import House, Run, run_url
from workflows.board import Board
from workflows.calls import call
from workflows.gate import GateKeeper
from workflows.hearing import Hearing
from workflows.tasked import TaskedRun

QUEUE = "tasked-runs-of-tests"
_numbers = itertools.count(1)
PEOPLE = People(
    people=(
        Person(name="anna", title="Anna", telegram_id=1, roles=("oncall",)),
        Person(name="boris", title="Boris", telegram_id=2, roles=("lead",)),
    )
)


@workflow.defn(name="tasked-toy")
class Toy(TaskedRun):
    """Asks for one role, opens a gate with three answers, and ends when the role and the task are settled."""

    @workflow.init
    def __init__(self, start: RunView) -> None:
        self._board = Board(start)
        self._gates = GateKeeper(self._board)
        self._hearing = Hearing(self._gates)
        self._notes: list[str] = []
        self._over = False

    @workflow.run
    async def run(self, start: RunView) -> dict[str, object]:
        self._gates.begin(protocol=True, requester="anna")
        self._gates.know(PEOPLE, mfa=False)
        errand = ErrandRequest(
            view=self._board.view,
            people=PEOPLE,
            name="anna",
            text="You are asked.",
            act=Act.ACCEPT,
            to="commander",
            key=f"errand/{start.run_id}/anna/1",
        )
        sent = await call(ErrandActivities.ask_person, errand, returns=ErrandSent)
        question = Question(
            title="Go?",
            question="Does it go?",
            if_approved="It goes.",
            if_rejected="It stops.",
            if_nothing="It waits.",
            limit_label="Go with limits",
            if_limited="It goes at 60 %.",
        )
        gate = self._gates.open("go", SignOff(approvers=("lead",)), question, Evidence(taken_at=workflow.now()))
        await self._gates.decided(gate)
        await workflow.wait_condition(lambda: self._over)
        await self._gates.on_record()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return {"pages": len(sent.pages), "limited": gate.limited, "notes": self._notes}

    def _heed(self, word: Word) -> str:
        campaign = self._board.view.campaign
        assert campaign is not None
        if word.act is Act.ACCEPT:
            campaign.roles[0].person = word.by
        elif word.act is Act.DONE:
            campaign.tasks[0].done_at, campaign.tasks[0].done_by = workflow.now(), word.by
        else:
            self._notes.append(f"{word.act} {word.reason}".strip())
        self._over = word.act is Act.TEST
        return f"Heard: {word.act}"


@pytest.fixture(scope="module")
async def toys(house: House, client: Client) -> AsyncIterator[House]:
    errands = ErrandActivities([house.private], house.audit, keyring=signing.KEYS, run_url=run_url)
    deciding = SigningActivities(
        keyring=signing.KEYS, history=TemporalHistory(client), file_digest=lambda name: name
    )
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[Toy],
        activities=[errands.ask_person, deciding.check_signalled],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield house


async def start(house: House) -> Run:
    run_id = f"campaign-toy-{next(_numbers)}"
    now = datetime.now(UTC)
    campaign = CampaignView(
        opens=now,
        closes=now + timedelta(days=1),
        roles=[RoleLine(name="commander", title="Commander", asked=["anna"])],
        tasks=[TaskLine(id="check", title="Check", owner="commander", person="anna", due=now)],
        may_answer=["boris"],
    )
    view = RunView(
        run_id=run_id,
        runbook="toy",
        title="A toy",
        requested_by="anna",
        started_at=now,
        state=RunState.CHECKING,
        kind="campaign",
        campaign=campaign,
    )
    handle = await house.client.start_workflow("tasked-toy", view, id=run_id, task_queue=QUEUE)
    run = Run(house, "toy", handle)
    await run.gate()
    return run


async def test_roles_and_tasks_are_taken_and_ticked_off_and_limits_agreed(toys: House) -> None:
    run = await start(toys)
    accepted = await run.say("accept", to="commander")
    assert (accepted.answer, accepted.text) == (Answer.ACCEPTED, "Heard: accept")
    await run.say("done", to="check")
    await run.say("note", reason="all calm")
    view = await run.view()
    assert view.campaign
    assert (view.campaign.roles[0].person, view.campaign.tasks[0].done_by) == ("anna", "anna")
    await run.answer("limit")
    await run.say("test", by="boris")
    assert await run.result() == {"pages": 1, "limited": True, "notes": ["note all calm", "test"]}
    [gate] = (await run.view()).closed_gates
    assert [d.decision for d in gate.decisions] == ["limit"]
    on_record = [e.text for e in toys.audit.entries if e.run == run.handle.id]
    assert "a request for the role 'commander' was sent to anna by telegram" in on_record
    assert any(text.startswith("boris said go with limits via ") for text in on_record)


async def test_what_does_not_count_is_refused_with_the_reason(toys: House) -> None:
    run = await start(toys)
    for act, to, by, why in (
        ("accept", "boss", "anna", "none of the roles; they are: commander"),
        ("done", "chekc", "anna", "none of the tasks; those that are open: check"),
        ("test", "", "anna", "may not say 'test'"),
        ("note", "", "anna", "write what is to be noted"),
    ):
        with pytest.raises(DecisionRefused, match=why):
            await run.say(act, by=by, to=to)
    await run.say("accept", to="commander")
    with pytest.raises(DecisionRefused, match="is yours already"):
        await run.say("accept", to="commander")
    await run.handle.terminate()


async def test_a_signal_counts_as_the_update_does_and_its_sender_is_told(toys: House) -> None:
    run = await start(toys)
    await run.handle.signal("accept", signing.word(run.handle.id, "accept", "anna", to="commander"))
    await run.handle.signal("done", signing.word(run.handle.id, "done", "anna", to="nothing"))

    async def told() -> list[str]:
        mine = [s.text for s in toys.private.said if s.person == "anna" and run.handle.id in s.text]
        return mine if len(mine) == 2 else []

    texts = await eventually(told)
    assert any("Heard: accept" in text for text in texts)
    assert any("none of the tasks" in text for text in texts)
    await run.handle.terminate()


async def test_a_code_for_a_role_comes_to_the_private_chat_and_is_good_for_it(toys: House) -> None:
    run = await start(toys)
    reply = await toys.runs().send_code(run.handle.id, CodeRequest(by="anna", gate="accept", to="commander"))
    assert reply.text.startswith("A code was sent to Anna's private chat.")
    [sent] = [
        s for s in toys.private.said if "accept the role 'commander'" in s.text and run.handle.id in s.text
    ]
    said = Word.model_validate_json(sent.paste)
    assert (await toys.runs().say(run.handle.id, said)).text == "Heard: accept"
    await run.handle.terminate()


async def test_a_code_for_limits_comes_where_the_gate_takes_them(toys: House) -> None:
    run = await start(toys)
    reply = await toys.runs().send_code(
        run.handle.id, CodeRequest.model_validate({"by": "boris", "decision": "limit"})
    )
    assert reply.gate == "go"
    [sent] = [
        s for s in toys.private.said if "go with limits at gate 'go'" in s.text and run.handle.id in s.text
    ]
    assert '"decision": "limit"' in sent.paste
    await run.handle.terminate()
