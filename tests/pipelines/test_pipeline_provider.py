"""`PipelineProvider` over a CI system that does what the test says; `contract.py` has the true ones."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.adapters.pipelines import PipelineProvider
from holdfast.domain.errors import ChangeFailed, InvalidInput, Unavailable, UnknownName
from holdfast.domain.journal import TargetState
from holdfast.ports.pipelines import Action, RunStatus
from tests.pipelines.contract import KEY, NEW, OLD, SYSTEM, Timing, Watch, cut, order, until, write
from tests.pipelines.scripted import Failing, Scripted

FAST = Timing(poll=timedelta(milliseconds=1), visible_within=timedelta(milliseconds=60))


def provider(scripted: Scripted) -> PipelineProvider:
    return PipelineProvider(scripted, {SYSTEM: FAST})


async def test_a_read_gives_the_version_and_what_is_in_doubt() -> None:
    state = await provider(Scripted(unsettled=KEY)).read(SYSTEM, "canary")
    assert state == TargetState(values={"version": OLD}, unsettled=KEY)


async def test_the_order_has_the_goals_version_and_the_writes_key_and_parameters() -> None:
    scripted = Scripted()
    there = write(undo=True)
    effect = there.effect.model_copy(update={"parameters": {"REGION": "eu"}})
    await provider(scripted).write(there.model_copy(update={"effect": effect, "attempt": 2}), Watch())
    order = scripted.runs[0].order
    assert (order.action, order.version, order.part) == (Action.ROLLBACK, OLD, "canary")
    assert (order.key, order.parameters) == (f"{KEY}/undo-2", {"REGION": "eu"})


async def test_a_version_is_foreseen_where_there_is_one_to_go_back_to() -> None:
    state = TargetState(values={"version": OLD})
    assert await provider(Scripted()).foresee(write().effect, state) == {"version": NEW}


async def test_nothing_is_foreseen_where_nothing_was_ever_deployed() -> None:
    with pytest.raises(InvalidInput, match="never been deployed"):
        await provider(Scripted()).foresee(write().effect, TargetState(values={"version": ""}))


async def test_a_part_in_doubt_names_its_doubt_and_the_remedy() -> None:
    state = TargetState(values={"version": OLD}, unsettled=KEY, doubt="pipeline 17 failed")
    with pytest.raises(InvalidInput, match=r"pipeline 17 failed.*then try again"):
        await provider(Scripted()).foresee(write().effect, state)


async def test_unknown_systems_and_parts_list_the_known() -> None:
    with pytest.raises(UnknownName, match=SYSTEM):
        await provider(Scripted()).read("shop-co", "canary")
    with pytest.raises(UnknownName, match="canary, stable"):
        await provider(Scripted()).read(SYSTEM, "share")
    with pytest.raises(UnknownName, match="canary, stable"):
        await provider(Scripted()).write(write(part="share"), Watch())


async def test_a_start_that_names_no_run_is_found() -> None:
    scripted = Scripted(says_which=False, lag_seconds=0.02)
    watch = Watch()
    assert (await provider(scripted).write(write(), watch)).values == {"version": NEW}
    assert scripted.calls.count("start") == 1
    assert watch.kept[0] == {"key": KEY, "run": "1", "url": "https://ci.example/1", "said": "in words"}


async def test_a_start_that_names_no_run_and_shows_none_is_unavailable() -> None:
    scripted = Scripted(says_which=False, lag_seconds=60)
    with pytest.raises(Unavailable, match="visible_within"):
        await provider(scripted).write(write(), Watch())
    assert scripted.calls.count("start") == 1


async def test_a_start_without_answer_and_without_run_is_tried_again_by_the_next_attempt() -> None:
    scripted = Scripted(before=Failing("start"))
    with pytest.raises(Unavailable):
        await provider(scripted).write(write(), Watch())
    assert scripted.calls.count("start") == 1
    assert (await provider(scripted).write(write(), Watch(repeated=True))).values == {"version": NEW}
    assert len(scripted.runs) == 1


async def test_no_second_start_while_lists_do_not_answer() -> None:
    """That nothing was found means something only when somebody answered."""
    scripted = Scripted(before=Failing("find", times=10_000))
    with pytest.raises(Unavailable):
        await provider(scripted).write(write(), Watch(repeated=True))
    assert "start" not in scripted.calls


async def test_failed_polls_are_no_news() -> None:
    scripted = Scripted(before=Failing("look", times=5))
    assert (await provider(scripted).write(write(), Watch())).values == {"version": NEW}


async def test_many_failed_polls_in_a_row_are_shown_to_people() -> None:
    scripted = Scripted(before=Failing("look", times=10_000))
    with pytest.raises(Unavailable, match="does not answer"):
        await provider(scripted).write(write(), Watch())
    assert len(scripted.runs) == 1


async def test_the_demanded_waiting_time_is_kept() -> None:
    failing = Failing("look", retry_after_seconds=0.2)
    await provider(Scripted(before=failing)).write(write(), Watch())
    assert failing.moments[1] - failing.moments[0] >= 0.2


async def test_a_success_that_lists_show_late_is_a_success() -> None:
    scripted = Scripted(left=[OLD, OLD])
    assert (await provider(scripted).write(write(), Watch())).values == {"version": NEW}


async def test_a_success_that_deployed_something_else_names_both_versions() -> None:
    scripted = Scripted(left=["1.4.9"] * 10_000)
    with pytest.raises(ChangeFailed, match=r"1\.4\.9 is deployed instead of 1\.5\.0"):
        await provider(scripted).write(write(), Watch())


@pytest.mark.parametrize("ends", [RunStatus.FAILED, RunStatus.CANCELLED])
async def test_a_run_that_ends_badly_is_told_in_its_own_words_when_lists_show_it(ends: RunStatus) -> None:
    scripted = Scripted(ends=ends, lag_seconds=0.03)
    with pytest.raises(ChangeFailed, match=rf"{ends}: in words \(https://ci.example/1\)"):
        await provider(scripted).write(write(), Watch())
    assert await scripted.find(scripted.runs[0].order) is not None


async def test_a_cancellation_during_the_start_leaves_no_unknown_run() -> None:
    scripted = Scripted(holds_starts=True)
    watch = Watch()
    task = asyncio.create_task(provider(scripted).write(write(), watch))
    await until(lambda: "start" in scripted.calls)
    task.cancel()
    scripted.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert watch.kept[-1]["run"] == "1"
    assert "cancel" not in scripted.calls


async def test_a_write_called_off_during_the_start_stops_the_run() -> None:
    scripted = Scripted(holds_starts=True, looks=10_000)
    watch = Watch(called_off=True)
    task = asyncio.create_task(provider(scripted).write(write(), watch))
    await until(lambda: "start" in scripted.calls)
    task.cancel()
    scripted.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [run.status for run in scripted.runs] == [RunStatus.CANCELLED]


async def test_a_run_that_was_stopped_is_in_lists_when_the_cancellation_comes_through() -> None:
    scripted = Scripted(lag_seconds=0.05, looks=10_000)
    watch = Watch(called_off=True)
    task = asyncio.create_task(provider(scripted).write(write(), watch))
    await until(lambda: bool(watch.kept))
    await cut(task)
    assert await scripted.find(order()) is not None


async def test_a_write_called_off_while_it_searches_stops_what_an_earlier_attempt_began() -> None:
    scripted = Scripted(lag_seconds=0.04, looks=10_000)
    await scripted.start(order())
    task = asyncio.create_task(provider(scripted).write(write(), Watch(repeated=True, called_off=True)))
    await until(lambda: "find" in scripted.calls)
    await cut(task)
    assert [run.status for run in scripted.runs] == [RunStatus.CANCELLED]


async def test_a_write_called_off_before_any_start_touches_nothing() -> None:
    scripted = Scripted(before=Failing("find", retry_after_seconds=60))
    task = asyncio.create_task(provider(scripted).write(write(), Watch(called_off=True)))
    await until(lambda: "find" in scripted.calls)
    await cut(task)
    assert scripted.calls == ["find"]


async def test_a_stop_that_the_system_refuses_lets_the_cancellation_through() -> None:
    def refuse(_number: int, name: str) -> None:
        if name == "cancel":
            raise InvalidInput("the token may not cancel")

    scripted = Scripted(looks=10_000, before=refuse)
    watch = Watch(called_off=True)
    task = asyncio.create_task(provider(scripted).write(write(), watch))
    await until(lambda: bool(watch.kept))
    await cut(task)
    assert scripted.runs[0].status is RunStatus.RUNNING


async def test_a_worker_that_stops_cancels_no_run() -> None:
    scripted = Scripted(looks=10_000)
    watch = Watch()
    task = asyncio.create_task(provider(scripted).write(write(), watch))
    await until(lambda: bool(watch.kept))
    await cut(task)
    assert scripted.runs[0].status is RunStatus.RUNNING
    assert "cancel" not in scripted.calls


class Death(BaseException):
    """A worker's end: nothing runs after it, so nothing may catch it."""


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    deaths=st.lists(st.tuples(st.integers(1, 8), st.booleans(), st.booleans()), max_size=4),
    lost_answers=st.sets(st.integers(1, 12), max_size=4),
    lag_seconds=st.sampled_from([0.0, 0.005, 0.04]),
    says_which=st.booleans(),
)
async def test_whatever_dies_and_gets_lost_one_run_is_started(
    deaths: list[tuple[int, bool, bool]], lost_answers: set[int], lag_seconds: float, *, says_which: bool
) -> None:
    scripted = Scripted(lag_seconds=lag_seconds, says_which=says_which, looks=2)
    calls, kept = 0, dict[str, str]()
    for number in range(len(deaths) + 20):
        dies_at, dies_before, memory_arrives = deaths[number] if number < len(deaths) else (0, False, True)
        begun = calls

        def before(_: int, __: str, at: int = begun + dies_at, *, here: bool = dies_before) -> None:
            nonlocal calls
            calls += 1
            if here and calls == at:
                raise Death

        def after(_: int, __: str, at: int = begun + dies_at, *, here: bool = not dies_before) -> None:
            if here and calls == at:
                raise Death
            if calls in lost_answers:
                raise Unavailable("the answer got lost")

        scripted.before, scripted.after = before, after
        watch = Watch(repeated=number > 0, memory=dict(kept))
        try:
            state = await provider(scripted).write(write(), watch)
        except (Death, Unavailable):
            if memory_arrives and watch.kept:
                kept = watch.kept[-1]
            continue
        assert state.values == {"version": NEW}
        break
    assert [run.status for run in scripted.runs] == [RunStatus.SUCCEEDED]
