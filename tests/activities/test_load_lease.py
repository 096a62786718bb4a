"""When a load worker gives its share up: taken over, or nobody tells whose it is."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from activities import load_lease
from activities.load_lease import Lease
from holdfast.domain.errors import EngineUnavailable
from holdfast.ports.load import KeptReport, LoadLog
from tests.loadgen.load_figures import report
from tests.workflows.load_house import MemoryLoadLog

TAKEN = "another worker has taken this share over"
SILENT = "neither the server nor the database says whose this share is"
# Answers after which a lease that nothing ends counts as held.
ENOUGH = 20


class Server:
    """`ports.generators.Leases`: answers as it is told, and counts."""

    def __init__(self, answers: Sequence[bool | None]) -> None:
        self._answers = list(answers)
        self.asked = 0
        self.enough = asyncio.Event()

    async def renew(self, token: bytes) -> bool:
        assert token == b"token"
        self.asked += 1
        if self.asked == ENOUGH:
            self.enough.set()
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer is None:
            raise EngineUnavailable("the Temporal server does not answer")
        return answer


class Hanging(Server):
    """A server from which nothing comes back."""

    async def renew(self, token: bytes) -> bool:
        await super().renew(token)
        await asyncio.Event().wait()
        raise AssertionError


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_lease, "_RENEW_SECONDS", 0.005)
    monkeypatch.setattr(load_lease, "_ANSWER_SECONDS", 0.02)
    monkeypatch.setattr(load_lease, "_LEASE_SECONDS", 0.1)


async def log_of(*attempts: int) -> MemoryLoadLog:
    log = MemoryLoadLog()
    await log.add(
        [KeptReport(run="load-1", shard=0, attempt=n, number=1, report=report(1, {})) for n in attempts]
    )
    await log.add([KeptReport(run="load-1", shard=1, attempt=9, number=1, report=report(1, {}, shard=1))])
    return log


def lease(server: Server, log: LoadLog | None, *, attempt: int = 1) -> Lease:
    opened: Callable[[], LoadLog | None] = lambda: log  # noqa: E731  typed
    return Lease(server, opened, token=b"token", run="load-1", shard=0, attempt=attempt)


async def is_held(server: Server, log: LoadLog | None, *, attempt: int = 1) -> bool:
    ended = asyncio.create_task(lease(server, log, attempt=attempt).ended())
    enough = asyncio.create_task(server.enough.wait())
    await asyncio.wait({ended, enough}, return_when=asyncio.FIRST_COMPLETED)
    held = not ended.done()
    for task in (ended, enough):
        task.cancel()
    await asyncio.gather(ended, enough, return_exceptions=True)
    return held


async def test_a_share_is_held_while_the_server_says_so_whatever_the_log_is_like() -> None:
    down = MemoryLoadLog()
    down.down = True
    assert await is_held(Server([True]), down)
    assert await is_held(Server([True]), None)


async def test_a_share_is_held_over_a_silent_server_while_nobody_else_reports_it() -> None:
    assert await is_held(Server([True, None]), await log_of(1))
    assert await is_held(Server([True, None]), await log_of())
    assert await is_held(Server([True, None]), await log_of(1, 2), attempt=2)


async def test_a_share_is_given_up_when_it_is_over_for_the_server() -> None:
    assert await lease(Server([True, True, False]), await log_of(1)).ended() == TAKEN


@pytest.mark.parametrize("server", [Server, Hanging], ids=["refused", "nothing comes back"])
async def test_a_share_is_given_up_when_somebody_else_reports_it(server: type[Server]) -> None:
    assert await lease(server([None]), await log_of(1, 2)).ended() == TAKEN


@pytest.mark.parametrize("server", [Server, Hanging], ids=["refused", "nothing comes back"])
async def test_a_share_is_given_up_when_nobody_says_whose_it_is(server: type[Server]) -> None:
    down = MemoryLoadLog()
    down.down = True
    assert await lease(server([None]), down).ended() == SILENT
    assert await lease(server([None]), None).ended() == SILENT
