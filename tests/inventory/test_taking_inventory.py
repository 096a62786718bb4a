"""Messages counted from metrics and from logs, by hand."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.adapters.json_logs import JsonLogs
from holdfast.adapters.reports.inventory import MessageInventory, quantile
from holdfast.domain.errors import InvalidInput, MetricsUnavailable
from holdfast.ports.inventory import InventoryLine
from holdfast.ports.metrics import Labelled
from holdfast.runbook.kinds.campaign import Message

SINCE = datetime(2026, 12, 11, 7, 0, tzinfo=UTC)
UNTIL = SINCE + timedelta(minutes=10)
INF = float("inf")
TICKET = Message.model_validate(
    {
        "name": "ticket",
        "from": "bot",
        "to": "shop",
        "rate": "rate[$window]",
        "errors": "errors[$window]",
        "latency_buckets": "buckets[$window]",
        "bytes": "bytes[$window]",
        "logged": "support.ticket",
    }
)
LEAD = Message.model_validate({"name": "lead", "from": "shop", "to": "crm-leads", "logged": "crm.lead"})


class Scripted:
    """Answers queries from a table; those in `down` get none."""

    def __init__(self, answers: dict[str, float], *, down: str = "", wrong: str = "") -> None:
        self.answers, self.down, self.wrong = answers, down, wrong
        self.asked: list[tuple[str, datetime]] = []

    async def instant(self, query, *, at):
        self.asked.append((query, at))
        if query.startswith(self.wrong or "\0"):
            raise InvalidInput(f"query {query} is wrong")
        if query.startswith(self.down or "\0"):
            raise MetricsUnavailable("Prometheus does not answer")
        return self.answers.get(query.partition("[")[0])

    async def vector(self, query, *, at):
        self.asked.append((query, at))
        counts = {"0.1": 6.0, "0.5": 9.0, "1": 10.0, "+Inf": 10.0}
        return [Labelled({"le": bound, "job": job}, n / 2) for bound, n in counts.items() for job in "ab"]


ANSWERS = {"rate": 12.5, "errors": 0.5, "bytes": 2500.0}


def line(second: float, name: str = "crm.lead", *, sender: str = "shop", to: str = "crm-leads", **more) -> str:
    at = (SINCE + timedelta(seconds=second)).isoformat()
    return json.dumps({"at": at, "message": name, "from": sender, "to": to, **more})


def log(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


async def taken(*messages: Message, metrics=None, logs: tuple[Path, ...] = ()):
    return await MessageInventory(metrics, JsonLogs()).take(messages, since=SINCE, until=UNTIL, logs=logs)


async def test_metrics_give_rate_size_errors_and_percentiles_over_the_stretch():
    metrics = Scripted(ANSWERS)
    [found] = (await taken(TICKET, metrics=metrics)).lines

    assert (found.rate, found.bytes_mean, found.errors_percent) == (12.5, 200.0, 4.0)
    # 10 events: the 5th of 6 in the first bucket; the 9.5th half way through (0.5, 1]; the 9.9th.
    assert (found.p50, found.p95, found.p99) == (
        pytest.approx(0.5 / 6),
        pytest.approx(0.75),
        pytest.approx(0.95),
    )
    assert {found.rate_from, found.bytes_from, found.errors_from, found.latency_from} == {"metrics"}
    assert set(metrics.asked) == {(f"{q}[600s]", UNTIL) for q in ("rate", "errors", "bytes", "buckets")}


async def test_logs_give_what_no_query_says(tmp_path):
    lines = [line(second, seconds=second / 100, bytes=100 + second, ok=second != 7) for second in range(1, 101)]
    [found] = (await taken(LEAD, logs=(log(tmp_path / "a.jsonl", *lines),))).lines

    # 100 messages in the 99 seconds from the first to the last.
    assert (found.logged, found.rate) == (100, pytest.approx(100 / 99))
    assert (found.p50, found.p95, found.p99) == (
        pytest.approx(0.5, rel=0.002),
        pytest.approx(0.95, rel=0.002),
        pytest.approx(0.99, rel=0.002),
    )
    assert (found.bytes_mean, found.errors_percent) == (150.5, 1.0)
    assert found.bytes_p95 == pytest.approx(195, rel=0.002)
    assert {found.rate_from, found.bytes_from, found.latency_from, found.errors_from} == {"logs"}


async def test_of_both_the_metrics_count_and_the_logs_know_sizes(tmp_path):
    lines = [line(s, "support.ticket", sender="bot", to="shop", bytes=300, seconds=9) for s in (0, 100)]
    [found] = (await taken(TICKET, metrics=Scripted(ANSWERS), logs=(log(tmp_path / "a", *lines),))).lines

    assert (found.rate, found.rate_from, found.logs_rate) == (12.5, "metrics", pytest.approx(0.02))
    assert (found.bytes_mean, found.bytes_from, found.latency_from) == (300, "logs", "metrics")


async def test_what_only_the_logs_know_comes_behind(tmp_path):
    path = log(tmp_path / "a.jsonl", line(1, "crm.deal", to="crm-deals"), line(2), line(3, to="crm-archive"))
    found = (await taken(LEAD, logs=(path,))).lines

    assert [(each.name, each.receiver, each.listed) for each in found] == [
        ("lead", "crm-leads", True),
        ("crm.deal", "crm-deals", False),
        ("crm.lead", "crm-archive", False),
    ]


async def test_lines_that_are_no_messages_are_counted_and_the_first_is_named(tmp_path):
    path = log(
        tmp_path / "a.jsonl",
        line(1),
        "not json",
        "",
        line(2, seconds=-1),
        '{"at": "2026-12-11T07:00:00", "message": "m", "from": "a", "to": "b"}',
        "[]",
        line(-5),
        line(600),
    )
    found = await taken(LEAD, logs=(path,))

    logs = found.logs
    assert (logs.lines, logs.malformed, logs.outside, found.lines[0].logged) == (7, 4, 2, 1)
    assert logs.first_malformed.startswith(f"{path}:2: no JSON object")
    assert found.lines[0].rate is None, "one line is no rate"


async def test_compressed_logs_are_read_as_well(tmp_path):
    packed, plain = tmp_path / "a.jsonl.gz", log(tmp_path / "b.jsonl", line(3))
    packed.write_bytes(gzip.compress((line(1) + "\n" + line(2)).encode()))

    assert (await taken(LEAD, logs=(packed, plain))).lines[0].logged == 3
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(InvalidInput, match=r"--logs: .*a.jsonl.gz cannot be read"):
        await taken(LEAD, logs=(packed,))


async def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InvalidInput, match=r"--logs: .*none cannot be read: No such file"):
        await taken(LEAD, logs=(tmp_path / "none",))


async def test_a_query_that_cannot_be_asked_leaves_its_number_out_and_says_so():
    [down] = (await taken(TICKET, metrics=Scripted(ANSWERS, down="errors"))).lines
    [wrong] = (await taken(TICKET, metrics=Scripted(ANSWERS, wrong="bytes"))).lines

    assert (down.errors_percent, down.rate, down.problems) == (None, 12.5, ["Prometheus does not answer"])
    assert (wrong.bytes_mean, wrong.problems) == (None, ["query bytes[600s] is wrong"])


async def test_without_any_source_nothing_is_claimed():
    [found] = (await taken(TICKET)).lines

    assert found == InventoryLine(name="ticket", sender="bot", receiver="shop")


async def test_a_stretch_that_is_none_is_refused():
    with pytest.raises(InvalidInput, match="--until"):
        await MessageInventory(None, JsonLogs()).take([], since=UNTIL, until=SINCE)


@pytest.mark.parametrize(
    ("part", "buckets", "expected"),
    [
        (0.5, [(1.0, 2.0), (2.0, 4.0), (INF, 4.0)], 1.0),
        (0.75, [(1.0, 2.0), (2.0, 4.0), (INF, 4.0)], 1.5),
        (0.99, [(1.0, 2.0), (2.0, 4.0), (INF, 8.0)], 2.0),
        (0.5, [(-1.0, 4.0), (2.0, 4.0), (INF, 4.0)], -1.0),
        (0.5, [(1.0, 4.0), (2.0, 3.0), (INF, 4.0)], 0.5),
        (0.5, [(1.0, 0.0), (INF, 0.0)], None),
        (0.5, [(1.0, 4.0), (2.0, 4.0)], None),
        (0.5, [(INF, 4.0)], None),
        (0.5, [], None),
    ],
)
def test_a_quantile_is_what_prometheus_would_say(part, buckets, expected):
    assert quantile(part, buckets) == expected


counts = st.lists(
    st.tuples(st.floats(0.001, 100), st.floats(0, 1e6)), min_size=1, max_size=8, unique_by=lambda p: p[0]
)


@given(pairs=counts, last=st.floats(0, 1e6), parts=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted))
def test_a_quantile_stays_within_its_buckets_and_never_falls(pairs, last, parts):
    buckets = [*sorted(pairs), (INF, last)]
    low, high = (quantile(part, buckets) for part in parts)
    if low is None:
        assert max(n for _, n in buckets) == 0
    else:
        assert 0 <= low <= high + 1e-9 <= buckets[-2][0] + 2e-9


async def test_logs_that_are_read_always_are_read_where_a_caller_names_none(tmp_path):
    always = log(tmp_path / "always", line(1, bytes=100), line(2, bytes=100))
    named = log(tmp_path / "named", line(1, bytes=300))
    inventory = MessageInventory(None, JsonLogs(), always=lambda: [always])

    async def mean(logs: tuple[Path, ...] | None) -> float | None:
        [found] = (await inventory.take([LEAD], since=SINCE, until=UNTIL, logs=logs)).lines
        return found.bytes_mean

    assert (await mean(None), await mean((named,)), await mean(())) == (100, 300, None)
