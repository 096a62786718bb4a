import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.runbook.campaigns import review_campaign
from holdfast.runbook.duty import Duty
from holdfast.runbook.library import RunbookLibrary
from holdfast.runbook.load_review import review_load, review_test_of
from holdfast.runbook.loader import (
    LoadedRunbook,
    load_campaign,
    load_commands,
    load_duty,
    load_incident,
    load_load_test,
    load_policies,
    load_priorities,
    load_rollout,
    load_systems,
)
from holdfast.runbook.on_call_review import review_duty, review_incident, review_policies
from holdfast.runbook.policies import Policies
from holdfast.runbook.review import review
from holdfast.runbook.schema import MODELS, schema_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = "write-a-runbook.md"
ON_CALL = "on-call.md"
OUTBOX = "outbox.md"
# Of the kinds of files that have a page of their own.
PAGES = {
    "systems": "changes.md",
    "priorities": OUTBOX,
    **dict.fromkeys(("duty", "policies", "commands"), ON_CALL),
}
# And a second page for some of their fields.
MORE_PAGES = {"campaign": "slos.md"}
WHOLE_RUNBOOK = re.compile(r"^kind: rollout$.*^stages:$", re.MULTILINE | re.DOTALL)


def text_of(page: str) -> str:
    return (ROOT / "docs" / page).read_text()


def fields_of(kind: str) -> Iterator[str]:
    schema = schema_of(kind)
    for definition in (schema, *schema.get("$defs", {}).values()):
        yield from definition.get("properties", {})


def examples_of(page: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", text_of(page), re.DOTALL)


FIELDS = sorted({(kind, name) for kind in MODELS for name in fields_of(kind)})


@pytest.mark.parametrize(("kind", "field"), FIELDS)
def test_every_field_of_every_kind_is_explained_on_the_page(kind: str, field: str) -> None:
    pages = [PAGES.get(kind, PAGE), *([MORE_PAGES[kind]] if kind in MORE_PAGES else [])]
    lines = [line for page in pages for line in text_of(page).splitlines() if line.startswith("|")]
    in_tables = re.findall(r"`([^`]+)`", "\n".join(lines))
    explained = {part for name in in_tables for part in re.split(r"[.\[\]<>]+", name)}
    # Explained by their own fields.
    whole = {"people", "paces", "scoring", "metrics", "baseline", "stages", "rotas", "policies"}

    assert field in explained | whole


def test_every_yaml_example_on_the_page_is_yaml() -> None:
    examples: list[Any] = [
        yaml.safe_load(text) for page in (PAGE, ON_CALL, OUTBOX, "changes.md") for text in examples_of(page)
    ]

    assert sum(isinstance(example, dict) for example in examples) >= 14


def test_every_whole_runbook_on_the_page_is_valid(tmp_path: Path) -> None:
    library = RunbookLibrary([ROOT / "runbooks"])
    whole = [
        text
        for text in examples_of(PAGE)
        if re.search(r"^kind: rollout$.*^stages:$", text, re.MULTILINE | re.DOTALL)
    ]
    for number, text in enumerate(whole):
        path = tmp_path / str(number) / f"{yaml.safe_load(text)['name']}.yaml"
        path.parent.mkdir()
        path.write_text(text)
        loaded = load_rollout(path)
        review(loaded.spec, library.people(), systems=library.systems(), source=loaded.source)

    assert whole


def test_every_whole_load_test_and_campaign_on_the_pages_is_valid(tmp_path: Path) -> None:
    library = RunbookLibrary([ROOT / "runbooks"])
    people, seen = library.people(), set[str]()
    for text in [text for page in (PAGE, "load-tests.md", "campaigns.md") for text in examples_of(page)]:
        path = tmp_path / f"{len(seen)}/{(re.findall('^name: (.*)$', text, re.MULTILINE) or ['none'])[0]}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        if text.startswith("kind: load"):
            test = load_load_test(path)
            review_load(test.spec, people, source=test.source)
            seen.add("load")
        elif text.startswith("kind: campaign"):
            campaign = load_campaign(path)
            review_campaign(campaign.spec, people, library, source=campaign.source)
            review_test_of(campaign.spec, library, source=campaign.source)
            seen.add("campaign")

    assert seen == {"load", "campaign"}


def test_every_whole_file_on_the_page_of_on_call_is_valid(tmp_path: Path) -> None:
    library = RunbookLibrary([ROOT / "runbooks"])
    loads = {
        "rotas": load_duty,
        "policies": load_policies,
        "tiers": load_priorities,
        "commands": load_commands,
        "kind": load_incident,
    }
    seen: set[str] = set()
    for text in [
        *examples_of(ON_CALL),
        *examples_of(OUTBOX),
        *(t for t in examples_of(PAGE) if t.startswith("kind: incident")),
    ]:
        first = text.split(":")[0]
        path = tmp_path / f"{yaml.safe_load(text).get('name', first)}.yaml"
        path.write_text(text)
        loaded = loads[first](path)
        if isinstance(loaded, Duty):
            review_duty(loaded.rotas, library.people())
        if isinstance(loaded, Policies):
            review_policies(loaded.policies, library.people(), library.duty())
        if isinstance(loaded, LoadedRunbook):
            review_incident(loaded.spec, library.people(), library.policies())
        seen.add(first)

    assert seen == set(loads)


def test_every_example_of_systems_is_valid(tmp_path: Path) -> None:
    kinds: set[str] = set()
    for text in examples_of("changes.md"):
        if text.startswith("systems:"):
            path = tmp_path / "systems.yaml"
            path.write_text(text)
            kinds |= {system.kind for system in load_systems(path).systems.values()}

    assert kinds == {"http_config", "gitlab", "github", "jenkins", "alembic", "command"}
