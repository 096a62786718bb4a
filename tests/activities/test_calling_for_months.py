"""Calling people for months, on the real server in virtual time."""

from datetime import timedelta
from itertools import pairwise

from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.calling import CallingActivities, CallRequest
from holdfast.domain.evidence import Evidence
from holdfast.domain.gates import Question, open_gate
from holdfast.domain.people import People, Person
from holdfast.domain.proofs import Keyring
from holdfast.domain.signoff import SignOff
from holdfast.ports.notices import NoticeKind
from tests.activities.gate_fakes import MemoryAudit, MemoryBook, RecordingChannel
from tests.fakes import eventually
from tests.server import time_skipper

PEOPLE = People(people=(Person(name="boris", title="Boris", telegram_id=2, roles=("lead",)),))
POLICY = SignOff.model_validate(
    {"approvers": ["lead"], "remind": {"then_every": "10d", "in_working_hours": False}}
)
QUESTION = Question(title="t", question="q", if_approved="on", if_rejected="stop", if_nothing="wait")


@workflow.defn
class Waiting:
    """Calls people to a gate that it opens, for as long as it takes."""

    @workflow.run
    async def run(self) -> None:
        now = workflow.now()
        gate = open_gate(
            "1-limit", POLICY, QUESTION, Evidence(taken_at=now), people=PEOPLE, token="tok", now=now
        )
        await workflow.execute_activity_method(
            CallingActivities.call_people,
            CallRequest(run_id="run-1", run_title="A run", gate=gate, people=PEOPLE),
            start_to_close_timeout=timedelta(minutes=1),
            retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1)),
        )


async def test_reminders_come_for_months_and_cost_no_history(client: Client) -> None:
    telegram, book = RecordingChannel(), MemoryBook()
    activities = CallingActivities(
        [telegram], book, MemoryAudit(), keyring=Keyring(["a secret for tests only"]), run_url=str
    )
    skipper = time_skipper(client)
    async with Worker(
        client,
        task_queue="calling-for-months",
        workflows=[Waiting],
        activities=[activities.call_people],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        handle = await skipper.client.start_workflow(
            Waiting.run, id="calling-for-months", task_queue="calling-for-months"
        )

        async def told() -> bool:
            return bool(telegram.notices)

        await eventually(told)
        for _ in range(9):
            assert await skipper.fast_forward(handle, timedelta(days=10, minutes=1))
        (pending,) = (await handle.describe()).raw_description.pending_activities
        history = await handle.fetch_history()
        await handle.terminate()

    reminders = telegram.to("boris")[1:]
    assert reminders == [(NoticeKind.REMINDER, number) for number in range(1, len(reminders) + 1)]
    assert len(reminders) >= 9
    gaps = [after.at - before.at for before, after in pairwise(book.entries.values())]
    assert all(abs(gap - timedelta(days=10)) < timedelta(minutes=1) for gap in gaps)
    assert pending.last_failure.message.startswith("Told boris; next: boris on 20")
    assert sum("ACTIVITY_TASK" in EventType.Name(event.event_type) for event in history.events) == 1
