"""The places a Temporal server can come from; each gives an engine that was run once, or says why it cannot."""

import asyncio
import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, NamedTuple

Environment = Mapping[str, str]
Say = Callable[[str], None]
Source = Callable[[Environment, Say], "Engine"]

SOURCE_DIRECTORY: Final = Path(__file__).resolve().parent.parent / "engine"
PINNED_CLI_VERSION: Final = "v1.9.1"
OLDEST_GO: Final = "1.26.8"
DOWNLOAD_TIMEOUT: Final = timedelta(minutes=5)
BUILD_PROGRESS_EVERY: Final = timedelta(seconds=15)


class Version(NamedTuple):
    """A release number; versions compare as tuples."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return ".".join(map(str, self))


OLDEST_SERVER: Final = Version(1, 30, 0)
OLDEST_TIME_SKIPPING_SERVER: Final = Version(1, 32, 0)


@dataclass(frozen=True)
class Engine:
    """A Temporal server binary that was run once and is new enough.

    Attributes:
        path: The executable; takes `server start-dev` and its flags.
        version: The release of the Temporal server in it.
        origin: Where it came from, in words for a person.
    """

    path: Path
    version: Version
    origin: str

    @property
    def skips_time(self) -> bool:
        """Whether workflows can run in virtual time; older servers ignore the setting silently."""
        return self.version >= OLDEST_TIME_SKIPPING_SERVER


class UnusableError(Exception):
    """One source cannot give an engine; the message says why."""


def parse_version(text: str) -> Version | None:
    """Reads the server's release from what `temporal --version` or the engine of this project prints."""
    match = re.search(r"(?:\(Server |holdfast-temporal )(\d+)\.(\d+)\.(\d+)", text)
    return Version(*map(int, match.groups())) if match else None


def inspect(path: Path, origin: str) -> Engine:
    """Runs `path --version` and accepts it as an engine.

    Raises:
        UnusableError: It does not run, is no Temporal server, or is too old.
    """
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=True)  # noqa: S603  # the caller's own executable, no shell
    except (OSError, subprocess.SubprocessError) as error:
        raise UnusableError(f"{path} does not run: {error}") from error
    version = parse_version(answer.stdout)
    if version is None:
        raise UnusableError(f"{path} is no Temporal server: --version printed {answer.stdout[:80]!r}")
    if version < OLDEST_SERVER:
        raise UnusableError(f"{path} has server {version}, needed is {OLDEST_SERVER} or newer")
    return Engine(path, version, origin)


def configured(environment: Environment, _say: Say) -> Engine:
    """Takes the executable that HOLDFAST_TEMPORAL names."""
    if name := environment.get("HOLDFAST_TEMPORAL"):
        return inspect(Path(name).expanduser().absolute(), "HOLDFAST_TEMPORAL")
    raise UnusableError("not set")


def on_path(environment: Environment, _say: Say) -> Engine:
    """Takes the `temporal` on PATH."""
    if name := shutil.which("temporal", path=environment.get("PATH", "")):
        return inspect(Path(name).absolute(), "temporal on PATH")
    raise UnusableError("not there")


def cached(environment: Environment, _say: Say) -> Engine:
    """Takes what an earlier download or build left."""
    for path, origin in (
        (_downloaded_path(environment), "downloaded by an earlier set-up"),
        (_built_path(environment), "built by an earlier set-up"),
    ):
        if path.exists():
            return inspect(path, origin)
    raise UnusableError(f"nothing in {engine_cache(environment)} for this version")


def download(environment: Environment, say: Say) -> Engine:
    """Lets the SDK download the pinned CLI, unless its download location cannot be reached within seconds."""
    _check_download_location()
    say(f"Downloading the Temporal CLI {PINNED_CLI_VERSION} (about 50 MB) …")
    target = _downloaded_path(environment)
    with _temporary_neighbour(target) as folder:
        try:
            asyncio.run(asyncio.wait_for(_sdk_download(folder), DOWNLOAD_TIMEOUT.total_seconds()))
            binary = max(folder.iterdir(), key=lambda path: path.stat().st_size)
        except (RuntimeError, OSError, ValueError) as error:
            raise UnusableError(f"the SDK's download failed: {error!r}") from error
        inspect(binary, "")
        binary.replace(target)
    return inspect(target, "downloaded by the SDK")


def _check_download_location() -> None:
    import httpx  # noqa: PLC0415  # only a download needs it, and finding a cached engine should be quick

    query = {"platform": "linux", "arch": "amd64"}
    timeout = httpx.Timeout(10, connect=3)
    try:
        url = f"https://temporal.download/cli/{PINNED_CLI_VERSION}"
        httpx.get(url, params=query, timeout=timeout).raise_for_status()
    except httpx.HTTPError as error:
        raise UnusableError(f"the SDK's download location does not answer: {error}") from error


async def _sdk_download(folder: Path) -> None:
    from temporalio.testing import WorkflowEnvironment  # noqa: PLC0415  # as httpx above

    server = await WorkflowEnvironment.start_local(  # pyright: ignore[reportUnknownMemberType]  # the SDK leaves a type parameter out
        dev_server_download_version=PINNED_CLI_VERSION, download_dest_dir=str(folder)
    )
    await server.shutdown()


def build(environment: Environment, say: Say) -> Engine:
    """Compiles the server in `engine/` from pinned, checksummed Go modules."""
    if not SOURCE_DIRECTORY.is_dir():
        raise UnusableError(f"its source is not here ({SOURCE_DIRECTORY}); it comes with a checkout")
    go = _find_go(environment)
    target = _built_path(environment)
    say(
        f"Building the Temporal server with {go}. The first time, this fetches 210 Go modules and compiles\n"
        "about 1,800 packages: 4 to 12 minutes on two cores, 3.5 GB in Go's caches. Later: seconds."
    )
    with _temporary_neighbour(target) as folder:
        binary, log = folder / target.name, folder / "build.log"
        with _go_build(go, binary, log, environment) as process:
            exit_code = _wait_for_build(process, log, say)
        if exit_code != 0:
            raise UnusableError(f"`go build` failed:\n{_last_words(log)}")
        inspect(binary, "")
        binary.replace(target)
    return inspect(target, "built from engine/")


def _find_go(environment: Environment) -> str:
    search = os.pathsep.join([environment.get("PATH", ""), "/usr/local/go/bin"])
    go = shutil.which("go", path=search)
    if go is None:
        raise UnusableError(f"no `go` on PATH or in /usr/local/go/bin; needed is Go {OLDEST_GO} or newer")
    return go


@contextmanager
def _go_build(go: str, binary: Path, log: Path, environment: Environment) -> Generator[subprocess.Popen[bytes]]:
    options = ["-v", "-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags=-s -w"]
    with log.open("w") as stream:
        process = subprocess.Popen(  # noqa: S603  # fixed arguments, no shell
            [go, "build", *options, "-o", str(binary), "."],
            cwd=SOURCE_DIRECTORY,
            env={**environment, "CGO_ENABLED": "0"},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def _wait_for_build(process: subprocess.Popen[bytes], log: Path, say: Say) -> int:
    started = time.monotonic()
    while True:
        try:
            return process.wait(BUILD_PROGRESS_EVERY.total_seconds())
        except subprocess.TimeoutExpired:
            say(_progress(log, time.monotonic() - started))


def _progress(log: Path, elapsed_seconds: float) -> str:
    lines = log.read_text(errors="replace").splitlines()
    fetched = sum(line.startswith("go: downloading ") for line in lines)
    return f"  … {elapsed_seconds:.0f} s: {fetched} modules fetched, {len(lines) - fetched} packages compiled"


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    complaints = [line for line in lines if " " in line and not line.startswith("go: downloading ")]
    return "\n".join(f"      {line}" for line in complaints[-12:]) or "      (it said nothing)"


def engine_cache(environment: Environment) -> Path:
    """The folder that keeps engines between set-ups."""
    home = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or "~").expanduser() / ".cache"
    return Path(home) / "holdfast" / "engine"


def _machine() -> str:
    return f"{sys.platform}-{platform.machine()}"


def _downloaded_path(environment: Environment) -> Path:
    return engine_cache(environment) / f"cli-{PINNED_CLI_VERSION}-{_machine()}" / "temporal"


def _built_path(environment: Environment) -> Path:
    digest = hashlib.sha256(_machine().encode())
    for source in sorted([*SOURCE_DIRECTORY.glob("*.go"), *SOURCE_DIRECTORY.glob("go.*")]):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return engine_cache(environment) / digest.hexdigest()[:16] / "holdfast-temporal"


@contextmanager
def _temporary_neighbour(target: Path) -> Generator[Path]:
    """Gives a folder on the target's file system, so that a finished file can be moved there in one step.

    To be used under `only_one_at_a_time`: what is there already was left by a set-up that was killed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for abandoned in target.parent.glob("unfinished-*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=target.parent) as folder:
        yield Path(folder)


@contextmanager
def only_one_at_a_time(environment: Environment, say: Say) -> Generator[None]:
    """Lets one process obtain an engine while the others wait for it."""
    folder = engine_cache(environment)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another set-up is obtaining the engine; waiting for it …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
