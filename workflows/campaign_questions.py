"""What a campaign asks people, and what follows from each answer: the texts of its gates."""

from collections.abc import Iterator

from temporalio import workflow

from workflows.gate import GateKeeper
from workflows.moments import clock
from workflows.questions import if_nothing

with workflow.unsafe.imports_passed_through():
    from holdfast.domain import campaign_phrases as phrases
    from holdfast.domain.campaign import Go, TestLine
    from holdfast.domain.evidence import Evidence
    from holdfast.domain.gates import Gate, Question
    from holdfast.domain.signoff import SignOff
    from holdfast.runbook.campaigns import CampaignPlan


def ask_for_sign_off(
    gates: GateKeeper, gate_id: str, plan: CampaignPlan, test: TestLine, *, again: str
) -> Gate:
    """Ask whether the window may open, with the load test as evidence."""
    spec = plan.spec
    return gates.open(
        gate_id,
        spec.sign_off,
        Question(
            title=f"sign-off of {spec.title}",
            question=f"May the window open on {clock(plan.opens, _zone(plan))}?",
            if_approved="The window opens then, is watched against the promises, and planned rollouts wait.",
            if_rejected="The campaign's run stops here: nothing is watched and nothing is frozen.",
            if_nothing=if_nothing(spec.sign_off, "nothing opens", rejected="the run stops here"),
            approve_label="Open the window",
            reject_label="Do not open it",
            facts=list(_facts(plan, test)),
        ),
        _evidence(plan, test),
        again=again,
    )


def ask_for_another_test(gates: GateKeeper, gate_id: str, plan: CampaignPlan, test: TestLine) -> Gate:
    """Ask what to do about a load test on which no window may open."""
    policy = SignOff(approvers=plan.may_answer, requester_may_approve=True, mfa="off")
    return gates.open(
        gate_id,
        policy,
        Question(
            title=f"{plan.spec.title}: no load test allows it",
            question="Test again?",
            if_approved="A load test runs at once.",
            if_rejected="The campaign's run stops here: nothing is watched and nothing is frozen.",
            if_nothing=if_nothing(policy, "the window stays shut", rejected="the run stops here"),
            approve_label="Test again",
            reject_label="Stop the run",
            facts=[*_facts(plan, test), phrases.FACT_OPENS.format(at=clock(plan.opens, _zone(plan)))],
        ),
        _evidence(plan, test),
    )


def _facts(plan: CampaignPlan, test: TestLine) -> Iterator[str]:
    """Yield what is known of the load test, against the plan, and what was decided about it."""
    asked, peak = plan.spec.load_test, plan.spec.load_test.peak
    said = test.said.rstrip(".") or str(test.verdict)
    yield phrases.FACT_TEST.format(at=clock(test.at, _zone(plan)), what=f"{said}.")
    if test.saturates:
        yield test.saturates
    wanted = {"m": f"{peak.expected_peak:g}", "high": f"{peak.highest:g}"}
    if test.capacity is None:
        yield phrases.FACT_EXPECTED.format(**wanted)
    else:
        yield phrases.FACT_CARRIED.format(n=f"{test.capacity:g}", **wanted)
    if test.go:
        yield phrases.FACT_DECIDED.format(names=test.decided_by, what=test.go)
    if test.go is Go.LIMITS:
        yield phrases.FACT_LIMITS.format(what=f"{asked.limits.rstrip('.')}.")


def _zone(plan: CampaignPlan) -> str:
    return plan.spec.client.time_zone


def _evidence(plan: CampaignPlan, test: TestLine) -> Evidence:
    risk = {
        "test": test.run,
        "verdict": test.verdict,
        "decided": test.go or "",
        "saturates": test.saturates,
        "capacity": test.capacity,
        "headroom_percent": test.headroom_percent,
    }
    return Evidence(
        plan={"opens": plan.opens.isoformat(), "closes": plan.closes.isoformat()},
        file=plan.digest,
        risk=risk,
        taken_at=workflow.now(),
    )
