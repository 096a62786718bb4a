"""`/config` as a change provider sees it: versions, refusals that explain themselves, a trail, and shares."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.sim_crm.conftest import Sim, running

FIELDS = {
    "bot_rate_limit_per_s",
    "crm_pool_size",
    "crm_keep_alive_s",
    "escalation_order",
    "order_value_source",
    "crm_write_leads",
}
QUESTION = {"customer": 1, "question": "Where is my order?"}
PODS = 20


@pytest.fixture(scope="module")
async def shop() -> AsyncIterator[Sim]:
    async with running("shop") as sim:
        yield sim


@pytest.fixture
async def fresh_shop() -> AsyncIterator[Sim]:
    async with running("shop") as sim:
        yield sim


async def config(shop: Sim) -> Any:
    return (await shop.request("GET", "/config"))[1]


async def log(shop: Sim) -> Any:
    return (await shop.request("GET", "/config/log"))[1]


async def put(shop: Sim, part: str, **body: Any) -> tuple[int, Any]:
    """Write a part; the version that holds is expected unless the body says another."""
    defaults = {"expected_version": (await config(shop))["version"], "key": "a test"}
    return await shop.request("PUT", f"/config/{part}", json={**defaults, **body})


async def put_share(shop: Sim, percent: int) -> None:
    assert (await put(shop, "share", percent=percent))[0] == 200


async def test_a_new_shop_shows_both_sides_alike_and_no_canary(fresh_shop):
    state = await config(fresh_shop)

    assert set(state) == {"version", "stable", "canary", "canary_share_percent"}
    assert set(state["stable"]) == FIELDS
    assert state["stable"] == state["canary"]
    assert (state["version"], state["canary_share_percent"]) == (1, 0)
    assert await log(fresh_shop) == []


@pytest.mark.parametrize("side", ["stable", "canary"])
async def test_a_write_with_the_right_version_answers_the_whole_new_state(shop, side):
    before = await config(shop)
    settings = {**before[side], "crm_pool_size": before[side]["crm_pool_size"] + 1}

    status, after = await put(shop, side, settings=settings)

    assert status == 200
    assert after == {**before, side: settings, "version": before["version"] + 1} == await config(shop)


async def test_a_share_is_written_like_a_side(shop):
    before = await config(shop)

    status, after = await put(shop, "share", percent=35)

    assert status == 200
    assert after == {**before, "canary_share_percent": 35, "version": before["version"] + 1}
    assert after == await config(shop)


@pytest.mark.parametrize("ahead", [-1, 1])
@pytest.mark.parametrize("part", ["stable", "share"])
async def test_a_write_with_another_version_gets_the_current_state_and_changes_nothing(shop, part, ahead):
    before, trail = await config(shop), await log(shop)
    wanted = {"percent": 100} if part == "share" else {"settings": {**before["stable"], "crm_pool_size": 99}}

    status, answer = await put(shop, part, **wanted, expected_version=before["version"] + ahead)

    assert (status, answer) == (409, {"error": "version_conflict", "current": before})
    assert (await config(shop), await log(shop)) == (before, trail)


async def test_of_many_writers_with_the_same_version_one_wins(shop):
    before = await config(shop)
    answers = await asyncio.gather(
        *(
            put(shop, "share", percent=5 * percent, expected_version=before["version"], key=f"writer {percent}")
            for percent in range(20)
        )
    )

    winners = [answer for status, answer in answers if status == 200]
    assert sorted(status for status, _ in answers) == [200] + [409] * 19
    assert winners == [await config(shop)]
    percent = winners[0]["canary_share_percent"]
    assert (await log(shop))[-1]["key"] == f"writer {percent // 5}"


@pytest.mark.parametrize(
    ("change", "field", "remedy"),
    [
        ({"colour": "red"}, "colour", "leave it out; known are bot_rate_limit_per_s, crm_pool_size"),
        ({"crm_pool_size": "4"}, "crm_pool_size", "whole number of connections from 1 to 100"),
        ({"crm_pool_size": 4.5}, "crm_pool_size", "whole number of connections from 1 to 100"),
        ({"crm_pool_size": True}, "crm_pool_size", "whole number of connections from 1 to 100"),
        ({"crm_pool_size": 0}, "crm_pool_size", "from 1 to 100"),
        ({"crm_pool_size": 101}, "crm_pool_size", "from 1 to 100"),
        ({"bot_rate_limit_per_s": 0}, "bot_rate_limit_per_s", "from 0.1 to 1000"),
        ({"bot_rate_limit_per_s": float("inf")}, "bot_rate_limit_per_s", "from 0.1 to 1000"),
        ({"crm_keep_alive_s": -1}, "crm_keep_alive_s", "seconds from 0 to 3600"),
        ({"crm_keep_alive_s": float("nan")}, "crm_keep_alive_s", "seconds from 0 to 3600"),
        ({"escalation_order": "lifo"}, "escalation_order", "fifo or tier_value"),
        ({"order_value_source": None}, "order_value_source", "ticket or crm_each_time"),
        ({"crm_write_leads": "false"}, "crm_write_leads", "true or false"),
        ({"crm_write_leads": 0}, "crm_write_leads", "true or false"),
    ],
)
async def test_settings_that_cannot_be_are_refused_by_field_with_a_remedy(shop, change, field, remedy):
    before, trail = await config(shop), await log(shop)

    status, answer = await put(shop, "canary", settings={**before["canary"], **change})

    assert (status, answer["error"], answer["field"]) == (422, "invalid_settings", field)
    assert remedy in answer["remedy"]
    assert answer["message"].startswith(f"{field}: ")
    assert answer["message"].endswith(answer["remedy"])
    assert (await config(shop), await log(shop)) == (before, trail)


@pytest.mark.parametrize("missing", sorted(FIELDS))
async def test_settings_are_given_whole_or_not_at_all(shop, missing):
    before = await config(shop)
    settings = {name: value for name, value in before["stable"].items() if name != missing}

    status, answer = await put(shop, "stable", settings=settings)

    assert (status, answer["field"]) == (422, missing)
    assert "required" in answer["message"]
    assert await config(shop) == before


@pytest.mark.parametrize(
    ("change", "field", "remedy"),
    [
        ({"percent": 7}, "percent", "steps of 5"),
        ({"percent": 105}, "percent", "0 to 100"),
        ({"percent": -5}, "percent", "0 to 100"),
        ({"percent": "25"}, "percent", "0 to 100"),
        ({"percent": 25, "expected_version": "1"}, "expected_version", "the version that GET /config shows"),
        ({"percent": 25, "key": ""}, "key", "who changes this and why"),
        ({"percent": 25, "force": True}, "force", "leave it out; known are expected_version, key, percent"),
        ({}, "percent", "0 to 100"),
    ],
)
async def test_a_share_that_cannot_be_is_refused_by_field_with_a_remedy(shop, change, field, remedy):
    before, trail = await config(shop), await log(shop)

    status, answer = await put(shop, "share", **change)

    assert (status, answer["field"]) == (422, field)
    assert remedy in answer["remedy"]
    assert (await config(shop), await log(shop)) == (before, trail)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", b"\xff"])
async def test_what_is_no_json_object_is_refused_as_such(shop, body):
    status, answer = await shop.request("PUT", "/config/share", data=body)

    assert (status, answer["field"], answer["remedy"]) == (422, "body", "send a JSON object")


async def test_an_unknown_part_is_answered_with_the_known_ones(shop):
    status, answer = await put(shop, "blue", settings={})

    assert status == 404
    assert "stable, canary" in answer["message"]


async def test_the_log_tells_who_changed_what_from_what_to_what(fresh_shop):
    first = (await config(fresh_shop))["canary"]
    second = {**first, "crm_keep_alive_s": 1.5}
    await put(fresh_shop, "canary", settings=second, key="run 7, stage pool")
    await put(fresh_shop, "share", percent=5, key="run 7, 5 %")
    await put(fresh_shop, "share", percent=5, expected_version=1, key="too late")
    await put(fresh_shop, "share", percent=0, key="run 7, undo")

    entries = await log(fresh_shop)

    times = [datetime.fromisoformat(entry.pop("at")) for entry in entries]
    assert times == sorted(times)
    assert {time.utcoffset() for time in times} == {timedelta(0)}
    assert entries == [
        {"version": 2, "what": "canary", "key": "run 7, stage pool", "before": first, "after": second},
        {"version": 3, "what": "share", "key": "run 7, 5 %", "before": 0, "after": 5},
        {"version": 4, "what": "share", "key": "run 7, undo", "before": 5, "after": 0},
    ]


async def test_configuration_and_log_survive_kill_9(tmp_path):
    state = ("--state", tmp_path / "shop.json")
    async with running("shop", *state) as shop:
        stable = {**(await config(shop))["stable"], "crm_pool_size": 4}
        await put(shop, "stable", settings=stable, key="before the crash")
        await put(shop, "share", percent=25, key="before the crash")
        before, trail = await config(shop), await log(shop)
        shop.process.kill()
        await shop.process.wait()

    async with running("shop", *state) as shop:
        assert (await config(shop), await log(shop)) == (before, trail)
        assert await shop.total("shop_pods", side="canary") == 5
        status, after = await put(shop, "share", percent=0, expected_version=before["version"])
        assert (status, after["version"]) == (200, before["version"] + 1)


async def test_a_file_of_a_shop_that_knew_fewer_settings_keeps_those_and_gets_the_defaults_of_the_others(
    tmp_path,
):
    path = tmp_path / "shop.json"
    async with running("shop", "--state", path) as shop:
        stable = {**(await config(shop))["stable"], "crm_pool_size": 4}
        await put(shop, "stable", settings=stable)
        before = await config(shop)
    saved = json.loads(path.read_text())
    for side in ("stable", "canary"):
        del saved["state"][side]["crm_write_leads"]
    path.write_text(json.dumps(saved))

    async with running("shop", "--state", path) as shop:
        assert await config(shop) == before


async def test_a_state_file_that_is_none_is_explained_and_left_alone(tmp_path):
    path = tmp_path / "shop.json"
    path.write_text('{"state": 5}')
    command = [sys.executable, "-m", "holdfast.sim.shop", "--port", "0", "--state", str(path)]

    ended = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=30, check=False
    )

    assert ended.returncode == 1
    assert f"{path} is not a saved configuration" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert path.read_text() == '{"state": 5}'


async def asked(shop: Sim, questions: int) -> dict[str, float]:
    """Ask so many questions at once; how many each side answered."""

    def counted(side: str):
        return shop.total("shop_requests_total", side=side, context="support", status="200")

    before = {side: await counted(side) for side in ("stable", "canary")}
    answers = (shop.request("POST", "/support/faq", json=QUESTION) for _ in range(questions))
    assert {status for status, _ in await asyncio.gather(*answers)} == {200}
    return {side: await counted(side) - count for side, count in before.items()}


@pytest.mark.parametrize(("percent", "canaries"), [(0, 0), (5, 1), (25, 5), (100, 20)])
async def test_the_canary_gets_exactly_its_share_of_pods_and_of_requests(shop, percent, canaries):
    await put_share(shop, percent)

    assert await shop.total("shop_canary_share_percent") == percent
    assert await shop.total("shop_pods", side="canary") == canaries
    assert await shop.total("shop_pods", side="stable") == PODS - canaries
    for rounds in (1, 1, 13):
        by_side = await asked(shop, rounds * PODS)
        assert by_side == {"stable": rounds * (PODS - canaries), "canary": rounds * canaries}
