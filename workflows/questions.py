"""What a rollout asks people, and what follows from each answer: the texts of its gates."""

import json
from datetime import timedelta
from typing import Any

from temporalio import workflow

from workflows.gate import GateKeeper

with workflow.unsafe.imports_passed_through():
    from activities.checks import CheckReport, Foreseen
    from activities.watching import WatchResult
    from holdfast.domain.evidence import Evidence
    from holdfast.domain.gates import Gate, Question
    from holdfast.domain.ids import digest_of
    from holdfast.domain.journal import Effect, EntryStatus, JournalEntry
    from holdfast.domain.rollback import undoing
    from holdfast.domain.signoff import Lapse, Reminders, SignOff
    from holdfast.domain.view import StageView
    from holdfast.ports.runs import UndoRequest
    from holdfast.runbook import plan as planned
    from holdfast.runbook.kinds.changes import AlembicChange
    from holdfast.runbook.kinds.rollout import Stage
    from holdfast.runbook.plan import Plan, describe_change
    from holdfast.verdict.observation import Outcome, Verdict
    from holdfast.verdict.view import to_view

# A person who sleeps is rung again after the first of these, then each time after the second.
_RING_AGAIN = (timedelta(minutes=5), timedelta(minutes=15))


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
    return gates.open(
        gate_id,
        stage.gate,
        Question(
            title=f"stage {number}, {stage.title}",
            question=f"{stage.why} {_asked_for(stage)} (now {_settings(evidence.replaced)})?"
            + _beforehand(stage)
            + (f" At worst, until it is undone or you are asked: {exposure}." if exposure else ""),
            if_approved=f"The system is checked again, then {_way(stage)}.",
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
            wanted=planned.wanted(stage),
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
                f"{_who_has_it(stage, share)}, and it is rolled back by itself if the risk rises",
                rejected="this stage is rolled back",
            ),
            approve_label="Watch again" if unclear else "Go on",
            reject_label="Roll back",
        ),
        Evidence(
            plan={"stage": stage.name, "share_percent": share},
            risk=_limits(plan) | _risk(result.verdict),
            wanted=planned.wanted(stage),
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
                stage.gate, f"{_who_has_it(stage, share)}, unwatched", rejected="this stage is rolled back"
            ),
            approve_label="Watch again",
            reject_label="Roll back",
        ),
        Evidence(
            plan={"stage": stage.name, "share_percent": share},
            risk={"why": why},
            wanted=planned.wanted(stage),
            taken_at=workflow.now(),
        ),
    )


def ask_about_no_return(
    gates: GateKeeper,
    gate_id: str,
    stage: Stage,
    effect: Effect,
    policy: SignOff,
    *,
    foreseen: list[Foreseen],
    everybodys: bool,
) -> Gate:
    """Ask before an effect that cannot be undone; `everybodys`: everybody has the rest of the stage."""
    here = next((one for one in foreseen if one.title == effect.title), None)
    rejected = (
        "the stage stays without this step, and the run ends" if everybodys else "the stage is rolled back"
    )
    return gates.open(
        gate_id,
        policy,
        Question(
            title=f"{stage.title}: point of no return",
            question=f"{effect.title}: once this is done, no rollback takes it back. Do it?",
            if_approved="It is done. A rollback after it stops there and asks a person.",
            if_rejected=f"{rejected[:1].upper()}{rejected[1:]}.",
            if_nothing=if_nothing(policy, "nothing more is changed", rejected=rejected),
        ),
        Evidence(
            plan={"stage": stage.name, "effect": effect.key},
            target=here.before if here else {},
            wanted=here.after if here else dict(effect.values),
            taken_at=workflow.now(),
        ),
    )


def ask_about_stuck_rollback(
    gates: GateKeeper,
    gate_id: str,
    stage: Stage,
    entry: JournalEntry,
    trouble: str,
    *,
    plan: Plan,
    journal: list[JournalEntry],
) -> Gate:
    """Page people about an effect that cannot be taken back: what stands, what was undone, what next."""
    final = entry.effect.lasting
    policy = _page_policy(plan, stage)
    meanwhile = "the rollback stays where it is"
    return gates.open(
        gate_id,
        policy,
        Question(
            title=f"the rollback of {stage.title} is stuck",
            question=f"{entry.forth} cannot be undone: {trouble}. {_where_it_stands(journal)} "
            + ("Undo the older ones all the same?" if final else "Try again?"),
            if_approved="What came before it is undone, too." if final else "It is tried again.",
            if_rejected="Everything stays as it is now, and the run ends."
            if final
            else "It is left as it is, and what came before it is undone.",
            if_nothing=if_nothing(policy, meanwhile, rejected=""),
            approve_label="Undo the older ones" if final else "Try again",
            reject_label="Stop here" if final else "Leave it",
        ),
        Evidence(
            plan={"stage": stage.name, "effect": entry.effect.key, "attempt": entry.attempts},
            risk={"why": trouble},
            target=entry.after,
            wanted=entry.before,
            taken_at=workflow.now(),
        ),
    )


def ask_about_undoing(gates: GateKeeper, start: UndoRequest, plan: Plan, undone: list[StageView]) -> Gate:
    """Ask one of those who may roll a run back whether it is to be undone after its end."""
    policy = SignOff(approvers=tuple(planned.may_roll_back(plan)), requester_may_approve=True)
    would_be = undoing(gates.board.view, start.to)
    ways = "; ".join(would_be.ways) or "; ".join(stage.title for stage in undone)
    beside = [f"Cannot be undone: {'; '.join(would_be.lasting)}."] if would_be.lasting else []
    beside += [f"Stays: {', '.join(stage.title for stage in would_be.stays)}."] if would_be.stays else []
    beside += ["What was written since into columns and tables that go is lost."] if would_be.schemas else []
    return gates.open(
        "undo",
        policy,
        Question(
            title=f"undo {start.run}",
            question=f"{start.requested_by} wants to undo what {start.run} did. What goes back: {ways}. "
            + (f"Why: {start.reason}. " if start.reason else "")
            + " ".join([*beside, "Undo it?"]),
            if_approved="The journal of that run is walked backwards; what others changed since is left alone.",
            if_rejected="Nothing is undone.",
            if_nothing=if_nothing(policy, "nothing is undone", rejected="nothing is undone"),
            approve_label="Undo it",
        ),
        Evidence(
            plan={"run": start.run, "to": start.to, "stages": [stage.name for stage in undone]},
            taken_at=workflow.now(),
        ),
    )


def evidence_for(plan: Plan, stage: Stage, checked: CheckReport, *, file: str = "") -> Evidence:
    """Return what a sign-off rests on; `file` is the digest of the runbook's file as it is now, if known."""
    scoring = plan.scoring
    return Evidence(
        plan={
            "stage": digest_of(stage.facts()),
            "shares_percent": list(stage.shares_percent),
            "pace": plan.pace_name,
        },
        file=file or plan.digest,
        risk={
            "scoring": digest_of(json.dumps(scoring.facts(), sort_keys=True)),
            **_limits(plan),
        },
        target=checked.whole or checked.before,
        wanted=planned.wanted(stage) | {one.line: one.way[1] for one in checked.foreseen},
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


def _page_policy(plan: Plan, stage: Stage) -> SignOff:
    """Return who is paged, and rung again until somebody answers, at night too."""
    page = plan.spec.rollback.page or (*plan.spec.starters, *stage.gate.listed)
    return SignOff(
        approvers=tuple(dict.fromkeys(page)),
        requester_may_approve=True,
        remind=Reminders(after=_RING_AGAIN[:1], then_every=_RING_AGAIN[1], in_working_hours=False),
    )


def _where_it_stands(journal: list[JournalEntry]) -> str:
    """Name what stands, what was undone and what was passed over, newest first."""
    told = {
        "Still standing": [e.forth for e in reversed(journal) if e.stands],
        "Undone": [e.back for e in reversed(journal) if e.status is EntryStatus.REVERTED],
        "Changed by others, left alone": [e.forth for e in journal if e.status is EntryStatus.DRIFTED],
        "Left by decision": [e.forth for e in journal if e.status is EntryStatus.LEFT],
    }
    return " ".join(f"{what}: {'; '.join(ways)}." for what, ways in told.items() if ways)


def _asked_for(stage: Stage) -> str:
    verb = "Set" if stage.settings and len(stage.all_changes) == 1 else "Change:"
    return f"{verb} {describe_change(stage)}"


def _beforehand(stage: Stage) -> str:
    """Say of migrations what was tried, and what will be asked once more."""
    migrations = [change for change in stage.all_changes if isinstance(change, AlembicChange)]
    tried = [change.system for change in migrations if change.point_of_no_return is None]
    lasting = [change for change in migrations if change.point_of_no_return is not None]
    said = [f" The migration of {name} was tried on a copy of its schema, there and back." for name in tried]
    for change in lasting:
        policy = change.point_of_no_return
        said.append(
            f" {change.system} to revision {change.revision} is a POINT OF NO RETURN: it is asked about once "
            f"more, just before, and signed off by {policy.describe() if policy else ''}."
        )
    return "".join(said)


def _who_has_it(stage: Stage, share: int) -> str:
    return f"the canary stays at {share} %" if stage.has_canary else "everybody goes on with it"


def _way(stage: Stage) -> str:
    shares = " % → ".join(map(str, stage.shares_percent))
    return (
        f"the canary gets {shares} % of the traffic" if shares else "everybody gets it at once and is watched"
    )


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
