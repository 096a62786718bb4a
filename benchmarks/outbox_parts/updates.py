"""10,000 updates while Temporal is down, with the bot killed halfway: each is carried out once."""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.table import Table
from temporalio.client import Client

from benchmarks.outbox_parts.figures import Promise, percentile
from benchmarks.outbox_parts.updates_found import answers_in, reading, states_in
from benchmarks.outbox_parts.updates_load import (
    PEOPLE,
    TAPPERS,
    Posted,
    Sort,
    posted,
    question,
    twice,
)
from benchmarks.outbox_parts.updates_stack import LIMITS, Stack, stack, started
from benchmarks.outbox_parts.world import FIRST_USER, TOKEN, world
from holdfast.domain.ids import run_id

OUTAGE_SECONDS = 60.0
_ARRIVE_WITHIN_SECONDS = 50.0
_BOT = TOKEN.partition(":")[0]
_QUIET_SECONDS = 900.0
_LOOK_AGAIN_SECONDS = 0.5
_TAP_BUCKET = re.compile(r'^holdfast_bot_tap_answer_seconds_bucket\{le="([^"]+)"\} (\S+)', re.MULTILINE)
_QUARANTINED = re.compile(r'^holdfast_bot_updates_total\{outcome="quarantined"\} (\S+)', re.MULTILINE)
_NAMELESS = re.compile(r"^holdfast_bot_updates_unidentified_total (\S+)", re.MULTILINE)


@dataclass
class Seen:
    """What was measured.

    Attributes:
        load: what the benchmark posted.
        runs: the ids of the runs that the taps must start.
        tap_waits: seconds until a person who tapped saw an answer, of those who saw one.
        buckets: taps answered within so many seconds, over all lives of the bot.
        returned_at, quiet_at: Unix seconds; when Temporal was back, and when nothing was left to do.
    """

    load: Sequence[Posted]
    runs: set[str]
    tap_waits: list[float] = field(default_factory=list[float])
    silent_taps: int = 0
    buckets: Counter[str] = field(default_factory=Counter[str])
    quarantined_metric: int = 0
    nameless: int = 0
    arrived_seconds: float = 0
    returned_at: float = 0
    quiet_at: float = 0
    found_runs: list[str] = field(default_factory=list[str])

    def scrape(self, exposition: str) -> None:
        """Add what a life of the bot has counted."""
        self.buckets.update({le: int(float(n)) for le, n in _TAP_BUCKET.findall(exposition)})
        self.quarantined_metric += sum(int(float(n)) for n in _QUARANTINED.findall(exposition))
        self.nameless += sum(int(float(n)) for n in _NAMELESS.findall(exposition))

    def tap_p99(self) -> float:
        """Return the bound of the histogram's bucket below which 99 % of the taps were answered."""
        wanted = 0.99 * self.buckets["+Inf"]
        return min((float(le) for le, n in self.buckets.items() if n >= wanted), default=float("inf"))


async def updates(directory: Path) -> list[Promise]:
    """Let 10,000 updates arrive while Temporal is down for a minute; return what became of them."""
    with world(directory, people=PEOPLE, limits=LIMITS) as telegram:
        async with stack(directory, telegram.url, telegram.state) as parts:
            seen = await _measured(parts)
        return _told(parts, seen)


async def _measured(parts: Stack) -> Seen:
    asked = [question(n, FIRST_USER + n) for n in range(TAPPERS)]
    await _all_of(parts, asked)
    await _until(lambda: _settled(parts))
    load = posted()
    runs = {run_id(_kind(one), f"telegram/{_BOT}/{one.update_id}") for one in asked}
    seen = Seen(load=load, runs=runs)
    await asyncio.to_thread(parts.temporal.kill)
    down_at = time.monotonic()
    async with asyncio.TaskGroup() as group:
        group.create_task(_arrive(parts, seen))
        group.create_task(_tap_all(parts, seen, _buttons(parts)))
        group.create_task(_crash_in_the_middle(parts, seen))
        group.create_task(_bring_temporal_back(parts, seen, down_at))
    await _until(lambda: _settled(parts))
    seen.quiet_at = time.time()
    seen.scrape(await _exposition(parts))
    client = await Client.connect(f"127.0.0.1:{parts.temporal_port}")
    seen.found_runs = [run.id async for run in client.list_workflows()]
    return seen


def _kind(one: Posted) -> str:
    return one.text.split(maxsplit=1)[0].removeprefix("/")


# --- what happens ---------------------------------------------------------------------------------------------


async def _arrive(parts: Stack, seen: Seen) -> None:
    began = time.monotonic()
    await _all_of(parts, seen.load, within=_ARRIVE_WITHIN_SECONDS)
    await _all_of(parts, twice(seen.load))
    seen.arrived_seconds = time.monotonic() - began


async def _all_of(parts: Stack, load: Sequence[Posted], *, within: float = 0) -> None:
    """Post at a steady rate, side by side as Telegram does; returns when all is taken."""
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number, one in enumerate(load):
            if (wait := began + within * number / len(load) - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            group.create_task(parts.road.bring(one.make()))


async def _tap_all(parts: Stack, seen: Seen, buttons: Sequence[tuple[int, int, str]]) -> None:
    began = time.monotonic()
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client,
        asyncio.TaskGroup() as group,
    ):
        for number, button in enumerate(buttons):
            wait = began + _ARRIVE_WITHIN_SECONDS * number / len(buttons) - time.monotonic()
            await asyncio.sleep(max(0, wait))
            group.create_task(_tap(parts, seen, client, button))


async def _tap(parts: Stack, seen: Seen, client: aiohttp.ClientSession, button: tuple[int, int, str]) -> None:
    user, message_id, data = button
    press = {"user": user, "chat": user, "message_id": message_id, "button": data}
    began = time.monotonic()
    async with client.post(f"{parts.telegram_url}/human/press", json=press) as response:
        answer = await response.json()
    if answer.get("answered"):
        seen.tap_waits.append(time.monotonic() - began)
    else:
        seen.silent_taps += 1


async def _crash_in_the_middle(parts: Stack, seen: Seen) -> None:
    await asyncio.sleep(_ARRIVE_WITHIN_SECONDS / 2)
    seen.scrape(await _exposition(parts))
    await asyncio.to_thread(parts.bot.kill)
    await started(parts.bot)


async def _bring_temporal_back(parts: Stack, seen: Seen, down_at: float) -> None:
    await asyncio.sleep(max(0, down_at + OUTAGE_SECONDS - time.monotonic()))
    await started(parts.temporal)
    seen.returned_at = time.time()


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(_QUIET_SECONDS):
        while not true():  # noqa: ASYNC110  other processes signal nothing
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)


async def _exposition(parts: Stack) -> str:
    async with parts.road.client.get(parts.metrics_url) as response:
        return await response.text()


# --- what became of it ----------------------------------------------------------------------------------------


def _settled(parts: Stack) -> bool:
    """Whether nothing waits: no update for a handler, no message for the sender."""
    with closing(reading(parts.database)) as database:
        updates = database.execute("SELECT count(*) FROM inbox WHERE state = 'new'").fetchone()[0]
        rows = database.execute("SELECT count(*) FROM outbox WHERE state IN ('queued', 'sending')").fetchone()[
            0
        ]
    return not updates and not rows


def _buttons(parts: Stack) -> list[tuple[int, int, str]]:
    """Return chat, message and callback data of the confirmations that stand open."""
    found: list[tuple[int, int, str]] = []
    with closing(reading(parts.state)) as database:
        for chat, number, body in database.execute(
            "SELECT chat_id, message_id, body FROM messages ORDER BY chat_id"
        ):
            rows = json.loads(body).get("reply_markup", {}).get("inline_keyboard", [])
            data = [button.get("callback_data", "") for row in rows for button in row]
            found += [(chat, number, one) for one in data if one.endswith(":yes")]
    return found


def _told(parts: Stack, seen: Seen) -> list[Promise]:
    answers, inbox = answers_in(parts.database, parts.state, _BOT), states_in(parts.database)
    valid = [one for one in seen.load if one.sort in {Sort.COMMAND, Sort.QUESTION}]
    malformed = [one for one in seen.load if one.sort is Sort.MALFORMED]
    unannounced = sum(
        1 for one in valid if not answers.arrived[one.update_id] and one.update_id not in answers.uncertain
    )
    lost_runs, runs = len(seen.runs - set(seen.found_runs)), Counter(seen.found_runs)
    quarantined = sum(1 for one in malformed if inbox.get(one.update_id) == "quarantined")
    wrongly = sum(1 for state in inbox.values() if state == "quarantined") - quarantined
    repeated = sum(max(0, answers.arrived[one.update_id] - 1) for one in valid)
    last_after = max(answers.last_sent_at, seen.returned_at) - seen.returned_at
    answered, met = sum(1 for one in valid if answers.arrived[one.update_id]), seen.runs & set(runs)
    _show(
        {
            "commands answered / posted": f"{answered} / {len(valid)}",
            "runs started / taps": f"{len(met)} / {len(seen.runs)}",
            "told that they are kept, or not readable": str(answers.notices),
            "uncertain after the kill, and shown to people": str(len(answers.uncertain)),
            "put aside / malformed": f"{quarantined} / {len(malformed)}; the metric {seen.quarantined_metric}",
            "without an id, by the metric / delivered": f"{seen.nameless} / {_count(seen.load, Sort.NAMELESS)}",
            "delivered again": f"{len(twice(seen.load))} posted, {len(parts.road.dropped)} by the stand-in",
            "all taken after, s": f"{seen.arrived_seconds:.0f}",
            "last answer after Temporal's return, s": f"{last_after:.0f}",
            "taps answered, as people saw it: p50, p99, s": _waits(seen.tap_waits),
            "taps that Telegram showed no answer to": str(seen.silent_taps),
        }
    )
    return [
        Promise("updates: commands without an answer", unannounced, 0),
        Promise("updates: taps without a run", lost_runs, 0),
        Promise("updates: answers too many", repeated + answers.unexplained, 0),
        Promise("updates: runs too many", runs.total() - len(met), 0),
        Promise("updates: malformed and not put aside", len(malformed) - quarantined, 0),
        Promise("updates: put aside and not malformed", wrongly, 0),
        Promise("updates: still waiting", sum(1 for state in inbox.values() if state == "new"), 0),
        Promise("updates: taps answered, p99, s", seen.tap_p99(), 1),
    ]


def _waits(seconds: Sequence[float]) -> str:
    return ", ".join(f"{percentile(seconds, percent):.2f}" for percent in (50, 99))


def _count(load: Sequence[Posted], sort: Sort) -> int:
    return sum(1 for one in load if one.sort is sort)


def _show(lines: Mapping[str, str]) -> None:
    table = Table("", "", title="10,000 updates while Temporal is down for a minute, the bot killed halfway")
    for what, figure in lines.items():
        table.add_row(what, figure)
    Console().print(table)
