"""Waiting for whatever comes first: an event, or a moment."""

from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import workflow


async def until(happened: Callable[[], bool], moment: datetime | None) -> None:
    """Wait until it happened, or until the moment if there is one."""
    timeout = None if moment is None else max(moment - workflow.now(), timedelta(0))
    try:
        await workflow.wait_condition(happened, timeout=timeout)
    except TimeoutError:
        return
