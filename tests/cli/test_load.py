"""`holdfast load` with real generator processes, a real target and the real chart."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cyclopts import App, Parameter

from holdfast.adapters.charts.load import load_chart
from holdfast.apps.cli.load import LoadDeps, add_load
from holdfast.i18n import speaking
from holdfast.loadgen.result import LoadResult
from holdfast.loadgen.safety import Limits
from holdfast.runbook.library import RunbookLibrary
from tests.cli.conftest import Told, told_by, without_a_store
from tests.loadgen.load_target import Seen, target

Command = Callable[..., Told]


@pytest.fixture
def shop() -> Iterator[Seen]:
    with target() as seen:
        yield seen


@pytest.fixture
def write(tmp_path: Path, shop: Seen) -> Callable[..., Path]:
    """Write a load test against the shop into the library."""

    def written(**other: Any) -> Path:
        ask = {
            "name": "ask",
            "context": "support",
            "http": {"target": "shop", "path": "/ask/{order}"},
            "extract": {"ticket": {"json": "ticket"}},
        }
        pay = {"name": "pay", "context": "orders", "http": {"target": "shop", "path": "/pay/{ticket}"}}
        secret = {"X-Key": {"env": "SHOP_KEY"}}
        data = {
            "kind": "load",
            "name": "sale",
            "title": "Autumn sale",
            "summary": "Customers ask and pay.",
            "starters": ["ops"],
            "targets": {"shop": {"url": shop.url, "secret_headers": secret}},
            "scenarios": [
                {"name": "buy", "variables": {"order": {"from": 7, "to": 9}}, "steps": [ask, pay]},
            ],
            "arrivals": "even",
            "phases": [{"rate": 20, "for": "2s"}],
            "thresholds": [{"p95": "20s", "errors_percent": 1}],
            "on_time": "20s",  # a busy machine makes none of them late
        }
        path = tmp_path / "load" / "sale.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(data | other))
        return path

    return written


@pytest.fixture
def load(tmp_path: Path, write: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> Command:
    write()
    deps = LoadDeps(
        library=lambda: RunbookLibrary([tmp_path]),
        limits=lambda: Limits(rate=100),
        secrets=lambda _: {"env:SHOP_KEY": "hush"},
        draw=load_chart,
        watching=without_a_store,
    )
    app = App(name="holdfast", default_parameter=Parameter(negative=()), error_formatter=str)
    add_load(app, deps)
    return lambda *tokens: told_by(app, ["load", *tokens], capsys)


def test_a_test_that_passes_is_told_second_by_second_drawn_and_kept(
    load: Command, shop: Seen, tmp_path: Path
) -> None:
    png, html = tmp_path / "load.png", tmp_path / "load.html"
    told = load("run", "sale", "--shards", 2, "--png", png, "--html", html)
    assert told.code == 0
    assert "passed: sale" in told.out
    assert "Every threshold held." in told.out
    assert any(line.strip().startswith("0:01") and "answered" in line for line in told.out.splitlines())
    assert shop.paths.count("/pay/77") == 40
    assert png.read_bytes().startswith(b"\x89PNG")
    page = html.read_text()
    assert "<h1>Autumn sale: passed</h1>" in page
    assert "data:image/png;base64," in page
    assert "hush" not in page + told.out + told.err


def test_json_is_the_whole_result_and_nothing_else(load: Command) -> None:
    told = load("run", "sale", "--rate", 10, "--for", "1s", "--json")
    result = LoadResult.model_validate_json(told.out)
    assert told.code == 0
    assert (result.runbook, result.planned, result.lasts) == ("sale", 10, 1)
    assert "passed: sale" in told.err


def test_a_broken_threshold_is_exit_code_1(load: Command, shop: Seen) -> None:
    shop.status = 503
    told = load("run", "sale", "--for", "1s")
    assert told.code == 1
    assert "not passed: sale" in told.out
    assert "all requests: the share of errors is 100 %, at most 1 % is allowed" in told.out


def test_a_void_result_is_exit_code_3(load: Command, shop: Seen, write: Callable[..., Path]) -> None:
    shop.wait_seconds = 1.0
    write(ceilings={"rate": 100, "for": "1h", "in_flight": 1})
    told = load("run", "sale", "--for", "1s")
    assert told.code == 3
    assert "The generator did not send" in told.out


def test_ctrl_c_stops_with_the_result_so_far_and_exit_code_4(load: Command, shop: Seen) -> None:
    def interrupt() -> None:
        shop.busy.wait(60)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    told = load("run", "sale", "--for", "600s", "--json")
    assert told.code == 4
    result = json.loads(told.out)
    assert (result["verdict"], result["stopped"]) == ("stopped", "stopped by a person")
    assert result["offset"] < 60


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (("run", "other"), "unknown runbook 'other'; known: sale"),
        (("run", "sale", "--for", "soon"), "--for"),
        (("run", "sale", "--for", "30"), "--for: write a number and its unit"),
        (("run", "sale", "--rate", "500"), "this machine allows 100"),
        (("run", "sale", "--url", "shop"), "--url: write TARGET=URL"),
        (("run", "sale", "--url", "cart=http://127.0.0.1"), "target 'cart' is not in the file; known: shop"),
        (("run", "sale", "--url", "shop=http://10.0.0.7"), "HOLDFAST_LOAD_HOSTS"),
        (("run", "sale", "--shards", "0"), "--shards"),
        (("run", "sale", "--png", "load.jpg"), "--plot"),
        (("run", "missing.yaml"), "missing.yaml"),
        (("check", "sale", "--url", "shop=http://10.0.0.7"), "HOLDFAST_LOAD_HOSTS"),
    ],
)
def test_wrong_input_is_exit_code_2_and_says_what_to_do(
    load: Command, shop: Seen, tokens: tuple[str, ...], said: str
) -> None:
    told = load(*tokens)
    assert told.code == 2
    assert said in told.err
    assert shop.paths == []


def test_check_says_what_would_be_sent_and_sends_nothing(
    load: Command, shop: Seen, write: Callable[..., Path]
) -> None:
    told = load("check", write())
    assert told.code == 0
    assert "Autumn sale (sale)" in told.out
    assert "0:02 long, 40 sessions, some 80 requests" in told.out
    assert f"Target shop: {shop.url}" in told.out
    assert f"ask (support): GET {shop.url}/ask/7" in told.out
    assert f"pay (orders): GET {shop.url}/pay/{{ticket}}" in told.out
    assert "This machine may run it." in told.out
    assert shop.paths == []
    assert "hush" not in told.out


def test_check_shows_a_telegram_update_and_the_plan_as_json(load: Command, write: Callable[..., Path]) -> None:
    steps = [{"name": "start", "telegram": {"target": "shop", "text": "/start"}}]
    write(scenarios=[{"name": "chat", "steps": steps}], phases=[{"rate": 20, "for": "10s", "shape": "ramp"}])
    plan = json.loads(load("check", "sale", "--json").out)
    assert (plan["sessions"], plan["requests"]) == (100, 100)
    assert [stretch["rates"] for stretch in plan["stretches"]] == [[0, 10], [10, 20]]
    (request,) = plan["scenarios"][0]["requests"]
    assert request["update"] == {"text": "/start"}
    assert request["headers"] == {"X-Key": "(secret)"}
    assert "0:00 to 0:05  0/s to 10/s" in load("check", "sale").out


def test_two_results_are_put_side_by_side(load: Command, shop: Seen, tmp_path: Path) -> None:
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    before.write_text(load("run", "sale", "--for", "1s", "--json").out)
    shop.wait_seconds = 0.2
    after.write_text(load("run", "sale", "--for", "1s", "--json").out)
    told = load("compare", before, after)
    assert told.code == 0
    assert "before.json: passed." in told.out
    (row,) = [line for line in told.out.splitlines() if "all requests" in line]
    assert "→" in row
    assert "%)" in row


def test_a_file_that_is_no_result_is_refused(load: Command, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{}")
    assert "is no result of a load test" in load("compare", wrong, wrong).err
    assert "cannot be read" in load("compare", tmp_path / "none.json", wrong).err


def test_the_page_speaks_russian(load: Command, tmp_path: Path) -> None:
    html = tmp_path / "load.html"
    with speaking("ru"):
        load("run", "sale", "--for", "1s", "--html", html)
    assert "<h1>Autumn sale: пройдено</h1>" in html.read_text()
