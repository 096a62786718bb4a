from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from holdfast.outbox.explain import Explanation, explain
from holdfast.outbox.limits import BOT
from holdfast.outbox.message import Delivery, Request, Row, RowState
from holdfast.outbox.store import LaneState, Lease
from tests.outbox.virtual import shipped_policy

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
POLICY = shipped_policy()
LEASE = Lease("77", "host-one", 3, NOW + timedelta(seconds=5))


def row(**fields: Any) -> Row:
    known: dict[str, Any] = {
        "id": 12,
        "bot": "77",
        "key": "k",
        "chat": "5",
        "kind": "escalation",
        "tier": "silver",
        "value": 500_000.0,
        "delivery": Delivery.AT_LEAST_ONCE,
        "state": RowState.QUEUED,
        "request": Request(method="sendMessage"),
        "queued_at": NOW - timedelta(seconds=20),
        "due": NOW - timedelta(seconds=10),
    }
    return Row(**known | fields)


def told(of: Row, **facts: Any) -> Explanation:
    known: dict[str, Any] = {
        "ahead": 49,
        "lane": LaneState(120, NOW),
        "priorities": POLICY,
        "pauses": {},
        "lease": LEASE,
        "now": NOW,
    }
    return explain(of, **known | facts)


def words(explanation: Explanation) -> str:
    return " ".join(explanation.sentences)


def test_a_waiting_row_says_its_place_its_reasons_and_when() -> None:
    explanation = told(row())
    assert (explanation.position, explanation.is_at_least) == (50, False)
    assert explanation.earliest == NOW + 49 * timedelta(milliseconds=40)
    share = 0.8 * 3 / 16
    assert explanation.latest is not None
    assert (explanation.latest - NOW).total_seconds() == pytest.approx(50 * 0.04 / share, abs=0.001)
    text = words(explanation)
    assert "number 50 of 120 in the lane 'silver'" in text
    assert "plus 15 s for the tier 'silver', minus 5 s for the value 500000 of its order" in text
    assert "this one gets 15 % of the rate" in text
    assert "The sender is host-one." in text
    assert "2026-03-01 03:00:01 UTC" in text


def test_a_row_that_goes_at_once_says_so() -> None:
    explanation = told(row(tier="gold", due=NOW), ahead=0, lane=LaneState(1, NOW))
    assert explanation.sentences[-1] == "It goes within a second."


def test_where_not_all_are_counted_the_position_is_at_least() -> None:
    explanation = told(row(), ahead=1000, lane=LaneState(90_000, NOW))
    assert (explanation.position, explanation.is_at_least, explanation.latest) == (1001, True, None)
    assert "1000 or more of 90000 before it" in words(explanation)
    assert "at the earliest" in words(explanation)


def test_pauses_of_chat_and_bot_are_named_and_counted() -> None:
    chat, bot = NOW + timedelta(seconds=60), NOW + timedelta(seconds=30)
    explanation = told(row(), pauses={"5": chat, BOT: bot, "6": NOW + timedelta(days=1)})
    assert explanation.earliest == chat
    assert "The chat 5 asked to wait until 2026-03-01 03:01:00 UTC." in words(explanation)
    assert "asked the whole bot to wait until 2026-03-01 03:00:30 UTC." in words(explanation)
    over = told(row(), pauses={"5": NOW - timedelta(seconds=1)})
    assert "asked to wait" not in words(over)


def test_the_limit_of_a_group_counts_what_goes_there_before() -> None:
    explanation = told(row(chat="-5"), ahead_in_chat=18)
    assert explanation.earliest is not None
    assert (explanation.earliest - NOW).total_seconds() == pytest.approx(17 * 60 / 17)
    assert "18 of those before it go to the same chat, which takes 17 in 60 s." in words(explanation)


def test_without_a_sender_no_time_is_promised() -> None:
    for lease in (None, Lease("77", "host-one", 3, NOW - timedelta(seconds=1))):
        explanation = told(row(), lease=lease)
        assert (explanation.earliest, explanation.latest) == (None, None)
        assert "Nobody sends" in words(explanation)
        assert "start 'holdfast bot'" in words(explanation)


def test_a_place_that_another_policy_gave_is_said_to_be_kept() -> None:
    assert "keeps the place it was given" in words(told(row(due=NOW + timedelta(hours=1))))
    assert "keeps the place it was given" not in words(told(row()))


def test_answers_are_explained_by_their_share() -> None:
    explanation = told(row(tier="answers", kind="answer", value=0.0))
    assert "before everything else up to 20 % of the rate, and get 50 % at least" in words(explanation)


def test_a_row_that_was_tried_says_what_happened() -> None:
    later = NOW + timedelta(seconds=40)
    text = words(told(row(attempts=2, why="connection refused", not_before=later, repeated=True)))
    assert "After try 2: connection refused." in text
    assert "not tried again before 2026-03-01 03:00:40 UTC" in text
    assert "An earlier copy may have arrived" in text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"state": RowState.SENT, "message_id": "81", "sent_at": NOW, "attempts": 1},
            "to the chat 5 as message 81",
        ),
        ({"state": RowState.SENT, "sent_at": NOW, "attempts": 2}, "It had waited 20 s, and took tries: 2."),
        ({"state": RowState.UNCERTAIN, "why": "reset"}, "may or may not have arrived: reset."),
        ({"state": RowState.UNCERTAIN}, "'holdfast outbox retry 12' sends it again"),
        ({"state": RowState.UNCERTAIN}, "'holdfast outbox drop 12' closes it"),
        ({"state": RowState.DEAD, "code": 403, "why": "blocked"}, "It will not be sent (403): blocked."),
        ({"state": RowState.DEAD}, "'holdfast outbox retry 12'"),
        ({"state": RowState.SENDING, "attempts": 1}, "The sender is host-one."),
    ],
)
def test_a_row_that_does_not_wait_says_what_became_of_it(fields: dict[str, Any], said: str) -> None:
    explanation = told(row(**fields))
    assert said in words(explanation)
    assert (explanation.position, explanation.earliest) == (None, None)


def test_a_try_that_was_cut_short_says_what_comes_next() -> None:
    assert "is sent again" in words(told(row(state=RowState.SENDING), lease=None))
    once = row(state=RowState.SENDING, delivery=Delivery.AT_MOST_ONCE)
    assert "is shown as uncertain" in words(told(once, lease=None))
