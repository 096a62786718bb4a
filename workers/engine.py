"""Holdfast's Temporal server ("the engine") and Prometheus: where they are, and with which settings to run."""

import argparse
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from workers import engine_sources
from workers.engine_sources import Engine, Environment, Say, UnusableError, Version

__all__ = [
    "DYNAMIC_CONFIG",
    "TIME_SKIPPING_CONFIG",
    "Attempt",
    "Engine",
    "EngineMissing",
    "PrometheusMissing",
    "Version",
    "dynamic_config_arguments",
    "find_engine",
    "find_prometheus",
    "obtain_engine",
    "server_command",
    "server_environment",
]

DYNAMIC_CONFIG: Final[Mapping[str, str]] = {
    # With the default of 20 polls a second an approval takes 0.1 s longer when several come at once.
    "history.transferProcessorMaxPollRPS": "1000",
    "history.timerProcessorMaxPollRPS": "1000",
    "history.visibilityProcessorMaxPollRPS": "1000",
    # A share of a load test whose worker died is taken over at its timeout, not a second later.
    "history.timerProcessorMaxTimeShift": '"100ms"',
    "system.enableActivityEagerExecution": "true",
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
}
"""Server settings for a server on one machine, as dynamic configuration key to JSON."""

TIME_SKIPPING_CONFIG: Final[Mapping[str, str]] = {"frontend.WorkflowTimeSkippingEnabled": "true"}
"""Besides `DYNAMIC_CONFIG`, for tests and rehearsals: workflows may run in virtual time."""


class Attempt(NamedTuple):
    """One way that was tried, and why it gave no usable engine."""

    what: str
    why: str


class EngineMissing(Exception):
    """No usable Temporal server; the message lists what was tried and what to do."""

    def __init__(self, attempts: Sequence[Attempt]) -> None:
        self.attempts = tuple(attempts)
        tried = "\n".join(f"  - {what}: {why}" for what, why in attempts)
        super().__init__(
            f"No usable Temporal server (release {engine_sources.OLDEST_SERVER} or newer). Tried:\n{tried}\n"
            "Do one of these:\n"
            "  - run scripts/setup, which downloads or builds one;\n"
            "  - install the Temporal CLI, and have `temporal` on PATH or its path in HOLDFAST_TEMPORAL;\n"
            f"  - install Go {engine_sources.OLDEST_GO} or newer, then run scripts/setup."
        )


class PrometheusMissing(Exception):
    """No Prometheus; the message says what to install."""


def server_command(
    binary: Path,
    *,
    port: int,
    ui_port: int | None,
    db_path: Path | None,
    search_attributes: Mapping[str, str],
    namespace: str = "default",
    dynamic_config: Mapping[str, str] = DYNAMIC_CONFIG,
) -> list[str]:
    """Builds the command line of an engine on 127.0.0.1.

    Args:
        binary: The path of an `Engine`.
        port: Port of the gRPC API.
        ui_port: Port of the UI, or None for no UI.
        db_path: SQLite file that keeps everything, or None to keep it in memory. Its folder must exist.
        search_attributes: Name to type (`Keyword`, `Int`, …); those that are missing get registered.
        namespace: A namespace to have besides `default`.
        dynamic_config: Server settings as key to JSON.
    """
    ui = ["--headless"] if ui_port is None else ["--ui-ip", "127.0.0.1", "--ui-port", str(ui_port)]
    database = [] if db_path is None else ["--db-filename", str(db_path)]
    attributes = [f"--search-attribute={name}={kind}" for name, kind in search_attributes.items()]
    return [
        *(str(binary), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port)),
        *("--namespace", namespace, "--log-level", "warn"),
        *(ui + database + attributes + dynamic_config_arguments(dynamic_config)),
    ]


def dynamic_config_arguments(settings: Mapping[str, str]) -> list[str]:
    """Builds the arguments for `settings`, as temporalio's `dev_server_extra_args` takes them too."""
    return [part for key, value in settings.items() for part in ("--dynamic-config-value", f"{key}={value}")]


def server_environment(environment: Environment = os.environ) -> dict[str, str]:
    """Returns the environment of an engine's process; GOGC trades memory for 15 % less CPU."""
    return {"GOGC": "400", **environment}


def find_engine(environment: Environment = os.environ) -> Engine:
    """Finds an engine on this machine, without obtaining one.

    Raises:
        EngineMissing: There is none.
    """
    return _first_of(_places(environment), environment, _say_nothing)


def obtain_engine(say: Say, environment: Environment = os.environ) -> Engine:
    """Finds an engine, else downloads or builds one into the cache. May run several times at once.

    Args:
        say: Told in words what is about to happen, and how far it is.
        environment: The environment variables to go by.

    Raises:
        EngineMissing: Nothing worked.
    """
    try:
        return find_engine(environment)
    except EngineMissing:
        if environment.get("HOLDFAST_TEMPORAL"):
            raise
    with engine_sources.only_one_at_a_time(environment, say):
        ways = {
            **_places(environment),
            f"download of the Temporal CLI {engine_sources.PINNED_CLI_VERSION}": engine_sources.download,
            "build from engine/": engine_sources.build,
        }
        return _first_of(ways, environment, say)


def find_prometheus(environment: Environment = os.environ) -> Path:
    """Finds the Prometheus server that HOLDFAST_PROMETHEUS names, else the one on PATH.

    Raises:
        PrometheusMissing: There is none.
    """
    wanted = environment.get("HOLDFAST_PROMETHEUS") or "prometheus"
    if found := shutil.which(wanted, path=environment.get("PATH", "")):
        return Path(found).absolute()
    raise PrometheusMissing(
        f"{wanted} is not an executable on this machine. Install Prometheus (Debian and Ubuntu: "
        "`apt-get install --no-install-recommends prometheus`), or set HOLDFAST_PROMETHEUS to its path."
    )


def _places(environment: Environment) -> dict[str, engine_sources.Source]:
    chosen: dict[str, engine_sources.Source] = {"HOLDFAST_TEMPORAL": engine_sources.configured}
    if environment.get("HOLDFAST_TEMPORAL"):
        # Who names a binary wants that one, and to be told when it does not serve.
        return chosen
    return chosen | {"`temporal` on PATH": engine_sources.on_path, "cache": engine_sources.cached}


def _first_of(ways: Mapping[str, engine_sources.Source], environment: Environment, say: Say) -> Engine:
    attempts: list[Attempt] = []
    for what, way in ways.items():
        try:
            return way(environment, say)
        except UnusableError as error:
            attempts.append(Attempt(what, str(error)))
    raise EngineMissing(attempts)


def _say_nothing(_line: str) -> None: ...


def _say_aloud(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def main() -> int:
    """Obtains the engine, or with `--find` only prints the path of one that is there. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m workers.engine", description=main.__doc__)
    parser.add_argument("--find", action="store_true", help="only print the path of an engine that is there")
    only_find: bool = parser.parse_args().find
    try:
        engine = find_engine() if only_find else obtain_engine(_say_aloud)
    except EngineMissing as error:
        _say_aloud(str(error))
        return 1
    described = f"Temporal server {engine.version}, {engine.origin}: {engine.path}"
    sys.stdout.write(f"{engine.path if only_find else described}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
