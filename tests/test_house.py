"""The house keeps its promises: generic names are ours alone, and tables agree with folders."""

from importlib import import_module
from importlib.metadata import packages_distributions

import pytest

from workers.registry import WORKFLOWS, workflow_parts
from workers.settings import SEARCH_ATTRIBUTES
from workflows import board


@pytest.mark.parametrize("name", ["workflows", "activities", "workers"])
def test_no_dependency_claims_our_flat_package_names(name: str) -> None:
    assert set(packages_distributions().get(name, [])) <= {"holdfast"}


def test_every_search_attribute_a_run_sets_is_registered_at_the_server() -> None:
    used = {board.STATE_ATTRIBUTE.name, board.RUNBOOK_ATTRIBUTE.name, board.WAITS_FOR_ATTRIBUTE.name}
    assert used == set(SEARCH_ATTRIBUTES)


def test_every_workflow_is_registered_under_its_runbook_kind() -> None:
    names = {kind: workflow.__temporal_workflow_definition.name for kind, workflow in WORKFLOWS.items()}
    assert names == {kind: kind for kind in WORKFLOWS}


@pytest.mark.parametrize("name", workflow_parts())
def test_no_part_of_a_workflow_keeps_anything_between_runs(name: str) -> None:
    module = import_module(name)
    kept = [
        f"{name}.{key} = {value!r}"
        for key, value in vars(module).items()
        if not key.startswith("__") and isinstance(value, list | dict | set | bytearray)
    ]
    assert kept == []
