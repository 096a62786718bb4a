"""A request to one person, on that person's clock: what is asked, why of you, until when, and what if not."""

from collections.abc import Iterator

from aiogram.types import InlineKeyboardMarkup
from aiogram.utils.formatting import Bold, Code, Text

from holdfast.adapters.telegram import errand_texts as texts
from holdfast.adapters.telegram.buttons import errand_button
from holdfast.adapters.telegram.card_texts import OPEN_UI, TEMPORAL_UI
from holdfast.adapters.telegram.layout import Card, joined, link, marked
from holdfast.adapters.telegram.wording import clip, say
from holdfast.domain.people import Person
from holdfast.domain.words import Act
from holdfast.i18n import understood
from holdfast.i18n.times import moment, on_clock
from holdfast.ports.notices import Errand


def render_errand(person: Person, errand: Errand) -> Card:
    """Render a request to a person, in the language that is spoken."""
    keyboard = _keyboard(errand)
    blocks = [
        list(_head(person, errand)),
        list(_follows(person, errand, has_button=keyboard is not None)),
        list(_foot(errand)),
    ]
    text = joined(blocks)
    plain, _ = text.render()
    return Card(html=text.as_html(), plain=plain, keyboard=keyboard)


def _keyboard(errand: Errand) -> InlineKeyboardMarkup | None:
    usual = texts.ACCEPT_BUTTON if errand.act is Act.ACCEPT else texts.DONE_BUTTON
    label = understood(errand.label) if errand.label else say(usual)
    return errand_button(errand.run_id, errand.button, label, act=errand.act)


def _head(person: Person, errand: Errand) -> Iterator[Text]:
    yield marked(Bold, _call(errand))
    yield Text(clip(on_clock(understood(errand.text), person.zone), 700))
    yield Text(say(texts.OF_RUN, title=clip(errand.run_title, 120)))


def _call(errand: Errand) -> str:
    if errand.overdue:
        return say(texts.OVERDUE)
    if errand.act is Act.ACCEPT:
        return say(texts.ROLE_AGAIN if errand.number > 1 else texts.ROLE, number=errand.number)
    return say(texts.TASK_AGAIN if errand.number > 1 else texts.TASK, number=errand.number)


def _follows(person: Person, errand: Errand, *, has_button: bool) -> Iterator[Text]:
    is_role = errand.act is Act.ACCEPT
    if errand.due is not None:
        until = moment(errand.due, person.zone)
        yield Text(say(texts.WAS_DUE if errand.overdue else texts.UNTIL, until=until))
    if is_role:
        yield Text(say(texts.WHY_ROLE))
        yield Text(say(texts.ELSE_ROLE))
    elif errand.overdue:
        yield Text(say(texts.ELSE_OVERDUE))
    else:
        yield Text(say(texts.WHY_TASK))
        yield Text(say(texts.ELSE_TASK))
    if not has_button:
        command = "accept" if is_role else "done"
        yield Text(say(texts.NO_BUTTON), Code(f"/{command} {errand.run_id} {errand.to}"))


def _foot(errand: Errand) -> Iterator[Text]:
    yield Text(Code(clip(errand.run_id, 100) or "?"), " · ", Code(clip(errand.to, 60) or "?"))
    yield from link(say(OPEN_UI), errand.run_url, name=say(TEMPORAL_UI))
