from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from holdfast.domain import progress
from holdfast.domain.decisions import Choice, Decision
from holdfast.domain.evidence import Evidence
from holdfast.domain.gates import Delegation, Gate, Tier
from holdfast.domain.signoff import Lapse, Slot

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
LEADS = Slot(step=0, holders=("olga", "boris", "anna"), label="sre-lead")
CTO = Slot(step=1, holders=("vera",), label="client-cto")


def approval(by: str, **changes: object) -> Decision:
    decision = Decision(gate="1-limit", decision=Choice.APPROVE, by=by)
    return decision.model_copy(update=changes)


def a_gate(*decisions: Decision, **changes: object) -> Gate:
    gate = Gate(
        id="1-limit",
        title="t",
        question="q",
        if_approved="It goes on.",
        if_rejected="It stops.",
        if_nothing="It waits.",
        approvers=("olga", "boris", "anna", "vera"),
        evidence="e1",
        token="tok",
        opened_at=NOW,
        slots=(LEADS, CTO),
        decisions=list(decisions),
    )
    return gate.model_copy(update=changes)


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        (a_gate(), "⏳ sre-lead: olga or boris or anna · ▫️ client-cto: vera"),
        (a_gate(ordered=False), "⏳ sre-lead: olga or boris or anna · ⏳ client-cto: vera"),
        (a_gate(approval("boris")), "✅ sre-lead: boris · ⏳ client-cto: vera"),
        (
            a_gate(
                approval("max", on_behalf_of="boris", how="deputy"), approval("zoe", how="escalation", step=1)
            ),
            "✅ sre-lead: max for boris (deputy) · ✅ client-cto: zoe (escalation)",
        ),
        (a_gate(slots=(LEADS, LEADS)), "⏳ 2 of sre-lead: olga, boris, anna"),
        (a_gate(approval("boris"), slots=(LEADS, LEADS)), "⏳ 2 of sre-lead: boris; 1 more of olga, anna"),
        (a_gate(slots=(), approvers=("olga", "vera")), "⏳ olga or vera"),
        (a_gate(approval("olga"), slots=(), quorum=2), "⏳ 2 approvals: olga; 1 more of boris, anna, vera"),
        (
            a_gate(slots=(Slot(step=0, holders=("vera",), label="vera of client-board"),)),
            "⏳ vera of client-board",
        ),
        (a_gate(slots=(Slot(step=0, holders=(), label="client-cto"),)), "⏳ client-cto: those who stand in"),
    ],
)
def test_the_sign_off_is_told_step_by_step(gate: Gate, said: str) -> None:
    assert progress.sign_off(gate) == said


def test_an_approval_takes_the_place_that_leaves_one_for_the_next() -> None:
    either = Slot(step=0, holders=("olga", "boris"), label="either")
    only_olga = Slot(step=0, holders=("olga",), label="security")
    gate = a_gate(approval("olga"), approval("boris"), slots=(either, only_olga))
    assert progress.sign_off(gate) == "✅ either: boris · ✅ security: olga"


def test_how_many_are_missing_is_counted() -> None:
    assert progress.missing(a_gate(slots=(CTO,))) == "one approval is needed"
    assert progress.missing(a_gate()) == "2 of 2 approvals are missing"
    assert progress.missing(a_gate(approval("boris"))) == "1 of 2 approvals is missing"


@pytest.mark.parametrize(
    ("after", "zone", "text"),
    [
        (timedelta(days=2, hours=7), UTC, "2026-11-23 10:00 UTC"),
        (timedelta(days=2, hours=7), BERLIN, "Mon 23 Nov 2026, 11:00 Europe/Berlin (10:00 UTC)"),
        (timedelta(days=2, hours=20), BERLIN, "Tue 24 Nov 2026, 00:00 Europe/Berlin (23 Nov 23:00 UTC)"),
        (timedelta(days=2), ZoneInfo("Europe/London"), "2026-11-23 03:00 UTC"),
        (timedelta(seconds=90), UTC, "2026-11-21 03:01:30 UTC"),
    ],
)
def test_a_moment_is_told_on_the_persons_own_clock(after: timedelta, zone: ZoneInfo, text: str) -> None:
    assert progress.moment(NOW + after, a_gate(), zone) == text


@pytest.mark.parametrize(
    ("lapse", "meaning"),
    [
        (Lapse.HOLD, "overdue and goes on waiting"),
        (Lapse.REJECT, "counts as rejected"),
        (Lapse.ROLLBACK, "what this run has promoted is rolled back"),
        (Lapse.PROCEED, "counts as approved and the run goes on"),
    ],
)
def test_a_deadline_says_what_it_means(lapse: Lapse, meaning: str) -> None:
    told = progress.deadline(a_gate(deadline=NOW + timedelta(days=2), on_deadline=lapse))
    assert told.startswith("Open until 2026-11-23 03:00 UTC; after that it")
    assert meaning in told


def test_no_deadline_and_one_that_has_passed_are_told() -> None:
    assert progress.deadline(a_gate()) == "No deadline: it waits for as long as it takes."
    overdue = a_gate(deadline=NOW + timedelta(days=2), overdue=True)
    assert (
        progress.deadline(overdue) == "Overdue since 2026-11-23 03:00 UTC; it stays open and goes on waiting."
    )


def test_settings_show_what_was_there_before_where_that_was_looked_at() -> None:
    wanted = {"pool": 64, "retries": 3, "idle_s": 30}
    looked = Evidence(target={"pool": 8, "retries": 3}, wanted=wanted, taken_at=NOW)
    assert progress.settings(a_gate(basis=looked)) == [
        "pool: 8 → 64",
        "retries: 3 (stays)",
        "idle_s: not set → 30",
    ]
    blind = Evidence(wanted={"pool": 64}, taken_at=NOW)
    assert progress.settings(a_gate(basis=blind)) == ["pool: 64"]
    assert progress.settings(a_gate()) == []


def test_evidence_says_until_when_it_is_good() -> None:
    gate = a_gate(basis=Evidence(taken_at=NOW - timedelta(hours=2)), stale_at=NOW + timedelta(hours=12))
    assert progress.freshness(gate) == (
        "Evidence e1, taken 2026-11-21 01:00 UTC, good until 2026-11-21 15:00 UTC; "
        "after that you are asked again on new numbers."
    )
    assert progress.freshness(a_gate()) == "Evidence e1."


def test_who_may_stand_in_is_told() -> None:
    gate = a_gate(
        delegations=[
            Delegation(by="vera", to="max", since=NOW, until=NOW + timedelta(days=3)),
            Delegation(by="boris", to="zoe", since=NOW + timedelta(days=1)),
        ],
        tiers=(
            Tier(at=NOW + timedelta(hours=4), deputies=True),
            Tier(at=NOW + timedelta(hours=8), names=("ceo", "cfo")),
        ),
        veto=("legal",),
    )
    assert list(progress.stand_ins(gate)) == [
        "max may answer for vera until 2026-11-24 03:00 UTC.",
        "zoe may answer for boris from 2026-11-22 03:00 UTC.",
        "From 2026-11-21 07:00 UTC on also: the deputies of those who have not answered.",
        "From 2026-11-21 11:00 UTC on also: ceo, cfo.",
        "May reject without being an approver: legal.",
    ]
