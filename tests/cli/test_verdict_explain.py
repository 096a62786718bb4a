"""`holdfast verdict explain` over runs and releases in memory."""

import io
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cyclopts import App, Parameter
from rich.console import Console

from holdfast.apps.cli.verdict_explain import ExplainCommands, ExplainDeps, add_verdict, explanation
from holdfast.domain.errors import InvalidInput
from holdfast.domain.view import RunState
from tests.cli.conftest import RUN, MemoryRuns, Told, told_by, waiting_run
from tests.telegram.views import a_measured_line, a_measured_verdict, a_view

PNG = b"\x89PNG a picture"
RELEASES = {"0142": "release 0142, minute 7, model attributed: bad (delay)"}


@pytest.fixture
def view():
    return waiting_run().model_copy(
        update={"verdict": a_measured_verdict(), "baseline": "7 d of the wanted 7 d"}
    )


@pytest.fixture
def explain(view, capsys):
    @asynccontextmanager
    async def run_control():
        yield MemoryRuns({RUN: view})

    def release_verdict(folder: Path, release: str, minute: float | None, model: str):
        if release not in RELEASES:
            raise InvalidInput(f"{folder} has no release '{release}'")
        assert (folder, minute, model) == (Path("releases"), 7.0, "attributed")
        return a_measured_verdict(), RELEASES[release]

    deps = ExplainDeps(run_control=run_control, draw=lambda *_: PNG, release_verdict=release_verdict)
    app = App(name="holdfast", default_parameter=Parameter(negative=()))
    add_verdict(app, ExplainCommands(deps))

    def command(*tokens: str) -> Told:
        return told_by(app, ["verdict", "explain", *tokens], capsys)

    return command


def shown(verdict, *, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    for part in explanation(verdict, "whose it is"):
        console.print(part)
    return console.file.getvalue()


def test_every_number_has_its_unit_its_comparison_what_it_adds_and_its_query(explain):
    told = explain(RUN)

    assert told.code == 0
    row = next(line for line in told.out.splitlines() if "latency_p95" in line and "│" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        "latency_p95", "2.31 s", "0.41 s (control now)", "0.41 s", "0.39 s", "up to 0.615 s", "927 %", "red",
        "30 %", "0.60",
    ]  # fmt: skip
    for text in (
        f"{RUN}: Relieve a support surge",
        "PAUSE at 5 %, risk 0.60",
        "This rests on 412 requests of the canary, 7900 of the control.",
        "weight × level: 0.60 = 0.60",
        "risk 0.60: goes on up to 0.50, rolls back above 1.50",
        "checkout → payment: 38 % of the canary's calls fail",
        "latency_p95 = 2.31 s",
        'histogram_quantile(0.95, rate(seconds_bucket{side="canary"}[60s]))',
        "How model attributed judges",
        "Up to 0.50 the rollout continues.",
        "Baseline: 7 d of the wanted 7 d",
    ):
        assert text in told.out
    assert "own rules" not in told.out


def test_a_risk_that_is_more_than_the_sum_is_told(explain, view):
    silent = a_measured_line("errors", level="canary silent")
    view.verdict = a_measured_verdict(a_measured_line(), silent, risk="at least 2.00", risk_percent=200)

    told = explain(RUN).out

    assert "= 0.60, a lower bound: not every metric has a level" in told
    assert "by its own rules below, the model makes 2.00 of it" in told


def test_in_a_narrow_window_numbers_stand_below_each_other():
    told = shown(a_measured_verdict(), width=70)

    assert "latency_p95: red\n  canary 2.31 s; compared with 0.41 s (control now); control 0.41 s;" in told
    assert "│" not in told


def test_a_verdict_that_was_kept_long_ago_is_explained_as_far_as_it_goes():
    told = shown(a_view().verdict, width=160)

    assert "│ latency_p95 │ 2.91   │ 1.20" in told
    assert told.count("its query was not recorded") == 3
    assert "weight ×" not in told


def test_texts_from_outside_are_shown_as_they_are():
    told = shown(
        a_measured_verdict(a_measured_line("[bold]m[/bold]", query="a[5m]"), edges=["[red]e"]), width=200
    )

    assert "[bold]m[/bold]" in told
    assert "a[5m]" in told
    assert "[red]e" in told


def test_a_run_without_a_verdict_says_so(explain, view):
    view.verdict, view.state = None, RunState.CHECKING

    told = explain(RUN)

    assert (told.code, told.out) == (2, "")
    assert told.err.startswith(f"run {RUN} has no verdict yet, it is checking: ")


def test_an_unknown_run_is_bad_input(explain):
    assert (explain("rollout-z").code, explain("rollout-z").err) == (
        2,
        f"unknown run 'rollout-z'; known: {RUN}\n",
    )


def test_a_program_gets_one_document(explain, tmp_path):
    told = explain(RUN, "--json", "--plot", str(tmp_path / "verdict.png"))

    assert told.document["adds_to_the_risk"] == {"latency_p95": 0.6}
    assert told.document["baseline"] == "7 d of the wanted 7 d"
    assert told.document["verdict"]["lines"][0]["query"].startswith("histogram_quantile")
    assert "Chart: " in told.err


def test_a_chart_is_written(explain, tmp_path):
    told = explain(RUN, "--plot", str(tmp_path / "verdict.png"))

    assert (tmp_path / "verdict.png").read_bytes() == PNG
    assert f"Chart: {tmp_path / 'verdict.png'}" in told.out


def test_a_chart_that_cannot_be_written_is_an_error(explain, tmp_path):
    told = explain(RUN, "--plot", str(tmp_path / "nowhere" / "verdict.png"))

    assert told.code == 2
    assert "cannot be written: No such file or directory" in told.err


def test_a_labelled_release_is_explained_likewise(explain):
    told = explain("releases", "--release", "0142", "--minute", "7", "--model", "attributed")

    assert RELEASES["0142"] in told.out
    assert "weight × level: 0.60 = 0.60" in told.out
    assert explain("releases", "--release", "1").err == "releases has no release '1'\n"


@pytest.mark.parametrize("tokens", [("--minute", "7"), ("--model", "judge")])
def test_what_only_a_release_has_is_refused_for_a_run(explain, tokens):
    told = explain(RUN, *tokens)

    assert told.code == 2
    assert told.err.startswith(f"{tokens[0]} belongs to --release")
