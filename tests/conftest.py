from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from tests.server import start_server
from workers.engine import TIME_SKIPPING_CONFIG, Engine, find_engine


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The Temporal server that scripts/setup obtained."""
    return find_engine()


@pytest.fixture(scope="session")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    """A real server for the whole session, in memory, that can skip time."""
    async with await start_server(TIME_SKIPPING_CONFIG) as environment:
        yield environment


@pytest.fixture(scope="session")
def client(temporal: WorkflowEnvironment) -> Client:
    return temporal.client
