"""Writes as the activities order them."""

from typing import Any

import pytest

from holdfast.domain.journal import Effect, TargetState, Write
from holdfast.ports.changes import ChangeProvider


class AtOnce:
    """The progress of a write that is one request: nothing is kept of it."""

    memory: dict[str, str] = {}  # noqa: RUF012  nobody puts anything in
    repeated = False
    called_off = False

    def keep(self, memory: dict[str, str]) -> None:
        pytest.fail(f"one request keeps nothing for later, but it kept {memory}")


async def send(
    provider: ChangeProvider,
    endpoint: str,
    part: str,
    values: dict[str, Any],
    *,
    expected_version: int,
    key: str,
) -> TargetState:
    """Bring a part to these values under this key."""
    effect = Effect(key=key, stage="s", kind="k", endpoint=endpoint, part=part, values=values, title="t")
    return await provider.write(
        Write(effect=effect, source={}, goal=values, version=expected_version), AtOnce()
    )
