import asyncio
import json
import socket
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.loadgen.answers import parsed
from holdfast.loadgen.connections import ConnectionPool
from holdfast.loadgen.ledger import Cell
from holdfast.loadgen.pacing import Backlog
from holdfast.loadgen.sessions import Session, StepPlan
from holdfast.loadgen.templates import request_template
from tests.loadgen.engine_targets import Asked, always, answer, get, load_of, made, serving

ON_TIME = 0.05
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
SPACE = st.sampled_from(["", " ", "\n", "\t \r\n", "x", "{", "}", "\x00"])


def _loaded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return parsed(b"")  # what stands for no JSON


@given(JSON, ENCODINGS, SPACE, SPACE)
def test_a_body_is_read_as_the_json_module_reads_it(value: Any, encoding: str, before: str, after: str) -> None:
    body = (before + json.dumps(value, ensure_ascii=False) + after).encode(encoding, "surrogatepass")

    assert parsed(body) == _loaded(body)


@given(st.binary(max_size=12).map(lambda rest: b"{" + rest))
def test_bytes_that_begin_like_an_object_are_read_as_the_json_module_reads_them(body: bytes) -> None:
    assert parsed(body) == _loaded(body)


@pytest.mark.parametrize("body", [b'{"a": 1, "a": 2}', b'{"b": {"a": 1}, "c": "\\"a\\": 5"}', b'{"a": NaN} '])
def test_repeated_names_and_names_inside_of_texts_mean_what_they_mean_in_json(body: bytes) -> None:
    assert repr(parsed(body)) == repr(json.loads(body))


def test_a_body_that_is_nested_too_deeply_is_no_json() -> None:
    assert parsed(b'{"a":' * 100_000) is parsed(b"")


def _made_of(capacity: float, rate: float, seconds: float) -> tuple[int, int, int]:
    """Return how many were due, on time and late, for a generator with so much capacity."""
    backlog = Backlog(ON_TIME, 1.0)
    due = [i / rate for i in range(int(rate * seconds))]
    now, i, on_time, late = 0.0, 0, 0, 0
    while i < len(due):
        now = max(now, due[i])
        longest = backlog.longest(now - due[i], now)
        while i < len(due) and due[i] < now - longest:
            i += 1
        if i < len(due) and due[i] <= now:
            late += now - due[i] > ON_TIME
            on_time += now - due[i] <= ON_TIME
            i += 1
            now += 1 / capacity
    return len(due), on_time, late


@pytest.mark.parametrize("asked", [1.1, 1.5, 3.0])
def test_a_generator_that_is_asked_for_too_much_sends_what_it_can_in_time(asked: float) -> None:
    due, on_time, late = _made_of(2000, asked * 2000, 20)

    # The first two seconds show that it does not catch up.
    assert on_time >= 0.85 * due / asked
    assert late <= 2.5 * 2000


def test_a_generator_that_can_do_what_it_is_asked_for_leaves_nothing_out() -> None:
    assert _made_of(2000, 1900, 20) == (38_000, 38_000, 0)


def test_a_hiccup_is_made_up_for_late() -> None:
    backlog = Backlog(ON_TIME, 1.0)

    assert backlog.longest(0.0, 10.0) == 1.0
    # The loop stood still for 0.8 s, and half a second later it is still behind.
    assert backlog.longest(0.8, 10.8) == 1.0
    assert backlog.longest(0.3, 11.3) == 1.0
    assert backlog.longest(0.0, 11.9) == 1.0
    # Only what has been late without a break counts.
    assert backlog.longest(0.1, 12.5) == 1.0


def test_a_generator_that_has_caught_up_sends_late_ones_again() -> None:
    backlog = Backlog(ON_TIME, 1.0)
    backlog.longest(0.2, 10.0)
    assert backlog.longest(0.9, 11.1) == ON_TIME / 2
    assert backlog.longest(0.01, 12.0) == ON_TIME / 2

    assert backlog.longest(0.01, 12.2) == 1.0


@asynccontextmanager
async def _pool(url: str) -> AsyncGenerator[tuple[ConnectionPool, StepPlan]]:
    spec = load_of(url, on_time=f"{ON_TIME}s")
    target = spec.targets["shop"]
    pool = ConnectionPool("shop", target, ON_TIME)
    await pool.start(0)
    step = spec.steps[0]
    try:
        yield pool, StepPlan(step, 0, request_template(step, target, {}, "run"), pool, frozenset())
    finally:
        pool.stop()
        await pool.closed()


class _Told(Session):
    """A session that only notes that its request was answered."""

    def __init__(self) -> None:
        self.answered = asyncio.Event()

    def go_on(self, values: Mapping[str, Any], now: float) -> None:
        self.answered.set()


async def test_a_request_is_late_when_its_connection_stands_late_because_the_generator_was_busy() -> None:
    async with serving(always(answer())) as target, _pool(target.url) as (pool, step):
        cell, session = Cell(), _Told()
        pool.send(step.template.constant or b"", step, cell, monotonic(), session)
        await asyncio.sleep(0)
        time.sleep(3 * ON_TIME)  # noqa: ASYNC251  the generator is busy
        await session.answered.wait()

    assert (cell.late, len(cell.good), cell.errors) == (1, 1, {})


async def test_a_target_that_is_slow_to_accept_makes_no_request_late() -> None:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        server.settimeout(0)
        address = server.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.settimeout(0)
            with suppress(BlockingIOError):
                filler.connect(address)
        async with _pool(f"http://127.0.0.1:{address[1]}") as (pool, step):
            cell, session = Cell(), _Told()
            data = step.template.constant or b""
            pool.send(data, step, cell, monotonic(), session)
            # The queue is full, so the kernel drops the first attempt and tries again after a second.
            await asyncio.sleep(3 * ON_TIME)
            ours = {filler.getsockname() for filler in fillers}
            while not session.answered.is_set():
                taken, peer = await loop.sock_accept(server)
                with taken:
                    if peer not in ours:
                        assert await loop.sock_recv(taken, 4096) == data
                        await loop.sock_sendall(taken, answer())
                        await session.answered.wait()
        for filler in fillers:
            filler.close()

    assert cell.good[0] > ON_TIME
    assert cell.late == 0


@pytest.mark.parametrize(("waits", "late"), [(0.0, 0), (4 * ON_TIME, 1)])
async def test_a_request_that_the_socket_does_not_take_at_once_arrives_whole_and_may_be_late(
    waits: float, late: int
) -> None:
    size = 12_000_000

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(waits)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Content-Length: %d" % size in head
        got.append(await reader.readexactly(size))
        writer.write(answer())
        await reader.read()
        writer.close()

    got: list[bytes] = []
    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        body = {"target": "shop", "method": "POST", "body": "x" * size}
        # Only the waiting decides, not how fast this machine copies.
        on_time = f"{ON_TIME * 2}s" if waits else "20s"
        run = await made(load_of(url, {"name": "ask", "http": body}, rate=5, lasts=0.2, on_time=on_time))

    assert got == [b"x" * size]
    outcome = run.outcome()
    assert outcome.pop("late", 0) == late
    assert outcome == {"due": 1, "good": 1}


async def test_an_answer_that_is_larger_than_the_buffer_is_read_to_its_end() -> None:
    async with serving(always(answer(body=b"x" * 3_000_000 + b"end"))) as target:
        run = await made(load_of(target.url, get(check={"contains": "end"}), rate=20))

    assert run.outcome() == {"due": 8, "good": 8}
    assert run.steps()["received_bytes"] > 8 * 3_000_000


async def test_an_answer_and_the_end_of_its_connection_may_come_at_once() -> None:
    async def says_and_goes(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, b"ok", "Connection: close"))
        writer.close()

    async with serving(says_and_goes) as target:
        run = await made(load_of(target.url, rate=200))

    assert run.outcome() == {"due": 80, "good": 80}
