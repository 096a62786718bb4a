"""One lane of the kill sweep: its own systems, a worker that dies at its points, one run and its rollback."""

import asyncio
import json
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import yaml
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from holdfast.adapters.temporal.conversion import DATA_CONVERTER
from holdfast.adapters.temporal.runs import TemporalRuns
from holdfast.domain.decisions import RollBack
from holdfast.domain.errors import HoldfastError
from holdfast.domain.gates import Gate
from holdfast.domain.view import RunView
from holdfast.ports.runs import RolloutRequest
from tests import signing
from tests.fakes import eventually
from tests.http_config.conftest import shop_process
from tests.workflows.conftest import PEOPLE, runbook
from workers.processes import free_port
from workflows.options import RUNBOOK_QUEUE

RUN_ID = "rollout-sweep"
PATIENCE_SECONDS = 420.0
TOKEN = "glpat-of-the-sweep"
CHANGES = [
    {"kind": "alembic", "system": "tickets-db", "revision": "r2"},
    {"kind": "gitlab", "system": "shop-ci", "version": "1.5.0", "apply_for": "2m"},
    {"kind": "http_config", "set": {"bot_rate_limit_per_s": 25}},
    {"kind": "command", "system": "warm-cache", "when": "after"},
]
_REVISION = '''
"""{revision}"""
from alembic import op
import sqlalchemy as sa
revision, down_revision = "{revision}", {down}

def upgrade():
    op.create_table("{table}", sa.Column("id", sa.Integer, primary_key=True))
    op.add_column("tickets", sa.Column("{column}", sa.Text)) if "{column}" else None

def downgrade():
    op.drop_column("tickets", "{column}") if "{column}" else None
    op.drop_table("{table}")
'''
# The command: counts each time that it really does something, by the key under which it was run.
_TOOL = """
import os, pathlib, sys
folder = pathlib.Path(__file__).parent
state, log = folder / "tool.state", folder / "tool.log"
if sys.argv[1] == "state":
    print(state.read_text() if state.exists() else "off")
else:
    with log.open("a") as file:
        file.write(os.environ["HOLDFAST_KEY"] + "\\n")
    state.write_text(sys.argv[1])
"""


@dataclass
class Seen:
    """What a lane's systems show, and how often each effect has happened there."""

    state: dict[str, Any]
    effects: Counter[str]


@dataclass
class Lane:
    """A run, its systems, and a worker that is started again whenever it is dead."""

    folder: Path
    client: Client
    shop: str = ""
    ci: str = ""

    @property
    def runs(self) -> TemporalRuns:
        async def connect() -> Client:
            return self.client

        return TemporalRuns(connect, task_queue=RUNBOOK_QUEUE, address="the test server")

    def deaths(self) -> list[str]:
        """Points at which the worker has died, in order."""
        path = self.folder / "deaths"
        return path.read_text().split() if path.exists() else []

    def points(self) -> list[str]:
        """Points that were reached, each once, in order."""
        return list(dict.fromkeys((self.folder / "points").read_text().split()))

    async def keep_working(self, environment: dict[str, str]) -> None:
        """Run the worker, again whenever it has died, until cancelled."""
        while True:
            with (self.folder / "worker.log").open("ab") as log:
                worker = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "tests.system.sweep_worker", str(self.folder),
                    env=environment, stdout=log, stderr=log,
                )  # fmt: skip
            try:
                await worker.wait()
            finally:
                if worker.returncode is None:
                    worker.kill()
                    await worker.wait()

    async def play(self) -> tuple[Seen, Seen, RunView]:
        """Roll out and roll back; return what the systems show after each, and how the run ended."""
        await self.runs.start(RolloutRequest(runbook="sweep", requested_by="anna"), run_id=RUN_ID)
        first = await self.gate("1-all")
        await self.runs.decide(RUN_ID, signing.decision(RUN_ID, first, "boris"))
        await self.gate("2-last")
        rolled_out = await self.seen()
        await self.roll_back()
        view = RunView.model_validate((await self.runs.result(RUN_ID))["view"])
        return rolled_out, await self.seen(), view

    async def gate(self, wanted: str) -> Gate:
        async def asked() -> Gate | None:
            with suppress(HoldfastError):
                gate = (await self.runs.view(RUN_ID)).gate
                if gate is not None and gate.id != wanted:
                    raise AssertionError(f"an unforeseen question: {gate.question}")
                return gate
            return None

        found: Gate = await eventually(asked, seconds=PATIENCE_SECONDS, every=0.2)
        return found

    async def roll_back(self) -> None:
        execution = (await self.client.get_workflow_handle(RUN_ID).describe()).run_id
        said = signing.seal(RollBack(by="anna", id="sweep"), run=RUN_ID, execution=execution)
        await self.runs.roll_back(RUN_ID, said)

    async def leaks(self) -> list[str]:
        """Name where the token of the pipelines can be read: the run's history, the worker's log."""
        history = await self.client.get_workflow_handle(RUN_ID).fetch_history()
        told = {
            "history": b"".join(event.SerializeToString() for event in history.events),
            "log": (self.folder / "worker.log").read_bytes(),
        }
        return [name for name, text in told.items() if TOKEN.encode() in text]

    async def seen(self) -> Seen:
        """Look at every system, past everything of ours."""
        async with httpx.AsyncClient(trust_env=False) as web:
            config = (await web.get(f"{self.shop}/config")).json()
            written = (await web.get(f"{self.shop}/config/log")).json()
            deployed = (await web.get(f"{self.ci}/_ci/deployed")).json()
            effects = Counter((await web.get(f"{self.ci}/_ci/effects")).json())
        schema, migrated = self._database()
        tool = self.folder / "tool.state"
        state = {
            "stable": config["stable"],
            "canary": config["canary"],
            "share": config["canary_share_percent"],
            "deployed": {part: deployed[part] for part in ("canary", "stable")},
            "schema": schema,
            "command": tool.read_text() if tool.exists() else "off",
        }
        effects.update(entry["key"] for entry in written)
        effects.update(migrated)
        log = self.folder / "tool.log"
        effects.update(log.read_text().split() if log.exists() else [])
        return Seen(state, Counter({key: n for key, n in effects.items() if key.startswith(RUN_ID)}))

    def _database(self) -> tuple[list[str], list[str]]:
        with sqlite3.connect(self.folder / "tickets.sqlite") as database:
            ours = "('alembic_version', 'holdfast_changes')"
            tables = database.execute(
                f"SELECT sql FROM sqlite_master WHERE name NOT IN {ours} AND sql IS NOT NULL ORDER BY name"
            )
            schema = [*(row[0] for row in tables), *database.execute("SELECT version_num FROM alembic_version")]
            known = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'holdfast_changes'").fetchone()
            keys = database.execute("SELECT key FROM holdfast_changes").fetchall() if known else []
        database.close()
        return [str(line) for line in schema], [key for (key,) in keys]


@asynccontextmanager
async def lane(folder: Path, address: str, die_at: list[str]) -> AsyncGenerator[Lane]:
    """Bring up a lane whose worker will die at these points."""
    folder.mkdir(parents=True)  # noqa: ASYNC240  nothing else goes on here
    (folder / "die_at").write_text("\n".join(die_at))
    namespace = folder.name
    async with AsyncExitStack() as stack:
        client = await _namespace(address, namespace)
        one = Lane(folder, client)
        one.shop = await stack.enter_async_context(shop_process(folder / "shop.json"))
        one.ci = await stack.enter_async_context(_ci())
        _write_files(one)
        environment = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "HOLDFAST_TEMPORAL_ADDRESS": address,
            "HOLDFAST_TEMPORAL_NAMESPACE": namespace,
            "HOLDFAST_RUNBOOK_DIRS": json.dumps([str(folder)]),
            "HOLDFAST_STATE_DIR": str(folder / "state"),
            "SWEEP_CI_TOKEN": TOKEN,
            "SWEEP_DB_URL": f"sqlite:///{folder / 'tickets.sqlite'}",
        }
        working = asyncio.create_task(one.keep_working(environment))
        try:
            yield one
        finally:
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working


async def _namespace(address: str, name: str) -> Client:
    client = await Client.connect(address, data_converter=DATA_CONVERTER)
    retention = Duration()
    retention.FromTimedelta(timedelta(days=1))
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=retention)
    )
    own = await Client.connect(address, namespace=name, data_converter=DATA_CONVERTER)

    async def known() -> bool:  # servers learn of a new namespace a little later
        try:
            await own.count_workflows()
            return True
        except Exception:  # noqa: BLE001  whatever it says until it knows it
            return False

    await eventually(known, seconds=60, every=0.5)
    return own


@asynccontextmanager
async def _ci() -> AsyncGenerator[str]:
    port = free_port(None)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "holdfast.sim.ci", "gitlab", "--port", str(port), "--token", TOKEN,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"

    async def up() -> bool:
        with suppress(httpx.TransportError):
            async with httpx.AsyncClient(trust_env=False) as web:
                return (await web.get(f"{url}/healthz")).is_success
        return False

    try:
        await eventually(up, seconds=60, every=0.1)
        yield url
    finally:
        process.terminate()
        await process.wait()


def _write_files(one: Lane) -> None:
    folder = one.folder
    (folder / "rollout").mkdir()
    (folder / "people.yaml").write_text(yaml.safe_dump(PEOPLE))
    (folder / "systems.yaml").write_text(yaml.safe_dump({"systems": _systems(one)}))
    (folder / "rollout" / "sweep.yaml").write_text(yaml.safe_dump(_runbook()))
    (folder / "tool.py").write_text(_TOOL)
    versions = folder / "scripts" / "versions"
    versions.mkdir(parents=True)
    r1 = _REVISION.format(revision="r1", down=None, table="tickets", column="")
    (versions / "r1.py").write_text(r1)
    (versions / "r2.py").write_text(_REVISION.format(revision="r2", down="'r1'", table="parts", column="tier"))
    with sqlite3.connect(folder / "tickets.sqlite") as database:
        database.execute("CREATE TABLE tickets (id INTEGER NOT NULL, PRIMARY KEY (id))")
        database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        database.execute("INSERT INTO alembic_version VALUES ('r1')")
        database.execute("INSERT INTO tickets VALUES (17)")
    database.close()


def _systems(one: Lane) -> dict[str, Any]:
    tool = [sys.executable, str(one.folder / "tool.py")]
    return {
        "shop": {"kind": "http_config", "url": one.shop},
        "shop-ci": {
            "kind": "gitlab",
            "url": one.ci,
            "project": "shop/bot",
            "token": {"env": "SWEEP_CI_TOKEN"},
            "poll": "0.2s",
            "visible_within": "2s",
        },
        "tickets-db": {"kind": "alembic", "url": {"env": "SWEEP_DB_URL"}, "scripts": "scripts"},
        "warm-cache": {
            "kind": "command",
            "run": [*tool, "on"],
            "revert": [*tool, "off"],
            "state": [*tool, "state"],
            "done": "on",
        },
    }


def _runbook() -> dict[str, Any]:
    stages = runbook("sweep")["stages"]
    first = {"name": "all", "title": "All five", "why": "They belong together.", "changes": CHANGES}
    last = {**stages[1], "name": "last", "change": {"kind": "http_config", "set": {"crm_pool_size": 6}}}
    gate = {"approvers": ["lead"]}
    whole = runbook(
        "sweep", stages=[{**first, "gate": gate}, last], target={"endpoint": "shop", "environment": "test"}
    )
    loaded: dict[str, Any] = json.loads(json.dumps(whole))
    return loaded
