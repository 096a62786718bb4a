"""A run in the middle of a pause, as it shows itself."""

from datetime import UTC, datetime, timedelta

from holdfast.domain.decisions import Choice, Decision
from holdfast.domain.evidence import Evidence
from holdfast.domain.gates import Delegation, Gate, GateState, Tier
from holdfast.domain.journal import Effect, EntryStatus, JournalEntry
from holdfast.domain.signoff import Lapse, Slot
from holdfast.domain.view import (
    LogLine,
    MetricLine,
    RunState,
    RunView,
    StageState,
    StageView,
    VerdictView,
)

NOW = datetime(2026, 11, 21, 3, 12, 40, tzinfo=UTC)


def an_open_gate(**changes: object) -> Gate:
    gate = Gate(
        id="2-crm-pool-pause-1",
        title="CRM pool looks bad at 5 %",
        question="Keep going to 25 % although the canary answers more slowly?",
        if_approved="The canary's share rises to 25 % and is watched for 10 min.",
        if_rejected="The CRM pool is set back as it was; stage 1 stays.",
        if_nothing="The run waits at 5 % and asks again every hour.",
        approve_label="Continue",
        reject_label="Roll back",
        approvers=("olga", "pavel"),
        evidence="5d41402abc4b",
        token="k3jd92ksla0a",
        opened_at=NOW,
    )
    return gate.model_copy(update=changes)


def a_long_gate(**changes: object) -> Gate:
    """A sign-off in two steps, the first of which is given; the second is due in two days."""
    said = Decision(
        gate="2-crm-pool", decision=Choice.APPROVE, by="boris", channel="telegram", at=NOW, proofs=("telegram",)
    )
    gate = an_open_gate(
        id="2-crm-pool",
        title="stage 2, Widen the CRM pool",
        question="Set the CRM pool to 64?",
        if_approved="The canary gets 5 % → 100 % of the traffic.",
        if_rejected="The run stops here; stages promoted before stay.",
        if_nothing="Until the deadline nothing changes; after it the run stops here.",
        approve_label="Approve",
        reject_label="Reject",
        approvers=("boris", "vera"),
        slots=(
            Slot(step=0, holders=("boris",), label="sre-lead"),
            Slot(step=1, holders=("vera",), label="client-cto"),
        ),
        decisions=[said],
        deadline=NOW + timedelta(days=2),
        on_deadline=Lapse.REJECT,
        delegations=[Delegation(by="vera", to="max")],
        tiers=(Tier(at=NOW + timedelta(hours=8), names=("ceo",)),),
        basis=Evidence(target={"pool": 8, "idle_s": 30}, wanted={"pool": 64, "idle_s": 30}, taken_at=NOW),
        mfa=True,
    )
    return gate.model_copy(update=changes)


def a_closed_gate() -> Gate:
    said = Decision(gate="1-rate", decision=Choice.APPROVE, by="pavel", channel="telegram", at=NOW)
    return an_open_gate(id="1-rate", state=GateState.APPROVED, decisions=[said], token="old")


def an_entry(
    title: str, status: EntryStatus, *, endpoint: str = "bot", kind: str = "http_config"
) -> JournalEntry:
    effect = Effect(key="k", stage="s", kind=kind, endpoint=endpoint, part="p", values={}, title=title)
    return JournalEntry(effect=effect, before={"pool": 2}, after={"pool": 8}, status=status, recorded_at=NOW)


def a_standing_entry(stage: str, title: str = "", *, lasting: bool = False) -> JournalEntry:
    """One that a rollback of the stage would take back, if it is not lasting."""
    entry = an_entry(title or f"{stage} for everybody", EntryStatus.APPLIED)
    return entry.model_copy(
        update={"effect": entry.effect.model_copy(update={"stage": stage, "lasting": lasting})}
    )


def an_undoable_view(**changes: object) -> RunView:
    """A run with its first stage promoted and its second one out, which olga or pavel may roll back."""
    journal = [a_standing_entry("rate"), a_standing_entry("pool")]
    view = a_view(
        state=RunState.WATCHING,
        gate=None,
        journal=journal,
        may_roll_back=["olga", "pavel"],
    )
    view.stages[0].change, view.stages[1].change = "rate_limit = 25 (now 5)", "pool = 64 (now 8)"
    return view.model_copy(update=changes)


def a_view(**changes: object) -> RunView:
    view = RunView(
        run_id="rollout-4f7qk2mz",
        runbook="support-surge",
        title="Relieve a support surge",
        requested_by="olga",
        started_at=NOW,
        state=RunState.WAITING,
        headline="Stage 2 of 3, CRM pool: the canary at 5 % needs a person's eye.",
        stages=[
            StageView(
                name="rate",
                title="Let the bot send faster",
                change="",
                state=StageState.PROMOTED,
                share_percent=100,
            ),
            StageView(
                name="pool", title="Widen the CRM pool", change="", state=StageState.CURRENT, share_percent=5
            ),
            StageView(name="queue", title="Escalate important customers first", change=""),
        ],
        gate=an_open_gate(),
        verdict=VerdictView(
            at=NOW,
            outcome="pause",
            risk="0.85",
            reason="latency_p95 used up 131 % of what is allowed.",
            share_percent=5,
            lines=[
                MetricLine(metric="error_rate", value="0.4 %", baseline="0.3 %", used="12 %", level="green"),
                MetricLine(metric="latency_p95", value="2.91", baseline="1.20", used="131 %", level="red"),
                MetricLine(metric="cpu_memory", value="–", baseline="41", used="–", level="canary silent"),
            ],
        ),
        log=[LogLine(at=NOW, text=f"event number {n}") for n in range(1, 7)],
        ui_url="http://127.0.0.1:8233/namespaces/default/workflows/rollout-4f7qk2mz",
    )
    return view.model_copy(update=changes)


def a_measured_line(metric: str = "latency_p95", **changes: object) -> MetricLine:
    line = MetricLine(
        metric=metric,
        value="2.31 s",
        baseline="0.41 s",
        used="927 %",
        level="red",
        canary=2.31,
        base=0.41,
        used_percent=927,
        unit="s",
        compared_with="control now",
        control=0.41,
        past=0.39,
        query='histogram_quantile(0.95, rate(seconds_bucket{side="canary"}[60s]))',
        weight_percent=30,
        allowed="up to 0.615 s",
    )
    return line.model_copy(update=changes)


def a_measured_verdict(*lines: MetricLine, **changes: object) -> VerdictView:
    """A verdict with everything that one can have."""
    verdict = VerdictView(
        at=NOW,
        outcome="pause",
        risk="0.60",
        reason="risk 0.60 at 5 %: latency_p95 is 2.31 s, allowed up to 0.615 s",
        share_percent=5,
        lines=list(lines) or [a_measured_line()],
        model="attributed",
        edges=["checkout → payment: 38 % of the canary's calls fail, 1.2 % of the control's"],
        canary_requests=412,
        control_requests=7900,
        rests_on="rests on 412 requests of the canary, 7900 of the control",
        risk_percent=60,
        continue_up_to_percent=50,
        pause_up_to_percent=150,
        settings=["Up to 0.50 the rollout continues."],
    )
    return verdict.model_copy(update=changes)
