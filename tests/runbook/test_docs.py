import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.runbook.schema import MODELS, schema_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/write-a-runbook.md").read_text()


def fields_of(kind: str) -> Iterator[str]:
    schema = schema_of(kind)
    for definition in (schema, *schema["$defs"].values()):
        yield from definition.get("properties", {})


@pytest.mark.parametrize("field", sorted({name for kind in MODELS for name in fields_of(kind)}))
def test_every_field_of_every_kind_is_explained_on_the_page(field):
    in_tables = re.findall(r"`([^`]+)`", "\n".join(line for line in PAGE.splitlines() if line.startswith("|")))
    explained = {part for name in in_tables for part in re.split(r"[.\[\]<>]+", name)}
    whole = {"people", "paces", "scoring", "metrics", "baseline", "stages"}  # explained by their own fields

    assert field in explained | whole


def test_every_yaml_example_on_the_page_is_yaml():
    examples: list[Any] = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]

    assert sum(isinstance(example, dict) for example in examples) >= 6
