"""The approval protocol in a run, on the real server: time, delegation, changed evidence, resets, records."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from holdfast.domain.decisions import Extension, Handover
from holdfast.domain.errors import DecisionRefused
from holdfast.domain.gates import Delegation, Gate
from holdfast.domain.people import People, Person
from holdfast.domain.view import RunState
from holdfast.ports.audit import AuditKind
from holdfast.ports.notices import NoticeKind
from holdfast.runbook.plan import Plan
from tests import signing
from tests.fakes import eventually
from tests.server import time_skipper
from tests.workflows.conftest import House, Run
from workflows.options import RUNBOOK_QUEUE


def one_stage(**gate: Any) -> list[dict[str, Any]]:
    return [stage("limit", {"limit": 25}, **gate)]


def stage(name: str, settings: dict[str, Any], **gate: Any) -> dict[str, Any]:
    return {
        "name": name,
        "title": f"Change {name}",
        "why": "It hurts.",
        "change": {"kind": "http_config", "set": settings},
        "gate": {"approvers": ["lead"], **gate},
    }


async def say(run: Run, update: str, said: Any) -> dict[str, Any]:
    reply: dict[str, Any] = await run.handle.execute_update(update, signing.pasted(said))
    return reply


async def refused(run: Run, update: str, said: Any) -> ApplicationError:
    with pytest.raises(WorkflowUpdateFailedError) as failure:
        await say(run, update, said)
    assert isinstance(failure.value.cause, ApplicationError)
    return failure.value.cause


def by(run: Run, gate: Gate, model: Any, name: str, **more: Any) -> Any:
    said = model(gate=gate.id, by=name, evidence=gate.evidence, proofs=("code",), **more)
    return signing.seal(said, run=run.handle.id, execution=gate.execution)


def kinds(house: House, run: Run) -> list[AuditKind]:
    return [e.kind for e in house.audit.read(run=run.handle.id)]


# --- when ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lapse", "ends"),
    [("reject", "stopped"), ("rollback", "rolled back"), ("proceed", "promoted")],
)
async def test_a_deadline_that_passes_has_the_outcome_that_the_file_says(
    house: House, lapse: str, ends: str
) -> None:
    run = await house.start(house.write(stages=one_stage(deadline={"after": "1s", "then": lapse})))
    gate = await run.gate()
    result = await run.result()
    assert result["outcome"] == ends
    with pytest.raises(DecisionRefused):
        await run.answer(gate=gate)
    view = result["view"]
    assert (view["closed_gates"][0]["state"], view["closed_gates"][0]["decisions"]) == ("expired", [])
    assert AuditKind.EXPIRY in kinds(house, run)


async def test_a_deadline_that_means_rollback_undoes_the_stages_before_too(house: House) -> None:
    stages = [
        stage("limit", {"limit": 25}),
        stage("pool", {"pool": 8}, deadline={"after": "1s", "then": "rollback"}),
    ]
    run = await house.start(house.write(stages=stages))
    before = dict(run.target.parts["stable"])
    await run.answer()
    result = await run.result()
    assert (result["outcome"], run.target.parts["stable"]) == ("rolled back", before)
    assert [s["state"] for s in result["view"]["stages"]] == ["rolled back", "rejected"]


async def test_a_gate_that_holds_stays_open_after_its_deadline_and_says_so(house: House) -> None:
    run = await house.start(house.write(stages=one_stage(deadline={"after": "1s", "then": "hold"})))
    gate = await run.gate(lambda g: g.overdue)
    assert any("overdue" in line.text for line in (await run.view()).log)
    await eventually(lambda: notified(house, run, NoticeKind.OVERDUE))
    await run.answer(gate=gate)
    assert (await run.result())["outcome"] == "promoted"


async def test_an_approval_and_the_deadline_race_to_exactly_one_outcome_and_the_loser_is_told(
    house: House,
) -> None:
    outcomes: list[tuple[str, str]] = []
    for delay in (0.6, 0.95, 1.0, 1.05, 1.2):
        run = await house.start(house.write(stages=one_stage(deadline={"after": "1s", "then": "reject"})))
        gate = await run.gate()
        opened = gate.opened_at.timestamp()
        await asyncio.sleep(max(0.0, opened + delay - datetime.now(UTC).timestamp()))
        try:
            await run.answer(gate=gate)
            told = "accepted"
        except DecisionRefused as refusal:
            told = refusal.answer
        outcomes.append((told, (await run.result())["outcome"]))
    assert set(outcomes) <= {("accepted", "promoted"), ("expired", "stopped"), ("already_decided", "stopped")}
    assert outcomes[-1][1] == "stopped"


async def test_an_extension_moves_the_deadline_and_only_those_named_may(house: House) -> None:
    policy = {"deadline": {"after": "30s", "then": "reject"}, "may_extend": ["vera"]}
    run = await house.start(house.write(stages=one_stage(**policy)))
    gate = await run.gate()
    later = datetime.now(UTC) + timedelta(days=30)

    cause = await refused(run, "extend", by(run, gate, Extension, "boris", until=later))
    assert (cause.type, "vera may" in cause.message) == ("not_an_approver", True)
    good = by(run, gate, Extension, "vera", until=later)
    forged = good.model_copy(update={"until": later + timedelta(days=1)})
    assert (await refused(run, "extend", forged)).type == "not_proven"

    reply = await say(run, "extend", by(run, gate, Extension, "vera", until=later))
    assert "is open until" in reply["text"]
    assert (await run.gate()).deadline == later
    await eventually(lambda: recorded(house, run, AuditKind.EXTENSION))
    await run.handle.cancel()


async def recorded(house: House, run: Run, kind: AuditKind) -> bool:
    return kind in kinds(house, run)


async def notified(house: House, run: Run, kind: NoticeKind) -> bool:
    return any(n.kind is kind and n.run_id == run.handle.id for _, n in house.private.notices)


# --- who ----------------------------------------------------------------------------------------------------


async def test_the_one_who_started_the_run_does_not_approve_unless_the_file_says_so(house: House) -> None:
    both = {"approvers": ["oncall", "lead"]}
    run = await house.start(house.write(stages=one_stage(**both)))
    gate = await run.gate()
    cause = await refused(run, "decide", signing.decision(run.handle.id, gate, "anna"))
    assert "who asks does not approve" in cause.message
    await run.handle.cancel()

    lifted = await house.start(house.write(stages=one_stage(**both, requester_may_approve=True)))
    await lifted.answer(by="anna")
    assert (await lifted.result())["outcome"] == "promoted"


async def test_the_second_step_is_asked_only_after_the_first_and_told_so(house: House) -> None:
    steps = [{"all_of": ["vera"]}, {"all_of": ["boris"]}]
    stages = [stage("limit", {"limit": 25}, approvers=[], steps=steps)]
    run = await house.start(house.write(stages=stages))
    gate = await run.gate()
    cause = await refused(run, "decide", signing.decision(run.handle.id, gate, "boris"))
    assert (cause.type, "vera" in cause.message) == ("not_your_turn", True)
    assert not await told(house, run, "boris")

    reply = await say(run, "decide", signing.decision(run.handle.id, gate, "vera"))
    assert reply["waiting_for"] == 1
    await eventually(lambda: told(house, run, "boris"))
    await run.answer(by="boris", gate=gate)
    assert (await run.result())["outcome"] == "promoted"


async def told(house: House, run: Run, person: str) -> bool:
    return any(to == person and n.run_id == run.handle.id for to, n in house.private.notices)


async def test_a_gate_can_be_handed_over_and_the_record_has_both_names(house: House) -> None:
    run = await house.start(house.write(stages=one_stage(approvers=["vera"])))
    gate = await run.gate()
    await say(run, "delegate", by(run, gate, Handover, "vera", to="boris"))
    await eventually(lambda: told(house, run, "boris"))
    circle = await refused(run, "delegate", by(run, gate, Handover, "boris", to="vera"))
    assert "circle" in circle.message
    await run.answer(by="boris", gate=gate)
    result = await run.result()
    [decision] = result["view"]["closed_gates"][0]["decisions"]
    assert (decision["by"], decision["on_behalf_of"], decision["how"]) == ("boris", "vera", "delegation")
    texts = [e.text for e in house.audit.read(run=run.handle.id)]
    assert any("boris for vera (delegation) said approve" in text for text in texts)


async def test_whoever_has_handed_over_all_gates_is_stood_for_at_new_ones(house: House) -> None:
    now = datetime.now(UTC)
    standing = Delegation(by="vera", to="boris", since=now - timedelta(days=1), until=now + timedelta(days=1))
    house.delegations.items.append(standing)
    try:
        run = await house.start(house.write(stages=one_stage(approvers=["vera"])))
        gate = await run.gate(lambda g: bool(g.delegations))
        await run.answer(by="boris", gate=gate)
        assert (await run.result())["outcome"] == "promoted"
    finally:
        house.delegations.items.remove(standing)


# --- what it rests on -----------------------------------------------------------------------------------------


async def test_approvals_are_void_when_the_target_has_changed_and_are_asked_again_with_what_changed(
    house: House,
) -> None:
    run = await house.start(house.write(stages=one_stage()))
    gate = await run.gate()
    for part in ("stable", "canary"):
        run.target.parts[part]["keep_alive"] = 99
    await run.answer(gate=gate)
    again = await run.gate(lambda g: g.id != gate.id)
    assert (again.id, again.token != gate.token) == ("1-limit-2", True)
    assert "keep_alive" in again.again_because
    assert "→ 99" in again.again_because

    cause = await refused(run, "decide", signing.decision(run.handle.id, gate, "boris"))
    assert (cause.type, "keep_alive" in cause.message) == ("superseded", True)
    await run.answer(gate=again)
    assert (await run.result())["outcome"] == "promoted"
    assert kinds(house, run).count(AuditKind.VOIDING) == 1


async def test_approvals_are_void_when_the_runbook_file_has_changed(house: House) -> None:
    name = house.write(stages=one_stage())
    run = await house.start(name)
    gate = await run.gate()
    path = house.directory / "rollout" / f"{name}.yaml"
    path.write_text(path.read_text() + "# edited meanwhile\n")
    await run.answer(gate=gate)
    again = await run.gate(lambda g: g.id != gate.id)
    assert "runbook file" in again.again_because
    await run.answer(gate=again)
    assert (await run.result())["outcome"] == "promoted"


async def test_evidence_that_is_too_old_is_taken_anew_and_the_approvals_before_are_void(house: House) -> None:
    run = await house.start(house.write(stages=one_stage(quorum=2, evidence_max_age="4s")))
    gate = await run.gate()
    await run.answer(by="vera", gate=gate)
    again = await run.gate(lambda g: g.id != gate.id)
    assert "older than the runbook allows; nothing else has changed" in again.again_because
    closed = (await run.view()).closed_gates[0]
    assert (closed.state, [d.by for d in closed.decisions]) == ("voided", ["vera"])
    await run.handle.cancel()


async def test_a_run_made_by_a_reset_asks_for_its_approvals_again(house: House, client: Client) -> None:
    run = await house.start(house.write(stages=one_stage()))
    gate = await run.gate()
    house.audit.down = True  # the run stands still between the approval and its first change
    await run.answer(gate=gate)
    first_task = await eventually(lambda: _task_after_update(run))
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=run.handle.id),
            reason="a test",
            workflow_task_finish_event_id=first_task,
            request_id="reset-1",
        )
    )
    house.audit.down = False
    again = await run.gate(lambda g: g.id != gate.id)
    assert "reset" in again.again_because
    assert run.target.audit == [], "nothing was changed on the old approval"
    stale = signing.decision(run.handle.id, again.model_copy(update={"execution": gate.execution}), "boris")
    assert (await refused(run, "decide", stale)).type == "not_proven"
    await run.answer(gate=again)
    assert (await client.get_workflow_handle(run.handle.id).result())["outcome"] == "promoted"


async def decided(run: Run) -> bool:
    return bool((await run.view()).closed_gates)


async def _task_after_update(run: Run) -> int | None:
    """The end of the first workflow task that began after the approval, which the copy then still has."""
    accepted, began = False, False
    async for event in run.handle.fetch_history_events():
        accepted = accepted or event.HasField("workflow_execution_update_completed_event_attributes")
        began = began or (accepted and event.HasField("workflow_task_started_event_attributes"))
        if began and event.HasField("workflow_task_completed_event_attributes"):
            return int(event.event_id)
    return None


# --- channels and records -------------------------------------------------------------------------------------


async def test_a_production_gate_takes_no_decision_without_the_second_factor(house: House) -> None:
    name = house.write(stages=one_stage())
    path = house.directory / "rollout" / f"{name}.yaml"
    path.write_text(path.read_text().replace("environment: rehearsal", "environment: production"))
    run = await house.start(name)
    gate = await run.gate()
    assert gate.mfa
    cause = await refused(run, "decide", signing.decision(run.handle.id, gate, "boris"))
    assert (cause.type, "authenticator" in cause.message) == ("code_needed", True)
    claimed = signing.decision(run.handle.id, gate, "boris").model_copy(update={"proofs": ("code", "totp")})
    assert (await refused(run, "decide", claimed)).type == "not_proven"
    await run.answer(gate=gate, proofs=("code", "totp"))
    assert (await run.result())["outcome"] == "promoted"


async def test_every_step_of_a_gate_is_on_record_before_it_is_acted_on(house: House) -> None:
    run = await house.start(house.write(stages=one_stage()))
    gate = await run.gate()
    with pytest.raises(WorkflowUpdateFailedError):
        await run.handle.execute_update("decide", {"gate": gate.id, "decision": "approve", "by": "mallory"})
    await eventually(lambda: recorded(house, run, AuditKind.REFUSAL))
    house.audit.down = True
    try:
        await run.answer(gate=gate)
        await eventually(lambda: decided(run))
        await asyncio.sleep(0.3)
        assert run.target.audit == [], "nothing is done on an approval that is not on record"
    finally:
        house.audit.down = False
    assert (await run.result())["outcome"] == "promoted"
    seen = kinds(house, run)
    assert {AuditKind.REQUEST, AuditKind.REFUSAL, AuditKind.DECISION, AuditKind.CLOSING} <= set(seen)
    assert (await house.audit.verify()).broken_at is None
    refusal = next(e for e in house.audit.read(run=run.handle.id) if e.kind is AuditKind.REFUSAL)
    assert (refusal.person, refusal.data["answer"]) == ("mallory", "not_an_approver")


async def test_messages_about_a_decided_gate_lose_their_buttons_and_say_who_decided(house: House) -> None:
    run = await house.start(house.write(stages=one_stage()))
    gate = await run.gate()
    await eventually(lambda: told(house, run, "vera"))
    await run.answer(by="boris", gate=gate)
    await run.result()

    async def retired() -> bool:
        said = [t for t in house.private.retired.values() if f"'{gate.id}'" in t and "boris said approve" in t]
        return len(said) >= 2

    await eventually(retired)


async def test_the_run_list_can_be_filtered_by_who_is_waited_for(house: House, client: Client) -> None:
    run = await house.start(house.write(stages=one_stage(approvers=["vera"])))
    gate = await run.gate()

    async def listed() -> bool:
        query = f"HoldfastWaitsFor = 'vera' AND WorkflowId = '{run.handle.id}'"
        return [w.id async for w in client.list_workflows(query)] == [run.handle.id]

    await eventually(listed)
    [waiting] = [w for w in await house.runs().waiting("vera") if w.run_id == run.handle.id]
    assert (waiting.gate.id, waiting.waiting) == (gate.id, ("vera",))
    assert run.handle.id not in [w.run_id for w in await house.runs().waiting("boris")]
    await run.answer(by="vera", gate=gate)
    await run.result()

    async def gone() -> bool:
        return not await listed()

    await eventually(gone)


async def test_the_pending_call_says_in_words_who_was_told_and_who_is_next(house: House) -> None:
    remind = {"then_every": "1d", "in_working_hours": False}
    run = await house.start(house.write(stages=one_stage(remind=remind)))
    await run.gate()

    async def waits() -> Any:
        raw = (await run.handle.describe()).raw_description
        return next((a.last_failure for a in raw.pending_activities if a.last_failure.message), None)

    failure = await eventually(waits)
    assert failure.message.startswith("Told boris, vera; next: boris, vera on ")
    assert failure.stack_trace == "", "an approver must not read a traceback"
    await run.handle.cancel()


@pytest.mark.slow
async def test_ninety_days_of_daily_reminders_to_three_people_cost_few_events(
    house: House, client: Client
) -> None:
    remind = {"after": ["1d"], "then_every": "1d", "in_working_hours": False}
    policy = {"approvers": [], "steps": [{"any": 1, "of": ["lead", "stand-in"]}], "remind": remind}
    name = house.write(stages=[stage("limit", {"limit": 25}, **policy)])
    skipper = time_skipper(client)
    handle = await skipper.client.start_workflow(
        "rollout", {"runbook": name, "requested_by": "anna"}, id=f"ninety-{name}", task_queue=RUNBOOK_QUEUE
    )
    run = Run(house, name, handle)
    gate = await run.gate()
    await eventually(lambda: told(house, run, "gleb"))
    before = (await handle.describe()).history_length

    assert await skipper.fast_forward(handle, timedelta(days=90))

    mine = [(to, n.kind) for to, n in house.private.notices if n.run_id == handle.id]
    reminded = [to for to, kind in mine if kind is NoticeKind.REMINDER]
    counts = {to: reminded.count(to) for to in reminded}
    assert set(counts) == {"boris", "gleb", "vera"}
    assert min(counts.values()) >= 89, counts
    await run.answer(gate=gate)
    await eventually(lambda: decided(run))
    events = (await handle.describe()).history_length
    assert events - before < 250, "waiting must not fill the history"
    assert events < 500
    await handle.cancel()


async def test_who_starts_a_run_cannot_bring_a_plan_of_their_own(house: House, client: Client) -> None:
    run = await house.start(house.write(stages=one_stage()))
    view = await run.view()
    await run.gate()
    spec = house.directory / "rollout" / f"{run.name}.yaml"
    mine = People(people=(Person(name="mallory", title="Mallory", telegram_id=66, roles=("lead",)),))
    plan = Plan(spec=yaml.safe_load(spec.read_text()), digest="forged", people=mine, pace_name="default")
    start = {"runbook": run.name, "requested_by": "anna"}
    carried = {"plan": plan.model_dump(mode="json"), "view": view.model_dump(mode="json")}
    handle = await client.start_workflow(
        "rollout", {**start, "carried": carried}, id=f"forged-{run.name}", task_queue=RUNBOOK_QUEUE
    )
    forged = Run(house, run.name, handle)
    assert (await forged.gate()).approvers == ("boris", "vera")
    await handle.cancel()
    await run.handle.cancel()


async def test_a_rejection_and_a_deadline_take_effect_while_the_store_is_down(house: House) -> None:
    house.audit.down = True
    try:
        rejected = await house.start(house.write(stages=one_stage()))
        late = await house.start(house.write(stages=one_stage(deadline={"after": "1s", "then": "reject"})))
        await rejected.answer("reject")
        for run in (rejected, late):
            await eventually(lambda run=run: stopped(run))
    finally:
        house.audit.down = False
    assert (await rejected.result())["outcome"] == "stopped"


async def stopped(run: Run) -> bool:
    return (await run.view()).state is RunState.STOPPED
