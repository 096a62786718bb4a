"""A command of `systems.yaml`, as a worker has it: what it says of its secrets is masked on every way out."""

import asyncio
import base64
import json
from pathlib import Path

import pytest

from holdfast.domain.errors import ChangeFailed, InvalidInput, Unavailable
from holdfast.domain.journal import TargetState
from holdfast.ports.changes import ChangeProvider
from tests.command.tool import Told, Tool, effect, there
from workers.settings import Settings
from workers.wiring import change_providers

PASSWORD = "s3cr/t pässword"


def as_a_worker_has_it(tool: Tool, **changes: object) -> ChangeProvider:
    (tool.directory / "password").write_text(PASSWORD)
    program = str(tool.directory / "tool")
    system = {
        "kind": "command",
        "run": [program, "run"],
        "revert": [program, "revert"],
        "state": [program, "state"],
        "done": "on",
        "secrets": {"PASSWORD": {"file": "password"}},
        **changes,
    }
    (tool.directory / "systems.yaml").write_text(json.dumps({"systems": {"index": system}}))
    settings = Settings(runbook_dirs=(tool.directory,), endpoints={}, state_dir=tool.directory / "var")
    return change_providers(settings)["command"]


def arguments_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.mark.parametrize(
    "said",
    [
        "os.environ['PASSWORD']",
        "repr(os.environ['PASSWORD'])",
        "__import__('urllib.parse').parse.quote(os.environ['PASSWORD'])",
        "__import__('base64').b64encode(('me:' + os.environ['PASSWORD']).encode()).decode()",
    ],
)
async def test_a_failure_is_told_without_the_secret(tool: Tool, said: str) -> None:
    tool.does(f"print('login failed:', {said}, file=sys.stderr); sys.exit(1)")

    with pytest.raises(ChangeFailed) as caught:
        await as_a_worker_has_it(tool).write(there(), Told())

    assert str(caught.value).replace("'•••'", "•••").endswith("exit code 1: login failed: •••")


async def test_a_state_that_cannot_be_told_is_told_without_the_secret(tool: Tool) -> None:
    failing = ["/bin/sh", "-c", 'echo "no $PASSWORD" >&2; exit 1']

    with pytest.raises(Unavailable, match="exit code 1: no •••"):
        await as_a_worker_has_it(tool, state=failing).read("index", "all")


async def test_a_state_that_prints_the_secret_is_masked_and_never_changed(tool: Tool) -> None:
    provider = as_a_worker_has_it(tool, state=["/bin/sh", "-c", 'echo "$PASSWORD"'])
    state = await provider.read("index", "all")

    assert state == TargetState(values={"state": "•••"})
    with pytest.raises(InvalidInput, match="index/all: the state's field 'state' holds a secret"):
        await provider.foresee(effect(), state)
    assert tool.counted() == []


async def test_a_secret_that_is_missing_stops_the_plan_before_anything_is_run(tool: Tool) -> None:
    provider = as_a_worker_has_it(tool)
    state = TargetState(values={"state": "off"})
    (tool.directory / "password").unlink()

    with pytest.raises(InvalidInput, match=f"the secret file {tool.directory}/password cannot be read"):
        await provider.foresee(effect(), state)
    with pytest.raises(InvalidInput, match="cannot be read"):
        await provider.write(there(), Told())
    assert tool.counted() == []


async def test_secrets_are_in_no_argument_that_other_users_see(tool: Tool) -> None:
    provider = as_a_worker_has_it(tool)
    tool.hold()
    attempt = asyncio.create_task(provider.write(there(), Told()))
    await tool.until_held()
    shown = [arguments_of(pid) for pid in (tool.pid(), tool.watcher_pid())]
    tool.let_go()
    await attempt

    assert all(b"tool" in arguments for arguments in shown)
    encoded = base64.b64encode(PASSWORD.encode())
    assert not any(form in arguments for arguments in shown for form in (PASSWORD.encode(), encoded))
