from collections.abc import AsyncIterator, Iterator

import pytest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.testing import WorkflowEnvironment

from holdfast.adapters.temporal.conversion import DATA_CONVERTER
from workers.engine import (
    DYNAMIC_CONFIG,
    TIME_SKIPPING_CONFIG,
    Engine,
    dynamic_config_arguments,
    find_engine,
    server_environment,
)
from workers.settings import SEARCH_ATTRIBUTES


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The Temporal server that scripts/setup obtained."""
    return find_engine()


@pytest.fixture(scope="session")
async def temporal(
    engine: Engine, monkeypatch_session: pytest.MonkeyPatch
) -> AsyncIterator[WorkflowEnvironment]:
    """A real server for the whole session, in memory, that can skip time."""
    for name, value in server_environment().items():
        monkeypatch_session.setenv(name, value)
    settings = {**DYNAMIC_CONFIG, **TIME_SKIPPING_CONFIG}
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(engine.path),
        dev_server_extra_args=dynamic_config_arguments(settings),
        data_converter=DATA_CONVERTER,
        search_attributes=[SearchAttributeKey.for_keyword(name) for name in SEARCH_ATTRIBUTES],
    ) as environment:
        yield environment


@pytest.fixture(scope="session")
def client(temporal: WorkflowEnvironment) -> Client:
    return temporal.client


@pytest.fixture(scope="session")
def monkeypatch_session() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch
