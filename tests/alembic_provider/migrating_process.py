"""A worker that migrates, and can be killed.

python migrating_process.py URL SCRIPTS WRITE

It writes WRITE (JSON), prints what came out, and waits for a line before it ends. Scripts talk to the test over
the same stdin and stdout.
"""

import asyncio
import json
import sys
from pathlib import Path

from holdfast.adapters.alembic import AlembicProvider
from holdfast.domain.errors import HoldfastError
from holdfast.domain.journal import Write
from holdfast.runbook.systems import AlembicSystem, Secret


class Alone:
    memory: dict[str, str] = {}  # noqa: RUF012  nothing keeps anything here
    repeated = False
    called_off = False

    def keep(self, memory: dict[str, str]) -> None:
        raise AssertionError(f"nothing has to be kept: {memory}")


async def main(url: str, scripts: str, write: str) -> str:
    system = AlembicSystem(kind="alembic", url=Secret(env="UNUSED"), scripts=Path(scripts))
    provider = AlembicProvider({"shop-db": system}, lambda _secret: url)
    try:
        state = await provider.write(Write.model_validate_json(write), Alone())
    except HoldfastError as error:
        return f"{type(error).__name__}: {error}"
    return json.dumps(state.values)


sys.stdout.write(asyncio.run(main(*sys.argv[1:])) + "\n")
sys.stdout.flush()
sys.stdin.readline()
