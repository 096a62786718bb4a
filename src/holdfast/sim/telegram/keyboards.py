"""Reply markup as clients send it."""

import json
from typing import Any, cast

from holdfast.sim.telegram.errors import ApiError, bad_request
from holdfast.sim.telegram.links import checked_link
from holdfast.sim.telegram.shapes import Json

MAX_BUTTONS = 100
MAX_MARKUP_BYTES = 10_240
MAX_CALLBACK_BYTES = 64
MAX_COPY_CHARACTERS = 256
_STYLES = ("danger", "success", "primary")
_DECORATION = ("style", "icon_custom_emoji_id")
_INERT = (
    *("login_url", "switch_inline_query", "switch_inline_query_current_chat"),
    *("switch_inline_query_chosen_chat", "disabled"),
)


def parse_reply_markup(source: str, *, inline_only: bool = False) -> Json | None:
    """The inline keyboard in `reply_markup`, as messages show it.

    Args:
        source: the JSON text of the parameter, "" when it was not given.
        inline_only: refuse the other kinds of keyboards, as edits do.

    Returns:
        `{"inline_keyboard": rows}`, or None where there is no inline button (other keyboards are not shown).

    Raises:
        ApiError: 400 when the markup or a button of it is not acceptable.
    """
    if not source:
        return None
    markup = _parse_object(source)
    if "inline_keyboard" not in markup:
        _check_other_keyboard(markup, inline_only=inline_only)
        return None
    if len(source.encode()) > MAX_MARKUP_BYTES:
        raise bad_request("reply markup is too long")
    rows = [[_button(button) for button in row] for row in _rows(markup)]
    if sum(map(len, rows)) > MAX_BUTTONS:
        raise bad_request("reply markup is too long")
    rows = [row for row in rows if row]
    return {"inline_keyboard": rows} if rows else None


def _parse_object(source: str) -> Json:
    try:
        markup: object = json.loads(source)
    except ValueError as error:
        raise bad_request("can't parse reply keyboard markup JSON object") from error
    if not isinstance(markup, dict):
        raise bad_request("object expected as reply markup")
    return cast("Json", markup)


def _check_other_keyboard(markup: Json, *, inline_only: bool) -> None:
    if inline_only and markup:
        raise bad_request("inline keyboard expected")
    if not isinstance(markup.get("keyboard", []), list):
        raise bad_request('field "keyboard" must be of type Array')
    for name in ("force_reply", "remove_keyboard"):
        if not isinstance(markup.get(name, False), bool):
            raise bad_request(f'field "{name}" must be of type Boolean')


def _rows(markup: Json) -> list[list[Any]]:
    rows = markup["inline_keyboard"]
    if not isinstance(rows, list):
        raise bad_request('field "inline_keyboard" must be of type Array')
    for row in cast("list[object]", rows):
        if not isinstance(row, list):
            raise bad_request('field "inline_keyboard" must be an Array of Arrays')
    return cast("list[list[Any]]", rows)


def _button(button: Any) -> Json:
    if not isinstance(button, dict):
        raise _unparsable("Expected an Object")
    given = cast("Json", button)
    if "text" not in given:
        raise _unparsable('Can\'t find field "text"')
    if not isinstance(given["text"], str):
        raise _unparsable('Field "text" must be of type String')
    if given.get("style") not in {None, *_STYLES}:
        raise bad_request("BUTTON_STYLE_INVALID")
    decoration = {name: given[name] for name in _DECORATION if given.get(name) is not None}
    return {"text": given["text"], **decoration, **_action(given)}


def _action(button: Json) -> Json:
    # A button does one thing: the first of its kinds that is filled in counts.
    if button.get("url"):
        return {"url": _checked_url("URL", button["url"])}
    if button.get("callback_data"):
        data = str(button["callback_data"])
        if len(data.encode()) > MAX_CALLBACK_BYTES:
            raise bad_request("BUTTON_DATA_INVALID")
        return {"callback_data": data}
    if "copy_text" in button:
        return {"copy_text": {"text": _copied(button["copy_text"])}}
    if "web_app" in button:
        return {"web_app": {"url": _web_app_url(button["web_app"])}}
    if "pay" in button or "callback_game" in button:
        raise bad_request("BUTTON_TYPE_INVALID")
    inert = {name: button[name] for name in _INERT if name in button}
    if not inert:
        raise _unparsable("Text buttons are unallowed in the inline keyboard")
    return inert


def _checked_url(name: str, url: object) -> str:
    try:
        return checked_link(str(url))
    except ValueError as error:
        raise bad_request(f"inline keyboard button {name} '{url}' is invalid: {error}") from error


def _copied(copy_text: Any) -> str:
    text = str(cast("Json", copy_text).get("text", "")) if isinstance(copy_text, dict) else ""
    if not 0 < len(text) <= MAX_COPY_CHARACTERS:
        raise bad_request("BUTTON_COPY_TEXT_INVALID")
    return text


def _web_app_url(web_app: Any) -> str:
    url = str(cast("Json", web_app).get("url", "")) if isinstance(web_app, dict) else ""
    if not url.startswith("https://"):
        raise bad_request(
            f"inline keyboard button Web App URL '{url}' is invalid: Only HTTPS links are allowed"
        )
    return _checked_url("Web App URL", url)


def _unparsable(trouble: str) -> ApiError:
    return bad_request(f"can't parse inline keyboard button: {trouble}")
