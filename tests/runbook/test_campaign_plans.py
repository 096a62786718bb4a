"""A campaign pinned into a run: who may start it, what is checked, what the run carries."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.domain.errors import DecisionRefused, InvalidInput, RunbookInvalid, UnknownName
from holdfast.ports.runs import CampaignRequest
from holdfast.runbook.campaigns import MAY_NOT_START, CampaignPlan, plan_campaign, review_campaign
from holdfast.runbook.library import RunbookLibrary
from holdfast.runbook.load_review import review_load, review_test_of

SHIPPED = Path(__file__).resolve().parents[2] / "runbooks"
DEMO = SHIPPED.parent / "workers/demo/runbooks"


def request(**changes: object) -> CampaignRequest:
    return CampaignRequest.model_validate({"runbook": "autumn-sale", "requested_by": "boris"} | changes)


def edited(directory: Path, old: str, new: str) -> RunbookLibrary:
    """Return the shipped files, with a text of the campaign replaced."""
    text = (SHIPPED / "campaign/autumn-sale.yaml").read_text()
    assert old in text
    (directory / "campaign").mkdir()
    (directory / "campaign/autumn-sale.yaml").write_text(text.replace(old, new))
    return RunbookLibrary([directory, SHIPPED])


def test_a_plan_pins_the_file_the_people_and_who_may_answer() -> None:
    library = RunbookLibrary([SHIPPED])

    plan = plan_campaign(library, request())

    assert plan.digest == library.campaign("autumn-sale").digest
    assert plan.owners == ("boris",)
    assert plan.may_answer == ("anna", "boris", "gleb")
    assert plan.opens == datetime(2026, 12, 11, 7, tzinfo=UTC)  # 10:00 in Moscow
    assert plan.closes - plan.opens == timedelta(days=3)
    assert CampaignPlan.model_validate_json(plan.model_dump_json(by_alias=True)) == plan


def test_another_window_counts_in_place_of_the_files() -> None:
    opens = datetime(2027, 1, 2, 7, tzinfo=UTC)

    plan = plan_campaign(RunbookLibrary([SHIPPED]), request(opens=opens, closes=opens + timedelta(hours=1)))

    assert (plan.opens, plan.closes) == (opens, opens + timedelta(hours=1))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"runbook": "spring"}, "unknown runbook 'spring'; known: autumn-sale"),
        ({"runbook": "support-surge"}, "unknown runbook 'support-surge'; known: autumn-sale"),
        ({"requested_by": "olga"}, "unknown person 'olga'; known: anna, boris, gleb, vera"),
    ],
)
def test_an_unknown_name_lists_the_known_ones(changes: dict[str, object], text: str) -> None:
    with pytest.raises(UnknownName, match=text):
        plan_campaign(RunbookLibrary([SHIPPED]), request(**changes))


def test_whoever_may_not_start_it_is_told_who_may() -> None:
    with pytest.raises(DecisionRefused, match="those who may: anna, boris, gleb") as refused:
        plan_campaign(RunbookLibrary([SHIPPED]), request(requested_by="vera"))

    assert refused.value.answer == MAY_NOT_START


def test_a_window_that_closes_before_it_opens_is_refused() -> None:
    early = datetime(2026, 12, 1, tzinfo=UTC)

    with pytest.raises(InvalidInput, match="before it opens at 2026-12-11"):
        plan_campaign(RunbookLibrary([SHIPPED]), request(closes=early))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("starters: [oncall, sre-lead,", "starters: [oncal, sre-lead,", "starters.0: nobody in people.yaml"),
        (
            "owner: sre-lead",
            "owner: nobody",
            "owner: nobody in people.yaml has the role, group or name 'nobody'",
        ),
        (
            "approvers: [sre-lead, support-head]\n",
            "approvers: [sre-lead, support-head]\n    quorum: 3\n",
            "load_test.failed: more approvals are asked for than there are people who may give them",
        ),
        (
            "{any: 1, of: [support-head]}",
            "{any: 2, of: [support-head]}",
            "sign_off: more approvals are asked for",
        ),
        ("runbook: customer-journeys", "runbook: nothing", "load_test.runbook: there is no runbook 'nothing'"),
        (
            "incident: customer-impact",
            "incident: x",
            "response.incident: there is no runbook 'x' of kind incident",
        ),
        (
            "candidates: [support-head]}",
            "candidates: [x]}",
            "response.roles.communications.candidates.0: nobody",
        ),
        (
            'candidates: [sre-lead, "rota:oncall"]',
            'candidates: [sre-lead, "rota:x"]',
            "response.roles.commander.candidates.1: there is no rota 'x' in duty.yaml; known: crm, oncall",
        ),
    ],
)
def test_the_review_finds_what_no_field_shows_alone(tmp_path: Path, old: str, new: str, problem: str) -> None:
    library = edited(tmp_path, old, new)
    loaded = library.campaign("autumn-sale")

    with pytest.raises(RunbookInvalid) as caught:
        review_campaign(loaded.spec, library.people(), library, source=loaded.source)
    assert problem in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/campaign/autumn-sale.yaml:")

    with pytest.raises(RunbookInvalid, match=r"^runbook 'autumn-sale': "):
        review_campaign(loaded.spec, library.people(), library)
    with pytest.raises(RunbookInvalid):  # and nothing is started with it
        plan_campaign(library, request())


def test_every_shipped_campaign_and_load_test_passes_its_review() -> None:
    library = RunbookLibrary([SHIPPED, DEMO])
    people = library.people()

    for name in library.names("campaign"):
        campaign = library.campaign(name)
        review_campaign(campaign.spec, people, library, source=campaign.source)
        review_test_of(campaign.spec, library, source=campaign.source)
        assert campaign.spec.name == name
    for name in library.names("load"):
        test = library.load_test(name)
        review_load(test.spec, people, source=test.source)
        assert test.spec.name == name
