"""A worker that writes once and is killed meanwhile; started as a module, with a directory and the write."""

import asyncio
import sys
from pathlib import Path

from holdfast.domain.journal import Write
from tests.command.tool import Told, Tool

if __name__ == "__main__":
    asyncio.run(Tool(Path(sys.argv[1])).provider().write(Write.model_validate_json(sys.argv[2]), Told()))
