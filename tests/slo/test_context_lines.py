"""How contexts stand, in lines for a chat."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from holdfast.slo.lines import context_lines
from holdfast.slo.spec import ServiceContext
from holdfast.slo.status import KpiStatus, Level, Moment, SloStatus

AT = datetime(2026, 12, 12, 9, 30, tzinfo=UTC)
CONTEXTS = {name: ServiceContext(title=name.title()) for name in ("support", "account", "checkout")}


def slo(context: str, level: Level, left: float | None, **more: Any) -> SloStatus:
    promise = f"{context} keeps its promise"
    return SloStatus(
        context=context,
        slo="s",
        promise=promise,
        objective_percent=99.9,
        level=level,
        budget_left_percent=left,
        **more,
    )


def test_each_context_has_its_level_in_the_order_of_the_file() -> None:
    moment = Moment(
        at=AT,
        slos=[
            slo("account", Level.WARNING, 40),
            slo("support", Level.BREACH, 12),
            slo("support", Level.OK, 90),
        ],
    )
    lines = context_lines(CONTEXTS, moment)

    assert [(line.name, line.title, line.level) for line in lines] == [
        ("support", "Support", "breach"),
        ("account", "Account", "warning"),
        ("checkout", "Checkout", "unknown"),
    ]


def test_the_budget_is_the_least_of_its_promises_and_none_where_nothing_is_known() -> None:
    moment = Moment(
        at=AT, slos=[slo("support", Level.OK, 90), slo("support", Level.OK, -3), slo("account", Level.OK, None)]
    )
    support, account, _ = context_lines(CONTEXTS, moment)

    assert (support.budget_left_percent, account.budget_left_percent) == (-3, None)
    assert support.lines == [
        "✅ support keeps its promise, 90 % of the budget is left",
        "✅ support keeps its promise, 0 % of the budget is left",
    ]
    assert account.lines == ["✅ account keeps its promise"]


def test_numbers_stand_in_one_line_behind_the_promises() -> None:
    kpis = [
        KpiStatus(context="support", name="latency", title="latency p95", unit="s", value=6.2, level=Level.OK),
        KpiStatus(
            context="support", name="errors", unit="%", value=4.1, baseline=0.4, sigmas=9, level=Level.WARNING
        ),
        KpiStatus(context="support", name="crm-pool", unit="s", value=1.9, used_percent=95, level=Level.OK),
        KpiStatus(context="support", name="cpu", unit="cores"),
    ]
    support, account, _ = context_lines(
        CONTEXTS, Moment(at=AT, slos=[slo("support", Level.OK, None)], kpis=kpis)
    )

    assert support.lines[1:] == ["latency p95 6.2 s · ⚠️ errors 4.1 % (usual 0.4) · crm-pool 1.9 s (95 %)"]
    assert account.lines == []


@given(
    st.lists(
        st.builds(
            slo,
            st.sampled_from(sorted(CONTEXTS)),
            st.sampled_from(Level),
            st.none() | st.floats(-1000, 100, allow_nan=False),
        ),
        max_size=8,
    )
)
def test_no_promise_is_lost_and_no_budget_is_shown_below_zero(slos: list[SloStatus]) -> None:
    lines = context_lines(CONTEXTS, Moment(at=AT, slos=slos))

    assert sum(len(line.lines) for line in lines) == len(slos)
    assert not any(" -" in text for line in lines for text in line.lines)
