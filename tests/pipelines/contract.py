"""What every CI system's `Pipelines` does, and `PipelineProvider` over it, against its stand-in.

For another CI system, in `tests/github/test_github_contract.py` (no fixture is needed):

    from tests.pipelines.contract import POLL, SYSTEM, TOKEN, VISIBLE_WITHIN, PipelinesContract, reveal

    def github(url: str) -> GitHubPipelines:
        return GitHubPipelines({SYSTEM: system}, reveal)   # with token=TOKEN, poll=POLL, visible_within=…

    class TestGitHub(PipelinesContract):
        face = "github"
        make = staticmethod(github)          # base URL of the stand-in -> Pipelines
        has_refs = True                      # False where runs are not started on a branch (Jenkins)

`reveal` turns `TOKEN` into `CI_TOKEN`, which is the stand-in's token (its user is `holdfast`); the branch is
`main`. Each test begins its own world: `async with self.world(job_seconds=0.1, runners=0) as w:` serves
`settings_for(face, token=CI_TOKEN, **changed)` and yields `w.ci` (the engine), `w.pipelines`, `w.provider`,
`w.url`. Helpers for tests of your own: `order(…)`, `until(…)`, `begin(w, order)`, `ended(w, order, run)`,
`Watch` (a `Progress`), `write(…)`.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, Final

import pytest

from holdfast.adapters.pipelines import PipelineProvider
from holdfast.domain.errors import ChangeFailed, InvalidInput, Unavailable, UnknownName
from holdfast.domain.journal import Effect, TargetState, Write
from holdfast.ports.changes import ChangeProvider
from holdfast.ports.pipelines import Action, PipelineOrder, PipelineRun, Pipelines, RunStatus
from holdfast.runbook.systems import Secret
from holdfast.sim.ci.engine import Ci, RunState
from holdfast.sim.ci.server import create_app, settings_for
from holdfast.sim.serving import running

SYSTEM: Final = "shop-ci"
CI_TOKEN: Final = "ci-token-that-nobody-may-see"
TOKEN: Final = Secret(env="CI_TOKEN")
POLL: Final = timedelta(milliseconds=20)
VISIBLE_WITHIN: Final = timedelta(seconds=1)
KEY: Final = "rollout-4f7qk2mz/fix/shop-ci-canary"
OLD: Final = "1.4.2"
NEW: Final = "1.5.0"


def reveal(secret: Secret) -> str:
    assert secret == TOKEN
    return CI_TOKEN


@dataclass(frozen=True)
class Timing:
    poll: timedelta = POLL
    visible_within: timedelta = VISIBLE_WITHIN


@dataclass
class Watch:
    """A `Progress` that only remembers."""

    memory: dict[str, str] = field(default_factory=dict[str, str])
    repeated: bool = False
    called_off: bool = False
    kept: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    def keep(self, memory: dict[str, str]) -> None:
        self.kept.append(memory)


@dataclass(frozen=True)
class World:
    ci: Ci
    pipelines: Pipelines
    provider: ChangeProvider
    url: str

    def keyed(self, key: str = KEY) -> list[RunState]:
        """How the runs under this key stand at the CI system, oldest first."""
        return [run.state for run in self.ci.runs if run.key == key]


def order(
    version: str = NEW,
    *,
    action: Action = Action.DEPLOY,
    part: str = "canary",
    key: str = KEY,
    system: str = SYSTEM,
) -> PipelineOrder:
    return PipelineOrder(system=system, action=action, part=part, version=version, key=key)


def write(version: str = NEW, *, undo: bool = False, part: str = "canary") -> Write:
    effect = Effect(
        key=KEY,
        stage="fix",
        kind="pipeline",
        endpoint=SYSTEM,
        part=part,
        values={"version": version},
        title=f"{part}: {SYSTEM} deploys {version}",
    )
    old, new = {"version": OLD}, {"version": version}
    return Write(effect=effect, source=new if undo else old, goal=old if undo else new, undo=undo)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what happens at the stand-in, which runs in this loop."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  the stand-in tells nobody that it moved
            await asyncio.sleep(0.005)


async def begin(w: World, wanted: PipelineOrder) -> PipelineRun:
    """Start a run and find it, whether the start says which it is or not."""
    run = await w.pipelines.start(wanted)
    async with asyncio.timeout(60):
        while run is None:
            await asyncio.sleep(0.01)
            run = await w.pipelines.find(wanted)
    return run


async def ended(w: World, wanted: PipelineOrder, run: PipelineRun) -> PipelineRun:
    """Look at a run until it is over."""
    async with asyncio.timeout(60):
        while not run.status.ended:
            await asyncio.sleep(0.01)
            run = await w.pipelines.look(wanted, run.id)
    return run


async def cut(task: asyncio.Task[TargetState]) -> None:
    """Cancel a write, and see that the cancellation comes through."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class _Base:
    """What a CI system's test class says about itself."""

    face: ClassVar[str]
    make: ClassVar["staticmethod[[str], Pipelines]"]
    has_refs: ClassVar[bool] = True

    @asynccontextmanager
    async def world(self, **changed: Any) -> AsyncGenerator[World]:
        """Serve a stand-in that works fast unless something else is asked for."""
        quick: dict[str, Any] = {"queue_seconds": 0.02, "job_seconds": 0.1, "cancel_seconds": 0.05}
        ci = Ci(settings_for(self.face, **{"token": CI_TOKEN, **quick, **changed}))
        async with running(create_app(self.face, ci)) as url:
            pipelines = type(self).make(url)
            yield World(ci, pipelines, PipelineProvider(pipelines, {SYSTEM: Timing()}), url)


class PipelinesContract(_Base):
    """Every test of the suite; subclass it as `TestX`."""

    async def test_a_started_run_is_found_by_its_key_and_deploys(self) -> None:
        async with self.world() as w:
            begun = await begin(w, order())
            found = await w.pipelines.find(order())
            done = await ended(w, order(), begun)
            assert found is not None
            assert done.status is RunStatus.SUCCEEDED
            assert done.url.startswith("http")
            assert (await w.pipelines.deployed(SYSTEM, "canary")).version == NEW
            assert w.ci.effects == {KEY: 1}

    async def test_nothing_is_found_under_a_key_that_nobody_used(self) -> None:
        async with self.world() as w:
            await begin(w, order())
            assert await w.pipelines.find(order(key=f"{KEY}/undo")) is None
            assert await w.pipelines.find(order(key=KEY[:-1])) is None

    async def test_a_run_that_waits_for_a_runner_is_found_and_is_queued(self) -> None:
        async with self.world(runners=0) as w:
            await begin(w, order())
            found = await w.pipelines.find(order())
            assert found is not None
            assert found.status is RunStatus.QUEUED

    async def test_of_two_runs_with_one_key_the_oldest_is_found(self) -> None:
        async with self.world(runners=1, job_seconds=30) as w:
            await begin(w, order())
            await begin(w, order())
            await until(lambda: w.keyed() == [RunState.RUNNING, RunState.QUEUED])
            found = await w.pipelines.find(order())
            assert found is not None
            assert found.status is RunStatus.RUNNING

    async def test_parts_have_what_was_deployed_to_them_before(self) -> None:
        async with self.world(initial_version="1.0.7") as w:
            for part in ("canary", "stable", "all"):
                there = await w.pipelines.deployed(SYSTEM, part)
                assert (there.version, there.unsettled) == ("1.0.7", "")

    async def test_a_running_run_leaves_its_part_unsettled(self) -> None:
        async with self.world(job_seconds=30) as w:
            await begin(w, order())
            await until(lambda: w.keyed() == [RunState.RUNNING])
            there = await w.pipelines.deployed(SYSTEM, "canary")
            assert (there.version, there.unsettled) == (OLD, KEY)
            assert there.doubt

    async def test_a_failed_run_says_why_and_leaves_only_its_part_unsettled(self) -> None:
        async with self.world(failing_versions={NEW}) as w:
            done = await ended(w, order(), await begin(w, order()))
            assert done.status is RunStatus.FAILED
            assert done.said
            there = await w.pipelines.deployed(SYSTEM, "canary")
            assert (there.version, there.unsettled) == (OLD, KEY)
            assert there.doubt
            assert (await w.pipelines.deployed(SYSTEM, "stable")).unsettled == ""

    async def test_a_rollback_settles_what_a_failed_run_left(self) -> None:
        back = order(OLD, action=Action.ROLLBACK, key=f"{KEY}/undo")
        async with self.world(failing_versions={NEW}) as w:
            await ended(w, order(), await begin(w, order()))
            done = await ended(w, back, await begin(w, back))
            assert done.status is RunStatus.SUCCEEDED
            there = await w.pipelines.deployed(SYSTEM, "canary")
            assert (there.version, there.unsettled) == (OLD, "")
            assert w.ci.deployed["canary"] == OLD
            assert w.ci.runs[-1].action == "rollback"

    async def test_a_queued_run_that_is_cancelled_never_deploys(self) -> None:
        async with self.world(runners=0) as w:
            run = await begin(w, order())
            await w.pipelines.cancel(order(), run.id)
            await until(lambda: w.keyed() == [RunState.CANCELED])
            assert (await ended(w, order(), run)).status is RunStatus.CANCELLED
            await w.ci.change_weather({"runners": 2})
            assert w.ci.effects == {}

    async def test_a_running_run_that_is_cancelled_leaves_its_part_unsettled(self) -> None:
        async with self.world(job_seconds=30) as w:
            run = await begin(w, order())
            await until(lambda: w.keyed() == [RunState.RUNNING])
            run = await w.pipelines.look(order(), run.id)
            await w.pipelines.cancel(order(), run.id)
            assert (await ended(w, order(), run)).status is RunStatus.CANCELLED
            assert (await w.pipelines.deployed(SYSTEM, "canary")).unsettled == KEY

    async def test_cancelling_a_run_that_is_over_changes_nothing(self) -> None:
        async with self.world() as w:
            run = await ended(w, order(), await begin(w, order()))
            await w.pipelines.cancel(order(), run.id)
            assert (await w.pipelines.look(order(), run.id)).status is RunStatus.SUCCEEDED

    async def test_a_start_whose_answer_is_lost_is_unavailable_and_is_found(self) -> None:
        async with self.world(drop_starts=1) as w:
            with pytest.raises(Unavailable):
                await w.pipelines.start(order())
            assert await w.pipelines.find(order()) is not None

    async def test_a_used_up_budget_is_unavailable_and_says_how_long(self) -> None:
        async with self.world(requests_per_minute=0) as w:
            with pytest.raises(Unavailable) as refused:
                await w.pipelines.find(order())
            assert refused.value.retry_after_seconds is not None
            assert 0 < refused.value.retry_after_seconds <= 61

    async def test_a_wrong_token_is_named_and_not_shown(self) -> None:
        async with self.world(token="another") as w:
            with pytest.raises(InvalidInput, match="token") as refused:
                await w.pipelines.deployed(SYSTEM, "canary")
            assert CI_TOKEN not in str(refused.value)

    async def test_a_missing_branch_is_named(self) -> None:
        if not self.has_refs:
            return
        async with self.world(refs=("trunk",)) as w:
            with pytest.raises(InvalidInput, match=r"ref.*main|main.*ref"):
                await w.pipelines.start(order())

    async def test_an_unknown_pipeline_is_an_error_that_lists_the_known(self) -> None:
        async with self.world() as w:
            with pytest.raises(UnknownName, match=SYSTEM):
                await w.pipelines.find(order(system="shop-co"))
            with pytest.raises(UnknownName, match=SYSTEM):
                await w.pipelines.deployed("shop-co", "canary")

    async def test_a_system_that_is_down_is_unavailable(self) -> None:
        async with self.world() as w:
            pass
        with pytest.raises(Unavailable):
            await w.pipelines.find(order())

    async def test_a_write_deploys_once_and_returns_the_state(self) -> None:
        async with self.world() as w:
            watch = Watch()
            state = await w.provider.write(write(), watch)
            assert (state.values, state.unsettled) == ({"version": NEW}, "")
            assert watch.kept[-1]["run"]
            assert w.ci.effects == {KEY: 1}

    async def test_a_write_whose_start_is_never_answered_starts_one_run(self) -> None:
        async with self.world(drop_starts=1, visible_after_seconds=0.2) as w:
            state = await w.provider.write(write(), Watch())
            assert state.values == {"version": NEW}
            assert w.keyed() == [RunState.SUCCESS]

    async def test_a_write_that_dies_after_the_start_goes_on_with_the_same_run(self) -> None:
        async with self.world(visible_after_seconds=0.2) as w:
            first = asyncio.create_task(w.provider.write(write(), Watch()))
            await until(lambda: len(w.keyed()) == 1)
            await cut(first)
            state = await w.provider.write(write(), Watch(repeated=True))
            assert state.values == {"version": NEW}
            assert w.keyed() == [RunState.SUCCESS]

    async def test_a_write_that_remembers_its_run_follows_it(self) -> None:
        async with self.world(runners=0) as w:
            watch = Watch()
            first = asyncio.create_task(w.provider.write(write(), watch))
            await until(lambda: bool(watch.kept))
            await cut(first)
            await w.ci.change_weather({"runners": 1})
            state = await w.provider.write(write(), Watch(repeated=True, memory=watch.kept[-1]))
            assert state.values == {"version": NEW}
            assert w.keyed() == [RunState.SUCCESS]

    async def test_a_failed_write_is_unsettled_until_it_is_taken_back(self) -> None:
        async with self.world(failing_versions={NEW}) as w:
            with pytest.raises(ChangeFailed, match="http"):
                await w.provider.write(write(), Watch())
            left = await w.provider.read(SYSTEM, "canary")
            assert (left.values, left.unsettled) == ({"version": OLD}, KEY)
            with pytest.raises(InvalidInput, match=SYSTEM):
                await w.provider.foresee(write().effect, left)
            state = await w.provider.write(write(undo=True), Watch())
            assert (state.values, state.unsettled) == ({"version": OLD}, "")
            assert w.ci.deployed["canary"] == OLD

    async def test_a_run_that_still_goes_on_is_stopped_before_it_is_taken_back(self) -> None:
        async with self.world(job_seconds=30) as w:
            watch = Watch()
            task = asyncio.create_task(w.provider.write(write(), watch))
            await until(lambda: w.keyed() == [RunState.RUNNING] and bool(watch.kept))
            await cut(task)  # its worker died
            await w.ci.change_weather({"job_seconds": 0.05})
            stopping = Watch(memory=watch.kept[-1])
            state = await w.provider.write(write(undo=True), stopping)
            assert (state.values, state.unsettled) == ({"version": OLD}, "")
            assert w.keyed() == [RunState.CANCELED]
            assert w.keyed(f"{KEY}/undo") == [RunState.SUCCESS]

    async def test_a_queued_write_that_is_called_off_never_deploys(self) -> None:
        async with self.world(runners=0) as w:
            watch = Watch()
            task = asyncio.create_task(w.provider.write(write(), watch))
            await until(lambda: bool(watch.kept))
            watch.called_off = True
            await cut(task)
            assert w.keyed() == [RunState.CANCELED]
            assert w.ci.effects == {}

    async def test_a_running_write_that_is_called_off_ends_before_the_cancellation(self) -> None:
        async with self.world(job_seconds=30) as w:
            watch = Watch()
            task = asyncio.create_task(w.provider.write(write(), watch))
            await until(lambda: w.keyed() == [RunState.RUNNING] and bool(watch.kept))
            watch.called_off = True
            await cut(task)
            assert w.keyed() == [RunState.CANCELED]
            assert (await w.provider.read(SYSTEM, "canary")).unsettled == KEY

    async def test_a_worker_that_stops_leaves_the_run_alone(self) -> None:
        async with self.world() as w:
            watch = Watch()
            task = asyncio.create_task(w.provider.write(write(), watch))
            await until(lambda: bool(watch.kept))
            await cut(task)
            await until(lambda: all(run.over for run in w.ci.runs))
            assert w.keyed() == [RunState.SUCCESS]

    async def test_a_budget_that_is_used_up_in_the_middle_delays_and_breaks_nothing(self) -> None:
        async with self.world(job_seconds=0.5, window_seconds=1.0) as w:
            watch = Watch()
            task = asyncio.create_task(w.provider.write(write(), watch))
            await until(lambda: bool(watch.kept))
            await w.ci.change_weather({"requests_per_minute": 0})
            await until(lambda: w.ci.refused > 0)
            await w.ci.change_weather({"requests_per_minute": 6000})
            assert (await task).values == {"version": NEW}
            assert w.keyed() == [RunState.SUCCESS]
