"""The pages of campaigns and load tests in the Temporal UI."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.domain.campaign import (
    BreachLine,
    CampaignView,
    ContextLine,
    Go,
    LoadLine,
    LoadView,
    RoleLine,
    TaskLine,
)
from holdfast.domain.campaign import (
    TestLine as Line,
)
from holdfast.domain.campaign import (
    TestVerdict as Verdict,
)
from holdfast.domain.decisions import CodeRequest, parse
from holdfast.domain.details import details
from holdfast.domain.people import People, Person
from holdfast.domain.view import RunState, RunView
from holdfast.domain.words import Act, Word, check_word

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


def a_campaign(state: RunState = RunState.WATCHING, **changes: object) -> RunView:
    shown = CampaignView(
        client="Big Shop",
        opens=NOW,
        closes=NOW + timedelta(days=1),
        limits="at most 60 % of the planned rate",
        frozen=True,
        roles=[
            RoleLine(name="commander", title="Commander", asked=["anna"], next_at=NOW),
            RoleLine(name="operations", title="Operations", person="anna"),
        ],
        tasks=[
            TaskLine(id="check", title="Check", owner="operations", person="anna", due=NOW, overdue=True),
            TaskLine(id="old", title="Old", owner="operations", due=NOW, done_by="anna", done_at=NOW),
        ],
        contexts=[ContextLine(name="support", title="Support", level="breach", lines=["p95 3 s"])],
        tests=[
            Line(
                run="load-1",
                at=NOW,
                verdict=Verdict.FAILED,
                said="Too slow.",
                go=Go.LIMITS,
                decided_by="eva",
            )
        ],
        breaches=[BreachLine(number=1, context="support", began=NOW, said="burns", incident="incident-1")],
        may_answer=["your-name"],
    )
    view = RunView(
        run_id="campaign-1",
        runbook="black-friday",
        title="Black Friday",
        requested_by="anna",
        started_at=NOW,
        state=state,
        kind="campaign",
        people=People(people=(Person(name="your-name", title="You"),)),
        campaign=shown,
    )
    return view.model_copy(update=changes)


def a_load_test(state: RunState = RunState.TESTING) -> RunView:
    load = LoadView(
        phase="peak",
        rate=40,
        highest=90,
        shards=2,
        lines=[LoadLine(name="all", due_per_s=40, answered_per_s=39.5, p50=0.02, p95=0.5)],
        broken=["p95 of support is 3.1 s, allowed up to 2 s"],
        may_stop=["your-name"],
    )
    return a_campaign(state, kind="load", campaign=None, load=load)


def test_the_page_of_a_campaign_says_who_has_what_and_where_it_stands() -> None:
    lines = details(a_campaign()).splitlines()
    for line in (
        "- **Client**: Big Shop; **Phase**: preparing",
        "- **Limits**: at most 60 % of the planned rate",
        "| 🔴 | Support | p95 3 s | – |",
        "- 2026-11-21 03:00 UTC `load-1`: **failed** Too slow. → go with limits, eva",
        "- **1** support: burns; 2026-11-21 03:00 UTC to now, incident `incident-1`",
        "| `commander` | Commander | ⏳ asked: anna; the next one at 2026-11-21 03:00 UTC |",
        "| `operations` | Operations | ✅ anna |",
        "| `check` | Check | anna | ⌛ overdue, 2026-11-21 03:00 UTC |",
        "| `old` | Old | operations | ✅ anna, 2026-11-21 03:00 UTC |",
    ):
        assert line in lines


def test_the_page_of_a_load_test_says_what_it_measures() -> None:
    lines = details(a_load_test()).splitlines()
    assert "- **Rate**: 40 of at most 90 sessions/s, by 2 generators" in lines
    assert "- **Does not hold**: p95 of support is 3.1 s, allowed up to 2 s" in lines
    assert "| all | 40 | 39.5 | 0.00 % | 20 ms | 500 ms | – |" in lines


@pytest.mark.parametrize("view", [a_campaign(), a_load_test()], ids=["campaign", "load"])
def test_everything_that_is_to_be_pasted_is_understood_by_the_run(view: RunView) -> None:
    asked = [json.loads(text) for text in re.findall(r"`(\{.*?\})`", details(view))]
    requests = [parse(CodeRequest, each) for each in asked]
    assert {request.gate for request in requests} == (
        {"accept", "done", "test", "note"} if view.campaign else {"stop"}
    )
    for request in requests:
        check_word(Word(act=Act(request.gate), by=request.by, to=request.to, reason=request.reason), view)


def test_nothing_is_asked_for_once_it_is_over() -> None:
    assert "send_code" not in details(a_campaign(RunState.FINISHED))
    assert "send_code" not in details(a_load_test(RunState.PASSED))


def test_a_campaign_that_is_not_read_yet_has_a_page() -> None:
    empty = a_campaign(campaign=CampaignView(opens=NOW, closes=NOW))
    assert "**Phase**: preparing" in details(empty)
