from pathlib import Path

import pytest

from holdfast.domain.errors import InvalidInput, RunbookInvalid, UnknownName
from holdfast.runbook.kinds.table import KINDS
from holdfast.runbook.library import RunbookLibrary
from holdfast.runbook.review import review

ROOT = Path(__file__).resolve().parents[2]
VALID = (Path(__file__).parent / "example.yaml").read_text()
DEMO = ROOT / "workers/demo/runbooks"
ROLLOUTS = ["support-surge", "support-surge-hasty", "ticket-tiers", "widen-crm-pool"]


@pytest.fixture
def library() -> RunbookLibrary:
    return RunbookLibrary([ROOT / "runbooks", DEMO])


def test_runbooks_are_found_by_kind_in_every_directory(library):
    assert library.names("rollout") == ROLLOUTS
    assert library.names("incident") == ["customer-impact"]
    assert library.names("campaign") == ["autumn-sale", "flash-sale"]
    assert library.names("load") == ["customer-journeys", "flash-sale-customers"]
    assert library.names() == sorted(name for kind in KINDS for name in library.names(kind))
    assert library.rollout("support-surge-hasty").path == DEMO / "rollout/support-surge-hasty.yaml"


def test_a_file_directly_in_a_directory_is_found_and_the_first_directory_counts(tmp_path):
    shipped = (ROOT / "runbooks/rollout/support-surge.yaml").read_text()
    (tmp_path / "support-surge.yaml").write_text(shipped.replace("\ntitle: ", "\ntitle: Local. "))
    library = RunbookLibrary([tmp_path, ROOT / "runbooks"])

    assert library.rollout("support-surge").spec.title.startswith("Local.")


@pytest.mark.parametrize(
    "name",
    [
        "nothing",
        "people",
        "systems",
        "commands",
        "duty",
        "customer-impact",
        "../../etc/passwd",
        "rollout/support-surge",
        "",
    ],
)
def test_an_unknown_name_lists_the_known_ones(library, name):
    with pytest.raises(UnknownName) as caught:
        library.rollout(name)

    assert str(caught.value) == f"unknown runbook '{name}'; known: {', '.join(ROLLOUTS)}"


def test_people_are_read_from_the_first_directory_that_has_them(library):
    people = RunbookLibrary([DEMO, ROOT / "runbooks"]).people()

    assert people == library.people()
    assert {p.name: p.telegram_id for p in people.people} == {
        "anna": 1001,
        "boris": 1002,
        "vera": 1003,
        "gleb": 1004,
    }


def test_a_library_without_people_says_where_it_looked(tmp_path):
    with pytest.raises(InvalidInput, match=f"no people.yaml in {tmp_path}"):
        RunbookLibrary([tmp_path]).people()


def test_every_shipped_runbook_passes_its_review(library):
    for name in library.names("rollout"):
        loaded = library.rollout(name)
        review(loaded.spec, library.people(), systems=library.systems(), source=loaded.source)
        assert loaded.spec.name == name


def test_the_hasty_runbook_differs_from_the_good_one_in_a_single_setting(library):
    good = library.rollout("support-surge").spec
    hasty = library.rollout("support-surge-hasty").spec

    assert hasty.scoring == good.scoring
    assert hasty.stages[:2] == good.stages[:2]
    assert hasty.stages[2].change.set == {
        "escalation_order": "tier_value",
        "order_value_source": "crm_each_time",
    }
    assert good.stages[2].change.set == {"escalation_order": "tier_value", "order_value_source": "ticket"}


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "starters: [oncall, sre-lead]",
            "starters: [oncal]",
            "starters.0: nobody in people.yaml has the role, group or name 'oncal'; known: anna, boris,",
        ),
        (
            "[crm-owner]",
            "[vera, nobody]",
            "stages.1.gate.approvers.1: nobody in people.yaml has the role, group or name",
        ),
        (
            "[crm-owner]",
            "[crm-owner, vera]\n      quorum: 2",
            "stages.1.gate.quorum: asks for 2 approvals by different people, but only these may approve",
        ),
        ('{side="$side"}', "", "query: does not use $side, so canary and control would always show the same"),
        ("[$window]", "[$windw]", "query: unknown placeholder $windw; known: $side, $window"),
    ],
)
def test_the_review_finds_what_no_field_shows_alone(library, tmp_path, old, new, problem):
    assert old in VALID
    (tmp_path / "example.yaml").write_text(VALID.replace(old, new, 1))
    loaded = RunbookLibrary([tmp_path]).rollout("example")

    with pytest.raises(RunbookInvalid) as caught:
        review(loaded.spec, library.people(), source=loaded.source)
    assert problem in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/example.yaml:")

    with pytest.raises(RunbookInvalid, match=r"^runbook 'example': "):
        review(loaded.spec, library.people())
