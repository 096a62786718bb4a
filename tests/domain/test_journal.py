"""What people read of a journal: where what went, forth and back."""

from datetime import UTC, datetime
from typing import Any

import pytest

from holdfast.domain.journal import Effect, EntryStatus, JournalEntry
from holdfast.domain.rollback import undoing
from holdfast.domain.view import RunView, StageState, StageView

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def entry(
    before: dict[str, Any], after: dict[str, Any], *, kind: str = "http_config", at: str = "shop/canary"
) -> JournalEntry:
    endpoint, _, part = at.partition("/")
    effect = Effect(
        key="k", stage="fix", kind=kind, endpoint=endpoint, part=part or "all", values={}, title="the title"
    )
    return JournalEntry(effect=effect, before=before, after=after, status=EntryStatus.APPLIED, recorded_at=NOW)


@pytest.mark.parametrize(
    ("made", "forth", "back"),
    [
        (
            entry({"limit": 8, "pool": 2}, {"limit": 25, "pool": 2}),
            "shop/canary limit: 8 → 25",
            "shop/canary limit: 25 → 8",
        ),
        (entry({"rate": 25.0}, {"rate": 28}), "shop/canary rate: 25 → 28", "shop/canary rate: 28 → 25"),
        (
            entry({"revision": "", "fingerprint": "ab"}, {"revision": "1", "fingerprint": "cd"}, at="db"),
            "db revision: nothing → 1",
            "db revision: 1 → nothing",
        ),
        (
            entry({"fingerprint": "ab"}, {"fingerprint": "cd"}, at="db"),
            "db fingerprint: ab → cd",
            "db fingerprint: cd → ab",
        ),
    ],
)
def test_an_entry_says_what_went_where(made: JournalEntry, forth: str, back: str) -> None:
    assert (made.forth, made.back) == (forth, back)


def test_a_rollback_tells_the_whole_way_back_of_each_part_and_warns_of_schemas() -> None:
    share = [
        entry({"percent": a}, {"percent": b}, kind="canary_share", at="shop/share")
        for a, b in ((0, 5), (5, 25))
    ]
    schema = entry({"revision": "1"}, {"revision": "2"}, kind="alembic", at="db")
    there_and_back = [entry({"limit": 8}, {"limit": 9}), entry({"limit": 9}, {"limit": 8})]
    view = RunView(
        run_id="r",
        runbook="r",
        title="t",
        requested_by="anna",
        started_at=NOW,
        stages=[StageView(name="fix", title="Fix", change="c", state=StageState.CURRENT)],
        journal=[schema, *there_and_back, *share],
    )
    would_be = undoing(view)
    assert would_be.ways == ("shop/share percent: 25 → 0", "db revision: 2 → 1")
    assert would_be.schemas == ("db",)
