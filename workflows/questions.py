"""What a rollout asks people, and what follows from each answer: the texts of its gates."""

from typing import Any, cast

from temporalio import workflow

from workflows.gate import GateKeeper

with workflow.unsafe.imports_passed_through():
    from activities.checks import CheckReport
    from activities.watching import WatchResult
    from holdfast.domain.gates import Gate, Question
    from holdfast.runbook.kinds.rollout import Stage
    from holdfast.runbook.plan import Plan, describe_change
    from holdfast.verdict.observation import Outcome


def ask_for_sign_off(gates: GateKeeper, number: int, plan: Plan, stage: Stage, checked: CheckReport) -> Gate:
    """Ask whether the stage may begin."""
    shares = " % → ".join(map(str, stage.shares_percent))
    return gates.open(
        f"{number}-{stage.name}",
        stage.gate,
        Question(
            title=f"stage {number}, {stage.title}",
            question=f"{stage.why} Set {describe_change(stage)} (now {_settings(checked.before)})?",
            if_approved=f"The system is checked again, then the canary gets {shares} % of the traffic.",
            if_rejected="The run stops here; stages promoted before stay.",
            if_nothing="The run waits, without a deadline; nothing changes.",
        ),
        evidence=[plan.digest, stage.model_dump(mode="json"), checked.before],
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
            if_nothing="The run waits; nothing changes.",
            approve_label="Check again",
            reject_label="Stop the run",
        ),
        evidence=report.model_dump(mode="json"),
    )


def ask_about_verdict(gates: GateKeeper, gate_id: str, stage: Stage, share: int, result: WatchResult) -> Gate:
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
            if_nothing=f"The canary stays at {share} %; it is rolled back by itself if the risk rises.",
            approve_label="Watch again" if unclear else "Go on",
            reject_label="Roll back",
        ),
        evidence=result.verdict.model_dump(mode="json"),
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
            if_nothing=f"The canary stays at {share} %, unwatched.",
            approve_label="Watch again",
            reject_label="Roll back",
        ),
        evidence=[gate_id, why],
    )


def call_for(gate: Gate) -> str:
    """Return the short text that rings the approvers' phones."""
    return f"{', '.join(gate.approvers)}: your decision is asked. {gate.title}"


def sender(message: Any) -> str:
    """Name who sent a decision, as far as the message says."""
    if not isinstance(message, dict):
        return "somebody"
    said = cast("dict[str, Any]", message)
    return f"{said.get('by', 'somebody')} via {said.get('channel', 'temporal-ui')}"


def _settings(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in values.items())
