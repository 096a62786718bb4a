"""Marked pieces of a text, counted in code points while they are worked on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from holdfast.sim.telegram.errors import bad_request
from holdfast.sim.telegram.links import checked_link
from holdfast.sim.telegram.shapes import Json

_SPACES = " \n"
_LAST_SINGLE_UNIT = 0xFFFF
_FIRST_OF_EQUALS = ("blockquote", "expandable_blockquote", "pre", "code", "text_link", "text_mention")
_LAST_OF_EQUALS = ("bold", "italic", "underline", "strikethrough", "spoiler", "custom_emoji")
_UNMIXED = ("code", "pre")
_REQUIRED = {"text_link": "url", "text_mention": "user", "custom_emoji": "custom_emoji_id"}
_TYPES = {
    *("mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "bold", "italic"),
    *("underline", "strikethrough", "spoiler", "blockquote", "expandable_blockquote", "code", "pre"),
    *("text_link", "text_mention", "custom_emoji", "date_time"),
}


@dataclass(frozen=True)
class Span:
    """One marked piece: `kind` is the Bot API's entity type, `attributes` its further fields."""

    kind: str
    start: int
    end: int
    attributes: Json = field(default_factory=dict[str, object])


def utf16_offsets(text: str) -> list[int]:
    """The UTF-16 offset of each code point, and of the end of the text."""
    return list(accumulate((2 if ord(char) > _LAST_SINGLE_UNIT else 1 for char in text), initial=0))


def covered(text: str, entity: Json) -> str:
    """The piece of a text that an entity marks."""
    start, end = entity["offset"], entity["offset"] + entity["length"]
    return text.encode("utf-16-le")[2 * start : 2 * end].decode("utf-16-le")


def to_entities(text: str, spans: Iterable[Span]) -> list[Json]:
    """Spans as the Bot API writes them: sorted, the outer first, in UTF-16 units."""
    offsets = utf16_offsets(text)
    ordered = sorted(spans, key=lambda span: (span.start, -span.end, _rank(span.kind)))
    return [
        {
            "offset": offsets[span.start],
            "length": offsets[span.end] - offsets[span.start],
            "type": span.kind,
            **span.attributes,
        }
        for span in ordered
    ]


def _rank(kind: str) -> int:
    if kind in _FIRST_OF_EQUALS:
        return _FIRST_OF_EQUALS.index(kind)
    rank = len(_FIRST_OF_EQUALS)
    return rank + 1 + _LAST_OF_EQUALS.index(kind) if kind in _LAST_OF_EQUALS else rank


def from_entities(text: str, entities: Sequence[Json]) -> list[Span]:
    """Entities that a client sent, checked.

    Raises:
        ApiError: 400 for an unknown type or a place outside the text.
    """
    places = {offset: place for place, offset in enumerate(utf16_offsets(text))}
    return [_checked_span(entity, places, max(places)) for entity in entities if entity.get("length")]


def _checked_span(entity: Json, places: dict[int, int], last: int) -> Span:
    kind, offset, length = entity.get("type"), entity.get("offset", 0), entity["length"]
    if not isinstance(offset, int) or not isinstance(length, int):
        raise bad_request('can\'t parse MessageEntity: Field "offset" and "length" must be a valid Number')
    end = offset + length
    if kind not in _TYPES:
        raise bad_request("can't parse MessageEntity: Unsupported type specified")
    if offset < 0:
        raise bad_request(f"Receive an entity with incorrect offset {offset}")
    if offset >= last:
        raise bad_request(f"entity begins after the end of the text at UTF-16 offset {offset}")
    if end > last:
        text = (
            f"entity beginning at UTF-16 offset {offset} ends after the end of the text at UTF-16 offset {end}"
        )
        raise bad_request(text)
    if offset not in places or end not in places:
        raise bad_request(f"entity begins in a middle of a UTF-16 symbol at UTF-16 offset {offset}")
    return Span(str(kind), places[offset], places[end], _checked_attributes(str(kind), entity))


def _checked_attributes(kind: str, entity: Json) -> Json:
    required = _REQUIRED.get(kind)
    if required and required not in entity:
        raise bad_request(f"can't parse MessageEntity: Can't find field \"{required}\"")
    attributes = {name: value for name, value in entity.items() if name not in {"type", "offset", "length"}}
    if kind == "text_link":
        try:
            attributes["url"] = checked_link(str(entity["url"]))
        except ValueError as error:
            raise bad_request(f"entity URL '{entity['url']}' is invalid: {error}") from error
    return attributes


def trim(text: str, spans: Sequence[Span]) -> tuple[str, list[Span]]:
    """Cut white space off both ends; what is marked at the beginning keeps its own."""
    first_marked = min((span.start for span in spans), default=len(text))
    lead = min(len(text) - len(text.lstrip(_SPACES)), first_marked)
    trimmed = text.rstrip(_SPACES)[lead:]
    end = len(trimmed)
    moved = (replace(span, start=span.start - lead, end=min(span.end - lead, end)) for span in spans)
    return trimmed, [span for span in moved if span.start < span.end]


def separate_code(spans: Sequence[Span]) -> list[Span]:
    """Keep other marks out of code, which Telegram never mixes with any of them."""
    fixed = [span for span in spans if span.kind in _UNMIXED]
    pieces = [span for span in spans if span.kind not in _UNMIXED]
    for wall in fixed:
        pieces = [piece for span in pieces for piece in _outside(span, wall)]
    outer = [wall for wall in fixed if not any(_holds(other, wall) for other in fixed)]
    return [*outer, *pieces]


def _outside(span: Span, wall: Span) -> list[Span]:
    if span.kind.endswith("blockquote") or span.end <= wall.start or wall.end <= span.start:
        return [span]
    before, after = replace(span, end=wall.start), replace(span, start=wall.end)
    return [piece for piece in (before, after) if piece.start < piece.end]


def _holds(outer: Span, inner: Span) -> bool:
    return outer is not inner and outer.start <= inner.start and inner.end <= outer.end and outer.kind == "pre"
