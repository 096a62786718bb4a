"""Entities as HTML that is safe to put into a page."""

from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup, escape

from holdfast.sim.telegram.entities.spans import covered, utf16_offsets
from holdfast.sim.telegram.links import checked_link
from holdfast.sim.telegram.shapes import Json

_TAGS = {
    "bold": "strong",
    "italic": "em",
    "underline": "u",
    "strikethrough": "s",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
    "expandable_blockquote": "blockquote",
}
_BLOCKS = ("pre", "blockquote")
_CLASSES = ("spoiler", "mention", "hashtag", "cashtag", "text_mention")


def to_html(text: str, entities: Sequence[Json]) -> Markup:
    """The text with its entities as tags; everything else is escaped.

    Entities may overlap: the text is cut at every boundary and each piece gets all tags that cover it.
    """
    places = {offset: place for place, offset in enumerate(utf16_offsets(text))}
    covers = [
        (places[entity["offset"]], places[entity["offset"] + entity["length"]], entity) for entity in entities
    ]
    cuts = sorted({0, len(text), *(start for start, _, _ in covers), *(end for _, end, _ in covers)})
    result = Markup()
    block_ends = {end for _, end, entity in covers if _TAGS.get(entity["type"]) in _BLOCKS}
    for start, end in pairwise(cuts):
        piece = _escaped(text[start:end], follows_block=start in block_ends)
        inner_first = [entity for low, high, entity in reversed(covers) if low <= start and end <= high]
        for entity in inner_first:
            piece = _wrap(piece, entity, covered(text, entity))
        result += piece
    return result


def _escaped(text: str, *, follows_block: bool) -> Markup:
    # A block ends its line by itself, so the line break after it would show as an empty line.
    if follows_block and text.startswith("\n"):
        return Markup('<span class="gap">\n</span>') + escape(text[1:])
    return escape(text)


def _wrap(piece: Markup, entity: Json, marked: str) -> Markup:
    kind = str(entity["type"])
    if kind in _TAGS:
        tag = Markup(_TAGS[kind])  # noqa: S704 - a constant of the table above
        return Markup("<{0}>{1}</{0}>").format(tag, piece)
    if kind in _CLASSES:
        return Markup('<span class="{}">{}</span>').format(kind, piece)
    if kind == "bot_command":
        return Markup('<a class="command" href="#" data-command="{}">{}</a>').format(marked, piece)
    if kind in {"text_link", "url"}:
        return _link(piece, str(entity.get("url", marked)))
    return piece


def _link(piece: Markup, url: str) -> Markup:
    try:
        href = checked_link(url)
    except ValueError:
        return piece
    return Markup('<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>').format(href, piece)
