"""A call to one person, on that person's clock: what is wrong, what to do, what happens if nothing is done."""

from collections.abc import Iterator
from datetime import tzinfo

from aiogram.utils.formatting import Bold, Code, Text

from holdfast.adapters.telegram import card_texts as texts
from holdfast.adapters.telegram.buttons import incident_buttons
from holdfast.adapters.telegram.incident_cards import called, customer_of, owner
from holdfast.adapters.telegram.layout import Card, joined, link, marked
from holdfast.adapters.telegram.wording import clip, clock, say, zone_name
from holdfast.domain.people import Person
from holdfast.domain.view import IncidentView, RunView
from holdfast.i18n import understood
from holdfast.i18n.times import on_clock
from holdfast.ports.notices import Page


def render_page(person: Person, page: Page) -> Card:
    """Render a call to a person, in the language that is spoken."""
    view, incident = page.view, page.view.incident or IncidentView()
    blocks = [list(_head(page)), list(_standing(view, incident, person.zone)), list(_foot(view))]
    text = joined([block for block in blocks if block])
    plain, _ = text.render()
    keyboard = incident_buttons(view.run_id, page.button, owned=False) if page.button else None
    return Card(html=text.as_html(), plain=plain, keyboard=keyboard)


def _head(page: Page) -> Iterator[Text]:
    title = clip(page.view.title, 200)
    first = say(texts.PAGE_AGAIN, number=page.number, title=title) if page.number > 1 else ""
    yield marked(Bold, first or say(texts.PAGE, title=title))
    if page.because:
        yield Text(clip(understood(page.because), 400))


def _standing(view: RunView, incident: IncidentView, zone: tzinfo) -> Iterator[Text]:
    yield Text(say(texts.PAGE_OPENED, at=_at(view, zone), name=clip(view.requested_by, 40)))
    if customer := customer_of(incident):
        yield Text(customer)
    if incident.owner:
        yield Text(owner(view, incident, zone))
    elif incident.called:
        yield Text(called(incident))
    if view.log:
        last = on_clock(understood(view.log[-1].text), zone)
        yield Text(clip(say(texts.PAGE_LAST, line=last), 300))
    yield Text(say(texts.PAGE_ASK))
    if incident.next_call is not None:
        at = f"{clock(incident.next_call, zone)} {zone_name(zone)}"
        yield Text(say(texts.PAGE_NOT_TAKEN, at=at))


def _foot(view: RunView) -> Iterator[Text]:
    yield Text(Code(clip(view.run_id, 100) or "?"))
    yield from link(say(texts.OPEN_UI), view.ui_url, name=say(texts.TEMPORAL_UI))


def _at(view: RunView, zone: tzinfo) -> str:
    return f"{clock(view.started_at, zone)} {zone_name(zone)}"
