"""The rules, checked by promtool: edges, windows, labels, sentences, and what the recording rules record."""

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.runbook.loader import load_campaign
from holdfast.slo.alertmanager import alertmanager_config
from holdfast.slo.rule_tests import rule_tests
from holdfast.slo.rules import ALERT, RuleSource, prometheus_rules
from holdfast.slo.spec import ServiceContext
from tests.slo.slo_builders import HOUR, MINUTE, alert, context, slo

ROOT = Path(__file__).parents[2]
LABELS = 'holdfast_campaign="sale",context="checkout",slo="orders"'


def source_of(contexts: dict[str, ServiceContext] | None = None, **more: Any) -> RuleSource:
    said: dict[str, Any] = {"campaign": "sale", "interval": MINUTE, "file": "sale.yaml", "digest": "abc123"}
    return RuleSource(contexts=contexts or {"checkout": context()}, **{**said, **more})


def shipped() -> RuleSource:
    loaded = load_campaign(ROOT / "runbooks/campaign/autumn-sale.yaml")
    watch = loaded.spec.watch
    return RuleSource(
        campaign=loaded.spec.name,
        contexts=loaded.spec.contexts,
        interval=watch.interval,
        breach_after=watch.breach_after,
        recover_after=watch.recover_after,
    )


def rules_in(text: str) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def promtool(*arguments: str | Path) -> str:
    program = shutil.which("promtool")
    if program is None:
        pytest.fail("these tests need promtool: apt-get install --no-install-recommends prometheus")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)
    return f"{done.returncode}: {done.stdout}{done.stderr}"


def checked(source: RuleSource, directory: Path) -> None:
    """Let promtool check the rules and run the tests that were made for them."""
    rules, tests = directory / "rules.yaml", directory / "tests.yaml"
    rules.write_text(prometheus_rules(source))
    tests.write_text(rule_tests(source, rules_file=rules.name))
    assert promtool("check", "rules", rules).startswith("0: ")
    assert promtool("test", "rules", tests).startswith("0: ")


def run_test(source: RuleSource, directory: Path, *tests: dict[str, Any]) -> str:
    """Run hand-written promtool tests over the rules of a source; returns what promtool says."""
    (directory / "rules.yaml").write_text(prometheus_rules(source))
    file = directory / "hand.yaml"
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": list(tests)}
    file.write_text(yaml.safe_dump(document))
    return promtool("test", "rules", file)


def test_the_shipped_campaigns_rules_pass_their_own_unit_tests(tmp_path: Path) -> None:
    checked(shipped(), tmp_path)


@pytest.mark.parametrize(
    "more",
    [
        {"objective_percent": 99.99},
        {"objective_percent": 90},
        {"objective_percent": 99.95, "period": "7d"},
        {"minimum_events": 0},
        {"bad": None, "good": "sum(rate(good_total[$window])) - sum(rate(slow_total[$window]))"},
        {"alerts": [alert(HOUR, 5 * MINUTE, 2), alert(HOUR, 5 * MINUTE, 1, "ticket")]},
        {"alerts": [alert(4 * MINUTE, timedelta(seconds=20), 0.1)], "period": "4h"},
        {"promise": "{{ it's }} \"fast\"", "journey": "pay {{ $value }}"},
    ],
    ids=["four nines", "loose", "a week", "no minimum", "good", "same windows", "short", "braces"],
)  # fmt: skip
@pytest.mark.parametrize("breach_after", [1, 3])
def test_rules_of_other_promises_pass_their_unit_tests(tmp_path: Path, more, breach_after) -> None:
    contexts = {"checkout": context(slos={"orders": slo(**more)}, team="shop")}

    checked(source_of(contexts, breach_after=breach_after, recover_after=10 * MINUTE), tmp_path)


def test_the_generated_tests_notice_an_edge_that_is_wrong(tmp_path: Path) -> None:
    source = source_of()
    tests = tmp_path / "tests.yaml"
    tests.write_text(rule_tests(source, rules_file="rules.yaml"))
    for right, wrong in [("14.4 * 0.001", "14.7 * 0.001"), ("14.4 * 0.001", "14.1 * 0.001"), (">= 10", ">= 9")]:
        text = prometheus_rules(source)
        assert right in text
        (tmp_path / "rules.yaml").write_text(text.replace(right, wrong))

        assert promtool("test", "rules", tests).startswith("1: ")


def test_the_workbooks_example_gives_its_edges() -> None:
    alerts = [rule for rule in rules_in(prometheus_rules(source_of())) if "alert" in rule]

    by_hand = [("1h", "5m", "14.4"), ("6h", "30m", "6"), ("1d", "2h", "3"), ("3d", "6h", "1")]
    for rule, (long, short, factor) in zip(alerts, by_hand, strict=True):
        assert rule["expr"].split("\nand\n")[:2] == [
            f"slo:sli_error:ratio_rate{window}{{{LABELS}}} > {factor} * 0.001" for window in (long, short)
        ]
    assert [rule["labels"]["severity"] for rule in alerts] == ["page", "page", "ticket", "ticket"]


def test_raw_counters_become_ratios_and_a_page_within_the_minutes_that_arithmetic_gives(tmp_path: Path) -> None:
    """Ten requests a second; from the hour on all fail: 14.4 times over 1 h is reached after 51.84 s."""
    counters = [
        {"series": 'requests_total{status="200"}', "values": "0+600x60 36000+0x30"},
        {"series": 'requests_total{status="500"}', "values": "0+0x60 600+600x30"},
    ]

    def page(minute: int, *, fires: bool) -> dict[str, Any]:
        expr = f'count(ALERTS{{alertname="{ALERT}",alertstate="firing",severity="page",long_window="1h"}})'
        samples = [{"labels": "{}", "value": 1}] if fires else []
        return {"expr": expr, "eval_time": f"{minute}m", "exp_samples": samples}

    ratio = {
        "expr": f"round(1000 * slo:sli_error:ratio_rate5m{{{LABELS}}})",
        "eval_time": "63m",
        "exp_samples": [{"labels": f"{{{LABELS}}}", "value": 600}],
    }
    spent = {
        "expr": f"round(1000 * slo:current_burn_rate:ratio{{{LABELS}}})",
        "eval_time": "70m",
        "exp_samples": [{"labels": f"{{{LABELS}}}", "value": 1_000_000}],
    }
    # all but the newest 5 minutes good: 3 of 5 minutes bad at 1:03; all of them at 1:10
    test = {
        "interval": "1m",
        "input_series": counters,
        "promql_expr_test": [page(60, fires=False), page(62, fires=True), ratio, spent],
    }

    assert run_test(source_of(), tmp_path, test).startswith("0: ")


def test_without_traffic_nothing_is_recorded_and_nothing_fires(tmp_path: Path) -> None:
    still = [{"series": f'requests_total{{status="{s}"}}', "values": "5+0x90"} for s in (200, 500)]
    nothing = [
        {"expr": f"slo:sli_error:ratio_rate5m{{{LABELS}}}", "eval_time": "80m", "exp_samples": []},
        {"expr": "ALERTS", "eval_time": "80m", "exp_samples": []},
    ]

    said = run_test(
        source_of(), tmp_path, {"interval": "1m", "input_series": still, "promql_expr_test": nothing}
    )

    assert said.startswith("0: ")


def test_a_breach_must_be_seen_as_often_as_the_watch_says_and_fires_on_until_all_is_well() -> None:
    source = source_of(breach_after=3, recover_after=10 * MINUTE)

    alerts = [rule for rule in rules_in(prometheus_rules(source)) if "alert" in rule]

    assert {(rule["for"], rule["keep_firing_for"]) for rule in alerts} == {("2m", "10m")}
    assert not any("for" in rule for rule in rules_in(prometheus_rules(source_of())))


def test_an_alert_says_who_what_and_how_bad() -> None:
    orders = slo(journey="order and pay", promise="99.9 % of orders are completed within 5 s")
    source = source_of({"checkout": context(slos={"orders": orders}, team="shop")})

    page = next(rule for rule in rules_in(prometheus_rules(source)) if "alert" in rule)

    assert page["labels"] == {
        "holdfast_campaign": "sale",
        "context": "checkout",
        "slo": "orders",
        "severity": "page",
        "long_window": "1h",
        "short_window": "5m",
        "team": "shop",
    }
    assert page["annotations"]["summary"] == (
        "Checkout: customers may not be able to order and pay. "
        "The promise: 99.9 % of orders are completed within 5 s."
    )
    assert page["annotations"]["description"] == (
        "{{ $value | humanizePercentage }} of the events of the last 1 h were bad, and it goes on (5 min). "
        "The edge is 1.44 %: 14.4 times what 99.9 % allows. "
        "At that rate 2 % of the error budget of 30 d are gone in 1 h."
    )
    assert page["annotations"]["journey"] == "order and pay"


def test_every_window_is_recorded_once_and_every_series_has_its_labels() -> None:
    rules = rules_in(prometheus_rules(shipped()))

    records = [(rule["record"], *sorted(rule["labels"].items())) for rule in rules if "record" in rule]
    assert len(records) == len(set(records))
    windows = {name.removeprefix("slo:sli_error:ratio_rate") for name, *_ in records if "ratio_rate" in name}
    assert windows == {"5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d"}
    assert all({"holdfast_campaign", "context", "slo"} <= set(rule["labels"]) for rule in rules)


def test_the_slow_period_never_holds_alerts_up() -> None:
    groups = yaml.safe_load(prometheus_rules(source_of()))["groups"]

    assert [group["interval"] for group in groups] == ["1m", "2m"]
    assert not any("[30d]" in rule["expr"] for rule in groups[0]["rules"])
    assert not any("alert" in rule for rule in groups[1]["rules"])


def test_the_text_is_the_same_each_time_and_says_what_it_was_made_from() -> None:
    text = prometheus_rules(source_of())

    assert text == prometheus_rules(source_of())
    assert text.splitlines()[1] == (
        "# Made by `holdfast slo rules` from sale.yaml, digest abc123: edit that file, not this one."
    )


def test_alertmanager_groups_by_context_and_pages_at_once_and_silences_needless_tickets() -> None:
    config = yaml.safe_load(alertmanager_config(source_of(), receiver="holdfast-oncall"))

    (ours,) = config["route"]["routes"]
    page, ticket = ours["routes"]
    assert ours["matchers"] == ['holdfast_campaign="sale"']
    assert ours["group_by"] == ["holdfast_campaign", "context"]
    assert (page["matchers"], page["group_wait"]) == (['severity="page"'], "1s")
    assert (ticket["matchers"], ticket["group_wait"]) == (['severity="ticket"'], "5m")
    assert config["inhibit_rules"] == [
        {
            "source_matchers": ['holdfast_campaign="sale"', 'severity="page"'],
            "target_matchers": ['holdfast_campaign="sale"', 'severity="ticket"'],
            "equal": ["holdfast_campaign", "context", "slo"],
        }
    ]
    receivers = {receiver["name"] for receiver in config["receivers"]}
    assert receivers == {"holdfast-oncall"} == {config["route"]["receiver"], ours["receiver"]}
