import json
import re
from pathlib import Path

import pytest

from holdfast.domain.errors import UnknownName
from holdfast.runbook.kinds.table import KINDS
from holdfast.runbook.library import RunbookLibrary
from holdfast.runbook.schema import MODELS, schema_of, schema_text, write_schemas

ROOT = Path(__file__).resolve().parents[2]
FILES = [*(ROOT / "runbooks").rglob("*.yaml"), *(ROOT / "workers/demo/runbooks").rglob("*.yaml")]


@pytest.mark.parametrize("kind", MODELS)
def test_the_committed_schema_is_the_one_of_the_model(kind):
    committed = (ROOT / f"runbooks/schemas/{kind}.json").read_text()

    assert committed == schema_text(kind), "stale: run `holdfast schema --write`"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_every_yaml_file_names_its_schema_to_editors(path):
    first_line = path.read_text().splitlines()[0]

    named = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first_line)
    assert named
    kind = path.parent.name if path.parent.name in KINDS else path.stem
    assert (path.parent / named[1]).resolve() == ROOT / f"runbooks/schemas/{kind}.json"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_an_example_and_a_page(kind):
    library = RunbookLibrary([ROOT / "runbooks"])

    assert any(library.path(name).parent.name == kind for name in library.names())
    assert f"kind: {kind}" in (ROOT / "docs/write-a-runbook.md").read_text()


def test_editors_see_durations_and_explanations_as_people_write_them():
    window = schema_of("rollout")["$defs"]["BaselineSpec"]["properties"]["window"]

    assert window["default"] == "7d"
    assert re.match(window["pattern"], "10m")
    assert window["description"].startswith("how far back to look")


def test_editors_see_what_a_base_class_says_of_its_fields_but_the_own_words_first():
    definitions = schema_of("systems")["$defs"]

    gitlab = definitions["GitLabSystem"]["properties"]
    assert gitlab["project"]["description"] == "its path (`shop/bot`) or number."
    assert gitlab["token"]["description"] == "the worker's access."
    assert "Attributes" not in json.dumps(definitions)


def test_a_duration_that_may_be_left_out_is_explained_like_any_other():
    optional = schema_of("rollout")["$defs"]["PipelineChange"]["properties"]["apply_for"]

    assert optional["anyOf"][0]["examples"] == ["90s", "10m", "2h", "7d"]
    assert '"gt": "' not in schema_text("rollout")


def test_a_span_that_may_be_nothing_is_explained_like_a_duration():
    offset = schema_of("priorities")["$defs"]["Kind"]["properties"]["offset"]

    assert offset["default"] == "0s"
    assert re.match(offset["pattern"], "15s")
    assert '"ge": "' not in schema_text("priorities")


def test_editors_accept_a_beginning_of_turns_with_and_without_an_offset():
    begins = schema_of("duty")["$defs"]["Rota"]["properties"]["begins"]

    assert "format" not in begins
    assert all(re.match(begins["pattern"], text) for text in ("2026-11-16T10:00", "2026-11-16T10:00:00+03:00"))


def test_writing_schemas_makes_one_file_a_kind(tmp_path):
    paths = write_schemas(tmp_path / "schemas")

    others = {"people", "systems", "commands", "duty", "policies", "priorities"}
    assert {p.stem for p in paths} == {*KINDS, *others}
    assert all(json.loads(p.read_text())["title"] for p in paths)


def test_an_unknown_kind_lists_the_known_ones():
    with pytest.raises(
        UnknownName, match="known: campaign, commands, duty, incident, load, people, policies, priorities"
    ):
        schema_of("campain")
