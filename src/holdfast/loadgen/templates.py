"""Requests as bytes with slots: everything that is the same for all sessions is rendered once.

A request without variables is constant bytes. Values are written so that they stay values: percent-encoded in
a path, escaped in a JSON text, without line ends in a header. A JSON text that is nothing but one `{name}`
becomes the variable itself, with its type.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from holdfast.domain.errors import InvalidInput
from holdfast.loadgen.updates import AlwaysText, update_body
from holdfast.runbook.kinds.load import Target
from holdfast.runbook.kinds.load_scenario import Http, Step
from holdfast.runbook.systems import Secret

USER_AGENT = f"holdfast-load/{version('holdfast')}"
RUN_HEADER = "X-Holdfast-Load"
_SLOT = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# What belongs to the connection or identifies the load; a file cannot set it.
_OURS = frozenset({"user-agent", RUN_HEADER.lower(), "content-length", "transfer-encoding", "connection"})
_IN_PATH = "/?&=:;@!$'()*+,%~[]"
# Built once: `json.dumps` builds an encoder for each call that asks for anything but its defaults.
_encoded = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

Encoder = Callable[[Any], bytes]
Piece = bytes | tuple[str, Encoder]
Headers = Mapping[str, str | bytes]


class Pattern:
    """Bytes with slots.

    Attributes:
        names: of the variables in the slots, in order.
        constant: the bytes, where there is no slot.
    """

    __slots__ = ("_encoders", "_format", "constant", "names")

    def __init__(self, pieces: Iterable[Piece]) -> None:
        listed = list(pieces)
        self._format = b"".join(p.replace(b"%", b"%%") if isinstance(p, bytes) else b"%b" for p in listed)
        slots = [piece for piece in listed if not isinstance(piece, bytes)]
        self.names = tuple(name for name, _ in slots)
        self._encoders = tuple(slots)
        self.constant = None if slots else b"".join(p for p in listed if isinstance(p, bytes))

    def filled(self, values: Mapping[str, Any]) -> bytes:
        """Return it with the values of these variables; a missing one is a KeyError."""
        if self.constant is not None:
            return self.constant
        if len(self._encoders) == 1:
            name, encode = self._encoders[0]
            return self._format % encode(values[name])
        return self._format % tuple([encode(values[name]) for name, encode in self._encoders])


class Template:
    """One request, ready to be filled.

    Attributes:
        names: the variables that it needs.
        constant: all its bytes, where it needs none.
    """

    __slots__ = ("_body", "_head", "constant", "names")

    def __init__(self, head: list[Piece], body: list[Piece], *, has_body: bool) -> None:
        pattern = Pattern(body)
        if pattern.constant is None:
            self._body: Pattern | None = pattern
            # The length comes in front of the end.
            self._head = Pattern([*head, b"Content-Length: "])
        else:
            length = b"Content-Length: %d\r\n" % len(pattern.constant) if has_body else b""
            self._body = None
            self._head = Pattern([*head, length, b"\r\n", pattern.constant])
        self.names = frozenset(self._head.names + pattern.names)
        self.constant = None if self.names else self._head.constant

    def filled(self, values: Mapping[str, Any]) -> bytes:
        """Return the request with the values of these variables; a missing one is a KeyError."""
        if self._body is None:
            return self._head.filled(values)
        body = self._body.filled(values)
        return b"%b%d\r\n\r\n%b" % (self._head.filled(values), len(body), body)


def request_template(step: Step, target: Target, secrets: Mapping[str, str], run: str) -> Template:
    """Compile one step's request.

    Args:
        step: the step.
        target: where it goes.
        secrets: values by reference, see `Share.secrets`.
        run: name of the run, for the identifying header.

    Raises:
        InvalidInput: a secret is missing, or a header cannot be sent.
    """
    request = step.http or _webhook_call(step)
    body, kind = _body(request)
    given = _given_headers(step, target, secrets)
    defaults = {"Accept": "*/*", "Host": host_of(target)} | ({"Content-Type": kind} if kind else {})
    ours = {"User-Agent": USER_AGENT, RUN_HEADER: _CONTROL.sub("", run) or "unnamed"}
    head: list[Piece] = [request.method.encode() + b" ", *_path(target, request.path), b" HTTP/1.1\r\n"]
    for name, value in _merged(defaults, given).items():
        head += [name.encode(), b": ", *_text(value, _header_value), b"\r\n"]
    for name, value in ours.items():
        head.append(f"{name}: {value}\r\n".encode())
    return Template(head, body, has_body=bool(kind) or request.method in {"POST", "PUT", "PATCH"})


def host_of(target: Target) -> str:
    """Return the host as it stands in the `Host` header."""
    url = target.url
    usual = 443 if url.scheme == "https" else 80
    return f"{url.host}" if url.port in {None, usual} else f"{url.host}:{url.port}"


def secret_value(secret: Secret, secrets: Mapping[str, str]) -> str:
    """Return what a reference stands for.

    Raises:
        InvalidInput: it is not among the values.
    """
    reference = f"env:{secret.env}" if secret.env else f"file:{secret.file}"
    if reference not in secrets:
        raise InvalidInput(f"the secret {reference} is not there; set it on the machine that makes the load")
    return secrets[reference]


def _webhook_call(step: Step) -> Http:
    if step.telegram is None:
        raise InvalidInput(f"step '{step.name}': give 'http' or 'telegram'")
    place = {"target": step.telegram.target, "method": "POST", "path": step.telegram.path}
    return Http.model_validate(place | {"json": update_body(step.telegram)})


def _given_headers(step: Step, target: Target, secrets: Mapping[str, str]) -> Headers:
    """Merge what the target and the step say; a secret is bytes, so that nothing in it is taken for a slot."""
    references = dict(target.secret_headers)
    if step.telegram and step.telegram.secret_token:
        references["X-Telegram-Bot-Api-Secret-Token"] = step.telegram.secret_token
    kept = {name: secret_value(secret, secrets).encode() for name, secret in references.items()}
    merged = _merged(_merged(target.headers, kept), step.http.headers if step.http else {})
    for name, value in merged.items():
        text = value if isinstance(value, str) else value.decode()
        if not _HEADER_NAME.fullmatch(name) or _CONTROL.search(text):
            raise InvalidInput(f"step '{step.name}': header '{name}' has a character that cannot be sent")
    return {name: value for name, value in merged.items() if name.lower() not in _OURS}


def _merged(below: Mapping[str, str] | Headers, above: Mapping[str, str] | Headers) -> Headers:
    """Return both, the upper ones in place of lower ones of the same name, whatever its case."""
    names = {name.lower() for name in above}
    return {name: value for name, value in below.items() if name.lower() not in names} | dict(above)


def _path(target: Target, path: str) -> Iterator[Piece]:
    base = (target.url.path or "").rstrip("/")
    return _text(base + path, _path_value, lambda text: quote(text, safe=_IN_PATH).encode())


def _body(request: Http) -> tuple[list[Piece], str]:
    """Return the body and its type; the type is empty where there is none."""
    if request.json_body is not None:
        return list(json_pieces(request.json_body)), "application/json"
    if request.body is not None:
        return list(_text(request.body, _plain)), "text/plain; charset=utf-8"
    return [], ""


def json_pieces(value: Any) -> Iterator[Piece]:
    """Yield a JSON value as bytes with slots."""
    if isinstance(value, dict):
        yield from _separated(b"{", value.items(), b"}", _member)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]  any JSON
    elif isinstance(value, list | tuple):
        yield from _separated(b"[", value, b"]", json_pieces)  # pyright: ignore[reportUnknownArgumentType]  any JSON
    elif isinstance(value, str):
        alone = _SLOT.fullmatch(value)
        if alone and not isinstance(value, AlwaysText):
            yield alone[1], _json_value
        else:
            yield b'"'
            yield from _text(value, _json_text, _json_text)
            yield b'"'
    else:
        yield _json_value(value)


def _member(member: tuple[Any, Any]) -> Iterator[Piece]:
    yield _json_value(str(member[0])) + b":"
    yield from json_pieces(member[1])


def _separated(
    opening: bytes, parts: Iterable[Any], closing: bytes, pieces: Callable[[Any], Iterator[Piece]]
) -> Iterator[Piece]:
    yield opening
    for i, part in enumerate(parts):
        if i:
            yield b","
        yield from pieces(part)
    yield closing


def _text(text: str | bytes, encode: Encoder, constant: Encoder | None = None) -> Iterator[Piece]:
    """Yield a text as bytes with slots; bytes have none."""
    if isinstance(text, bytes):
        yield text
        return
    for i, part in enumerate(_SLOT.split(text)):
        if i % 2:
            yield part, encode
        elif part:
            yield (constant or _plain)(part)


# Whole numbers are the most frequent values by far, so each encoder looks for them first. A truth value is an
# `int` by `isinstance`, not by its type.


def _shown(value: Any) -> str:
    """Return a value as text: as JSON writes it, but a text without its quotes."""
    return value if isinstance(value, str) else _encoded(value)


def _plain(value: Any) -> bytes:
    return b"%d" % value if type(value) is int else _shown(value).encode()


def _path_value(value: Any) -> bytes:
    if type(value) is int:
        return b"%d" % value
    text = _shown(value)
    return text.encode() if text.isascii() and text.isalnum() else quote(text, safe="").encode()


def _header_value(value: Any) -> bytes:
    return b"%d" % value if type(value) is int else _CONTROL.sub("", _shown(value)).encode()


def _json_value(value: Any) -> bytes:
    return b"%d" % value if type(value) is int else _encoded(value).encode()


def _json_text(value: Any) -> bytes:
    return b"%d" % value if type(value) is int else _encoded(_shown(value))[1:-1].encode()
