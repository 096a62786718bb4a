"""Details of answers that clients trip over."""

import asyncio
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from holdfast.sim.crm.php import parse_query
from tests.sim_crm.conftest import WEBHOOK, running

LOOK = {"entityTypeId": 3, "id": 10}


async def test_an_answer_says_how_long_it_took_and_who_the_customer_is():
    async with running("crm", "--contacts", 20) as portal:
        _, body = await portal.request("POST", f"{WEBHOOK}/crm.item.get", json=LOOK)
        assert body["result"]["item"]["ufCrmTier"] == "gold"
        took = body["time"]
        assert took["finish"] - took["start"] == pytest.approx(took["duration"])
        assert 0 < took["processing"] <= took["duration"]
        assert took["operating"] == pytest.approx(took["processing"])
        assert took["operating_reset_at"] > took["finish"]


async def test_fields_are_described_as_the_portal_does():
    async with running("crm", "--contacts", 1) as portal:
        _, body = await portal.request("POST", f"{WEBHOOK}/crm.item.fields", json={"entityTypeId": 3})
        fields = body["result"]["fields"]
        assert fields["id"]["isReadOnly"]
        assert (fields["ufCrmTier"]["isDynamic"], fields["ufCrmTier"]["upperName"]) == (True, "UF_CRM_TIER")


async def test_read_only_and_unknown_fields_are_left_out_silently():
    async with running("crm", "--contacts", 1) as portal:
        fields = {"id": 999, "createdBy": 7, "nonsense": 1, "title": "Kept"}
        query = {"entityTypeId": 2, "fields": fields}
        _, body = await portal.request("POST", f"{WEBHOOK}/crm.item.add", json=query)
        item = body["result"]["item"]
        assert (item["title"], item["createdBy"]) == ("Kept", 1)
        assert item["id"] != 999
        assert "nonsense" not in item


async def test_the_client_is_not_told_that_its_connection_was_forgotten():
    async with running("crm", "--contacts", 1, "--idle-drop-seconds", 0.1) as portal:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(portal.url).port)
        request = f"GET {WEBHOOK}/crm.item.fields?entityTypeId=3 HTTP/1.1\r\nHost: crm\r\n\r\n".encode()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.split(b"\r\n") if line.startswith(b"Content-Length"))
        await reader.readexactly(int(length.split(b":")[1]))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.4)
        writer.write(request)
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        writer.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1&b=", {"a": "1", "b": ""}),
        ("filter[%3Eid]=5&filter[0][logic]=OR", {"filter": {">id": "5", "0": {"logic": "OR"}}}),
        ("select[]=id&select[]=title", {"select": {"0": "id", "1": "title"}}),
        ("a=1&a[x]=2", {"a": {"x": "2"}}),
    ],
)
def test_a_query_is_read_as_php_reads_it(text, expected):
    assert parse_query(text) == expected


def test_the_process_ends_cleanly_on_sigterm():
    command = [sys.executable, "-m", "holdfast.sim.crm", "--port", "0", "--contacts", "10"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr.readline().startswith("crm listens on http://127.0.0.1:")
        process.terminate()
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "")


def test_settings_that_cannot_work_are_refused_by_name():
    command = [sys.executable, "-m", "holdfast.sim.crm", "--workers", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "workers must be above 0" in done.stderr
