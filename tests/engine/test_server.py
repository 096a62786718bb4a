import asyncio
import shutil
import signal
import sqlite3
import time
from datetime import timedelta

import httpx
import pytest
from temporalio import workflow
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.engine.servers import PATIENCE_SECONDS, free_port, refusal, serving
from workers.engine import TIME_SKIPPING_CONFIG, dynamic_config_arguments

SEVERITY = SearchAttributeKey.for_keyword("Severity")


@workflow.defn
class SixtyDayWait:
    @workflow.run
    async def run(self) -> str:
        await workflow.sleep(timedelta(days=60))
        return "signed"


async def start_waiting(client: Client, workflow_id: str) -> None:
    """Starts a run that no worker serves, and signals it."""
    handle = await client.start_workflow(
        "Waiting",
        id=workflow_id,
        task_queue="nobody",
        search_attributes=TypedSearchAttributes([SearchAttributePair(SEVERITY, "SEV1")]),
    )
    await handle.signal("approve", {"by": "alice"})


async def signals_of(client: Client, workflow_id: str) -> list[str]:
    events = client.get_workflow_handle(workflow_id).fetch_history_events()
    return [
        event.workflow_execution_signaled_event_attributes.signal_name
        async for event in events
        if event.HasField("workflow_execution_signaled_event_attributes")
    ]


async def test_a_killed_server_has_every_run_again_after_its_restart(engine, tmp_path):
    database = tmp_path / "50% of what? all.db"
    async with serving(engine, db_path=database, search_attributes={"Severity": "Keyword"}) as server:
        await start_waiting(server.client, "rollout-1")
        server.process.kill()
        await server.process.wait()

    async with serving(engine, db_path=database, search_attributes={"Severity": "Keyword"}) as server:
        description = await server.client.get_workflow_handle("rollout-1").describe()
        assert description.status == WorkflowExecutionStatus.RUNNING
        assert description.typed_search_attributes[SEVERITY] == "SEV1"
        assert await signals_of(server.client, "rollout-1") == ["approve"]


async def test_a_search_attribute_of_a_newer_release_is_added_to_an_older_database(own_engine, tmp_path):
    database = tmp_path / "engine.db"
    async with serving(own_engine, db_path=database, search_attributes={"Stage": "Keyword"}):
        pass

    attributes = {"Severity": "Keyword", "Shares": "Int"}
    async with serving(own_engine, db_path=database, search_attributes=attributes) as server:
        await start_waiting(server.client, "incident-1")
        answer = await server.client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace="default")
        )
        assert {"Stage", "Severity", "Shares"} <= set(answer.custom_attributes)


async def test_a_search_attribute_cannot_change_its_type(own_engine, tmp_path):
    database = tmp_path / "engine.db"
    async with serving(own_engine, db_path=database, search_attributes={"Severity": "Keyword"}):
        pass

    start = ["server", "start-dev", "--headless", "--port", str(free_port()), "--db-filename", str(database)]
    code, complaint = await refusal(own_engine, *start, "--search-attribute", "Severity=Int")
    assert code == 1
    assert "search attribute Severity is a Keyword in this database, not a Int" in complaint


async def test_sigterm_stops_the_server_in_order_and_leaves_one_complete_file(own_engine, tmp_path):
    database = tmp_path / "engine.db"
    async with serving(own_engine, db_path=database, search_attributes={"Severity": "Keyword"}) as server:
        await start_waiting(server.client, "rollout-1")
        server.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(server.process.wait(), PATIENCE_SECONDS) == 0

    backup = shutil.copy(database, tmp_path / "backup.db")
    async with serving(own_engine, db_path=backup) as server:
        assert await signals_of(server.client, "rollout-1") == ["approve"]


async def test_a_second_server_on_the_same_file_is_refused(own_engine, tmp_path):
    database = tmp_path / "engine.db"
    async with serving(own_engine, db_path=database):
        code, complaint = await refusal(
            own_engine,
            *("server", "start-dev", "--headless", "--port", str(free_port())),
            *("--db-filename", str(database)),
        )
    assert code == 1
    assert "another server uses this database" in complaint


async def test_a_database_of_another_program_is_left_alone(own_engine, tmp_path):
    database = tmp_path / "shop.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER)")
    connection.close()
    code, complaint = await refusal(
        own_engine,
        *("server", "start-dev", "--headless", "--port", str(free_port())),
        *("--db-filename", str(database)),
    )
    assert code == 1
    assert "database of something else (it has the table orders)" in complaint


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ("--warp-speed=9", "unknown flag --warp-speed"),
        ("--port=many", "--port"),
        ("--search-attribute=Severity=Colour", "Colour"),
        ("--dynamic-config-value=limit.blobSize.error=lots", "not JSON"),
        ("--log-level=loud", "loud"),
        ("--jwt-keys-uri=keys.json", "expected file:///PATH"),
        ("--jwt-keys-uri=file:///nowhere/keys.json", "no such file"),
        ("surplus", "surplus"),
    ],
)
async def test_a_mistaken_argument_is_named_and_exits_2(own_engine, argument, named):
    code, complaint = await refusal(own_engine, "server", "start-dev", argument)
    assert code == 2
    assert named in complaint


async def test_a_port_in_use_is_refused_with_the_flag_that_moves_it(own_engine):
    async with serving(own_engine) as server:
        code, complaint = await refusal(
            own_engine, "server", "start-dev", "--port", str(free_port()), "--ui-port", str(server.ui_port)
        )
    assert code == 1
    assert "--ui-port" in complaint
    assert str(server.ui_port) in complaint


async def test_the_ui_serves_its_page_and_reaches_the_server(engine):
    async with serving(engine) as server, httpx.AsyncClient(timeout=PATIENCE_SECONDS) as browser:
        page = await browser.get(f"http://127.0.0.1:{server.ui_port}/")
        namespace = await browser.get(f"http://127.0.0.1:{server.ui_port}/api/v1/namespaces/default")
    assert "<html" in page.text
    assert namespace.json()["namespaceInfo"]["name"] == "default"


async def test_a_sixty_day_wait_ends_in_seconds_in_virtual_time(engine):
    started = time.monotonic()
    async with (
        await WorkflowEnvironment.start_time_skipping_v2(
            dev_server_existing_path=str(engine.path),
            dev_server_extra_args=dynamic_config_arguments(TIME_SKIPPING_CONFIG),
        ) as environment,
        Worker(
            environment.client,
            task_queue="waits",
            workflows=[SixtyDayWait],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ),
    ):
        handle = await environment.client.start_workflow(SixtyDayWait.run, id="wait", task_queue="waits")
        assert await asyncio.wait_for(handle.result(), PATIENCE_SECONDS) == "signed"
        description = await handle.describe()
    assert time.monotonic() - started < PATIENCE_SECONDS
    assert description.close_time is not None
    assert description.close_time - description.start_time >= timedelta(days=60)
