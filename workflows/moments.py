"""Moments: waiting for one, or for what happens before it; and how a clock elsewhere shows it."""

from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from zoneinfo import ZoneInfo


async def until(happened: Callable[[], bool], moment: datetime | None) -> None:
    """Wait until it happened, or until the moment if there is one."""
    timeout = None if moment is None else max(moment - workflow.now(), timedelta(0))
    try:
        await workflow.wait_condition(happened, timeout=timeout)
    except TimeoutError:
        return


def clock(at: datetime, zone: str) -> str:
    """Write a moment on the clock of a time zone with its name, e.g. `2026-12-11 10:00 MSK`."""
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M %Z}"
