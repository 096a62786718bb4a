"""The report of a campaign: who reads it, by which link, and how people get one."""

import re
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from holdfast.domain.campaign import Phase
from holdfast.domain.errors import ChatUnavailable
from holdfast.domain.links import REPORT, WebLinks
from holdfast.domain.view import RunState
from holdfast.ports.campaigns import KeptCampaign
from tests.campaign_views import ROLES, a_campaign, shown
from tests.web.conftest import Visitor
from tests.web.fakes import BASE_URL, NOW, PEOPLE, RUN, House, a_gate

PAGE = f"/reports/{RUN}"


@pytest.fixture
def house() -> House:
    """The campaign is over; clara, who has a mailbox, has decided, and so has olga, who has none."""
    house = House()
    campaign = shown(phase=Phase.CLOSED, report=f"{BASE_URL}{PAGE}", may_answer=["pavel"], roles=ROLES[2:])
    house.runs.run = a_campaign(
        campaign, run_id=RUN, people=PEOPLE, gate=a_gate(), state=RunState.FINISHED, requested_by="boris"
    )
    house.runs.close()
    house.campaigns.kept[RUN] = KeptCampaign(
        run=RUN, campaign="autumn-sale", opens=NOW, closes=NOW, view=house.runs.run.model_dump(mode="json")
    )
    return house


async def ask(visitor: Visitor, person: str, **changes: str) -> Visitor:
    await visitor.open(PAGE)
    visitor.page = await visitor.client.post(PAGE, data={**visitor.hidden, "person": person, **changes})
    return visitor


def link_in(text: str) -> str:
    found = re.search(r"https://\S+", text)
    assert found
    parts = urlsplit(found[0])
    return f"{parts.path}?{parts.query}"


async def test_the_page_of_a_gate_leads_to_the_report(house: House, visitor: Visitor) -> None:
    await visitor.open(house.link())
    found = re.search(r'href="\.\./(reports/[^"]+)">Read the report', visitor.page.text)
    assert found

    await visitor.open(f"/{found[1]}")
    assert (visitor.page.status_code, visitor.text) == (200, f"h1{{color:#14703c}} How {RUN} went")
    assert house.reports.built == [(RUN, "en")]


async def test_a_report_may_bring_its_style_and_pictures_and_nothing_that_runs(
    house: House, visitor: Visitor
) -> None:
    await visitor.open(house.links.report(RUN, "olga", house.now))

    headers = visitor.page.headers
    policy = headers["content-security-policy"]
    assert all(part in policy for part in ("default-src 'none'", "style-src 'unsafe-inline'", "sandbox"))
    assert "script" not in policy
    assert (headers["cache-control"], headers["referrer-policy"]) == ("no-store", "no-referrer")


async def test_without_a_link_nothing_is_shown_but_a_form(house: House, visitor: Visitor) -> None:
    await visitor.open(PAGE)

    assert "Send me a link" in visitor.text
    assert "went" not in visitor.text
    assert not house.reports.built


async def test_whoever_has_to_do_with_it_is_sent_a_link_of_their_own(house: House, visitor: Visitor) -> None:
    await ask(visitor, "Clara ")

    ((address, text, _),) = house.mail.sent
    assert address == "clara@client.example"
    assert text.startswith("The report on Autumn sale:\n")
    await visitor.open(link_in(text))
    assert f"How {RUN} went" in visitor.text
    assert house.links.read(link_in(text).partition("link=")[2], house.now).gate == REPORT


@pytest.mark.parametrize("person", ["viktor", "lena", "nobody", "olga", ""])
async def test_nobody_learns_who_may_read_it(house: House, visitor: Visitor, person: str) -> None:
    """Viktor has nothing to do with this campaign, Lena neither, and Olga has no mailbox."""
    house.runs.run.closed_gates[0].approvers = ("clara", "olga")
    house.campaigns.kept[RUN].view = house.runs.run.model_dump(mode="json")
    told = (await ask(visitor, person)).text.replace(f"If {person} may", "If clara may")
    sent = list(house.mail.sent)

    assert not sent
    if person:
        assert told == (await ask(visitor, "clara")).text


async def test_pressing_again_sends_nothing_more_for_two_minutes(house: House, visitor: Visitor) -> None:
    for _ in range(3):
        await ask(visitor, "clara")
    assert len(house.mail.sent) == 1

    house.pass_time(timedelta(minutes=3))
    await ask(visitor, "clara")
    assert len(house.mail.sent) == 2


async def test_a_mail_server_that_does_not_answer_tells_nobody_either(house: House, visitor: Visitor) -> None:
    house.mail.fails = ChatUnavailable("the mail server does not answer")
    await ask(visitor, "clara")

    assert visitor.page.status_code == 200
    assert "If clara may read this report" in visitor.text


async def test_a_form_of_another_page_sends_nothing(house: House, visitor: Visitor) -> None:
    await ask(visitor, "clara", seal="0" * 64)

    assert visitor.page.status_code == 403
    assert not house.mail.sent


async def test_a_link_opens_one_run_only_and_for_a_day(house: House, visitor: Visitor) -> None:
    other = WebLinks(house.keyring, BASE_URL).report("campaign-other", "olga", house.now)
    await visitor.open(other.replace("campaign-other", RUN, 1))
    assert visitor.page.status_code == 403
    assert "This link is for another run" in visitor.text

    link = house.links.report(RUN, "olga", house.now)
    await visitor.open(f"{link[:-3]}AAA")
    assert visitor.page.status_code == 403

    house.pass_time(timedelta(days=2))
    await visitor.open(link)
    assert visitor.page.status_code == 410
    assert not house.reports.built


async def test_a_run_of_which_nothing_is_kept_is_told_in_words(house: House, visitor: Visitor) -> None:
    house.campaigns.kept.clear()
    await visitor.open(house.links.report(RUN, "olga", house.now))
    assert visitor.page.status_code == 404
    assert "unknown kept campaign" in visitor.text

    await ask(visitor, "clara")
    assert not house.mail.sent


async def test_a_kept_view_of_another_release_opens_it_to_nobody_by_mail(
    house: House, visitor: Visitor
) -> None:
    house.campaigns.kept[RUN].view = {"run_id": 7}
    await ask(visitor, "clara")

    assert visitor.page.status_code == 200
    assert not house.mail.sent
