"""PINs by e-mail, for people who have neither an authenticator app nor the bot."""

from datetime import timedelta

import pytest

from holdfast.domain.errors import ChatUnavailable, DeliveryUncertain, InvalidInput
from tests.web.conftest import Visitor, visitor_of
from tests.web.fakes import House, a_gate


async def clara_has_a_pin(house: House, visitor: Visitor) -> str:
    """Clara opens her link, has a PIN sent, and reads it in her mailbox."""
    await visitor.open(house.link("clara"))
    await visitor.press("pin", reason="all good")
    return house.mail.sent[-1][2]


def another(pin: str) -> str:
    return f"{(int(pin) + 1) % 10**8:08}"


async def test_a_pin_comes_by_mail_and_recognises_the_person(house: House, visitor: Visitor) -> None:
    pin = await clara_has_a_pin(house, visitor)
    assert (
        "A PIN is on its way to c…@client.example. It is good until Fri 20 Nov 2026, 22:22 EST." in visitor.said
    )
    assert pin not in visitor.page.text
    assert "all good</textarea>" in visitor.page.text  # nothing typed is lost
    address, text, _ = house.mail.sent[0]
    assert address == "clara@client.example"
    assert "gate '2-crm-pool' of run rollout-4f7qk2mz" in text
    await visitor.press("approve", code=f"{pin[:4]} {pin[4:]}", reason="all good")
    assert visitor.said.startswith("Recorded.")
    (decision,) = house.runs.counted
    assert decision.proofs == ("web-link", "email-pin")
    assert pin not in decision.model_dump_json()


async def test_only_a_keyed_hash_of_the_pin_is_kept(house: House, visitor: Visitor) -> None:
    pin = await clara_has_a_pin(house, visitor)
    (intent,) = house.intents.kept.values()
    assert (intent.person, intent.chat, intent.kind) == ("clara", "web:rollout-4f7qk2mz/2-crm-pool", "web-pin")
    assert pin not in intent.model_dump_json()
    assert [e.kind for e in house.audit.entries] == ["code"]
    assert pin not in house.audit.entries[0].model_dump_json()


async def test_a_pin_is_good_once(house: House, visitor: Visitor) -> None:
    pin = await clara_has_a_pin(house, visitor)
    await visitor.press("approve", code=pin)
    house.runs.run.gate = a_gate()  # as if the vote had not been given
    await visitor.open(house.link("clara"))
    await visitor.press("approve", code=pin)
    assert visitor.page.status_code == 403
    assert "There is no PIN for this gate: it was used" in visitor.said


async def test_a_pin_lasts_ten_minutes(house: House, visitor: Visitor) -> None:
    pin = await clara_has_a_pin(house, visitor)
    house.pass_time(timedelta(minutes=10))
    await visitor.press("approve", code=pin)
    assert "is older than 10 minutes" in visitor.said


async def test_five_wrong_guesses_void_a_pin(house: House, visitor: Visitor) -> None:
    pin = await clara_has_a_pin(house, visitor)
    for left in (4, 3, 2, 1):
        await visitor.press("approve", code=another(pin))
        assert visitor.said == f"That PIN is wrong. You can try {left} more time(s)."
    await visitor.press("approve", code=another(pin))
    assert "the one that was sent is void" in visitor.said
    await visitor.press("approve", code=pin)
    assert "There is no PIN for this gate" in visitor.said
    assert not house.runs.delivered


async def test_a_pin_is_no_good_at_another_gate(house: House, visitor: Visitor) -> None:
    pin = await clara_has_a_pin(house, visitor)
    house.runs.run.gate = a_gate(id="3-queue")
    await visitor.open(house.link("clara"))
    await visitor.press("approve", code=pin)
    assert "There is no PIN for this gate" in visitor.said


async def test_no_pin_and_a_missing_reason_cost_no_guess(house: House, visitor: Visitor) -> None:
    pin = await clara_has_a_pin(house, visitor)
    await visitor.press("approve", code=" ")
    assert "Write the PIN from the e-mail" in visitor.said
    await visitor.press("reject", code=another(pin))
    assert "give a reason" in visitor.said
    await visitor.press("reject", code=pin, reason="too early")
    assert visitor.said.startswith("Recorded.")


async def test_pins_do_not_flood_a_mailbox(house: House, visitor: Visitor) -> None:
    pin = await clara_has_a_pin(house, visitor)
    await visitor.press("pin")
    assert "less than a minute ago" in visitor.said
    assert len(house.mail.sent) == 1
    house.pass_time(timedelta(minutes=1))
    await visitor.press("pin")
    newer = house.mail.sent[1][2]
    if newer != pin:
        await visitor.press("approve", code=pin)
        assert "That PIN is wrong" in visitor.said
    await visitor.press("approve", code=newer)
    assert visitor.said.startswith("Recorded.")


@pytest.mark.parametrize("error", [ChatUnavailable("no mail server"), InvalidInput("no such address")])
async def test_a_pin_that_was_not_sent_can_be_had_again_at_once(
    house: House, visitor: Visitor, error: Exception
) -> None:
    house.mail.fails = error
    await visitor.open(house.link("clara"))
    await visitor.press("pin")
    assert visitor.page.status_code in {422, 503}
    assert visitor.said == str(error)
    assert not house.intents.kept
    house.mail.fails = None
    await visitor.press("pin")
    assert visitor.said.startswith("A PIN is on its way")


async def test_a_pin_that_may_have_been_sent_stays_good(house: House, visitor: Visitor) -> None:
    house.mail.fails = DeliveryUncertain("it may have arrived")
    await visitor.open(house.link("clara"))
    await visitor.press("pin")
    assert visitor.said == "it may have arrived"
    assert house.intents.kept


async def test_who_has_an_authenticator_app_gets_no_pin(house: House, visitor: Visitor) -> None:
    await visitor.open(house.link("clara"))
    house.second_factor.app_of("clara")
    await visitor.press("pin")
    assert visitor.page.status_code == 403
    assert not house.mail.sent


async def test_without_e_mail_nobody_is_offered_a_pin(house: House) -> None:
    async for visitor in visitor_of(house.services(email=False)):
        await visitor.open(house.link("clara"))
        assert not visitor.has_button("pin")
        assert "the whole JSON that the bot sends" in visitor.text
