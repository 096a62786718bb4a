"""A command as people write them: it keeps a word in a file, counts itself, and can be held in the middle."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.adapters.command import CommandProvider
from holdfast.domain.journal import Effect, Write
from holdfast.runbook.systems import CommandSystem, Secret

# Behaviours are chosen by files in the directory, because the command does not know that it is tested.
TOOL = """\
#!{python}
import os, pathlib, sys, time
here, action = pathlib.Path.cwd(), sys.argv[1]
word = here / "word"
if action == "state":
    print(word.read_text() if word.exists() else "off")
    sys.exit()
with (here / "count").open("a") as count:
    print(action, os.environ.get("HOLDFAST_KEY"), os.environ.get("HOLDFAST_BEFORE"), file=count)
(here / "variables").write_text("\\n".join(sorted(os.environ)))
(here / "pids").write_text(f"{{os.getpid()}} {{os.getppid()}}")
while (here / "hold").exists():
    print("still at it", flush=True)
    time.sleep(0.02)
if (here / "script").exists():
    exec((here / "script").read_text())
word.write_text("on" if action == "run" else os.environ["HOLDFAST_BEFORE"])
"""


class Told:
    """Progress that remembers what it was told."""

    def __init__(self, *, repeated: bool = False) -> None:
        self.memory: dict[str, str] = {}
        self.repeated = repeated
        self.called_off = False
        self.kept = asyncio.Event()

    def keep(self, memory: dict[str, str]) -> None:
        self.memory = memory
        self.kept.set()

    async def until_kept(self) -> None:
        """Wait until it was told anything."""
        async with asyncio.timeout(30):
            await self.kept.wait()


@dataclass
class Tool:
    """The command in its directory, and the files by which it is looked at and held."""

    directory: Path
    secrets: dict[str, str] = field(default_factory=dict[str, str])

    def system(self, **changes: object) -> CommandSystem:
        program = str(self.directory / "tool")
        facts = {
            "kind": "command",
            "run": (program, "run"),
            "revert": (program, "revert"),
            "state": (program, "state"),
            "done": "on",
            "directory": self.directory,
            **changes,
        }
        return CommandSystem.model_validate(facts)

    def provider(self, **changes: object) -> CommandProvider:
        return CommandProvider({"index": self.system(**changes)}, self.reveal, state_dir=self.directory / "var")

    def reveal(self, secret: Secret) -> str:
        return self.secrets[secret.env or ""]

    def hold(self) -> None:
        (self.directory / "hold").touch()

    def let_go(self) -> None:
        (self.directory / "hold").unlink()

    def does(self, script: str) -> None:
        (self.directory / "script").write_text(script)

    @property
    def word(self) -> str:
        return (self.directory / "word").read_text()

    def set_word(self, word: str) -> None:
        (self.directory / "word").write_text(word)

    def counted(self) -> list[str]:
        path = self.directory / "count"
        return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []

    def pid(self) -> int:
        return int((self.directory / "pids").read_text().split()[0])

    def watcher_pid(self) -> int:
        return int((self.directory / "pids").read_text().split()[1])

    async def until_held(self, runs: int = 1) -> None:
        """Wait until the command was started so often and is being held."""
        async with asyncio.timeout(30):  # another process counts
            while len(self.counted()) < runs or not (self.directory / "pids").exists():  # noqa: ASYNC110  as said
                await asyncio.sleep(0.01)


async def until_gone(pids: Iterable[int]) -> None:
    async with asyncio.timeout(30):
        while any(is_alive(pid) for pid in pids):  # noqa: ASYNC110  other processes end
            await asyncio.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def effect(key: str = "r/s/index") -> Effect:
    return Effect(
        key=key, stage="s", kind="command", endpoint="index", part="all", values={}, title="index is run"
    )


def there(key: str = "r/s/index", *, source: str = "off", goal: str = "on") -> Write:
    return Write(effect=effect(key), source={"state": source}, goal={"state": goal})


def back(key: str = "r/s/index", *, source: str = "on", goal: str = "off", attempt: int = 1) -> Write:
    return Write(effect=effect(key), source={"state": source}, goal={"state": goal}, undo=True, attempt=attempt)
