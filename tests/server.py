"""A real Temporal server for tests and benchmarks, set up as Holdfast sets up its own."""

import os
from collections.abc import Mapping
from typing import Any

from temporalio.common import SearchAttributeKey
from temporalio.testing import WorkflowEnvironment

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
