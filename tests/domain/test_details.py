import json
import re
from datetime import UTC, datetime, timedelta

from holdfast.domain.decisions import Choice, CodeRequest, Decision, Extension, Handover, parse
from holdfast.domain.details import details
from holdfast.domain.evidence import Evidence
from holdfast.domain.gates import Gate
from holdfast.domain.signoff import Lapse, Slot
from holdfast.domain.view import LogLine, RunState, RunView
from tests.telegram.views import a_measured_verdict

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


def test_the_last_line_is_one_that_nobody_needs_because_the_page_cuts_it_off() -> None:
    view = RunView(
        run_id="rollout-1",
        runbook="support-surge",
        title="Relieve a support surge",
        requested_by="anna",
        started_at=NOW,
        state=RunState.WATCHING,
        headline="watching 5 %",
        log=[LogLine(at=NOW, text="the newest line")],
    )
    lines = details(view).splitlines()
    assert lines[0] == "## WATCHING: watching 5 %"
    assert lines[-1] == "&nbsp;"
    assert any("the newest line" in line for line in lines[:-2])


def an_asking_view() -> RunView:
    gate = Gate(
        id="2-pool",
        title="stage 2",
        question="Set the pool?",
        if_approved="The canary starts.",
        if_rejected="The run stops.",
        if_nothing="It waits.",
        approvers=("boris", "vera"),
        evidence="5d41402abc4b",
        token="tok",
        opened_at=NOW,
        slots=(
            Slot(step=0, holders=("boris",), label="sre-lead"),
            Slot(step=1, holders=("vera",), label="client-cto"),
        ),
        decisions=[Decision(gate="2-pool", decision=Choice.APPROVE, by="boris", channel="telegram", at=NOW)],
        deadline=NOW + timedelta(days=2),
        on_deadline=Lapse.REJECT,
        mfa=True,
        extenders=("boris",),
        again_because="target's pool: 4 → 8",
        basis=Evidence(target={"pool": 8}, wanted={"pool": "`64`"}, taken_at=NOW),
    )
    return RunView(
        run_id="rollout-1",
        runbook="support-surge",
        title="Relieve a support surge",
        requested_by="anna",
        started_at=NOW,
        state=RunState.WAITING,
        headline="stage 2",
        gate=gate,
    )


def test_facts_stand_as_a_list_above_the_question_which_is_bold() -> None:
    view = an_asking_view()
    assert view.gate
    view.gate.facts = ["The test failed.", "The window opens soon."]
    asked = "### Your decision is asked\n- The test failed.\n- The window opens soon.\n\n**Set the pool?**\n"
    assert asked in details(view)


def test_an_open_gate_says_who_is_waited_for_until_when_and_what_would_change() -> None:
    page = details(an_asking_view())
    for line in (
        "**Asked again because** target's pool: 4 → 8",
        "- **Sign-off** (1 of 2 approvals is missing): ✅ sre-lead: boris · ⏳ client-cto: vera",
        "- **Approved**: boris said approve via telegram at 2026-11-21 03:00:00 UTC",
        "- **Deadline**: Open until 2026-11-23 03:00 UTC; after that it counts as rejected.",
        "- **Each answer needs a code of your authenticator app**, which the bot asks for first.",
        "- `pool: 8 → '64'`",
    ):
        assert line in page.splitlines()


def test_everything_that_is_to_be_pasted_is_understood_by_the_run() -> None:
    page = details(an_asking_view())
    [block] = re.findall(r"```json\n(.*)\n```", page)
    assert parse(CodeRequest, json.loads(block)) == CodeRequest(by="your-name")
    refusal, extension, handover = (json.loads(text) for text in re.findall(r"`(\{.*?\})`", page))
    assert parse(CodeRequest, refusal).decision is Choice.REJECT
    assert parse(Extension, extension).gate == "2-pool"
    assert parse(Handover, handover).gate == "2-pool"


def test_the_ways_to_answer_are_named() -> None:
    page = details(an_asking_view())
    steps = [page.index(text) for text in ("`send_code`", "`decide`", "*Send a Signal* → `decide`", "`extend`")]
    assert steps == sorted(steps)
    assert "`holdfast gate approve rollout-1 --as NAME`" in page
    assert "More time (boris): update `extend`" in page


def test_a_verdict_names_what_its_numbers_are_compared_with_and_what_they_rest_on() -> None:
    page = details(an_asking_view().model_copy(update={"verdict": a_measured_verdict(), "baseline": "7 d"}))
    for line in (
        "| latency_p95 | 2.31 s | 0.41 s (control now) | 927 % | red |",
        "- This rests on 412 requests of the canary, 7900 of the control.",
        "- **Call edge**: checkout → payment: 38 % of the canary's calls fail, 1.2 % of the control's",
        "- Risk: goes on up to 0.50, rolls back above 1.50.",
        "- Each number with its query: `holdfast verdict explain rollout-1`",
    ):
        assert line in page.splitlines()
