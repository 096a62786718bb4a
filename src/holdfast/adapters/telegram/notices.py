"""A message to one person about one open gate, on that person's clock, for 3 a.m."""

from collections.abc import Iterator
from dataclasses import dataclass

from aiogram.utils.formatting import Bold, Code, Text

from holdfast.adapters.telegram import card_texts as texts
from holdfast.adapters.telegram import questions
from holdfast.adapters.telegram.buttons import fits_buttons, private_buttons
from holdfast.adapters.telegram.layout import Card, is_linkable, joined, link, marked
from holdfast.adapters.telegram.wording import MESSAGE_LIMIT, clip, say, units
from holdfast.domain import progress
from holdfast.domain.people import Person
from holdfast.i18n import understood
from holdfast.ports.notices import Notice, NoticeKind

_ADDRESS_UNITS = 1000  # a link that was made for one person is long


@dataclass(frozen=True)
class _Detail:
    """How much is said; each following level says less."""

    text_units: int = 700
    settings: int = 12
    names: int = 6


_DETAILS = (_Detail(), _Detail(text_units=300, settings=5), _Detail(text_units=120, settings=1, names=1))


def render_notice(person: Person, notice: Notice, *, link_button: bool = True) -> Card:
    """Render a notice in as much detail as one message takes.

    Args:
        person: who reads it, on whose clock times are told.
        notice: what to say.
        link_button: whether the web page may be a button; else its address is shown.
    """
    page = notice.link if link_button and is_linkable(notice.link) else ""
    gate = notice.gate
    keyboard = private_buttons(
        gate, notice.run_id, notice.button, against=questions.against(gate), web_page=page
    )
    for detail in _DETAILS:
        text = joined([b for b in _blocks(person, notice, detail, has_page=bool(page)) if b])
        plain, _ = text.render()
        if units(plain) <= MESSAGE_LIMIT:
            break
    else:
        raise AssertionError("the least detailed notice is bounded by its limits")
    return Card(html=text.as_html(), plain=plain, keyboard=keyboard)


def _blocks(person: Person, notice: Notice, detail: _Detail, *, has_page: bool) -> Iterator[list[Text]]:
    yield [
        Text(Bold(_call(notice))),
        Text(clip(notice.run_title, 120), " · ", marked(Bold, clip(understood(notice.gate.title), 200))),
        *_in_place_of(person, notice),
    ]
    if notice.kind in {NoticeKind.REMINDER, NoticeKind.WARNING, NoticeKind.OVERDUE}:
        yield list(_short(person, notice, detail))
    else:
        yield questions.question(notice.gate, detail.text_units)
        yield list(_waiting(person, notice, detail))
        yield list(_evidence(person, notice, detail))
    yield list(_ways(notice))
    yield list(_foot(notice, has_page=has_page))


def _call(notice: Notice) -> str:
    again = notice.number > 1
    templates = {
        NoticeKind.REQUEST: texts.REQUEST,
        NoticeKind.REMINDER: texts.REMINDER,
        NoticeKind.WARNING: texts.WARNING,
        NoticeKind.ESCALATION: texts.ESCALATION_AGAIN if again else texts.ESCALATION,
        NoticeKind.OVERDUE: texts.OVERDUE_AGAIN if again else texts.OVERDUE,
    }
    return say(templates[notice.kind], number=notice.number)


def _in_place_of(person: Person, notice: Notice) -> Iterator[Text]:
    """Say why somebody is asked who is no approver."""
    gate = notice.gate
    if person.name in gate.approvers:
        return
    givers = [d.by for d in gate.delegations if d.to == person.name]
    late = [name for name in notice.waiting if name in gate.approvers]
    if givers:
        yield Text(say(texts.HANDED_OVER, names=clip(", ".join(dict.fromkeys(givers)), 200)))
    elif late:
        yield Text(say(texts.IN_PLACE_OF, names=clip(", ".join(late), 200)))
    else:
        yield Text(say(texts.STANDS_IN))


def _short(person: Person, notice: Notice, detail: _Detail) -> Iterator[Text]:
    gate = notice.gate
    yield from questions.facts(gate, min(detail.text_units, 300))[:1]
    yield Text("❓ ", clip(understood(gate.question), min(detail.text_units, 300)))
    yield questions.deadline(gate, person.zone)
    yield questions.sign_off(gate, detail.text_units)
    yield from _next(person, notice)


def _waiting(person: Person, notice: Notice, detail: _Detail) -> Iterator[Text]:
    gate = notice.gate
    others = [name for name in notice.waiting if name != person.name]
    yield questions.deadline(gate, person.zone)
    yield questions.sign_off(gate, detail.text_units)
    yield from list(questions.approvals(gate, detail.text_units))[-detail.names :]
    if others:
        yield Text(say(texts.ASKED_TOO, names=clip(", ".join(others), 200)))
    yield from _next(person, notice)


def _next(person: Person, notice: Notice) -> Iterator[Text]:
    if notice.next_at is None:
        yield Text(say(texts.LAST_REMINDER))
    else:
        at = understood(progress.moment(notice.next_at, notice.gate, person.zone))
        yield Text(say(texts.NEXT_REMINDER, at=at))


def _evidence(person: Person, notice: Notice, detail: _Detail) -> Iterator[Text]:
    yield from questions.settings(notice.gate, detail.settings)
    risk = notice.gate.basis.risk if notice.gate.basis else {}
    if "outcome" in risk:
        outcome, number = understood(str(risk["outcome"])), understood(str(risk.get("risk", "?")))
        yield Text(clip(say(texts.NOTICE_VERDICT, outcome=outcome, risk=number), 120))
    yield Text("📎 ", clip(understood(progress.freshness(notice.gate, person.zone)), 300))


def _ways(notice: Notice) -> Iterator[Text]:
    if notice.gate.mfa:
        yield Text(say(texts.NOTICE_MFA))
    if not notice.button:
        return
    if fits_buttons(notice.run_id, notice.button):
        yield Text(say(texts.REASON_TO_REJECT))
    else:
        yield Text(say(texts.NO_BUTTONS))


def _foot(notice: Notice, *, has_page: bool) -> Iterator[Text]:
    yield Text(Code(clip(notice.run_id, 100) or "?"))
    if notice.link and not has_page:
        yield from link(
            say(texts.WEB_BUTTON), notice.link, name=say(texts.WEB_PAGE), shown_units=_ADDRESS_UNITS
        )
    yield from link(say(texts.OPEN_UI), notice.run_url, name=say(texts.TEMPORAL_UI))
