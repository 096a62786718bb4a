"""The queries of the shipped runbook on the stand-in shop under traffic, asked of a real Prometheus."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from holdfast.runbook.library import RunbookLibrary
from holdfast.verdict.query import resolve
from tests.prometheus.server import running
from tests.sim_shop.physics import FIX_BOT, FIX_POOL, Clientele, clientele

SCORING = (
    RunbookLibrary([Path(__file__).resolve().parents[2] / "runbooks"]).rollout("support-surge").spec.scoring
)
WINDOW = timedelta(seconds=6)
NO_LEADS = {"crm_write_leads": False}
SIDES = ("canary", "stable")
EDGES = {
    *((caller, "shop") for caller in ("bot", "account-page", "checkout-page")),
    *(("shop", part) for part in ("crm-contacts", "crm-leads", "crm-deals", "crm-timeline", "telegram")),
}
Vector = dict[tuple[str, str], float]


@dataclass
class Answers:
    """What Prometheus said of one side at one moment: each query's series, by caller and callee where given."""

    metrics: dict[str, list[Vector]]
    traffic: Vector
    errors: Vector
    calls: Vector

    def number(self, metric: str, query: int = 0) -> float:
        return self.metrics[metric][query]["", ""]


@dataclass
class Seen:
    """Both sides with a good canary, and then with one that answers but does not write its leads."""

    good: dict[str, Answers]
    faulty: dict[str, Answers]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    with clientele() as world, _watched(tmp_path_factory.mktemp("live"), world) as url:
        world.rate(40)
        world.both(FIX_BOT, FIX_POOL)
        world.put("share", percent=25)
        time.sleep(12)
        good = {side: asked(url, side) for side in SIDES}
        world.side("canary", FIX_BOT, FIX_POOL, NO_LEADS)
        # longer than the window of the queries and one comparison with the CRM
        time.sleep(11)
        yield Seen(good, {side: asked(url, side) for side in SIDES})


@pytest.mark.parametrize("side", SIDES)
def test_every_query_of_every_metric_gives_one_number(seen, side):
    for answers in (seen.good[side], seen.faulty[side]):
        for name, vectors in answers.metrics.items():
            assert [list(vector) for vector in vectors] == [[("", "")]] * len(vectors), name
            assert all(math.isfinite(vector["", ""]) for vector in vectors), name


@pytest.mark.parametrize("side", SIDES)
def test_every_edge_gives_one_series(seen, side):
    assert set(seen.good[side].calls) == EDGES
    assert set(seen.good[side].errors) >= EDGES - {("shop", "crm-timeline")}  # only where a person took over
    assert all(0 <= percent <= 100 for percent in seen.good[side].errors.values())


def test_the_traffic_of_both_sides_is_that_of_the_customers(seen):
    canary, stable = (seen.good[side].traffic["", ""] for side in SIDES)

    assert canary + stable == pytest.approx(40, rel=0.4)
    assert stable / canary == pytest.approx(3, rel=0.2)


def test_good_sides_miss_no_lead_and_some_of_their_customers_make_mistakes(seen):
    for answers in seen.good.values():
        assert answers.number("crm_sync") == 0
        assert answers.number("crm_sync", 1) < 0.1
    mistakes = [side.number("client_errors") for both in (seen.good, seen.faulty) for side in both.values()]
    assert 0 < max(mistakes) < 0.15


def test_leads_that_are_not_written_show_in_the_comparison_while_status_codes_stay_good(seen):
    canary, stable = seen.faulty["canary"], seen.faulty["stable"]

    assert canary.number("crm_sync") == 1
    assert stable.number("crm_sync") == 0
    assert [canary.number("error_rate", query) for query in range(3)] == [pytest.approx(0, abs=0.02)] * 3
    assert canary.number("client_errors") < 0.15


def test_leads_that_are_not_written_show_as_calls_that_are_missing(seen):
    canary, stable = seen.faulty["canary"], seen.faulty["stable"]

    assert canary.calls["shop", "crm-leads"] == 0
    assert stable.calls["shop", "crm-leads"] > 1
    assert ("shop", "crm-leads") not in canary.errors
    assert canary.calls["shop", "crm-contacts"] > 1


def asked(url: str, side: str) -> Answers:
    """Ask all queries of the file."""

    def ask(query: str) -> Vector:
        text = resolve(query, side=side, window=WINDOW)
        answer = httpx.post(f"{url}/api/v1/query", data={"query": text}).raise_for_status().json()
        series = [(one["metric"], float(one["value"][1])) for one in answer["data"]["result"]]
        vector = {(labels.get("caller", ""), labels.get("callee", "")): value for labels, value in series}
        assert len(vector) == len(series), text
        return vector

    edges = SCORING.edges
    assert edges
    assert edges.calls
    assert SCORING.traffic
    metrics = {name: [ask(query) for query in metric.queries] for name, metric in SCORING.metrics.items()}
    return Answers(metrics, ask(SCORING.traffic), ask(edges.error_percent), ask(edges.calls))


@contextmanager
def _watched(directory: Path, world: Clientele) -> Iterator[str]:
    """Run a Prometheus that scrapes the shop each second; yields its URL."""
    with running(directory, scraping=world.urls["shop"].removeprefix("http://")) as (url, _):
        yield url
