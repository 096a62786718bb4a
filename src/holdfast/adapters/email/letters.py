"""What a mail says: plain words for somebody who reads it on a phone, hours later."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from holdfast.domain import progress
from holdfast.domain.people import Person
from holdfast.ports.notices import Notice, NoticeKind, Page

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
