"""sendMessage, sendPhoto, sendDocument."""

from collections.abc import Callable

from holdfast.sim.telegram.errors import bad_request
from holdfast.sim.telegram.files import MAX_PHOTO_BYTES, StoredFile, image_size
from holdfast.sim.telegram.keyboards import parse_reply_markup
from holdfast.sim.telegram.messages import Messages, StoredMessage
from holdfast.sim.telegram.methods.call import Call
from holdfast.sim.telegram.params import Upload
from holdfast.sim.telegram.shapes import Json, Room

MAX_TEXT = 4096
MAX_CAPTION = 1024


async def send_message(call: Call) -> Json:
    """Send a text."""
    if not call.params.text("text"):
        raise bad_request("message text is empty")
    text, entities = call.formatted("text", "entities")
    if not text:
        raise bad_request("text must be non-empty")
    content = {"text": text, **({"entities": entities} if entities else {})}
    return _send(call, lambda: content, trouble="message is too long" if len(text) > MAX_TEXT else "")


async def send_photo(call: Call) -> Json:
    """Send a PNG or JPEG image, as an upload or by the id of an earlier one."""
    file = _given_file(call, "photo")
    if len(file.content) > MAX_PHOTO_BYTES:
        raise bad_request(
            f"file of size {len(file.content)} bytes is too big for a photo; the maximum is 10485760"
        )
    width, height = image_size(file.content)

    def content() -> Json:
        stored = _stored(call, file)
        return {"photo": [{**stored.description, "width": width, "height": height}]}

    return _send_file(call, content)


async def send_document(call: Call) -> Json:
    """Send any file, as an upload or by the id of an earlier one."""
    file = _given_file(call, "document")

    def content() -> Json:
        stored = _stored(call, file)
        return {"document": {**stored.description, "file_name": stored.name, "mime_type": stored.mime_type}}

    return _send_file(call, content)


def _given_file(call: Call, name: str) -> StoredFile | Upload:
    upload = call.params.upload(name)
    if upload:
        return upload
    given = call.params.text(name)
    if not given:
        raise bad_request(f"there is no {name} in the request")
    known = call.telegram.files.find(given)
    if known is None:
        reason = (
            "failed to get HTTP URL content" if "://" in given else "wrong file identifier/HTTP URL specified"
        )
        raise bad_request(reason)
    return known


def _stored(call: Call, file: StoredFile | Upload) -> StoredFile:
    return call.telegram.files.add(file) if isinstance(file, Upload) else file


def _send_file(call: Call, content: Callable[[], Json]) -> Json:
    caption, entities = call.formatted("caption", "caption_entities")
    words: Json = {"caption": caption} if caption else {}
    if entities:
        words["caption_entities"] = entities
    trouble = "message caption is too long" if len(caption) > MAX_CAPTION else ""
    return _send(call, lambda: {**content(), **words}, trouble=trouble)


def _send(call: Call, content: Callable[[], Json], *, trouble: str) -> Json:
    telegram, bot, params = call.telegram, call.bot, call.params
    # The order of the checks is Telegram's: first what the request itself says, then who is reached, then the
    # length, and the limits last, so that a request refused for another reason costs nothing.
    markup = parse_reply_markup(params.text("reply_markup"))
    room = call.room()
    telegram.directory.check_reachable(bot, room)
    place = _place(call, room)
    options = _options(call)
    if trouble:
        raise bad_request(trouble)
    telegram.spend(bot, room)
    with telegram.database.transaction():
        head = {"from": bot.user, "chat": telegram.directory.chat_json(room), "date": telegram.now()}
        body = {**head, **place, **content(), **options, **({"reply_markup": markup} if markup else {})}
        silent = params.boolean("disable_notification")
        message = telegram.messages.add(room, body, author_id=bot.id, silent=silent)
    telegram.hub.publish("message", room, message_id=message["message_id"])
    return message


def _options(call: Call) -> Json:
    if call.params.boolean("allow_paid_broadcast") and not call.telegram.settings.limits.paid_broadcast:
        raise bad_request("FLOODSKIP_NOT_ALLOWED")
    if call.params.text("business_connection_id"):
        raise bad_request("business connection not found")
    if call.params.text("receiver_user_id") or call.params.text("ephemeral_message_parameters"):
        # Sending it to everyone instead would show many what is meant for one.
        raise bad_request("ephemeral messages are not available here")
    preview = call.params.json_object("link_preview_options")
    options: Json = {"link_preview_options": preview} if preview else {}
    if call.params.boolean("protect_content"):
        options["has_protected_content"] = True
    return options


def _place(call: Call, room: Room) -> Json:
    thread_id = call.params.integer("message_thread_id")
    if thread_id:
        call.telegram.directory.check_topic(room, thread_id)
        call.telegram.directory.check_topic_open(room, thread_id, call.bot.id)
    replied = _replied(call, room)
    place: Json = {}
    if replied:
        thread_id = thread_id or int(replied.body.get("message_thread_id", 0))
        place["reply_to_message"] = without_reply(replied)
    if thread_id:
        place = {**topic_place(call.telegram.messages, room, thread_id), **place}
    return place


def topic_place(messages: Messages, room: Room, thread_id: int) -> Json:
    """What a message in a topic has: also, without having been told so, it replies to what opened the topic."""
    place: Json = {"message_thread_id": thread_id, "is_topic_message": True}
    root = messages.find(room, thread_id)
    return {**place, "reply_to_message": without_reply(root)} if root else place


def _replied(call: Call, room: Room) -> StoredMessage | None:
    reply = call.params.json_object("reply_parameters")
    if reply is None:
        message_id = call.params.integer("reply_to_message_id")
        is_optional = call.params.boolean("allow_sending_without_reply")
    elif not isinstance(reply.get("message_id"), int):
        raise bad_request('can\'t find field "message_id"')
    else:
        message_id = reply["message_id"]
        is_optional = reply.get("allow_sending_without_reply") is True
    if not message_id:
        return None
    replied = call.telegram.messages.find(room, message_id)
    if replied is None and not is_optional:
        raise bad_request("message to be replied not found")
    return replied


def without_reply(message: StoredMessage) -> Json:
    """A message as it stands inside another: without what it replied to itself."""
    return {name: value for name, value in message.body.items() if name != "reply_to_message"}
