"""Telegram's MarkdownV2 style, with its error messages and their byte offsets."""

from dataclasses import dataclass

from holdfast.sim.telegram.entities.spans import Span
from holdfast.sim.telegram.errors import ApiError, bad_request
from holdfast.sim.telegram.links import checked_link, mentioned_user_id

_RESERVED = frozenset("_*[]()~`>#+-=|{}.!\n")
_LAST_ESCAPABLE = 126
_BLOCKQUOTE = "blockquote"
_MARKS = {
    "||": "spoiler",
    "__": "underline",
    "_": "italic",
    "*": "bold",
    "~": "strikethrough",
    "[": "text_link",
}
_ENDS = {
    **{kind: mark for mark, kind in _MARKS.items()},
    "text_link": "]",
    "custom_emoji": "]",
    "code": "`",
    "pre": "```",
}
_NAMES = {"text_link": "TextUrl", "custom_emoji": "CustomEmoji", _BLOCKQUOTE: "BlockQuote"}


@dataclass(frozen=True)
class _Open:
    kind: str
    start: int
    source_at: int
    language: str = ""


def parse_markdown(source: str) -> tuple[str, list[Span]]:
    """The text without its marks, and what they mark.

    Raises:
        ApiError: 400 "can't parse entities: ..." that names the character or the byte offset.
    """
    return _MarkdownParser(source).parse()


class _MarkdownParser:
    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._text = ""
        self._open: list[_Open] = []
        self._spans: list[Span] = []

    def parse(self) -> tuple[str, list[Span]]:
        while self._at < len(self._source):
            char = self._source[self._at]
            escaped = self._source[self._at + 1 : self._at + 2]
            if char == "\\" and escaped and ord(escaped) <= _LAST_ESCAPABLE:
                self._text += escaped
                self._at += 2
            elif not self._is_reserved(char):
                self._text += char
                self._at += 1
            elif self._ends_here(char):
                self._end()
            else:
                self._begin(char)
        if self._open and self._open[-1].kind == _BLOCKQUOTE:
            self._mark(self._open.pop(), {})
        if self._open:
            raise self._unfinished(self._open[-1])
        return self._text, self._spans

    def _is_reserved(self, char: str) -> bool:
        inside_code = bool(self._open) and self._open[-1].kind in {"code", "pre"}
        return char == "`" if inside_code else char in _RESERVED

    def _ends_here(self, char: str) -> bool:
        if not self._open:
            return False
        # A line that does not begin with ">" ends a quotation, and nothing may stay open across its end.
        if char == "\n":
            quoted = any(mark.kind == _BLOCKQUOTE for mark in self._open)
            return quoted and not self._next_is("\n>")
        kind = self._open[-1].kind
        if kind == "italic":
            return char == "_" and not self._next_is("__")
        return kind != _BLOCKQUOTE and self._next_is(_ENDS[kind])

    def _begin(self, char: str) -> None:
        if char == "\n":
            self._begin_line()
        elif char == ">" and self._at == 0:
            self._push(_BLOCKQUOTE, 1)
        elif char == "`":
            self._begin_code()
        elif self._next_is("!["):
            self._push("custom_emoji", 2)
        else:
            mark = next((mark for mark in _MARKS if self._next_is(mark)), None)
            if mark is None:
                trouble = f"Character '{char}' is reserved and must be escaped with the preceding '\\'"
                raise _failure(trouble)
            self._push(_MARKS[mark], len(mark))

    def _begin_line(self) -> None:
        self._text += "\n"
        self._at += 1
        if self._next_is(">"):
            if any(mark.kind == _BLOCKQUOTE for mark in self._open):
                self._at += 1
            else:
                self._push(_BLOCKQUOTE, 1)

    def _begin_code(self) -> None:
        if not self._next_is("```"):
            self._push("code", 1)
            return
        source_at, self._at = self._at, self._at + 3
        end = self._at
        while end < len(self._source) and not self._source[end].isspace() and self._source[end] != "`":
            end += 1
        language = ""
        if end < len(self._source) and self._source[end] != "`":
            language, self._at = self._source[self._at : end], end
        if self._next_is("\n"):
            self._at += 1
        self._open.append(_Open("pre", len(self._text), source_at, language))

    def _push(self, kind: str, width: int) -> None:
        self._open.append(_Open(kind, len(self._text), self._at))
        self._at += width

    def _end(self) -> None:
        mark = self._open.pop()
        if mark.kind == _BLOCKQUOTE:
            self._text += "\n"
            self._at += 1
            self._mark(mark, {})
        elif self._next_is("\n"):
            raise self._unfinished(mark)
        elif mark.kind in {"text_link", "custom_emoji"}:
            self._end_link(mark)
        else:
            self._at += len(_ENDS[mark.kind])
            self._mark(mark, {"language": mark.language} if mark.language else {})

    def _end_link(self, mark: _Open) -> None:
        self._at += 1
        if self._next_is("("):
            url = self._url()
        elif mark.kind == "custom_emoji":
            raise _failure("Custom emoji entity must contain a tg://emoji URL")
        else:
            url = self._text[mark.start :]
        if mark.kind == "custom_emoji":
            self._mark(mark, {"custom_emoji_id": url.removeprefix("tg://emoji?id=")})
            return
        user_id = mentioned_user_id(url)
        if user_id is not None:
            self._spans.append(Span("text_mention", mark.start, len(self._text), {"user": {"id": user_id}}))
            return
        try:
            self._mark(mark, {"url": checked_link(url)})
        except ValueError:
            return  # Telegram shows a link it does not accept as plain text

    def _url(self) -> str:
        begin = self._at + 1
        self._at, url = begin, ""
        while not self._next_is(")"):
            if self._at >= len(self._source):
                raise _failure(f"Can't find end of a URL at byte offset {self._bytes_before(begin)}")
            self._at += self._source[self._at] == "\\" and self._at + 1 < len(self._source)
            url += self._source[self._at]
            self._at += 1
        self._at += 1
        return url

    def _mark(self, mark: _Open, attributes: dict[str, str]) -> None:
        if len(self._text) > mark.start:
            self._spans.append(Span(mark.kind, mark.start, len(self._text), dict[str, object](attributes)))

    def _next_is(self, piece: str) -> bool:
        return self._source.startswith(piece, self._at)

    def _bytes_before(self, place: int) -> int:
        return len(self._source[:place].encode())

    def _unfinished(self, mark: _Open) -> ApiError:
        name = "PreCode" if mark.language else _NAMES.get(mark.kind, mark.kind.capitalize())
        return _failure(f"Can't find end of {name} entity at byte offset {self._bytes_before(mark.source_at)}")


def _failure(trouble: str) -> ApiError:
    return bad_request(f"can't parse entities: {trouble}")
