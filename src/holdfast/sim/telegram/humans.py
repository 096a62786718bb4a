"""What people do: they write, press buttons, and block bots."""

from collections.abc import Sequence
from dataclasses import asdict

from holdfast.sim.telegram.directory import Bot
from holdfast.sim.telegram.entities import format_text
from holdfast.sim.telegram.entities.spans import covered
from holdfast.sim.telegram.errors import ApiError, HumanError
from holdfast.sim.telegram.messages import StoredMessage
from holdfast.sim.telegram.methods.sending import MAX_TEXT, topic_place, without_reply
from holdfast.sim.telegram.people import Person
from holdfast.sim.telegram.shapes import Json, Room
from holdfast.sim.telegram.telegram import Telegram
from holdfast.sim.telegram.topics import GENERAL_TOPIC


class Humans:
    """Acts for the people of the people file."""

    def __init__(self, telegram: Telegram) -> None:
        self._telegram = telegram
        self._directory = telegram.directory

    def person(self, name: str) -> Person:
        """A person by id or @username.

        Raises:
            HumanError: 404 when there is nobody of that name.
        """
        person = self._directory.find_person(name)
        if person is None:
            known = ", ".join(f"{person.id} {person.first_name}" for person in self._directory.people.values())
            raise HumanError(404, f"user {name!r}: unknown; known are {known}")
        return person

    def bot(self, name: str) -> Bot:
        """A bot by id or @username; with one bot only, also by "".

        Raises:
            HumanError: 404 when there is no such bot, 400 when several could be meant.
        """
        bots = self._directory.bots
        if not name and len(bots) > 1:
            raise HumanError(400, f"bot: several exist; name one of {', '.join(str(bot.id) for bot in bots)}")
        for bot in bots:
            if name.lower() in {"", str(bot.id), f"@{bot.profile.username.lower()}"}:
                return bot
        raise HumanError(404, f"bot {name!r}: unknown")

    def room(self, person: Person, chat: str) -> Room:
        """The conversation a person names: a group, a bot, or - with one bot only - by the person's own id.

        Raises:
            HumanError: 404 when there is none, 403 when the person is not a member.
        """
        group = self._directory.find_group(chat)
        if group is None:
            return Room(self.bot("" if chat == str(person.id) else chat).id, person.id)
        if self._directory.status(group, person.id) == "left":
            raise HumanError(403, f"chat {chat}: {person.first_name} is not a member")
        return Room(0, group.id)

    def send(self, person: Person, room: Room, text: str, *, thread_id: int = 0, reply_to: int = 0) -> Json:
        """Write a text into a conversation; bots that may hear it get an update.

        Raises:
            HumanError: 400 when the text is empty or too long, or the topic or replied message does not exist.
        """
        text, entities = format_text(text)
        if not 0 < len(text) <= MAX_TEXT:
            raise HumanError(400, f"text: must have 1 to {MAX_TEXT} characters, has {len(text)}")
        place, replied = self._place(person.id, room, thread_id, reply_to)
        content = {"text": text, **({"entities": entities} if entities else {})}
        with self._telegram.database.transaction():
            self._open_contact(person, room)
            body = {**self._head(person, room), **place, **content}
            message = self._telegram.messages.add(room, body, author_id=person.id)
            for bot in self._directory.bots_in(room):
                if self._hears(bot, room, message, replied):
                    self._telegram.updates.queue(bot.id, "message", message)
        self._telegram.hub.publish("message", room, message_id=message["message_id"])
        return message

    async def press(
        self, person: Person, room: Room, message_id: int, button: str, *, wait_seconds: float
    ) -> Json:
        """Press an inline button, named by its callback data or its text, and wait for the bot's answer.

        Raises:
            HumanError: 409 when the message or the button is gone, 400 when the button does not call the bot.
        """
        message = self._telegram.messages.find(room, message_id)
        if message is None:
            raise HumanError(409, f"message {message_id}: no longer exists")
        pressed = _find_button(message, button)
        if "callback_data" not in pressed:
            raise HumanError(400, f"button {button!r}: does not call the bot but does {sorted(pressed)}")
        with self._telegram.database.transaction():
            callback_id = self._telegram.callbacks.open(message.author_id, person.id)
            query = {
                "id": callback_id,
                "from": self._directory.user_json(person.id),
                "message": message.body,
                "chat_instance": str(abs(hash(room))),
                "data": pressed["callback_data"],
            }
            self._telegram.updates.queue(message.author_id, "callback_query", query)
        # Nothing may be awaited in between: the bot could answer before anybody listens.
        answer = await self._telegram.callbacks.wait(callback_id, wait_seconds)
        if answer is None:
            return {"answered": False, "reason": f"no answer within {wait_seconds:g} s"}
        return {"answered": True, **asdict(answer)}

    def block(self, person: Person, bot: Bot, *, blocked: bool) -> None:
        """Block or unblock a bot, which is told."""
        room = Room(bot.id, person.id)
        if self._directory.contact(*room)[1] == blocked:
            return
        statuses = ("member", "kicked") if blocked else ("kicked", "member")
        old, new = (_membership(bot, status) for status in statuses)
        with self._telegram.database.transaction():
            self._directory.set_contact(bot.id, person.id, blocked=blocked)
            change = {**self._head(person, room), "old_chat_member": old, "new_chat_member": new}
            self._telegram.updates.queue(bot.id, "my_chat_member", change)
        self._telegram.hub.publish("contact", room)

    def upgrade(self, name: str) -> Json:
        """Make a group a supergroup, as its owner does by some settings; the old and the new id.

        Raises:
            HumanError: 404 when there is no such group, 409 when it is a supergroup already.
        """
        group = self._directory.find_group(name)
        if group is None:
            raise HumanError(404, f"chat {name!r}: no such group")
        if group.type == "supergroup" or group.migrated_to is not None:
            raise HumanError(409, f"chat {name}: is a supergroup already")
        person = self._directory.people[group.owner or group.members[0]]
        with self._telegram.database.transaction():
            # The last message of the old group is sent while bots can still be found in it.
            old_head = self._head(person, Room(0, group.id))
            new = self._directory.upgrade(group)
            self._announce(Room(0, group.id), {**old_head, "migrate_to_chat_id": new.id}, person)
            new_head = self._head(person, Room(0, new.id))
            self._announce(Room(0, new.id), {**new_head, "migrate_from_chat_id": group.id}, person)
        for chat_id in (group.id, new.id):
            self._telegram.hub.publish("message", Room(0, chat_id), message_id=0)
        return {"chat": group.id, "migrated_to": new.id}

    def _announce(self, room: Room, body: Json, person: Person) -> None:
        """Store a service message, which every bot hears."""
        message = self._telegram.messages.add(room, body, author_id=person.id)
        for bot in self._directory.bots_in(room):
            self._telegram.updates.queue(bot.id, "message", message)

    def _open_contact(self, person: Person, room: Room) -> None:
        # Writing to a bot opens the chat, and writing to a blocked one unblocks it.
        if room.is_private:
            self._directory.set_contact(room.bot_id, person.id, blocked=False)

    def _head(self, person: Person, room: Room) -> Json:
        return {
            "from": self._directory.user_json(person.id),
            "chat": self._directory.chat_json(room),
            "date": self._telegram.now(),
        }

    def _place(
        self, person_id: int, room: Room, thread_id: int, reply_to: int
    ) -> tuple[Json, StoredMessage | None]:
        replied = self._telegram.messages.find(room, reply_to) if reply_to else None
        if reply_to and replied is None:
            raise HumanError(400, f"reply_to: message {reply_to} does not exist")
        place: Json = {"reply_to_message": without_reply(replied)} if replied else {}
        if thread_id > GENERAL_TOPIC:
            try:
                self._directory.check_topic(room, thread_id)
            except ApiError as error:
                raise HumanError(400, f"thread: topic {thread_id} does not exist") from error
            try:
                self._directory.check_topic_open(room, thread_id, person_id)
            except ApiError as error:
                raise HumanError(403, f"thread: topic {thread_id} is closed") from error
            place = {**topic_place(self._telegram.messages, room, thread_id), **place}
        return place, replied

    def _hears(self, bot: Bot, room: Room, message: Json, replied: StoredMessage | None) -> bool:
        if room.is_private or not bot.profile.privacy:
            return True
        is_admin = self._directory.status(self._directory.groups[room.chat_id], bot.id) == "administrator"
        is_reply = replied is not None and replied.author_id == bot.id
        return is_admin or is_reply or _addresses(message, bot.profile.username)


def _addresses(message: Json, username: str) -> bool:
    entities: Sequence[Json] = message.get("entities", ())
    for entity in entities:
        name, _, target = covered(message["text"], entity).lower().partition("@")
        if entity["type"] == "bot_command" and target in {"", username.lower()}:
            return True
        if entity["type"] == "mention" and not name and target == username.lower():
            return True
    return False


def _find_button(message: StoredMessage, wanted: str) -> Json:
    rows: Sequence[Sequence[Json]] = message.body.get("reply_markup", {}).get("inline_keyboard", ())
    buttons = [button for row in rows for button in row]
    for field in ("callback_data", "text"):
        for button in buttons:
            if button.get(field) == wanted:
                return button
    raise HumanError(409, f"button {wanted!r}: no longer on message {message.message_id}")


def _membership(bot: Bot, status: str) -> Json:
    return {"user": bot.user, "status": status, **({"until_date": 0} if status == "kicked" else {})}
