"""What a failed load test asks people, and what follows from each answer."""

from temporalio import workflow

from workflows.gate import GateKeeper
from workflows.moments import clock
from workflows.questions import if_nothing

with workflow.unsafe.imports_passed_through():
    from activities.load_watching import Concluded
    from holdfast.domain import campaign_phrases as phrases
    from holdfast.domain.campaign import Go
    from holdfast.domain.evidence import Evidence
    from holdfast.domain.gates import Gate, Question
    from holdfast.runbook.load_plan import CampaignPart, LoadPlan

GATE = "failed-test"

_TOLD = 3  # what broke, what saturates, what can be carried; the rest is in the run's timeline


def ask_go(gates: GateKeeper, plan: LoadPlan, campaign: CampaignPart, test: Concluded) -> Gate:
    """Ask whether the campaign goes, does not go, or goes with limits, with the evidence in numbers."""
    return gates.open(
        GATE,
        campaign.failed,
        Question(
            title=f"{campaign.title}: the load test has failed",
            question="Does the campaign go?",
            if_approved="The campaign goes as planned, although the test has failed.",
            if_rejected="The campaign does not go on this test; another one has to be passed.",
            if_nothing=if_nothing(
                campaign.failed, "the campaign has no test to go on", rejected="the campaign does not go"
            ),
            approve_label="Go",
            reject_label="No-go",
            limit_label="Go with limits",
            if_limited=f"The campaign goes with limits: {campaign.limits.rstrip('.')}.",
            facts=_facts(plan, campaign, test),
        ),
        Evidence(
            plan={"campaign": campaign.name, "limits": campaign.limits, "opens": campaign.opens.isoformat()},
            file=campaign.digest,
            risk={"test": test.line.run, **test.numbers},
            taken_at=workflow.now(),
        ),
    )


def _facts(plan: LoadPlan, campaign: CampaignPart, test: Concluded) -> list[str]:
    wanted = [phrases.FACT_WANTED.format(value=f"{plan.highest:g}")] if plan.spec.peak else []
    opens = phrases.FACT_OPENS.format(at=clock(campaign.opens, campaign.time_zone))
    return [*test.sentences[:_TOLD], *wanted, opens]


def decided(gate: Gate) -> Go:
    """Return what an answered gate means."""
    if gate.limited:
        return Go.LIMITS
    return Go.GO if gate.goes_on else Go.NO_GO


def deciders(gate: Gate) -> str:
    """Name those who decided; the deadline where nobody did."""
    return ", ".join(dict.fromkeys(decision.by for decision in gate.decisions)) or "the deadline"
