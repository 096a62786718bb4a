"""`holdfast verdict correlate` over the runbook of the repository and a metrics database in memory."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cyclopts import App, Parameter

from holdfast.apps.cli.verdict_correlate import CorrelateCommands, CorrelateDeps, add_correlate
from holdfast.domain.errors import MetricsUnavailable
from holdfast.runbook.library import RunbookLibrary
from tests.cli.conftest import Told, told_by

ROOT = Path(__file__).resolve().parents[2]
NOON = datetime(2026, 3, 8, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = ("--from", "2026-03-08T12:00Z", "--to", "2026-03-08T12:59Z")
RUNBOOK = ("--runbook", "rollout/support-surge")


@dataclass
class MemoryDatabase:
    """Answers each query by the noise of its own, with a step where one is given.

    Attributes:
        steps: point and height of each series that steps, as the parts of the query that name it.
        silent: whether it has no numbers.
        asked: every query with its step.
    """

    steps: dict[str, tuple[int, float]] = field(default_factory=dict[str, tuple[int, float]])
    silent: bool = False
    down: bool = False
    asked: list[tuple[str, timedelta]] = field(default_factory=list[tuple[str, timedelta]])

    async def series_at(
        self, query: str, *, start: datetime, end: datetime, step: timedelta
    ) -> dict[datetime, float]:
        if self.down:
            raise MetricsUnavailable("Prometheus at http://127.0.0.1:9090 does not answer")
        self.asked.append((query, step))
        if self.silent:
            return {}
        points = (end - start) // step + 1
        values = np.random.default_rng(len(self.asked)).normal(size=points) * 0.05 + 1
        for part, (at, height) in self.steps.items():
            if part in query:
                values[at:] += height
        return {start + i * step: float(value) for i, value in enumerate(values) if i != 7}


Command = Callable[..., Told]


@pytest.fixture
def database() -> MemoryDatabase:
    return MemoryDatabase({"histogram_quantile": (30, 2), "shop_cpu_seconds_total": (28, 3)})


@pytest.fixture
def drawn() -> list[tuple[Any, ...]]:
    return []


@pytest.fixture
def correlate(
    database: MemoryDatabase, drawn: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> Command:
    @asynccontextmanager
    async def series() -> AsyncGenerator[MemoryDatabase]:
        yield database

    def draw(*told: Any) -> bytes:
        drawn.append(told)
        return b"a picture"

    def command(*tokens: str) -> Told:
        app = App(name="verdict", default_parameter=Parameter(negative=()), help_format="plaintext")
        deps = CorrelateDeps(series=series, library=lambda: RunbookLibrary([ROOT / "runbooks"]), draw=draw)
        add_correlate(app, CorrelateCommands(deps))
        return told_by(app, ["correlate", *tokens], capsys)

    return command


def test_steps_are_told_in_order_of_time_with_their_units_and_then_in_pairs(correlate: Command) -> None:
    told = correlate(*RUNBOOK, *HOUR)

    assert (told.code, told.err) == (0, "")
    lines = told.out.splitlines()
    assert lines[0] == (
        "support-surge, control, 2026-03-08 12:00 to 2026-03-08 12:59 UTC: 12 series, 60 points each"
    )
    cpu, latency = lines[lines.index("Stepped to another level, the first one first:") + 1 :][:2]
    assert cpu.startswith("  cpu_memory[1] rose from ")
    assert cpu.endswith(" s/req at 12:28 (± 1 min)")
    assert latency.startswith("  latency_p95 rose from ")
    assert latency.endswith(" s at 12:30 (± 1 min)")
    pair = lines[lines.index("Of these, close to each other:") + 1]
    assert " 2 min before (12:28 ± 1 min) [unrelated steps are this close in 8 % of 1 h]" in pair
    assert lines[-1] == "What came first is no proof of what caused it."


def test_nothing_that_stands_out_is_said_as_such(correlate: Command, database: MemoryDatabase) -> None:
    database.steps.clear()

    told = correlate(*RUNBOOK, *HOUR)

    assert told.code == 0
    assert told.out.endswith(
        "\nNothing stands out: no metric stepped to another level, "
        "and no two moved together more than chance allows.\n"
    )


def test_series_that_move_together_all_the_time_are_told_too(
    correlate: Command, database: MemoryDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = np.random.default_rng(1).normal(size=60)

    async def same(query: str, **_: Any) -> dict[datetime, float]:
        row = shared if "histogram_quantile" in query or "shop_memory" in query else shared * 0
        return {NOON + i * MINUTE: float(value) for i, value in enumerate(row)}

    monkeypatch.setattr(database, "series_at", same)
    told = correlate(*RUNBOOK, *HOUR)

    (link,) = told.out.split("Moved together repeatedly:\n")[1].split("\n\n")[0].splitlines()
    assert link.startswith("  cpu_memory[2] moved with latency_p95 at the same minute (rank correlation 1.00")


@pytest.mark.parametrize(("side", "label"), [("control", "stable"), ("canary", "canary")])
def test_the_queries_of_the_runbook_are_asked_for_the_side(
    correlate: Command, database: MemoryDatabase, side: str, label: str
) -> None:
    assert correlate(*RUNBOOK, *HOUR, "--side", side, "--step", "30s").code == 0

    queries = [query for query, _ in database.asked]
    assert all(f'side="{label}"' in query and "[30s]" in query and "$" not in query for query in queries)
    assert len(queries) == len(set(queries)) == 12
    assert {step for _, step in database.asked} == {timedelta(seconds=30)}


def test_the_lag_bounds_both_kinds_of_pairs(correlate: Command) -> None:
    assert "close to each other" not in correlate(*RUNBOOK, *HOUR, "--lag", "1m").out
    assert "close to each other" in correlate(*RUNBOOK, *HOUR, "--lag", "2m").out


def test_the_document_holds_the_same_as_numbers(correlate: Command) -> None:
    document = correlate(*RUNBOOK, *HOUR, "--json").document

    assert document["from"] == "2026-03-08T12:00:00+00:00"
    assert document["series"]["latency_p95"] == {"unit": "s", "points": 59}
    assert document["series"]["cpu_memory[2]"] == {"unit": "B", "points": 59}
    assert document["series"]["traffic"] == {"unit": "/s", "points": 59}
    assert [(s["metric"], s["at"]) for s in document["steps"]] == [
        ("cpu_memory[1]", "2026-03-08T12:28:00+00:00"),
        ("latency_p95", "2026-03-08T12:30:00+00:00"),
    ]
    (pair,) = document["stepped_together"]
    assert (pair["leader"], pair["follower"]) == ("cpu_memory[1]", "latency_p95")
    assert (pair["lag_seconds"], pair["sure_of_order"]) == (120, True)
    assert document["moved_together"] == []


def test_the_times_are_told_in_the_zone_they_were_asked_in(correlate: Command) -> None:
    told = correlate(*RUNBOOK, "--from", "2026-03-08T15:00+03:00", "--to", "2026-03-08T15:59+03:00")

    assert "2026-03-08 15:00 to 2026-03-08 15:59 UTC+03:00" in told.out
    assert "at 15:28 (± 1 min)" in told.out


def test_a_picture_is_written_where_asked_for(
    correlate: Command, drawn: list[tuple[Any, ...]], tmp_path: Path
) -> None:
    path = tmp_path / "incident.png"

    told = correlate(*RUNBOOK, *HOUR, "--plot", str(path))

    assert path.read_bytes() == b"a picture"
    assert told.out.endswith(f"\nDrawn: {path}\n")
    ((series, steps, joint, start, step, title),) = drawn
    assert len(series) == 12
    assert [shift.metric for shift in steps] == ["cpu_memory[1]", "latency_p95"]
    assert len(joint) == 1
    assert (start, step, title) == (NOON, MINUTE, "support-surge, control")


def test_with_json_the_picture_is_told_on_stderr(correlate: Command, tmp_path: Path) -> None:
    told = correlate(*RUNBOOK, *HOUR, "--json", "--plot", str(tmp_path / "a.png"))

    assert told.document["steps"]
    assert told.err == f"\nDrawn: {tmp_path / 'a.png'}\n"


def test_a_picture_that_cannot_be_written_is_an_error(correlate: Command, tmp_path: Path) -> None:
    told = correlate(*RUNBOOK, *HOUR, "--plot", str(tmp_path / "missing" / "a.png"))

    assert told.code == 2
    assert told.err.startswith("--plot: ")


def test_a_window_without_any_number_is_said_with_the_side(
    correlate: Command, database: MemoryDatabase
) -> None:
    database.silent = True

    told = correlate(*RUNBOOK, *HOUR, "--side", "canary")

    assert (told.code, told.out) == (2, "")
    assert told.err == (
        "the metrics database has no numbers of the canary (side 'canary') from 2026-03-08 12:00 to "
        "2026-03-08 12:59 UTC: check --from, --to, --side\n"
    )


def test_a_database_that_does_not_answer_is_no_bad_input(correlate: Command, database: MemoryDatabase) -> None:
    database.down = True

    assert correlate(*RUNBOOK, *HOUR).code == 3


@pytest.mark.parametrize(
    ("tokens", "says"),
    [
        (("--from", "noon", "--to", "2026-03-08T13:00Z"), "--from: 'noon' is no moment; write one like "),
        (
            ("--from", "2026-03-08T12:00", "--to", "2026-03-08T13:00Z"),
            "--from: '2026-03-08T12:00' has no time zone",
        ),
        (("--from", "2026-03-08T12:00Z", "--to", "2026-03-08T11:00Z"), "--to: from --from up to it must be 20"),
        (("--from", "2026-03-08T12:00Z", "--to", "2026-03-18T12:00Z"), "--step: makes 14401 points"),
        ((*HOUR, "--step", "often"), "--step: 'often' is no span of time"),
        ((*HOUR, "--plot", "incident.svg"), "--plot: the picture is a PNG; name it like incident.png"),
        ((*HOUR, "--lag", "2h"), "--lag: must be at most 60 times --step (got 2h)"),
    ],
)
def test_wrong_input_is_refused_by_its_option(
    correlate: Command, database: MemoryDatabase, tokens: tuple[str, ...], says: str
) -> None:
    told = correlate(*RUNBOOK, *tokens)

    assert told.code == 2
    assert told.err.startswith(says)
    assert database.asked == []


def test_an_unknown_runbook_is_refused_with_the_known_ones(correlate: Command) -> None:
    told = correlate("--runbook", "rollout/nothing", *HOUR)

    assert told.code == 2
    assert told.err == "unknown runbook 'nothing'; known: support-surge, ticket-tiers\n"


def test_several_queries_of_a_metric_are_told_apart_by_number(correlate: Command) -> None:
    names = correlate(*RUNBOOK, *HOUR, "--json").document["series"]

    assert {"latency_p95", "cpu_memory[1]", "cpu_memory[2]", "traffic"} < set(names)
    assert [name for name in names if name.startswith("error_rate")] == [f"error_rate[{n}]" for n in (1, 2, 3)]
