"""A real Temporal server for tests and benchmarks, set up as Holdfast sets up its own."""

import os
from collections.abc import Mapping
from typing import Any

from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.testing import TimeSkipper, TimeSkippingConfig, WorkflowEnvironment

from holdfast.adapters.temporal.conversion import DATA_CONVERTER
from workers.engine import DYNAMIC_CONFIG, dynamic_config_arguments, find_engine, server_environment
from workers.settings import SEARCH_ATTRIBUTES


async def start_server(extra: Mapping[str, str] | None = None, **more: Any) -> WorkflowEnvironment:
    """Start a server in memory; leave the environment to stop it.

    Args:
        extra: dynamic configuration beside Holdfast's own.
        more: as for `WorkflowEnvironment.start_local`.
    """
    os.environ.update(server_environment())
    return await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(find_engine().path),
        dev_server_extra_args=dynamic_config_arguments({**DYNAMIC_CONFIG, **(extra or {})}),
        data_converter=DATA_CONVERTER,
        search_attributes=[
            SearchAttributeKey.for_keyword_list(name)
            if kind == "KeywordList"
            else SearchAttributeKey.for_keyword(name)
            for name, kind in SEARCH_ATTRIBUTES.items()
        ],
        **more,
    )


def time_skipper(client: Client) -> TimeSkipper:
    """Start runs whose time passes as everybody's until `fast_forward` moves it on.

    A `TimeSkipper` without a configuration skips whatever a run waits for as soon as it is idle, so a test that
    is slower than the run would find its deadlines passed.
    """
    return TimeSkipper(client, config=TimeSkippingConfig(enabled=False))
