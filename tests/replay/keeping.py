"""Writes histories down."""

from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHandle


async def keep(handle: WorkflowHandle[Any, Any], path: Path) -> None:
    """Write the history of a run."""
    path.parent.mkdir(exist_ok=True)
    path.write_text((await handle.fetch_history()).to_json())  # noqa: ASYNC240  nothing else goes on
