"""A CI system without a face, in the test's own event loop."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from holdfast.sim.ci.engine import Ci, CiSettings

Began = Callable[..., AbstractAsyncContextManager[Ci]]


@asynccontextmanager
async def _began(**settings: Any) -> AsyncGenerator[Ci]:
    quick: dict[str, Any] = {"queue_seconds": 0.01, "job_seconds": 0.05, "cancel_seconds": 0.01}
    ci = Ci(CiSettings.model_validate({"token": "secret", **quick, **settings}))
    try:
        yield ci
    finally:
        await ci.close()


@pytest.fixture
def began() -> Began:
    """Begin a CI system with these settings; it is closed with the context."""
    return _began


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  the engine tells nobody that it moved
            await asyncio.sleep(0.002)


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], Any]:
    return until
