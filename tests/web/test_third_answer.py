"""A gate's third answer on the page for approvers."""

from typing import Any

from holdfast.domain.signoff import SignOff
from tests.web.conftest import Visitor
from tests.web.fakes import House, a_gate

LIMITS: dict[str, Any] = {"limit_label": "Go with limits", "if_limited": "It goes at 60 % of the rate."}


async def opened(house: House, visitor: Visitor) -> str:
    code = house.second_factor.app_of("olga").at(house.now)
    await visitor.open(house.link("olga"))
    return code


async def test_three_buttons_stand_on_the_page_with_what_follows_from_each(
    house: House, visitor: Visitor
) -> None:
    house.runs.run.gate = a_gate(**LIMITS)
    await opened(house, visitor)
    assert [visitor.has_button(say) for say in ("approve", "limit", "reject")] == [True] * 3
    assert "It goes at 60 % of the rate." in visitor.text
    page = visitor.page.text
    assert page.index('value="approve"') < page.index('value="limit"') < page.index('value="reject"')


async def test_the_third_answer_counts_without_a_reason_and_says_its_limits(
    house: House, visitor: Visitor
) -> None:
    house.runs.run.gate = a_gate(SignOff(approvers=("sre-lead",)), **LIMITS)
    code = await opened(house, visitor)
    await visitor.press("limit", code=code)
    assert visitor.said == "Recorded. It goes at 60 % of the rate."
    [decision] = house.runs.counted
    assert (decision.decision, decision.by) == ("limit", "olga")
    assert "is approved with limits: olga said go with limits via web" in visitor.text


async def test_where_it_is_not_offered_there_is_no_button_and_a_forged_one_is_refused(
    house: House, visitor: Visitor
) -> None:
    code = await opened(house, visitor)
    assert not visitor.has_button("limit")
    await visitor.press("limit", code=code)
    assert "does not take the answer 'go with limits'. Choose from: approve, reject." in visitor.said
    assert house.runs.counted == []
