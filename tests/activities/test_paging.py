"""Calls to incidents: once by every channel, however often an attempt dies, and said truly on record."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import paging
from activities.paging import PagedStep, PageRequest, PagingActivities, RetirePages, SentPage
from holdfast.domain.errors import ChatUnavailable, DeliveryUncertain, InvalidInput
from holdfast.domain.escalation import EscalationPolicy
from holdfast.domain.people import People, Person
from holdfast.domain.view import IncidentView, MessageRef, RunView
from holdfast.ports.duty import Cover
from holdfast.ports.notices import Page
from holdfast.runbook.library import RunbookLibrary
from tests.activities.desk import BORIS, GLEB, HOUR, KEYS, NOBODY, OPENED, VERA
from tests.activities.gate_fakes import MemoryAudit, MemoryDuty, RecordingChannel

POLICY = EscalationPolicy.model_validate(
    {"title": "All", "steps": [{"page": ["rota:support"]}, {"page": ["lead"], "wait": "1m"}]}
)
ROTA = {"title": "Support", "members": ["gleb", "boris"], "turn": "7d", "begins": "2026-11-16T10:00"}
VIEW = RunView(
    run_id="incident-1",
    runbook="slow",
    title="Slow",
    requested_by="gleb",
    started_at=OPENED,
    kind="incident",
    incident=IncidentView(tier="gold"),
)


class PagingDesk:
    """The activities over in-memory ports; each attempt begins with what the one before has kept."""

    def __init__(self, directory: Path, *people: Person) -> None:
        (directory / "escalation").mkdir()
        self.duty_file = directory / "escalation" / "duty.yaml"
        self.duty_file.write_text(yaml.safe_dump({"rotas": {"support": ROTA}}))
        self.people = people or (BORIS, VERA, GLEB)
        self.telegram, self.email = RecordingChannel(), RecordingChannel("email")
        self.audit, self.duty, self.now = MemoryAudit(), MemoryDuty(), OPENED
        self.kept: list[Any] = []
        self.attempt = 1
        self.step_waits = timedelta(minutes=5)
        self.library = RunbookLibrary([directory])
        self.activities = self.activities_over(self.telegram, self.email)

    def activities_over(self, *channels: RecordingChannel, duty: MemoryDuty | None = None) -> PagingActivities:
        return PagingActivities(
            self.library,
            duty or self.duty,
            channels,
            self.audit,
            keyring=KEYS,
            run_url=lambda run_id: f"http://ui/{run_id}",
        )

    async def page(self, step: int = 2, **more: Any) -> PagedStep:
        request = PageRequest(
            view=VIEW, policy=POLICY, people=People(people=self.people), step=step, round=1, **more
        )
        environment = self._environment()
        self.attempt += 1
        result: PagedStep = await environment.run(self.activities.page_step, request)
        return result

    async def retire(self, pages: list[SentPage]) -> None:
        await self._environment().run(self.activities.retire_pages, RetirePages(pages=pages, text="Over."))

    def called(self) -> list[tuple[str, str]]:
        """Return (person, channel) of every call that arrived, by channel."""
        return [(name, c.name) for c in (self.telegram, self.email) for name, _ in c.pages]

    def recorded(self) -> list[tuple[str, str]]:
        return [(e.person, e.data["state"]) for e in self.audit.entries]

    def _environment(self) -> ActivityEnvironment:
        environment = ActivityEnvironment()
        environment.on_heartbeat = lambda *details: self._keep(list(details))
        environment.info = replace(
            environment.info,
            attempt=self.attempt,
            heartbeat_details=self.kept,
            current_attempt_scheduled_time=self.now - HOUR,
            started_time=self.now,
            scheduled_time=self.now,
            schedule_to_close_timeout=self.step_waits,
        )
        return environment

    def _keep(self, details: list[Any]) -> None:
        self.kept = details


@pytest.fixture
def desk(tmp_path: Path) -> PagingDesk:
    return PagingDesk(tmp_path)


async def test_a_step_calls_everybody_by_every_channel_and_puts_each_call_on_record(desk: PagingDesk) -> None:
    paged = await desk.page(step=2, next_step=1)
    assert paged.reached == ["boris", "vera"]
    assert desk.called() == [("boris", "telegram"), ("vera", "email")]
    assert [(p.person, p.channel) for p in paged.pages] == [("boris", "telegram"), ("vera", "email")]
    assert (paged.next_called, paged.answering, paged.troubles) == (["gleb"], ["gleb", "boris", "vera"], [])
    assert [e.text for e in desk.audit.entries] == [
        "a call was sent to boris by telegram",
        "a call was sent to vera by email",
    ]
    page = desk.telegram.pages[0][1]
    assert (page.key, page.number) == ("page/incident-1/boris/1", 1)
    assert page.button == KEYS.button("incident-1", "incident", "", "boris")


async def test_who_was_called_before_an_attempt_failed_is_not_called_by_the_next_one(desk: PagingDesk) -> None:
    desk.email.troubles["vera"].append(ChatUnavailable("the mail server is down"))
    with pytest.raises(ApplicationError, match="vera: the mail server is down") as failed:
        await desk.page()
    assert failed.value.type == "ChatUnavailable"
    assert not failed.value.non_retryable
    paged = await desk.page()
    assert paged.reached == ["boris", "vera"]
    assert desk.called() == [("boris", "telegram"), ("vera", "email")]
    assert desk.recorded() == [("boris", "sent"), ("vera", "sent")]
    assert len(paged.pages) == 2


async def test_those_who_were_reached_are_not_held_up_for_long_by_a_chat_that_is_down(desk: PagingDesk) -> None:
    desk.email.troubles["vera"].extend([ChatUnavailable("down")] * 9)
    for _ in range(4):
        with pytest.raises(ApplicationError):
            await desk.page()
    paged = await desk.page()
    assert (paged.reached, paged.troubles) == (["boris"], ["vera was not reached: down"])
    assert paged.settled == ["boris"], "vera's is the same call when it is tried again"


async def test_a_step_that_is_nearly_over_returns_whom_it_reached(desk: PagingDesk) -> None:
    desk.step_waits = timedelta(seconds=15)
    desk.email.troubles["vera"].append(ChatUnavailable("down"))
    assert (await desk.page()).reached == ["boris"]


async def test_where_nobody_is_reached_because_a_chat_is_down_it_is_tried_for_as_long_as_it_takes(
    tmp_path: Path,
) -> None:
    desk = PagingDesk(tmp_path, BORIS)
    desk.telegram.troubles["boris"].extend([ChatUnavailable("down")] * 20)
    for _ in range(20):
        with pytest.raises(ApplicationError):
            await desk.page()
    assert (await desk.page()).reached == ["boris"]


async def test_a_call_of_unknown_fate_counts_as_a_call_and_is_said_to_be_unknown(desk: PagingDesk) -> None:
    desk.telegram.troubles["boris"].append(DeliveryUncertain("the connection broke"))
    paged = await desk.page()
    assert paged.reached == ["boris", "vera"]
    assert [p.person for p in paged.pages] == ["vera"]
    assert desk.audit.entries[0].text == "a call may have reached boris by telegram: the connection broke"


async def test_who_cannot_be_reached_is_named_with_the_reason(tmp_path: Path) -> None:
    desk = PagingDesk(tmp_path, NOBODY, BORIS)
    desk.telegram.troubles["boris"].append(InvalidInput("boris has never started the bot"))
    paged = await desk.page()
    assert paged.reached == []
    assert paged.troubles == [
        "nina was not reached: neither telegram_id nor email is set in people.yaml",
        "boris was not reached: boris has never started the bot",
    ]
    assert paged.settled == ["nina", "boris"], "the next call is another one, which may be sent"
    assert desk.recorded() == [("nina", "failed"), ("boris", "failed")]


async def test_a_rota_is_looked_up_at_the_moment_of_the_call_with_covers(desk: PagingDesk) -> None:
    assert (await desk.page(step=1)).reached == ["gleb"]
    desk.now += timedelta(days=7)
    desk.kept = []
    assert (await desk.page(step=1, numbers={"boris": 1})).reached == ["boris"]
    desk.duty.items.append(
        Cover(
            id="c1", rota="support", person="vera", since=desk.now - HOUR, until=desk.now + HOUR, by="boris",
            at=desk.now,
        )
    )  # fmt: skip
    desk.kept = []
    assert (await desk.page(step=1)).reached == ["vera"]
    assert desk.email.pages[-1][1].because == "You are on duty (Support)."


async def test_whom_it_is_handed_over_to_is_called_alone_or_before_the_others(desk: PagingDesk) -> None:
    paged = await desk.page(step=0, to="gleb", by="boris", next_step=1)
    assert (paged.reached, paged.next_called) == (["gleb"], ["gleb"])
    assert desk.telegram.pages[-1][1].because == "boris hands it over to you."
    desk.kept = []
    assert (await desk.page(step=2, to="gleb", by="boris", numbers={"gleb": 1})).reached == [
        "gleb",
        "boris",
        "vera",
    ]


async def test_a_newer_call_takes_the_buttons_of_the_one_before_and_no_others(desk: PagingDesk) -> None:
    first = await desk.page(step=2)
    desk.kept = []
    second = await desk.page(step=0, to="boris", numbers={"boris": 1}, earlier=first.pages)
    assert [(p.person, p.channel) for p in second.pages] == [("vera", "email"), ("boris", "telegram")]
    assert desk.telegram.retired == {first.pages[0].message.message_id: "There is a newer call below."}
    assert desk.email.retired == {}


async def test_files_that_cannot_be_read_are_named_and_the_others_of_the_step_are_called(
    desk: PagingDesk,
) -> None:
    desk.duty_file.write_text("rotas: 7")
    desk.duty.down = True
    paged = await desk.page(step=2)
    assert paged.reached == ["boris", "vera"]
    assert paged.troubles[0].startswith("the rotas cannot be read: ")
    assert paged.troubles[1] == "who covers for whom is not known: the database does not answer"


async def test_a_record_that_is_down_holds_nobody_up_for_long_and_calls_nobody_twice(desk: PagingDesk) -> None:
    desk.audit.down = True
    for _ in range(4):
        with pytest.raises(ApplicationError):
            await desk.page()
    assert (await desk.page()).reached == ["boris", "vera"]
    assert desk.called() == [("boris", "telegram"), ("vera", "email")]


async def test_calls_that_are_over_say_why_and_one_that_cannot_be_edited_is_no_failure(
    desk: PagingDesk,
) -> None:
    paged = await desk.page()
    gone = SentPage(person="boris", channel="telegram", message=MessageRef(chat="2", message_id="99"))
    desk.telegram.gone.add("99")
    desk.telegram.retiring.append(ChatUnavailable("down"))
    with pytest.raises(ApplicationError) as failed:
        await desk.retire([*paged.pages, gone])
    assert failed.value.type == "ChatUnavailable"
    assert set(desk.email.retired.values()) == {"Over."}, "the others are not held up"
    await desk.retire([*paged.pages, gone])
    assert set(desk.telegram.retired.values()) == {"Over."}


async def test_a_chat_that_was_down_through_steps_and_rounds_has_one_call_to_send_to_each_person(
    tmp_path: Path,
) -> None:
    desk = PagingDesk(tmp_path, BORIS)
    keys: list[str] = []

    class Flooded(RecordingChannel):
        async def page(self, person: Person, page: Page) -> MessageRef:
            keys.append(page.key)
            raise ChatUnavailable("its message waits")

    desk.activities = desk.activities_over(Flooded())
    for step in (2, 0, 2, 0):
        with pytest.raises(ApplicationError):
            await desk.page(step, to="boris", by="vera")
    assert len(keys) == 4
    assert set(keys) == {"page/incident-1/boris/1"}


async def test_a_file_that_is_broken_at_night_does_not_silence_the_rotas(desk: PagingDesk) -> None:
    assert (await desk.page(1)).reached == ["gleb"]
    desk.duty_file.write_text("rotas: [")
    desk.kept.clear()
    paged = await desk.page(1, numbers={"gleb": 1})
    assert paged.reached == ["gleb"]
    assert paged.troubles[0].startswith("the rotas cannot be read: ")


async def test_a_rota_that_does_not_exist_is_named_as_the_reason_why_nobody_is_called(desk: PagingDesk) -> None:
    desk.duty_file.write_text(yaml.safe_dump({"rotas": {"other": ROTA}}))
    paged = await desk.page(1)
    assert (paged.reached, paged.troubles) == (
        [],
        ["the rota 'support' is not known, so nobody is called by it"],
    )


async def test_a_store_that_hangs_holds_up_no_call(desk: PagingDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "_STORE_PATIENCE", timedelta(milliseconds=50))

    class Hanging(MemoryDuty):
        async def covers(self, rota: str = "", *, since: datetime, until: datetime) -> Sequence[Cover]:
            await asyncio.Event().wait()
            raise AssertionError("it never answers")

    desk.activities = desk.activities_over(desk.telegram, duty=Hanging())
    paged = await desk.page(1)
    assert paged.reached == ["gleb"]
    assert paged.troubles == [
        "who covers for whom is not known: the store has not answered within 0 s",
    ]


async def test_only_those_who_can_be_reached_are_named_as_the_next(tmp_path: Path) -> None:
    desk = PagingDesk(tmp_path, BORIS, NOBODY, GLEB)
    assert (await desk.page(0, to="gleb", by="boris", next_step=2)).next_called == ["gleb", "boris"]
