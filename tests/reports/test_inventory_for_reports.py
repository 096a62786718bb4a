"""What a campaign's report takes of structured logs, at its end, on the worker's machine."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from holdfast.adapters.json_logs import JsonLogs
from holdfast.adapters.reports.inventory import MessageInventory
from holdfast.runbook.kinds.campaign import Message
from workers import campaigns

NOON = datetime(2026, 12, 11, 12, tzinfo=UTC)
LEAD = Message.model_validate({"name": "lead", "from": "shop", "to": "crm-leads", "logged": "crm.lead"})
PLAN: Any = SimpleNamespace(
    spec=SimpleNamespace(name="sale", messages=[LEAD]), opens=NOON, closes=NOON + timedelta(hours=1)
)
LINE = (
    '{"at": "2026-12-11T12:30:00Z", "message": "crm.lead", "from": "shop", "to": "crm-leads", "bytes": 214}\n'
)


def taken(*patterns: str) -> Any:
    found = campaigns._found(patterns)
    return asyncio.run(campaigns._taken(MessageInventory(None, JsonLogs(), always=lambda: found), PLAN))


def test_a_pattern_stands_for_every_file_it_fits(tmp_path: Path) -> None:
    for name in ("messages.jsonl", "messages.jsonl.1", "other.log"):
        (tmp_path / name).write_text(LINE)

    [line] = taken(str(tmp_path / "messages.jsonl*"), str(tmp_path / "gone-*")).lines

    assert (line.logged, line.bytes_mean) == (2, 214)


def test_a_log_that_cannot_be_read_costs_only_what_it_would_have_added(tmp_path: Path) -> None:
    (tmp_path / "messages.jsonl").write_text(LINE)
    (tmp_path / "messages.1").mkdir()

    inventory = taken(str(tmp_path / "messages.*"))

    assert [(line.name, line.logged) for line in inventory.lines] == [("lead", 0)]
    assert inventory.logs is None
