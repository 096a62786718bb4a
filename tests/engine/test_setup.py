import shutil
import subprocess
from pathlib import Path

import pytest

from workers.engine_sources import SOURCE_DIRECTORY


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The script in a folder of its own, so that nothing it does reaches the real checkout."""
    (tmp_path / "checkout" / "scripts").mkdir(parents=True)
    shutil.copy(SOURCE_DIRECTORY.parent / "scripts" / "setup", tmp_path / "checkout" / "scripts")
    return tmp_path / "checkout"


def set_up(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the script from another folder, on a machine whose PATH holds only the barest tools."""
    tools = checkout.parent / "bin"
    tools.mkdir(exist_ok=True)
    for name in ("dirname", "id"):
        (tools / name).symlink_to(shutil.which(name) or name)
    return subprocess.run(
        ["/bin/bash", str(checkout / "scripts" / "setup"), *arguments],
        cwd=checkout.parent,
        env={"PATH": str(tools), "HOME": str(checkout.parent / "home"), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_on_a_machine_where_it_may_not_install_it_names_all_that_is_missing_and_changes_nothing(checkout):
    result = set_up(checkout, "--for-tests")
    assert result.returncode == 1
    line = next(line for line in result.stderr.splitlines() if "apt-get install" in line)
    wanted = {"python3", "prometheus", "prometheus-alertmanager", "chromium", "fonts-dejavu-core"}
    assert wanted <= set(line.split())
    assert "HOLDFAST_PYTHON" in result.stderr
    assert [path.name for path in checkout.iterdir()] == ["scripts"]
    assert not (checkout.parent / "home").exists()


def test_a_named_python_that_is_none_is_an_error(checkout):
    result = set_up(checkout, HOLDFAST_PYTHON="/bin/true-python")
    assert result.returncode == 1
    assert "HOLDFAST_PYTHON=/bin/true-python is no Python 3.11 or newer" in result.stderr


def test_an_unknown_argument_is_named_with_the_usage(checkout):
    result = set_up(checkout, "--everything")
    assert result.returncode == 1
    assert "unknown argument --everything" in result.stderr
    assert "usage: scripts/setup [--for-tests]" in result.stderr
