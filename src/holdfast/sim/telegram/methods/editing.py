"""editMessageText, editMessageCaption, editMessageReplyMarkup, deleteMessage."""

from holdfast.sim.telegram.errors import bad_request
from holdfast.sim.telegram.keyboards import parse_reply_markup
from holdfast.sim.telegram.messages import StoredMessage
from holdfast.sim.telegram.methods.call import Call
from holdfast.sim.telegram.methods.sending import MAX_CAPTION, MAX_TEXT
from holdfast.sim.telegram.shapes import Json

_DELETABLE_SECONDS = 48 * 3600
_NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a current "
    "content and reply markup of the message"
)


async def edit_message_text(call: Call) -> Json:
    """Put another text, and another keyboard or none, in the place of the old ones."""
    if not call.params.text("text"):
        raise bad_request("message text is empty")
    text, entities = call.formatted("text", "entities")
    if not text:
        raise bad_request("text must be non-empty")
    markup = parse_reply_markup(call.params.text("reply_markup"), inline_only=True)
    message = _own_message(call)
    if "text" not in message.body:
        raise bad_request("there is no text in the message to edit")
    if len(text) > MAX_TEXT:
        raise bad_request("MESSAGE_TOO_LONG")
    changed = {"text": text, "entities": entities or None, "reply_markup": markup}
    return _store_edit(call, message, changed, text_edited=True)


async def edit_message_caption(call: Call) -> Json:
    """Put another caption or none, and another keyboard or none, in the place of the old ones."""
    caption, entities = call.formatted("caption", "caption_entities")
    markup = parse_reply_markup(call.params.text("reply_markup"), inline_only=True)
    message = _own_message(call)
    if not {"photo", "document"} & message.body.keys():
        raise bad_request("there is no caption in the message to edit")
    if len(caption) > MAX_CAPTION:
        raise bad_request("MEDIA_CAPTION_TOO_LONG")
    changed = {"caption": caption or None, "caption_entities": entities or None, "reply_markup": markup}
    return _store_edit(call, message, changed, text_edited=True)


async def edit_message_reply_markup(call: Call) -> Json:
    """Put another keyboard, or none, in the place of the old one."""
    markup = parse_reply_markup(call.params.text("reply_markup"), inline_only=True)
    return _store_edit(call, _own_message(call), {"reply_markup": markup}, text_edited=False)


async def delete_message(call: Call) -> bool:
    """Delete a message, which others can be only in private chats and by admins."""
    room = call.room()
    message = call.telegram.messages.find(room, call.params.integer("message_id"))
    if message is None:
        raise bad_request("message to delete not found")
    directory = call.telegram.directory
    if message.author_id != call.bot.id and not room.is_private:
        status = directory.status(directory.groups[room.chat_id], call.bot.id)
        if status != "administrator":
            raise bad_request("message can't be deleted")
    if "forum_topic_created" in message.body:
        raise bad_request("message can't be deleted")
    if call.telegram.now() - message.body["date"] > _DELETABLE_SECONDS:
        raise bad_request("message can't be deleted for everyone")
    with call.telegram.database.transaction():
        call.telegram.messages.remove(message)
    call.telegram.hub.publish("deleted", room, message_id=message.message_id)
    return True


def _own_message(call: Call) -> StoredMessage:
    if call.params.text("inline_message_id"):
        raise bad_request("MESSAGE_ID_INVALID")
    room = call.room()
    message_id = call.params.integer("message_id")
    if not message_id:
        raise bad_request("message identifier is not specified")
    message = call.telegram.messages.find(room, message_id)
    if message is None:
        raise bad_request("message to edit not found")
    if message.author_id != call.bot.id:
        raise bad_request("message can't be edited")
    call.telegram.directory.check_reachable(call.bot, room)
    return message


def _store_edit(call: Call, message: StoredMessage, changed: Json, *, text_edited: bool) -> Json:
    telegram = call.telegram
    if all(message.body.get(name) == value for name, value in changed.items()):
        raise bad_request(_NOT_MODIFIED)
    telegram.spend(call.bot, message.room)
    # An edit that names no keyboard removes the one there is.
    edited = {**message.body, **changed, "edit_date": telegram.now()}
    body = {name: value for name, value in edited.items() if value is not None}
    with telegram.database.transaction():
        telegram.messages.replace(message, body, text_edited=text_edited)
    telegram.hub.publish("edited", message.room, message_id=message.message_id)
    return body
