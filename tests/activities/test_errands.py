"""Roles and tasks that a person is asked for: once by every channel, and said truly on record."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.errands import ErrandActivities, ErrandRequest, ErrandSent
from holdfast.domain.errors import ChatUnavailable, DeliveryUncertain, InvalidInput
from holdfast.domain.people import People, Person
from holdfast.domain.view import RunView
from holdfast.domain.words import Act
from tests.activities.desk import BORIS, GLEB, HOUR, KEYS, NOBODY, OPENED, VERA
from tests.activities.gate_fakes import MemoryAudit, RecordingChannel

VIEW = RunView(
    run_id="campaign-1",
    runbook="black-friday",
    title="Black Friday",
    requested_by="gleb",
    started_at=OPENED,
    kind="campaign",
)


@dataclass
class ErrandDesk:
    """The activities over in-memory ports; each attempt begins with what the one before has kept."""

    people: tuple[Person, ...] = (BORIS, VERA, GLEB, NOBODY)
    telegram: RecordingChannel = field(default_factory=RecordingChannel)
    email: RecordingChannel = field(default_factory=lambda: RecordingChannel("email"))
    audit: MemoryAudit = field(default_factory=MemoryAudit)
    kept: list[Any] = field(default_factory=list[Any])
    attempt: int = 1
    now: datetime = OPENED

    async def ask(self, name: str = "gleb", **more: Any) -> ErrandSent:
        wanted = {"act": Act.ACCEPT, "to": "commander", "text": "You are asked.", "key": f"errand/1/{name}/1"}
        request = ErrandRequest.model_validate(
            {"view": VIEW, "people": People(people=self.people), "name": name, **wanted, **more}
        )
        activities = ErrandActivities(
            [self.telegram, self.email], self.audit, keyring=KEYS, run_url=lambda run: f"http://ui/{run}"
        )
        environment = ActivityEnvironment()
        environment.on_heartbeat = lambda *details: self._keep(list(details))
        environment.info = replace(
            environment.info,
            attempt=self.attempt,
            heartbeat_details=self.kept,
            current_attempt_scheduled_time=self.now - HOUR,
            started_time=self.now,
            scheduled_time=self.now,
        )
        self.attempt += 1
        sent: ErrandSent = await environment.run(activities.ask_person, request)
        return sent

    def _keep(self, details: list[Any]) -> None:
        self.kept = details

    def asked(self) -> list[tuple[str, str]]:
        return [(name, c.name) for c in (self.telegram, self.email) for name, _ in c.errands]


@pytest.fixture
def desk() -> ErrandDesk:
    return ErrandDesk()


async def test_a_person_is_asked_by_every_channel_with_a_button_of_their_own(desk: ErrandDesk) -> None:
    sent = await desk.ask(due=OPENED + HOUR, label="Yes")
    assert desk.asked() == [("gleb", "telegram"), ("gleb", "email")]
    assert [(p.person, p.channel) for p in sent.pages] == [("gleb", "telegram"), ("gleb", "email")]
    assert sent.troubles == []
    errand = desk.telegram.errands[0][1]
    assert errand.button == KEYS.button("campaign-1", "accept", "commander", "gleb")
    assert (errand.run_title, errand.run_url, errand.label) == ("Black Friday", "http://ui/campaign-1", "Yes")
    assert (errand.due, errand.overdue) == (OPENED + HOUR, False)
    assert [(e.person, e.kind, e.text) for e in desk.audit.entries] == [
        ("gleb", "request", "a request for the role 'commander' was sent to gleb by telegram"),
        ("gleb", "request", "a request for the role 'commander' was sent to gleb by email"),
    ]


async def test_what_was_due_before_is_overdue_and_asked_again_is_a_reminder(desk: ErrandDesk) -> None:
    await desk.ask("boris", act=Act.DONE, to="check", due=OPENED - HOUR, number=2, key="errand/1/boris/2")
    errand = desk.telegram.errands[0][1]
    assert (errand.overdue, errand.number, errand.act) == (True, 2, "done")
    [entry] = desk.audit.entries
    assert entry.kind == "reminder"
    assert entry.text == "a request for the task 'check' was sent to boris by telegram"


async def test_who_was_asked_before_an_attempt_failed_is_not_asked_twice(desk: ErrandDesk) -> None:
    desk.email.troubles["gleb"].append(ChatUnavailable("the mail server is down"))
    with pytest.raises(ApplicationError, match="gleb: the mail server is down") as failed:
        await desk.ask()
    assert failed.value.type == "ChatUnavailable"
    sent = await desk.ask()
    assert desk.asked() == [("gleb", "telegram"), ("gleb", "email")]
    assert len(sent.pages) == 2
    assert len(desk.audit.entries) == 2


async def test_a_channel_that_stays_down_does_not_hold_up_what_another_one_delivered(desk: ErrandDesk) -> None:
    desk.email.troubles["gleb"].extend([ChatUnavailable("down")] * 9)
    for _ in range(2):
        with pytest.raises(ApplicationError):
            await desk.ask()
    sent = await desk.ask()
    assert [p.channel for p in sent.pages] == ["telegram"]
    assert sent.troubles == []


async def test_who_cannot_be_reached_is_named_and_on_record(desk: ErrandDesk) -> None:
    sent = await desk.ask("nina")
    stranger = await desk.ask("zoe", key="errand/1/zoe/1")
    why = "neither telegram_id nor email is set in people.yaml"
    assert (sent.pages, sent.troubles) == ([], [f"nina was not reached: {why}"])
    assert stranger.troubles == [f"zoe was not reached: {why}"]
    assert [e.data["state"] for e in desk.audit.entries] == ["failed", "failed"]


@pytest.mark.parametrize(
    ("trouble", "troubles", "state"),
    [
        (InvalidInput("has blocked the bot"), ["boris was not reached: has blocked the bot"], "failed"),
        (DeliveryUncertain("no answer came"), [], "uncertain"),
    ],
)
async def test_what_cannot_be_mended_is_not_tried_again(
    desk: ErrandDesk, trouble: Exception, troubles: list[str], state: str
) -> None:
    desk.telegram.troubles["boris"].append(trouble)
    sent = await desk.ask("boris")
    assert (sent.pages, sent.troubles) == ([], troubles)
    assert [e.data["state"] for e in desk.audit.entries] == [state]


async def test_a_record_that_does_not_answer_is_tried_again_but_stops_nobody(desk: ErrandDesk) -> None:
    desk.audit.down = True
    for _ in range(2):
        with pytest.raises(ApplicationError) as failed:
            await desk.ask("boris")
        assert failed.value.type == "Unavailable"
    sent = await desk.ask("boris")
    assert len(sent.pages) == 1
    assert desk.asked() == [("boris", "telegram")]


async def test_a_channel_that_hangs_is_given_up_for_this_attempt(
    desk: ErrandDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.errands._PATIENCE", timedelta(0))
    desk.telegram.troubles["boris"].append(TimeoutError())
    with pytest.raises(ApplicationError, match="telegram has not taken it within 0 s"):
        await desk.ask("boris")
