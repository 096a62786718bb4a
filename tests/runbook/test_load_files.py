"""What a load test's file must not say."""

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from holdfast.domain.errors import RunbookInvalid
from holdfast.runbook.loader import load_load_test
from tests.loadgen.load_figures import load_test


def one(**scenario: Any) -> list[dict[str, Any]]:
    return [{"name": "all", "steps": [{"name": "ask", "http": {"target": "shop"}}], **scenario}]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"phases": [{"rate": 0, "for": "10s"}]}, "the phases begin no session"),
        (
            {"phases": [{"rate": math.inf, "for": "10s"}], "ceilings": {"rate": math.inf}},
            "should be a finite number",
        ),
        ({"phases": [], "peak": {"expected_peak": 10, "percent": []}}, "at least 1 item"),
        ({"scenarios": one(weight=math.inf)}, "should be a finite number"),
        ({"scenarios": one(variables={"item": []})}, "at least 1 item"),
        ({"targets": {"shop": {"url": "http://127.0.0.1@shop.example.com"}}}, "no name and password"),
        ({"targets": {"shop": {"url": "http://127.0.0.1/api?key=1"}}}, "behind the steps' paths"),
    ],
)
def test_what_would_make_no_load_or_another_one_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        load_test(**wrong)


def test_a_password_in_an_address_is_not_repeated_by_the_refusal(tmp_path: Path) -> None:
    file = load_test().model_dump(mode="json", by_alias=True, exclude_defaults=True)
    file["targets"]["shop"]["url"] = "http://shop:hunter2@127.0.0.1/"
    path = tmp_path / "some.yaml"
    path.write_text(yaml.safe_dump(file))
    with pytest.raises(RunbookInvalid) as refused:
        load_load_test(path)
    assert "targets.shop.url: " in str(refused.value)
    assert "hunter2" not in str(refused.value)
