import json
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.errors import InvalidInput
from holdfast.loadgen.templates import Template, request_template
from holdfast.runbook.kinds.load import LoadSpec
from tests.loadgen.engine_targets import load_of

TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)
VALUES = {"update_id": 7, "message_id": 8, "chat_id": 9, "now": 1_700_000_000, "session": 3}


def _compiled(step: dict[str, Any], secrets: dict[str, str] | None = None, **more: Any) -> Template:
    variables = {"scenario": {"variables": {"word": ["a"], "n": ["a"]}}}
    spec = load_of("http://shop.test:8080/base/", {"name": "ask"} | step, **variables | more)
    return request_template(spec.steps[0], spec.targets["shop"], secrets or {}, "run-1")


def _http(**request: Any) -> dict[str, Any]:
    return {"http": {"target": "shop"} | request}


def _read(request: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return first, dict(line.split(": ", 1) for line in lines), body


def test_a_request_without_variables_is_constant_and_whole() -> None:
    template = _compiled(_http(path="/faq?q=how to"), target={"headers": {"X-Shop": "1"}})

    first, headers, body = _read(template.constant or b"")

    assert first == "GET /base/faq?q=how%20to HTTP/1.1"
    assert headers.pop("User-Agent").startswith("holdfast-load/")
    assert headers == {
        "Accept": "*/*",
        "Host": "shop.test:8080",
        "X-Shop": "1",
        "X-Holdfast-Load": "run-1",
    }
    assert body == b""


def test_a_variable_alone_in_a_json_text_keeps_its_type() -> None:
    template = _compiled(
        _http(method="POST", json={"n": "{n}", "text": "n is {n}", "list": ["{word}", 1.5, None]})
    )

    _, headers, body = _read(template.filled({"n": 5, "word": "w"}))

    assert json.loads(body) == {"n": 5, "text": "n is 5", "list": ["w", 1.5, None]}
    assert headers["Content-Length"] == str(len(body))
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(("value", "shown"), [(True, b"true"), (7, b"7"), (1.5, b"1.5"), ("a b", b"a%20b")])
def test_a_value_in_a_path_is_written_as_in_json_without_quotes(value: object, shown: bytes) -> None:
    request = _compiled(_http(path="/t/{word}")).filled({"word": value})

    assert request.startswith(b"GET /base/t/" + shown + b" HTTP/1.1\r\n")


@given(TEXTS)
def test_any_text_comes_out_of_a_json_body_as_it_went_in(text: str) -> None:
    template = _compiled(_http(method="POST", json={"100%": "say {word}!", "alone": "{word}"}))

    _, headers, body = _read(template.filled({"word": text}))

    assert json.loads(body) == {"100%": f"say {text}!", "alone": text}
    assert headers["Content-Length"] == str(len(body))


@given(TEXTS)
def test_any_text_stays_one_segment_of_the_path(text: str) -> None:
    template = _compiled(_http(path="/tickets/{word}/state?x=1"))

    first, _, _ = _read(template.filled({"word": text}))

    method, path, version = first.split(" ")
    assert (method, version) == ("GET", "HTTP/1.1")
    segments = urlsplit(path).path.split("/")
    assert [unquote(s) for s in segments] == ["", "base", "tickets", text, "state"]


@given(TEXTS)
def test_no_text_adds_a_header(text: str) -> None:
    template = _compiled(_http(headers={"X-Word": "<{word}>"}))

    request = template.filled({"word": text + "\r\nX-Evil: 1"})

    assert request.count(b"\r\n") == template.filled({"word": ""}).count(b"\r\n")
    assert b"\nX-Evil" not in request


def test_a_header_with_a_line_end_in_the_file_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="'X-Bad'"):
        _compiled(_http(headers={"X-Bad": "a\r\nb"}))


def test_a_file_cannot_hide_who_makes_the_load() -> None:
    template = _compiled(_http(headers={"user-agent": "Mozilla", "x-holdfast-load": "", "content-length": "9"}))

    request = (template.constant or b"").lower()

    assert request.count(b"user-agent: holdfast-load/") == 1
    assert b"x-holdfast-load: run-1\r\n" in request
    assert b"mozilla" not in request
    assert b"content-length" not in request


def test_a_header_of_the_step_replaces_that_of_the_target_whatever_its_case() -> None:
    template = _compiled(_http(headers={"x-shop": "2"}), target={"headers": {"X-Shop": "1"}})

    request = template.constant or b""

    assert b"x-shop: 2\r\n" in request
    assert b"X-Shop" not in request


def test_a_secret_goes_along_as_it_is_even_with_braces() -> None:
    target = {"secret_headers": {"Authorization": {"env": "SHOP_TOKEN"}}}

    template = _compiled(_http(), {"env:SHOP_TOKEN": "Bearer {word}%s"}, target=target)

    assert b"Authorization: Bearer {word}%s\r\n" in (template.constant or b"")


def test_a_missing_secret_is_named_by_its_reference() -> None:
    target = {"secret_headers": {"Authorization": {"env": "SHOP_TOKEN"}}}

    with pytest.raises(InvalidInput, match="env:SHOP_TOKEN"):
        _compiled(_http(), {}, target=target)


def test_a_plain_body_is_sent_as_text() -> None:
    template = _compiled(_http(method="PUT", body="a={word}&b=100%"))

    _, headers, body = _read(template.filled({"word": "ö"}))

    assert body.decode() == "a=ö&b=100%"
    assert headers["Content-Length"] == "11"


def test_a_post_without_a_body_says_that_it_has_none() -> None:
    template = _compiled(_http(method="POST"))

    assert b"Content-Length: 0\r\n" in (template.constant or b"")


def _update(**telegram: Any) -> tuple[dict[str, str], dict[str, Any]]:
    step = {"telegram": {"target": "shop", "secret_token": {"env": "T"}} | telegram}
    template = _compiled(step, {"env:T": "hush"})
    _, headers, body = _read(template.filled(VALUES | {"word": 5}))
    return headers, json.loads(body)


def test_a_text_is_a_message_as_the_bot_api_sends_it() -> None:
    headers, update = _update(text="/start {word}")

    customer = {"id": 9, "first_name": "Load", "last_name": "Test"}
    assert update == {
        "update_id": 7,
        "message": {
            "message_id": 8,
            "from": customer | {"is_bot": False, "language_code": "en"},
            "chat": customer | {"type": "private"},
            "date": 1_700_000_000,
            "text": "/start 5",
            "entities": [{"offset": 0, "length": 6, "type": "bot_command"}],
        },
    }
    assert headers["X-Telegram-Bot-Api-Secret-Token"] == "hush"


def test_a_text_that_is_one_variable_stays_a_text() -> None:
    _, update = _update(text="{word}")

    assert update["message"]["text"] == "5"
    assert "entities" not in update["message"]


def test_a_tap_is_a_callback_query_on_a_message_of_the_bot() -> None:
    _, update = _update(tap="order:{word}")

    query = update["callback_query"]
    assert query["data"] == "order:5"
    assert query["from"]["id"] == query["message"]["chat"]["id"] == 9
    assert query["message"]["from"]["is_bot"] is True
    assert query["message"]["reply_markup"]["inline_keyboard"][0][0]["callback_data"] == "order:5"
    assert isinstance(query["id"], str)


def test_updates_are_what_aiogram_reads() -> None:
    from aiogram.types import Update  # noqa: PLC0415  slow to import, and only this test needs it

    for telegram in ({"text": "/help me"}, {"tap": "x"}):
        update = Update.model_validate(_update(**telegram)[1])
        assert update.update_id == 7
        assert update.event_type in {"message", "callback_query"}


def test_an_update_needs_the_built_in_variables_only() -> None:
    spec: LoadSpec = load_of("http://shop.test", {"name": "ask", "telegram": {"target": "shop", "text": "hi"}})

    template = request_template(spec.steps[0], spec.targets["shop"], {}, "run-1")

    assert template.names == {"update_id", "message_id", "chat_id", "now"}
