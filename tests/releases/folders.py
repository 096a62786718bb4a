"""Small folders of past releases, written row by row."""

import csv
import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.adapters.releases.minutes import COLUMNS

EARLIEST = 1_700_000_000
BEFORE, OBSERVED = 10, 8  # minutes
STARTED = EARLIEST + 60 * BEFORE - 20  # between two minutes
CONTROL = ("cart-v1-aa", "cart-v1-bb", "cart-v1-cc")
CANARY = "cart-v2-dd"

Cells = dict[str, str | float]
Fault = Callable[[Cells, int], Cells | None]


def healthy(cells: Cells, _minute: int) -> Cells | None:
    return cells


def failing(cells: Cells, _minute: int) -> Cells | None:
    """The canary answers half of its calls with errors."""
    return cells | {"success_rate_pct": 50} if cells["pod"] == CANARY else cells


def silent(cells: Cells, _minute: int) -> Cells | None:
    return None if cells["pod"] == CANARY else cells


def row(minute: float, pod: str, caller: str, callee: str, **changes: str | float) -> Cells:
    cells: Cells = {"case": "one", "timestamp": EARLIEST + 60 * minute, "pod": pod}
    numbers = {"success_rate_pct": 100, "latency_ms": 10, "cpu_pct": 30, "memory_pct": 40}
    return cells | {"caller": caller, "callee": callee} | numbers | changes


def minutes(fault: Fault = healthy, *, case: str = "one") -> Iterator[Cells]:
    """The cart service: three stable pods all the time, and the canary from the first step on."""
    for minute in range(BEFORE + OBSERVED + 4):
        pods = CONTROL if minute < BEFORE else (*CONTROL, CANARY)
        for pod in pods:
            for edge in (("web", "cart"), ("mobile", "cart"), ("cart", "stock")):
                cells = fault(row(minute, pod, *edge, case=case), minute)
                if cells is not None:
                    yield cells


def record(**changes: Any) -> dict[str, Any]:
    return {
        "id": "one/cart",
        "case": "one",
        "day": "2026-03-01",
        "service": "cart",
        "label": "good",
        "fault": None,
        "first_step_at": STARTED,
        "canary_pods": [CANARY],
        "replicas": 4,
        "observed_minutes": OBSERVED,
    } | changes


@dataclass
class Folder:
    """A folder to be written; what is not changed is one good release of the cart service."""

    path: Path
    records: Any = field(default_factory=lambda: [record()])
    rows: list[Cells] = field(default_factory=lambda: list(minutes()))
    columns: Sequence[str] = COLUMNS

    def write(self, name: str = "minutes.csv") -> Path:
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / "releases.json").write_text(json.dumps(self.records))
        opener = gzip.open if name.endswith(".gz") else open
        with opener(self.path / name, "wt", newline="") as file:
            writer = csv.DictWriter(file, self.columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(self.rows)
        return self.path


def several(path: Path) -> Folder:
    """Eight releases on two days: of each four one fails, one is silent, and the others are well."""
    folder = Folder(path, records=[], rows=[])
    for day in (1, 2):
        for number, (fault, kind) in enumerate(
            ((failing, "errors"), (silent, "crash"), (healthy, None), (healthy, None))
        ):
            case = f"{day}-{number}"
            label = "bad" if kind else "good"
            changes = {"id": f"{case}/cart", "case": case, "day": f"2026-03-0{day}"}
            folder.records.append(record(**changes, label=label, fault=kind))
            folder.rows += minutes(fault, case=case)
    return folder
