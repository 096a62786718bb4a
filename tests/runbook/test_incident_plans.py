from pathlib import Path

import pytest

from holdfast.domain.errors import DecisionRefused, InvalidInput, UnknownName
from holdfast.ports.runs import IncidentRequest
from holdfast.runbook.incidents import MAY_NOT_OPEN, IncidentPlan, plan_incident
from holdfast.runbook.library import RunbookLibrary

SHIPPED = Path(__file__).resolve().parents[2] / "runbooks"


def request(**changes: object) -> IncidentRequest:
    given = {"runbook": "customer-impact", "requested_by": "anna", "title": "CRM is slow"}
    return IncidentRequest.model_validate(given | changes)


def edited(directory: Path, **files: tuple[str, str]) -> RunbookLibrary:
    """Return the shipped files, of which some have a text replaced; `policies` stands for its path."""
    paths = {
        "policies": "escalation/policies.yaml",
        "duty": "escalation/duty.yaml",
        "incident": "incident/customer-impact.yaml",
    }
    for name, (old, new) in files.items():
        text = (SHIPPED / paths[name]).read_text()
        assert old in text
        path = directory / paths[name]
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace(old, new))
    return RunbookLibrary([directory, SHIPPED])


def test_a_plan_pins_the_runbook_its_policy_and_the_people() -> None:
    library = RunbookLibrary([SHIPPED])

    plan = plan_incident(library, request(tier="Gold", value=250_000))

    assert (plan.tier, plan.value, plan.warnings) == ("gold", 250_000, ())
    assert plan.digest == library.incident("customer-impact").digest
    assert plan.policy == library.policies()["customer"]
    assert plan.responders == ("anna", "boris", "vera", "gleb")
    assert IncidentPlan.model_validate_json(plan.model_dump_json()) == plan


def test_without_a_tier_it_is_the_default_one() -> None:
    assert plan_incident(RunbookLibrary([SHIPPED]), request()).tier == "silver"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"runbook": "outage"}, "unknown runbook 'outage'; known: customer-impact"),
        ({"runbook": "support-surge"}, "unknown runbook 'support-surge'; known: customer-impact"),
        ({"requested_by": "olga"}, "unknown person 'olga'; known: anna, boris, gleb, vera"),
        ({"tier": "platinum"}, "unknown customer tier 'platinum'; known: bronze, gold, silver"),
    ],
)
def test_an_unknown_name_lists_the_known_ones(changes: dict[str, object], text: str) -> None:
    with pytest.raises(UnknownName) as caught:
        plan_incident(RunbookLibrary([SHIPPED]), request(**changes))

    assert str(caught.value) == text


@pytest.mark.parametrize("value", [-1, float("inf"), float("nan")])
def test_a_value_is_an_amount(value: float) -> None:
    with pytest.raises(InvalidInput, match=r"value: .+ is no amount; write the order's value"):
        plan_incident(RunbookLibrary([SHIPPED]), request(value=value))


def test_who_may_not_open_it_is_told_who_may(tmp_path: Path) -> None:
    openers = "[oncall, sre-lead, crm-owner, support-head]\n\n# Which"
    library = edited(tmp_path, incident=(openers, "[boris, vera]\n\n# Which"))

    with pytest.raises(DecisionRefused) as caught:
        plan_incident(library, request())

    assert str(caught.value) == (
        "'anna' may not open 'customer-impact'; those who may: boris, vera. Ask one of them."
    )
    assert caught.value.answer == MAY_NOT_OPEN


@pytest.mark.parametrize(
    ("mistake", "warning"),
    [
        ({"incident": ("escalation: customer", "escalation: quick")}, "there is no policy 'quick'"),
        ({"policies": ("rounds:", "turns:")}, "the escalation policies cannot be read"),
    ],
)
def test_without_its_policy_an_incident_calls_everybody_who_may_answer(
    tmp_path: Path, mistake: dict[str, tuple[str, str]], warning: str
) -> None:
    plan = plan_incident(edited(tmp_path, **mistake), request())

    assert [set(step.page) >= {"oncall", "sre-lead"} for step in plan.policy.steps] == [True]
    assert any(warning in said for said in plan.warnings)
    assert any("these are called: oncall" in said for said in plan.warnings)


def test_other_mistakes_in_the_files_keep_nobody_from_opening_an_incident(tmp_path: Path) -> None:
    library = edited(
        tmp_path,
        policies=("[support-head]", "[head-of-support]"),
        duty=("[anna, boris]", "[anna, olga]"),
        incident=("responders: [oncall,", "responders: [on-call,"),
    )

    plan = plan_incident(library, request())

    assert [warning.partition(": ")[0] for warning in plan.warnings] == [
        "responders.0",
        "policies.customer.steps.2.page.0",
        "rotas.oncall.members.1",
    ]
