"""What becomes of an answer."""

import asyncio
import json
from datetime import timedelta

import pytest

from holdfast.domain.decisions import Choice, parse_decision
from holdfast.domain.evidence import Evidence
from holdfast.domain.gates import record
from holdfast.domain.pasting import paste_for
from holdfast.domain.signoff import SignOff
from tests.web.conftest import Visitor
from tests.web.fakes import NOW, RUN, House, a_gate


async def olga_opens(house: House, visitor: Visitor) -> str:
    """Olga, who has an authenticator app, opens her link; returns the code that her app shows."""
    code = house.second_factor.app_of("olga").at(house.now)
    await visitor.open(house.link("olga"))
    return code


async def test_an_approval_is_signed_counted_and_answered(house: House, visitor: Visitor) -> None:
    code = await olga_opens(house, visitor)
    await visitor.press("approve", code=f"{code[:3]} {code[3:]}", reason="looks calm")
    assert visitor.page.status_code == 200
    assert visitor.said == "Recorded. Gate '2-crm-pool' waits for 1 more approval(s)."
    (decision,) = house.runs.counted
    assert (decision.by, decision.channel, decision.proofs) == ("olga", "web", ("web-link", "totp"))
    assert (decision.reason, decision.evidence) == ("looks calm", a_gate().evidence)
    assert code not in decision.model_dump_json()
    assert "You have already said" in visitor.text  # and the form is gone
    assert not visitor.hidden


async def test_the_last_approval_closes_the_gate(house: House, visitor: Visitor) -> None:
    house.runs.run.gate = a_gate(SignOff(approvers=("sre-lead",)))
    code = await olga_opens(house, visitor)
    await visitor.press("approve", code=code)
    assert visitor.said.startswith("Recorded. The system is checked again")
    assert (
        "There is nothing left to answer: gate '2-crm-pool' is approved: olga said approve via web"
        in visitor.text
    )


async def test_a_rejection_without_a_reason_is_asked_for_one_and_uses_up_no_code(
    house: House, visitor: Visitor
) -> None:
    code = await olga_opens(house, visitor)
    await visitor.press("reject", code=code, reason="  ")
    assert visitor.page.status_code == 422
    assert "give a reason" in visitor.said
    await visitor.press("reject", code=code, reason="not before Monday")
    assert visitor.said == "Recorded. The run stops here; stages promoted before stay."


async def test_what_was_typed_survives_a_wrong_code(house: House, visitor: Visitor) -> None:
    await olga_opens(house, visitor)
    wrong = house.second_factor.wrong_code("olga", house.now)
    await visitor.press("reject", code=wrong, reason="too <early>")
    assert visitor.page.status_code == 403
    assert visitor.said == "That code is wrong. Wait for the next one in your authenticator app."
    assert "too &lt;early&gt;</textarea>" in visitor.page.text
    assert not house.runs.delivered
    (entry,) = house.audit.entries
    assert (entry.kind, entry.person, entry.channel) == ("refusal", "olga", "web")
    assert wrong not in entry.model_dump_json()


async def test_a_form_that_is_sent_twice_counts_once_and_is_answered_the_same(
    house: House, visitor: Visitor
) -> None:
    code = await olga_opens(house, visitor)
    hidden = visitor.hidden
    await asyncio.gather(*(visitor.press("approve", hidden=hidden, code=code) for _ in range(3)))
    assert visitor.said == "Recorded. Gate '2-crm-pool' waits for 1 more approval(s)."
    assert len(house.runs.delivered) == len(house.runs.counted) == 1


async def test_a_second_answer_is_told_the_first(house: House, visitor: Visitor) -> None:
    code = await olga_opens(house, visitor)
    other_tab = visitor.hidden
    await visitor.open(house.link("olga"))
    await visitor.press("approve", code=code)
    house.pass_time(timedelta(seconds=30))
    await visitor.press(
        "reject", hidden=other_tab, code=house.second_factor.app_of("olga").at(house.now), reason="oh"
    )
    assert visitor.page.status_code == 409
    assert "You have already said 'approve' to gate '2-crm-pool'" in visitor.said


async def test_an_answer_on_old_evidence_does_not_count(house: House, visitor: Visitor) -> None:
    code = await olga_opens(house, visitor)
    newer = Evidence(target={"pool_size": 12}, wanted={"pool_size": 40}, taken_at=NOW)
    house.runs.run.gate = a_gate(evidence=newer.digest, basis=newer)
    await visitor.press("approve", code=code)
    assert visitor.page.status_code == 409
    assert "Look again" in visitor.said
    assert "What this rests on has changed since your link was made" in visitor.text
    await visitor.press("approve", code=code)  # on the page as it is now
    assert visitor.said.startswith("Recorded.")


async def test_an_answer_after_the_deadline_is_too_late(house: House, visitor: Visitor) -> None:
    house.pass_time(timedelta(days=20, hours=21))
    await olga_opens(house, visitor)
    house.pass_time(timedelta(hours=2))
    await visitor.press("approve", code=house.second_factor.app_of("olga").at(house.now))
    assert visitor.page.status_code == 410
    assert "Too late" in visitor.said


async def test_who_is_too_late_is_told_who_decided(house: House, visitor: Visitor) -> None:
    code = await olga_opens(house, visitor)
    gate = house.runs.run.gate
    assert gate is not None
    paste = json.loads(
        paste_for(house.keyring, RUN, gate, "pavel", Choice.REJECT, reason="no", proofs=("code",), now=NOW)
    )
    await house.runs.decide(RUN, parse_decision(paste))
    await visitor.press("approve", code=code)
    assert visitor.page.status_code == 409
    assert "gate '2-crm-pool' is rejected: pavel said reject" in visitor.said


async def test_a_reset_run_takes_no_answer_of_an_old_link(house: House, visitor: Visitor) -> None:
    code = await olga_opens(house, visitor)
    house.runs.run.gate = a_gate(execution="another")
    await visitor.press("approve", code=code)
    assert "This run was set back after your link was made" in visitor.said
    assert not house.runs.delivered
    assert not house.second_factor.used  # the code is still good


async def test_without_a_worker_the_answer_is_stored(house: House, visitor: Visitor) -> None:
    code = await olga_opens(house, visitor)
    house.runs.workers = False
    await visitor.press("approve", code=code)
    assert visitor.page.status_code == 200
    assert "Stored. No worker is up now." in visitor.text
    assert house.runs.delivered[0].code


async def test_without_an_engine_nothing_is_recorded_and_that_is_said(house: House, visitor: Visitor) -> None:
    code = await olga_opens(house, visitor)
    house.runs.down = True
    await visitor.press("approve", code=code)
    assert visitor.page.status_code == 503
    assert "Temporal does not answer" in visitor.text
    assert not house.runs.delivered


async def test_a_gate_that_wants_a_second_factor_takes_it(house: House, visitor: Visitor) -> None:
    house.runs.run.gate = a_gate(mfa=True)
    code = await olga_opens(house, visitor)
    await visitor.press("approve", code=code)
    assert house.runs.counted[0].proofs == ("web-link", "totp")


async def test_who_has_no_authenticator_app_is_told_how_to_get_one(house: House, visitor: Visitor) -> None:
    house.runs.run.gate = a_gate(mfa=True)
    await visitor.open(house.link("clara"))
    assert "This decision wants a code of an authenticator app" in visitor.text
    assert not visitor.hidden


def pasted(house: House, person: str = "pavel", choice: Choice = Choice.APPROVE) -> str:
    gate = house.runs.run.gate
    assert gate is not None
    return paste_for(house.keyring, RUN, gate, person, choice, reason="", proofs=("code",), now=house.now)


async def test_an_approval_code_from_the_bot_can_be_pasted(house: House, visitor: Visitor) -> None:
    await visitor.open(house.link("pavel"))
    await visitor.press("approve", pasted=pasted(house), reason="fine")
    assert visitor.said.startswith("Recorded.")
    (decision,) = house.runs.counted
    assert (decision.channel, decision.proofs, decision.reason) == ("web-code", ("code",), "fine")


@pytest.mark.parametrize(
    ("say", "text", "says"),
    [
        ("approve", "", "Paste the approval code that the bot sends you"),
        ("approve", "{", "is not whole"),
        ("approve", '"approve"', "A decision is a JSON object"),
        ("approve", "[" * 3000, "is not whole"),
        ("reject", None, "but you pressed 'reject'"),
    ],
)
async def test_a_code_that_does_not_fit_is_refused_in_words(
    house: House, visitor: Visitor, say: str, text: str | None, says: str
) -> None:
    await visitor.open(house.link("pavel"))
    await visitor.press(say, pasted=pasted(house) if text is None else text, reason="r")
    assert visitor.page.status_code in {403, 422}
    assert says in visitor.said
    assert not house.runs.counted


async def test_a_code_of_somebody_else_is_refused(house: House, visitor: Visitor) -> None:
    await visitor.open(house.link("pavel"))
    await visitor.press("approve", pasted=pasted(house, "olga"))
    assert "by olga" in visitor.said
    await visitor.press("approve", pasted=pasted(house, "olga").replace("olga", "pavel"))
    assert "The approval code is not pavel's" in visitor.said
    assert not house.runs.counted


async def test_no_button_no_answer(house: House, visitor: Visitor) -> None:
    code = await olga_opens(house, visitor)
    await visitor.press("", code=code)
    assert visitor.page.status_code == 422
    assert "Press one of the buttons" in visitor.said


async def test_a_reason_has_its_limit(house: House, visitor: Visitor) -> None:
    code = await olga_opens(house, visitor)
    await visitor.press("reject", code=code, reason="x" * 1001)
    assert visitor.page.status_code == 422
    assert "longer than 1000 characters" in visitor.said


async def test_a_vote_that_closed_meanwhile_is_not_offered_again(house: House, visitor: Visitor) -> None:
    gate = house.runs.run.gate
    assert gate is not None
    record(parse_decision(json.loads(pasted(house, "clara"))), gate, now=NOW)
    await visitor.open(house.link("clara"))
    assert "You have already said 'approve'" in visitor.text
    assert not visitor.has_button("approve")
