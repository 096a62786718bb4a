"""The report as one HTML file that needs nothing else."""

import re
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from holdfast.adapters.reports.figures import Analysis
from holdfast.adapters.reports.page import cards, sections
from holdfast.adapters.reports.parts import zone_of
from holdfast.adapters.reports.words import Clock, lead
from holdfast.i18n import language, translate

_FOLDER: Final = Path(__file__).parent / "templates"
# A moment as `Clock.at` writes it, with brackets around it; and a number with its unit.
_MOMENT: Final = re.compile(
    r"\(?\d{4}-\d\d-\d\d(?: \d\d:\d\d)?\)?|-?\d+(?:[.\u202f]\d+)* (?:%|s|ms|µs|min|d|h|[kMG]?B|×)(?![\w-])"
)
_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(_FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _unbroken(text: str) -> Markup:
    """Return a text for the page in which no moment is broken over two lines."""
    return Markup(_MOMENT.sub(r'<span class="moment">\g<0></span>', str(escape(text))))  # noqa: S704  escaped


_TEMPLATES.filters["unbroken"] = _unbroken


def report_html(analysis: Analysis) -> str:
    """Return the report in the language that is spoken."""
    clock = Clock(zone_of(analysis))
    text = _TEMPLATES.get_template("report.html").render(
        lang=language(),
        style=(_FOLDER / "report.css").read_text(encoding="utf-8"),
        analysis=analysis,
        words=_words(),
        opens=clock.long(analysis.opens),
        closes=clock.long(analysis.closes),
        made_at=clock.long(analysis.made_at),
        lead=lead(analysis),
        cards=cards(analysis),
        sections=sections(analysis),
    )
    # What people typed may hold half a character, which no file can.
    return text.encode(errors="replace").decode()


def _words() -> dict[str, str]:
    return {
        "report": translate("Campaign report"),
        "summary": translate("Summary"),
        "contents": translate("Contents"),
        "still_open": translate("The window is still open: the figures are those so far."),
        "breach": translate("breach"),
        "made": translate("Made"),
    }
