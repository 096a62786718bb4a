"""What an approver sees."""

from datetime import timedelta

import pytest

from holdfast.domain.decisions import Choice, Decision
from holdfast.domain.errors import InvalidInput
from holdfast.domain.gates import GateState, record, void
from tests.telegram.views import a_measured_line, a_measured_verdict
from tests.web.conftest import Visitor
from tests.web.fakes import NOW, RUN, House, a_gate, a_view


async def test_the_page_shows_what_is_asked_and_what_follows(house: House, visitor: Visitor) -> None:
    await visitor.open(house.link())
    assert visitor.page.status_code == 200
    for text in (
        "Set pool_size = 40 (now 10)?",
        "The system is checked again",
        "The run stops here; stages promoted before stay.",
        "for Olga (SRE lead)",
        RUN,
        a_gate().evidence,
    ):
        assert text in visitor.text


async def test_the_page_shows_the_change_the_numbers_and_the_plan(house: House, visitor: Visitor) -> None:
    await visitor.open(house.link())
    assert "keep_alive_seconds 60 15" in visitor.text
    assert "pool_size 10 40" in visitor.text
    assert "name crm" not in visitor.text  # what stays as it is
    assert "queue_length red 410 92 131 %" in visitor.text
    assert "✅ Let the bot send faster rate_limit = 25 · promoted, 100 %" in visitor.text
    assert "stage 1 promoted to 100 %" in visitor.text


async def test_every_number_has_its_unit_its_comparison_and_its_query(house: House, visitor: Visitor) -> None:
    house.runs.run.verdict = a_measured_verdict(a_measured_line(query='rate(x{a="<b>"}[60s])'))
    await visitor.open(house.link())
    assert "latency_p95 red 2.31 s 0.41 s control now 927 %" in visitor.text
    assert "This rests on 412 requests of the canary, 7900 of the control." in visitor.text
    assert "checkout → payment: 38 % of the canary's calls fail" in visitor.text
    assert "Risk 0.60 (goes on up to 0.50, rolls back above 1.50) at 5 % of the traffic" in visitor.text
    assert "Allowed: up to 0.615 s. Control: 0.41 s. Past: 0.39 s. Weight: 30 %." in visitor.text
    assert "<code>rate(x{a=&#34;&lt;b&gt;&#34;}[60s])</code>" in visitor.page.text
    assert "Up to 0.50 the rollout continues." in visitor.text


async def test_a_verdict_that_was_kept_without_its_queries_promises_none(
    house: House, visitor: Visitor
) -> None:
    await visitor.open(house.link())
    assert "Where each number comes from" not in visitor.text
    assert "How this model judges" not in visitor.text
    assert "compared with" not in visitor.text


async def test_times_are_on_the_persons_own_clock(house: House, visitor: Visitor) -> None:
    await visitor.open(house.link("olga"))
    assert "Open until Sat 12 Dec 2026, 02:12 Europe/Berlin (01:12 UTC); after that it counts as rejected." in (
        visitor.text
    )
    assert "That is in 20 d 22 h." in visitor.text
    await visitor.open(house.link("clara"))
    assert "Fri 11 Dec 2026, 20:12 America/New_York" in visitor.text


async def test_the_page_says_who_is_waited_for_and_who_said_what(house: House, visitor: Visitor) -> None:
    gate = house.runs.run.gate
    assert gate is not None
    said = Decision(
        gate=gate.id, decision=Choice.APPROVE, by="pavel", channel="telegram", proofs=("telegram", "totp")
    )
    record(said, gate, now=NOW)
    await visitor.open(house.link("clara"))
    assert "Waits for Clara (client CTO); 1 of 2 approvals is missing." in visitor.text
    assert "pavel said approve via telegram at 2026-11-21 03:12:40 UTC (proof: telegram + totp)" in visitor.text
    assert "sre-lead complete given by Pavel (SRE lead)" in visitor.text
    assert "client-cto asked now can be given by Clara (client CTO)" in visitor.text
    assert "May reject without being an approver: viktor." in visitor.text


async def test_the_chart_is_part_of_the_page(house: House, visitor: Visitor) -> None:
    house.chart = b"\x89PNG a picture"
    await visitor.open(house.link())
    assert 'src="data:image/png;base64,iVBORyBhIHBpY3R1cmU="' in visitor.page.text


async def test_a_chart_that_cannot_be_drawn_stops_nobody(house: House, visitor: Visitor) -> None:
    house.chart = RuntimeError("no font")
    await visitor.open(house.link())
    assert visitor.page.status_code == 200
    assert visitor.has_button("approve")


async def test_nothing_of_a_run_becomes_markup(house: House, visitor: Visitor) -> None:
    house.runs.run.title = "<script>alert(1)</script>"
    assert house.runs.run.gate
    house.runs.run.gate.question = '"><img src=x onerror=alert(1)>'
    await visitor.open(house.link())
    assert "<script" not in visitor.page.text
    assert "<img" not in visitor.page.text


async def test_facts_are_a_list_above_the_question(house: House, visitor: Visitor) -> None:
    assert house.runs.run.gate
    house.runs.run.gate.facts = ["The test failed.", "<img src=x>"]
    await visitor.open(house.link())
    listed = '<ul class="facts">\n<li>The test failed.</li>\n<li>&lt;img src=x&gt;</li>\n</ul>\n'
    assert f'{listed}<p class="asked"><strong>' in visitor.page.text


async def test_opening_a_link_changes_nothing(house: House, visitor: Visitor) -> None:
    before = house.runs.run.model_copy(deep=True)
    for _ in range(3):
        await visitor.open(house.link("clara"))
        await visitor.client.head(house.link("clara"))
    assert house.runs.run == before
    assert not [*house.runs.delivered, *house.mail.sent, *house.intents.kept, *house.audit.entries]


@pytest.mark.parametrize(
    ("person", "offered", "says"),
    [
        ("olga", ["approve", "reject"], ""),
        ("viktor", ["reject"], ""),
        ("lena", [], "'lena' is not an approver of gate '2-crm-pool'"),
    ],
)
async def test_only_what_counts_is_offered(
    house: House, visitor: Visitor, person: str, offered: list[str], says: str
) -> None:
    await visitor.open(house.link(person))
    assert [say for say in ("approve", "reject") if visitor.has_button(say)] == offered
    assert says in visitor.text


async def test_who_is_not_known_any_more_sees_nothing(house: House, visitor: Visitor) -> None:
    await visitor.open(house.link("mallory"))
    assert visitor.page.status_code == 403
    assert "'mallory' is not known to Holdfast any more" in visitor.text
    assert RUN not in visitor.text


async def test_a_closed_gate_tells_its_end_and_asks_nothing(house: House, visitor: Visitor) -> None:
    gate = house.runs.run.gate
    assert gate is not None
    void(gate, "the target's pool_size: 10 → 12", NOW)
    house.runs.close()
    house.runs.run.gate = a_gate(id="2-crm-pool-again", again_because="the target's pool_size: 10 → 12")
    house.runs.run.closed_gates[-1].state = GateState.VOIDED
    link = house.links.link(RUN, gate, "olga", NOW)
    await visitor.open(link)
    assert "is void and is asked again: the target's pool_size: 10 → 12" in visitor.text
    assert "Another question is open now" in visitor.text
    assert not visitor.hidden


async def test_a_gate_that_is_asked_again_says_what_changed(house: House, visitor: Visitor) -> None:
    house.runs.run.gate = a_gate(again_because="the target's pool_size: 10 → 12")
    await visitor.open(house.link())
    assert "Asked again, because this changed: the target's pool_size: 10 → 12" in visitor.text


async def test_a_run_that_was_reset_needs_a_new_link(house: House, visitor: Visitor) -> None:
    link = house.link()
    house.runs.run.gate = a_gate(execution="another-execution")
    await visitor.open(link)
    assert "This run was set back after your link was made" in visitor.text
    assert not visitor.hidden


async def test_a_run_before_its_first_verdict_has_a_page(house: House, visitor: Visitor) -> None:
    house.runs.run = a_view(verdict=None, stages=[], log=[], baseline="", digest="")
    await visitor.open(house.link())
    assert visitor.page.status_code == 200
    assert visitor.has_button("approve")


async def test_a_forged_link_opens_nothing(house: House, visitor: Visitor) -> None:
    await visitor.open(house.link()[:-2] + "AA")
    assert visitor.page.status_code == 403
    assert "This link is not one that Holdfast has made" in visitor.text


async def test_an_old_link_says_since_when(house: House, visitor: Visitor) -> None:
    link = house.link()
    house.pass_time(timedelta(days=1))
    await visitor.open(link)
    assert visitor.page.status_code == 410
    assert "This link was good until 2026-11-22 03:12 UTC" in visitor.text


@pytest.mark.parametrize("path", ["/", "/g/", "/g/a/b", "/static/../app.py", "/favicon.ico"])
async def test_there_is_nothing_else(visitor: Visitor, path: str) -> None:
    await visitor.open(path)
    assert visitor.page.status_code == 404
    assert "There is no such page" in visitor.text


async def test_other_methods_are_refused_in_words(house: House, visitor: Visitor) -> None:
    answer = await visitor.client.request("DELETE", house.link())
    assert answer.status_code == 405
    assert "That is not possible here" in answer.text


async def test_a_silent_engine_is_told_in_words(house: House, visitor: Visitor) -> None:
    house.runs.down = True
    await visitor.open(house.link())
    assert visitor.page.status_code == 503
    assert "Temporal does not answer. Nothing was recorded; try again in a minute." in visitor.text


async def test_a_run_that_is_gone_is_told_in_words(house: House, visitor: Visitor) -> None:
    link = house.link()
    house.runs.run.run_id = "rollout-other"
    await visitor.open(link)
    assert visitor.page.status_code == 404


@pytest.mark.parametrize(
    ("error", "status"), [(InvalidInput("people.yaml: line 3 is wrong"), 422), (RuntimeError("boom"), 500)]
)
async def test_whatever_goes_wrong_there_is_a_page(
    house: House, visitor: Visitor, error: Exception, status: int
) -> None:
    house.broken = error
    await visitor.open(house.link())
    assert visitor.page.status_code == status
    assert "<h1>" in visitor.page.text
    assert "boom" not in visitor.page.text
    assert visitor.page.headers["referrer-policy"] == "no-referrer"


async def test_health(visitor: Visitor) -> None:
    await visitor.open("/healthz")
    assert visitor.page.text == "ok\n"
