"""What Telegram marks by itself: commands, mentions, tags, addresses."""

import re
from collections.abc import Iterable, Iterator, Sequence

from holdfast.sim.telegram.entities.spans import Span

_PATTERNS = (
    ("mention", re.compile(r"(?<!\w)@[A-Za-z0-9_]{3,32}(?!\w)")),
    ("bot_command", re.compile(r"(?<![\w/<>])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?(?![\w/<>])")),
    ("hashtag", re.compile(r"(?<![\w&])#(?=\w*[^\W\d])\w{1,256}")),
    ("url", re.compile(r"(?<!\w)(?:(?:https?|tg|ton)://|www\.|t\.me/)[^\s<>\"«»]*[^\s<>\"«».,:;!?'()\[\]{}]")),
    ("email", re.compile(r"(?<![\w.+-])[\w.+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}(?![\w-])")),
)
# Marks like bold may overlap what is found; these may not.
_CLOSED_KINDS = {"code", "pre", "text_link", "text_mention", "custom_emoji", *(kind for kind, _ in _PATTERNS)}


def find_spans(text: str, marked: Sequence[Span]) -> list[Span]:
    """What is found in a text beside what its author marked as code or link."""
    taken = [span for span in marked if span.kind in _CLOSED_KINDS]
    found: list[Span] = []
    for span in sorted(_candidates(text), key=lambda span: (span.start, -span.end)):
        if not _touches(span, taken) and not _touches(span, found):
            found.append(span)
    return found


def _candidates(text: str) -> Iterator[Span]:
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            yield Span(kind, match.start(), match.end())


def _touches(span: Span, others: Iterable[Span]) -> bool:
    return any(span.start < other.end and other.start < span.end for other in others)
