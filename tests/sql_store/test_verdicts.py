import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import NullPool, create_engine

from holdfast.adapters import sql_store
from holdfast.adapters.sql_store import SqlStore
from holdfast.domain.errors import InvalidInput, Unavailable
from holdfast.domain.proofs import Keyring
from holdfast.ports.verdicts import KeptVerdict, ReleaseLabel
from holdfast.verdict.observation import Outcome
from holdfast.verdict.scores import Judged, Stop
from tests.sql_store.conftest import Intruder

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
GO, PAUSE, BACK, UNKNOWN = Outcome.CONTINUE, Outcome.PAUSE, Outcome.ROLLBACK, Outcome.INCONCLUSIVE


def after(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def said(minute: float, outcome: Outcome = GO, **changes: object) -> KeptVerdict:
    fields: dict[str, object] = {
        "run_id": "rollout-a",
        "runbook": "support-surge",
        "service": "bot",
        "stage": "bot-rate-limit",
        "share_percent": 5,
        "model": "weighted",
        "deciding": True,
        "at": after(minute),
        "watch_started_at": START,
        "outcome": outcome,
        "risk_percent": 40,
        "reason": f"{outcome} at minute {minute:g}",
    }
    return KeptVerdict.model_validate(fields | changes)


def beside(minute: float, outcome: Outcome = GO, **changes: object) -> KeptVerdict:
    return said(minute, outcome, model="attributed", deciding=False, **changes)


def found(label: str = "bad", **changes: object) -> ReleaseLabel:
    fields: dict[str, object] = {
        "run_id": "rollout-a",
        "stage": "bot-rate-limit",
        "label": label,
        "person": "boris",
        "at": after(60),
    }
    return ReleaseLabel.model_validate(fields | changes)


async def only(store: SqlStore) -> Judged:
    [judged], _ = await store.verdicts.judged()
    return judged


def a_stop(minutes: float, outcome: Outcome, rolled_back_at: float | None = None) -> Stop:
    reason = f"{outcome} at minute {minutes:g}"
    return Stop(minutes=minutes, outcome=outcome, reason=reason, rolled_back_at=rolled_back_at)


async def test_the_first_stop_of_each_model_is_kept_with_what_it_said(store: SqlStore) -> None:
    await store.verdicts.keep([said(1), beside(1)])
    await store.verdicts.keep([said(2), beside(2, PAUSE)])
    await store.verdicts.keep([said(3, UNKNOWN), beside(3, PAUSE)])
    await store.verdicts.keep([said(4, BACK), beside(4, BACK)])

    assert await only(store) == Judged(
        id="rollout-a/bot-rate-limit",
        service="support-surge",
        day="2026-03-01",
        observed_minutes=4,
        stops={"weighted": a_stop(4, BACK, 4), "attributed": a_stop(2, PAUSE, 4)},
    )


async def test_a_model_that_never_stopped_is_there_without_a_stop(store: SqlStore) -> None:
    await store.verdicts.keep([said(1), said(2, UNKNOWN), said(3)])

    assert (await only(store)).stops == {"weighted": None}


async def test_minutes_count_over_all_shares_from_the_earliest_watch(store: SqlStore) -> None:
    whole: dict[str, Any] = {"share_percent": 100, "watch_started_at": after(30)}
    await store.verdicts.keep([said(31, **whole), beside(33, BACK, **whole)])
    await store.verdicts.keep([said(1), beside(1), beside(5, PAUSE)])

    judged = await only(store)
    assert judged.stops == {"weighted": None, "attributed": a_stop(5, PAUSE, 33)}
    assert judged.observed_minutes == 33


async def test_repeating_after_a_crash_changes_nothing(store: SqlStore, intruder: Intruder) -> None:
    verdicts = [said(1), said(2, PAUSE), said(3), said(4, BACK), beside(1), beside(4)]
    await store.verdicts.keep(verdicts)
    kept = [intruder.rows(f"SELECT * FROM {name}") for name in ("judged_shares", "verdict_changes")]
    for each in verdicts:
        await store.verdicts.keep([each])
    await store.verdicts.keep(verdicts)

    assert [intruder.rows(f"SELECT * FROM {name}") for name in ("judged_shares", "verdict_changes")] == kept


@pytest.mark.parametrize("minute", [1, 2, 3])
async def test_a_verdict_that_is_there_already_stays_as_it_was(store: SqlStore, minute: int) -> None:
    await store.verdicts.keep([said(1), said(2, PAUSE), said(3)])
    before = await only(store)
    await store.verdicts.keep([said(minute, BACK, reason="something else")])

    assert await only(store) == before


async def test_an_earlier_stop_that_comes_late_counts(store: SqlStore) -> None:
    await store.verdicts.keep([said(8, PAUSE)])
    await store.verdicts.keep([said(6, BACK), said(7)])

    assert (await only(store)).stops == {"weighted": a_stop(6, BACK, 6)}


async def test_months_of_minutes_take_no_more_room_than_their_changes(
    store: SqlStore, intruder: Intruder
) -> None:
    guard = [said(m, PAUSE if 300 <= m < 310 else GO) for m in range(1, 2000)]
    for first in range(0, len(guard), 500):
        await store.verdicts.keep(guard[first : first + 500])

    assert intruder.rows("SELECT COUNT(*) FROM verdict_changes") == [(3,)]
    assert await only(store) == Judged(
        id="rollout-a/bot-rate-limit",
        service="support-surge",
        day="2026-03-01",
        observed_minutes=1999,
        stops={"weighted": a_stop(300, PAUSE)},
    )


async def test_stages_are_listed_newest_first_and_can_be_chosen(store: SqlStore) -> None:
    other: dict[str, Any] = {"run_id": "rollout-b", "runbook": "crm-pool", "watch_started_at": after(100)}
    await store.verdicts.keep([said(101, stage="pool", **other), said(1), said(50, stage="later")])
    await store.verdicts.keep([said(50, stage="later", watch_started_at=after(40))])

    async def ids(**wanted: Any) -> list[str]:
        return [judged.id for judged in (await store.verdicts.judged(**wanted))[0]]

    assert await ids() == ["rollout-b/pool", "rollout-a/bot-rate-limit", "rollout-a/later"]
    assert await ids(runbook="crm-pool") == ["rollout-b/pool"]
    assert await ids(since=after(100)) == ["rollout-b/pool"]
    assert await ids(since=after(101)) == []
    assert await ids(runbook="nobody-has-it") == []


async def test_the_newest_deciding_model_is_told(store: SqlStore) -> None:
    assert await store.verdicts.judged() == ([], "")
    await store.verdicts.keep([said(9, stage="2", model="judge"), said(1, stage="1"), beside(20, stage="2")])

    assert (await store.verdicts.judged())[1] == "judge"
    await store.verdicts.keep([said(10, stage="1")])
    assert (await store.verdicts.judged())[1] == "weighted"


async def test_a_label_is_given_and_a_later_one_replaces_it(store: SqlStore) -> None:
    await store.verdicts.keep([said(1)])
    assert (await only(store)).label is None
    await store.verdicts.label(found("bad", fault="pool exhausted", why="tickets rose"))
    assert ((await only(store)).label, (await only(store)).fault) == ("bad", "pool exhausted")

    await store.verdicts.label(found("good", at=after(90)))
    await store.verdicts.label(found("bad", fault="pool exhausted"))
    assert ((await only(store)).label, (await only(store)).fault) == ("good", "")


async def test_a_label_of_what_nobody_judged_lists_what_is_known(store: SqlStore, intruder: Intruder) -> None:
    with pytest.raises(InvalidInput, match="known: none"):
        await store.verdicts.label(found())
    await store.verdicts.keep([said(1, stage="2-pool"), said(1, stage="1-limit"), said(1, share_percent=25)])

    with pytest.raises(InvalidInput, match="run rollout-a 'pool'; known: 1-limit, 2-pool, bot-rate-limit"):
        await store.verdicts.label(found(stage="pool"))
    with pytest.raises(InvalidInput, match="'rollout-x/pool'; known: rollout-a/1-limit, rollout-a/2-pool"):
        await store.verdicts.label(found(run_id="rollout-x", stage="pool"))
    assert intruder.rows("SELECT * FROM release_labels") == []


async def test_words_that_no_database_takes_do_not_stop_the_keeping(store: SqlStore) -> None:
    await store.verdicts.keep([said(1, PAUSE, reason="odd \0 and \ud800")])

    stop = (await only(store)).stops["weighted"]
    assert stop
    assert stop.reason.startswith("odd ")


async def test_who_is_watched_beside_is_told_by_service(store: SqlStore) -> None:
    for number, (run, service) in enumerate(
        [("a", "bot"), ("b", "shop"), ("c", "crm"), ("d", "crm"), ("e", "")]
    ):
        await store.verdicts.keep([said(10 * number, run_id=run, service=service)])

    assert await store.verdicts.watched_beside("a", since=after(0)) == ["crm", "shop"]
    assert await store.verdicts.watched_beside("c", since=after(20)) == ["crm"]
    assert await store.verdicts.watched_beside("a", since=after(41)) == []


async def test_several_runs_and_models_may_write_at_once(store: SqlStore) -> None:
    async def run(name: str, model: str) -> None:
        for minute in range(1, 6):
            outcome = PAUSE if minute == 4 else GO
            await store.verdicts.keep([said(minute, outcome, run_id=name, model=model)])

    await asyncio.gather(*(run(f"run-{n}", model) for n in range(3) for model in ("weighted", "judge")))

    judged, _ = await store.verdicts.judged()
    assert sorted(j.id for j in judged) == [f"run-{n}/bot-rate-limit" for n in range(3)]
    assert [j.stops for j in judged] == [{"judge": a_stop(4, PAUSE), "weighted": a_stop(4, PAUSE)}] * 3


async def test_the_same_verdict_written_at_once_is_kept_once(store: SqlStore, intruder: Intruder) -> None:
    await asyncio.gather(*(store.verdicts.keep([said(1, PAUSE)]) for _ in range(6)))

    assert intruder.rows("SELECT COUNT(*) FROM judged_shares") == [(1,)]
    assert intruder.rows("SELECT COUNT(*) FROM verdict_changes") == [(1,)]


minutes_said = st.lists(st.sampled_from(list(Outcome)), min_size=1, max_size=12)


@pytest.mark.parametrize("kind", ["sqlite"])
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(outcomes=minutes_said, shuffled=st.randoms(use_true_random=False), sizes=st.integers(1, 5))
def test_stops_are_the_same_in_whatever_order_and_parts_the_minutes_come(
    *, kind: str, url: str, keyring: Keyring, outcomes: list[Outcome], shuffled: Random, sizes: int
) -> None:
    verdicts = [said(minute, outcome) for minute, outcome in enumerate(outcomes, start=1)]
    stops = [v for v in verdicts if v.outcome.stops]
    rollbacks = [m for m, outcome in enumerate(outcomes, start=1) if outcome is BACK]
    shuffled.shuffle(verdicts)
    Intruder(url).run("DELETE FROM judged_shares", "DELETE FROM verdict_changes")

    async def kept() -> Judged:
        store = SqlStore(url, keyring)
        for first in range(0, len(verdicts), sizes):
            await store.verdicts.keep(verdicts[first : first + sizes])
        judged = await only(store)
        await store.close()
        return judged

    first = stops[0].at if stops else None
    stop = asyncio.run(kept()).stops["weighted"]
    assert (stop and after(stop.minutes)) == first
    assert (stop and stop.outcome) == (stops[0].outcome if stops else None)
    assert (stop and stop.rolled_back_at) == (rollbacks[0] if rollbacks else None)


async def test_a_database_of_the_release_before_gains_the_tables(empty_url: str, keyring: Keyring) -> None:
    engine = create_engine(empty_url, poolclass=NullPool)
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(Path(sql_store.__file__).parent / "migrations"))
        command.upgrade(config, "0001")
    store = SqlStore(empty_url, keyring)
    await store.migrate()

    await store.verdicts.keep([said(1)])
    assert (await only(store)).stops == {"weighted": None}
    await store.close()


async def test_a_database_that_is_away_is_named(keyring: Keyring, tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/nowhere/holdfast.db", keyring)
    calls = [
        store.verdicts.keep([said(1)]),
        store.verdicts.label(found()),
        store.verdicts.judged(),
        store.verdicts.watched_beside("a", since=START),
    ]
    for call in calls:
        with pytest.raises(Unavailable, match="does not answer"):
            await call
    await store.close()
