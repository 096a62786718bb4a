"""Workers die, are told to stop, or do not want the change any more: the command still runs exactly once."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from holdfast.adapters.command.record import CommandFiles, Event, Line
from holdfast.domain.errors import ChangeFailed, Unavailable
from holdfast.domain.journal import TargetState, Write
from tests.command.tool import Told, Tool, back, is_alive, there, until_gone

ROOT = Path(__file__).resolve().parents[2]


@asynccontextmanager
async def killed_in_the_middle(tool: Tool, write: Write) -> AsyncIterator[None]:
    """Kill a worker by SIGKILL while its command is held; the command is let go when this ends."""
    tool.hold()
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.command.killed_worker",
        str(tool.directory),
        write.model_dump_json(),
        cwd=ROOT,
    )
    try:
        await tool.until_held()
        worker.kill()
        await worker.wait()
        yield
    finally:
        with suppress(FileNotFoundError):
            tool.let_go()
        await until_gone([tool.pid(), tool.watcher_pid()])


async def test_the_next_attempt_waits_for_the_command_of_a_killed_worker_and_does_not_run_it_again(
    tool: Tool,
) -> None:
    progress = Told(repeated=True)
    async with killed_in_the_middle(tool, there()):
        attempt = asyncio.create_task(tool.provider().write(there(), progress))
        await progress.until_kept()

        assert is_alive(tool.pid())
        assert progress.memory == {"waits": "for an earlier run of command 'index', which has not ended yet"}
        tool.let_go()
        assert (await attempt).values == {"state": "on"}

    assert (tool.word, tool.counted()) == ("on", ["run"])


async def test_a_state_that_is_read_while_it_runs_on_says_so(tool: Tool) -> None:
    async with killed_in_the_middle(tool, there()):
        assert await tool.provider().read("index", "all") == TargetState(
            values={"state": "off"}, unsettled="r/s/index", doubt="the command of r/s/index is still running"
        )

    assert await tool.provider().read("index", "all") == TargetState(values={"state": "on"})


async def test_an_attempt_after_the_end_finds_the_work_done(tool: Tool) -> None:
    async with killed_in_the_middle(tool, there()):
        pass

    await tool.provider().write(there(), Told(repeated=True))

    assert tool.counted() == ["run"]


async def test_an_attempt_after_a_failure_that_nobody_saw_tells_it_and_does_not_run_it_again(
    tool: Tool,
) -> None:
    tool.does("sys.exit(5)")
    async with killed_in_the_middle(tool, there()):
        pass

    with pytest.raises(ChangeFailed, match="exit code 5; what it said went with its worker"):
        await tool.provider().write(there(), Told(repeated=True))

    assert tool.counted() == ["run"]


async def test_a_rollback_waits_for_the_command_of_a_killed_worker_and_then_takes_it_back(tool: Tool) -> None:
    progress = Told()
    async with killed_in_the_middle(tool, there()):
        undo = asyncio.create_task(tool.provider().write(back(), progress))
        await progress.until_kept()
        tool.let_go()
        await undo

    assert (tool.word, tool.counted()) == ("off", ["run", "revert"])


async def test_a_killed_watcher_does_not_let_a_second_command_run_beside_the_first(tool: Tool) -> None:
    progress = Told(repeated=True)
    async with killed_in_the_middle(tool, there()):
        os.kill(tool.watcher_pid(), signal.SIGKILL)
        await until_gone([tool.watcher_pid()])
        attempt = asyncio.create_task(tool.provider().write(there(), progress))
        await progress.until_kept()
        os.kill(tool.pid(), signal.SIGKILL)
        tool.let_go()
        await attempt

    assert (tool.word, tool.counted()) == ("on", ["run", "run"])  # the first one has changed nothing


async def test_two_attempts_at_once_run_it_once(tool: Tool) -> None:
    tool.hold()
    attempts = [asyncio.create_task(tool.provider().write(there(), Told())) for _ in range(3)]
    await tool.until_held()
    tool.let_go()
    await asyncio.gather(*attempts)

    assert tool.counted() == ["run"]


async def test_a_write_that_is_called_off_is_ended_before_the_cancellation_goes_on(tool: Tool) -> None:
    progress = Told()
    tool.hold()
    attempt = asyncio.create_task(tool.provider().write(there(), progress))
    await tool.until_held()

    progress.called_off = True
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt

    assert not is_alive(tool.pid())
    state = await tool.provider().read("index", "all")
    assert (state.unsettled, state.doubt) == (
        "r/s/index",
        "the command of r/s/index was called off and stopped",
    )


async def test_an_attempt_that_is_called_off_ends_the_earlier_one_that_it_waits_for(tool: Tool) -> None:
    progress = Told(repeated=True)
    async with killed_in_the_middle(tool, there()):
        attempt = asyncio.create_task(tool.provider().write(there(), progress))
        await progress.until_kept()
        progress.called_off = True
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt

        assert not is_alive(tool.pid())

    assert tool.counted() == ["run"]


async def test_a_worker_that_stops_leaves_the_command_at_work(tool: Tool) -> None:
    tool.hold()
    attempt = asyncio.create_task(tool.provider().write(there(), Told()))
    await tool.until_held()

    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt

    assert is_alive(tool.pid())
    tool.let_go()
    assert (await tool.provider().write(there(), Told(repeated=True))).values == {"state": "on"}
    assert tool.counted() == ["run"]


async def test_a_lock_that_nobody_gives_back_is_told_with_its_remedy(
    tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.adapters.command.running.GRACE_SECONDS", 0.1)
    provider = tool.provider(time_limit=timedelta(seconds=0.1))
    files = CommandFiles(tool.directory / "var/commands", "index")
    held = await files.locked(lambda: None)
    try:
        with pytest.raises(Unavailable, match=r"an earlier run holds .*index\.lock for longer .* end it"):
            await provider.write(there(), Told())
    finally:
        os.close(held)


async def test_half_a_line_of_a_power_cut_is_passed_over(tool: Tool) -> None:
    provider = tool.provider()
    await provider.write(there(), Told())
    files = CommandFiles(tool.directory / "var/commands", "index")
    with files.record.open("a") as record:
        record.write('{"key": "r/s/ind')

    files.note(Line(key="r/s/index/undo", event=Event.BEGAN, source="on", goal="off"))

    run = files.last_run()
    assert run is not None
    assert (run.key, run.ending.event, run.goal) == ("r/s/index/undo", Event.BEGAN, "off")
    assert (await provider.read("index", "all")).unsettled == "r/s/index/undo"


async def test_a_command_that_died_with_its_machine_before_it_did_anything_is_run(tool: Tool) -> None:
    files = CommandFiles(tool.directory / "var/commands", "index")
    files.note(Line(key="r/s/index", event=Event.BEGAN, source="off", goal="on"))

    await tool.provider().write(there(), Told(repeated=True))

    assert (tool.word, tool.counted()) == ("on", ["run"])


async def test_a_command_that_died_with_its_machine_half_way_is_told(tool: Tool) -> None:
    files = CommandFiles(tool.directory / "var/commands", "index")
    files.note(Line(key="r/s/index", event=Event.BEGAN, source="off", goal="on"))
    tool.set_word("half")

    with pytest.raises(ChangeFailed, match="has ended, and the state is 'half' instead of 'on'"):
        await tool.provider().write(there(), Told(repeated=True))
