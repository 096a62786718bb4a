"""The shop's structured log says truly what went between whom, how large it was and how it ended."""

import asyncio
import json
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from holdfast.sim.crm import server as crm_server
from holdfast.sim.crm.settings import CrmSettings
from holdfast.sim.serving import running
from holdfast.sim.shop.message_log import MessageLog
from tests.sim_crm.conftest import WEBHOOK
from tests.sim_crm.conftest import running as process

TICKET = {"customer": 1, "tier": "gold", "order_value": 10.5, "text": "Где моя посылка?"}


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def sent(path: Path, size: int) -> list[dict]:
    """Wait for a message of this size to a person; return all lines."""
    async with asyncio.timeout(60):
        while ("telegram.send", size) not in [(line["message"], line["bytes"]) for line in lines(path)]:  # noqa: ASYNC110  other process
            await asyncio.sleep(0.02)
    return lines(path)


async def test_a_ticket_leaves_its_whole_way_in_the_log_with_real_sizes(tmp_path):
    settings = CrmSettings(burst=0, operating_limit_seconds=0, contacts=20, service_seconds=0.01)
    path = tmp_path / "messages.jsonl"
    async with (
        running(crm_server.build(settings)) as crm_url,
        process("shop", "--crm-url", crm_url + WEBHOOK, "--message-log", path) as sim,
    ):
        body = json.dumps(TICKET, ensure_ascii=False).encode()
        async with sim.http.post("/support/tickets", data=body) as response:
            assert response.status == 200
            answer = await response.json()
        assert (await sim.request("POST", "/checkout", json={"customer": 1}))[0] == 422
        said = "\n".join((f"Your ticket has the number {answer['ticket']}.", *answer["answers"]))
        written = await sent(path, len(said.encode()))

    by_name = {line["message"]: line for line in written}
    ticket, lead = by_name["support.ticket"], by_name["crm.lead"]
    assert (ticket["from"], ticket["to"], ticket["bytes"], ticket["ok"]) == ("bot", "shop", len(body), True)
    assert (lead["from"], lead["to"], lead["ok"]) == ("shop", "crm-leads", True)
    assert lead["bytes"] > len(json.dumps(TICKET["text"]))
    assert ticket["seconds"] >= lead["seconds"] >= 0.01
    assert (by_name["telegram.send"]["from"], by_name["telegram.send"]["to"]) == ("shop", "telegram")
    assert by_name["checkout.checkout"]["ok"] is False
    assert datetime.fromisoformat(ticket["at"]).tzinfo
    assert Counter(line["message"] for line in written)["crm.contact.read"] == 1


def test_a_message_that_breaks_is_written_as_one_that_failed(tmp_path):
    path = tmp_path / "messages.jsonl"
    log = MessageLog(path)
    with pytest.raises(RuntimeError), log.exchange("crm.lead", "shop", "crm-leads", 7):
        raise RuntimeError
    with log.exchange("crm.lead", "shop", "crm-leads", 8):
        pass
    log.close()

    assert [(line["bytes"], line["ok"]) for line in lines(path)] == [(7, False), (8, True)]


def test_without_a_file_and_after_closing_nothing_is_written(tmp_path):
    path = tmp_path / "messages.jsonl"
    log = MessageLog(path)
    log.close()
    for silent in (log, MessageLog()):
        with silent.exchange("crm.lead", "shop", "crm-leads", 1) as message:
            assert message.ok
    assert lines(path) == []
