"""Our queries at a real Prometheus that holds three days of counters."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.adapters.prometheus import PrometheusMetrics
from holdfast.runbook.loader import load_campaign
from holdfast.slo.evaluate import evaluate, window_counts
from holdfast.slo.queries import questions, window_questions
from holdfast.slo.status import Level
from tests.prometheus.server import running
from tests.slo.slo_builders import DAY, HOUR, MINUTE, context

ROOT = Path(__file__).parents[2]
PER_MINUTE, BAD_SHARE = 600, 0.02

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def now() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0) - 5 * MINUTE


@pytest.fixture(scope="module")
def url(now: datetime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Ten requests a second for three days, of which 2 % failed in the last two hours."""
    directory = tmp_path_factory.mktemp("prometheus")
    written = directory / "counters.om"
    written.write_text("\n".join(["# TYPE requests counter", *_counters(now), "# EOF", ""]))
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", written, directory / "data"],
        check=True,
        capture_output=True,
    )
    with running(directory) as (address, _):
        yield address


def _counters(now: datetime) -> Iterator[str]:
    minutes = int(3 * DAY / MINUTE) + 10
    for status in ("200", "500"):
        count = 0.0
        for minute in range(minutes):
            at = now - (minutes - 1 - minute) * MINUTE
            failing = at > now - 2 * HOUR
            share = (BAD_SHARE if failing else 0) if status == "500" else (1 - BAD_SHARE if failing else 1)
            count += PER_MINUTE * share
            yield f'requests_total{{status="{status}"}} {count} {at.timestamp():.0f}'


async def test_burn_rates_and_budget_are_what_arithmetic_says(url: str, now: datetime) -> None:
    contexts = {"checkout": context()}
    metrics = PrometheusMetrics(url)
    asked = questions(contexts, window=MINUTE)
    answers = {one.key: await metrics.instant(one.query, at=now) for one in asked}
    await metrics.aclose()

    (found,) = evaluate(contexts, answers, {}, now).slos

    hours = {"1h": 1, "6h": 2, "1d": 2, "3d": 2}  # of failing, in each long window
    length = {"1h": 1, "6h": 6, "1d": 24, "3d": 72}
    assert found.level is Level.BREACH
    for reading in found.burn:
        by_hand = BAD_SHARE / 0.001 * hours[reading.long] / length[reading.long]
        assert reading.long_burn == pytest.approx(by_hand, rel=0.01)
    assert found.events == pytest.approx(72 * 60 * PER_MINUTE, rel=0.01)
    # 2 of 72 hours at 20 times: the history is shorter than the period, so the share is of what there is
    assert found.budget_left_percent == pytest.approx(100 - 100 * 20 * 2 / 72, abs=1)


@pytest.mark.parametrize("window", [3 * MINUTE, 90 * MINUTE, 90 * MINUTE + timedelta(seconds=17), 30 * HOUR])
async def test_a_window_is_counted_to_half_a_percent(url: str, now: datetime, window: timedelta) -> None:
    contexts = {"checkout": context()}
    metrics = PrometheusMetrics(url)
    asked = window_questions(contexts, window=window)
    answers = {one.key: await metrics.instant(one.query, at=now) for one in asked}
    await metrics.aclose()

    [count] = window_counts(contexts, answers, window, now).values()

    failing = min(window, 2 * HOUR) / MINUTE * PER_MINUTE * BAD_SHARE
    assert count.events == pytest.approx(window / MINUTE * PER_MINUTE, rel=0.005)
    assert count.bad_events == pytest.approx(failing, rel=0.005)
    assert count.kept is (failing <= 0.001 * count.events)


async def test_every_query_of_the_shipped_campaign_is_one_that_prometheus_understands(
    url: str, now: datetime
) -> None:
    spec = load_campaign(ROOT / "runbooks/campaign/autumn-sale.yaml").spec
    metrics = PrometheusMetrics(url)
    asked = questions(spec.contexts, window=spec.watch.interval)
    answers = {one.key: await metrics.instant(one.query, at=now) for one in asked}
    await metrics.aclose()

    moment = evaluate(spec.contexts, answers, {}, now)

    assert {status.level for status in (*moment.slos, *moment.kpis)} == {Level.UNKNOWN}
