"""What is sent again because an answer was lost carries the key of the first try."""

from dataclasses import replace

from temporalio.testing import ActivityEnvironment

from activities.telling import PingRequest, TellingActivities, ThreadRequest
from holdfast.domain.view import MessageRef
from tests.activities.desk import BORIS, GLEB, Desk, ask
from tests.fakes import ChatRoom


async def test_a_ping_that_is_tried_again_is_one_ping_and_the_next_one_is_another() -> None:
    room = ChatRoom()
    telling = TellingActivities(room, run_url=str)
    request = PingRequest(text="Look!", message=MessageRef(chat="room", message_id="m"))
    environment = ActivityEnvironment()
    for attempt, activity_id in ((1, "a"), (2, "a"), (1, "b")):
        environment.info = replace(environment.info, attempt=attempt, activity_id=activity_id)
        await environment.run(telling.ping_people, request)
    assert room.pings["m"] == ["Look!", "Look!"]


async def test_a_topic_is_opened_once_for_a_run_and_not_at_all_without_a_chat() -> None:
    room, request = ChatRoom(), ThreadRequest(run_id="incident-1", title="Slow")
    for chat, thread in ((room, "topic of incident-1"), (room, "topic of incident-1"), (None, "")):
        opened = await ActivityEnvironment().run(TellingActivities(chat, run_url=str).open_thread, request)
        assert opened.thread == thread
    assert room.threads == {"incident-1": "Slow"}


async def test_a_notice_goes_out_under_the_key_that_stands_in_the_book() -> None:
    desk = Desk(people=(BORIS, GLEB))
    await desk.call(ask(*desk.people, approvers=["lead", "client"]))
    keys = [notice.key for channel in (desk.telegram, desk.email) for _, notice in channel.notices]
    assert sorted(keys) == sorted(desk.book.entries)
    assert len(set(keys)) == 3
