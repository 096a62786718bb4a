"""An incident's message: what is wrong, who has it, who is called next, for a tired person at 3 a.m."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from aiogram.utils.formatting import Bold, Text

from holdfast.adapters.telegram import card_texts as texts
from holdfast.adapters.telegram.buttons import incident_buttons
from holdfast.adapters.telegram.layout import Card, joined, marked
from holdfast.adapters.telegram.run_parts import foot, timeline, top
from holdfast.adapters.telegram.wording import MESSAGE_LIMIT, clip, clock, say, units, zone_name
from holdfast.domain.view import IncidentView, RunView, StageView
from holdfast.i18n import understood


@dataclass(frozen=True)
class _Detail:
    """How much is said; each following level says less."""

    log_lines: int = 6
    checks: int = 20
    text_units: int = 600


_THOUSANDS = "\N{NO-BREAK SPACE}"  # reads the same in all languages, and stays on one line
_DETAILS = (_Detail(), _Detail(log_lines=2, checks=8), _Detail(log_lines=0, checks=0, text_units=200))


def render_incident(view: RunView, incident: IncidentView, *, notice: str = "", zone: tzinfo = UTC) -> Card:
    """Render an incident's message in as much detail as one message takes."""
    keyboard = None
    if not view.state.ended:
        keyboard = incident_buttons(view.run_id, owned=bool(incident.owner))
    for detail in _DETAILS:
        text = joined([block for block in _blocks(view, incident, detail, notice, zone) if block])
        plain, _ = text.render()
        if units(plain) <= MESSAGE_LIMIT:
            break
    else:
        raise AssertionError("the least detailed message of an incident is bounded by its limits")
    return Card(html=text.as_html(), plain=plain, keyboard=keyboard)


def _blocks(
    view: RunView, incident: IncidentView, detail: _Detail, notice: str, zone: tzinfo
) -> Iterator[list[Text]]:
    # Who has it, or why it is over, stands below, with more.
    is_told_below = bool(incident.resolution or (incident.owner and not view.state.ended))
    shown = view.model_copy(update={"headline": ""}) if is_told_below else view
    yield top(shown, notice, limit=detail.text_units)
    yield list(_standing(view, incident, zone))
    yield [_check(check) for check in view.stages[: detail.checks]]
    yield timeline(view, zone, lines=detail.log_lines)
    yield foot(view, zone, texts.OPENED_BY)


def _standing(view: RunView, incident: IncidentView, zone: tzinfo) -> Iterator[Text]:
    if incident.resolution:
        yield Text(marked(Bold, say(texts.RESOLVED, resolution=clip(incident.resolution, 400))))
    elif not view.state.ended:
        yield marked(Bold, owner(view, incident, zone))
        yield Text(called(incident))
        if not incident.owner:
            yield Text(next_call(incident, zone))
    if customer := customer_of(incident):
        yield Text(customer)


def owner(view: RunView, incident: IncidentView, zone: tzinfo) -> str:
    """Say who has it, and for how long."""
    if not incident.owner:
        return say(texts.NOBODY_HAS_IT, run=view.run_id)
    if incident.acknowledged_until is None:
        return say(texts.OWNED_FOR_GOOD, name=incident.owner)
    return say(texts.OWNED, name=incident.owner, until=_at(incident.acknowledged_until, zone))


def called(incident: IncidentView) -> str:
    """Say who was called."""
    names = ", ".join(dict.fromkeys(incident.called))
    if not names:
        return say(texts.CALLED_NOBODY)
    return clip(
        say(texts.CALLED, names=names, step=incident.step, steps=incident.steps, round=incident.round), 400
    )


def next_call(incident: IncidentView, zone: tzinfo) -> str:
    """Say when who is called next."""
    if incident.next_call is None:
        return say(texts.NO_NEXT_CALL)
    at, names = _at(incident.next_call, zone), ", ".join(incident.next_called)
    return clip(say(texts.NEXT_CALL, at=at, names=names) if names else say(texts.NEXT_CALL_OPEN, at=at), 400)


def customer_of(incident: IncidentView) -> str:
    """Say which customer it is about; empty where nothing is known."""
    value = f"{incident.value:,.0f}".replace(",", _THOUSANDS) if incident.value else ""
    if incident.tier and value:
        return say(texts.CUSTOMER, tier=incident.tier, value=value)
    if incident.tier:
        return say(texts.CUSTOMER_TIER, tier=incident.tier)
    return say(texts.ORDER_VALUE, value=value) if value else ""


def _check(check: StageView) -> Text:
    return Text("▫️ ", clip(understood(check.title), 200))


def _at(at: datetime, zone: tzinfo) -> str:
    return f"{clock(at, zone)} {zone_name(zone)}"
