"""Obtains the other generators, pinned, from their registries into a cache outside the repository."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.places import CACHE

_WRK_ROOT = CACHE / "wrk-root"
# Debian's package and the one library it needs that is not on every machine.
_WRK_PACKAGES = ("wrk", "libluajit2-5.1-2")


@dataclass(frozen=True)
class Installed:
    """One generator that can be had.

    Attributes:
        version: what is pinned; empty where the distribution says which.
        binary: where it is once it is there.
        commands: what installs it, in the cache's folder; a word is a glob where it holds a `*`.
        needs: programs without which it cannot be installed.
        environment: what it needs to run, besides ours.
    """

    version: str
    binary: Path
    commands: tuple[tuple[str, ...], ...]
    needs: tuple[str, ...]
    environment: Mapping[str, str]

    @property
    def missing(self) -> str:
        """Say why it is not there, or nothing."""
        if self.binary.exists():
            return ""
        lacking = [name for name in self.needs if not shutil.which(name)]
        return f"not installed: needs {', '.join(lacking)}" if lacking else "not installed: run with --install"


def _uv() -> str:
    ours = CACHE.parent / "uv" / "bin" / "uv"
    return str(ours) if ours.exists() else "uv"


PEERS: Mapping[str, Installed] = {
    "oha": Installed(
        version="1.16.0",
        binary=CACHE / "bin" / "oha",
        commands=(("cargo", "install", "oha", "--version", "1.16.0", "--locked", "--root", str(CACHE)),),
        needs=("cargo",),
        environment={},
    ),
    "k6": Installed(
        version="1.8.1",
        binary=CACHE / "bin" / "k6",
        commands=(("env", f"GOBIN={CACHE / 'bin'}", "go", "install", "go.k6.io/k6@v1.8.1"),),
        needs=("go",),
        environment={"K6_NO_USAGE_REPORT": "true"},
    ),
    "Locust": Installed(
        version="2.47.0",
        binary=CACHE / "locust" / "bin" / "locust",
        commands=(
            (_uv(), "venv", "--python", "3.11", str(CACHE / "locust")),
            (_uv(), "pip", "install", "--python", str(CACHE / "locust" / "bin" / "python"), "locust==2.47.0"),
        ),
        needs=(_uv(),),
        environment={},
    ),
    "wrk": Installed(
        version="4.1.0",
        binary=_WRK_ROOT / "usr" / "bin" / "wrk",
        commands=(
            ("apt-get", "download", *_WRK_PACKAGES),
            *(("dpkg", "-x", f"{name}_*.deb", str(_WRK_ROOT)) for name in _WRK_PACKAGES),
        ),
        needs=("apt-get", "dpkg"),
        environment={"LD_LIBRARY_PATH": str(_WRK_ROOT / "usr" / "lib" / "x86_64-linux-gnu")},
    ),
}

# Named in every table, so that nobody thinks it was forgotten.
NOT_TO_BE_HAD: Mapping[str, str] = {
    "wrk2": "not installable here: Debian, crates.io, npm and PyPI do not have it",
}


def install() -> None:
    """Install what is missing; one that fails is said and left out."""
    CACHE.mkdir(parents=True, exist_ok=True)
    for name, peer in PEERS.items():
        if not peer.missing:
            continue
        try:
            for command in peer.commands:
                subprocess.run(_spread(command), cwd=CACHE, check=True, env=os.environ | {"GOFLAGS": "-p=1"})
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{name} could not be installed: {error}")


def _spread(command: Sequence[str]) -> list[str]:
    return [found for word in command for found in (_globbed(word) if "*" in word else [word])]


def _globbed(word: str) -> list[str]:
    return [str(path) for path in sorted(CACHE.glob(word))[-1:]] or [word]
