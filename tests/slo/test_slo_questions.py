"""What is asked at one moment."""

from datetime import timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from holdfast.runbook.loader import load_campaign
from holdfast.slo.queries import baseline_questions, by_query, over, promql, questions, windows_of
from tests.slo.slo_builders import DAY, HOUR, MINUTE, alert, context, slo

ROOT = Path(__file__).parents[2]


def test_windows_that_alerts_share_are_asked_once() -> None:
    asked = [q for q in questions({"checkout": context()}, window=MINUTE) if "/slo/" in q.key]

    # 5m, 30m, 1h, 2h, 6h (twice: long of one alert, short of another), 1d, 3d and the period
    assert len(asked) == 2 * 8
    assert len({q.key for q in asked}) == len(asked)
    assert windows_of(slo()) == [5 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR, DAY, 3 * DAY]


def test_a_period_that_is_a_window_of_an_alert_too_is_asked_once() -> None:
    promise = slo(period="3d", alerts=[alert(3 * DAY, HOUR, 50)])

    asked = questions({"checkout": context(slos={"orders": promise})}, window=MINUTE)

    assert [q.key for q in asked] == [
        "checkout/slo/orders/part/1h",
        "checkout/slo/orders/total/1h",
        "checkout/slo/orders/part/3d",
        "checkout/slo/orders/total/3d",
    ]


def test_each_question_has_its_window_in_its_query() -> None:
    checkout = context(
        kpis={"latency": {"query": "p95(rate(x[$window]))"}}, resources={"cpu": {"query": "rate(y[$window])"}}
    )

    found = {q.key: q.query for q in questions({"checkout": checkout}, window=MINUTE)}

    assert found["checkout/kpi/latency"] == "p95(rate(x[1m]))"
    assert found["checkout/resource/cpu"] == "rate(y[1m])"
    assert found["checkout/slo/orders/total/30d"] == "sum(rate(requests_total[30d]))"
    assert found["checkout/slo/orders/part/5m"] == 'sum(rate(requests_total{status="500"}[5m]))'


def test_only_what_reads_a_week_or_more_is_costly() -> None:
    costly = {q.key for q in questions({"checkout": context()}, window=MINUTE) if q.costly}

    assert costly == {"checkout/slo/orders/part/30d", "checkout/slo/orders/total/30d"}


def test_a_query_that_contexts_share_is_asked_once_for_all_of_them() -> None:
    pool = {"resources": {"pool": {"query": "pool_wait[$window]"}}, "slos": {}}
    asked = questions({"a": context(**pool), "b": context(**pool)}, window=MINUTE)

    assert {query: [q.key for q in group] for query, group in by_query(asked).items()} == {
        "pool_wait[1m]": ["a/resource/pool", "b/resource/pool"]
    }


def test_the_past_is_asked_only_of_kpis_that_are_judged() -> None:
    kpis = {"latency": {"query": "a[$window]"}, "build": {"query": "b[$window]", "bad_when": "never"}}

    found = baseline_questions({"checkout": context(kpis=kpis)}, window=MINUTE)

    assert [q.key for q in found] == ["checkout/kpi/latency"]


def test_another_dollar_than_the_window_stays() -> None:
    assert over('up{name=~"a$"}[$window]', 90 * MINUTE) == 'up{name=~"a$"}[1h30m]'


def test_every_question_of_the_shipped_campaign_is_resolved() -> None:
    spec = load_campaign(ROOT / "runbooks/campaign/autumn-sale.yaml").spec

    asked = questions(spec.contexts, window=spec.watch.interval)

    assert asked
    assert [q.query for q in asked if "$" in q.query] == []


@given(st.timedeltas(timedelta(milliseconds=1), timedelta(days=400)))
def test_a_duration_is_written_as_prometheus_reads_it(window: timedelta) -> None:
    units = {"d": DAY, "h": HOUR, "m": MINUTE, "s": MINUTE / 60, "ms": timedelta(milliseconds=1)}
    left, read = promql(window), timedelta(0)
    while left:
        digits = len(left) - len(left.lstrip("0123456789"))
        unit = left[digits:].rstrip("0123456789dhms") or next(
            u for u in ("ms", "d", "h", "m", "s") if left[digits:].startswith(u)
        )
        read += int(left[:digits]) * units[unit]
        left = left[digits + len(unit) :]

    assert abs(read - window) <= timedelta(milliseconds=0.5)
