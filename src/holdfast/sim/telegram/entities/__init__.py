"""Formatted text: from what a client sends to text and entities, and on to safe HTML for a page."""

from collections.abc import Sequence

from holdfast.sim.telegram.entities.found import find_spans
from holdfast.sim.telegram.entities.html import parse_html
from holdfast.sim.telegram.entities.markdown import parse_markdown
from holdfast.sim.telegram.entities.spans import from_entities, separate_code, to_entities, trim
from holdfast.sim.telegram.errors import bad_request
from holdfast.sim.telegram.shapes import Json

_PARSERS = {"html": parse_html, "markdownv2": parse_markdown}
# Control characters become spaces, but line feeds stay and carriage returns vanish.
_TO_SPACE = dict.fromkeys([*range(10), *range(11, 13), *range(14, 32)], " ") | {13: None}


def format_text(source: str, parse_mode: str = "", entities: Sequence[Json] = ()) -> tuple[str, list[Json]]:
    """What Telegram stores for a text that a client sent.

    Args:
        source: the text, with marks where `parse_mode` says so.
        parse_mode: "HTML" or "MarkdownV2" in any case, or "" for none.
        entities: explicit marks, used where no `parse_mode` is given.

    Raises:
        ApiError: 400 when the marks do not parse.
    """
    source = source.translate(_TO_SPACE)
    mode = parse_mode.lower()
    if not mode:
        text, spans = source, from_entities(source, entities)
    elif mode in _PARSERS:
        text, spans = _PARSERS[mode](source)
    else:
        raise bad_request("unsupported parse_mode")
    text, spans = trim(text, separate_code(spans))
    return text, to_entities(text, [*spans, *find_spans(text, spans)])
