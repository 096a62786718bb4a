"""A rollback from a person's page."""

import asyncio
import re
from datetime import timedelta

import pytest

from holdfast.domain.decisions import RollBack
from holdfast.domain.journal import Effect, EntryStatus, JournalEntry
from holdfast.domain.pasting import sealed
from holdfast.domain.view import RunState
from tests.web.conftest import Visitor
from tests.web.fakes import NOW, RUN, House

EXECUTION = "0a1b-2c3d"


def entry(stage: str) -> JournalEntry:
    effect = Effect(key="k", stage=stage, kind="c", endpoint="e", part="p", values={}, title=stage)
    return JournalEntry(
        effect=effect, before={"x": 1}, after={"x": 2}, status=EntryStatus.APPLIED, recorded_at=NOW
    )


@pytest.fixture
def house() -> House:
    """A run with two stages out, which olga, pavel and clara may roll back."""
    house = House()
    house.runs.run.journal = [entry("rate"), entry("pool")]
    house.runs.run.may_roll_back = ["olga", "pavel", "clara"]
    return house


def form_of(visitor: Visitor, marked: str = '<details id="undo"') -> dict[str, str]:
    """What the form for a rollback carries, or another one of the page."""
    [section] = re.findall(f"{marked}.*?</form>", visitor.page.text, re.DOTALL)
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', section))


async def olga_rolls_back(house: House, visitor: Visitor, **typed: str) -> Visitor:
    code = house.second_factor.app_of("olga").at(house.now)
    await visitor.open(house.link("olga"))
    return await visitor.press("roll_back", hidden=form_of(visitor), **{"stays": "", "code": code, **typed})


async def test_the_form_offers_what_can_be_undone(house: House, visitor: Visitor) -> None:
    await visitor.open(house.link("olga"))
    options = re.findall(r'<option value="(\w*)">(.*?)</option>', visitor.page.text)
    assert options == [
        ("", "Everything: Widen the CRM pool, Let the bot send faster"),
        ("rate", "Only Widen the CRM pool"),
    ]
    assert visitor.has_button("roll_back")
    assert visitor.has_button("approve")


@pytest.mark.parametrize("stays", ["", "rate"])
async def test_a_rollback_is_signed_passed_on_and_answered(house: House, visitor: Visitor, stays: str) -> None:
    await olga_rolls_back(house, visitor, stays=stays, reason="tickets pile up")
    assert visitor.page.status_code == 200
    assert visitor.said == "Rolling back."
    [request] = house.runs.rollbacks
    assert (request.by, request.to, request.reason) == ("olga", stays, "tickets pile up")
    assert (request.channel, request.proofs) == ("web", ("web-link", "totp"))


async def test_it_is_possible_after_the_gate_was_closed(house: House, visitor: Visitor) -> None:
    house.runs.close()
    await olga_rolls_back(house, visitor)
    assert len(house.runs.rollbacks) == 1


@pytest.mark.parametrize(
    ("person", "changes"),
    [
        ("viktor", {}),
        ("olga", {"state": RunState.STOPPED}),
        ("olga", {"journal": []}),
        ("olga", {"may_roll_back": []}),
    ],
)
async def test_who_may_not_and_where_nothing_stands_there_is_no_form(
    house: House, visitor: Visitor, person: str, changes: dict[str, object]
) -> None:
    house.runs.run = house.runs.run.model_copy(update=changes)
    await visitor.open(house.link(person))
    assert not visitor.has_button("roll_back")
    assert 'id="undo"' not in visitor.page.text


@pytest.mark.parametrize(
    ("changes", "typed", "told"),
    [
        ({"may_roll_back": ["pavel"]}, {}, (403, "'olga' may not roll this run back; pavel may.")),
        ({"state": RunState.PROMOTED}, {}, (409, "The run has ended (promoted)")),
        ({"journal": []}, {}, (409, "Nothing is changed by this run")),
        ({}, {"stays": "pool"}, (422, "to: 'pool' is no promoted stage of this run")),
        ({}, {"reason": "x" * 1001}, (422, "The reason is longer than 1000 characters.")),
    ],
)
async def test_what_cannot_be_is_told_and_uses_up_no_code(
    house: House, visitor: Visitor, changes: dict[str, object], typed: dict[str, str], told: tuple[int, str]
) -> None:
    code = house.second_factor.app_of("olga").at(house.now)
    await visitor.open(house.link("olga"))
    hidden = form_of(visitor)
    house.runs.run = house.runs.run.model_copy(update=changes)
    await visitor.press("roll_back", hidden=hidden, **{"stays": "", "code": code, **typed})
    status, words = told
    assert visitor.page.status_code == status
    assert visitor.said.startswith(words)
    assert house.runs.rollbacks == []
    assert house.second_factor.used == set()


async def test_a_wrong_code_keeps_what_was_typed_and_is_on_record(house: House, visitor: Visitor) -> None:
    wrong = house.second_factor.wrong_code("olga", house.now)
    await olga_rolls_back(house, visitor, code=wrong, reason="too <slow>")
    assert visitor.page.status_code == 403
    assert visitor.said.startswith("That code is wrong")
    assert '<details id="undo" open>' in visitor.page.text
    assert visitor.page.text.count("too &lt;slow&gt;</textarea>") == 1
    [entry] = house.audit.entries
    assert (entry.kind, entry.person, entry.gate) == ("refusal", "olga", "rollback")
    assert house.runs.rollbacks == []


async def test_a_form_that_is_sent_twice_rolls_back_once(house: House, visitor: Visitor) -> None:
    code = house.second_factor.app_of("olga").at(house.now)
    await visitor.open(house.link("olga"))
    hidden = form_of(visitor)
    await asyncio.gather(*(visitor.press("roll_back", hidden=hidden, stays="", code=code) for _ in range(3)))
    assert visitor.said == "Rolling back."
    assert len(house.runs.rollbacks) == 1


async def test_a_form_of_another_page_rolls_nothing_back(house: House, visitor: Visitor) -> None:
    await visitor.open(house.link("olga"))
    foreign = form_of(visitor) | {"seal": "0" * 64}
    code = house.second_factor.app_of("olga").at(house.now)
    await visitor.press("roll_back", hidden=foreign, stays="", code=code)
    assert visitor.page.status_code == 403
    assert house.runs.rollbacks == []


async def test_an_old_link_rolls_nothing_back(house: House, visitor: Visitor) -> None:
    await visitor.open(house.link("olga"))
    hidden = form_of(visitor)
    house.pass_time(timedelta(hours=25))
    await visitor.press(
        "roll_back", hidden=hidden, stays="", code=house.second_factor.app_of("olga").at(house.now)
    )
    assert visitor.page.status_code == 410
    assert house.runs.rollbacks == []


async def test_who_has_no_app_confirms_by_a_pin_that_is_for_this_alone(house: House, visitor: Visitor) -> None:
    await visitor.open(house.link("clara"))
    await visitor.press("roll_back_pin", hidden=form_of(visitor), stays="", reason="kept")
    [(address, text, pin)] = house.mail.sent
    assert (address, "confirms your rollback of run" in text) == ("clara@client.example", True)
    assert "kept</textarea>" in visitor.page.text
    await visitor.press("approve", hidden=form_of(visitor, '<section id="answer"'), code=pin)
    assert visitor.said.startswith("There is no PIN for this gate")
    await visitor.press("roll_back", hidden=form_of(visitor), stays="", code=pin)
    assert visitor.said == "Rolling back."
    [request] = house.runs.rollbacks
    assert (request.by, request.proofs) == ("clara", ("web-link", "email-pin"))


@pytest.mark.parametrize(("pasted_to", "counts"), [("rate", True), ("", False)])
async def test_a_pasted_code_counts_for_what_it_says_only(
    house: House, visitor: Visitor, pasted_to: str, *, counts: bool
) -> None:
    said = RollBack(by="pavel", to=pasted_to, proofs=("code",))
    text = sealed(house.keyring, RUN, EXECUTION, said, now=NOW)
    await visitor.open(house.link("pavel"))
    await visitor.press("roll_back", hidden=form_of(visitor), stays="rate", pasted=text)
    assert [r.to for r in house.runs.rollbacks] == (["rate"] if counts else [])
    assert ("Have a code for that sent: /code" in visitor.said) is not counts


async def test_while_no_worker_is_up_it_is_stored(house: House, visitor: Visitor) -> None:
    code = house.second_factor.app_of("olga").at(house.now)
    await visitor.open(house.link("olga"))
    hidden = form_of(visitor)
    house.runs.workers = False
    await visitor.press("roll_back", hidden=hidden, stays="", code=code)
    assert "Stored. No worker is up now." in visitor.text
    assert len(house.runs.rollbacks) == 1
