"""Pieces that every message is laid out from: blocks of lines, links, and what is sent in the end."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from urllib.parse import urlsplit

from aiogram.types import InlineKeyboardMarkup
from aiogram.utils.formatting import Code, ExpandableBlockQuote, Pre, Text, TextLink

from holdfast.adapters.telegram.wording import units

_SHOWN_ADDRESS_UNITS = 200


@dataclass(frozen=True)
class Card:
    """A rendered message.

    Attributes:
        html: for `parse_mode="HTML"`, everything from outside escaped.
        plain: the same words without marks, for a chat that refuses the marks.
        keyboard: the buttons, if there are any.
    """

    html: str
    plain: str
    keyboard: InlineKeyboardMarkup | None = None


def joined(blocks: list[list[Text]]) -> Text:
    """Put lines below each other, with an empty one between blocks."""
    nodes: list[Text | str] = [""]
    for block in blocks:
        for number, line in enumerate(block):
            # Around tables and quotations Telegram leaves space by itself.
            nodes += ["\n" if number or isinstance(nodes[-1], Pre | ExpandableBlockQuote) else "\n\n", line]
    return Text(*nodes[2:])


def marked(mark: type[Text], text: str) -> Text:
    """Mark a text that may be empty."""
    # aiogram lets an empty mark at the beginning swallow the whole text.
    return mark(text) if text else Text()


def is_linkable(url: str) -> bool:
    """Whether Telegram takes the address for links and buttons: it refuses hosts without a dot."""
    host = _host(url)
    return "." in host.strip(".") or ":" in host


def link(label: str, url: str, *, name: str, shown_units: int = _SHOWN_ADDRESS_UNITS) -> Iterator[Text]:
    """Link an address; one that Telegram would not link is shown to be copied, one that is none left out.

    Args:
        label: the words of the link.
        url: the address.
        name: what stands before an address that is shown.
        shown_units: the longest that is shown; it is shown whole or not at all.
    """
    if is_linkable(url):
        # aiogram writes the address into the attribute as it is.
        yield Text(TextLink(label, url=escape(url)))
    elif _host(url) and units(url) <= shown_units:
        yield Text(f"{name}: ", Code(url))


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        return (parts.hostname or "") if parts.scheme in {"http", "https"} else ""
    except ValueError:
        return ""
