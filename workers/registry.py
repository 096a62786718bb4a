"""Which workflow runs which runbook kind: a new kind adds its line here."""

import pkgutil
from typing import Any

import workflows
from workflows.campaign import Campaign
from workflows.hold import Hold
from workflows.incident import Incident
from workflows.load import LoadTest
from workflows.rollout import Rollout
from workflows.undo import Undo

# What runs need besides: no runbook starts these.
HELPERS: tuple[type[Any], ...] = (Hold, Undo)
WORKFLOWS: dict[str, type[Any]] = {
    "rollout": Rollout,
    "incident": Incident,
    "campaign": Campaign,
    "load": LoadTest,
}


def workflow_parts() -> list[str]:
    """Return the modules beside the workflows that they are made of."""
    own = {workflow.__module__ for workflow in (*WORKFLOWS.values(), *HELPERS)}
    names = (f"workflows.{module.name}" for module in pkgutil.iter_modules(workflows.__path__))
    return sorted(name for name in names if name not in own)
