"""What a campaign asks people, and what follows from each answer: the texts of its gates."""

from datetime import UTC

from temporalio import workflow

from workflows.gate import GateKeeper
from workflows.questions import if_nothing

with workflow.unsafe.imports_passed_through():
    from holdfast.domain.campaign import Go, TestLine
    from holdfast.domain.evidence import Evidence
    from holdfast.domain.gates import Gate, Question
    from holdfast.domain.signoff import SignOff
    from holdfast.runbook.campaigns import CampaignPlan


def ask_for_sign_off(
    gates: GateKeeper, gate_id: str, plan: CampaignPlan, test: TestLine, *, again: str
) -> Gate:
    """Ask whether the window may open, with the load test as evidence."""
    spec, peak = plan.spec, plan.spec.load_test.peak
    limits = f" It goes with limits: {spec.load_test.limits.rstrip('.')}." if test.go is Go.LIMITS else ""
    return gates.open(
        gate_id,
        spec.sign_off,
        Question(
            title=f"sign-off of {spec.title}",
            question=f"Expected: {peak.expected_peak:g} sessions a second at the peak, "
            f"{peak.highest:g} with the safety factor. {_test(test)}{limits} "
            f"May the window open on {plan.opens.astimezone(UTC):%Y-%m-%d %H:%M} UTC?",
            if_approved="The window opens then, is watched against the promises, and planned rollouts wait.",
            if_rejected="The campaign's run stops here: nothing is watched and nothing is frozen.",
            if_nothing=if_nothing(spec.sign_off, "nothing opens", rejected="the run stops here"),
            approve_label="Open the window",
            reject_label="Do not open it",
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
            question=f"{_test(test)} Test again?",
            if_approved="A load test runs at once.",
            if_rejected="The campaign's run stops here: nothing is watched and nothing is frozen.",
            if_nothing=if_nothing(policy, "the window stays shut", rejected="the run stops here"),
            approve_label="Test again",
            reject_label="Stop the run",
        ),
        _evidence(plan, test),
    )


def _test(test: TestLine) -> str:
    said = f"{test.said} {test.saturates}".strip().rstrip(".")
    decided = f" {test.decided_by} decided: {test.go}." if test.go else ""
    return f"Load test {test.run} of {test.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC: {said}.{decided}"


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
