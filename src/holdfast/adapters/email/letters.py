"""What a mail says: plain words for somebody who reads it on a phone, hours later."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from holdfast.domain import progress
from holdfast.domain.people import Person
from holdfast.domain.words import Act
from holdfast.i18n.times import moment, on_clock
from holdfast.ports.notices import Errand, Notice, NoticeKind, Page

_LONGEST_SUBJECT: Final = 150
_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Letter:
    """A mail; the HTML is complete without any picture or style from elsewhere."""

    subject: str
    html: str


def notice_letter(person: Person, notice: Notice) -> Letter:
    """Write a notice about an open gate, on the person's own clock."""
    gate = notice.gate
    call = _call(notice)
    html = _TEMPLATES.get_template("notice.html").render(
        call=call,
        person=person,
        notice=notice,
        gate=gate,
        deadline=progress.deadline(gate, person.zone),
        settings=progress.settings(gate),
        sign_off=progress.sign_off(gate),
        missing=progress.missing(gate),
        others=", ".join(name for name in notice.waiting if name != person.name),
        link=notice.link if _is_web(notice.link) else "",
        run_url=notice.run_url if _is_web(notice.run_url) else "",
        next_at=progress.moment(notice.next_at, gate, person.zone) if notice.next_at else "",
    )
    return Letter(_line(f"{call}: {gate.title} ({notice.run_title})"), html)


def page_letter(person: Person, page: Page) -> Letter:
    """Call a person to an incident, on the person's own clock."""
    view = page.view
    again = f"Call no. {page.number}" if page.number > 1 else "You are called"
    opened = f"{view.started_at.astimezone(person.zone):%Y-%m-%d %H:%M} {person.zone}"
    said = [
        f"{view.title}",
        page.because,
        f"Opened {opened} by {view.requested_by}; run {view.run_id}.",
        "Take it in Telegram (/ack) or in the Temporal UI; while nobody does, the next people are called.",
        view.ui_url if _is_web(view.ui_url) else "",
    ]
    html = _TEMPLATES.get_template("plain.html").render(text="\n\n".join(filter(None, said)), paste="")
    return Letter(_line(f"{again}: {view.title}"), html)


def errand_letter(person: Person, errand: Errand) -> Letter:
    """Ask a person to take a role or to do a task, on the person's own clock."""
    is_role = errand.act is Act.ACCEPT
    command = f"/{'accept' if is_role else 'done'} {errand.run_id} {errand.to}"
    what = "You are asked to take a role" if is_role else "A task for you"
    call = "Overdue: a task is not done" if errand.overdue else what
    again = f" (no. {errand.number})" if errand.number > 1 else ""
    said = [
        on_clock(errand.text, person.zone),
        _until(person, errand),
        _if_not(errand),
        f"Say it to the bot in your private chat: {command}",
        f"Or in the Temporal UI: {errand.run_url}" if _is_web(errand.run_url) else "",
        f"{errand.run_title}; run {errand.run_id}.",
    ]
    html = _TEMPLATES.get_template("plain.html").render(text="\n\n".join(filter(None, said)), paste="")
    return Letter(_line(f"{call}{again}: {errand.run_title}"), html)


def _if_not(errand: Errand) -> str:
    if errand.act is Act.ACCEPT:
        return "You are on the list for this role. If you do not accept, the next person on the list is asked."
    if errand.overdue:
        return "You are asked until somebody ticks it off; others wait for it."
    return "It is your role's task. If it is not ticked off by then, you and the commander are called."


def _until(person: Person, errand: Errand) -> str:
    if errand.due is None:
        return ""
    return f"{'It was due' if errand.overdue else 'Until'} {moment(errand.due, person.zone)}."


def plain_letter(text: str, paste: str) -> Letter:
    """Write plain text, then a block to copy whole; not in the subject, which phones show while locked."""
    html = _TEMPLATES.get_template("plain.html").render(text=text, paste=paste)
    return Letter(_line(text), html)


def _call(notice: Notice) -> str:
    number = f" {notice.number}" if notice.number > 1 else ""
    return {
        NoticeKind.REQUEST: "Your decision is asked",
        NoticeKind.REMINDER: f"Reminder{number}: your decision is still asked",
        NoticeKind.WARNING: "The deadline comes near, and your decision is missing",
        NoticeKind.ESCALATION: f"Escalation{number}: the answer is overdue, and you may give it",
        NoticeKind.OVERDUE: f"Overdue{number}: your decision is still asked",
    }[notice.kind]


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_SUBJECT else f"{line[: _LONGEST_SUBJECT - 1].rstrip()}…"


def _is_web(url: str) -> bool:
    return urlsplit(url).scheme in {"http", "https"}
