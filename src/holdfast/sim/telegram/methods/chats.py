"""getMe, getChat, getChatMember, sendChatAction."""

from holdfast.sim.telegram.errors import bad_request
from holdfast.sim.telegram.methods.call import Call
from holdfast.sim.telegram.shapes import Json

_ACTIONS = {
    *("typing", "upload_photo", "record_video", "upload_video", "record_voice", "upload_voice"),
    *("upload_document", "choose_sticker", "find_location", "record_video_note", "upload_video_note"),
}
_GIFTS = ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels")
_GRANTED = (
    *("can_manage_chat", "can_delete_messages", "can_manage_video_chats", "can_restrict_members"),
    *("can_change_info", "can_invite_users", "can_pin_messages"),
)
_WITHHELD = (
    *("can_be_edited", "is_anonymous", "can_promote_members", "can_post_stories", "can_edit_stories"),
    *("can_delete_stories", "can_send_welcome_messages"),
)


async def get_me(call: Call) -> Json:
    """The bot itself."""
    return {
        **call.bot.user,
        "can_join_groups": True,
        "can_read_all_group_messages": not call.bot.profile.privacy,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
    }


async def get_chat(call: Call) -> Json:
    """A conversation in full."""
    room, directory = call.room(), call.telegram.directory
    # To a bot, a user who never wrote to it does not exist.
    if room.is_private and not directory.contact(call.bot.id, room.chat_id)[0]:
        raise bad_request("chat not found")
    if not room.is_private:
        directory.check_reachable(call.bot, room)
    return {
        **directory.chat_json(room),
        "accent_color_id": 0,
        "max_reaction_count": 11,
        "accepted_gift_types": dict.fromkeys(_GIFTS, False),
    }


async def get_chat_member(call: Call) -> Json:
    """What somebody is in a conversation."""
    room, directory = call.room(), call.telegram.directory
    user_id = call.params.integer("user_id")
    if user_id <= 0:
        raise bad_request("invalid user_id specified")
    user = directory.user_json(user_id)
    if user is None or (room.is_private and user_id not in {call.bot.id, room.chat_id}):
        raise bad_request("member not found")
    if room.is_private:
        return {"status": "member", "user": user}
    directory.check_reachable(call.bot, room)
    group = directory.groups[room.chat_id]
    status = directory.status(group, user_id)
    return {"status": status, "user": user, **_rights(status, topics=directory.manages_topics(group, user_id))}


async def send_chat_action(call: Call) -> bool:
    """Show for a few seconds that the bot is busy."""
    if call.params.text("action") not in _ACTIONS:
        raise bad_request("wrong parameter action in request")
    room = call.room()
    call.telegram.directory.check_reachable(call.bot, room)
    call.telegram.hub.publish(
        "action", room, action=call.params.text("action"), who=call.bot.profile.first_name
    )
    return True


def _rights(status: str, *, topics: bool) -> Json:
    if status == "creator":
        return {"is_anonymous": False}
    if status == "administrator":
        return dict.fromkeys(_GRANTED, True) | dict.fromkeys(_WITHHELD, False) | {"can_manage_topics": topics}
    return {}
