"""Telegram's HTML style, with its error messages and their byte offsets."""

import re
from dataclasses import dataclass, replace

from holdfast.sim.telegram.entities.spans import Span
from holdfast.sim.telegram.errors import ApiError, bad_request
from holdfast.sim.telegram.links import checked_link, mentioned_user_id

_KINDS = {
    **dict.fromkeys(("b", "strong"), "bold"),
    **dict.fromkeys(("i", "em"), "italic"),
    **dict.fromkeys(("s", "strike", "del"), "strikethrough"),
    **dict.fromkeys(("u", "ins"), "underline"),
    **dict.fromkeys(("tg-spoiler", "span"), "spoiler"),
    **{name: name for name in ("pre", "code", "blockquote")},
    "a": "text_link",
    "tg-emoji": "custom_emoji",
}
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_REFERENCE = re.compile(r"&(?:#[xX]([0-9a-fA-F]{1,8})|#([0-9]{1,8})|([A-Za-z]+));?")
_TAG_NAME = re.compile(r"[^\s>]*")
_ATTRIBUTE_NAME = re.compile(r"[^\s=>]*")
_NAME_TOKEN = re.compile(r"[A-Za-z0-9.\-]*")
_SPACES = re.compile(r"\s*")
_LAST_CODE_POINT = 0x10FFFF


@dataclass(frozen=True)
class _OpenTag:
    name: str
    start: int
    attributes: dict[str, str]


def parse_html(source: str) -> tuple[str, list[Span]]:
    """The text without its tags, and what they mark.

    Raises:
        ApiError: 400 "can't parse entities: ..." with the byte offset of the trouble.
    """
    return _HtmlParser(source).parse()


class _HtmlParser:
    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._text = ""
        self._open: list[_OpenTag] = []
        self._spans: list[Span] = []

    def parse(self) -> tuple[str, list[Span]]:
        while self._at < len(self._source):
            if self._source.startswith("</", self._at):
                self._end_tag()
            elif self._source[self._at] == "<":
                self._start_tag()
            else:
                self._plain_text()
        if self._open:
            raise _failure(f'Can\'t find end tag corresponding to start tag "{self._open[-1].name}"')
        return self._text, [
            replace(span, attributes={}) if span.kind == "code" else span for span in self._spans
        ]

    def _plain_text(self) -> None:
        end = self._source.find("<", self._at)
        end = len(self._source) if end < 0 else end
        self._text += _unescape(self._source[self._at : end])
        self._at = end

    def _start_tag(self) -> None:
        begin = self._at
        self._at += 1
        name = self._match(_TAG_NAME).lower()
        if self._at >= len(self._source):
            raise self._error_at("Unclosed start tag", begin)
        if name not in _KINDS:
            raise self._error_at(f'Unsupported start tag "{name}"', begin)
        attributes = self._attributes(name, begin)
        if name == "span" and attributes.get("class") != "tg-spoiler":
            raise self._error_at('Tag "span" must have class "tg-spoiler"', begin)
        self._open.append(_OpenTag(name, len(self._text), attributes))

    def _attributes(self, tag: str, begin: int) -> dict[str, str]:
        found: dict[str, str] = {}
        while True:
            self._match(_SPACES)
            if self._next_is(">"):
                self._at += 1
                return found
            name = self._match(_ATTRIBUTE_NAME)
            if not name:
                raise self._error_at(f'Empty attribute name in the tag "{tag}"', begin)
            self._match(_SPACES)
            if (tag, name) == ("blockquote", "expandable") and not self._next_is("="):
                found[name] = ""
            elif not self._next_is("="):
                trouble = f'Expected equal sign in declaration of an attribute of the tag "{tag}"'
                raise self._error_at(trouble, begin)
            else:
                self._at += 1
                self._match(_SPACES)
                found[name] = self._attribute_value(begin)

    def _attribute_value(self, begin: int) -> str:
        quote = self._source[self._at : self._at + 1]
        if quote and quote in "'\"":
            end = self._source.find(quote, self._at + 1)
            if end < 0:
                raise self._error_at("Unclosed start tag", begin)
            value, self._at = _unescape(self._source[self._at + 1 : end]), end + 1
        else:
            token_begin = self._at
            value = self._match(_NAME_TOKEN).lower()
            if not (self._next_is(">") or self._source[self._at : self._at + 1].strip() == ""):
                raise self._error_at("Unexpected end of name token", token_begin)
        if self._at >= len(self._source):
            raise self._error_at("Unclosed start tag", begin)
        return value

    def _end_tag(self) -> None:
        begin = self._at
        if not self._open:
            raise self._error_at("Unexpected end tag", begin)
        self._at += 2
        name = self._match(_TAG_NAME).lower()
        self._match(_SPACES)
        if not self._next_is(">"):
            raise self._error_at("Unclosed end tag", begin)
        self._at += 1
        tag = self._open.pop()
        if name and name != tag.name:
            place = self._error_at("Unmatched end tag", begin).description.partition("entities: ")[2]
            raise _failure(f'{place}, expected "</{tag.name}>", found "</{name}>"')
        if len(self._text) > tag.start:
            self._close(tag)

    def _close(self, tag: _OpenTag) -> None:
        kind, end = _KINDS[tag.name], len(self._text)
        if kind == "text_link":
            self._close_link(tag)
        elif kind == "custom_emoji":
            emoji_id = tag.attributes.get("emoji-id", "")
            if not emoji_id.isdigit() or not 0 < int(emoji_id) < 1 << 63:
                raise _failure("Invalid custom emoji identifier specified")
            self._spans.append(Span(kind, tag.start, end, {"custom_emoji_id": emoji_id}))
        elif kind in {"pre", "code"}:
            self._close_code(tag)
        else:
            kind = "expandable_blockquote" if "expandable" in tag.attributes else kind
            self._spans.append(Span(kind, tag.start, end))

    def _close_link(self, tag: _OpenTag) -> None:
        end = len(self._text)
        url = tag.attributes.get("href") or self._text[tag.start :]
        user_id = mentioned_user_id(url)
        if user_id is not None:
            self._spans.append(Span("text_mention", tag.start, end, {"user": {"id": user_id}}))
            return
        try:
            link = checked_link(url)
        except ValueError:
            return  # Telegram shows a link it does not accept as plain text
        self._spans.append(Span("text_link", tag.start, end, {"url": link}))

    def _close_code(self, tag: _OpenTag) -> None:
        inner = self._spans[-1] if self._spans else None
        end, attributes = len(self._text), dict[str, object]()
        css_class = tag.attributes.get("class", "")
        # A language is kept only where <pre> and <code> mark exactly the same text, whichever is outside.
        if tag.name == "code" and css_class.startswith("language-") and self._inside_pre_at(tag.start):
            attributes = {"language": css_class.removeprefix("language-")}
        if tag.name == "pre" and inner and (inner.kind, inner.start, inner.end) == ("code", tag.start, end):
            attributes = self._spans.pop().attributes
        self._spans.append(Span(tag.name, tag.start, end, attributes))

    def _inside_pre_at(self, start: int) -> bool:
        return bool(self._open) and self._open[-1].name == "pre" and self._open[-1].start == start

    def _match(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._source, self._at)
        piece = match.group() if match else ""
        self._at += len(piece)
        return piece

    def _next_is(self, char: str) -> bool:
        return self._source.startswith(char, self._at)

    def _error_at(self, trouble: str, place: int) -> ApiError:
        return _failure(f"{trouble} at byte offset {len(self._source[:place].encode())}")


def _failure(trouble: str) -> ApiError:
    return bad_request(f"can't parse entities: {trouble}")


def _unescape(text: str) -> str:
    return _REFERENCE.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    hexadecimal, decimal, name = match.groups()
    if name:
        return _NAMED.get(name, match.group())
    code = int(hexadecimal, 16) if hexadecimal else int(decimal)
    is_surrogate = 0xD800 <= code <= 0xDFFF  # noqa: PLR2004 - the range Unicode reserves
    return match.group() if code == 0 or code >= _LAST_CODE_POINT or is_surrogate else chr(code)
