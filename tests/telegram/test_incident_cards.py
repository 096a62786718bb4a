"""An incident's message and its pages, as people read them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.adapters.telegram.cards import render
from holdfast.adapters.telegram.pages import render_page
from holdfast.adapters.telegram.wording import MESSAGE_LIMIT, units
from holdfast.domain.people import Person
from holdfast.domain.view import IncidentView, LogLine, RunState, RunView, StageView
from holdfast.i18n import speaking
from holdfast.ports.notices import Page

AT = datetime(2026, 11, 21, 3, 12, 40, tzinfo=UTC)
VERA = Person(name="vera", title="Vera", telegram_id=1003, time_zone="Europe/Berlin")


def an_incident(**changes: object) -> RunView:
    incident = IncidentView(
        tier="gold",
        value=250_000,
        step=1,
        steps=3,
        called=["anna"],
        next_call=AT + timedelta(minutes=5),
        next_called=["boris"],
    ).model_copy(update=changes)
    return RunView(
        run_id="incident-a1b2c3",
        runbook="customer-impact",
        title="The CRM answers in 500 ms",
        requested_by="anna",
        started_at=AT,
        kind="incident",
        state=RunState.ACKNOWLEDGED if incident.owner else RunState.OPEN,
        headline="anna is called",
        stages=[StageView(name="crm", title="Is the CRM slow for everybody?", change="")],
        log=[LogLine(at=AT, text="opened by anna")],
        incident=incident,
    )


def labels(view: RunView) -> list[str]:
    keyboard = render(view).keyboard
    return [button.text for row in keyboard.inline_keyboard for button in row] if keyboard else []


def test_an_open_incident_says_that_nobody_has_it_and_who_is_called_next() -> None:
    text = render(an_incident()).plain

    assert text.startswith("🚨 OPEN · The CRM answers in 500 ms")
    assert "Nobody has it yet" in text
    assert "📣 Called: anna (step 1 of 3, round 1)" in text
    assert "⏭️ Next call at 03:17:40 UTC: boris" in text
    assert "💎 Customer tier gold, order value 250\N{NO-BREAK SPACE}000" in text
    assert labels(an_incident()) == ["✋ I take it", "Hand over…", "It is over…"]


def test_an_incident_that_somebody_has_says_until_when_and_is_not_taken_again() -> None:
    view = an_incident(owner="boris", acknowledged_until=AT + timedelta(minutes=30))

    assert "🙋 boris has it until 04:42:40 Europe/Berlin" in render(view, zone=ZoneInfo("Europe/Berlin")).plain
    assert "Next call" not in render(view).plain
    assert labels(view) == ["Hand over…", "It is over…"]


def test_a_resolved_incident_says_why_and_has_no_buttons() -> None:
    view = an_incident(resolution="the pool was widened").model_copy(update={"state": RunState.RESOLVED})

    assert "✅ Resolved: the pool was widened" in render(view).plain
    assert labels(view) == []


@pytest.mark.parametrize(("language", "words"), [("en", "You are called"), ("ru", "Вас вызывают")])
def test_a_page_says_what_to_do_on_the_readers_clock_and_in_the_readers_language(
    language: str, words: str
) -> None:
    with speaking(language):
        card = render_page(VERA, Page(key="k", view=an_incident(), button="b" * 8))

    assert card.plain.startswith(f"🚨 {words}: The CRM answers in 500 ms")
    assert "04:17:40 Europe/Berlin" in card.plain
    assert card.keyboard is not None
    data = [button.callback_data for row in card.keyboard.inline_keyboard for button in row]
    assert data == [f"i:incident-a1b2c3:{letter}bbbbbbbb" for letter in "khv"]


def test_a_later_page_counts_itself() -> None:
    assert render_page(VERA, Page(key="k", view=an_incident(), number=3)).plain.startswith("🚨 Call no. 3:")


@given(title=st.text(max_size=500), lines=st.lists(st.text(max_size=2000), max_size=40))
def test_an_incidents_message_always_fits(title: str, lines: list[str]) -> None:
    view = an_incident().model_copy(
        update={"title": title, "log": [LogLine(at=AT, text=line) for line in lines]}
    )

    assert units(render(view).plain) <= MESSAGE_LIMIT
    assert units(render_page(VERA, Page(key="k", view=view)).plain) <= MESSAGE_LIMIT
