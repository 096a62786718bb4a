"""Which workflow runs which runbook kind: a new kind adds its line here."""

from typing import Any

from workflows.rollout import Rollout

WORKFLOWS: dict[str, type[Any]] = {
    "rollout": Rollout,
}
