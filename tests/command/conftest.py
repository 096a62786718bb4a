import os
import sys
from pathlib import Path

import pytest

from tests.command.tool import TOOL, Tool


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    program = tmp_path / "tool"
    program.write_text(TOOL.format(python=sys.executable))
    program.chmod(0o700)
    assert os.access(program, os.X_OK)
    return Tool(tmp_path)
