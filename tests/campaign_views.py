"""Campaigns and load tests as their runs show them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from holdfast.domain.campaign import (
    BreachLine,
    CampaignView,
    ContextLine,
    Go,
    LoadLine,
    LoadView,
    Phase,
    RoleLine,
    TaskLine,
    TestLine,
    TestVerdict,
)
from holdfast.domain.view import LogLine, RunState, RunView

NOW = datetime(2026, 12, 12, 9, 30, tzinfo=UTC)
CAMPAIGN = "campaign-4f7qk2mz"
LOAD = "load-4f7qk2mz"
INCIDENT = "incident-4f7qk2mz"
TESTS = [
    TestLine(
        run="load-night-1",
        at=NOW - timedelta(days=9),
        verdict=TestVerdict.FAILED,
        said="The test failed. ticket: p95 is 3.1 s, at most 2 s is allowed; since 6:10, at 45/s.",
        saturates="support",
        capacity=30,
        headroom_percent=-50,
        go=Go.LIMITS,
        decided_by="boris",
    ),
    TestLine(
        run="load-night-2", at=NOW - timedelta(days=3), verdict=TestVerdict.PASSED, said="Every threshold held."
    ),
]
CONTEXTS = [
    ContextLine(
        name="support",
        title="Support",
        level="breach",
        lines=[
            "❌ 99.9 % of ticket submissions are completed within 5 s, 12 % of the budget is left",
            "latency p95 6.2 s · errors 4.1 % · throughput 12 /s · crm-pool 1.9 s (95 %)",
        ],
        budget_left_percent=12.4,
    ),
    ContextLine(
        name="account",
        title="Account Management",
        level="warning",
        lines=["✅ 99.5 % of account pages are there within 3 s, 81 % of the budget is left"],
        budget_left_percent=81,
    ),
    ContextLine(name="notification", title="Notification", level="ok", lines=[], budget_left_percent=100),
    ContextLine(name="checkout", title="Checkout"),
]
BREACHES = [
    BreachLine(
        number=1,
        context="checkout",
        title="Checkout",
        slos=["orders"],
        began=NOW - timedelta(hours=20),
        ended=NOW - timedelta(hours=19),
        said="orders burns 16 times too fast",
    ),
    BreachLine(
        number=2,
        context="support",
        title="Support",
        slos=["ticket-submissions"],
        journey="submit a ticket",
        began=NOW - timedelta(minutes=20),
        incident=INCIDENT,
        said="99.9 % of ticket submissions burns 22 times too fast",
        worst_burn=22,
    ),
]
ROLES = [
    RoleLine(name="commander", title="leads the response and decides", person="boris", accepted_at=NOW),
    RoleLine(
        name="client-liaison",
        title="speaks with the client",
        asked=["gleb", "anna"],
        next_at=NOW + timedelta(hours=2),
    ),
    RoleLine(name="communications", title="tells everybody what is going on"),
]
TASKS = [
    TaskLine(
        id="backup",
        title="Check that the CRM's backup can be read",
        owner="commander",
        person="boris",
        due=NOW - timedelta(days=2),
        done_by="boris",
        done_at=NOW - timedelta(days=3),
    ),
    TaskLine(
        id="tell-client.2",
        title="Call the client",
        owner="client-liaison",
        due=NOW - timedelta(minutes=10),
        overdue=True,
        breach=2,
    ),
    TaskLine(id="look.2", title="Look", owner="commander", person="boris", due=NOW + timedelta(minutes=5)),
]


def shown(**changes: Any) -> CampaignView:
    """What a campaign in the middle of its window shows."""
    view = CampaignView(
        client="Example Retail",
        phase=Phase.OPEN,
        opens=NOW - timedelta(days=1),
        closes=NOW + timedelta(days=2),
        frozen=True,
        limits="The announcement goes out in four batches.",
        tests=TESTS,
        roles=ROLES,
        tasks=TASKS,
        contexts=CONTEXTS,
        breaches=BREACHES,
        may_answer=["anna", "boris"],
        looked_at=NOW,
    )
    return view.model_copy(deep=True, update=changes)


def measured(**changes: Any) -> LoadView:
    """What a load test in its second phase shows."""
    view = LoadView(
        campaign="autumn-sale",
        phase="50 %",
        offset_seconds=250,
        lasts_seconds=720,
        rate=30,
        highest=60,
        shards=2,
        lines=[
            LoadLine(
                name="all",
                due_per_s=51.2,
                answered_per_s=50.9,
                errors_percent=0.25,
                p50=0.041,
                p95=0.31,
                p99=1.852,
            ),
            LoadLine(name="support", due_per_s=30.1, answered_per_s=29.9, p50=0.05, p95=0.4, p99=2.1),
            LoadLine(name="checkout"),
        ],
        broken=["ticket: p95 is 2.4 s, at most 2 s is allowed; since 4:02, at 30/s"],
        may_stop=["anna"],
    )
    return view.model_copy(deep=True, update=changes)


def a_campaign(campaign: CampaignView | None = None, **changes: Any) -> RunView:
    """Return the run of a campaign."""
    view = RunView(
        run_id=CAMPAIGN,
        runbook="autumn-sale",
        title="Autumn sale",
        digest="0badcafe1234",
        requested_by="anna",
        started_at=NOW - timedelta(days=14),
        state=RunState.WATCHING,
        headline="in breach: Support",
        kind="campaign",
        campaign=campaign or shown(),
        log=[LogLine(at=NOW - timedelta(days=14), text="started by anna")],
    )
    return view.model_copy(update=changes)


def a_load_test(load: LoadView | None = None, **changes: Any) -> RunView:
    """Return the run of a load test."""
    view = RunView(
        run_id=LOAD,
        runbook="customer-journeys",
        title="Customers of the shop",
        digest="cafe0bad1234",
        requested_by="anna",
        started_at=NOW - timedelta(minutes=5),
        state=RunState.TESTING,
        headline="50 %: 30 of 60 sessions a second",
        kind="load",
        load=load or measured(),
    )
    return view.model_copy(update=changes)
