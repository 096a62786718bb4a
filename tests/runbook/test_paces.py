"""A pace must watch a share long enough for its scoring model to stop anything."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from holdfast.runbook.kinds.rollout import RolloutSpec
from holdfast.runbook.loader import load_rollout

VALID = load_rollout(Path(__file__).parent / "example.yaml").spec
PACE = VALID.paces["default"]


def with_pace(*, verdicts: int, bad: int, model: str = "weighted", name: str = "default") -> RolloutSpec:
    """Return the example with a pace that takes so many verdicts, the first at the window's beginning."""
    window = max(timedelta(minutes=verdicts - 1), timedelta(seconds=59))
    interval = timedelta(minutes=1) if verdicts > 1 else timedelta(seconds=59)
    facts: dict[str, Any] = VALID.model_dump()
    changed = PACE.model_copy(update={"window": window, "interval": interval})
    facts["paces"] = {"default": PACE.model_dump(), name: changed.model_dump()}
    facts["scoring"] |= {"model": model, "shadow": [], "hysteresis": {"bad": bad, "of": max(bad, 3)}}
    return RolloutSpec.model_validate(facts)


@pytest.mark.parametrize("model", ["weighted", "attributed"])
def test_a_window_that_takes_fewer_verdicts_than_must_be_bad_is_refused(model: str) -> None:
    with pytest.raises(ValidationError) as caught:
        with_pace(verdicts=4, bad=5, model=model, name="hasty")

    assert (
        "paces.hasty: its window takes 4 verdicts, and hysteresis asks for 5 bad ones: make it at least 240s"
    ) in str(caught.value)


@pytest.mark.parametrize("model", ["weighted", "attributed"])
def test_a_window_that_takes_as_many_is_accepted(model: str) -> None:
    assert with_pace(verdicts=5, bad=5, model=model).scoring.hysteresis.bad == 5


def test_a_model_that_stops_at_once_may_watch_for_a_single_interval() -> None:
    assert with_pace(verdicts=2, bad=9, model="weighted-seed").paces["default"].window == timedelta(minutes=1)


def test_the_judge_watches_on_until_it_has_enough_points_whatever_the_window() -> None:
    assert with_pace(verdicts=4, bad=9, model="judge").paces["default"].window == timedelta(minutes=3)


def test_the_hysteresis_of_a_detector_is_asked_too() -> None:
    facts: dict[str, Any] = VALID.model_dump()
    facts["paces"] = {"default": PACE.model_copy(update={"window": timedelta(minutes=4)}).model_dump()}
    facts["scoring"] |= {"model": "weighted", "shadow": []}
    for each in facts["scoring"]["metrics"].values():
        each["detector"] = {"kind": "fixed", "limit": 1.0, "hysteresis": {"bad": 9, "of": 9}}

    with pytest.raises(ValidationError, match="9 bad ones"):
        RolloutSpec.model_validate(facts)
