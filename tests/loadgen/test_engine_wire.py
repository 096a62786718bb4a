import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from holdfast.domain.errors import InvalidInput, Unavailable
from tests.loadgen.engine_targets import (
    Asked,
    Handler,
    always,
    answer,
    certificate,
    get,
    load_of,
    made,
    serving,
)

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwiki\r\n5\r\npedia\r\n0\r\n\r\n"
CLOSED = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nwikipedia"
CONTAINS: dict[str, Any] = {"check": {"contains": "wikipedia"}}


def _pieces(data: bytes) -> Handler:
    """Answer byte by byte, so that the parser sees every cut."""

    async def handler(asked: Asked, writer: asyncio.StreamWriter) -> None:
        for i in range(len(data)):
            writer.write(data[i : i + 1])
            await writer.drain()
            await asyncio.sleep(0)

    return handler


def _closing(data: bytes) -> Handler:
    async def handler(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        writer.close()

    return handler


@pytest.mark.parametrize(
    "handler",
    [
        always(answer(body=b"wikipedia")),
        always(CHUNKED),
        _pieces(CHUNKED),
        _pieces(answer(body=b"wikipedia")),
        _closing(CLOSED),
        always(b"HTTP/1.1 100 Continue\r\n\r\n" + answer(body=b"wikipedia")),
        always(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + CHUNKED),
    ],
    ids=["length", "chunked", "chunked in pieces", "length in pieces", "until close", "100", "103"],
)
async def test_a_whole_answer_is_read_however_it_is_framed(handler: Handler) -> None:
    async with serving(handler) as target:
        run = await made(load_of(target.url, get(**CONTAINS)))

    assert run.outcome() == {"due": 20, "good": 20}
    assert run.latencies().count == 20


TRAILED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Ticket\r\nX-Ticket: T-1\r\n\r\n"
    b"9\r\nwikipedia\r\n0\r\nX-Ticket: T-2\r\nX-Late: yes\r\n\r\n"
)


@pytest.mark.parametrize("handler", [always(TRAILED), _pieces(TRAILED)], ids=["at once", "in pieces"])
async def test_what_comes_behind_a_chunked_body_is_no_header(handler: Handler) -> None:
    first = get("first", "/first", extract={"ticket": {"header": "X-Ticket"}}, **CONTAINS)
    late = get("late", "/late", extract={"late": {"header": "X-Late"}})
    async with serving(handler) as target:
        run = await made(load_of(target.url, first, get("second", "/second/{ticket}"), late))
        asked = {each.path for each in target.asked}

    assert run.outcome("first") == {"due": 20, "good": 20}
    assert "/second/T-1" in asked
    assert "/second/T-2" not in asked
    assert run.outcome("late")["due"] == 20
    assert "good" not in run.outcome("late")
    # None of it closes the connection, either.
    assert len({each.connection for each in target.asked}) < 20


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_content_needs_no_length(status: int) -> None:
    data = f"HTTP/1.1 {status} Nothing\r\n\r\n".encode()
    async with serving(always(data)) as target:
        run = await made(load_of(target.url, get(check={"status": [status]})))

    assert run.outcome() == {"due": 20, "good": 20}
    assert target.asked[-1].connection < 15


async def test_the_answer_to_a_head_request_has_no_body_whatever_its_head_says() -> None:
    head = {"name": "ask", "http": {"target": "shop", "method": "HEAD"}}
    async with serving(always(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")) as target:
        run = await made(load_of(target.url, head))

    assert run.outcome() == {"due": 20, "good": 20}
    assert {asked.method for asked in target.asked} == {"HEAD"}


async def test_connections_are_kept_and_shared() -> None:
    async with serving(always(answer())) as target:
        await made(load_of(target.url, rate=100))

    assert len(target.asked) == 40
    assert len(target.writers) < 30


async def test_a_request_never_waits_for_a_free_connection() -> None:
    together = asyncio.Barrier(20)

    async def all_at_once(asked: Asked, writer: asyncio.StreamWriter) -> None:
        # Answers only when all twenty are here: one that waited for a connection would never come.
        await together.wait()
        writer.write(answer())

    async with serving(all_at_once) as target:
        run = await made(load_of(target.url))

    assert run.outcome() == {"due": 20, "good": 20}


async def test_heads_that_are_never_the_same_are_parsed_each_time() -> None:
    async def numbered(asked: Asked, writer: asyncio.StreamWriter) -> None:
        number = len(target.asked)
        body = json.dumps({"n": "x" * number}).encode()
        writer.write(answer(200, body, f"X-Request-Id: {number}"))

    async with serving(numbered) as target:
        run = await made(load_of(target.url, get(check={"contains": "x"}), rate=1000))

    assert run.outcome() == {"due": 400, "good": 400}


async def test_the_same_head_before_another_body_is_judged_by_the_body() -> None:
    async def turns(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(body=b"yes" if len(target.asked) % 2 else b"no!"))

    async with serving(turns) as target:
        run = await made(load_of(target.url, get(check={"contains": "yes"})))

    assert run.outcome() == {"due": 20, "good": 10, "check_contains": 10}
    assert run.latencies().count == 20


async def test_a_kept_head_with_an_error_status_is_an_error_each_time() -> None:
    async with serving(always(answer(503))) as target:
        run = await made(load_of(target.url))

    assert run.outcome() == {"due": 20, "status_503": 20}


async def test_bytes_are_counted_with_their_heads() -> None:
    data = answer(body=b"x" * 1000)
    async with serving(always(data)) as target:
        run = await made(load_of(target.url))

    assert run.steps()["received_bytes"] == 20 * len(data)
    request = run.steps()["sent_bytes"] / 20
    assert request == int(request) > 80


async def test_a_connection_that_the_target_closed_while_idle_costs_no_request() -> None:
    async def closes_unannounced(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(answer())
        await writer.drain()
        # Without `Connection: close`: the generator finds out when it is told, or when it uses it.
        asyncio.get_running_loop().call_soon(writer.close)

    async with serving(closes_unannounced) as target:
        run = await made(load_of(target.url, rate=400))

    assert run.outcome() == {"due": 160, "good": 160}


async def test_a_request_on_an_idle_connection_that_closes_is_sent_once_more_on_a_fresh_one() -> None:
    async def refuses_second(asked: Asked, writer: asyncio.StreamWriter) -> None:
        earlier = [other for other in target.asked if other.connection == asked.connection]
        if len(earlier) > 1:
            writer.transport.abort()
        else:
            writer.write(answer())

    async with serving(refuses_second) as target:
        run = await made(load_of(target.url, rate=20, lasts=1))

    assert run.outcome() == {"due": 20, "good": 20}
    assert len(target.asked) > 20


async def test_a_fresh_connection_that_closes_without_an_answer_is_an_error() -> None:
    async def hangs_up(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with serving(hangs_up) as target:
        run = await made(load_of(target.url))

    assert run.outcome() == {"due": 20, "closed": 20}
    assert run.latencies().count == 0


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nwiki", "closed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nwiki", "closed"),
        (b"HTTP/1.1 200 O", "closed"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "protocol"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "protocol"),
    ],
)
async def test_half_an_answer_is_an_error(data: bytes, kind: str) -> None:
    async with serving(_closing(data)) as target:
        run = await made(load_of(target.url))

    assert run.outcome() == {"due": 20, kind: 20}


async def test_more_than_was_asked_for_ends_the_connection_not_the_request() -> None:
    async with serving(always(answer() + answer())) as target:
        run = await made(load_of(target.url))

    assert run.outcome() == {"due": 20, "good": 20}
    # An answer too much would be taken for that to the next request.
    assert len({asked.connection for asked in target.asked}) == 20


async def test_a_target_that_nobody_listens_on_is_an_error_of_connecting() -> None:
    async with serving(always(b"")) as target:
        url = target.url

    run = await made(load_of(url))

    assert run.outcome() == {"due": 20, "connect": 20}


async def test_a_host_without_an_address_is_said_before_anything_is_sent() -> None:
    with pytest.raises(Unavailable, match=r"target 'shop': host 'nowhere\.invalid'"):
        await made(load_of("http://nowhere.invalid"))


async def test_a_request_without_an_answer_is_given_up_at_its_timeout() -> None:
    async def silent(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.path == "/":
            writer.write(answer())

    steps = [{"name": "s2", "steps": [get("quiet", "/quiet", timeout="0.3s")]}]
    async with serving(silent) as target:
        plain = load_of(target.url)
        run = await made(load_of(target.url, scenarios=[*plain.model_dump(by_alias=True)["scenarios"], *steps]))

    assert run.outcome("quiet")["timeout"] == run.outcome("quiet")["due"] > 0
    assert run.latencies("quiet").count == 0
    assert run.outcome()["good"] == run.outcome()["due"] > 0


async def test_tls_is_spoken_with_a_private_authority(tmp_path: Path) -> None:
    context, authority = certificate(tmp_path)
    async with serving(always(answer()), context) as target:
        run = await made(load_of(target.url, target={"ca": str(authority)}))

    assert run.outcome() == {"due": 20, "good": 20}


async def test_a_certificate_that_nobody_vouches_for_is_not_accepted(tmp_path: Path) -> None:
    context, _ = certificate(tmp_path)
    async with serving(always(answer()), context) as target:
        run = await made(load_of(target.url))

    assert run.outcome() == {"due": 20, "connect": 20}
    assert target.asked == []


async def test_an_authority_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"target 'shop': ca: '.*none\.pem'"):
        await made(load_of("https://127.0.0.1:1", target={"ca": str(tmp_path / "none.pem")}))


async def test_a_redirect_is_not_followed_so_the_allow_list_cannot_be_left() -> None:
    async with serving(always(answer())) as elsewhere:
        moved = answer(302, b"", f"Location: {elsewhere.url}/there")
        async with serving(always(moved)) as target:
            run = await made(load_of(target.url, get()))
    assert run.outcome() == {"due": 20, "status_302": 20}
    assert elsewhere.asked == []
