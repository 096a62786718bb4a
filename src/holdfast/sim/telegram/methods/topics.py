"""createForumTopic, editForumTopic, closeForumTopic, reopenForumTopic, deleteForumTopic."""

from dataclasses import replace

from holdfast.sim.telegram.errors import ApiError, bad_request
from holdfast.sim.telegram.methods.call import Call
from holdfast.sim.telegram.people import Group
from holdfast.sim.telegram.shapes import Json, Room
from holdfast.sim.telegram.topics import GENERAL_TOPIC, ICON_COLORS, ForumTopic

MAX_NAME = 128


async def create_forum_topic(call: Call) -> Json:
    """Open a topic; the message that says so gives it its id."""
    room, group = _forum(call)
    if not call.telegram.directory.manages_topics(group, call.bot.id):
        raise bad_request("not enough rights to create a topic")
    name = _name(call)
    if not name:
        raise bad_request("title must be non-empty")
    color = call.params.integer("icon_color", ICON_COLORS[0])
    if color not in ICON_COLORS:
        raise bad_request("TOPIC_ICON_COLOR_INVALID")
    call.telegram.spend(call.bot, room)
    with call.telegram.database.transaction():
        said = {"forum_topic_created": {"name": name, "icon_color": color}}
        message = _announce(call, room, said, opens_topic=True)
        topic = ForumTopic(message["message_id"], name, color, call.bot.id)
        call.telegram.directory.topics.store(group, topic)
    _publish(call, room, message)
    return {"message_thread_id": topic.id, "name": name, "icon_color": color}


async def edit_forum_topic(call: Call) -> bool:
    """Rename a topic."""
    room, group, topic = _existing(call)
    _check_may_change(call, group, topic, "edit the topic")
    name = _name(call) or topic.name
    if name == topic.name:
        raise bad_request("TOPIC_NOT_MODIFIED")
    _change(call, room, group, replace(topic, name=name), {"forum_topic_edited": {"name": name}})
    return True


async def close_forum_topic(call: Call) -> bool:
    """Let only those who manage topics write to a topic."""
    return _open_or_close(call, closed=True)


async def reopen_forum_topic(call: Call) -> bool:
    """Let everybody write to a topic again."""
    return _open_or_close(call, closed=False)


async def delete_forum_topic(call: Call) -> bool:
    """Delete a topic with everything in it."""
    room, group, topic = _existing(call)
    directory = call.telegram.directory
    is_own = topic.creator_id == call.bot.id
    if directory.status(group, call.bot.id) not in {"creator", "administrator"} and not is_own:
        raise bad_request("not enough rights to delete the topic")
    with call.telegram.database.transaction():
        directory.topics.store(group, topic, deleted=True)
        call.telegram.messages.remove_topic(room, topic.id)
    call.telegram.hub.publish("deleted", room, message_id=topic.id)
    return True


def _open_or_close(call: Call, *, closed: bool) -> bool:
    room, group, topic = _existing(call)
    _check_may_change(call, group, topic, "close or open the topic")
    if topic.is_closed == closed:
        raise bad_request("TOPIC_NOT_MODIFIED")
    said: Json = {"forum_topic_closed" if closed else "forum_topic_reopened": {}}
    _change(call, room, group, replace(topic, is_closed=closed), said)
    return True


def _change(call: Call, room: Room, group: Group, topic: ForumTopic, said: Json) -> None:
    call.telegram.spend(call.bot, room)
    place = {"message_thread_id": topic.id, "is_topic_message": True}
    with call.telegram.database.transaction():
        call.telegram.directory.topics.store(group, topic)
        message = _announce(call, room, {**place, **said})
    _publish(call, room, message)


def _announce(call: Call, room: Room, said: Json, *, opens_topic: bool = False) -> Json:
    """Store a service message, which every bot of the group hears, whoever caused it."""
    telegram = call.telegram
    head = {"from": call.bot.user, "chat": telegram.directory.chat_json(room), "date": telegram.now()}
    message = telegram.messages.add(room, {**head, **said}, author_id=call.bot.id, opens_topic=opens_topic)
    for bot in telegram.directory.bots_in(room):
        telegram.updates.queue(bot.id, "message", message)
    return message


def _publish(call: Call, room: Room, message: Json) -> None:
    call.telegram.hub.publish("message", room, message_id=message["message_id"])


def _forum(call: Call) -> tuple[Room, Group]:
    room, directory = call.room(), call.telegram.directory
    directory.check_reachable(call.bot, room)
    group = None if room.is_private else directory.groups[room.chat_id]
    if group is None or not group.is_forum:
        raise bad_request("the chat is not a forum")
    return room, group


def _existing(call: Call) -> tuple[Room, Group, ForumTopic]:
    room, group = _forum(call)
    thread_id = call.params.integer("message_thread_id")
    if thread_id <= 0:
        raise bad_request("invalid forum topic identifier specified")
    if thread_id == GENERAL_TOPIC:
        # General has methods of its own, which are not here.
        raise ApiError(404, "Not Found: method not found")
    topic = call.telegram.directory.topics.find(group, thread_id)
    if topic is None:
        raise bad_request("TOPIC_ID_INVALID")
    return room, group, topic


def _check_may_change(call: Call, group: Group, topic: ForumTopic, what: str) -> None:
    if topic.creator_id != call.bot.id and not call.telegram.directory.manages_topics(group, call.bot.id):
        raise bad_request(f"not enough rights to {what}")


def _name(call: Call) -> str:
    return " ".join(call.params.text("name").split())[:MAX_NAME]
