import asyncio
import io
import json
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from cyclopts import App, Parameter

from holdfast.adapters.sql_store import SqlStore
from holdfast.apps.cli.exits import Exit
from holdfast.apps.cli.outbox import OutboxDeps, add_outbox
from holdfast.domain.errors import Unavailable
from holdfast.domain.proofs import Keyring
from holdfast.outbox.message import Message, Request, Row, RowState
from holdfast.outbox.outbox import Outbox
from holdfast.outbox.store import OutboxStore
from holdfast.ports.audit import AuditLog
from holdfast.runbook.commands import CommandRules
from holdfast.runbook.priorities import DEFAULT_PRIORITIES
from tests.cli.conftest import PEOPLE, Told, told_by

BOT = "4242"
CHAT = "-1001"
TTL = timedelta(hours=1)
T = TypeVar("T")
Command = Callable[..., Told]
GOOD_LINE = json.dumps({"key": "order-1", "chat": -1001, "text": "Order 1 is stuck", "tier": "gold"})


class Desk:
    """The rows of a database, as the tests prepare and look at them."""

    def __init__(self, path: Path) -> None:
        self._url = f"sqlite:///{path}"
        self.down = False
        self.rules = CommandRules()

    @asynccontextmanager
    async def _store(self) -> AsyncGenerator[SqlStore]:
        if self.down:
            raise Unavailable("the database does not answer")
        store = SqlStore(self._url, Keyring(["a key of no use here"]))
        try:
            await store.migrate()
            yield store
        finally:
            await store.close()

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[OutboxStore]:
        async with self._store() as store:
            yield store.outbox

    @asynccontextmanager
    async def lend_record(self) -> AsyncGenerator[AuditLog]:
        async with self._store() as store:
            yield store.audit

    def recorded(self) -> list[str]:
        async def read() -> list[str]:
            async with self._store() as store:
                return [entry.text for entry in store.audit.read()]

        return asyncio.run(read())

    def do(self, work: Callable[[OutboxStore], Awaitable[T]]) -> T:
        async def lent() -> T:
            async with self.lend() as store:
                return await work(store)

        return asyncio.run(lent())

    def put(self, key: str, *, bot: str = BOT, **fields: Any) -> int:
        given = {
            "chat": CHAT,
            "kind": "escalation",
            "request": Request(method="sendMessage", params={"text": f"about {key}"}, plain=f"about {key}"),
        }
        message = Message.model_validate({"key": key, **given, **fields})
        return self.do(lambda store: Outbox(store, lambda: DEFAULT_PRIORITIES, bot=bot).put(message))

    def tried(self, row_id: int, state: RowState, **fate: Any) -> None:
        """Let a sender try a row, with this outcome, and end."""

        async def work(store: OutboxStore) -> None:
            now = datetime.now(UTC)
            lease = await store.take_lease(BOT, "a sender", ttl=TTL, now=now)
            assert lease
            await store.claim(lease, [row_id], now=now)
            await store.settle(lease, [row_id], state, now=now, **fate)
            await store.give_up_lease(lease)

        self.do(work)

    def lead(self) -> None:
        """Let a sender hold the lease."""

        async def work(store: OutboxStore) -> None:
            assert await store.take_lease(BOT, "the-sender", ttl=TTL, now=datetime.now(UTC))

        self.do(work)

    def row(self, row_id: int) -> Row:
        row = self.do(lambda store: store.row(row_id))
        assert row
        return row

    def rows(self) -> list[Row]:
        return self.do(lambda store: store.rows(BOT))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "holdfast.db")


@pytest.fixture
def outbox(desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    def command(*tokens: str | int, piped: bytes | str = "") -> Told:
        given = piped.encode() if isinstance(piped, str) else piped
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), encoding="utf-8"))
        app = App(name="holdfast", default_parameter=Parameter(negative=()), help_format="plaintext")
        deps = OutboxDeps(
            store=desk.lend,
            priorities=lambda: DEFAULT_PRIORITIES,
            bot=lambda: BOT,
            people=lambda: PEOPLE,
            rules=lambda: desk.rules,
            audit=desk.lend_record,
        )
        add_outbox(app, deps)
        return told_by(app, ["outbox", *map(str, tokens)], capsys)

    return command


# --- list


def test_an_empty_outbox_is_said_to_be_empty_and_unattended(outbox: Command) -> None:
    told = outbox("list")

    assert (told.code, told.out) == (0, "The outbox is empty. Nobody sends: start 'holdfast bot'.\n")


def test_the_list_has_what_waits_and_what_needs_a_person_and_says_what_to_do(
    outbox: Command, desk: Desk
) -> None:
    waiting, doubtful, dead, sent = (desk.put(key) for key in ("one", "two", "three", "four"))
    desk.tried(doubtful, RowState.UNCERTAIN, why="the connection broke")
    desk.tried(dead, RowState.DEAD, why="Forbidden: bot was kicked", code=403)
    desk.tried(sent, RowState.SENT, message_id="77")
    desk.lead()

    told = outbox("list")

    assert told.out.startswith("1 queued, 1 sent, 1 uncertain, 1 dead.\n")
    assert "about one" in told.out
    assert "about two (the connection broke)" in told.out
    assert "about three (Forbidden: bot was kicked)" in told.out
    assert "about four" not in told.out
    assert f"it is missing:  holdfast outbox retry {doubtful} --as YOU\n" in told.out
    assert f"it is there:    holdfast outbox drop {doubtful} --as YOU --reason 'it came'\n" in told.out
    assert f"the cause is gone:  holdfast outbox retry {dead} --as YOU\n" in told.out
    assert [m["id"] for m in outbox("list", "--json").document["messages"]] == [waiting, dead, doubtful]


def test_the_list_goes_in_the_order_of_sending(outbox: Command, desk: Desk) -> None:
    bronze, poor, rich = (
        desk.put("bronze", tier="bronze"),
        desk.put("poor", tier="gold"),
        desk.put("rich", tier="gold", value=1_000_000),
    )

    assert [m["id"] for m in outbox("list", "--json").document["messages"]] == [rich, poor, bronze]


def test_the_list_is_one_json_document_without_what_is_sent(outbox: Command, desk: Desk) -> None:
    desk.put("one", tier="gold", value=5)
    desk.lead()

    told = outbox("list", "--json")

    document = told.document
    assert told.err == ""
    assert document["counts"]["queued"] == 1
    assert document["tiers"]["gold"]["queued"] == 1
    assert document["tiers"]["gold"]["oldest_seconds"] >= 0
    assert document["sender"] == "the-sender"
    (message,) = document["messages"]
    assert (message["key"], message["tier"], message["value"]) == ("one", "gold", 5)
    assert (message["method"], message["says"]) == ("sendMessage", "about one")
    assert "request" not in message


def test_answers_are_listed_without_their_words_since_they_may_hold_codes(outbox: Command, desk: Desk) -> None:
    request = Request(method="sendMessage", params={"text": "code 123456"}, plain="code 123456")
    number = desk.put("answer/4242/1/0", kind="answer", request=request, line="code 123456")

    for tokens in (("list",), ("list", "--json"), ("explain", number), ("explain", number, "--json")):
        told = outbox(*tokens)
        assert "sendMessage to somebody who tapped or typed" in told.out
        assert "123456" not in told.out


def test_the_list_can_be_narrowed_to_a_state_and_to_a_chat(outbox: Command, desk: Desk) -> None:
    here, there, sent = desk.put("one"), desk.put("two", chat="-2002"), desk.put("three")
    desk.tried(sent, RowState.SENT)

    by_chat = outbox("list", "--chat", "-2002", "--json").document["messages"]
    by_state = outbox("list", "--state", "sent", "--json").document["messages"]

    assert [m["id"] for m in by_chat] == [there]
    assert [m["id"] for m in by_state] == [sent]
    assert here not in {there, sent}


def test_a_list_that_is_cut_says_how_much_there_is(outbox: Command, desk: Desk) -> None:
    for number in range(3):
        desk.put(f"key-{number}")

    assert "Shown are 2 of 3; --limit shows more." in outbox("list", "--limit", 2).out
    assert "Shown are" not in outbox("list", "--limit", 3).out


def test_messages_of_another_bot_are_not_there(outbox: Command, desk: Desk) -> None:
    other = desk.put("theirs", bot="1")

    assert outbox("list", "--json").document["messages"] == []
    for told in (
        outbox("explain", other),
        outbox("retry", other, "--as", "anna"),
        outbox("drop", other, "--as", "anna", "--reason", "x"),
    ):
        assert told.code == 2
        assert told.err.startswith(f"no. {other} is no message of this bot")
    assert desk.row(other).state is RowState.QUEUED


def test_a_limit_of_nothing_is_refused(outbox: Command) -> None:
    assert outbox("list", "--limit", 0).err == "--limit: 0 is less than 1\n"


def test_an_unknown_state_is_refused_with_the_known_ones(holdfast: Command) -> None:
    told = holdfast("outbox", "list", "--state", "lost")

    assert told.code == 2
    assert all(state in told.err for state in RowState)


def test_without_the_database_it_says_so_and_leaves_with_3(outbox: Command, desk: Desk) -> None:
    desk.down = True

    told = outbox("list")

    assert (told.code, told.out, told.err) == (3, "", "the database does not answer\n")


# --- explain


def test_a_message_that_waits_is_explained_with_place_reason_and_time(outbox: Command, desk: Desk) -> None:
    desk.put("first", tier="gold")
    second = desk.put("second", tier="gold", value=500_000, kind="escalation")
    third = desk.put("third", tier="gold")
    desk.lead()

    told = outbox("explain", third)

    assert told.code == 0
    assert told.out.startswith(f"No. {third} · queued · escalation to chat {CHAT}\nabout third\n")
    assert "It is number 3 of 3 in the lane 'gold'." in told.out
    assert "2 of those before it go to the same chat, which takes 17 in 60 s." in told.out
    assert "The sender is the-sender." in told.out
    assert outbox("explain", third, "--json").document["explanation"]["position"] == 3
    assert "minus 5 s for the value 500000 of its order" in outbox("explain", second).out


def test_the_expected_time_counts_the_rate_of_the_chat(outbox: Command, desk: Desk) -> None:
    numbers = [desk.put(f"key-{number}", tier="gold") for number in range(19)]
    desk.put("elsewhere", tier="gold", chat="-2002")
    desk.lead()

    told = outbox("explain", numbers[-1], "--json").document["explanation"]

    # 18 before it in a group that takes 2 at once and 17 a minute: 17 of them have to be waited for.
    earliest = datetime.fromisoformat(told["earliest"])
    assert earliest - datetime.now(UTC) > timedelta(seconds=50)


@pytest.mark.parametrize(
    ("state", "fate", "words"),
    [
        (RowState.SENT, {"message_id": "77"}, "as message 77"),
        (
            RowState.UNCERTAIN,
            {"why": "the connection broke"},
            "may or may not have arrived: the connection broke",
        ),
        (RowState.DEAD, {"why": "bot was kicked", "code": 403}, "It will not be sent (403): bot was kicked."),
    ],
)
def test_what_became_of_a_message_is_explained(
    outbox: Command, desk: Desk, state: RowState, fate: dict[str, Any], words: str
) -> None:
    number = desk.put("one")
    desk.tried(number, state, **fate)

    assert words in outbox("explain", number).out
    document = outbox("explain", number, "--json").document
    assert (document["message"]["state"], document["explanation"]["position"]) == (state, None)


def test_an_unknown_number_is_refused_and_says_where_to_look(outbox: Command) -> None:
    told = outbox("explain", 4711)

    assert (told.code, told.out) == (2, "")
    assert told.err == (
        "no. 4711 is no message of this bot, or was sent long ago: see 'holdfast outbox list'\n"
    )


# --- retry and drop


def test_an_uncertain_message_is_queued_again_as_one_that_may_be_a_copy(outbox: Command, desk: Desk) -> None:
    number = desk.put("one")
    desk.tried(number, RowState.UNCERTAIN, why="the connection broke")

    told = outbox("retry", number, "--as", "Anna", "--reason", "it is not in the chat")

    assert (told.code, told.out) == (0, f"No. {number} is queued again.\n")
    row = desk.row(number)
    assert (row.state, row.repeated) == (RowState.QUEUED, True)
    assert row.why == "sent again by anna: it is not in the chat"
    assert "An earlier copy may have arrived; this one says so." in outbox("explain", number).out


def test_a_dead_message_is_queued_again_as_the_first_copy(outbox: Command, desk: Desk) -> None:
    number = desk.put("one")
    desk.tried(number, RowState.DEAD, why="bot was kicked", code=403)

    assert outbox("retry", number, "--as", "anna").code == 0

    row = desk.row(number)
    assert (row.state, row.repeated, row.why) == (RowState.QUEUED, False, "sent again by anna")


@pytest.mark.parametrize("state", [RowState.QUEUED, RowState.SENT])
def test_what_waits_or_was_sent_is_not_sent_again(outbox: Command, desk: Desk, state: RowState) -> None:
    number = desk.put("one")
    if state is RowState.SENT:
        desk.tried(number, state)

    told = outbox("retry", number, "--as", "anna")

    assert (told.code, told.out, told.err) == (1, "", f"No. {number} is left as it is: {state}.\n")
    assert desk.row(number).state is state


def test_an_older_version_of_an_edit_is_not_sent_over_the_newer_one(outbox: Command, desk: Desk) -> None:
    older = desk.put("v1", replaces="card/7")
    desk.tried(older, RowState.UNCERTAIN, why="the connection broke")
    desk.put("v2", replaces="card/7")

    told = outbox("retry", older, "--as", "anna")

    assert told.code == 1
    assert told.err == f"No. {older} is left as it is: dead (replaced by a newer version).\n"


@pytest.mark.parametrize("state", [RowState.QUEUED, RowState.UNCERTAIN])
def test_a_dropped_message_is_dead_and_keeps_who_and_why(outbox: Command, desk: Desk, state: RowState) -> None:
    number = desk.put("one")
    if state is RowState.UNCERTAIN:
        desk.tried(number, state)

    told = outbox("drop", number, "--as", "BORIS", "--reason", " it came ")

    assert (told.code, told.out) == (0, f"No. {number} is dropped.\n")
    row = desk.row(number)
    assert (row.state, row.why) == (RowState.DEAD, "dropped by boris: it came")
    assert "about one (dropped by boris: it came)" in outbox("list").out


def test_of_several_those_that_cannot_be_dropped_are_named(outbox: Command, desk: Desk) -> None:
    sent, waiting = desk.put("one"), desk.put("two")
    desk.tried(sent, RowState.SENT)

    told = outbox("drop", sent, waiting, "--as", "anna", "--reason", "out of date")

    assert told.code == 1
    assert told.out == f"No. {waiting} is dropped.\n"
    assert told.err == f"No. {sent} is left as it is: sent.\n"


@pytest.mark.parametrize(
    ("tokens", "sentence"),
    [
        (("drop", "{known}", "--as", "olga", "--reason", "x"), "unknown person 'olga'; known: anna"),
        (("drop", "{known}", "--as", "anna", "--reason", "  "), "--reason: say why, others read it"),
        (("drop", "{known}", "4711", "--as", "anna", "--reason", "x"), "no. 4711 is no message of this bot"),
        (("retry", "{doubtful}", "--as", "olga"), "unknown person 'olga'; known: anna"),
        (("retry", "{doubtful}", "4711", "--as", "anna"), "no. 4711 is no message of this bot"),
    ],
)
def test_a_wrong_name_number_or_reason_changes_nothing(
    outbox: Command, desk: Desk, tokens: tuple[str, ...], sentence: str
) -> None:
    known, doubtful = desk.put("one"), desk.put("two")
    desk.tried(doubtful, RowState.UNCERTAIN)

    told = outbox(*(token.format(known=known, doubtful=doubtful) for token in tokens))

    assert (told.code, told.out) == (2, "")
    assert told.err.startswith(sentence)
    assert desk.row(known).state is RowState.QUEUED
    assert desk.row(doubtful).state is RowState.UNCERTAIN


def test_dropping_needs_a_reason(holdfast: Command) -> None:
    told = holdfast("outbox", "drop", "4711", "--as", "anna")

    assert told.code == 2
    assert "--reason" in told.err


# --- put


def test_a_message_is_put_with_the_customers_tier_and_value(outbox: Command, desk: Desk) -> None:
    told = outbox(
        *("put", "--chat", "-1001", "--text", "- Order 88 is stuck", "--tier", "gold"),
        *("--value", "250000", "--key", "order-88"),
    )

    (row,) = desk.rows()
    assert told.code == 0
    assert told.out == f"In line: no. {row.id}. 'holdfast outbox explain {row.id}' says when it goes.\n"
    assert (row.key, row.chat, row.tier, row.value, row.kind) == (
        "order-88",
        "-1001",
        "gold",
        250_000,
        "escalation",
    )
    assert (row.request.method, row.request.params) == ("sendMessage", {"text": "- Order 88 is stuck"})
    assert row.due - row.queued_at == timedelta(seconds=-2.5)


def test_what_is_put_twice_under_one_key_is_said_to_be_there(outbox: Command, desk: Desk) -> None:
    wish = ("put", "--chat", "-1001", "--text", "Order 88 is stuck", "--key", "order-88")
    outbox(*wish)
    (row,) = desk.rows()
    desk.tried(row.id, RowState.SENT)

    told = outbox(*wish)

    assert told.out == f"Put already under this key: no. {row.id}, sent. Nothing was added.\n"
    assert len(desk.rows()) == 1


def test_lines_are_put_together_and_told_with_their_keys(outbox: Command, desk: Desk) -> None:
    second = json.dumps(
        {"key": "order-2", "chat": "@shop", "text": "Two", "kind": "ping", "thread": 7, "value": 3}
    )

    told = outbox("put", "--lines", "--json", piped=f"{GOOD_LINE}\n\n{second}\n")

    assert [one["key"] for one in told.document["messages"]] == ["order-1", "order-2"]
    assert told.err.startswith("In line: no. ")
    first, other = sorted(desk.rows(), key=lambda row: row.id)
    assert (first.chat, first.tier, first.line) == ("-1001", "gold", "Order 1 is stuck")
    assert (other.chat, other.kind, other.thread, other.tier) == ("@shop", "ping", "7", "gold")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", "line 2: this is no JSON object; nothing was put"),
        ("[1]", "line 2: this is no JSON object; nothing was put"),
        ("[" * 100_000, "line 2: this is no JSON object; nothing was put"),
        ('{"key": "k", "chat": "1"}', "line 2: text: is needed; nothing was put"),
        ('{"key": "", "chat": "1", "text": "x"}', "line 2: key: is needed; nothing was put"),
        (
            '{"key": "k", "chat": "1", "text": "x", "prio": 1}',
            "line 2: prio: there is no such field; known: key, chat, text, tier, value, kind, thread",
        ),
        (
            '{"key": "k", "chat": "ops", "text": "x"}',
            "line 2: chat: 'ops' is none; it is a number such as -1001",
        ),
        ('{"key": "k", "chat": true, "text": "x"}', "line 2: chat: "),
        (
            '{"key": "k", "chat": 1, "text": "x", "tier": "tin"}',
            "line 2: tier: unknown tier 'tin'; known: bronze",
        ),
        (
            '{"key": "k", "chat": 1, "text": "x", "kind": "spam"}',
            "line 2: kind: unknown kind 'spam'; known: card",
        ),
        (
            '{"key": "k", "chat": 1, "text": "x", "kind": "answer"}',
            "line 2: kind: unknown kind 'answer'; known: card",
        ),
        ('{"key": "k", "chat": 1, "text": "x", "value": -1}', "line 2: value: Input should be greater than"),
        (
            '{"key": "k", "chat": 1, "text": "x", "value": NaN}',
            "line 2: value: Input should be a finite number",
        ),
        ('{"key": "k", "chat": 1, "text": "x", "thread": "a"}', "line 2: thread: is the number of a topic"),
        (r'{"key": "k", "chat": 1, "text": "\ud83d"}', "line 2: text: holds half of a character"),
        (r'{"key": "\ud83d", "chat": 1, "text": "x"}', "line 2: key: holds half of a character"),
        (
            json.dumps({"key": "k", "chat": 1, "text": "😀" * 2049}),
            "line 2: text: at most 4096 characters as Telegram counts them; 'k' has 4098; nothing was put",
        ),
    ],
)
def test_one_wrong_line_is_named_and_none_is_put(outbox: Command, desk: Desk, line: str, sentence: str) -> None:
    told = outbox("put", "--lines", piped=f"{GOOD_LINE}\n{line}\n")

    assert (told.code, told.out) == (2, "")
    assert told.err.startswith(sentence)
    assert told.err.endswith("; nothing was put\n")
    assert desk.rows() == []


@pytest.mark.parametrize(
    ("tokens", "sentence"),
    [
        (("--chat", "-1001", "--text", "x"), "--key: is needed; nothing was put\n"),
        (("--chat", "-1001", "--key", "k"), "--text: is needed; nothing was put\n"),
        (("--text", "x", "--key", "k"), "--chat: '' is none; it is a number such as -1001, or @name"),
        (
            ("--chat", "-1", "--text", "x", "--key", "k", "--tier", "tin"),
            "--tier: unknown tier 'tin'; known: bronze",
        ),
        (
            ("--chat", "-1", "--text", "x", "--key", "k", "--kind", "spam"),
            "--kind: unknown kind 'spam'; known: card",
        ),
        (("--chat", "-1", "--text", "x", "--key", "k", "--value", "inf"), "--value: Input should be a finite"),
        (("--lines",), "--lines: stdin is empty; give it one JSON object a line\n"),
        (("--lines", "--chat", "-1"), "--lines: chat, text and key stand in the lines then"),
    ],
)
def test_a_message_that_cannot_be_put_is_refused_in_words(
    outbox: Command, desk: Desk, tokens: tuple[str, ...], sentence: str
) -> None:
    told = outbox("put", *tokens)

    assert (told.code, told.out) == (2, "")
    assert told.err.startswith(sentence)
    assert desk.rows() == []


def test_bytes_that_are_no_text_are_refused(outbox: Command, desk: Desk) -> None:
    told = outbox("put", "--lines", piped=b"\xff\xfe{}\n")

    assert (told.code, told.err) == (2, "--lines: stdin is no UTF-8; nothing was put\n")
    assert desk.rows() == []


# --- who may


def test_what_somebody_decided_about_a_message_is_on_record(desk: Desk, outbox: Command) -> None:
    row = desk.put("order-1")

    assert outbox("drop", row, "--as", "anna", "--reason", "out of date").code == Exit.DONE

    assert desk.recorded() == [f"message no. {row} was dropped by anna: out of date"]


def test_only_those_whom_the_rules_name_may_decide_about_messages(desk: Desk, outbox: Command) -> None:
    desk.rules = CommandRules(commands={"outbox": ("boris",)})
    row = desk.put("order-1")

    told = outbox("drop", row, "--as", "anna", "--reason", "out of date")

    assert told.code == Exit.OTHERWISE
    assert "this is for boris" in told.err
    assert desk.row(row).state is RowState.QUEUED
    assert desk.recorded() == []
