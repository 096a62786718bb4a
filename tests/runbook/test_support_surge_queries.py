"""The queries of the shipped runbook, answered by Prometheus's own engine."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from holdfast.runbook.library import RunbookLibrary
from holdfast.verdict.query import resolve

ROOT = Path(__file__).resolve().parents[2]
SCORING = RunbookLibrary([ROOT / "runbooks"]).rollout("support-surge").spec.scoring
METRICS = SCORING.metrics
WINDOW = timedelta(minutes=1)

BUSY = {
    'shop_requests_total{side="SIDE",context="support",status="200"}': "0+RATEx20",
    'shop_requests_total{side="SIDE",context="account",status="200"}': "0+RATEx20",
    'shop_requests_total{side="SIDE",context="notification",status="200"}': "0+RATEx20",
    'shop_request_duration_seconds_bucket{side="SIDE",context="support",le="0.1"}': "0+RATEx20",
    'shop_request_duration_seconds_bucket{side="SIDE",context="support",le="+Inf"}': "0+RATEx20",
    'shop_messages_delivered_total{side="SIDE"}': "0+RATEx20",
    'shop_crm_call_duration_seconds_sum{side="SIDE",method="crm.deal.get"}': "0+RATEx20",
    'shop_cpu_seconds_total{side="SIDE"}': "0+RATEx20",
    'shop_memory_bytes{side="SIDE"}': "RATE000x20",
    'shop_pods{side="SIDE"}': "RATEx20",
    'shop_requests_total{side="SIDE",context="account",status="404"}': "0+0x20",
    'shop_crm_leads_expected_total{side="SIDE"}': "0+RATEx20",
    'shop_crm_leads_found_total{side="SIDE"}': "0+RATEx20",
    'shop_crm_reconciliations_total{side="SIDE",result="ok"}': "0+7x20",
    'shop_crm_syncs_total{side="SIDE"}': "0+RATEx20",
    'shop_edge_calls_total{side="SIDE",caller="bot",callee="shop",result="ok"}': "0+RATEx20",
    'shop_edge_calls_total{side="SIDE",caller="shop",callee="crm-leads",result="ok"}': "0+RATEx20",
    'shop_edge_calls_total{side="SIDE",caller="shop",callee="crm-leads",result="error"}': "0+0x20",
}
SILENT = {series: "7x20" for series in BUSY if "pods" not in series and "memory" not in series}
LEADS = '{caller="shop", callee="crm-leads"}'
BOT = '{caller="bot", callee="shop"}'


def traffic(shape: dict[str, str], side: str, *, rate: int, **more: str) -> dict[str, str]:
    """Return promtool's input series of one side; `rate` is the increment in each 15-second scrape."""
    return {s.replace("SIDE", side): v.replace("RATE", str(rate)) for s, v in (shape | more).items()}


def ask(tmp_path: Path, series: dict[str, str], expected: dict[str, list[float | None]], side: str) -> None:
    """Have promtool evaluate each metric's queries five minutes in, and compare."""
    wanted = [
        (query, {} if value is None else {"{}": value})
        for name, values in expected.items()
        for query, value in zip(METRICS[name].queries, values, strict=True)
    ]
    ask_each(tmp_path, series, wanted, side)


def ask_each(
    tmp_path: Path, series: dict[str, str], wanted: Sequence[tuple[str, dict[str, float]]], side: str
) -> None:
    """Have promtool evaluate queries five minutes in, and compare with what is wanted, by labels."""
    asked = [
        {
            # rounded, because promtool compares exactly; compared, because NaN is no number here
            "expr": f"round({resolve(query, side=side, window=WINDOW)}, 0.001) >= 0",
            "eval_time": "5m",
            "exp_samples": [{"labels": labels, "value": value} for labels, value in values.items()],
        }
        for query, values in wanted
    ]
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    test = {"tests": [{"interval": "15s", "input_series": inputs, "promql_expr_test": asked}]}
    path = tmp_path / "queries.yml"
    path.write_text(json.dumps(test))
    promtool = shutil.which("promtool")
    assert promtool, "promtool is needed: install the prometheus package"
    done = subprocess.run(
        [promtool, "test", "rules", str(path)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


HEALTHY = {
    "latency_p95": [0.095],
    "error_rate": [0, 0, 0],
    "message_volume": [0.5],
    "cpu_memory": [0.5, 1000],
    "database_time": [0.5],
    "crm_sync": [0, 0],
    "client_errors": [0],
}
EMPTY = {
    "error_rate": [0, 0, 0],
    "message_volume": [0],
    "database_time": [0],
    "client_errors": [0],
    "crm_sync": [None, 0],
}
NOTHING = {name: [None for _ in metric.queries] for name, metric in METRICS.items()}


@pytest.mark.parametrize("rate", [1, 19], ids=["5 % of the traffic", "95 % of the traffic"])
def test_a_small_and_a_large_side_that_do_the_same_show_the_same(tmp_path, rate):
    series = traffic(BUSY, "canary", rate=rate) | traffic(BUSY, "stable", rate=20 - rate)

    ask(tmp_path, series, HEALTHY, "canary")


def test_counters_that_were_never_born_are_zero_while_there_are_requests(tmp_path):
    series = {
        s: v for s, v in traffic(BUSY, "canary", rate=4).items() if "delivered" not in s and "crm" not in s
    }

    ask(tmp_path, series, EMPTY, "canary")


def test_failures_losses_and_failed_crm_calls_count_as_shares_of_the_requests(tmp_path):
    more = {
        'shop_requests_total{side="SIDE",context="support",status="503"}': "0+2x20",
        'shop_messages_lost_total{side="SIDE"}': "0+1x20",
        'shop_crm_call_failures_total{side="SIDE",kind="query_limit"}': "0+2x20",
        'shop_crm_call_failures_total{side="SIDE",kind="timeout"}': "0+1x20",
    }
    series = traffic(BUSY | more, "canary", rate=4)

    ask(tmp_path, series, {"error_rate": [0.2, 0.1, 0.3], "client_errors": [0]}, "canary")


def test_what_customers_got_wrong_counts_apart_from_what_the_shop_did_not_do(tmp_path):
    more = {'shop_requests_total{side="SIDE",context="account",status="404"}': "0+2x20"}
    series = traffic(BUSY | more, "canary", rate=4)

    ask(tmp_path, series, {"error_rate": [0, 0, 0], "client_errors": [0.2]}, "canary")


def test_leads_that_the_crm_does_not_have_show_although_all_requests_succeed(tmp_path):
    more = {'shop_crm_leads_found_total{side="SIDE"}': "0+1x20"}
    series = traffic(BUSY | more, "canary", rate=4)

    ask(tmp_path, series, {"crm_sync": [0.75, 0], "error_rate": [0, 0, 0], "client_errors": [0]}, "canary")


def test_leads_that_were_never_found_are_all_missing(tmp_path):
    series = {s: v for s, v in traffic(BUSY, "canary", rate=4).items() if "leads_found" not in s}

    ask(tmp_path, series, {"crm_sync": [1, 0]}, "canary")


def test_failed_writes_count_as_a_share_of_all_writes(tmp_path):
    more = {'shop_crm_sync_failures_total{side="SIDE"}': "0+1x20"}
    series = traffic(BUSY | more, "canary", rate=4)

    ask(tmp_path, series, {"crm_sync": [0, 0.25]}, "canary")


@pytest.mark.parametrize(
    ("looks", "missing"), [("0+7x20", 0), ("7x20", None)], ids=["while it looks", "not when it stands still"]
)
def test_where_no_lead_was_due_none_is_missing(tmp_path, looks, missing):
    more = {
        'shop_crm_leads_expected_total{side="SIDE"}': "7x20",
        'shop_crm_leads_found_total{side="SIDE"}': "7x20",
        'shop_crm_syncs_total{side="SIDE"}': "7x20",
        'shop_crm_reconciliations_total{side="SIDE",result="ok"}': looks,
        'shop_crm_reconciliations_total{side="SIDE",result="error"}': "0+1x20",
    }
    series = traffic(BUSY | more, "canary", rate=4)

    ask(tmp_path, series, {"crm_sync": [missing, 0]}, "canary")


def ask_edges(
    tmp_path: Path, series: dict[str, str], percent: dict[str, float], calls: dict[str, float]
) -> None:
    edges = SCORING.edges
    assert edges
    assert edges.calls
    ask_each(tmp_path, series, [(edges.error_percent, percent), (edges.calls, calls)], "canary")


def test_edges_are_one_series_each_with_their_errors_and_their_calls(tmp_path):
    errors = {'shop_edge_calls_total{side="SIDE",caller="shop",callee="crm-leads",result="error"}': "0+15x20"}
    series = traffic(BUSY | errors, "canary", rate=45)

    ask_edges(tmp_path, series, {BOT: 0, LEADS: 25}, {BOT: 3, LEADS: 4})


def test_an_edge_that_is_not_called_shows_as_no_calls_and_has_no_errors(tmp_path):
    silent = {'shop_edge_calls_total{side="SIDE",caller="shop",callee="crm-leads",result="ok"}': "7x20"}
    series = traffic(BUSY | silent, "canary", rate=45) | traffic(BUSY, "stable", rate=45)

    ask_edges(tmp_path, series, {BOT: 0}, {BOT: 3, LEADS: 0})


def test_the_traffic_is_the_requests_of_customers_a_second(tmp_path):
    assert SCORING.traffic

    ask_each(tmp_path, traffic(BUSY, "canary", rate=45), [(SCORING.traffic, {"{}": 6})], "canary")


def test_the_seed_weights_stand_and_what_has_no_weight_may_veto():
    assert [m.weight_percent for m in METRICS.values()] == [30, 30, 20, 10, 10, 0, 0]
    assert {name: m.veto for name, m in METRICS.items() if m.veto} == {
        "error_rate": "rollback",
        "message_volume": "pause",
        "crm_sync": "pause",
    }
    assert all(m.unit for m in METRICS.values())


def test_a_side_that_got_no_requests_lately_has_no_data(tmp_path):
    series = traffic(SILENT, "canary", rate=0) | traffic(BUSY, "stable", rate=19)

    ask(tmp_path, series, NOTHING, "canary")


def test_a_side_that_does_not_exist_has_no_data(tmp_path):
    ask(tmp_path, traffic(BUSY, "stable", rate=19), NOTHING, "canary")
