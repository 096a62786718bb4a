"""Mails that ask for a role or a task, and that show a gate's third answer."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from holdfast.adapters.email import EmailChannel
from holdfast.domain.words import Act
from holdfast.ports.notices import Errand, Notice, NoticeKind
from tests.email.standin import Mailboxes, mail_server
from tests.web.fakes import NOW, PEOPLE, RUN, a_gate

CLARA = PEOPLE.people[2]


@pytest.fixture
async def boxes() -> AsyncIterator[Mailboxes]:
    async with mail_server() as server:
        yield server


def an_errand(**changes: object) -> Errand:
    errand = Errand(
        key="errand/campaign-1/commander/clara/1",
        run_id="campaign-1",
        run_title="Black Friday",
        run_url="http://127.0.0.1:8233/run",
        text="You are asked to be Client liaison of Black Friday.",
        act=Act.ACCEPT,
        to="client-liaison",
        due=NOW + timedelta(hours=2),
    )
    return errand.model_copy(update=changes)


async def test_a_mail_about_a_role_says_until_when_what_if_not_and_how_to_accept(boxes: Mailboxes) -> None:
    sent = await EmailChannel(boxes.url).errand(CLARA, an_errand())
    assert boxes.newest()["subject"] == "You are asked to take a role: Black Friday"
    text = boxes.text()
    for line in (
        "You are asked to be Client liaison of Black Friday.",
        "Until Sat 21 Nov 2026, 00:12 EST.",
        "If you do not accept, the next person on the list is asked.",
        "/accept campaign-1 client-liaison",
        "http://127.0.0.1:8233/run",
    ):
        assert line in text
    assert (sent.chat, sent.message_id) == ("clara@client.example", "errand/campaign-1/commander/clara/1")


async def test_a_mail_about_a_late_task_says_so(boxes: Mailboxes) -> None:
    late = an_errand(act=Act.DONE, to="tell-client", overdue=True, number=2, run_url="")
    await EmailChannel(boxes.url).errand(CLARA, late)
    assert boxes.newest()["subject"] == "Overdue: a task is not done (no. 2): Black Friday"
    assert "It was due Sat 21 Nov 2026, 00:12 EST." in boxes.text()
    assert "/done campaign-1 tell-client" in boxes.text()
    assert "Temporal UI" not in boxes.text()


async def test_a_notice_lists_the_third_answer_between_the_others(boxes: Mailboxes) -> None:
    gate = a_gate(limit_label="Go with limits", if_limited="It goes at 60 %.")
    notice = Notice(run_id=RUN, run_title="Black Friday", gate=gate, kind=NoticeKind.REQUEST)
    await EmailChannel(boxes.url).notify(CLARA, notice)
    text = " ".join(boxes.text().split())
    approve, limit, reject = (
        text.index(t) for t in ("Approve:", "Go with limits: It goes at 60 %.", "Reject:")
    )
    assert approve < limit < reject
