"""How long a bad canary stays: from its first bad second in the metrics to the last verified revert.

The whole demo system runs on this machine: Temporal, Prometheus (a scrape each 2 s), the shop under three times
its normal load, customers, chat, worker and bot. Stages with a mistake are rolled out at the pace `demo` and
approved in the chat; nobody says anything after that. Afterwards Prometheus is asked, second by second, with
the runbook's queries, and each second is judged by the deciding model as if it were alone (1 bad of 1):

- `red`: the first second at which a metric that counts or vetoes is beyond what it may be beside the control,
  or a call edge speaks against the canary;
- `must go`: the first second at which the file's rules say rollback. A canary that is only slow need not go:
  the rules pause, and people are asked.

All other times are of the run's history, and of the shop's own log. Two things are held to 2 intervals + 10 s:
from `red` until people are called or the stage is gone, and from `must go` until it is gone and verified. From
`red` until it is gone is printed beside them: it includes the time for which the rules leave the decision to
people, who here say nothing, and a fault that creeps can draw that out. Then comes what other tools' defaults
give by arithmetic, and as the last line one JSON object.
"""

import asyncio
import json
import random
import shutil
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import httpx
import yaml
from rich.console import Console
from rich.table import Table
from temporalio.api.common.v1 import Payloads
from temporalio.client import Client

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from activities.changes import VerifyReport
from activities.observing import Observer
from activities.watching import WatchRequest, WatchResult
from benchmarks.rollback_defaults import OTHERS, Moment, Sum, first_moments, our_sums
from holdfast.adapters.prometheus import PrometheusMetrics
from holdfast.adapters.temporal.conversion import DATA_CONVERTER
from holdfast.domain.errors import HoldfastError
from holdfast.domain.view import RunState, RunView
from holdfast.ports.runs import RolloutRequest
from holdfast.runbook.kinds.rollout import Pace, RolloutSpec
from holdfast.verdict.detector_settings import Hysteresis
from holdfast.verdict.models import judge
from holdfast.verdict.observation import Outcome
from workers.demo.stack import NORMAL_RATE, ROOT, Ports, Stack
from workers.demo.story import ANNA, CALM_P95_SECONDS, GLEB, NAMES, SURGE
from workers.demo.world import World
from workers.engine import find_engine, find_prometheus
from workers.processes import free_port

ALLOWED_INTERVALS = 2
ALLOWED_SECONDS = 10.0
PATIENCE_SECONDS = 90.0
CALM_SECONDS = 20.0  # the pace's baseline looks back so far
SECOND = timedelta(seconds=1)
PACE = "demo"
TABLE_WIDTH = 160
SURGE_FILE = ROOT / "runbooks/rollout/support-surge.yaml"
T = TypeVar("T")


@dataclass(frozen=True)
class Mistake:
    """A stage that must not go through.

    Attributes:
        title: for people.
        runbook: whose last stage carries it.
        settings: what that stage sets; empty for a runbook that is there already.
    """

    title: str
    runbook: str
    settings: dict[str, Any]


AT_ONCE = Mistake(
    "fails at once: asks the CRM each time, over one connection",
    "bad-at-once",
    {"escalation_order": "tier_value", "order_value_source": "crm_each_time", "crm_pool_size": 1},
)
CREEPING = Mistake(
    "creeps: the bot hardly sends, messages are lost after five attempts",
    "bad-creeping",
    {"bot_rate_limit_per_s": 0.1},
)
HASTY = Mistake("slow first, fails later: the demo's own mistake", "support-surge-hasty", {})
REPETITIONS = (AT_ONCE, CREEPING, HASTY, AT_ONCE, CREEPING)


@dataclass(frozen=True)
class Seen:
    """When what happened in one repetition, by this machine's clock.

    Attributes:
        share_set: the first share of the canary was in place.
        red, must_go: see the module.
        called: people were asked in the chat what to do; None where nobody had to be.
        verdict: the observation of the verdict to roll back.
        share_percent: the canary's share then.
        reverted: the last journal entry was taken back.
        verified: the target was read and is as it was before.
    """

    mistake: Mistake
    share_set: datetime
    red: Moment
    must_go: Moment
    called: datetime | None
    verdict: datetime
    share_percent: int
    reverted: datetime
    verified: datetime
    interval: timedelta

    @property
    def gone(self) -> datetime:
        """When everything was taken back and proven."""
        return max(self.reverted, self.verified)

    @property
    def reaction_seconds(self) -> float:
        """From red until people were called or it was gone."""
        return (min(self.called or self.gone, self.gone) - self.red.at).total_seconds()

    @property
    def rollback_seconds(self) -> float:
        """From the second at which it had to go until it was gone."""
        return (self.gone - self.must_go.at).total_seconds()

    @property
    def red_to_gone_seconds(self) -> float:
        """From red until it was gone, whoever was asked meanwhile."""
        return (self.gone - self.red.at).total_seconds()


class NotRolledBack(Exception):
    """A run did not do what it is measured for; the text says what it did."""


# --- what the history and the metrics say -----------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One finished activity of a run."""

    name: str
    asked: Payloads
    answered: Payloads
    done_at: datetime


async def steps_of(client: Client, run_id: str) -> list[Step]:
    """Return the finished activities of a run, in the order in which they ended."""
    asked: dict[int, Any] = {}
    steps: list[Step] = []
    async for event in client.get_workflow_handle(run_id).fetch_history_events():
        if event.HasField("activity_task_scheduled_event_attributes"):
            asked[event.event_id] = event.activity_task_scheduled_event_attributes
        elif event.HasField("activity_task_completed_event_attributes"):
            done = event.activity_task_completed_event_attributes
            what, at = asked[done.scheduled_event_id], event.event_time.ToDatetime(tzinfo=UTC)
            steps.append(Step(what.activity_type.name, what.input, done.result, at))
    return steps


async def decoded(payloads: Payloads, kind: type[T]) -> T:
    """Return the only value of these payloads."""
    [value] = await DATA_CONVERTER.decode(list(payloads.payloads), [kind])
    found: T = value
    return found


async def seconds_of(
    metrics: PrometheusMetrics, request: WatchRequest, *, since: datetime, until: datetime
) -> list[Moment]:
    """Judge each second as if it were alone, with the queries, rules and baseline of the watch."""
    alone = request.scoring.model_copy(update={"hysteresis": Hysteresis(bad=1, of=1)})
    observer, at, moments = Observer(metrics), since, list[Moment]()
    while at <= until:
        seen = await observer.observe(
            alone, share_percent=request.share_percent, at=at, interval=request.pace.interval
        )
        moments.append(Moment.of(judge(alone, request.baseline, [seen]), alone))
        at += SECOND
    return moments


async def seen_in(house: "House", mistake: Mistake, run_id: str) -> Seen:
    """Read from history, target and metrics when what happened in a run that has ended."""
    steps = await steps_of(house.client, run_id)
    log = [entry for entry in await house.world.config_log() if entry["key"].startswith(f"{run_id}/")]
    share_set = min(datetime.fromisoformat(e["at"]) for e in log if e["what"] == "share" and e["after"])
    watches = [(s, await decoded(s.answered, WatchResult)) for s in steps if s.name == "watch_share"]
    _, result = watches[-1]
    proof = [s for s in steps if s.name == "verify_rollback"][-1]
    if result.outcome is not Outcome.ROLLBACK or (await decoded(proof.answered, VerifyReport)).drifts:
        raise NotRolledBack(f"{mistake.title}: {result.reason}")
    # Of the smallest share: at 100 % the control is not asked, and the seconds before would lack it.
    request = await decoded(watches[0][0].asked, WatchRequest)
    paused = next((s.done_at for s, watched in watches if watched.outcome is Outcome.PAUSE), None)
    pings = [s.done_at for s in steps if s.name == "ping_people" and paused and s.done_at > paused]
    moments = await seconds_of(house.metrics, request, since=share_set, until=result.verdict.at)
    red, must_go = first_moments(moments)
    return Seen(
        mistake=mistake,
        share_set=share_set,
        red=red,
        must_go=must_go,
        called=pings[0] if pings else None,
        verdict=result.verdict.at,
        share_percent=result.verdict.share_percent,
        reverted=max(s.done_at for s in steps if s.name == "revert_effect"),
        verified=proof.done_at,
        interval=request.pace.interval,
    )


# --- what people do ---------------------------------------------------------------------------------------


class House:
    """A running stack, and what people do with it."""

    def __init__(self, world: World, client: Client, metrics: PrometheusMetrics) -> None:
        """Use what stands."""
        self.world, self.client, self.metrics = world, client, metrics

    async def begin(self) -> None:
        """Let the campaign run, on a shop that has what the runbook's first two stages give."""
        stages = yaml.safe_load(SURGE_FILE.read_text())["stages"][:2]
        settings = {name: value for stage in stages for name, value in stage["change"]["set"].items()}
        shop = f"http://127.0.0.1:{self.world.stack.ports.shop}/config"
        async with httpx.AsyncClient(trust_env=False) as http:
            for side in ("stable", "canary"):
                config = await self.world.config()
                change = {"expected_version": config["version"], "key": f"benchmark/{side}"}
                change["settings"] = config[side] | settings
                (await http.put(f"{shop}/{side}", json=change)).raise_for_status()
        await self.world.set_rate(NORMAL_RATE * SURGE)

    async def measure(self, mistake: Mistake) -> Seen:
        """Roll the mistake out and return what was seen.

        Raises:
            NotRolledBack: it was not undone and proven without a person.
        """
        await self._calm()
        run_id = f"bad-{uuid.uuid4().hex[:8]}"
        request = RolloutRequest(runbook=mistake.runbook, requested_by=NAMES[ANNA], pace=PACE)
        await self.world.runs.start(request, run_id=run_id)
        await until(f"the gate of {mistake.runbook} is answered", lambda: self._tapped(run_id))
        view = await until(f"{mistake.runbook} ends", lambda: self._ended(run_id))
        if view.state is not RunState.ROLLED_BACK or "Undone and verified" not in view.headline:
            raise NotRolledBack(f"{mistake.title}: the run is {view.state}: {view.headline}")
        if any("-at-" in gate.id and gate.decisions for gate in view.closed_gates):
            raise NotRolledBack(f"{mistake.title}: a person decided")
        return await seen_in(self, mistake, run_id)

    async def _calm(self) -> None:
        """Wait until the system has been well for as long as a baseline looks back."""
        since = time.monotonic()

        async def calm_for_long() -> bool:
            nonlocal since
            now = await self.world.numbers()
            p95, errors = now["latency_p95_s"], now["errors_percent"]
            if p95 is None or errors is None or p95 > CALM_P95_SECONDS or errors > 1:
                since = time.monotonic()
            return time.monotonic() - since >= CALM_SECONDS

        await until("the system is calm", calm_for_long)

    async def _tapped(self, run_id: str) -> bool:
        """Tap the button of the stage's gate where the chat shows it; whether the gate is decided."""
        view = await self.world.runs.view(run_id)
        if view.state.ended:
            raise NotRolledBack(f"{run_id} is {view.state} too early: {view.headline}")
        if view.gate is not None:
            button = f"a:{run_id}:{view.gate.token}"
            messages = await self.world.messages()
            shown = [m["message_id"] for m in messages if button in str(m.get("reply_markup", ""))]
            with suppress(HoldfastError):  # the card may have been edited since it was looked at
                if shown:
                    await self.world.press(GLEB, int(shown[-1]), button)
        return any(gate.decisions for gate in view.closed_gates)

    async def _ended(self, run_id: str) -> RunView | None:
        view = await self.world.runs.view(run_id)
        return view if view.state.ended else None


async def until(what: str, look: Callable[[], Awaitable[T | None]]) -> T:
    """Look until there is something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := await look()):
        if time.monotonic() > deadline:
            raise NotRolledBack(f"it did not happen within {PATIENCE_SECONDS:.0f} s that {what}")
        await asyncio.sleep(0.3)
    return found


# --- the measurement --------------------------------------------------------------------------------------


def write_runbooks(directory: Path) -> None:
    """Write the runbooks with a mistake: scoring and paces of the real one, and one stage."""
    (directory / "rollout").mkdir(parents=True)
    spec = yaml.safe_load(SURGE_FILE.read_text())
    for mistake in (AT_ONCE, CREEPING):
        stage = spec["stages"][-1] | {
            "name": "mistake",
            "title": "A mistake",
            "change": {"kind": "http_config", "set": mistake.settings},
        }
        bad = spec | {"name": mistake.runbook, "title": mistake.title, "stages": [stage]}
        (directory / f"rollout/{mistake.runbook}.yaml").write_text(yaml.safe_dump(bad))


async def measure(stack: Stack) -> list[Seen]:
    """Measure every repetition on this stack, which runs."""
    address = f"127.0.0.1:{stack.ports.temporal}"
    client = await Client.connect(address, data_converter=DATA_CONVERTER)
    metrics = PrometheusMetrics(f"http://127.0.0.1:{stack.ports.prometheus}")
    try:
        async with World(stack) as world:
            house = House(world, client, metrics)
            await house.begin()
            return [await house.measure(mistake) for mistake in REPETITIONS]
    finally:
        await metrics.aclose()


def free_ports() -> Ports:
    """Return ports that are free, from below those that Linux gives out by itself.

    The Temporal server takes some of those for its own parts, perhaps one that was free a moment ago.
    """
    candidates = random.sample(range(20_000, 30_000), 200)
    free = (port for port in candidates if free_port(port) == port)
    return Ports(*islice(free, len(fields(Ports))))


def on_a_stack(directory: Path) -> list[Seen]:
    """Measure on a stack of its own, which is stopped whatever happens."""
    write_runbooks(directory / "runbooks")
    dirs = (ROOT / "runbooks", ROOT / "workers/demo/runbooks", directory / "runbooks")
    stack = Stack(
        directory / "stack",
        free_ports(),
        engine=find_engine(),
        prometheus=find_prometheus(),
        pace=PACE,
        runbook_dirs=dirs,
    )
    try:
        stack.start()
        return asyncio.run(measure(stack))
    finally:
        stack.stop()


def show(seen: Sequence[Seen], console: Console) -> None:
    """Print what was measured."""
    table = Table(
        "stage of", "share set", "red", "must go", "called", "verdict", "last revert", "verified",
        "red → reaction", "must go → gone", "red → gone", "intervals",
        title=f"seconds after the first share was set, pace {PACE}",
    )  # fmt: skip
    for one in seen:
        start = one.share_set
        after = [f"{(at - start).total_seconds():.1f}" for at in (one.red.at, one.must_go.at)]
        called = f"{(one.called - start).total_seconds():.1f}" if one.called else "–"
        verdict = f"{(one.verdict - start).total_seconds():.1f} at {one.share_percent} %"
        ends = [f"{(at - start).total_seconds():.1f}" for at in (one.reverted, one.verified)]
        intervals = f"{one.red_to_gone_seconds / one.interval.total_seconds():.1f}"
        took = [f"{x:.1f}" for x in (one.reaction_seconds, one.rollback_seconds)]
        table.add_row(
            one.mistake.runbook, f"{start:%H:%M:%S}", *after, called, verdict, *ends,
            *took, f"{one.red_to_gone_seconds:.1f}", intervals,
        )  # fmt: skip
    console.print(table)
    for one in seen:
        why = f"red by {one.red.why}; must go by {one.must_go.why}"
        console.print(f"{one.mistake.runbook} ({one.mistake.title}): {why}")


def show_sums(title: str, sums: Sequence[Sum], console: Console) -> None:
    """Print figures that are computed."""
    console.print(f"\n{title}")
    for each in sums:
        console.print(f"  {each.who}: {each.steps} = {each.seconds:.0f} s")
        console.print(f"    from {each.source}")
        if each.remark:
            console.print(f"    {each.remark}")


def compare(console: Console) -> None:
    """Print what settings alone give, here and elsewhere."""
    spec = RolloutSpec.model_validate(yaml.safe_load(SURGE_FILE.read_text()))
    paces: dict[str, Pace] = {name: spec.paces[name] for name in (PACE, "default")}
    ours = [each for name, pace in paces.items() for each in our_sums(name, pace, spec.scoring.hysteresis)]
    show_sums(
        "Ours, by the same arithmetic: until the verdict to roll back, to which undoing adds", ours, console
    )
    show_sums("Others: from the first traffic on a canary that is bad from its start", OTHERS, console)


def main() -> int:
    """Measure, print, and return 0 when the bound holds."""
    signal.signal(signal.SIGTERM, _leave)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else TABLE_WIDTH)
    directory = Path(tempfile.mkdtemp(prefix="time-to-rollback-"))
    try:
        seen = on_a_stack(directory)
    except NotRolledBack as problem:
        console.print(f"not rolled back: {problem}\nlogs: {directory / 'stack/logs'}")
        return 1
    shutil.rmtree(directory, ignore_errors=True)
    show(seen, console)
    compare(console)
    reaction = max(one.reaction_seconds for one in seen)
    rollback = max(one.rollback_seconds for one in seen)
    worst = max(reaction, rollback)
    bound = ALLOWED_INTERVALS * seen[0].interval.total_seconds() + ALLOWED_SECONDS
    result = {
        "name": "time_to_rollback",
        "ours": round(worst, 2),
        "reference": bound,
        "ratio": round(worst / bound, 3),
        "bound": 1.0,
        "holds": worst <= bound,
        "red_to_reaction": round(reaction, 2),
        "must_go_to_gone": round(rollback, 2),
        "red_to_gone": round(max(one.red_to_gone_seconds for one in seen), 2),
    }
    print(json.dumps(result))
    return 0 if result["holds"] else 1


def _leave(_number: int, _frame: object) -> NoReturn:
    """End as Ctrl-C does: everything that was started is stopped."""
    raise SystemExit(143)


if __name__ == "__main__":
    sys.exit(main())
