"""`holdfast inventory` over the example campaign and a taker that remembers what it was asked."""

import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cyclopts import App

from holdfast.apps.cli.exits import sentences
from holdfast.apps.cli.inventory import InventoryDeps, add_inventory
from holdfast.ports.inventory import Inventory, InventoryLine, LogSummary
from holdfast.runbook.library import RunbookLibrary

ROOT = Path(__file__).resolve().parents[2]
TICKET = InventoryLine(
    name="ticket",
    title="a customer's ticket",
    sender="bot",
    receiver="shop",
    rate=12.5,
    rate_from="metrics",
    bytes_mean=312,
    bytes_from="logs",
    p50=0.2,
    p95=0.8,
    p99=2.4,
    latency_from="metrics",
)


class House:
    def __init__(self) -> None:
        self.asked: list[dict] = []
        self.lines = [TICKET]
        self.logs: LogSummary | None = None

    async def take(self, messages, *, since, until, logs=None):
        self.asked.append({"names": [m.name for m in messages], "since": since, "until": until, "logs": logs})
        return Inventory(since=since, until=until, lines=self.lines, logs=self.logs)

    def run(self, *tokens: str) -> int:
        @asynccontextmanager
        async def lent():
            yield self

        app = App(name="holdfast")
        add_inventory(app, InventoryDeps(library=lambda: RunbookLibrary([ROOT / "runbooks"]), taking=lent))
        with pytest.raises(SystemExit) as left, sentences():
            app(["inventory", *tokens])
        return int(left.value.code or 0)


@pytest.fixture
def house() -> House:
    return House()


def test_messages_are_shown_with_where_their_numbers_come_from(house, capsys):
    assert house.run("autumn-sale") == 0

    out = capsys.readouterr().out
    assert "a customer's ticket" in out
    assert "bot → shop" in out
    assert "12.5/s" in out
    assert "metrics + logs" in out
    [asked] = house.asked
    assert asked["names"] == ["ticket", "lead", "notice"]
    assert asked["until"] - asked["since"] == timedelta(hours=1)


def test_a_stretch_and_logs_are_handed_on(house):
    stretch = ("--since", "2026-12-11T07:00Z", "--until", "2026-12-11T08:30Z")
    assert house.run("autumn-sale", *stretch, "--logs", "a.jsonl", "--logs", "b.gz") == 0

    [asked] = house.asked
    assert (asked["since"], asked["until"]) == (
        datetime(2026, 12, 11, 7, 0, tzinfo=UTC),
        datetime(2026, 12, 11, 8, 30, tzinfo=UTC),
    )
    assert asked["logs"] == (Path("a.jsonl"), Path("b.gz"))


def test_json_is_the_whole_inventory(house, capsys):
    assert house.run("autumn-sale", "--last", "15m", "--json") == 0

    document = json.loads(capsys.readouterr().out)
    assert document["lines"][0]["bytes_from"] == "logs"


def test_what_was_left_out_is_said(house, capsys):
    more = TICKET.model_copy(
        update={"name": "crm.deal", "title": "", "listed": False, "problems": ["no answer"]}
    )
    house.lines = [TICKET, more]
    house.logs = LogSummary(
        files=2, lines=90, malformed=3, first_malformed="a.jsonl:7: no JSON object", outside=4
    )
    assert house.run("autumn-sale") == 0

    out = capsys.readouterr().out
    assert "Only in the logs, not in the campaign's file: crm.deal." in out
    assert "crm.deal: no answer" in out
    assert "90 lines in 2 files, 4 of another time" in out
    assert "3 lines are no messages and were left out; the first: a.jsonl:7: no JSON object" in out


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (("winter-sale",), "winter-sale"),
        (("autumn-sale", "--last", "1h", "--since", "2026-12-11T07:00Z"), "--last: give it, or --since"),
        (("autumn-sale", "--until", "2026-12-11T07:00Z"), "--since: is needed"),
        (("autumn-sale", "--since", "2026-12-11T07:00"), "--since: '2026-12-11T07:00' has no time zone"),
        (("autumn-sale", "--since", "2026-12-11T07:00Z", "--until", "2026-12-11T06:00Z"), "is not before"),
        (("autumn-sale", "--last", "soon"), "--last: 'soon' is no span of time"),
    ],
)
def test_wrong_input_is_named_and_is_exit_2(house, tokens, said, capsys):
    assert house.run(*tokens) == 2
    assert said in capsys.readouterr().err
    assert house.asked == []
