"""Commands are real programs here: what they are told, how they end, and what people read about it."""

import os
from datetime import timedelta

import pytest

from holdfast.domain.errors import ChangeConflict, ChangeFailed, InvalidInput, Unavailable, UnknownName
from holdfast.domain.journal import TargetState
from tests.command.tool import Told, Tool, back, effect, there, until_gone


async def test_a_command_and_its_way_back_change_what_state_prints(tool: Tool) -> None:
    provider = tool.provider()
    before = await provider.read("index", "all")

    assert before == TargetState(values={"state": "off"})
    assert await provider.foresee(effect(), before) == {"state": "on"}
    assert (await provider.write(there(), Told())).values == {"state": "on"}
    assert await provider.read("index", "all") == TargetState(values={"state": "on"})
    assert (await provider.write(back(), Told())).values == {"state": "off"}
    assert await provider.read("index", "all") == before
    assert (tool.directory / "count").read_text() == "run r/s/index None\nrevert r/s/index/undo off\n"


async def test_it_gets_no_variables_but_those_it_is_to_have(
    tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_SECRET_KEY", "of the worker")
    monkeypatch.setenv("LANG", "C.UTF-8")
    tool.secrets = {"FROM": "p4ssword"}
    tool.does("assert (os.environ['A'], os.environ['PASSWORD']) == ('b', 'p4ssword')")
    provider = tool.provider(environment={"A": "b"}, secrets={"PASSWORD": {"env": "FROM"}})

    await provider.write(there(), Told())

    variables = set((tool.directory / "variables").read_text().split())
    assert variables - {"LC_CTYPE"} == {"A", "HOLDFAST_KEY", "HOME", "LANG", "PASSWORD", "PATH"}


async def test_arguments_reach_it_as_they_are_without_a_shell(tool: Tool) -> None:
    odd = "$(touch oops); * \"'"
    tool.does("(here / 'argument').write_text(sys.argv[2])")

    await tool.provider(run=(str(tool.directory / "tool"), "run", odd)).write(there(), Told())

    assert (tool.directory / "argument").read_text() == odd
    assert not (tool.directory / "oops").exists()


async def test_nobody_waits_for_somebody_to_type(tool: Tool) -> None:
    tool.does("assert sys.stdin.read() == ''")

    assert (await tool.provider().write(there(), Told())).values == {"state": "on"}


async def test_a_failure_is_told_with_its_last_words_and_leaves_the_effect_in_doubt(tool: Tool) -> None:
    tool.does("print('first', file=sys.stderr); print('no disk left', file=sys.stderr); sys.exit(3)")
    provider = tool.provider()

    with pytest.raises(ChangeFailed) as caught:
        await provider.write(there(), Told())

    assert str(caught.value) == "command 'index' (run) failed with exit code 3: no disk left"
    assert await provider.read("index", "all") == TargetState(
        values={"state": "off"}, unsettled="r/s/index", doubt="the command of r/s/index failed with exit code 3"
    )


async def test_a_failed_command_is_not_run_again_under_its_key(tool: Tool) -> None:
    tool.does("sys.exit(3)")
    provider = tool.provider()
    for _ in range(2):
        with pytest.raises(ChangeFailed, match="exit code 3"):
            await provider.write(there(), Told(repeated=True))

    assert tool.counted() == ["run"]


async def test_a_way_back_is_run_after_a_failure_although_the_state_looks_old(tool: Tool) -> None:
    tool.does("sys.exit(3 if action == 'run' else 0)")
    provider = tool.provider()
    with pytest.raises(ChangeFailed):
        await provider.write(there(), Told())
    tool.does("")

    await provider.write(back(source="off"), Told())

    assert tool.counted() == ["run", "revert"]
    assert await provider.read("index", "all") == TargetState(values={"state": "off"})


async def test_a_failed_way_back_can_be_tried_once_more_under_another_key(tool: Tool) -> None:
    provider = tool.provider()
    await provider.write(there(), Told())
    tool.does("sys.exit(4)")
    with pytest.raises(ChangeFailed, match=r"\(revert\) failed with exit code 4"):
        await provider.write(back(), Told())
    tool.does("")

    await provider.write(back(attempt=2), Told())

    assert (tool.word, tool.counted()) == ("off", ["run", "revert", "revert"])


async def test_a_command_that_ends_well_without_its_work_done_has_failed(tool: Tool) -> None:
    tool.does("word.write_text('half'); sys.exit(0)")
    provider = tool.provider()

    with pytest.raises(ChangeFailed, match="ended well, and the state is 'half' instead of 'on'"):
        await provider.write(there(), Told())

    state = await provider.read("index", "all")
    assert (state.values, state.unsettled) == ({"state": "half"}, "r/s/index")


async def test_a_command_whose_work_is_done_is_not_run(tool: Tool) -> None:
    tool.set_word("on")

    assert (await tool.provider().write(there(), Told())).values == {"state": "on"}
    assert tool.counted() == []


async def test_a_way_back_that_nobody_needs_is_not_run(tool: Tool) -> None:
    await tool.provider().write(back(), Told())

    assert tool.counted() == []


async def test_a_third_state_is_somebody_elses(tool: Tool) -> None:
    tool.set_word("dim")

    with pytest.raises(ChangeConflict, match="somebody else changed it meanwhile, and the state is 'dim'"):
        await tool.provider().write(there(), Told())

    assert tool.counted() == []


async def test_a_command_that_takes_too_long_is_ended_with_all_its_children(tool: Tool) -> None:
    tool.does(
        "import subprocess\n"
        "child = subprocess.Popen(['sleep', '300'])\n"
        "(here / 'child').write_text(str(child.pid))\n"
        "child.wait()"
    )

    with pytest.raises(ChangeFailed, match=r"took longer than its time_limit of 1 s and was ended"):
        await tool.provider(time_limit=timedelta(seconds=1)).write(there(), Told())

    await until_gone([tool.pid(), tool.watcher_pid(), int((tool.directory / "child").read_text())])


async def test_a_command_that_does_not_listen_is_killed(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    tool.does("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(300)")

    with pytest.raises(ChangeFailed, match="time_limit"):
        await tool.provider(time_limit=timedelta(seconds=1)).write(there(), Told())

    await until_gone([tool.pid()])


async def test_a_flood_of_output_is_read_and_only_its_end_is_kept(tool: Tool) -> None:
    tool.does(
        "for _ in range(2000):\n"
        "    sys.stdout.write('x' * 5000)\n"
        "    sys.stderr.write('y' * 5000 + chr(10))\n"
        "sys.stderr.write('the end' + chr(10))\n"
        "sys.exit(1)"
    )

    with pytest.raises(ChangeFailed) as caught:
        await tool.provider().write(there(), Told())

    assert str(caught.value).endswith("exit code 1: the end")


async def test_what_a_command_leaves_running_holds_up_neither_its_change_nor_its_way_back(tool: Tool) -> None:
    tool.does(
        "import subprocess\n"
        "child = subprocess.Popen(['sleep', '300'], start_new_session=True, close_fds=False)\n"
        "(here / 'child').write_text(str(child.pid))"
    )
    try:
        assert (await tool.provider().write(there(), Told())).values == {"state": "on"}
        tool.does("")
        assert (await tool.provider().write(back(), Told())).values == {"state": "off"}
    finally:
        os.kill(int((tool.directory / "child").read_text()), 9)


@pytest.mark.parametrize("field", ["run", "revert", "state"])
async def test_a_program_that_is_missing_is_named_by_its_field_before_anything_is_run(
    tool: Tool, field: str
) -> None:
    provider = tool.provider(**{field: ("./nothing", "x")})
    write = back(source="off", goal="on") if field == "revert" else there()

    with pytest.raises(InvalidInput, match=rf"systems\.yaml: systems\.index\.{field}\.0: './nothing' cannot"):
        await provider.write(write, Told())
    if field != "state":
        with pytest.raises(InvalidInput, match=rf"systems\.index\.{field}\.0"):
            await provider.foresee(effect(), TargetState(values={"state": "off"}))

    assert tool.counted() == []


async def test_a_program_that_is_none_never_began(tool: Tool) -> None:
    broken = tool.directory / "broken"
    broken.write_bytes(b"\x7fELF and nothing more")
    broken.chmod(0o700)
    provider = tool.provider(run=(str(broken),))

    with pytest.raises(InvalidInput, match=r"systems\.index\.run\.0"):
        await provider.write(there(), Told())

    assert await provider.read("index", "all") == TargetState(values={"state": "off"})


async def test_a_missing_directory_is_named(tool: Tool) -> None:
    provider = tool.provider(directory=tool.directory / "nowhere")

    with pytest.raises(InvalidInput, match=r"systems\.index\.directory: there is no directory"):
        await provider.read("index", "all")


@pytest.mark.parametrize("script", ["", "echo one; echo two", "head -c 5000 /dev/zero | tr '\\0' x"])
async def test_a_state_that_is_not_one_line_is_a_mistake_in_the_file(tool: Tool, script: str) -> None:
    with pytest.raises(InvalidInput, match=r"systems\.index\.state: has to print one line"):
        await tool.provider(state=("/bin/sh", "-c", script)).read("index", "all")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo no route >&2; exit 7", "its state failed with exit code 7: no route"),
        ("exec sleep 300", "its state took longer than 1 s"),
    ],
)
async def test_a_state_that_cannot_be_told_is_asked_again_later(tool: Tool, script: str, said: str) -> None:
    provider = tool.provider(state=("/bin/sh", "-c", script), time_limit=timedelta(seconds=1))

    with pytest.raises(Unavailable, match=said):
        await provider.read("index", "all")


async def test_unknown_commands_and_parts_list_the_known_ones(tool: Tool) -> None:
    provider = tool.provider()

    with pytest.raises(UnknownName, match="unknown command 'indx'; known: index"):
        await provider.read("indx", "all")
    with pytest.raises(UnknownName, match="unknown part of command 'canary'; known: all"):
        await provider.read("index", "canary")


async def test_secrets_are_not_on_the_disk_that_keeps_locks_and_records(tool: Tool) -> None:
    tool.secrets = {"FROM": "p4ssword"}
    tool.does("print(os.environ['PASSWORD'], file=sys.stderr); sys.exit(1)")

    with pytest.raises(ChangeFailed):
        await tool.provider(secrets={"PASSWORD": {"env": "FROM"}}).write(there(), Told())

    kept = list((tool.directory / "var").rglob("*.*"))
    assert {path.suffix for path in kept} == {".lock", ".jsonl"}
    assert not any("p4ssword" in path.read_text() for path in kept)
