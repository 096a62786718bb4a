"""A campaign and a load test on the page of their gates."""

from datetime import timedelta

import pytest

from holdfast.domain.campaign import Go, Phase, TestLine, TestVerdict
from holdfast.domain.view import RunState, RunView
from tests.campaign_views import INCIDENT, LOAD, a_campaign, a_load_test, measured, shown
from tests.web.conftest import Visitor
from tests.web.fakes import NOW, PEOPLE, RUN, House, a_gate


def show(house: House, view: RunView, *, asked: bool = False) -> None:
    """Let the house's run be this one, while its gate is open or afterwards."""
    house.runs.run = view.model_copy(update={"run_id": RUN, "people": PEOPLE, "gate": a_gate()})
    if not asked:
        house.runs.close()


async def test_a_campaign_shows_its_window_and_what_holds_in_it(house: House, visitor: Visitor) -> None:
    show(house, a_campaign())
    await visitor.open(house.link())

    assert "Campaign for Example Retail" in visitor.text
    assert "Phase open" in visitor.text
    assert "Window Fri 11 Dec 2026, 10:30 CET to Mon 14 Dec 2026, 10:30 CET" in visitor.text
    assert "Planned rollouts are refused; fixes go on." in visitor.text
    assert "Limits The announcement goes out in four batches." in visitor.text


async def test_each_context_has_its_level_its_promises_and_its_budget(house: House, visitor: Visitor) -> None:
    show(house, a_campaign())
    await visitor.open(house.link())

    for level, colour in (("breach", "red"), ("warning", "yellow"), ("ok", "green"), ("unknown", "")):
        assert f'data-level="{colour}">{level}<' in visitor.page.text
    assert "99.9 % of ticket submissions are completed within 5 s, 12 % of the budget is left" in visitor.text
    assert "Account Management warning" in visitor.text
    assert "81 %" in visitor.text
    assert visitor.text.count("–") >= 1  # the budget of what nobody knows


async def test_breaches_tests_roles_and_tasks_say_who_and_since_when(house: House, visitor: Visitor) -> None:
    show(house, a_campaign())
    await visitor.open(house.link())

    assert "Support : customers cannot submit a ticket" in visitor.text
    assert f"not over {INCIDENT}" in visitor.text
    assert visitor.text.index("customers cannot submit") < visitor.text.index("orders burns 16 times")
    assert "go with limits, boris" in visitor.text
    assert "passed Every threshold held." in visitor.text
    assert "nobody yet; asked: gleb, anna. The next one at 12 Dec, 12:30" in visitor.text
    assert "tells everybody what is going on nobody was asked yet" in visitor.text
    assert "Checklist: 1 of 3 done" in visitor.text
    assert "overdue" in visitor.text


async def test_what_nobody_knows_is_said_instead_of_old_numbers(house: House, visitor: Visitor) -> None:
    show(house, a_campaign(shown(silent="Prometheus does not answer", breaches=[], contexts=[])))
    await visitor.open(house.link())

    assert "Nothing is known Prometheus does not answer" in visitor.text
    assert "Looked at" not in visitor.text
    assert "How the contexts stand" not in visitor.text


async def test_a_sign_off_is_asked_above_the_campaign(house: House, visitor: Visitor) -> None:
    house.second_factor.app_of("olga")
    show(house, a_campaign(shown(phase=Phase.SIGN_OFF, contexts=[], breaches=[])), asked=True)
    await visitor.open(house.link())

    assert visitor.has_button("approve")
    assert "Phase sign-off" in visitor.text
    assert 'http-equiv="refresh"' not in visitor.page.text  # nobody's typing is thrown away
    assert "/reports/" not in visitor.page.text


async def test_a_load_test_shows_its_newest_figures_and_what_does_not_hold(
    house: House, visitor: Visitor
) -> None:
    show(house, a_load_test())
    await visitor.open(house.link())

    assert "50 %, 250 of 720 s" in visitor.text
    assert "30 sessions/s begin now, 60/s at most, by 2 generators" in visitor.text
    assert "all 51.2 50.9 0.25 % 41 ms 310 ms 1.85 s" in visitor.text
    assert "checkout 0.0 0.0 0.00 % – – –" in visitor.text
    assert "Does not hold ticket: p95 is 2.4 s" in visitor.text
    assert "Late by its own fault" not in visitor.text
    assert '<meta http-equiv="refresh" content="3">' in visitor.page.text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"late_percent": 1.5}, "Late by its own fault 1.50 % of the requests; above 1 % the figures are void"),
        ({"lost": 12}, "Made by nobody 12 requests, because a generator died"),
        ({"stopped_by": "anna"}, "Stopped by anna"),
        ({"client": "httpx", "shards": 1}, "by 1 generator (httpx)"),
        ({"client": "protocol"}, "by 2 generators"),
    ],
)
async def test_what_spoils_a_load_test_is_said(
    house: House, visitor: Visitor, changes: dict[str, object], said: str
) -> None:
    show(house, a_load_test(measured(**changes)))
    await visitor.open(house.link())

    assert said in visitor.text


async def test_a_load_test_that_is_over_says_what_it_came_to(house: House, visitor: Visitor) -> None:
    result = TestLine(
        run=LOAD, at=NOW, verdict=TestVerdict.FAILED, said="The test failed.", go=Go.NO_GO, decided_by="boris"
    )
    show(house, a_load_test(measured(result=result), state=RunState.NOT_PASSED))
    await visitor.open(house.link())

    assert "failed . The test failed. Decided: no-go, boris." in visitor.text
    assert 'http-equiv="refresh"' not in visitor.page.text


async def test_a_campaign_shows_the_load_test_that_runs_for_it(house: House, visitor: Visitor) -> None:
    show(house, a_campaign(shown(phase=Phase.PREPARING, test_running=LOAD, contexts=[])))
    house.runs.others[LOAD] = a_load_test()
    await visitor.open(house.link())

    assert f"{LOAD} is under way" in visitor.text
    assert "all 51.2 50.9" in visitor.text
    assert '<meta http-equiv="refresh" content="3">' in visitor.page.text


async def test_a_load_test_that_does_not_answer_is_only_named(house: House, visitor: Visitor) -> None:
    show(house, a_campaign(shown(phase=Phase.PREPARING, test_running=LOAD)))
    await visitor.open(house.link())

    assert visitor.page.status_code == 200
    assert f"{LOAD} is under way" in visitor.text
    assert "Figures of the load test" not in visitor.page.text


async def test_an_open_window_renews_itself_and_a_closed_one_does_not(house: House, visitor: Visitor) -> None:
    show(house, a_campaign())
    await visitor.open(house.link())
    assert '<meta http-equiv="refresh" content="30">' in visitor.page.text

    show(house, a_campaign(shown(phase=Phase.CLOSED), state=RunState.FINISHED))
    await visitor.open(house.link())
    assert 'http-equiv="refresh"' not in visitor.page.text


async def test_what_people_wrote_stays_text(house: House, visitor: Visitor) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    show(house, a_campaign(shown(client=hostile, limits=hostile)))
    await visitor.open(house.link())

    assert "<img src=x" not in visitor.page.text
    assert hostile in visitor.text


async def test_the_page_needs_nothing_from_elsewhere(house: House, visitor: Visitor) -> None:
    house.pass_time(timedelta(0))
    show(house, a_campaign(shown(test_running=LOAD)))
    house.runs.others[LOAD] = a_load_test()
    await visitor.open(house.link())

    for needed in ("<script", "http://", "https://", "style="):
        assert needed not in visitor.page.text
