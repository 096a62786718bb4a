import html
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.adapters.telegram.cards import render
from holdfast.adapters.telegram.wording import MESSAGE_LIMIT, clip, units
from holdfast.domain.decisions import Choice, Decision
from holdfast.domain.evidence import Evidence
from holdfast.domain.gates import Delegation, Gate, GateState, Tier
from holdfast.domain.journal import Effect, EntryStatus, JournalEntry
from holdfast.domain.signoff import Lapse, Slot
from holdfast.domain.view import LogLine, MetricLine, RunState, RunView, StageState, StageView, VerdictView
from holdfast.i18n import speaking
from tests.telegram.reading import read
from tests.telegram.views import (
    NOW,
    a_closed_gate,
    a_long_gate,
    a_measured_line,
    a_measured_verdict,
    a_view,
    an_entry,
    an_open_gate,
    an_undoable_view,
)


def test_what_is_asked_and_what_follows_stands_before_the_numbers() -> None:
    lines = render(a_view()).plain.splitlines()
    assert lines[0] == "✋ WAITING FOR A DECISION · Relieve a support surge"
    assert lines[3:9] == [
        "❓ Keep going to 25 % although the canary answers more slowly?",
        "👍 Continue → The canary's share rises to 25 % and is watched for 10 min.",
        "👎 Roll back → The CRM pool is set back as it was; stage 1 stays.",
        "💤 Nobody answers → The run waits at 5 % and asks again every hour.",
        "📅 No deadline: it waits for as long as it takes.",
        "⏳ olga or pavel",
    ]


def test_stages_show_mark_and_share() -> None:
    plain = render(a_view()).plain
    assert "✅ Let the bot send faster · promoted · 100 %" in plain
    assert "▶️ Widen the CRM pool · 5 %\n▫️ Escalate important customers first" in plain


def test_the_verdict_is_a_table_that_fits_a_phone_worst_metric_first() -> None:
    table = re.search(r"<pre>(.*)</pre>", render(a_view()).html, re.DOTALL)
    assert table
    assert table[1].splitlines() == [
        "📏 metric        now usual  used",
        "🔴 latency_p95  2.91  1.20 131 %",
        "⚪ cpu_memory      –    41     –",
        "🟢 error_rate  0.4 % 0.3 %  12 %",
    ]


def test_a_table_too_wide_for_a_phone_puts_the_numbers_below_the_name() -> None:
    view = a_view()
    assert view.verdict
    view.verdict.lines[1].metric = "crm_answer_time_p95_seconds"
    assert "🔴 crm_answer_time_p95_seconds\n    2.91  1.20 131 %" in render(view).plain


def table_of(verdict: VerdictView) -> list[str]:
    table = re.search(r"<pre>(.*)</pre>", render(a_view(verdict=verdict)).html, re.DOTALL)
    assert table
    return table[1].splitlines()


def test_a_table_names_what_all_its_numbers_are_compared_with() -> None:
    calm = a_measured_line("cpu", value="9 %", baseline="8 %", used="1 %", level="green")
    assert table_of(a_measured_verdict(a_measured_line("latency"), calm)) == [
        "📏 metric  canary control  used",
        "🔴 latency 2.31 s  0.41 s 927 %",
        "🟢 cpu        9 %     8 %   1 %",
    ]


def test_numbers_that_are_compared_with_different_things_each_say_with_what() -> None:
    volume = a_measured_line(
        "message_volume", value="10.2 /s", baseline="12 /s", used="75 %", compared_with="past weeks, same hour"
    )
    silent = a_measured_line("errors", value="–", used="–", level="canary silent", compared_with="")
    assert table_of(a_measured_verdict(volume, a_measured_line(), silent)) == [
        "🔴 message_volume: 75 % used",
        "   10.2 /s vs 12 /s (same hour)",
        "🔴 latency_p95: 927 % used",
        "   2.31 s vs 0.41 s (control now)",
        "⚪ errors: canary silent",
        "   –",
    ]


def test_the_mean_of_the_control_is_called_control_and_a_level_stands_where_nothing_is_used_up() -> None:
    mean = "control, mean of 12 verdicts"
    judged = a_measured_line("database_answer_time", used="–", compared_with=mean)
    assert table_of(a_measured_verdict(judged, a_measured_line())) == [
        "🔴 database_answer_time: red",
        "   2.31 s vs 0.41 s (control)",
        "🔴 latency_p95: 927 % used",
        "   2.31 s vs 0.41 s (control now)",
    ]


def test_a_verdict_says_what_it_rests_on_and_what_is_held_against_the_canary() -> None:
    lines = render(a_view(verdict=a_measured_verdict(warming=True))).plain.splitlines()
    first = lines.index("📊 03:12:40 at 5 %: pause (too early to judge), risk 0.60")
    assert lines[first + 2 : first + 4] == [
        "🔗 checkout → payment: 38 % of the canary's calls fail, 1.2 % of the control's",
        "Canary vs control now; rests on 412 requests of the canary, 7900 of the control.",
    ]


def test_call_edges_that_have_no_room_are_counted() -> None:
    plain = render(a_view(verdict=a_measured_verdict(edges=[f"edge {n}" for n in range(5)]))).plain
    assert "🔗 edge 2\n🔗 … and 2 more call edges" in plain


def test_only_the_four_newest_events_are_shown_newest_first() -> None:
    events = re.findall(r"event number (\d)", render(a_view()).plain)
    assert events == ["6", "5", "4", "3"]


def test_what_was_undone_is_told() -> None:
    journal = [
        an_entry("bot: pool = 8", EntryStatus.APPLIED),
        an_entry("crm: pool = 8", EntryStatus.DRIFTED, endpoint="crm"),
        an_entry("shop: pool = 8", EntryStatus.REVERTED, endpoint="shop"),
    ]
    plain = render(a_view(journal=journal)).plain
    assert "↩️ Undone: shop/p pool: 8 → 2\n⚠️ Not undone, changed by others: crm/p pool: 8 → 2" in plain
    assert "bot/p" not in plain


def test_of_many_the_newest_undone_are_shown() -> None:
    journal = [an_entry("t", EntryStatus.REVERTED, endpoint=f"part-{n}") for n in range(9)]
    plain = render(a_view(journal=journal)).plain
    assert "↩️ Undone before: 3 more, see the Temporal UI\n↩️ Undone: part-5/p pool: 8 → 2\n" in plain
    assert "↩️ Undone: part-0/p pool: 8 → 2" in plain
    assert "part-6/p" not in plain


def test_with_a_quorum_those_who_approved_are_named() -> None:
    said = Decision(gate="2-crm-pool-pause-1", decision=Choice.APPROVE, by="olga")
    plain = render(a_view(gate=an_open_gate(quorum=2, decisions=[said]))).plain
    assert "⏳ 2 approvals: olga; 1 more of pavel (1 of 2 approvals is missing)" in plain


def test_a_sign_off_in_steps_says_who_approved_how_and_who_is_waited_for_until_when() -> None:
    lines = render(a_view(gate=a_long_gate(again_because="target's pool: 4 → 8"))).plain.splitlines()
    first = lines.index("🔁 Asked again because: target's pool: 4 → 8")
    assert lines[first + 5 : first + 13] == [
        "📅 Open until 2026-11-23 03:12 UTC; after that it counts as rejected.",
        "✅ sre-lead: boris · ⏳ client-cto: vera (1 of 2 approvals is missing)",
        "✍️ boris said approve via telegram at 2026-11-21 03:12:40 UTC (proof: telegram)",
        "👥 max may answer for vera.",
        "👥 From 2026-11-21 11:12 UTC on also: ceo.",
        "🔧 pool: 8 → 64",
        "🔧 idle_s: 30 (stays)",
        "🔐 Each answer needs a code of your authenticator app; it is asked in private.",
    ]


def test_an_overdue_gate_says_since_when() -> None:
    plain = render(a_view(gate=a_long_gate(overdue=True))).plain
    assert "⌛ Overdue since 2026-11-23 03:12 UTC; it stays open and goes on waiting." in plain


def test_many_settings_are_counted() -> None:
    many = Evidence(wanted={f"s{n}": n for n in range(20)}, taken_at=NOW)
    plain = render(a_view(gate=a_long_gate(basis=many))).plain
    assert "🔧 s7: 7\n🔧 … and 12 more settings" in plain


def test_buttons_carry_run_and_token() -> None:
    keyboard = render(a_view()).keyboard
    assert keyboard
    assert [[(b.text, b.callback_data) for b in row] for row in keyboard.inline_keyboard] == [
        [("Continue", "a:rollout-4f7qk2mz:k3jd92ksla0a"), ("Roll back", "r:rollout-4f7qk2mz:k3jd92ksla0a")],
        [("Evidence", "e:rollout-4f7qk2mz:k3jd92ksla0a")],
    ]


def buttons_of(view: RunView) -> list[tuple[str, str | None]]:
    keyboard = render(view).keyboard
    return [(b.text, b.callback_data) for row in keyboard.inline_keyboard for b in row] if keyboard else []


def test_what_can_be_undone_can_be_rolled_back_from_the_card_with_or_without_a_gate() -> None:
    roll_back = ("⏪ Roll back…", "u:rollout-4f7qk2mz:ask")
    assert buttons_of(an_undoable_view()) == [roll_back]
    labels = [label for label, _ in buttons_of(an_undoable_view(gate=an_open_gate()))]
    assert labels == ["Continue", "Roll back", "Evidence", "⏪ Roll back…"]


@pytest.mark.parametrize("state", [s for s in RunState if s.ended])
def test_a_run_that_has_ended_offers_no_rollback(state: RunState) -> None:
    assert buttons_of(an_undoable_view(state=state)) == []


@pytest.mark.parametrize("changes", [{"journal": []}, {"may_roll_back": []}, {"run_id": "r" * 60}])
def test_where_nothing_or_nobody_could_roll_back_there_is_no_button(changes: dict[str, object]) -> None:
    assert buttons_of(an_undoable_view(**changes)) == []


def test_a_gate_without_room_for_its_buttons_says_so_although_the_rollback_has_one() -> None:
    card = render(an_undoable_view(gate=an_open_gate(token="")))
    assert "answer in the Temporal UI or on the command line" in card.plain
    assert card.keyboard


@pytest.mark.parametrize("gate", [None, an_open_gate(state=GateState.APPROVED)])
def test_without_an_open_gate_there_are_no_buttons_and_the_last_decision_is_told(gate: Gate | None) -> None:
    card = render(a_view(gate=gate, closed_gates=[a_closed_gate()]))
    assert card.keyboard is None
    assert "Last decision: gate '1-rate' is approved: pavel said approve via telegram" in card.plain


def test_the_approval_is_red_while_the_verdict_is_against_going_on() -> None:
    view = a_view()
    assert view.verdict
    styles = []
    for outcome in ("pause", "continue"):
        view.verdict.outcome = outcome
        keyboard = render(view).keyboard
        assert keyboard
        styles.append([button.style for button in keyboard.inline_keyboard[0]])
    assert styles == [["danger", None], [None, None]]


def test_a_run_id_too_long_for_buttons_is_told_instead_of_cut() -> None:
    card = render(a_view(run_id="rollout-" + "x" * 60))
    assert card.keyboard is None
    assert "answer in the Temporal UI or on the command line" in card.plain


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://temporal.example.com/x?a=1&b=2", '<a href="https://temporal.example.com/x?a=1&amp;b=2">'),
        ("http://localhost:8233/x", "Temporal UI: <code>http://localhost:8233/x</code>"),
    ],
)
def test_an_address_that_telegram_does_not_link_can_be_copied(url: str, shown: str) -> None:
    assert shown in render(a_view(ui_url=url)).html


@pytest.mark.parametrize("url", ["", "javascript:alert(1)", "http://[broken", "file:///etc/passwd"])
def test_an_address_that_is_none_is_left_out(url: str) -> None:
    assert "Temporal UI" not in render(a_view(ui_url=url)).html


def test_markup_in_texts_is_shown_not_obeyed() -> None:
    evil = '<b>bold</b> & <a href="http://evil.example">x</a>'
    card = render(a_view(headline=evil, title=evil, gate=an_open_gate(question=evil)))
    assert card.html.count(html.escape(evil, quote=False)) == 3
    assert read(card.html).links == ["http://127.0.0.1:8233/namespaces/default/workflows/rollout-4f7qk2mz"]


def test_what_a_question_rests_on_is_listed_above_it_and_only_the_question_is_bold() -> None:
    facts = [
        "The test failed.",
        "support saturates first, at 41 sessions/s (since 6:10): its answers get slow.",
    ]
    card = render(a_view(gate=an_open_gate(question="Does the campaign go?", facts=facts)))
    lines = card.plain.splitlines()
    asked = lines.index("❓ Does the campaign go?")
    assert lines[asked - 2 : asked] == [f"▪️ {fact}" for fact in facts]
    assert "❓ <b>Does the campaign go?</b>" in card.html
    assert f"▪️ {facts[1]}" in card.html


def test_facts_are_shortened_before_the_question_is() -> None:
    facts = [f"{number} of the facts goes on " + "and on " * 100 for number in range(9)]
    question = "May the window open, " + "really " * 30 + "now?"
    long = dict.fromkeys(("if_approved", "if_rejected", "if_nothing"), "very " * 170)
    plain = render(
        a_view(headline="long " * 170, gate=an_open_gate(question=question, facts=facts, **long))
    ).plain
    assert units(plain) <= MESSAGE_LIMIT
    assert question in plain
    assert "▪️ 0 of the facts" in plain
    assert "8 of the facts" not in plain


def test_facts_are_said_in_russian() -> None:
    facts = ["Carried: 30 sessions a second. Expected at the peak: 40, with the safety factor: 60."]
    with speaking("ru"):
        plain = render(a_view(gate=an_open_gate(question="Does the campaign go?", facts=facts))).plain
    assert (
        "▪️ Выдержано сессий в секунду: 30. Ожидается в пике: 40, с запасом: 60.\n❓ Проводим кампанию?" in plain
    )


def test_history_gives_way_first_and_the_question_stays() -> None:
    view = a_view(
        headline="long " * 170, gate=an_open_gate(if_approved="very " * 170, if_rejected="dull " * 170)
    )
    assert view.verdict
    view.verdict.lines = view.verdict.lines * 6
    view.verdict.reason = "because " * 100
    plain = render(view).plain
    assert units(plain) <= MESSAGE_LIMIT
    assert "event number" not in plain
    assert "… and 12 more" in plain
    assert "Keep going to 25 % although" in plain


def test_clipping_keeps_whole_words_and_whole_characters() -> None:
    assert clip("one  two\nthree", 100) == "one two three"
    assert clip("one two three", 9) == "one two…"
    assert clip("😀" * 10, 8) == "😀😀😀…"


texts = st.one_of(st.text(max_size=30), st.text(min_size=1, alphabet='<>&"😀 a\n', max_size=60)).flatmap(
    lambda piece: st.sampled_from([piece, piece * 40, piece * 400])
)
moments = st.just(NOW)
names = st.lists(texts, min_size=1, max_size=5).map(tuple)
gates = st.builds(
    Gate,
    id=texts,
    title=texts,
    question=texts,
    if_approved=texts,
    if_rejected=texts,
    if_nothing=texts,
    facts=st.lists(texts, max_size=9),
    approve_label=texts,
    reject_label=texts,
    approvers=names,
    quorum=st.integers(1, 3),
    evidence=texts,
    token=st.text(max_size=40),
    opened_at=moments,
    state=st.sampled_from(GateState),
    decisions=st.lists(
        st.builds(
            Decision,
            gate=st.just("g"),
            decision=st.sampled_from(Choice),
            by=st.text(min_size=1, max_size=60, alphabet='<>&"a'),
            channel=texts,
            how=texts,
        ),
        max_size=4,
    ),
    slots=st.lists(st.builds(Slot, step=st.integers(0, 2), holders=names, label=texts), max_size=5).map(tuple),
    ordered=st.booleans(),
    veto=names,
    mfa=st.booleans(),
    deadline=moments,
    on_deadline=st.sampled_from(Lapse),
    overdue=st.booleans(),
    delegations=st.lists(st.builds(Delegation, by=texts, to=texts, until=moments), max_size=3),
    tiers=st.lists(st.builds(Tier, at=moments, names=names, deputies=st.booleans()), max_size=3).map(tuple),
    basis=st.none()
    | st.builds(
        Evidence,
        target=st.dictionaries(texts, texts, max_size=4),
        wanted=st.dictionaries(texts, texts, max_size=4),
        taken_at=moments,
    ),
    again_because=texts,
)
stage_names = st.sampled_from(["rate", "pool"])
entries = st.builds(
    JournalEntry,
    effect=st.builds(
        Effect,
        key=texts,
        stage=stage_names,
        kind=texts,
        endpoint=texts,
        part=texts,
        values=st.just({}),
        title=texts,
    ),
    before=st.just({}),
    after=st.sampled_from([{}, {"x": 1}]),
    status=st.sampled_from(EntryStatus),
    recorded_at=moments,
    note=texts,
)
verdicts = st.builds(
    VerdictView,
    at=moments,
    outcome=texts,
    risk=texts,
    reason=texts,
    share_percent=st.integers(0, 100),
    lines=st.lists(
        st.builds(
            MetricLine,
            metric=texts,
            value=texts,
            baseline=texts,
            used=texts,
            level=texts,
            compared_with=texts,
        ),
        max_size=30,
    ),
    edges=st.lists(texts, max_size=8),
    rests_on=texts,
    warming=st.booleans(),
)
run_views = st.builds(
    RunView,
    run_id=st.text(max_size=60),
    runbook=texts,
    title=texts,
    requested_by=texts,
    started_at=moments,
    state=st.sampled_from(RunState),
    headline=texts,
    stages=st.lists(
        st.builds(
            StageView,
            name=stage_names | texts,
            title=texts,
            change=texts,
            state=st.sampled_from(StageState),
            share_percent=st.integers(0, 100),
        ),
        max_size=40,
    ),
    gate=st.none() | gates,
    closed_gates=st.lists(gates, max_size=2),
    verdict=st.none() | verdicts,
    journal=st.lists(entries, max_size=10),
    may_roll_back=st.lists(texts, max_size=2),
    log=st.lists(st.builds(LogLine, at=moments, text=texts), max_size=8),
    ui_url=st.sampled_from(["", "http://a.b/c?d=1&e=2"]) | texts.map(lambda t: f"https://h.example/{t}"),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(view=run_views, notice=texts)
def test_every_card_fits_reads_back_as_its_words_and_has_buttons_that_telegram_takes(
    view: RunView, notice: str
) -> None:
    card = render(view, notice=notice)
    assert units(card.plain) <= MESSAGE_LIMIT
    assert read(card.html).text == card.plain
    buttons = [b for row in card.keyboard.inline_keyboard for b in row] if card.keyboard else []
    assert all(b.text.strip() and b.callback_data and len(b.callback_data.encode()) <= 64 for b in buttons)
    assert not buttons or not view.state.ended or (view.gate is not None and view.gate.state is GateState.OPEN)
