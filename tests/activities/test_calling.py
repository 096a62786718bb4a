from datetime import UTC, datetime, timedelta

import pytest
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.calling import RetireRequest
from holdfast.domain.decisions import Choice, Decision
from holdfast.domain.errors import ChatUnavailable, DeliveryUncertain, InvalidInput
from holdfast.domain.gates import record
from holdfast.ports.audit import AuditKind
from holdfast.ports.notices import SentNotice
from tests.activities.desk import (
    BORIS,
    DAY,
    GLEB,
    HOUR,
    KEYS,
    NOBODY,
    OPENED,
    REMINDER,
    REQUEST,
    VERA,
    WARNING,
    Desk,
    ask,
)


async def test_everybody_is_asked_once_by_every_channel_that_reaches() -> None:
    desk = Desk(people=(BORIS, VERA, GLEB))
    gate = ask(*desk.people, approvers=["lead", "client"])

    await desk.call(gate)
    await desk.call(gate)

    assert [name for name, _ in desk.telegram.notices] == ["boris", "gleb"]
    assert [name for name, _ in desk.email.notices] == ["vera", "gleb"]
    assert {state for _, _, state in desk.book.states()} == {"sent"}
    assert desk.recorded() == [(AuditKind.REQUEST, n, "sent") for n in ("boris", "vera", "gleb", "gleb")]
    notice = desk.telegram.notices[0][1]
    assert notice.waiting == ("vera", "gleb")
    assert notice.button == KEYS.button("run-1", "tok", gate.evidence, "boris")
    assert (notice.run_url, notice.link) == ("http://ui/run-1", "http://web/run-1/1-limit/boris")
    assert notice.next_at == datetime(2026, 11, 23, 8, tzinfo=UTC)


async def test_an_attempt_ends_with_a_failure_that_reads_well_and_waits_for_what_comes_next() -> None:
    desk = Desk()

    failure = await desk.call(ask(*desk.people))

    assert failure is not None
    assert failure.message == "Told boris, vera; next: boris on 2026-11-23 08:00 UTC"  # nine in Berlin
    assert failure.type == "NextCall"
    assert failure.category is ApplicationErrorCategory.BENIGN
    assert failure.next_retry_delay == datetime(2026, 11, 23, 8, tzinfo=UTC) - OPENED
    assert not failure.non_retryable


async def test_it_returns_when_nothing_more_will_be_due() -> None:
    desk = Desk()

    assert await desk.call(ask(*desk.people, remind={})) is None
    assert desk.telegram.to("boris") == [(REQUEST, 1)]


async def test_each_attempt_comes_when_the_next_notice_is_due() -> None:
    desk = Desk()
    gate = ask(*desk.people)

    await desk.live(gate, attempts=5)

    assert desk.telegram.to("boris") == [(REQUEST, 1), (REMINDER, 1), (REMINDER, 2), (REMINDER, 3)]
    assert desk.email.to("vera") == [(REQUEST, 1), (REMINDER, 1), (REMINDER, 2), (REMINDER, 3)]


async def test_of_what_was_missed_while_no_worker_was_up_only_the_newest_is_sent() -> None:
    desk = Desk()
    gate = ask(*desk.people, deadline={"after": "60d", "warn_before": ["40d", "35d"]})
    await desk.call(gate)

    desk.now += 31 * DAY
    await desk.call(gate)

    (request, warning, reminder) = desk.telegram.to("boris")
    assert request == (REQUEST, 1)
    assert warning == (WARNING, 2)
    assert reminder[0] is REMINDER
    assert reminder[1] > 15


async def test_whoever_was_never_asked_gets_the_newest_reminder_instead_of_both() -> None:
    desk = Desk(now=OPENED + 10 * DAY)

    await desk.call(ask(*desk.people))

    assert [kind for kind, _ in desk.telegram.to("boris")] == [REMINDER]


async def test_who_has_answered_is_left_in_peace() -> None:
    desk = Desk()
    gate = ask(*desk.people, quorum=2)
    record(Decision(gate=gate.id, decision=Choice.APPROVE, by="boris"), gate, now=OPENED + HOUR)

    desk.now += 5 * DAY
    await desk.call(gate)

    assert desk.telegram.notices == []
    assert len(desk.email.notices) == 1
    assert desk.email.notices[0][1].waiting == ()


async def test_a_chat_that_is_down_is_tried_again_soon_and_keeps_nobody_else_waiting() -> None:
    desk = Desk()
    gate = ask(*desk.people)
    desk.telegram.troubles["boris"].append(ChatUnavailable("Too Many Requests", retry_after_seconds=3))

    failure = await desk.call(gate)

    assert desk.book.states() == [("vera", "email", "sent")]
    assert failure is not None
    assert failure.next_retry_delay == timedelta(seconds=3)
    assert failure.message.startswith(
        "Told vera; boris could not be told by telegram yet: Too Many Requests; next: boris on"
    )
    desk.now += timedelta(seconds=3)
    await desk.call(gate)
    assert desk.telegram.to("boris") == [(REQUEST, 1)]
    assert desk.email.to("vera") == [(REQUEST, 1)]


async def test_a_notice_of_unknown_fate_is_not_repeated() -> None:
    desk = Desk()
    gate = ask(*desk.people)
    desk.telegram.troubles["boris"].append(DeliveryUncertain("the connection broke"))

    await desk.call(gate)
    await desk.call(gate)

    assert desk.telegram.notices == []
    assert desk.book.states()[0] == ("boris", "telegram", "uncertain")
    assert desk.audit.entries[0].text == "the request may have reached boris by telegram: the connection broke"


async def test_who_cannot_be_written_to_is_on_record_and_reminded_all_the_same() -> None:
    desk = Desk()
    gate = ask(*desk.people)
    desk.telegram.troubles["boris"].append(InvalidInput("boris has never started the bot"))

    await desk.live(gate, attempts=2)

    assert desk.recorded()[0] == (AuditKind.REQUEST, "boris", "failed")
    assert "never started the bot" in desk.audit.entries[0].text
    await desk.call(gate)
    assert desk.telegram.to("boris") == [(REMINDER, 1)]


async def test_who_is_reached_by_no_channel_is_on_record_once() -> None:
    desk = Desk(people=(NOBODY, BORIS))
    gate = ask(*desk.people)

    await desk.call(gate)
    await desk.call(gate)

    assert desk.recorded() == [(AuditKind.REQUEST, "nina", "failed"), (AuditKind.REQUEST, "boris", "sent")]
    assert (
        desk.audit.entries[0].text
        == "the request could not be sent to nina by none: no channel reaches this person"
    )


class Killed(BaseException):
    """The worker's process dies here."""


async def test_what_a_worker_was_sending_when_it_died_is_uncertain_and_not_repeated() -> None:
    desk = Desk()
    gate = ask(*desk.people, remind={})
    desk.telegram.troubles["boris"].append(Killed())
    with pytest.raises(Killed):
        await desk.call(gate)

    failure = await desk.call(gate)
    assert failure is not None
    assert failure.message == "Told vera; it is not known yet whether boris was told"
    assert failure.next_retry_delay is not None
    assert desk.book.states()[0] == ("boris", "telegram", "sending")
    desk.now += failure.next_retry_delay
    assert await desk.call(gate) is None

    assert desk.telegram.notices == []
    assert desk.book.states()[0] == ("boris", "telegram", "uncertain")
    assert desk.recorded()[-1] == (AuditKind.REQUEST, "boris", "uncertain")


async def test_a_channel_that_sends_once_by_key_is_given_again_what_a_dead_worker_was_sending() -> None:
    desk = Desk(once_by_key=("telegram",))
    gate = ask(*desk.people, remind={})
    desk.telegram.troubles["boris"].append(Killed())
    with pytest.raises(Killed):
        await desk.call(gate)
    [begun] = desk.book.entries.values()

    assert await desk.call(gate) is None

    [(name, notice)] = desk.telegram.notices
    assert (name, notice.key) == ("boris", begun.key)
    assert desk.book.states()[0] == ("boris", "telegram", "sent")
    assert desk.recorded()[0] == (AuditKind.REQUEST, "boris", "sent")


async def test_what_is_due_no_more_is_not_repeated_after_a_crash() -> None:
    desk = Desk(once_by_key=("telegram",))
    gate = ask(*desk.people)
    desk.telegram.troubles["boris"].append(Killed())
    with pytest.raises(Killed):
        await desk.call(gate)
    desk.now += 4 * DAY

    await desk.call(gate)

    assert [kind for kind, _ in desk.telegram.to("boris")] == [REMINDER]
    assert desk.book.states()[0] == ("boris", "telegram", "uncertain")


async def test_a_store_that_is_down_is_retried_soon_and_nothing_is_sent_without_it() -> None:
    desk = Desk()
    gate = ask(*desk.people)
    desk.book.down = True

    failure = await desk.call(gate)

    assert failure is not None
    assert (failure.type, failure.non_retryable) == ("Unavailable", False)
    assert failure.next_retry_delay == timedelta(seconds=20)
    assert desk.telegram.notices == []
    desk.book.down, desk.audit.down = False, True
    await desk.call(gate)
    desk.audit.down = False
    await desk.call(gate)
    assert desk.telegram.to("boris") == [(REQUEST, 1)], "sent before the record failed, so not again"
    assert desk.email.to("vera") == [(REQUEST, 1)]


async def test_a_gate_that_is_asked_anew_under_its_id_is_told_anew() -> None:
    desk = Desk(people=(BORIS,))

    await desk.call(ask(BORIS, token="before the reset"))
    await desk.call(ask(BORIS, token="after it"))

    assert desk.telegram.to("boris") == [(REQUEST, 1), (REQUEST, 1)]


async def test_notices_of_a_closed_gate_say_what_became_of_it() -> None:
    desk = Desk(people=(BORIS, VERA, GLEB))
    gate = ask(*desk.people, approvers=["lead", "client"])
    await desk.live(gate, attempts=3)
    record(Decision(gate=gate.id, decision=Choice.APPROVE, by="boris"), gate, now=desk.now)
    desk.telegram.gone.add("2")

    await desk.run(desk.activities.retire_notices, RetireRequest(run_id="run-1", gate=gate))

    assert set(desk.telegram.retired) == {"1", "3", "4"}
    assert desk.telegram.retired["1"].startswith("Gate '1-limit' is approved: boris said approve")
    assert {state for _, _, state in desk.book.states()} == {"retired"}
    desk.telegram.retired.clear()
    await desk.run(desk.activities.retire_notices, RetireRequest(run_id="run-1", gate=gate))
    assert desk.telegram.retired == {}


@pytest.mark.parametrize(
    "trouble", [ChatUnavailable("down", retry_after_seconds=7), DeliveryUncertain("broke")]
)
async def test_a_chat_that_is_down_while_notices_are_retired_is_tried_again(trouble: Exception) -> None:
    desk = Desk(people=(BORIS, GLEB))
    gate = ask(*desk.people, approvers=["lead", "client"])
    await desk.call(gate)
    desk.telegram.retiring.append(trouble)
    request = RetireRequest(run_id="run-1", gate=gate)

    with pytest.raises(ApplicationError) as failed:
        await desk.run(desk.activities.retire_notices, request)

    assert (failed.value.type, failed.value.non_retryable) == ("ChatUnavailable", False)
    assert len(desk.telegram.retired) == 1
    await desk.run(desk.activities.retire_notices, request)
    assert len(desk.telegram.retired) == 2


async def test_the_record_of_all_this_is_whole() -> None:
    desk = Desk()
    await desk.live(ask(*desk.people), attempts=4)

    report = await desk.audit.verify(expected_head=desk.audit.entries[0].hash)

    assert (report.entries, report.broken_at, report.problem) == (len(desk.audit.entries), None, "")
    assert all(isinstance(e, SentNotice) and e.message for e in desk.book.entries.values())
