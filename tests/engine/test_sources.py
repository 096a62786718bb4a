import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.engine import EngineMissing, PrometheusMissing, Version, find_engine, find_prometheus
from workers.engine_sources import OLDEST_GO, SOURCE_DIRECTORY, parse_version

NEW = "temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)"
OLD = "temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)"
OWN = "holdfast-temporal 1.32.0 (UI 2.54.1)"

numbers = st.integers(min_value=0, max_value=9999)
releases = st.builds(Version, numbers, numbers, numbers)


def executable(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def temporal(path: Path, version_line: str) -> Path:
    return executable(path, f"echo {shlex.quote(version_line)}")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A machine with nothing on PATH, an empty cache, and a network on which every connection is refused."""
    closed = "http://127.0.0.1:1"
    return {
        "PATH": str(tmp_path / "bin"),
        "HOME": str(tmp_path),
        "HTTPS_PROXY": closed,
        "PYTHONPATH": str(SOURCE_DIRECTORY.parent / "src"),
    }


@given(releases, releases, releases)
def test_the_servers_release_is_read_from_both_kinds_of_version_line(cli, server, ui):
    assert parse_version(f"temporal version {cli} (Server {server}, UI {ui})") == server
    assert parse_version(f"holdfast-temporal {server} (UI {ui})\n") == server


@given(st.text())
def test_any_other_text_has_no_release(text):
    assert parse_version(f"version {text}") is None


@given(releases, releases)
def test_releases_compare_by_number_not_by_letter(one, other):
    assert (one < other) == ([*one] < [*other])


def test_a_named_binary_comes_before_the_one_on_path(environment, tmp_path):
    temporal(tmp_path / "bin" / "temporal", NEW)
    named = temporal(tmp_path / "named", OWN)
    engine = find_engine({**environment, "HOLDFAST_TEMPORAL": str(named)})
    assert (engine.path, engine.version) == (named, Version(1, 32, 0))


def test_a_named_binary_that_is_too_old_is_an_error_not_a_reason_to_take_another(environment, tmp_path):
    temporal(tmp_path / "bin" / "temporal", NEW)
    named = temporal(tmp_path / "named", OLD)
    with pytest.raises(EngineMissing, match=r"server 1\.29\.1, needed is 1\.30\.0") as caught:
        find_engine({**environment, "HOLDFAST_TEMPORAL": str(named)})
    assert [attempt.what for attempt in caught.value.attempts] == ["HOLDFAST_TEMPORAL"]


def test_the_temporal_on_path_is_taken_when_it_is_new_enough(environment, tmp_path):
    on_path = temporal(tmp_path / "bin" / "temporal", NEW)
    engine = find_engine(environment)
    assert (engine.path, engine.origin, engine.skips_time) == (on_path, "temporal on PATH", True)


def test_what_was_tried_is_listed_with_the_reason_and_the_remedy(environment, tmp_path):
    temporal(tmp_path / "bin" / "temporal", OLD)
    with pytest.raises(EngineMissing) as caught:
        find_engine(environment)
    message = str(caught.value)
    assert "HOLDFAST_TEMPORAL: not set" in message
    assert "`temporal` on PATH" in message
    assert "server 1.29.1, needed is 1.30.0" in message
    assert f"nothing in {tmp_path}/.cache/holdfast/engine" in message
    assert "run scripts/setup" in message


@pytest.mark.parametrize(
    ("script", "why"), [("exit 3", "does not run"), ("echo 'bash 5.2.15'", "no Temporal server")]
)
def test_a_binary_that_is_no_temporal_server_is_told_apart(environment, tmp_path, script, why):
    named = executable(tmp_path / "named", script)
    with pytest.raises(EngineMissing, match=why):
        find_engine({**environment, "HOLDFAST_TEMPORAL": str(named)})


def fake_go(tmp_path: Path, *, version_line: str = OWN, seconds: float = 0) -> Path:
    """A compiler that takes its time and notes each call; its product is a program that prints its version."""
    product = f"#!/bin/sh\\necho '{version_line}'\\n"
    return executable(
        tmp_path / "bin" / "go",
        f'echo call >> {tmp_path}/calls; while [ "$1" != -o ]; do shift; done; /bin/sleep {seconds}\n'
        f'printf "{product}" > "$2"; /bin/chmod +x "$2"',
    )


def set_up(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "workers.engine", *arguments],
        cwd=SOURCE_DIRECTORY.parent,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


def test_where_the_download_is_out_of_reach_the_server_is_built_once_and_then_found(environment, tmp_path):
    fake_go(tmp_path)
    code, output, errors = finished(set_up(environment))
    assert code == 0, errors
    assert "Temporal server 1.32.0, built from engine/" in output
    assert "4 to 12 minutes" in errors

    code, path, errors = finished(set_up(environment, "--find"))
    assert (code, errors) == (0, "")
    assert Path(path.strip()).is_relative_to(tmp_path / ".cache" / "holdfast" / "engine")
    assert (tmp_path / "calls").read_text() == "call\n"


def test_two_set_ups_at_once_build_once(environment, tmp_path):
    fake_go(tmp_path, seconds=1)
    outcomes = [finished(process) for process in [set_up(environment), set_up(environment)]]
    assert [code for code, _, _ in outcomes] == [0, 0], outcomes
    assert (tmp_path / "calls").read_text() == "call\n"
    assert sum("waiting for it" in errors for _, _, errors in outcomes) == 1


def test_a_set_up_killed_while_building_leaves_nothing_that_passes_for_an_engine(environment, tmp_path):
    fake_go(tmp_path, seconds=3)
    killed = set_up(environment)
    deadline = time.monotonic() + 30
    while not (tmp_path / "calls").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    finished(killed)

    fake_go(tmp_path)
    code, output, errors = finished(set_up(environment))
    assert code == 0, errors
    assert "built from engine/" in output
    cached = [path.name for path in (tmp_path / ".cache").rglob("*") if path.is_file()]
    assert sorted(cached) == ["holdfast-temporal", "lock"]


def test_a_failed_build_shows_the_compilers_words_after_all_that_was_tried(environment, tmp_path):
    complaint = "go: go.mod requires go >= 1.26.8 (running go 1.20.4; GOTOOLCHAIN=local)"
    executable(tmp_path / "bin" / "go", f"echo {shlex.quote(complaint)} >&2; exit 1")
    code, output, errors = finished(set_up(environment))
    assert (code, output) == (1, "")
    assert "download location does not answer" in errors
    assert complaint in errors
    assert "install Go 1.26" in errors


def test_the_go_release_people_are_told_to_install_is_the_one_the_build_demands():
    assert f"\ngo {OLDEST_GO}\n" in (SOURCE_DIRECTORY / "go.mod").read_text()


def test_prometheus_is_the_named_one_else_that_on_path_else_an_error_that_says_what_to_install(
    environment, tmp_path
):
    with pytest.raises(PrometheusMissing, match="apt-get install --no-install-recommends prometheus"):
        find_prometheus(environment)
    on_path = executable(tmp_path / "bin" / "prometheus", "exit 0")
    assert find_prometheus(environment) == on_path
    named = executable(tmp_path / "named", "exit 0")
    assert find_prometheus({**environment, "HOLDFAST_PROMETHEUS": str(named)}) == named
