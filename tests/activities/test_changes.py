"""One effect, written and taken back: what is written when, and what is said of what is found."""

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.changes import ChangeActivities, RevertReport, VerifyReport, VerifyRequest
from holdfast.domain.errors import ChangeConflict, ChangeFailed, Unavailable
from holdfast.domain.journal import Effect, EntryStatus, JournalEntry, TargetState, Write
from holdfast.ports.changes import Progress

OLD, NEW, THIRD = {"version": "1"}, {"version": "2"}, {"version": "3"}
KEY = "run/stage/ci"
EFFECT = Effect(
    key=KEY, stage="stage", kind="scripted", endpoint="ci", part="stable", values=NEW, title="ci deploys 2"
)
Answer = TargetState | Exception


class Scripted:
    """A `ChangeProvider` that reads and answers what it is told to, in order; the last reading stays."""

    def __init__(self, *readings: Answer, writes: Callable[[Write], Answer] | None = None) -> None:
        self._readings = deque(readings)
        self._writes = writes
        self.written: list[Write] = []

    async def read(self, endpoint: str, part: str) -> TargetState:
        assert (endpoint, part) == ("ci", "stable")
        reading = self._readings.popleft() if len(self._readings) > 1 else self._readings[0]
        return _or_raised(reading)

    async def foresee(self, effect: Effect, state: TargetState) -> dict[str, Any]:
        return {**state.values, **effect.values}

    async def write(self, write: Write, progress: Progress) -> TargetState:
        self.written.append(write)
        state = _or_raised(self._writes(write)) if self._writes else TargetState(values=write.goal)
        self._readings = deque([state])
        return state


def _or_raised(answer: Answer) -> TargetState:
    if isinstance(answer, Exception):
        raise answer
    return answer


def at(values: dict[str, Any], *, version: int = 7, unsettled: str = "") -> TargetState:
    doubt = f"pipeline of {unsettled} failed" if unsettled else ""
    return TargetState(version=version, values=values, unsettled=unsettled, doubt=doubt)


def entry(**more: Any) -> JournalEntry:
    return JournalEntry(effect=EFFECT, before=OLD, after=NEW, recorded_at=datetime.now(UTC), **more)


async def plan(provider: Scripted) -> JournalEntry:
    activities = ChangeActivities({"scripted": provider})
    return await ActivityEnvironment().run(activities.plan_effect, EFFECT)


async def apply(provider: Scripted) -> EntryStatus:
    activities = ChangeActivities({"scripted": provider})
    return await ActivityEnvironment().run(
        activities.apply_effect,
        entry(),
    )


async def revert(provider: Scripted, **more: Any) -> RevertReport:
    activities = ChangeActivities({"scripted": provider})
    return await ActivityEnvironment().run(activities.revert_effect, entry(**more))


async def verify(provider: Scripted) -> VerifyReport:
    activities = ChangeActivities({"scripted": provider})
    return await ActivityEnvironment().run(activities.verify_rollback, VerifyRequest(origins=[entry()]))


async def test_a_plan_records_what_is_there_and_what_will_be() -> None:
    planned = await plan(Scripted(at({"version": "1", "other": 5})))
    assert planned.before == {"version": "1", "other": 5}
    assert planned.after == {"version": "2", "other": 5}
    assert planned.status is EntryStatus.PLANNED
    assert planned.differs
    assert not (await plan(Scripted(at(NEW)))).differs


async def test_what_is_in_doubt_is_neither_planned_nor_taken_for_done() -> None:
    for values in (OLD, NEW):
        with pytest.raises(ApplicationError, match="pipeline of other failed, so nobody knows") as failure:
            await plan(Scripted(at(values, unsettled="other")))
        assert failure.value.non_retryable


async def test_it_is_written_with_the_version_that_was_read() -> None:
    provider = Scripted(at(OLD))
    assert await apply(provider) is EntryStatus.APPLIED
    (written,) = provider.written
    assert (written.key, written.source, written.goal, written.version) == (KEY, OLD, NEW, 7)


async def test_what_an_earlier_attempt_has_done_is_not_written_again() -> None:
    provider = Scripted(at(NEW))
    assert await apply(provider) is EntryStatus.APPLIED
    assert provider.written == []


@pytest.mark.parametrize("values", [OLD, NEW])
async def test_what_an_earlier_attempt_has_begun_is_handed_to_the_provider_again(
    values: dict[str, Any],
) -> None:
    provider = Scripted(at(values, unsettled=KEY))
    assert await apply(provider) is EntryStatus.APPLIED
    assert [write.key for write in provider.written] == [KEY]


@pytest.mark.parametrize(
    ("found", "named"),
    [
        (at(THIRD), "version: '1' was recorded, '3' is there"),
        (at(OLD, unsettled="other"), "pipeline of other failed"),
        (at(NEW, unsettled="other"), "pipeline of other failed"),
        (at(OLD, unsettled=f"{KEY}-2"), "failed"),
    ],
)
async def test_nothing_is_written_where_somebody_else_is_at_work(found: TargetState, named: str) -> None:
    provider = Scripted(found)
    with pytest.raises(ApplicationError, match="somebody else changed it") as failure:
        await apply(provider)
    assert named in str(failure.value)
    assert failure.value.non_retryable
    assert provider.written == []

    report = await revert(Scripted(found))
    assert report.status is EntryStatus.DRIFTED
    assert named in report.note


async def test_a_conflict_of_versions_is_settled_by_reading_again() -> None:
    answers: deque[Answer] = deque([ChangeConflict("another version"), at(NEW)])
    provider = Scripted(at(OLD, version=7), at(OLD, version=8), writes=lambda _write: answers.popleft())
    assert await apply(provider) is EntryStatus.APPLIED
    assert [write.version for write in provider.written] == [7, 8]


async def test_a_conflict_behind_which_somebody_elses_change_stands_is_told_so() -> None:
    provider = Scripted(at(OLD), at(THIRD), writes=lambda _write: ChangeConflict("another version"))
    with pytest.raises(ApplicationError, match="'1' was recorded, '3' is there"):
        await apply(provider)
    assert len(provider.written) == 1


@pytest.mark.parametrize("undo", [False, True])
async def test_a_part_that_is_never_still_is_tried_again_and_not_called_changed(undo: bool) -> None:  # noqa: FBT001  pytest's
    class Busy(Scripted):
        async def write(self, write: Write, progress: Progress) -> TargetState:
            self.written.append(write)
            raise ChangeConflict("another version")

    provider = Busy(at(NEW if undo else OLD))
    with pytest.raises(ApplicationError, match="changed by others each time") as failure:
        await (revert(provider) if undo else apply(provider))
    assert failure.value.type == "Unavailable"
    assert not failure.value.non_retryable
    assert 1 < len(provider.written) < 10


async def test_what_was_never_made_is_not_taken_back() -> None:
    provider = Scripted(at(OLD))
    assert (await revert(provider)).status is EntryStatus.REVERTED
    assert provider.written == []


@pytest.mark.parametrize(("attempts", "key"), [(1, f"{KEY}/undo"), (2, f"{KEY}/undo-2"), (3, f"{KEY}/undo-3")])
async def test_each_try_at_taking_back_that_a_person_asked_for_has_its_own_key(attempts: int, key: str) -> None:
    provider = Scripted(at(NEW))
    assert (await revert(provider, attempts=attempts)).status is EntryStatus.REVERTED
    (written,) = provider.written
    assert (written.key, written.source, written.goal, written.undo) == (key, NEW, OLD, True)


@pytest.mark.parametrize("unsettled", [KEY, f"{KEY}/undo", f"{KEY}/undo-2"])
@pytest.mark.parametrize("values", [OLD, NEW])
async def test_what_did_not_end_well_is_taken_back_though_it_may_look_old(
    values: dict[str, Any], unsettled: str
) -> None:
    provider = Scripted(at(values, unsettled=unsettled))
    assert (await revert(provider)).status is EntryStatus.REVERTED
    assert len(provider.written) == 1


async def test_what_our_own_effect_left_half_made_is_no_drift_and_a_person_is_asked() -> None:
    provider = Scripted(at(THIRD, unsettled=KEY))
    with pytest.raises(ApplicationError, match="neither the old nor the new state") as failure:
        await revert(provider)
    assert failure.value.type == ChangeFailed.__name__
    assert failure.value.non_retryable
    assert provider.written == []


@pytest.mark.parametrize("left", [at(NEW), at(OLD, unsettled=f"{KEY}/undo")])
async def test_a_way_back_that_did_not_lead_back_is_not_called_reverted(left: TargetState) -> None:
    provider = Scripted(at(NEW), writes=lambda _write: left)
    with pytest.raises(ApplicationError, match="taken back, and yet it is not as it was") as failure:
        await revert(provider)
    assert failure.value.non_retryable


async def test_a_system_that_does_not_answer_is_asked_again() -> None:
    silent = Unavailable("no answer", retry_after_seconds=3)
    for attempt in (plan, apply, revert, verify):
        with pytest.raises(ApplicationError) as failure:
            await attempt(Scripted(silent))
        assert not failure.value.non_retryable
        assert failure.value.next_retry_delay is not None


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (at(OLD), []),
        (at(NEW), ["ci/stable: version: '1' was recorded, '2' is there"]),
        (at(OLD, unsettled="x"), ["ci/stable: pipeline of x failed"]),
    ],
)
async def test_a_rollback_is_proven_only_where_everything_is_as_recorded(
    found: TargetState, said: list[str]
) -> None:
    assert [drift.describe() for drift in (await verify(Scripted(found))).drifts] == said


async def test_a_kind_of_change_that_nobody_makes_is_named() -> None:
    with pytest.raises(ApplicationError, match="unknown change kind 'scripted'; known: none"):
        await ActivityEnvironment().run(ChangeActivities({}).plan_effect, EFFECT)
