"""The parameters of one call: text, whatever way they came."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from aiohttp import web

from holdfast.sim.telegram.errors import bad_request
from holdfast.sim.telegram.shapes import Json

_TRUE = {"true", "yes", "1"}
_NUMBER = re.compile(r"\s*([+-]?\d{1,18})")


@dataclass(frozen=True)
class Upload:
    """A file that came with a call."""

    name: str
    mime_type: str
    content: bytes


@dataclass(frozen=True)
class Params:
    """Parameters as text, which is what forms carry; objects are JSON inside their text."""

    texts: Mapping[str, str]
    uploads: Mapping[str, Upload] = field(default_factory=dict[str, Upload])

    def text(self, name: str) -> str:
        """A parameter, "" when it was not given."""
        return self.texts.get(name, "")

    def integer(self, name: str, default: int = 0) -> int:
        """The number at the beginning of a parameter, the default when there is none."""
        # Telegram reads numbers leniently: "12 apples" is 12, and nonsense is as good as nothing.
        match = _NUMBER.match(self.text(name))
        return int(match.group(1)) if match else default

    def boolean(self, name: str) -> bool:
        """Whether a parameter says yes."""
        return self.text(name).lower() in _TRUE

    def json_object(self, name: str) -> Json | None:
        """A parameter that is a JSON object, None when it was not given.

        Raises:
            ApiError: 400 when it is something else.
        """
        value = self._json(name)
        if value is not None and not isinstance(value, dict):
            raise bad_request(f"can't parse {name} JSON object")
        return cast("Json | None", value)

    def json_list(self, name: str) -> list[object] | None:
        """A parameter that is a JSON array, None when it was not given.

        Raises:
            ApiError: 400 when it is something else.
        """
        value = self._json(name)
        if value is not None and not isinstance(value, list):
            raise bad_request(f"can't parse {name} JSON array")
        return cast("list[object] | None", value)

    def upload(self, name: str) -> Upload | None:
        """A file under this name, or under the name that `attach://...` points to."""
        return self.uploads.get(self.text(name).removeprefix("attach://")) or self.uploads.get(name)

    def _json(self, name: str) -> object:
        if not self.text(name):
            return None
        try:
            return cast("object", json.loads(self.text(name)))
        except ValueError as error:
            raise bad_request(f"can't parse {name} JSON") from error


async def read_params(request: web.Request) -> Params:
    """Collect the parameters of the query string and of a form, multipart or JSON body.

    Raises:
        ApiError: 400 when a JSON body is no object, or a text is not encodable.
    """
    texts = dict(request.query)
    uploads: dict[str, Upload] = {}
    if request.content_type == "application/json":
        texts |= _texts_of_json(await request.text())
    elif request.can_read_body:
        for name, value in (await request.post()).items():
            if isinstance(value, web.FileField):
                uploads[name] = Upload(value.filename, value.content_type, value.file.read())
            else:
                texts[name] = value if isinstance(value, str) else bytes(value).decode(errors="replace")
    _check_encodable(texts)
    return Params(texts, uploads)


def _texts_of_json(source: str) -> dict[str, str]:
    try:
        body: object = json.loads(source)
    except ValueError as error:
        raise bad_request("can't parse JSON body") from error
    if not isinstance(body, dict):
        raise bad_request("the body must be a JSON object")
    given = cast("Json", body)
    return {name: _as_text(value) for name, value in given.items() if value is not None}


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _check_encodable(texts: Mapping[str, str]) -> None:
    try:
        "".join(texts.values()).encode()
    except UnicodeEncodeError as error:
        raise bad_request("strings must be encoded in UTF-8") from error
