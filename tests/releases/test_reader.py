"""Reading folders of past releases."""

import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from holdfast.adapters.releases import read_releases
from holdfast.domain.errors import InvalidInput
from holdfast.verdict.observation import NoData
from holdfast.verdict.releases import RELEASE_METRICS
from tests.releases import folders
from tests.releases.folders import (
    BEFORE,
    CANARY,
    CONTROL,
    EARLIEST,
    OBSERVED,
    Cells,
    Folder,
    minutes,
    record,
    row,
)

DATA = Path(os.environ.get("HOLDFAST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "releases")


def refusal(path: Path) -> str:
    with pytest.raises(InvalidInput) as refused:
        read_releases(path)
    return str(refused.value)


def test_a_release_is_read_with_its_record_and_a_minute_an_observation(folder: Folder) -> None:
    (release,) = read_releases(folder.write())
    assert (release.id, release.case, release.day, release.service) == ("one/cart", "one", "2026-03-01", "cart")
    assert (release.label, release.fault, release.replicas) == ("good", "", 4)
    assert release.started_at == datetime.fromtimestamp(folders.STARTED, UTC)
    times = [(o.at - release.started_at).total_seconds() / 60 for o in release.observations]
    assert times == pytest.approx([1 / 3 + n for n in range(OBSERVED)])
    assert {o.share_percent for o in release.observations} == {25}


@pytest.mark.parametrize("name", ["minutes.csv", "minutes.csv.gz"])
def test_minutes_may_be_compressed(folder: Folder, name: str) -> None:
    assert len(read_releases(folder.write(name))[0].observations) == OBSERVED


def test_the_canary_is_a_mean_and_the_control_a_median_over_inbound_edges(folder: Folder) -> None:
    def fault(cells: Cells, _minute: int) -> Cells:
        worse = {CANARY: 40, CONTROL[0]: 0}.get(str(cells["pod"]), 100)
        only = worse if cells["caller"] == "web" else 100
        return cells | {"success_rate_pct": only, "latency_ms": 10 if cells["caller"] == "web" else 30}

    folder.rows = list(minutes(fault))
    seen = read_releases(folder.write())[0].observations[0]
    assert (seen.values["error_percent"], seen.control["error_percent"]) == ([30.0], [0.0])
    assert (seen.values["latency_ms"], seen.control["latency_ms"]) == ([20.0], [20.0])
    assert (seen.values["cpu_percent"], seen.values["memory_percent"]) == ([30.0], [40.0])
    assert (seen.values["call_presence"], seen.control["call_presence"]) == ([2.0], [2.0])


@pytest.mark.parametrize("cell", ["", "nan"])
def test_an_edge_without_a_ratio_is_reported_but_has_no_error(folder: Folder, cell: str) -> None:
    def fault(cells: Cells, _minute: int) -> Cells:
        dumb = cells["pod"] == CANARY and cells["caller"] == "web"
        return cells | {"success_rate_pct": cell} if dumb else cells

    folder.rows = list(minutes(fault))
    seen = read_releases(folder.write())[0].observations[0]
    edge = next(e for e in seen.edges if e.caller == "web")
    assert (edge.canary, edge.control, edge.inbound) == ([None], [0.0] * 3, True)
    assert seen.values["call_presence"] == [1.0]


def test_edges_are_inbound_and_outbound_with_their_baseline(folder: Folder) -> None:
    release = read_releases(folder.write())[0]
    ends = [(e.caller, e.callee, e.inbound) for e in release.observations[0].edges]
    assert ends == [("cart", "stock", False), ("mobile", "cart", True), ("web", "cart", True)]
    assert [(e.caller, e.callee, e.points) for e in release.baseline.edges] == [
        ("cart", "stock", 3 * BEFORE),
        ("mobile", "cart", 3 * BEFORE),
        ("web", "cart", 3 * BEFORE),
    ]


def test_a_silent_canary_is_not_taken_for_a_silent_service(folder: Folder) -> None:
    folder.rows = list(minutes(folders.silent))
    seen = read_releases(folder.write())[0].observations[0]
    assert {name: seen.values[name] for name in RELEASE_METRICS} == {
        name: [NoData.CANARY_SILENT] for name in RELEASE_METRICS
    }
    assert all(not edge.canary and edge.control for edge in seen.edges)


def test_a_minute_in_which_neither_side_speaks_is_a_minute_all_the_same(folder: Folder) -> None:
    quiet = BEFORE + 2
    folder.rows = [r for r in minutes() if r["timestamp"] != EARLIEST + 60 * quiet]
    folder.rows.append(row(quiet, "tax-v1-zz", "web", "tax"))
    seen = read_releases(folder.write())[0].observations[2]
    assert seen.values["error_percent"] == seen.control["error_percent"] == [NoData.BOTH_SILENT]
    assert seen.edges == []


def test_clocks_that_differ_by_a_second_give_the_same_minute_and_two_rows_of_a_minute_their_mean(
    folder: Folder,
) -> None:
    def fault(cells: Cells, _minute: int) -> Cells:
        late = 1 if cells["pod"] == CONTROL[0] else 0
        return cells | {"timestamp": float(cells["timestamp"]) + late}

    folder.rows = [*minutes(fault), row(BEFORE + 0.2, CANARY, "web", "cart", success_rate_pct=50)]
    seen = read_releases(folder.write())[0].observations
    assert len(seen) == OBSERVED
    assert next(e for e in seen[0].edges if e.caller == "web").canary == [25.0]


def test_the_baseline_is_the_controls_before_the_first_step(folder: Folder) -> None:
    def fault(cells: Cells, minute: int) -> Cells:
        before = minute < BEFORE
        return cells | {"cpu_pct": (20 + 2 * (minute % 2)) if before else 90}

    folder.rows = list(minutes(fault))
    baseline = read_releases(folder.write())[0].baseline
    (cpu,) = baseline.signals["cpu_percent"]
    assert (cpu.mean, cpu.median, cpu.mad, cpu.points, cpu.days) == (21, 21, 1, BEFORE, 1)
    assert cpu.query == "cpu_pct of the stable pods, median"
    assert baseline.covered_seconds == 60 * BEFORE


def test_what_is_released_beside_is_named_as_far_as_the_times_overlap(folder: Folder) -> None:
    tax = {"service": "tax", "canary_pods": ["tax-v2-x"], "control_pods": ["tax-old"]}
    folder.records += [
        record(id="one/tax", first_step_at=folders.STARTED + 120, **tax),
        record(id="one/late", **(tax | {"service": "late"}), first_step_at=folders.STARTED + 3600),
        record(id="two/tax", case="two", **tax),
    ]
    folder.rows += [row(n, "tax-old", "web", "tax") for n in range(80)]
    folder.rows += [row(n, "tax-old", "web", "late") for n in range(80)]
    folder.rows += [row(n, "tax-old", "web", "tax", case="two") for n in range(80)]
    releases = {r.id: r for r in read_releases(folder.write())}
    assert releases["one/cart"].observations[0].concurrent == ["tax"]
    assert releases["two/tax"].observations[0].concurrent == []


def test_a_release_nobody_has_labelled_is_read(folder: Folder) -> None:
    folder.records = [record(label=None), {k: v for k, v in record(id="x").items() if k != "label"}]
    assert [r.label for r in read_releases(folder.write())] == [None, None]


def test_a_first_step_may_be_a_time_with_its_zone(folder: Folder) -> None:
    at = datetime.fromtimestamp(folders.STARTED, UTC)
    folder.records = [record(first_step_at=at.isoformat())]
    assert read_releases(folder.write())[0].started_at == at


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"label": "ugly"}, "label: Input should be 'good' or 'bad' (got 'ugly')"),
        ({"first_step_at": None}, "first_step_at: "),
        ({"canary_pods": []}, "canary_pods: "),
        ({"observed_minutes": 0}, "observed_minutes: "),
        ({"colour": "red"}, "colour: unknown field; known: id, case"),
    ],
)
def test_a_wrong_record_is_named_with_its_field(folder: Folder, change: dict[str, Any], field: str) -> None:
    folder.records = [record(id="first"), record(**change)]
    said = refusal(folder.write())
    assert "releases.json: record 2 (one/cart): " + field in said


def test_a_missing_field_is_named(folder: Folder) -> None:
    folder.records = [{k: v for k, v in record().items() if k != "first_step_at"}]
    assert refusal(folder.write()).endswith("record 1 (one/cart): first_step_at: is missing: add it")


@pytest.mark.parametrize("records", [[], {}, "text"])
def test_a_file_without_releases_is_refused(folder: Folder, records: Any) -> None:
    folder.records = records
    assert "must hold a list of releases" in refusal(folder.write())


def test_an_id_may_be_given_once(folder: Folder) -> None:
    folder.records = [record(), record()]
    assert refusal(folder.write()).endswith("record 2 (one/cart): id: is given twice: keep one")


def test_a_case_without_rows_is_named(folder: Folder) -> None:
    folder.records = [record(case="two")]
    assert refusal(folder.write()).endswith("case: no row of the minutes belongs to case 'two'")


def test_a_service_without_a_control_is_named(folder: Folder) -> None:
    folder.records = [record(service="tax")]
    assert "no pod of the minutes is a control of 'tax'" in refusal(folder.write())


def test_a_first_step_after_all_minutes_is_named(folder: Folder) -> None:
    folder.records = [record(first_step_at=folders.STARTED + 86_400)]
    assert "first_step_at: no row of its case is of the minutes after it" in refusal(folder.write())


def test_a_missing_column_is_named(folder: Folder) -> None:
    folder.columns = [c for c in folder.columns if c != "latency_ms"]
    assert "minutes.csv:1: latency_ms: the column is missing" in refusal(folder.write())


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("latency_ms", "fast", "latency_ms: is no number (got 'fast')"),
        ("cpu_pct", "inf", "cpu_pct: is no number (got 'inf')"),
        ("timestamp", "nan", "timestamp: is no number of Unix seconds (got 'nan')"),
        ("success_rate_pct", "101", "success_rate_pct: must be 0 to 100 (got 101)"),
        ("pod", "", "pod: is empty"),
    ],
)
def test_a_wrong_cell_is_named_with_line_and_column(folder: Folder, column: str, cell: str, said: str) -> None:
    folder.rows[4][column] = cell
    assert refusal(folder.write()).endswith(f"minutes.csv:6: {said}")


def test_a_row_of_another_length_is_named(folder: Folder) -> None:
    path = folder.write()
    with (path / "minutes.csv").open("a") as file:
        file.write("one,1,2\n")
    assert "has 3 cells, the header has 9" in refusal(path)


def test_a_folder_without_minutes_or_with_two_files_of_them_is_refused(folder: Folder) -> None:
    path = folder.write("minutes.csv.gz")
    folder.write("minutes.csv")
    assert "both are there: keep one" in refusal(path)
    (path / "minutes.csv").unlink()
    (path / "minutes.csv.gz").unlink()
    assert "there is none" in refusal(path)


def test_files_that_cannot_be_read_are_named(folder: Folder) -> None:
    path = folder.write()
    (path / "minutes.csv").rename(path / "minutes.csv.gz")
    assert "minutes.csv.gz: cannot be read" in refusal(path)
    (path / "releases.json").write_text("[")
    assert "releases.json: is no JSON" in refusal(path)
    (path / "releases.json").unlink()
    assert "releases.json: cannot be read: No such file" in refusal(path)


@pytest.mark.skipif(not (DATA / "changerca").is_dir(), reason="HOLDFAST_DATA names no folder with the data")
def test_all_releases_of_the_public_data_are_read() -> None:
    releases = read_releases(DATA / "changerca")
    assert Counter(r.label for r in releases) == {"bad": 33, "good": 116}
    assert all(len(r.observations) <= r.observed_minutes for r in releases)
