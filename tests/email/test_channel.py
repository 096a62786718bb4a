"""Mails as they arrive at a real mail server."""

import io
import logging
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from holdfast.adapters.email import EmailChannel
from holdfast.domain.errors import ChatUnavailable, DeliveryUncertain, InvalidInput
from holdfast.domain.people import Person
from holdfast.domain.view import MessageRef, RunView
from holdfast.ports.notices import Notice, NoticeKind, Page
from tests.email.standin import Mailboxes, mail_server
from tests.web.fakes import NOW, PEOPLE, RUN, a_gate

CLARA = PEOPLE.people[2]
LINK = "https://holdfast.example/g/" + "eyJ" + "x" * 300


@pytest.fixture
async def boxes() -> AsyncIterator[Mailboxes]:
    async with mail_server() as server:
        yield server


def a_notice(**changes: object) -> Notice:
    notice = Notice(
        run_id=RUN,
        run_title="Relieve a support surge",
        run_url="http://127.0.0.1:8233/run",
        gate=a_gate(),
        kind=NoticeKind.REQUEST,
        waiting=("olga", "pavel", "clara"),
        link=LINK,
        next_at=NOW + timedelta(days=1),
    )
    return notice.model_copy(update=changes)


def test_it_reaches_whoever_has_an_address() -> None:
    channel = EmailChannel("mailto://mail.example?from=a@b.example")
    assert channel.name == "email"
    assert [p.name for p in PEOPLE.people if channel.reaches(p)] == ["clara", "viktor"]


async def test_a_notice_says_what_is_asked_until_when_and_where(boxes: Mailboxes) -> None:
    sent = await EmailChannel(boxes.url).notify(CLARA, a_notice())
    assert sent == MessageRef(chat="clara@client.example", message_id=f"{RUN}/2-crm-pool/request/1")
    recipients, mail = boxes.mails[0]
    assert recipients == ["clara@client.example"]
    assert mail["subject"] == "Your decision is asked: stage 2, widen the CRM pool (Relieve a support surge)"
    assert mail["from"] == "Holdfast <holdfast@example.com>"
    for kind in ("plain", "html"):
        text = boxes.text(kind)
        for part in (
            "Hello Clara (client CTO),",
            "Set pool_size = 40 (now 10)?",
            "The run stops here; stages promoted before stay.",
            "keep_alive_seconds: 60 → 15",
            "Fri 11 Dec 2026, 20:12 America/New_York (12 Dec 01:12 UTC); after that it counts as rejected",
            "olga, pavel",
            LINK,
            "This link is yours alone: do not forward it.",
            "Next reminder: Sat 21 Nov 2026, 22:12 America/New_York",
        ):
            assert part in text.replace("&#39;", "'")
    assert f'href="{LINK}"' in boxes.text("html")


@pytest.mark.parametrize(
    ("kind", "number", "says"),
    [
        (NoticeKind.REMINDER, 1, "Reminder: your decision is still asked"),
        (NoticeKind.REMINDER, 3, "Reminder 3: your decision is still asked"),
        (NoticeKind.WARNING, 1, "The deadline comes near, and your decision is missing"),
        (NoticeKind.ESCALATION, 1, "Escalation: the answer is overdue, and you may give it"),
        (NoticeKind.OVERDUE, 1, "Overdue: your decision is still asked"),
    ],
)
async def test_every_notice_says_why_it_comes(
    boxes: Mailboxes, kind: NoticeKind, number: int, says: str
) -> None:
    await EmailChannel(boxes.url).notify(CLARA, a_notice(kind=kind, number=number, next_at=None))
    assert boxes.newest()["subject"].startswith(says)
    assert "No further reminder follows." in boxes.text()


async def test_without_a_web_page_the_mail_says_where_else(boxes: Mailboxes) -> None:
    await EmailChannel(boxes.url).notify(CLARA, a_notice(link=""))
    assert "Answer in the Temporal UI:\nhttp://127.0.0.1:8233/run" in boxes.text()
    await EmailChannel(boxes.url).notify(CLARA, a_notice(link="javascript:alert(1)", run_url=""))
    assert "javascript" not in boxes.text("html")
    assert "Answer in your private chat with the bot" in boxes.text()


async def test_nothing_of_a_run_becomes_markup_or_a_header(boxes: Mailboxes) -> None:
    gate = a_gate(title="a\r\nBcc: evil@example.com", question="<img src=x>")
    await EmailChannel(boxes.url).notify(CLARA, a_notice(gate=gate))
    assert boxes.newest()["bcc"] is None
    assert boxes.mails[0][0] == ["clara@client.example"]
    assert "<img" not in boxes.text("html")
    assert "<img src=x>" in boxes.text()


async def test_a_mail_lists_the_facts_above_the_question(boxes: Mailboxes) -> None:
    gate = a_gate(facts=["The test failed.", "The window opens soon."], question="Does the campaign go?")
    await EmailChannel(boxes.url).notify(CLARA, a_notice(gate=gate))
    text = boxes.text("html")
    assert text.index("<li>The test failed.</li>") < text.index("<strong>Does the campaign go?</strong>")


async def test_a_pin_stands_alone_to_be_copied(boxes: Mailboxes) -> None:
    await EmailChannel(boxes.url).say(CLARA, "This PIN confirms your answer.", paste="01234567")
    assert "01234567" in boxes.text().splitlines()
    assert boxes.newest()["subject"] == "This PIN confirms your answer."


async def test_nobody_gets_a_copy_of_a_personal_link(boxes: Mailboxes) -> None:
    url = f"{boxes.url}&cc=boss@example.com&bcc=spy@example.com&to=all@example.com"
    await EmailChannel(url).notify(CLARA, a_notice())
    ((recipients, _),) = boxes.mails
    assert recipients == ["clara@client.example"]


async def test_a_mail_cannot_be_taken_back_and_that_is_no_failure(boxes: Mailboxes) -> None:
    channel = EmailChannel(boxes.url)
    message = await channel.notify(CLARA, a_notice())
    await channel.retire(message, "approved by olga")
    assert len(boxes.mails) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("550 no such user", InvalidInput),
        ("451 greylisted, come again", ChatUnavailable),
    ],
)
async def test_a_refused_mail_says_why(boxes: Mailboxes, answer: str, error: type[Exception]) -> None:
    boxes.answers[CLARA.email] = answer
    with pytest.raises(error, match=answer[4:]):
        await EmailChannel(boxes.url).notify(CLARA, a_notice())
    assert not boxes.mails


async def test_a_connection_that_ends_in_the_middle_is_uncertain(boxes: Mailboxes) -> None:
    boxes.hangs_up = True
    with pytest.raises(DeliveryUncertain):
        await EmailChannel(boxes.url).notify(CLARA, a_notice())


async def test_without_a_server_nothing_was_sent() -> None:
    async with mail_server() as gone:
        channel = EmailChannel(gone.url)
    with pytest.raises(ChatUnavailable, match="refused"):
        await channel.notify(CLARA, a_notice())


@pytest.mark.parametrize("address", ["a,b@c.example", "ü@c.example", "clara@", "x@y"])
async def test_what_is_no_address_is_told_so(boxes: Mailboxes, address: str) -> None:
    person = Person.model_construct(**{**CLARA.model_dump(), "email": address})
    with pytest.raises(InvalidInput, match="no e-mail address"):
        await EmailChannel(boxes.url).say(person, "hello")
    assert not boxes.mails


async def test_a_wrong_password_is_in_no_message_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    with caplog.at_level(logging.DEBUG):
        async with mail_server(login=True) as boxes:
            good = boxes.url.replace("mailto://", "mailto://robot:hunter2@")
            await EmailChannel(good).say(CLARA, "hello")
            assert len(boxes.mails) == 1
            channel = EmailChannel(good.replace("hunter2", "swordfish"))
            with pytest.raises(ChatUnavailable, match="535") as refused:
                await channel.say(CLARA, "hello")
    logging.getLogger().removeHandler(handler)
    assert "mail.log: " in written.getvalue()
    assert "apprise: " not in written.getvalue()
    assert "swordfish" not in str(refused.value) + "".join(
        record.getMessage() for record in caplog.records if record.name == "apprise"
    )


@pytest.mark.parametrize(
    "url",
    ["", "smtp://x", "slack://token", "mailto://", "mailto://user:hunter2@h.example?mode=odd&from=a@b.example"],
)
def test_a_url_that_cannot_be_read_is_told_without_its_password(url: str) -> None:
    with pytest.raises(InvalidInput, match="HOLDFAST_EMAIL_URL") as refused:
        EmailChannel(url)
    assert "hunter2" not in str(refused.value)


async def test_a_call_to_an_incident_says_what_is_wrong_and_what_to_do(boxes: Mailboxes) -> None:
    view = RunView(
        run_id="incident-1",
        runbook="customer-impact",
        title="The CRM answers in 20 s",
        requested_by="anna",
        started_at=NOW,
        kind="incident",
    )

    sent = await EmailChannel(boxes.url).page(CLARA, Page(key="page/1", view=view, number=2))

    assert boxes.newest()["subject"] == "Call no. 2: The CRM answers in 20 s"
    assert "incident-1" in boxes.text()
    assert "/ack" in boxes.text()
    assert sent.message_id == "page/1"
