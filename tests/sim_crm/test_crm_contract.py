"""What a client of the portal relies on: contents, pages, batches, limits, and a front that forgets."""

import asyncio
import math
import statistics
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from tests.sim_crm.conftest import WEBHOOK, Sim, running

LEAD, DEAL, CONTACT = 1, 2, 3
CONTACTS = 120
QUICK = ("--service-seconds", 0.001)
UNLIMITED = ("--burst", 0, "--operating-limit-seconds", 0, "--idle-drop-seconds", 0)
Params = dict[str, Any]


@pytest.fixture(scope="module")
async def portal() -> AsyncIterator[Sim]:
    """A quick portal without limits."""
    async with running("crm", *QUICK, *UNLIMITED, "--contacts", CONTACTS) as sim:
        yield sim


async def call(portal: Sim, method: str, params: Params | None = None) -> tuple[int, Any]:
    return await portal.request("POST", f"{WEBHOOK}/{method}", json=params or {})


async def answer(portal: Sim, method: str, params: Params | None = None) -> Any:
    status, body = await call(portal, method, params)
    assert status == 200, body
    return body


async def refusal(portal: Sim, method: str, params: Params | None = None) -> tuple[int, str]:
    status, body = await call(portal, method, params)
    assert set(body) == {"error", "error_description"}
    return status, body["error"]


async def add_deal(portal: Sim, **fields: Any) -> int:
    body = await answer(portal, "crm.item.add", {"entityTypeId": DEAL, "fields": fields})
    return body["result"]["item"]["id"]


async def found(portal: Sim, **query: Any) -> list[Any]:
    query = {"entityTypeId": DEAL, "select": ["id"], **query}
    return [item["id"] for item in (await answer(portal, "crm.item.list", query))["result"]["items"]]


async def test_an_item_goes_through_its_whole_life(portal):
    fields = {"title": "Order", "opportunity": "129.50", "currencyId": "EUR", "contactId": 7}
    number = await add_deal(portal, **fields)
    this = {"entityTypeId": DEAL, "id": number}

    stored = (await answer(portal, "crm.item.get", this))["result"]["item"]
    assert stored | {"opportunity": 129.5, "title": "Order", "contactId": 7, "id": number} == stored

    updated = await answer(portal, "crm.item.update", {**this, "fields": {"stageId": "WON"}})
    assert updated["result"]["item"] | {"stageId": "WON", "opportunity": 129.5} == updated["result"]["item"]
    assert number in await found(portal, filter={"contactId": 7, "stageId": "WON"})

    assert (await answer(portal, "crm.item.delete", this))["result"] == []
    assert await refusal(portal, "crm.item.get", this) == (400, "NOT_FOUND")
    assert number not in await found(portal, filter={"contactId": 7})


async def test_a_list_comes_in_pages_of_fifty_with_their_total(portal):
    pages = [await answer(portal, "crm.item.list", {"entityTypeId": CONTACT, "start": s}) for s in (0, 50, 100)]

    assert [len(page["result"]["items"]) for page in pages] == [50, 50, 20]
    assert [page["total"] for page in pages] == [CONTACTS] * 3
    assert [page.get("next", "none") for page in pages] == [50, 100, "none"]
    numbers = [item["id"] for page in pages for item in page["result"]["items"]]
    assert numbers == list(range(1, CONTACTS + 1))


async def test_start_minus_one_walks_through_a_list_without_counting_it(portal):
    last, sizes = 0, []
    while not sizes or sizes[-1] == 50:
        query = {"entityTypeId": CONTACT, "start": -1, "order": {"id": "ASC"}, "filter": {">id": last}}
        body = await answer(portal, "crm.item.list", query)
        assert not {"total", "next"} & set(body)
        items = body["result"]["items"]
        last, sizes = items[-1]["id"], [*sizes, len(items)]

    assert (sizes, last) == ([50, 50, 20], CONTACTS)


@pytest.fixture(scope="module")
async def orders(portal: Sim) -> list[int]:
    """Four deals of one origin, to be filtered: by number."""
    rows = [("A", 10, "NEW"), ("B", 30, "WON"), ("C", 20, "WON"), ("D", 20, "LOSE")]
    return [
        await add_deal(portal, title=f"Filter {name}", opportunity=value, stageId=stage, originId="filters")
        for name, value, stage in rows
    ]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({">opportunity": 10}, "BCD"),
        ({">=opportunity": "20", "<opportunity": 30}, "CD"),
        ({"@stageId": ["NEW", "LOSE"]}, "AD"),
        ({"stageId": ["NEW", "LOSE"]}, "AD"),
        ({"!stageId": "WON"}, "AD"),
        ({"!@stageId": ["NEW", "LOSE"]}, "BC"),
        ({"%title": "ER b"}, "B"),
        ({"=%title": "filter%"}, "ABCD"),
        ({"0": {"logic": "OR", "stageId": "NEW", "opportunity": 30}}, "AB"),
        ({"stageId": "WON", "opportunity": 10}, ""),
    ],
)
async def test_a_filter_joins_its_conditions(portal, orders, conditions, expected):
    numbers = await found(portal, filter={"originId": "filters", **conditions})

    assert numbers == ["ABCD".index(name) + orders[0] for name in expected]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({"opportunity": "DESC", "id": "ASC"}, "BCDA"),
        ({"opportunity": "asc", "id": "desc"}, "ADCB"),
        ({"stageId": "ASC", "opportunity": "DESC"}, "DABC"),
    ],
)
async def test_a_list_is_sorted_by_one_field_after_the_other(portal, orders, order, expected):
    numbers = await found(portal, filter={"originId": "filters"}, order=order)

    assert numbers == ["ABCD".index(name) + orders[0] for name in expected]


async def test_parameters_may_come_in_the_address_or_as_a_form(portal, orders):
    pairs = {
        "entityTypeId": "2",
        "filter[originId]": "filters",
        "filter[@stageId][0]": "WON",
        "order[opportunity]": "DESC",
        "select[]": "id",
    }
    path = f"{WEBHOOK}/crm.item.list.json"
    by_address = await portal.request("GET", path, params=pairs)
    by_form = await portal.request("POST", path, data=pairs)

    assert by_address[1]["result"] == by_form[1]["result"] == {"items": [{"id": orders[1]}, {"id": orders[2]}]}


@pytest.mark.parametrize(
    ("method", "params", "expected"),
    [
        ("crm.item.get", {"entityTypeId": CONTACT, "id": 999_999}, (400, "NOT_FOUND")),
        ("crm.item.get", {"entityTypeId": CONTACT, "id": "seven"}, (400, "100")),
        ("crm.item.get", {"entityTypeId": CONTACT}, (400, "100")),
        ("crm.item.get", {"entityTypeId": 77, "id": 1}, (400, "NOT_FOUND")),
        ("crm.item.update", {"entityTypeId": CONTACT, "id": 0, "fields": {}}, (400, "NOT_FOUND")),
        ("crm.item.delete", {"entityTypeId": CONTACT, "id": -1}, (400, "NOT_FOUND")),
        ("crm.item.add", {"entityTypeId": DEAL}, (400, "100")),
        ("crm.item.list", {"entityTypeId": DEAL, "filter": {"mood": 1}}, (400, "INVALID_ARG_VALUE")),
        ("crm.item.list", {"entityTypeId": DEAL, "order": {"id": "UP"}}, (400, "INVALID_ARG_VALUE")),
        ("crm.item.lost", {}, (404, "ERROR_METHOD_NOT_FOUND")),
    ],
)
async def test_a_call_that_cannot_be_done_is_refused_with_its_code(portal, method, params, expected):
    assert await refusal(portal, method, params) == expected


@pytest.mark.parametrize("webhook", ["/rest/1/WRONG", "/rest/2/SECRET"])
async def test_a_wrong_webhook_is_not_authorised(portal, webhook):
    status, body = await portal.request("POST", f"{webhook}/crm.item.get", json={})

    assert (status, body["error"]) == (401, "NO_AUTH_FOUND")


async def test_a_comment_appears_in_the_timeline_of_its_item_only(portal):
    deals = [await add_deal(portal, title=title) for title in ("Commented", "Silent")]
    owner = {"ENTITY_TYPE": "deal", "ENTITY_ID": deals[0]}
    texts = ["first", "second"]
    added = [
        (await answer(portal, "crm.timeline.comment.add", {"fields": {**owner, "COMMENT": text}}))["result"]
        for text in texts
    ]

    query = {"filter": owner, "order": {"ID": "DESC"}, "select": ["ID", "COMMENT"]}
    listed = await answer(portal, "crm.timeline.comment.list", query)
    expected = [{"ID": str(number), "COMMENT": text} for number, text in zip(added, texts, strict=True)]
    assert (listed["result"], listed["total"]) == (expected[::-1], 2)
    silent = await answer(
        portal, "crm.timeline.comment.list", {"filter": {"ENTITY_TYPE": "deal", "ENTITY_ID": deals[1]}}
    )
    assert silent["result"] == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"ENTITY_TYPE": "deal", "ENTITY_ID": 999_999, "COMMENT": "x"}, "OWNER_NOT_FOUND"),
        ({"ENTITY_TYPE": "cat", "ENTITY_ID": 1, "COMMENT": "x"}, "ENTITY_TYPE_NOT_SUPPORTED"),
        ({"ENTITY_TYPE": "deal", "COMMENT": "x"}, "100"),
        ({"ENTITY_TYPE": "deal", "ENTITY_ID": 1, "COMMENT": ""}, "INVALID_ARG_VALUE"),
    ],
)
async def test_a_comment_needs_an_owner_and_a_text(portal, fields, code):
    assert await refusal(portal, "crm.timeline.comment.add", {"fields": fields}) == (400, code)


async def batch(portal: Sim, commands: Params | list[str], **more: Any) -> Any:
    return (await answer(portal, "batch", {"cmd": commands, **more}))["result"]


async def test_a_command_of_a_batch_uses_what_an_earlier_one_answered(portal):
    result = await batch(
        portal,
        {
            "person": "crm.item.add?entityTypeId=3&fields[name]=Ada",
            "order": "crm.item.add?entityTypeId=2&fields[contactId]=$result[person][item][id]",
            "orders": "crm.item.list?entityTypeId=2&filter[contactId]=$result[person][item][id]",
        },
    )

    person, order = (result["result"][name]["item"] for name in ("person", "order"))
    assert order["contactId"] == person["id"]
    assert [item["id"] for item in result["result"]["orders"]["items"]] == [order["id"]]
    assert result["result_total"] == {"orders": 1}
    assert (result["result_error"], result["result_next"]) == ([], [])


@pytest.mark.parametrize(("halt", "done"), [(1, {"before"}), (0, {"before", "after"})])
async def test_a_failed_command_stops_its_batch_only_when_told_to(portal, halt, done):
    look = "crm.item.get?entityTypeId=3&id="
    commands = {"before": f"{look}1", "fails": f"{look}999999", "after": f"{look}2"}

    result = await batch(portal, commands, halt=halt)

    assert set(result["result"]) == set(result["result_time"]) == done
    assert {name: error["error"] for name, error in result["result_error"].items()} == {"fails": "NOT_FOUND"}


async def test_a_batch_takes_fifty_commands_and_not_one_more(portal):
    commands = ["crm.item.get?entityTypeId=3&id=1"] * 51

    assert len((await batch(portal, commands[:50]))["result"]) == 50
    assert await refusal(portal, "batch", {"cmd": commands}) == (400, "ERROR_BATCH_LENGTH_EXCEEDED")


async def test_a_batch_within_a_batch_and_an_unknown_method_fail_on_their_own(portal):
    result = await batch(portal, {"inner": "batch?cmd[0]=crm.item.get", "lost": "crm.item.lost"})

    codes = {name: error["error"] for name, error in result["result_error"].items()}
    assert codes == {"inner": "ERROR_BATCH_METHOD_NOT_ALLOWED", "lost": "ERROR_METHOD_NOT_FOUND"}
    assert result["result"] == []


async def statuses(portal: Sim, count: int) -> list[int]:
    look = {"entityTypeId": CONTACT, "id": 1}
    answers = await asyncio.gather(*(call(portal, "crm.item.get", look) for _ in range(count)))
    refused = [body["error"] for status, body in answers if status != 200]
    assert set(refused) <= {"QUERY_LIMIT_EXCEEDED"}
    return [status for status, _ in answers]


async def test_fifty_calls_pass_at_once_and_then_two_each_second():
    async with running("crm", *QUICK, "--contacts", 1) as portal:
        began = time.monotonic()
        first = await statuses(portal, 70)
        passed_at_most = 50 + math.ceil(2 * (time.monotonic() - began))
        assert set(first) == {200, 503}
        assert 50 <= first.count(200) <= passed_at_most

        await asyncio.sleep(1.1)
        later = await statuses(portal, 20)
        passed_at_most = 50 + math.ceil(2 * (time.monotonic() - began))
        assert later.count(200) >= 2
        assert first.count(200) + later.count(200) <= passed_at_most
        assert await portal.total("crm_rate_limited_total") == (first + later).count(503)


async def test_a_batch_counts_as_one_call_of_the_bucket():
    async with running("crm", *QUICK, "--burst", 2, "--per-second", 0.001, "--contacts", 1) as portal:
        result = await batch(portal, ["crm.item.get?entityTypeId=3&id=1"] * 20)
        assert len(result["result"]) == 20
        assert await statuses(portal, 3) == [200, 503, 503]


async def test_a_method_that_worked_too_long_is_blocked_and_others_are_not():
    limit = ("--burst", 0, "--operating-limit-seconds", 0.2)
    async with running("crm", *limit, "--service-seconds", 0.03, "--contacts", 5) as portal:
        look, times = {"entityTypeId": CONTACT, "id": 1}, []
        while (reply := await call(portal, "crm.item.get", look))[0] == 200:
            times.append(reply[1]["time"])

        assert (reply[0], reply[1]["error"]) == (429, "OPERATION_TIME_LIMIT")
        used = [one["operating"] for one in times]
        assert all(before < after for before, after in pairwise(used))
        assert all(before < 0.2 for before in used[:-1])
        assert used[-1] >= 0.2
        assert 0 < times[-1]["operating_reset_at"] - time.time() <= 600
        assert (await call(portal, "crm.item.fields", {"entityTypeId": CONTACT}))[0] == 200
        result = await batch(portal, {"blocked": "crm.item.get?entityTypeId=3&id=1"})
        assert result["result_error"]["blocked"]["error"] == "OPERATION_TIME_LIMIT"


async def test_calls_get_slower_when_many_come_at_once():
    async with running("crm", *UNLIMITED, "--contacts", 5) as portal:

        async def several(count: int) -> list[float]:
            seconds = []
            for _ in range(count):
                began = time.monotonic()
                await answer(portal, "crm.item.get", {"entityTypeId": CONTACT, "id": 1})
                seconds.append(time.monotonic() - began)
            return seconds

        alone = statistics.median(await several(9))
        crowd = await asyncio.gather(*(several(3) for _ in range(40)))

        assert statistics.median([seconds for each in crowd for seconds in each]) > 2.5 * alone


async def test_a_connection_that_was_idle_too_long_is_dead():
    async with (
        running("crm", *QUICK, "--idle-drop-seconds", 1, "--contacts", 1) as portal,
        aiohttp.ClientSession(portal.url, connector=aiohttp.TCPConnector(limit=1)) as http,
    ):
        client = Sim(portal.process, portal.url, http)
        for _ in range(2):
            await add_deal(client, originId="idle")

        await asyncio.sleep(1.3)
        with pytest.raises(aiohttp.ClientConnectionError):
            await add_deal(client, originId="idle")

        assert len(await found(client, filter={"originId": "idle"})) == 2


@pytest.mark.parametrize(
    "body",
    [
        b'{"entityTypeId": 2, "filter": {">opportunity": ""}}',
        b'{"entityTypeId": 2, "filter": {">=contactId": null}}',
        b'{"entityTypeId": 1e400}',
        b'{"entityTypeId": 2, "a": "\xff"}',
    ],
)
async def test_what_makes_no_sense_is_refused_as_the_portal_refuses(body: bytes) -> None:
    async with running("crm", "--burst", 0) as crm:
        headers = {"Content-Type": "application/json"}
        status, answer = await crm.request("POST", f"{WEBHOOK}/crm.item.list", data=body, headers=headers)
    assert status == 400
    assert answer["error"]


async def test_a_number_that_json_does_not_have_is_no_value_of_a_field() -> None:
    async with running("crm", "--burst", 0) as crm:
        deal = {"entityTypeId": 2, "fields": {"opportunity": "nan"}}
        status, answer = await crm.request("POST", f"{WEBHOOK}/crm.item.add", json=deal)
    assert (status, answer["error"]) == (400, "CRM_FIELD_ERROR_VALUE_NOT_VALID")
