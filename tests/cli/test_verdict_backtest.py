"""`holdfast verdict backtest` over real folders, a real runbook and a database that remembers."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cyclopts import App, Parameter

from holdfast.adapters.charts.backtest import backtest_chart
from holdfast.adapters.releases import read_releases
from holdfast.apps.cli.verdict_backtest import BacktestCommands, BacktestDeps, PastSeries, add_backtest
from holdfast.domain.errors import MetricsUnavailable
from holdfast.runbook.library import RunbookLibrary
from holdfast.verdict.releases import RELEASE_SCORING
from tests.cli.conftest import told_by
from tests.releases.folders import Folder, several

ROOT = Path(__file__).resolve().parents[2]
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PAST = ("--runbook", "rollout/support-surge", "--from", "2026-03-01T12:00Z", "--to", "2026-03-01T12:20Z")

Command = Callable[..., tuple[int, str, str]]


class Database:
    """Remembers a steady system whose canary became a hundred times worse, a quarter of an hour ago and on."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, datetime, datetime, timedelta]] = []
        self.down = False
        self.canary_factor = 100.0

    async def series_at(
        self, query: str, *, start: datetime, end: datetime, step: timedelta
    ) -> dict[datetime, float]:
        if self.down:
            raise MetricsUnavailable("Prometheus at http://db does not answer")
        self.asked.append((query, start, end, step))
        value = self.canary_factor if 'side="canary"' in query else 1.0
        return {start + n * step: value for n in range((end - start) // step + 1)}

    @asynccontextmanager
    async def lent(self) -> AsyncGenerator[PastSeries]:
        yield self


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def runbooks(tmp_path: Path) -> Path:
    """Write a real runbook with small settings of its own."""
    spec = yaml.safe_load((ROOT / "runbooks/rollout/support-surge.yaml").read_text())
    spec["scoring"] = {
        "model": "weighted-seed",
        "shadow": ["weighted"],
        "traffic": 'sum(rate(requests_total{side="$side"}[$window]))',
        "baseline": {"window": "1h"},
        "metrics": {
            "latency": {"weight_percent": 60, "query": 'latency{side="$side"}', "threshold": {"points": 1}},
            "errors": {
                "weight_percent": 40,
                "query": ['errors{side="$side"}', 'lost{side="$side"}'],
                "threshold": {"points": 1},
            },
        },
    }
    file = tmp_path / "runbooks" / "rollout" / "support-surge.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(yaml.safe_dump(spec))
    return file


@pytest.fixture
def holdfast(database: Database, runbooks: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command; return its exit code and what it wrote to both streams."""
    deps = BacktestDeps(
        read=read_releases,
        series=database.lent,
        library=lambda: RunbookLibrary([runbooks.parents[1]]),
        draw=backtest_chart,
    )

    def command(*tokens: str | Path) -> tuple[int, str, str]:
        app = App(name="holdfast", default_parameter=Parameter(negative=()), help_format="plaintext")
        verdict = App(name="verdict")
        add_backtest(verdict, BacktestCommands(deps))
        app.command(verdict)
        told = told_by(app, ["verdict", "backtest", *tokens], capsys)
        return told.code, told.out, told.err

    return command


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return several(tmp_path / "releases")


def document(command: Command, *tokens: str | Path) -> dict[str, Any]:
    code, out, err = command(*tokens, "--json")
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


def scoring_file(path: Path, **changes: Any) -> Path:
    fields = RELEASE_SCORING.model_dump(mode="json", include={"model", "metrics"}, exclude_defaults=True)
    file = path / "scoring.yaml"
    file.write_text(yaml.safe_dump(fields | changes))
    return file


def test_a_folder_is_told_with_the_deciding_model_its_faults_and_its_mistakes(
    holdfast: Command, folder: Folder
) -> None:
    code, out, err = holdfast(folder.write())
    assert (code, err) == (0, "")
    assert out.startswith("8 releases: 4 bad, 4 good, 0 unlabelled")
    assert "attributed (decides)" in out
    assert "2 of 2, " in out
    assert "attributed missed: none" in out
    assert "attributed stopped good ones: none" in out
    assert "Leave one day out, attributed: F1 1.00" in out
    assert "Leave one service out" not in out  # there is one service


def test_json_is_one_document_with_every_model(holdfast: Command, folder: Folder) -> None:
    path = folder.write()
    found = document(holdfast, path)
    assert (found["directory"], found["releases"], found["bad"], found["good"]) == (str(path), 8, 4, 4)
    assert (found["deciding"], found["unlabelled"]) == ("attributed", {})
    assert list(found["models"]) == ["attributed", "weighted", "judge", "weighted-seed"]
    ours = found["models"]["attributed"]
    assert (ours["deciding"], ours["f1"], ours["precision"], ours["recall"]) == (True, 1.0, 1.0, 1.0)
    assert (ours["auto_rollbacks_of_good"], ours["auto_rollbacks_of_good_percent"]) == (0, 0.0)
    first = ("f1", "precision", "recall", "median_minutes", "auto_rollbacks_of_good")
    assert [found[name] for name in first] == [ours[name] for name in first]
    assert [fault["fault"] for fault in ours["faults"]] == ["crash", "errors"]
    assert not found["models"]["weighted"]["deciding"]
    held = found["leave_one_day_out"]
    assert held["f1"] == 1.0
    assert set(held["chosen"]) == {"2026-03-01", "2026-03-02"}
    assert found["leave_one_service_out"] is None
    assert "timeline" not in found


def test_cross_validation_can_be_left_out(holdfast: Command, folder: Folder) -> None:
    found = document(holdfast, folder.write(), "--no-cross-validation")
    assert found["leave_one_day_out"] is None


def test_another_model_decides_and_the_others_can_be_left_out(holdfast: Command, folder: Folder) -> None:
    found = document(
        holdfast, folder.write(), "--decide", "weighted", "--model", "weighted-seed", "--no-cross-validation"
    )
    assert (found["deciding"], list(found["models"])) == ("weighted", ["weighted", "weighted-seed"])


def test_releases_without_a_label_are_told_but_not_scored(holdfast: Command, folder: Folder) -> None:
    folder.records[0]["label"] = None
    path = folder.write()
    found = document(holdfast, path)
    assert found["bad"] == 3
    assert found["unlabelled"]["1-0/cart"]["attributed"]["outcome"] in {"pause", "rollback"}
    code, out, _ = holdfast(path)
    assert code == 0
    assert "Without a label, so not scored" in out
    for record in folder.records:
        record["label"] = None
    code, out, _ = holdfast(folder.write())
    assert code == 0
    assert "8 releases: 0 bad, 0 good, 8 unlabelled" in out
    assert "Per model" not in out


def test_one_release_is_told_minute_by_minute_with_its_reasons(holdfast: Command, folder: Folder) -> None:
    path = folder.write()
    found = document(holdfast, path, "--release", "1-0/cart")
    assert found["releases"] == 1
    assert len(found["timeline"]) == 8
    assert set(found["timeline"][0]["outcomes"]) == set(found["models"])
    assert found["stops"]["attributed"]["reason"]
    code, out, _ = holdfast(path, "--release", "1-0/cart")
    assert code == 0
    assert "1-0/cart, bad (errors)" in out
    assert "attributed: " in out


def test_a_picture_is_written(holdfast: Command, folder: Folder, tmp_path: Path) -> None:
    picture = tmp_path / "backtest.png"
    assert holdfast(folder.write(), "--plot", picture, "--no-cross-validation")[0] == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_settings_come_from_a_file(holdfast: Command, folder: Folder, tmp_path: Path) -> None:
    file = scoring_file(tmp_path, attribution={"silent_minutes": 8}, model="attributed", shadow=[])
    found = document(holdfast, folder.write(), "--scoring", file, "--no-cross-validation")
    assert list(found["models"]) == ["attributed"]
    late = next(f for f in found["models"]["attributed"]["faults"] if f["fault"] == "crash")
    default = document(holdfast, folder.write(), "--no-cross-validation")["models"]["attributed"]["faults"][0]
    assert (default["caught"], late["caught"]) == (2, 2)
    assert late["median_minutes"] > default["median_minutes"]


def test_a_past_window_is_asked_of_the_database_and_told_minute_by_minute(
    holdfast: Command, database: Database
) -> None:
    found = document(holdfast, *PAST, "--label", "bad", "--share", "25")
    assert found["runbook"] == "rollout/support-surge"
    assert (found["releases"], found["bad"]) == (1, 1)
    assert len(found["timeline"]) == 20
    assert found["timeline"][0]["at"] == "2026-03-01T12:01:00Z"
    assert found["models"][found["deciding"]]["true_positives"] == 1
    spans = {(start, end, step) for _, start, end, step in database.asked}
    minute = timedelta(minutes=1)
    assert spans == {(START + minute, START + 20 * minute, minute), (START - 60 * minute, START, minute)}
    asked = [query for query, *_ in database.asked]
    assert 'lost{side="stable"}' in asked
    assert 'sum(rate(requests_total{side="canary"}[60s]))' in asked
    assert not found["without_edges"]


def test_call_edges_that_are_not_asked_of_the_past_are_told(holdfast: Command, runbooks: Path) -> None:
    spec = yaml.safe_load(runbooks.read_text())
    spec["scoring"]["edges"] = {"service": "bot", "error_percent": 'edge_errors{side="$side"}'}
    runbooks.write_text(yaml.safe_dump(spec))
    assert document(holdfast, *PAST)["without_edges"]
    assert "every model judged without them" in holdfast(*PAST)[1]


def test_a_good_past_window_is_let_through(holdfast: Command, database: Database) -> None:
    database.canary_factor = 1.0
    code, out, _ = holdfast(*PAST)
    assert code == 0
    assert "let through" in out
    assert "Per model" not in out


def test_a_database_that_does_not_answer_is_told(holdfast: Command, database: Database) -> None:
    database.down = True
    assert holdfast(*PAST) == (3, "", "Prometheus at http://db does not answer\n")


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        ((), "name a folder of past releases, or a --runbook with --from and --to"),
        (("FOLDER", *PAST), "name a folder of past releases, or a --runbook"),
        (("FOLDER", "--label", "bad"), "--label: belongs to --runbook"),
        (("FOLDER", "--release", "x"), "unknown release 'x'; known: 1-0/cart, 1-1/cart"),
        (("FOLDER", "--model", "oracle"), "unknown scoring model 'oracle'; known: attributed"),
        (("FOLDER", "--decide", "oracle"), "unknown scoring model 'oracle'; known: attributed"),
        (("nowhere",), "nowhere/releases.json: cannot be read"),
        (("FOLDER", "--scoring", "nowhere.yaml"), "nowhere.yaml:1: cannot be read"),
        (PAST[:2], "--from: is needed with --runbook"),
        ((*PAST[:4], "--to", "2026-03-01T12:20"), "--to: '2026-03-01T12:20' has no time zone"),
        ((*PAST[:4], "--to", "noon"), "--to: 'noon' is no moment"),
        ((*PAST[:4], "--to", "2026-03-01T11:00Z"), "--to: must be 1 to 5000 times --window after --from"),
        ((*PAST, "--window", "60"), "--window: '60' is no span of time"),
        ((*PAST, "--share", "0"), "--share: must be 1 to 100 (got 0)"),
        ((*PAST, "--release", "x"), "--release: a past window is one release"),
        (("--runbook", "nothing", *PAST[2:]), "unknown runbook 'nothing'; known: support-surge"),
    ],
)
def test_wrong_input_is_told_with_its_field(
    holdfast: Command, folder: Folder, tokens: tuple[str, ...], said: str
) -> None:
    path = str(folder.write())
    code, out, err = holdfast(*(path if token == "FOLDER" else token for token in tokens))
    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"modle": "judge"}, "modle: unknown field; did you mean 'model'?"),
        ({"metrics": {"queue": {"weight_percent": 100, "query": "q"}}}, "metrics.queue: unknown metric"),
        (
            {"metrics": {"cpu_percent": {"weight_percent": 100, "query": ["a", "b"]}}},
            "metrics.cpu_percent.query: a folder gives one number",
        ),
    ],
)
def test_a_wrong_scoring_file_is_told_with_its_field(
    holdfast: Command, folder: Folder, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    code, out, err = holdfast(folder.write(), "--scoring", scoring_file(tmp_path, **changes))
    assert (code, out) == (2, "")
    assert "scoring.yaml" in err
    assert said in err


def test_a_picture_that_cannot_be_made_or_written_is_told(
    holdfast: Command, folder: Folder, tmp_path: Path
) -> None:
    code, _, err = holdfast(folder.write(), "--plot", tmp_path, "--no-cross-validation")
    assert (code, err) == (2, f"--plot: {tmp_path} cannot be written: Is a directory\n")
    folder.records = [r for r in folder.records if r["label"] == "good"]
    code, _, err = holdfast(folder.write(), "--plot", tmp_path / "x.png")
    assert (code, err) == (2, "--plot: no release is labelled bad, so there is nothing to draw\n")
