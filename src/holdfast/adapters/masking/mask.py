"""Replaces revealed secrets, in each form in which other software writes them down."""

import base64
import json
import re
import string
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, TypeVar, cast
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

HIDDEN: Final = "•••"
SHORTEST: Final = 4

_T = TypeVar("_T")
_Fields = Mapping[Any, Any]
# A secret that was replaced so many times since is worth nothing to anybody.
_MOST_KEPT: Final = 256
_BASE64: Final = frozenset(string.ascii_letters + string.digits + "+/-_")
_FOR_URLS: Final = str.maketrans("+/", "-_")
_ADDRESS: Final = re.compile(r"[\w+.-]+://")
_TELLING: Final = re.compile(r"pass|pwd|token|secret|key", re.IGNORECASE)


@dataclass(frozen=True)
class _Forms:
    """How secrets are written: as text, and as the inner part of a base64 text."""

    plain: frozenset[str] = frozenset()
    base64: frozenset[str] = frozenset()


class Mask:
    """Knows the secrets that were revealed and replaces them by `•••`; may be used from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: dict[str, _Forms] = {}
        self._all = _Forms()

    def add(self, secret: str) -> None:
        """Replace this secret from here on, and the password in it if it is the address of a database.

        Also found are its URL-encoded form, base64 of anything that contains it, such as `user:secret` of basic
        authentication, and how JSON and Python write it. Parts of less than four characters are left alone.
        """
        with self._lock:
            known = self._kept.pop(secret, None)
            self._kept[secret] = known or _forms_of(secret)
            while len(self._kept) > _MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            if known is None:
                self._all = _Forms(
                    plain=frozenset[str]().union(*(forms.plain for forms in self._kept.values())),
                    base64=frozenset[str]().union(*(forms.base64 for forms in self._kept.values())),
                )

    def text(self, said: str) -> str:
        """Return the text with every secret replaced; secrets that overlap are replaced as one."""
        spans = sorted(self._spans(said))
        if not spans:
            return said
        pieces: list[str] = []
        end = 0
        for begin, stop in _merged(spans):
            pieces += [said[end:begin], HIDDEN]
            end = stop
        return "".join([*pieces, said[end:]])

    def value(self, value: _T) -> _T:
        """Return plain data with every secret in its texts replaced, names of fields included."""
        return cast("_T", self._value(value))

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            fields = cast("_Fields", value)
            return {self._value(name): self._value(inner) for name, inner in fields.items()}
        if isinstance(value, list | tuple):
            items = [self._value(item) for item in cast("Iterable[Any]", value)]
            return items if isinstance(value, list) else tuple(items)
        return value

    def _spans(self, said: str) -> Iterator[tuple[int, int]]:
        forms = self._all
        for form in forms.plain:
            yield from _found(form, said)
        for core in forms.base64:
            yield from (_whole_word(said, *span) for span in _found(core, said))


def _found(form: str, said: str) -> Iterator[tuple[int, int]]:
    begin = said.find(form)
    while begin >= 0:
        yield begin, begin + len(form)
        begin = said.find(form, begin + 1)


def _whole_word(said: str, begin: int, end: int) -> tuple[int, int]:
    """Widen a find to the whole base64 text that it stands in."""
    while begin > 0 and said[begin - 1] in _BASE64:
        begin -= 1
    while end < len(said) and said[end] in _BASE64:
        end += 1
    padding = said[end : end + 2]
    return begin, end + len(padding) - len(padding.lstrip("="))


def _merged(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Join spans, sorted by their beginning, that overlap or touch."""
    begin = stop = -1
    for start, end in spans:
        if start > stop:
            if stop > begin:
                yield begin, stop
            begin, stop = start, end
        stop = max(stop, end)
    yield begin, stop


def _forms_of(secret: str) -> _Forms:
    parts = {part for part in (secret, *_passwords(secret), *secret.splitlines()) if len(part) >= SHORTEST}
    return _Forms(
        plain=frozenset(form for part in parts for form in _written(part)),
        base64=frozenset(core for part in parts for core in _encoded(part)),
    )


def _passwords(address: str) -> Iterator[str]:
    """Yield what is secret inside an address: `…://user:password@host/name?password=…`."""
    if not _ADDRESS.match(address):
        return
    whole = address.partition("://")[2]
    # A password may hold an @ that nobody has encoded.
    for rest in (whole.partition("@")[0], whole.rpartition("@")[0]):
        password = rest.partition(":")[2]
        yield from (password, unquote(password))
    try:
        query = urlsplit(address).query
    except ValueError:
        return
    yield from (value for name, value in parse_qsl(query) if _TELLING.search(name))


def _written(part: str) -> set[str]:
    """Return the part as text, in URLs, and as JSON and Python quote it, once and twice."""
    encoded = {quote(part), quote(part, safe=""), quote_plus(part)}
    forms = {part, *encoded, *(re.sub(r"%[0-9A-F]{2}", lambda m: m[0].lower(), form) for form in encoded)}
    for _ in range(2):
        forms |= {quoted for form in forms for quoted in _quoted(form)}
    return forms


def _quoted(form: str) -> set[str]:
    return {json.dumps(form)[1:-1], json.dumps(form, ensure_ascii=False)[1:-1], repr(form)[1:-1]}


def _encoded(part: str) -> Iterator[str]:
    """Yield what every base64 text has that the part is in: one for each place among the groups of three."""
    raw = part.encode("utf-8", "surrogatepass")
    for offset in range(3):
        text = base64.b64encode(b"\0" * offset + raw).decode()
        # Only characters whose six bits all come from the part are the same wherever it stands.
        core = text[-(-8 * offset // 6) : 8 * (offset + len(raw)) // 6]
        yield from (core, core.translate(_FOR_URLS))
