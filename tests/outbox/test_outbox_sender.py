import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest

from holdfast.outbox.fates import MOST_TRIES
from holdfast.outbox.message import Row, RowState
from holdfast.outbox.timing import Timing
from holdfast.outbox.transport import Fate, Moved, Never, NotSent, Refused, Sent, Unknown
from tests.outbox.virtual import BOT, House, message, now, seconds, shipped_policy, simulate, stop


async def one(house: House, *fates: Fate, kind: str = "card") -> Row:
    """Put a message, let its tries end like that, and return it when it is settled."""
    house.transport.script["a"] = list(fates)
    house.start()
    row_id = await house.outbox.put(message("a", kind=kind))
    row = await house.outbox.settled(row_id, within=timedelta(hours=1))
    await house.stop()
    return row


def test_a_message_is_sent_and_its_id_is_kept() -> None:
    async def main() -> None:
        house = House()
        row = await one(house)
        assert (row.state, row.message_id, row.attempts) == (RowState.SENT, f"m{row.id}", 1)
        assert (await house.store.holder(BOT)) is not None

    simulate(main())


def test_a_message_put_by_another_process_is_seen_within_a_poll() -> None:
    async def main() -> None:
        house = House()
        house.start()
        await asyncio.sleep(10.03)
        await house.put_elsewhere(message("a"))
        put_at = seconds()
        await house.until(lambda: len(house.transport.tries) == 1)
        assert house.transport.tries[0][0] - put_at <= 0.1
        await house.stop()

    simulate(main())


def test_a_message_put_in_this_process_goes_at_once() -> None:
    async def main() -> None:
        house = House()
        house.start()
        await asyncio.sleep(10.03)
        await house.outbox.put(message("a"))
        await house.until(lambda: len(house.transport.tries) == 1)
        assert house.transport.tries[0][0] == pytest.approx(10.03)
        await house.stop()

    simulate(main())


def test_after_a_429_the_message_waits_as_long_as_told_and_goes_unchanged() -> None:
    async def main() -> None:
        house = House()
        row = await one(house, Refused(7))
        (first, _), (second, again) = house.transport.tries
        assert (row.state, row.attempts, again.repeated) == (RowState.SENT, 2, False)
        assert 7 <= second - (first + 0.05) <= 7.5

    simulate(main())


def test_a_pause_outlives_its_process() -> None:
    async def main() -> None:
        house = House()
        house.transport.script["a"] = [Refused(30)]
        first = house.start()
        await house.outbox.put(message("a"))
        await house.until(lambda: bool(house.store.calls["pause"]))
        await stop(first)
        house.start(house.sender("two"))
        await house.until_settled()
        assert 30 <= house.transport.tries[1][0] - house.transport.tries[0][0] <= 31
        await house.stop()

    simulate(main())


def test_two_chats_refusing_silence_the_bot_and_one_does_not() -> None:
    async def main() -> None:
        house = House()
        house.transport.script = {"a": [Refused(5)], "b": [Refused(5)]}
        house.start()
        await house.outbox.put(message("a", "1"))
        await asyncio.sleep(1)
        await house.outbox.put(message("c", "3"))
        await asyncio.sleep(0.2)
        assert house.transport.tried() == ["a", "c"]
        await house.outbox.put_all([message("b", "2"), message("d", "4")])
        await asyncio.sleep(0.2)
        await house.outbox.put(message("e", "5", kind="answer"))
        await house.until_settled()
        tried = {row.key: second for second, row in house.transport.tries}
        assert tried["d"] < 2
        assert tried["e"] == pytest.approx(1.25 + 5.25, abs=0.1)
        await house.stop()

    simulate(main())


def test_without_a_network_nothing_is_lost_and_tries_get_rarer() -> None:
    async def main() -> None:
        house = House()

        async def nothing(_: Row) -> Fate:
            return NotSent("connection refused") if seconds() < 120 else Sent("m")

        house.transport.answer = nothing
        house.start()
        await house.outbox.put_all([message(f"{i}", str(i)) for i in range(300)])
        await house.until_settled()
        assert house.store.states() == {RowState.SENT: 300}
        in_vain = sum(second < 119 for second, _ in house.transport.tries)
        assert in_vain <= 4 * 14
        assert max(second for second, _ in house.transport.tries) < 120 + 30 + 300 / 25 + 2
        await house.stop()

    simulate(main())


def test_one_message_that_never_gets_through_does_not_hold_the_others() -> None:
    async def main() -> None:
        house = House()
        house.transport.script["bad"] = [NotSent("timeout of an edit")] * 8
        house.start()
        await house.outbox.put_all(
            [message("bad", "999", tier="gold"), *(message(f"{i}", str(i)) for i in range(500))]
        )
        await house.until(lambda: house.store.states()[RowState.SENT] >= 500)
        assert seconds() < 500 / 25 + 2
        await house.until_settled()
        assert house.store.states() == {RowState.SENT: 501}
        await house.stop()

    simulate(main())


def test_a_message_of_unknown_fate_is_shown_and_not_repeated() -> None:
    async def main() -> None:
        house = House()
        row = await one(house, Unknown("the connection broke"))
        assert (row.state, row.why) == (RowState.UNCERTAIN, "the connection broke")
        assert len(house.transport.tries) == 1

    simulate(main())


def test_a_page_of_unknown_fate_is_sent_again_and_says_so() -> None:
    async def main() -> None:
        house = House()
        row = await one(house, Unknown("the connection broke"), kind="page")
        assert (row.state, row.attempts) == (RowState.SENT, 2)
        assert [tried.repeated for _, tried in house.transport.tries] == [False, True]

    simulate(main())


def test_a_page_that_is_never_confirmed_is_left_to_people_in_the_end() -> None:
    async def main() -> None:
        house = House()
        row = await one(house, *[Unknown("silence")] * 50, kind="page")
        assert (row.state, row.attempts) == (RowState.UNCERTAIN, MOST_TRIES)

    simulate(main())


def test_a_way_that_loses_every_answer_does_not_make_the_whole_queue_uncertain() -> None:
    async def main() -> None:
        house = House()

        async def silence(_: Row) -> Fate:
            return Unknown("502 of a proxy")

        house.transport.answer = silence
        house.start()
        await house.outbox.put_all([message(f"{i}", str(i), kind="card") for i in range(500)])
        await asyncio.sleep(60)
        assert house.store.states()[RowState.QUEUED] > 440
        await house.stop()

    simulate(main())


def test_what_the_chat_does_not_take_is_dead_with_its_code() -> None:
    async def main() -> None:
        row = await one(House(), Never("Forbidden: bot was blocked by the user", 403))
        assert (row.state, row.code, row.why) == (RowState.DEAD, 403, "Forbidden: bot was blocked by the user")

    simulate(main())


def test_a_group_with_another_id_gets_everything_there() -> None:
    async def main() -> None:
        house = House()

        async def upgraded(row: Row) -> Fate:
            return Moved("-100") if row.chat == "-1" else Sent("m")

        house.transport.answer = upgraded
        house.start()
        await house.outbox.put_all([message(key, "-1") for key in "ab"])
        await house.until_settled()
        await house.outbox.put(message("c", "-1"))
        await house.until_settled()
        assert [row.chat for row in house.store.every_row()] == ["-100"] * 3
        assert house.store.states() == {RowState.SENT: 3}
        assert [row.chat for _, row in house.transport.tries] == ["-1", "-100", "-100", "-100"]
        await house.stop()

    simulate(main())


def test_a_group_that_moves_in_circles_ends() -> None:
    async def main() -> None:
        row = await one(House(), *[Moved("1")])
        assert row.state is RowState.DEAD

    simulate(main())


def test_a_fault_of_the_transport_is_an_unknown_fate() -> None:
    async def main() -> None:
        house = House()

        async def fault(_: Row) -> Fate:
            raise ZeroDivisionError

        house.transport.answer = fault
        row = await one(house)
        assert (row.state, row.why) == (RowState.UNCERTAIN, "trying it failed: ZeroDivisionError")

    simulate(main())


def test_a_try_without_end_is_an_unknown_fate() -> None:
    async def main() -> None:
        house = House()
        house.transport.latency = 10_000
        row = await one(house)
        assert (row.state, row.why) == (RowState.UNCERTAIN, "no answer within 90 s")

    simulate(main())


def test_messages_of_one_chat_go_one_after_the_other_in_their_order() -> None:
    async def main() -> None:
        house = House()
        house.transport.latency = 3
        house.start()
        await house.outbox.put_all([message(f"{i}", kind="card") for i in range(6)])
        await house.until_settled()
        assert house.transport.tried() == [f"{i}" for i in range(6)]
        moments = [second for second, _ in house.transport.tries]
        assert all(later - earlier > 2.999 for earlier, later in pairwise(moments))
        await house.stop()

    simulate(main())


def test_one_chat_has_one_message_under_way_also_where_it_waits_in_two_lanes() -> None:
    async def main() -> None:
        house = House()
        house.transport.latency = 3
        await house.outbox.put_all([message("a", tier="gold"), message("b", tier="silver")])
        house.start()
        await house.until_settled()
        (first, _), (second, _) = house.transport.tries
        assert second - first > 2.999
        await house.stop()

    simulate(main())


def test_versions_that_wait_are_sent_as_the_newest_only() -> None:
    async def main() -> None:
        house = House()
        house.transport.latency = 2
        house.start()
        await house.outbox.put(message("first", kind="card", replaces="run/7"))
        await asyncio.sleep(0.5)
        ids = [await house.outbox.put(message(f"v{i}", kind="card", replaces="run/7")) for i in range(5)]
        await house.until_settled()
        assert len(set(ids)) == 1
        assert [row.request.params["text"] for _, row in house.transport.tries] == ["first", "v4"]
        assert house.metric("coalesced_total") == 4
        await house.stop()

    simulate(main())


def test_an_older_version_that_was_refused_gives_way_to_the_newer_one() -> None:
    async def main() -> None:
        house = House()
        house.transport.script["old"] = [Refused(2)]
        house.transport.latency = 1
        house.start()
        old = await house.outbox.put(message("old", kind="card", replaces="run/7"))
        await asyncio.sleep(0.5)
        await house.outbox.put(message("new", kind="card", replaces="run/7"))
        await house.until_settled()
        assert house.transport.tried() == ["old", "new"]
        assert (await house.outbox.row(old)).why == "replaced by a newer version"
        await house.stop()

    simulate(main())


def test_a_storm_to_one_chat_becomes_digests() -> None:
    async def main() -> None:
        house = House()
        await house.outbox.put_all([message(f"{i}", "-1", line=f"line {i}") for i in range(60)])
        house.start()
        await house.until_settled()
        assert [len(rows) for rows in house.transport.digests] == [25, 25, 10]
        assert len({row.message_id for row in house.store.every_row()}) == 3
        assert house.metric("digests_total") == 3
        assert house.metric("digest_lines_total") == 60
        assert house.store.states() == {RowState.SENT: 60}
        await house.stop()

    simulate(main())


@pytest.mark.parametrize(
    ("kind", "line", "count"), [("card", "x", 20), ("escalation", "", 20), ("escalation", "x", 5)]
)
def test_other_kinds_and_few_messages_go_singly(kind: str, line: str, count: int) -> None:
    async def main() -> None:
        house = House()
        await house.outbox.put_all([message(f"{i}", kind=kind, line=line) for i in range(count)])
        house.start()
        await house.until_settled()
        assert house.transport.digests == []
        assert len(house.transport.tries) == count
        await house.stop()

    simulate(main())


@pytest.mark.parametrize(
    ("fate", "states"),
    [
        (Refused(3), {RowState.SENT: 10}),
        (NotSent("no network"), {RowState.SENT: 10}),
        (Unknown("silence"), {RowState.SENT: 10}),
        (Never("chat not found"), {RowState.DEAD: 10}),
    ],
)
def test_the_rows_of_a_digest_share_its_fate(fate: Fate, states: dict[RowState, int]) -> None:
    async def main() -> None:
        house = House()
        await house.outbox.put_all([message(f"{i}", line="x") for i in range(10)])
        house.transport.script["0"] = [fate]
        house.start()
        await house.until_settled()
        assert house.store.states() == states
        assert all(row.repeated is isinstance(fate, Unknown) for row in house.store.every_row())
        await house.stop()

    simulate(main())


def test_answers_go_first_while_thousands_wait() -> None:
    async def main() -> None:
        house = House()
        await house.outbox.put_all([message(f"{i}", str(i), tier="gold") for i in range(1500)])
        house.start()
        waits: list[float] = []
        for turn in range(40):
            await asyncio.sleep(0.5)
            put_at = seconds()
            row = await house.outbox.put(message(f"answer {turn}", str(9000 + turn), kind="answer"))
            await house.outbox.settled(row, within=timedelta(seconds=30))
            waits.append(seconds() - put_at - 0.05)
        assert max(waits) <= 0.04
        await house.stop()

    simulate(main())


def test_a_flood_of_answers_does_not_starve_the_rest() -> None:
    async def main() -> None:
        house = House()
        await house.outbox.put_all([message(f"a{i}", str(i), kind="answer") for i in range(2000)])
        await house.outbox.put_all([message(f"b{i}", str(5000 + i), tier="bronze") for i in range(100)])
        house.start()
        await asyncio.sleep(30)
        bronze = sum(key.startswith("b") for key in house.transport.tried())
        assert bronze >= 30 * 25 * 0.8 / 7 - 3
        await house.stop()

    simulate(main())


def test_a_changed_policy_holds_from_the_next_message_on() -> None:
    async def main() -> None:
        house = House()
        await house.outbox.put_all([message(f"{i}", str(i)) for i in range(200)])
        house.start()
        await asyncio.sleep(2)
        before = len(house.transport.tries)
        house.policy = shipped_policy(limits={"bot": {"count": 5, "burst": 1}})
        await asyncio.sleep(10)
        assert before == pytest.approx(53, abs=2)
        assert len(house.transport.tries) - before == pytest.approx(50, abs=2)
        await house.stop()

    simulate(main())


def test_settled_rows_are_forgotten_in_time() -> None:
    async def main() -> None:
        house = House()
        house.start(house.sender(timing=Timing(keep=timedelta(minutes=3), tidy=timedelta(minutes=1))))
        for minute in range(6):
            await house.outbox.put(message(f"{minute}"))
            await asyncio.sleep(60)
        assert [row.key for row in house.store.every_row()] == ["2", "3", "4", "5"]
        await house.stop()

    simulate(main())


def test_the_present_moment_of_rows_is_the_clocks() -> None:
    async def main() -> None:
        house = House()
        await asyncio.sleep(100)
        row = await one(house)
        assert row.sent_at is not None
        assert now() - row.sent_at < timedelta(seconds=1)

    simulate(main())
