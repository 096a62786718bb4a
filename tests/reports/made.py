"""A campaign made by hand, whose figures are known: three hours, a look a minute, half an hour of breach."""

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from holdfast.adapters.reports.analysis import Material
from holdfast.adapters.reports.looks import Looks
from holdfast.domain import campaign as domain
from holdfast.domain.campaign import BreachLine, CampaignView, ContextLine, Go, RoleLine, TaskLine
from holdfast.domain.decisions import Choice, Decision
from holdfast.domain.gates import Gate, GateState
from holdfast.domain.view import IncidentView, LogLine, RunView
from holdfast.loadgen.result import Capacity, Figures, LoadResult, Saturation
from holdfast.ports.campaigns import KeptCampaign
from holdfast.ports.load import KeptTest
from holdfast.runbook.kinds.campaign import CampaignSpec, Window
from holdfast.runbook.loader import load_campaign
from holdfast.slo.status import BurnReading, KpiStatus, Level, Moment, SloStatus, WindowCount

ROOT = Path(__file__).resolve().parents[2]
RUN = "campaign-4f7qk2mz"
OPENS = datetime(2026, 12, 11, 7, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LASTS = 180  # minutes
BROKEN = range(60, 90)
CLOSES = OPENS + LASTS * MINUTE
INCIDENT = "incident-x1"


@cache
def spec() -> CampaignSpec:
    loaded = load_campaign(ROOT / "runbooks" / "campaign" / "autumn-sale.yaml").spec
    return loaded.model_copy(update={"window": Window(opens=OPENS, closes=CLOSES)})


def look(minute: int) -> Moment:
    """1,000 events a minute; while it is broken 100 of them are bad, and the pool is 92 % used."""
    broken = minute in BROKEN
    bad = 100 * sum(1 for m in range(minute + 1) if m in BROKEN)
    slos = [
        slo("support", "ticket-submissions", 99.9, broken=broken, events=1000 * (minute + 1), bad=bad),
        slo("account", "profiles", 99.5, broken=False, events=500 * (minute + 1), bad=0),
    ]
    wave = (minute * 7919 % 13) / 13
    kpis = [
        kpi("support", "latency", "s", 3.1 if broken else 0.4 + wave / 10, off=broken),
        kpi("support", "throughput", "/s", 40 + 20 * wave + (20 if broken else 0)),
        kpi("account", "throughput", "/s", 10.0),
        kpi("support", "crm-pool", "s", 1.84 if broken else 0.3 + wave / 20, used=92 if broken else 15 + wave),
    ]
    return Moment(at=OPENS + minute * MINUTE, slos=slos, kpis=kpis)


def counting(minute: int) -> Moment:
    """A look whose watch counted the window: the same events, while the period forgets what was before it."""
    moment = look(minute)
    for status in moment.slos:
        events, bad = round(status.events or 0), round(status.bad_events or 0)
        at = moment.at
        status.window = WindowCount.of(events, bad, status.objective_percent, at=at) if minute > 1 else None
        status.budget_left_percent, status.events, status.bad_events = -40.0 + minute / 2, 9e6 - minute, 50.0
    return moment


def slo(context: str, name: str, objective: float, *, broken: bool, events: float, bad: float) -> SloStatus:
    allowed = (100 - objective) / 100 * 1_000_000
    burn = 0.1 / ((100 - objective) / 100) if broken else 0.0
    alert = BurnReading(long="1h", short="5m", factor=14.4, severity="page", long_burn=burn, short_burn=burn)
    return SloStatus(
        context=context,
        slo=name,
        promise=spec().contexts[context].slos[name].promise,
        objective_percent=objective,
        journey="submit a ticket",
        level=Level.BREACH if broken else Level.OK,
        sli_percent=100 * (1 - bad / events) if events else None,
        budget_left_percent=100 * (1 - bad / allowed),
        events=events,
        bad_events=bad,
        burn=[alert],
    )


def kpi(
    context: str, name: str, unit: str, value: float, *, off: bool = False, used: float | None = None
) -> KpiStatus:
    level = Level.WARNING if off else Level.OK
    return KpiStatus(
        context=context, name=name, unit=unit, value=value, baseline=0.4, used_percent=used, level=level
    )


def a_gate(number: int, *, waited: timedelta | None, by: str = "boris") -> Gate:
    asked = OPENS - timedelta(days=2, hours=number)
    decision = Decision(gate=f"{number}-sign-off", by=by, decision=Choice.APPROVE, at=asked)
    return Gate(
        id=f"{number}-sign-off",
        title=f"sign-off {number}",
        question="May the window open?",
        if_approved="It opens.",
        if_rejected="It does not.",
        if_nothing="The run waits.",
        approvers=("boris",),
        evidence="abc",
        token="t",
        opened_at=asked,
        state=GateState.OPEN if waited is None else GateState.APPROVED,
        decisions=[] if waited is None else [decision],
        closed_at=None if waited is None else asked + waited,
    )


def campaign_view(**changes: Any) -> CampaignView:
    breach = BreachLine(
        number=1,
        context="support",
        title="Support",
        slos=["ticket-submissions"],
        journey="submit a ticket",
        began=OPENS + BROKEN.start * MINUTE,
        ended=OPENS + BROKEN.stop * MINUTE,
        incident=INCIDENT,
        said="ticket-submissions burns 100 times too fast",
        worst_burn=100.0,
    )
    tasks = [
        TaskLine(
            id="backup",
            title="Check the backup",
            owner="operations",
            due=OPENS - 60 * MINUTE,
            done_by="anna",
            done_at=OPENS - 90 * MINUTE,
        ),
        TaskLine(
            id="contacts",
            title="Give the client the number",
            owner="client-liaison",
            person="gleb",
            due=OPENS - 60 * MINUTE,
            done_by="gleb",
            done_at=OPENS - 30 * MINUTE,
            overdue=True,
        ),
        TaskLine(id="tell-client.1", title="Call the client", owner="client-liaison", due=OPENS + 70 * MINUTE),
    ]
    roles = [
        RoleLine(
            name="commander", title="leads", person="boris", asked=["boris"], accepted_at=OPENS - 200 * MINUTE
        ),
        RoleLine(name="operations", title="finds and mends", asked=["anna", "vera"]),
    ]
    fields: dict[str, Any] = {
        "client": "Example Retail",
        "opens": OPENS,
        "closes": CLOSES,
        "limits": "The announcement goes out in four batches.",
        "tests": [a_test_line("load-1", domain.TestVerdict.FAILED, go=Go.LIMITS, decided_by="boris")],
        "roles": roles,
        "tasks": tasks,
        "contexts": [ContextLine(name="support", title="Support", budget_left_percent=-200.0)],
        "breaches": [breach],
    }
    return CampaignView.model_validate(fields | changes)


def a_test_line(run: str, verdict: domain.TestVerdict, **more: Any) -> domain.TestLine:
    fields: dict[str, Any] = {"run": run, "at": OPENS - timedelta(days=3), "verdict": verdict, "capacity": 45.0}
    fields |= {"said": "broke at 50 sessions a second", "headroom_percent": -25.0}
    return domain.TestLine.model_validate(fields | more)


def view(**changes: Any) -> RunView:
    fields: dict[str, Any] = {
        "run_id": RUN,
        "runbook": "autumn-sale",
        "title": "Autumn sale",
        "requested_by": "anna",
        "started_at": OPENS - timedelta(days=14),
        "kind": "campaign",
        "closed_gates": [a_gate(1, waited=timedelta(hours=30)), a_gate(2, waited=timedelta(hours=34))],
        "gate": a_gate(3, waited=None),
        "campaign": campaign_view(),
    }
    return RunView.model_validate(fields | changes)


def incident_view() -> RunView:
    began = OPENS + BROKEN.start * MINUTE
    log = [
        LogLine(at=began, text="called: anna"),
        LogLine(at=began + 20 * MINUTE, text="anna has it"),
        LogLine(at=began + 22 * MINUTE, text="vera has it"),
    ]
    return RunView(
        run_id=INCIDENT,
        runbook="customer-impact",
        title="Support breaks its promise",
        requested_by="campaign",
        started_at=began,
        kind="incident",
        log=log,
        incident=IncidentView(owner="vera", resolution="pool raised to 40"),
    )


def kept(**changes: Any) -> KeptCampaign:
    fields: dict[str, Any] = {
        "run": RUN,
        "campaign": "autumn-sale",
        "client": "Example Retail",
        "opens": OPENS,
        "closes": CLOSES,
        "view": view().model_dump(mode="json"),
        "spec": spec().model_dump(mode="json", by_alias=True),
        "inventory": [
            {
                "name": "ticket",
                "title": "a customer's ticket",
                "sender": "bot",
                "receiver": "shop",
                "rate": 12.5,
                "rate_from": "metrics",
                "bytes_mean": 312.0,
                "bytes_from": "logs",
                "p50": 0.2,
                "p95": 0.8,
                "p99": 2.4,
                "latency_from": "metrics",
                "errors_percent": 0.4,
                "errors_from": "metrics",
            },
        ],
    }
    return KeptCampaign.model_validate(fields | changes)


def load_test() -> KeptTest:
    """1,000 sessions made 2,000 requests of support and 500 of account: 2.5 a session."""
    line = a_test_line("load-1", domain.TestVerdict.FAILED, go=Go.LIMITS, decided_by="boris")
    made = (("support", 2000), ("account", 500))
    figures = [Figures(name=name, kind="context", context=name, due=due) for name, due in made]
    figures.append(Figures(name="*", kind="all", due=2500, sent=2480))
    saturation = Saturation(context="support", rate=48.0, at=300, sign="latency", resource="crm-pool")
    result = LoadResult(
        runbook="customer-journeys",
        run="load-1",
        started_at=line.at,
        lasts=720,
        verdict=line.verdict,
        planned=1000,
        figures=figures,
        capacity=Capacity(rate=45.0, saturation=saturation),
    )
    return KeptTest(
        run="load-1",
        campaign="autumn-sale",
        runbook="customer-journeys",
        at=line.at,
        line=line,
        result=result.model_dump(mode="json"),
    )


def former() -> KeptCampaign:
    moved = timedelta(days=90)
    return kept(run="campaign-before", opens=OPENS - moved, closes=CLOSES - moved)


def material(**changes: Any) -> Material:
    fields: dict[str, Any] = {
        "campaign": kept(),
        "looks": Looks(look(minute) for minute in range(LASTS)),
        "made_at": CLOSES + timedelta(hours=1),
        "tests": [load_test()],
        "former": [former()],
        "incidents": {INCIDENT: incident_view()},
    }
    return Material(**(fields | changes))
