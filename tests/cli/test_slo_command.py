"""`holdfast slo` over the shipped campaign and metrics in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cyclopts import App, Parameter

from holdfast.apps.cli.slo import SloDeps, add_slo
from holdfast.domain.errors import InvalidInput, MetricsUnavailable
from holdfast.runbook.library import RunbookLibrary
from tests.cli.conftest import ROOT, Told, told_by

SHIPPED = ROOT / "runbooks/campaign/autumn-sale.yaml"


class Shop:
    """Answers PromQL: a hundred requests a second, of which some share is bad; half a second each."""

    def __init__(self) -> None:
        self.bad_share = 0.0
        self.down = ""  # queries with this text are not answered
        self.wrong = ""
        self.asked: list[str] = []
        self.looked_back = 0

    async def instant(self, query: str, *, at: datetime) -> float | None:
        self._answer(query)
        self.asked.append(query)
        if "lost_total" in query and "delivered" not in query:
            return 100 * self.bad_share
        if "bucket" in query and " - " in query:
            return 100 * (1 - self.bad_share)
        return 0.5 if "histogram_quantile" in query else 100.0

    async def points(
        self, query: str, *, start: datetime, end: datetime, step: timedelta
    ) -> list[tuple[datetime, float]]:
        self._answer(query)
        self.looked_back += 1
        usual = 0.5 if "histogram_quantile" in query else 100.0
        return [(start + k * step, usual * (1 + k % 3 / 100)) for k in range(200)]

    def _answer(self, query: str) -> None:
        if self.down and self.down in query:
            raise MetricsUnavailable("the metrics backend does not answer")
        if self.wrong and self.wrong in query:
            raise InvalidInput("the query gives two series; aggregate it with sum by ()")


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def slo(shop: Shop, capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    def command(*tokens: str | Path, sleep: Callable[[float], object] = asyncio.sleep) -> Told:
        @asynccontextmanager
        async def metrics() -> AsyncIterator[Shop]:
            yield shop

        app = App(name="holdfast", default_parameter=Parameter(negative=()), help_format="plaintext")
        library = RunbookLibrary([ROOT / "runbooks"])
        add_slo(app, SloDeps(library=lambda: library, metrics=metrics, sleep=sleep))
        return told_by(app, ["slo", *tokens], capsys)

    return command


def test_rules_writes_three_files_that_promtool_accepts(slo, tmp_path: Path) -> None:
    told = slo("rules", "autumn-sale", "--output", tmp_path / "rules", "--receiver", "oncall", "--check")

    assert told.code == 0, told.err
    written = sorted(path.name for path in (tmp_path / "rules").iterdir())
    assert written == ["autumn-sale.alertmanager.yaml", "autumn-sale.rules.yaml", "autumn-sale.tests.yaml"]
    assert told.out.count("promtool") == 2
    assert told.out.count(": ok") >= 2
    config = yaml.safe_load((tmp_path / "rules" / "autumn-sale.alertmanager.yaml").read_text())
    assert config["receivers"] == [{"name": "oncall"}]


def test_rules_of_a_file_are_those_of_its_campaign(slo, tmp_path: Path) -> None:
    by_name, by_file = tmp_path / "a", tmp_path / "b"

    assert slo("rules", "autumn-sale", "--output", by_name).code == 0
    assert slo("rules", SHIPPED, "--output", by_file).code == 0

    for path in by_name.iterdir():
        assert path.read_text() == (by_file / path.name).read_text()


def test_a_check_without_promtool_says_so_and_is_not_passed(slo, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    told = slo("rules", "autumn-sale", "--output", tmp_path, "--check")

    assert told.code == 1
    assert "promtool is not on this machine" in told.err
    assert (tmp_path / "autumn-sale.rules.yaml").exists()


def test_what_promtool_finds_is_shown(slo, tmp_path: Path) -> None:
    broken = tmp_path / "autumn-sale.yaml"
    text = SHIPPED.read_text()
    broken.write_text(
        text.replace("bad: sum(rate(shop_messages_lost_total[$window]))", "bad: sum(rate(x[$window])")
    )

    told = slo("rules", broken, "--output", tmp_path, "--check")

    assert told.code == 1
    assert "parse error" in told.err


def test_an_alert_that_can_never_fire_is_named(slo, tmp_path: Path) -> None:
    loose = tmp_path / "autumn-sale.yaml"
    loose.write_text(SHIPPED.read_text().replace("objective_percent: 99.9\n", "objective_percent: 90\n", 1))

    told = slo("rules", loose, "--output", tmp_path)

    assert told.code == 0
    assert "contexts.support.slos.ticket-submissions.alerts.0: never fires" in told.err


def test_a_directory_that_cannot_be_written_is_wrong_input(slo, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    told = slo("rules", "autumn-sale", "--output", tmp_path / "file")

    assert told.code == 2
    assert told.err.startswith(f"--output: {tmp_path / 'file'} cannot be written to")


def test_an_unknown_campaign_lists_the_known_ones(slo) -> None:
    told = slo("explain", "spring-sale")

    assert told.code == 2
    assert "autumn-sale" in told.err


def test_status_shows_every_context_and_promises_that_hold(slo, shop: Shop) -> None:
    told = slo("status", "autumn-sale")

    assert told.code == 0, told.err
    for text in ("Support", "Account Management", "ticket-submissions", "latency p95", "100 % of 99.9 %"):
        assert text in told.out
    assert "ok" in told.out
    assert len(shop.asked) == len(set(shop.asked)), "a query that contexts share is asked once"


def test_status_of_a_breach_says_it_in_words_and_by_its_exit_code(slo, shop: Shop) -> None:
    shop.bad_share = 0.02

    told = slo("status", "autumn-sale")

    assert told.code == 1
    assert (
        "support/ticket-submissions: the error budget burns 20 times too fast over 1 h and 5 min (edge 14.4); "
        "the budget is overspent by 1900 %"
    ) in told.out


def test_status_as_json_is_the_moment(slo, shop: Shop) -> None:
    shop.bad_share = 0.02

    found = slo("status", SHIPPED, "--json").document

    by_name = {(s["context"], s["slo"]): s for s in found["slos"]}
    assert by_name["support", "ticket-submissions"]["level"] == "breach"
    assert by_name["notification", "delivery"]["burn"][0]["long_burn"] == pytest.approx(4)
    latency = next(k for k in found["kpis"] if k["name"] == "latency")
    assert (latency["level"], latency["value"]) == ("ok", 0.5)


def test_a_database_that_does_not_answer_is_exit_code_3(slo, shop: Shop) -> None:
    shop.down = "rate"

    told = slo("status", "autumn-sale")

    assert told.code == 3
    assert "does not answer" in told.err


def test_a_period_that_takes_too_long_leaves_the_rest_known(slo, shop: Shop) -> None:
    shop.down, shop.bad_share = "[30d]", 0.02

    told = slo("status", "autumn-sale")

    assert told.code == 1
    assert "how much of the budget is left is not known" in told.out
    assert "support/slo/ticket-submissions/total/30d: not known" in told.err


def test_a_query_that_is_wrong_is_named_and_the_rest_shown(slo, shop: Shop) -> None:
    shop.wrong = "shop_cpu_seconds_total"

    told = slo("status", "autumn-sale")

    assert told.code == 0
    assert told.err.startswith("support/resource/cpu: the query gives two series")


def test_watching_looks_again_and_outlives_a_silence(slo, shop: Shop) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        shop.down = "rate" if len(waits) == 1 else ""
        if len(waits) == 3:
            raise KeyboardInterrupt

    told = slo("status", "autumn-sale", "--watch", sleep=sleep)

    assert waits == [60, 60, 60]
    assert told.out.count("Autumn sale at ") == 3
    assert told.out.count("Nothing is known: the metrics backend does not answer") == 1
    assert told.code == 130


def test_watching_asks_for_the_past_once_an_hour(slo, shop: Shop) -> None:
    looked_back: list[int] = []

    async def sleep(_: float) -> None:
        looked_back.append(shop.looked_back)
        if len(looked_back) == 2:
            raise KeyboardInterrupt

    slo("status", "autumn-sale", "--watch", sleep=sleep)

    assert looked_back[0] > 0
    assert looked_back[1] <= 2 * looked_back[0]


def test_explain_is_the_workbooks_arithmetic(slo) -> None:
    found = slo("explain", "autumn-sale", "--json").document

    tickets = next(one for one in found if one["slo"] == "ticket-submissions")
    assert tickets["bad_events_allowed"] == 1000
    assert tickets["outage_allowed_seconds"] == 2592
    assert [one["burn_rate"] for one in tickets["alerts"]] == [14.4, 6, 3, 1]
    assert [one["edge_percent"] for one in tickets["alerts"]] == [1.44, 0.6, 0.3, 0.1]
    assert [one["outage_told_after_seconds"] for one in tickets["alerts"]] == [51.84, 129.6, 259.2, 259.2]


def test_explain_says_it_for_people(slo) -> None:
    told = slo("explain", "autumn-sale", "--events", "250000")

    assert told.code == 0
    assert "Of 250,000 events 250 may be bad; at even traffic, a total outage of 43 min 12 s." in told.out
    assert "2 % × 30 d / 1 h = 14.4" in told.out
    assert "51.8 s" in told.out


def test_explain_wants_events(slo) -> None:
    assert slo("explain", "autumn-sale", "--events", "0").code == 2
