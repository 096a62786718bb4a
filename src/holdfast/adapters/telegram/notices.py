"""A message to one person about one open gate, on that person's clock, for 3 a.m."""

from collections.abc import Iterator
from dataclasses import dataclass

from aiogram.utils.formatting import Bold, Code, Text

from holdfast.adapters.telegram import questions
from holdfast.adapters.telegram.buttons import fits_buttons, private_buttons
from holdfast.adapters.telegram.layout import Card, is_linkable, joined, link, marked
from holdfast.adapters.telegram.wording import MESSAGE_LIMIT, clip, units
from holdfast.domain import progress
from holdfast.domain.people import Person
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
        Text(clip(notice.run_title, 120), " · ", marked(Bold, clip(notice.gate.title, 200))),
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
    number = f" no. {notice.number}" if notice.number > 1 else ""
    return {
        NoticeKind.REQUEST: "✋ Your decision is asked",
        NoticeKind.REMINDER: f"🔔 Reminder no. {notice.number}: your decision is still asked",
        NoticeKind.WARNING: "⏰ The deadline comes near: your decision is still missing",
        NoticeKind.ESCALATION: f"🚨 Escalation{number}: the answer is overdue, and you may give it",
        NoticeKind.OVERDUE: f"⌛ Overdue{number}: your decision is still asked",
    }[notice.kind]


def _in_place_of(person: Person, notice: Notice) -> Iterator[Text]:
    """Say why somebody is asked who is no approver."""
    gate = notice.gate
    if person.name in gate.approvers:
        return
    givers = [d.by for d in gate.delegations if d.to == person.name]
    late = [name for name in notice.waiting if name in gate.approvers]
    if givers:
        yield Text(f"👥 {clip(', '.join(dict.fromkeys(givers)), 200)} handed this over to you.")
    elif late:
        yield Text(f"👥 You may answer in place of {clip(', '.join(late), 200)}.")
    else:
        yield Text("👥 You stand in for an approver.")


def _short(person: Person, notice: Notice, detail: _Detail) -> Iterator[Text]:
    gate = notice.gate
    yield Text("❓ ", clip(gate.question, min(detail.text_units, 300)))
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
        yield Text(f"👥 Asked too, not answered yet: {clip(', '.join(others), 200)}")
    yield from _next(person, notice)


def _next(person: Person, notice: Notice) -> Iterator[Text]:
    if notice.next_at is None:
        yield Text("🔕 No further reminder.")
    else:
        yield Text(f"🔔 Next reminder: {progress.moment(notice.next_at, notice.gate, person.zone)}")


def _evidence(person: Person, notice: Notice, detail: _Detail) -> Iterator[Text]:
    yield from questions.settings(notice.gate, detail.settings)
    risk = notice.gate.basis.risk if notice.gate.basis else {}
    if "outcome" in risk:
        yield Text(clip(f"📊 Verdict: {risk['outcome']}, risk {risk.get('risk', 'unknown')}", 120))
    yield Text("📎 ", clip(progress.freshness(notice.gate, person.zone), 300))


def _ways(notice: Notice) -> Iterator[Text]:
    if notice.gate.mfa:
        yield Text("🔐 Your answer needs a code of your authenticator app; after the tap you are asked for it.")
    if not notice.button:
        return
    if fits_buttons(notice.run_id, notice.button):
        yield Text("To reject, give a reason: you are asked for it after the tap.")
    else:
        yield Text("Too long for buttons here: answer in the Temporal UI or on the command line.")


def _foot(notice: Notice, *, has_page: bool) -> Iterator[Text]:
    yield Text(Code(clip(notice.run_id, 100) or "?"))
    if notice.link and not has_page:
        yield from link("Answer on the web page", notice.link, name="Web page", shown_units=_ADDRESS_UNITS)
    yield from link("Open in the Temporal UI", notice.run_url, name="Temporal UI")
