"""What a rollout asks people, and what follows from each answer: the texts of its gates."""

import json
from typing import Any

from temporalio import workflow

from workflows.gate import GateKeeper

with workflow.unsafe.imports_passed_through():
    from activities.checks import CheckReport
    from activities.watching import WatchResult
    from holdfast.domain.evidence import Evidence
    from holdfast.domain.gates import Gate, Question
    from holdfast.domain.ids import digest_of
    from holdfast.domain.signoff import Lapse, SignOff
    from holdfast.runbook.kinds.rollout import Stage
    from holdfast.runbook.plan import Plan, describe_change
    from holdfast.verdict.observation import Outcome, Verdict
    from holdfast.verdict.view import to_view


def ask_for_sign_off(
    gates: GateKeeper,
    gate_id: str,
    number: int,
    stage: Stage,
    evidence: Evidence,
    *,
    exposure: str = "",
    again: str = "",
) -> Gate:
    """Ask whether the stage may begin.

    Args:
        gates: asks and waits.
        gate_id: names the gate in this run.
        number: of the stage, from 1.
        stage: what is asked about.
        evidence: what the answer will rest on.
        exposure: the worst that the stage can do to customers, in words.
        again: what changed since it was asked before.
    """
    shares = " % → ".join(map(str, stage.shares_percent))
    return gates.open(
        gate_id,
        stage.gate,
        Question(
            title=f"stage {number}, {stage.title}",
            question=f"{stage.why} Set {describe_change(stage)} (now {_settings(evidence.replaced)})?"
            + (f" At worst, until it is undone or you are asked: {exposure}." if exposure else ""),
            if_approved=f"The system is checked again, then the canary gets {shares} % of the traffic.",
            if_rejected="The run stops here; stages promoted before stay.",
            if_nothing=if_nothing(stage.gate, "nothing changes", rejected="the run stops here"),
        ),
        evidence,
        again=again,
    )


def ask_about_problems(gates: GateKeeper, gate_id: str, stage: Stage, report: CheckReport) -> Gate:
    """Ask what to do about checks that did not pass."""
    return gates.open(
        gate_id,
        stage.gate,
        Question(
            title=f"checks before {stage.title}",
            question=f"The checks found: {'; '.join(report.problems)}. Check again?",
            if_approved="The checks are run again.",
            if_rejected="The run stops here; nothing of this stage was changed.",
            if_nothing=if_nothing(stage.gate, "nothing changes", rejected="the run stops here"),
            approve_label="Check again",
            reject_label="Stop the run",
        ),
        Evidence(
            plan={"stage": stage.name},
            risk={"problems": report.problems},
            target=report.whole or report.before,
            wanted=dict(stage.change.set),
            taken_at=workflow.now(),
        ),
    )


def ask_about_verdict(
    gates: GateKeeper, gate_id: str, stage: Stage, share: int, result: WatchResult, *, plan: Plan
) -> Gate:
    """Ask whether to go on with a canary about which the verdict is in doubt."""
    unclear = result.outcome is Outcome.INCONCLUSIVE
    return gates.open(
        gate_id,
        stage.gate,
        Question(
            title=f"{stage.title} at {share} %: {'no clear data' if unclear else 'a look is needed'}",
            question=f"{result.reason} {'Watch this share again?' if unclear else 'Go on?'}",
            if_approved="This share is watched again." if unclear else "The rollout goes on to its next step.",
            if_rejected="This stage is rolled back by the journal and the run ends.",
            if_nothing=if_nothing(
                stage.gate,
                f"the canary stays at {share} %, and is rolled back by itself if the risk rises",
                rejected="this stage is rolled back",
            ),
            approve_label="Watch again" if unclear else "Go on",
            reject_label="Roll back",
        ),
        Evidence(
            plan={"stage": stage.name, "share_percent": share},
            risk=_limits(plan) | _risk(result.verdict),
            wanted=dict(stage.change.set),
            taken_at=workflow.now(),
        ),
    )


def ask_about_blindness(gates: GateKeeper, gate_id: str, stage: Stage, share: int, why: str) -> Gate:
    """Ask what to do with a canary that cannot be watched."""
    return gates.open(
        gate_id,
        stage.gate,
        Question(
            title=f"{stage.title} at {share} %: it cannot be watched",
            question=f"No verdict can be taken: {why}. Watch this share again?",
            if_approved="This share is watched again.",
            if_rejected="This stage is rolled back by the journal and the run ends.",
            if_nothing=if_nothing(
                stage.gate, f"the canary stays at {share} %, unwatched", rejected="this stage is rolled back"
            ),
            approve_label="Watch again",
            reject_label="Roll back",
        ),
        Evidence(
            plan={"stage": stage.name, "share_percent": share},
            risk={"why": why},
            wanted=dict(stage.change.set),
            taken_at=workflow.now(),
        ),
    )


def evidence_for(plan: Plan, stage: Stage, checked: CheckReport, *, file: str = "") -> Evidence:
    """Return what a sign-off rests on; `file` is the digest of the runbook's file as it is now, if known."""
    scoring = plan.scoring
    return Evidence(
        plan={
            "stage": digest_of(stage.model_dump_json()),
            "shares_percent": list(stage.shares_percent),
            "pace": plan.pace_name,
        },
        file=file or plan.digest,
        risk={
            "scoring": digest_of(json.dumps(scoring.facts(), sort_keys=True)),
            **_limits(plan),
        },
        target=checked.whole or checked.before,
        wanted=dict(stage.change.set),
        taken_at=workflow.now(),
    )


def if_nothing(policy: SignOff, meanwhile: str, *, rejected: str) -> str:
    """Say what happens when nobody answers."""
    if policy.deadline is None:
        return f"The run waits, without a deadline; {meanwhile}."
    meanings = {
        Lapse.HOLD: "the run goes on waiting and says that it is overdue",
        Lapse.REJECT: f"it counts as rejected: {rejected}",
        Lapse.ROLLBACK: "everything that this run has promoted is rolled back too",
        Lapse.PROCEED: "it counts as approved, and the run goes on",
    }
    return f"Until the deadline {meanwhile}; after it {meanings[policy.deadline.then]}."


def call_for(gate: Gate) -> str:
    """Return the short text that rings the approvers' phones."""
    return f"{', '.join(gate.approvers)}: your decision is asked. {gate.title}"


def _limits(plan: Plan) -> dict[str, Any]:
    return {
        "continue_up_to_percent": plan.scoring.continue_up_to_percent,
        "pause_up_to_percent": plan.scoring.pause_up_to_percent,
    }


def _risk(verdict: Verdict) -> dict[str, Any]:
    shown = to_view(verdict)
    numbers = {line.metric: f"{line.value} ({line.level})" for line in shown.lines}
    return {"outcome": shown.outcome, "risk": shown.risk, "share_percent": shown.share_percent, **numbers}


def _settings(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in values.items())
