"""Fixes, teams and what a fix unblocks, as files say it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.domain.errors import RunbookInvalid
from holdfast.domain.people import People
from holdfast.runbook.library import RunbookLibrary
from holdfast.runbook.loader import load_people, load_rollout
from holdfast.runbook.plan import describe_urgency, systems_of_all
from holdfast.runbook.review import review

VALID = (Path(__file__).parent / "example.yaml").read_text()
OWNED = {"shop": {"title": "Shop", "owner": ["oncall", "vera"]}}


def people(directory: Path, teams: dict[str, Any]) -> People:
    everybody = [
        {"name": "anna", "title": "Anna", "roles": ["oncall", "sre-lead", "crm-owner"]},
        {"name": "vera", "title": "Vera"},
    ]
    path = directory / "people.yaml"
    path.write_text(yaml.safe_dump({"people": everybody, "teams": teams}, sort_keys=False))
    return load_people(path)


def rollout(directory: Path, lines: str) -> Any:
    path = directory / "example.yaml"
    path.write_text(f"{VALID}\n{lines}")
    return load_rollout(path)


def test_files_that_say_nothing_of_it_are_planned_work_of_nobody(tmp_path: Path) -> None:
    spec = rollout(tmp_path, "").spec
    assert (spec.fix, spec.team, spec.unblocks) == (False, "", "")
    assert describe_urgency(spec, people(tmp_path, OWNED)) == ""
    assert people(tmp_path, {}).teams == {}


def test_only_a_fix_unblocks_anybody(tmp_path: Path) -> None:
    with pytest.raises(RunbookInvalid, match=r"'unblocks' belongs to a fix: add 'fix: true', or leave it out"):
        rollout(tmp_path, "unblocks: orders\n")
    assert rollout(tmp_path, "fix: true\nunblocks: orders\n").spec.unblocks == "orders"


def test_an_unknown_team_is_told_by_line_and_field(tmp_path: Path) -> None:
    loaded = rollout(tmp_path, "team: shpo\n")
    line = len(VALID.splitlines()) + 2
    with pytest.raises(RunbookInvalid) as caught:
        review(loaded.spec, people(tmp_path, OWNED), source=loaded.source)
    assert f"example.yaml:{line}: team: there is no team 'shpo' in people.yaml; known: shop" in str(
        caught.value
    )


def test_an_owner_that_nobody_is_is_told_by_line_and_field(tmp_path: Path) -> None:
    with pytest.raises(RunbookInvalid) as caught:
        people(tmp_path, {"shop": {"title": "Shop", "owner": ["oncall", "oncal"]}})
    path = tmp_path / "people.yaml"
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if text.strip() == "- oncal")
    assert f"{path}:{line}: teams.shop.owner.1: nobody in people.yaml has the role" in str(caught.value)


def test_a_team_needs_an_owner(tmp_path: Path) -> None:
    with pytest.raises(RunbookInvalid, match=r"teams\.shop\.owner"):
        people(tmp_path, {"shop": {"title": "Shop", "owner": []}})


def test_the_plan_says_whose_work_it_is_and_what_it_unblocks(tmp_path: Path) -> None:
    known = people(tmp_path, OWNED)
    fix = rollout(tmp_path, "fix: true\nteam: shop\nunblocks: customers can order\n").spec
    assert describe_urgency(fix, known) == (
        "an urgent fix of the team Shop (decided about by anna, vera); it unblocks: customers can order"
    )
    assert describe_urgency(rollout(tmp_path, "team: shop\n").spec, known) == (
        "planned work of the team Shop (decided about by anna, vera)"
    )


def test_what_was_signed_of_a_stage_does_not_depend_on_these_fields(tmp_path: Path) -> None:
    plain = rollout(tmp_path, "").spec
    urgent = rollout(tmp_path, "fix: true\nteam: shop\nunblocks: orders\n").spec
    assert [stage.facts() for stage in urgent.stages] == [stage.facts() for stage in plain.stages]


def test_the_shipped_fix_and_the_shipped_planned_work_have_teams_with_different_owners() -> None:
    library = RunbookLibrary([Path(__file__).resolve().parents[2] / "runbooks"])
    fix, planned = (library.rollout(name).spec for name in ("support-surge", "ticket-tiers"))
    assert (fix.fix, bool(fix.unblocks), planned.fix) == (True, True, False)
    owners = [library.people().holding(library.people().teams[spec.team].owner) for spec in (fix, planned)]
    assert owners[0] != owners[1]
    assert "shop" in systems_of_all(planned)
