"""The queries of the shipped runbook, answered by Prometheus's own engine."""

import json
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from holdfast.runbook.library import RunbookLibrary
from holdfast.verdict.query import resolve

ROOT = Path(__file__).resolve().parents[2]
METRICS = RunbookLibrary([ROOT / "runbooks"]).rollout("support-surge").spec.scoring.metrics
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
}
SILENT = {series: "7x20" for series in BUSY if "pods" not in series and "memory" not in series}


def traffic(shape: dict[str, str], side: str, *, rate: int, **more: str) -> dict[str, str]:
    """Return promtool's input series of one side; `rate` is the increment in each 15-second scrape."""
    return {s.replace("SIDE", side): v.replace("RATE", str(rate)) for s, v in (shape | more).items()}


def ask(tmp_path: Path, series: dict[str, str], expected: dict[str, list[float | None]], side: str) -> None:
    """Have promtool evaluate each metric's queries five minutes in, and compare."""
    asked = [
        {
            # rounded, because promtool compares exactly; compared, because NaN is no number here
            "expr": f"round({resolve(query, side=side, window=WINDOW)}, 0.001) >= 0",
            "eval_time": "5m",
            "exp_samples": [] if value is None else [{"labels": "{}", "value": value}],
        }
        for name, values in expected.items()
        for query, value in zip(METRICS[name].queries, values, strict=True)
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
    "error_rate": [0, 0],
    "message_volume": [0.5],
    "cpu_memory": [0.5, 1000],
    "database_time": [0.5],
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

    ask(tmp_path, series, {"error_rate": [0, 0], "message_volume": [0], "database_time": [0]}, "canary")


def test_failures_and_losses_count_as_shares_of_the_requests(tmp_path):
    more = {
        'shop_requests_total{side="SIDE",context="support",status="503"}': "0+2x20",
        'shop_messages_lost_total{side="SIDE"}': "0+1x20",
    }
    series = traffic(BUSY | more, "canary", rate=4)

    ask(tmp_path, series, {"error_rate": [0.2, 0.1]}, "canary")


def test_a_side_that_got_no_requests_lately_has_no_data(tmp_path):
    series = traffic(SILENT, "canary", rate=0) | traffic(BUSY, "stable", rate=19)

    ask(tmp_path, series, NOTHING, "canary")


def test_a_side_that_does_not_exist_has_no_data(tmp_path):
    ask(tmp_path, traffic(BUSY, "stable", rate=19), NOTHING, "canary")
