"""What a load test is made of its file, its campaign and whoever starts it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.domain.errors import InvalidInput, RunbookInvalid, UnknownName
from holdfast.ports.runs import LoadRequest
from holdfast.runbook.library import RunbookLibrary
from holdfast.runbook.load_plan import LoadPlan, plan_load
from tests.loadgen.load_figures import load_test
from tests.temporal.campaign_files import campaign, library

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.fixture
def files(tmp_path: Path) -> RunbookLibrary:
    write(tmp_path, "journeys")
    write(tmp_path, "others")
    return library(tmp_path, campaign("sale", opens="2026-12-11T10:00:00+03:00"))


def write(directory: Path, name: str, **more: Any) -> None:
    spec = load_test(name=name, starters=["lead"], **more).model_dump(mode="json", by_alias=True)
    (directory / "load").mkdir(exist_ok=True)
    filled = {key: value for key, value in spec.items() if value not in (None, [])}
    for step in filled["scenarios"][0]["steps"]:
        for key in [key for key, value in step.items() if value is None]:
            del step[key]
        for key in [key for key, value in step["http"].items() if value is None]:
            del step["http"][key]
    (directory / "load" / f"{name}.yaml").write_text(yaml.safe_dump(filled))


def plan(files: RunbookLibrary, *, by_run: bool = False, **request: Any) -> LoadPlan:
    wanted = {"runbook": "journeys", "requested_by": "boris"} | request
    return plan_load(files, LoadRequest.model_validate(wanted), now=NOW, by_run=by_run)


def test_a_campaigns_peak_replaces_the_phases(files: RunbookLibrary) -> None:
    made = plan(files, campaign="sale", requested_by="anna")
    assert made.highest == 60
    assert made.spec.lasts == timedelta(minutes=12)
    assert [phase.name for phase in made.spec.all_phases] == ["25 %", "50 %", "75 %", "100 %"]
    assert made.campaign is not None
    assert (made.campaign.owner, made.campaign.limits) == (("boris",), "Half.")
    assert made.may_stop == ("anna", "boris")
    assert made.guards == ["load:journeys", "campaign-test:sale"]


def test_a_rate_and_a_length_make_one_phase_of_a_test_without_a_campaign(files: RunbookLibrary) -> None:
    made = plan(files, rate=20, lasts=timedelta(seconds=30))
    assert [(phase.rate, phase.lasts) for phase in made.spec.phases] == [(20, timedelta(seconds=30))]
    assert plan(files, lasts=timedelta(seconds=5)).highest == 10
    with pytest.raises(InvalidInput, match=r"^lasts, rate: the phases reach 5000 sessions a second, above"):
        plan(files, rate=5000)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"requested_by": "anna"}, "'anna' may not start 'journeys'; those who may: boris"),
        ({"campaign": "sale", "rate": 1}, "a campaign's test is made as its file says"),
        ({"campaign": "sale", "runbook": "others"}, "campaign 'sale' is tested by 'journeys', not by 'others'"),
    ],
)
def test_what_is_not_to_be_is_refused_with_the_remedy(
    files: RunbookLibrary, request_: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        plan(files, **request_)


def test_a_stranger_is_not_known_but_a_campaigns_run_may_start_it_for_anybody(files: RunbookLibrary) -> None:
    with pytest.raises(UnknownName, match="unknown person 'nobody'"):
        plan(files, requested_by="nobody", campaign="sale")
    assert plan(files, requested_by="gleb", campaign="sale", by_run=True).skip == ""


def test_a_peak_above_the_tests_ceiling_names_both(files: RunbookLibrary, tmp_path: Path) -> None:
    write(tmp_path, "journeys", ceilings={"rate": 50, "for": "1h"})
    with pytest.raises(RunbookInvalid, match=r"campaign 'sale': load_test.peak: the phases reach 60 sessions"):
        plan(files, campaign="sale", requested_by="anna")


def test_only_a_scheduled_test_heeds_the_schedule(files: RunbookLibrary, tmp_path: Path) -> None:
    always = [{"begins": "00:00", "ends": "00:00"}]
    library(tmp_path, campaign("sale", opens="2026-12-11T10:00:00+03:00", blackouts=always))
    assert plan(files, campaign="sale", requested_by="anna").skip == ""
    scheduled = plan(files, campaign="sale", requested_by="schedule", schedule="holdfast-load-sale")
    assert scheduled.skip == "it is in the blackout 00:00–00:00"
