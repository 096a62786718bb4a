"""The example that changes code, configuration and schema together, and the systems that the demo gives it."""

import stat
from pathlib import Path

import pytest

from holdfast.domain.errors import RunbookInvalid
from holdfast.runbook.kinds.rollout import has_sides
from holdfast.runbook.library import RunbookLibrary
from holdfast.runbook.review import review
from workers.demo.systems import CI_TOKEN, ShopSystems

SHIPPED = Path(__file__).resolve().parents[2] / "runbooks"


@pytest.fixture
def systems(tmp_path: Path) -> ShopSystems:
    made = ShopSystems(tmp_path / "systems", ci_port=1)
    made.make()
    return made


def test_one_stage_changes_code_configuration_and_schema_and_the_next_has_the_point_of_no_return():
    expand, contract = RunbookLibrary([SHIPPED]).rollout("ticket-tiers").spec.stages

    assert [change.kind for change in expand.all_changes] == ["alembic", "gitlab", "http_config", "command"]
    assert [has_sides(change) for change in expand.all_changes] == [False, True, True, False]
    assert contract.change.point_of_no_return.quorum == 2
    assert not contract.has_canary


def test_it_is_judged_as_support_surge_is():
    library = RunbookLibrary([SHIPPED])

    assert library.rollout("ticket-tiers").spec.scoring == library.rollout("support-surge").spec.scoring


def test_the_shipped_file_passes_its_review_with_the_systems_of_the_demo(systems):
    library = RunbookLibrary([systems.directory, SHIPPED])
    loaded = library.rollout("ticket-tiers")

    review(loaded.spec, library.people(), systems=library.systems(), source=loaded.source)
    assert library.systems_path() == systems.directory / "systems.yaml"
    without = library.systems().model_copy(update={"systems": {}})
    with pytest.raises(RunbookInvalid, match=r"there is no system 'shop-db' in systems\.yaml"):
        review(loaded.spec, library.people(), systems=without, source=loaded.source)


def test_secrets_of_the_demo_are_in_files_of_their_owner_and_nowhere_else(systems):
    secret = systems.directory / "gitlab.token"

    assert secret.read_text().strip() == CI_TOKEN
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert CI_TOKEN not in (systems.directory / "systems.yaml").read_text()


def test_the_demos_database_begins_at_the_first_revision_with_tickets(systems):
    assert systems.schema()["revision"] == "0001"
    assert len(systems.tickets()) == 5
    assert not systems.search_index()
    assert not systems.effects()
