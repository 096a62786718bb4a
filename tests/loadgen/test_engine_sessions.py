import asyncio
import json
import re
from typing import Any

import pytest

from holdfast.loadgen.answers import Rules
from holdfast.runbook.kinds.load_scenario import Check, Extract
from tests.loadgen.engine_targets import Asked, answer, get, load_of, made, serving


def _rules(check: dict[str, Any], **extracts: dict[str, Any]) -> Rules:
    return Rules(
        Check.model_validate(check), {name: Extract.model_validate(place) for name, place in extracts.items()}
    )


BODY = json.dumps({"ok": True, "n": 1, "items": [{"id": 7}, {"id": None}]}).encode()


@pytest.mark.parametrize(
    ("check", "kind"),
    [
        ({}, ""),
        ({"status": [404]}, "status_200"),
        ({"contains": "items"}, ""),
        ({"contains": "nothing"}, "check_contains"),
        ({"json": {"items.0.id": 7, "ok": True}}, ""),
        ({"json": {"items.1.id": None}}, ""),
        ({"json": {"items.2.id": 7}}, "check_json"),
        ({"json": {"none": None}}, "check_json"),
        # In JSON `true` is not 1.
        ({"json": {"n": True}}, "check_json"),
        ({"json": {"ok": 1}}, "check_json"),
        ({"within": "0.5s"}, ""),
        ({"within": "0.1s"}, "check_within"),
    ],
)
def test_an_answer_is_judged_by_its_checks(check: dict[str, Any], kind: str) -> None:
    assert _rules(check).judged(200, BODY, {}, 0.2)[0] == kind


def test_a_body_that_is_no_json_fails_the_check_of_its_values() -> None:
    assert _rules({"json": {"a": 1}}).judged(200, b"<html>", {}, 0.2) == ("check_json", {})


def test_values_are_taken_from_json_headers_and_text() -> None:
    places = {"id": {"json": "items.0.id"}, "place": {"header": "Location"}, "flag": {"regex": '"ok": (\\w+)'}}

    error, values = _rules({}, **places).judged(200, BODY, {"location": "/t/1"}, 0.2)

    assert error == ""
    assert values == {"id": 7, "place": "/t/1", "flag": "true"}


@pytest.mark.parametrize("place", [{"json": "items.1.id"}, {"header": "x"}, {"regex": "(zzz)"}])
def test_a_value_that_is_not_there_is_an_error(place: dict[str, Any]) -> None:
    assert _rules({}, value=place).judged(200, BODY, {}, 0.2) == ("extract", {})


def _submit(**more: Any) -> dict[str, Any]:
    request = {"target": "shop", "method": "POST", "path": "/tickets", "json": {"by": "{session}", "n": "{n}"}}
    return {"name": "submit", "http": request, "extract": {"ticket": {"json": "ticket"}}} | more


async def _desk(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Take tickets and tell their state; every fourth ticket is refused."""
    if asked.method == "POST":
        by = json.loads(asked.body)["by"]
        refused = answer(503, b"busy")
        writer.write(refused if by % 4 == 3 else answer(201, json.dumps({"ticket": f"T/{by}"}).encode()))
    else:
        number = re.fullmatch(r"/tickets/T%2F(\d+)", asked.path)
        writer.write(answer(200, json.dumps({"of": int(number[1]) if number else -1}).encode()))


STATE = get("state", "/tickets/{ticket}", check={"contains": "of"})
VARIABLES: dict[str, Any] = {"scenario": {"variables": {"n": {"from": 1, "to": 3}}}}


async def test_a_session_carries_a_value_from_step_to_step_and_ends_where_it_fails() -> None:
    async with serving(_desk) as target:
        run = await made(load_of(target.url, _submit(), STATE, **VARIABLES))

    assert run.outcome("submit") == {"due": 20, "good": 15, "status_503": 5}
    assert run.outcome("state") == {"due": 15, "good": 15}
    sent = [json.loads(asked.body) for asked in target.asked if asked.method == "POST"]
    assert sorted(each["by"] for each in sent) == list(range(20))
    assert {each["n"] for each in sent} == {1, 2, 3}
    assert {asked.path for asked in target.asked if asked.method == "GET"} == {
        f"/tickets/T%2F{i}" for i in range(20) if i % 4 != 3
    }


async def test_two_shards_make_the_sessions_that_one_makes() -> None:
    async with serving(_desk) as target:
        spec = load_of(target.url, _submit(), STATE, **VARIABLES)
        await made(spec)
        alone = sorted(asked.body for asked in target.asked)
        target.asked.clear()
        for shard in (0, 1):
            await made(spec, shard=shard, shards=2)

    assert sorted(asked.body for asked in target.asked) == alone


async def test_a_session_thinks_before_its_next_step_and_the_thinking_is_no_latency() -> None:
    async with serving(_desk) as target:
        loop = asyncio.get_running_loop()
        began = loop.time()
        run = await made(load_of(target.url, _submit(think="1.5s"), STATE, **VARIABLES))
        took = loop.time() - began

    assert run.outcome("state") == {"due": 15, "good": 15}
    assert took >= 1.5
    numbers = {second.number for report in run.reports for second in report.seconds if "state" in second.steps}
    assert min(numbers) >= 1
    # From the moment at which the thinking ended; with the thinking in it none could be below.
    assert run.latencies("state").minimum < 1_500_000


async def test_updates_of_a_run_have_different_ids_that_grow_with_the_sessions() -> None:
    async def bot(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, b"{}"))

    async with serving(bot) as target:
        hello = {"name": "hello", "telegram": {"target": "shop", "text": "/start"}}
        tap = {"name": "tap", "telegram": {"target": "shop", "tap": "menu"}}
        run = await made(load_of(target.url, hello, tap))

    updates = [json.loads(asked.body) for asked in target.asked]
    assert len({update["update_id"] for update in updates}) == len(updates) == 40
    chats = {update["message"]["chat"]["id"] for update in updates if "message" in update}
    assert len(chats) == 20
    assert all(asked.path == "/telegram/webhook" for asked in target.asked)
    assert run.outcome("tap") == {"due": 20, "good": 20}
