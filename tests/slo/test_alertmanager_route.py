"""The Alertmanager route, checked by Alertmanager's own amtool: by itself, and in a team's configuration."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.runbook.loader import load_campaign
from holdfast.slo.alertmanager import alertmanager_config
from holdfast.slo.rules import ALERT, RuleSource, prometheus_rules

CAMPAIGN = Path(__file__).parents[2] / "runbooks/campaign/autumn-sale.yaml"
PAGE, TICKET = '{severity="page"}', '{severity="ticket"}'


@pytest.fixture(scope="module")
def source() -> RuleSource:
    """The shipped campaign."""
    spec = load_campaign(CAMPAIGN).spec
    watch = spec.watch
    return RuleSource(
        campaign=spec.name,
        contexts=spec.contexts,
        interval=watch.interval,
        breach_after=watch.breach_after,
        recover_after=watch.recover_after,
    )


def amtool(*arguments: str | Path) -> str:
    program = shutil.which("amtool")
    if program is None:
        pytest.fail("these tests need amtool: apt-get install --no-install-recommends prometheus-alertmanager")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def merged(source: RuleSource, **receivers: str) -> dict[str, Any]:
    """Return a team's configuration with the route in it, as the route's first lines say.

    Args:
        source: the campaign.
        receivers: a receiver of its own for the alerts of a severity.
    """
    made = yaml.safe_load(alertmanager_config(source, receiver="oncall"))
    (ours,) = made["route"]["routes"]
    for route, severity in zip(ours["routes"], ("page", "ticket"), strict=True):
        if severity in receivers:
            route["receiver"] = receivers[severity]
    names = ["everybody", "database", "oncall", *receivers.values()]
    return {
        "global": {"resolve_timeout": "5m"},
        "route": {
            "receiver": "everybody",
            "group_by": ["alertname"],
            "routes": [ours, {"receiver": "database", "matchers": ['team="database"']}],
        },
        "inhibit_rules": made["inhibit_rules"],
        "receivers": [
            {"name": name, "webhook_configs": [{"url": f"http://127.0.0.1:9/{name}"}]} for name in names
        ],
    }


def written(config: dict[str, Any], folder: Path) -> Path:
    file = folder / "alertmanager.yaml"
    file.write_text(yaml.safe_dump(config))
    return file


def receivers_of(file: Path, labels: dict[str, str]) -> list[str]:
    said = amtool("config", "routes", "test", f"--config.file={file}", *arguments(labels))
    return said.strip().split(",")


def path_of(file: Path, labels: dict[str, str]) -> str:
    """Return amtool's picture of the routes that an alert with these labels takes."""
    return amtool("config", "routes", "test", "--tree", f"--config.file={file}", *arguments(labels))


def arguments(labels: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in labels.items()]


def alerts(source: RuleSource, severity: str) -> list[dict[str, str]]:
    """Return the labels of the alerts that Prometheus raises by the rules of a source."""
    groups = yaml.safe_load(prometheus_rules(source))["groups"]
    labels = [
        {"alertname": ALERT, **rule["labels"]} for group in groups for rule in group["rules"] if "alert" in rule
    ]
    found = [each for each in labels if each["severity"] == severity]
    assert found, f"no alert of severity {severity}"
    return found


def test_alertmanager_takes_the_written_file_as_it_is(source: RuleSource, tmp_path: Path) -> None:
    file = tmp_path / "autumn-sale.alertmanager.yaml"
    file.write_text(alertmanager_config(source, receiver="oncall"))

    said = amtool("check-config", file)

    assert "SUCCESS" in said
    assert "1 inhibit rule" in said
    assert "1 receivers" in said


def test_alertmanager_takes_the_route_in_a_teams_own_configuration(source: RuleSource, tmp_path: Path) -> None:
    said = amtool("check-config", written(merged(source), tmp_path))

    assert "SUCCESS" in said
    assert "1 inhibit rule" in said
    assert "3 receivers" in said


@pytest.mark.parametrize(("severity", "route"), [("page", PAGE), ("ticket", TICKET)])
def test_every_alert_of_the_campaign_reaches_the_receiver_by_the_route_of_its_severity(
    source: RuleSource, tmp_path: Path, severity: str, route: str
) -> None:
    file = written(merged(source), tmp_path)

    for labels in alerts(source, severity):
        assert receivers_of(file, labels) == ["oncall"]
        assert route in path_of(file, labels)


def test_pages_and_tickets_reach_receivers_of_their_own_where_the_routes_name_some(
    source: RuleSource, tmp_path: Path
) -> None:
    file = written(merged(source, page="pager", ticket="tickets"), tmp_path)

    for severity, receiver in (("page", "pager"), ("ticket", "tickets")):
        for labels in alerts(source, severity):
            assert receivers_of(file, labels) == [receiver]


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"severity": "page"}, "everybody"),
        ({"severity": "page", "holdfast_campaign": "spring-sale"}, "everybody"),
        ({"severity": "ticket", "team": "database"}, "database"),
    ],
    ids=["of no campaign", "of another campaign", "of a team"],
)
def test_an_alert_that_is_not_of_the_campaign_goes_where_it_went_before(
    source: RuleSource, tmp_path: Path, labels: dict[str, str], receiver: str
) -> None:
    assert receivers_of(written(merged(source), tmp_path), labels) == [receiver]
