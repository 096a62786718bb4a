"""What people see: their chats, and the messages in them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup

from holdfast.sim.telegram.directory import Bot
from holdfast.sim.telegram.entities.markup import to_html
from holdfast.sim.telegram.messages import Repetition, StoredMessage
from holdfast.sim.telegram.people import Group, Person
from holdfast.sim.telegram.shapes import Json, Room
from holdfast.sim.telegram.telegram import Telegram
from holdfast.sim.telegram.topics import GENERAL, ForumTopic

_PREVIEW = 90
_NAMED = ("forum_topic_created", "forum_topic_edited")
_SERVICE = {
    "forum_topic_created": "created the topic “{name}”",
    "forum_topic_edited": "renamed the topic to “{name}”",
    "forum_topic_closed": "closed the topic",
    "forum_topic_reopened": "reopened the topic",
    "migrate_to_chat_id": "upgraded this group to a supergroup",
    "migrate_from_chat_id": "made this supergroup of a group",
}


@dataclass(frozen=True)
class MessageView:
    """One message as a person sees it."""

    body: Json
    author: str
    author_id: int
    is_mine: bool
    is_edited: bool
    is_silent: bool
    html: Markup
    time: str
    topic: str
    keyboard: Sequence[Sequence[Json]]
    service: str = ""
    reactions: Sequence[str] = ()


@dataclass(frozen=True)
class ChatView:
    """One conversation in a person's list; `chat` is the bot's id or the group's."""

    chat: int
    room: Room
    title: str
    kind: str
    commands: Sequence[Json]
    last: MessageView | None
    topics: Sequence[ForumTopic] = ()
    is_started: bool = True
    is_blocked: bool = False

    @property
    def preview(self) -> str:
        """The beginning of the last message, with its author in groups."""
        if self.last is None:
            return ""
        body = self.last.body
        content = body.get("text") or body.get("caption") or self.last.service
        words = content or ("Photo" if "photo" in body else "Document")
        author = "You: " if self.last.is_mine else "" if self.room.is_private else f"{self.last.author}: "
        return f"{author}{' '.join(words.split())}"[:_PREVIEW]

    def as_json(self) -> Json:
        """The conversation for tools."""
        return {
            "chat": self.chat,
            "title": self.title,
            "type": self.kind,
            "topics": [
                {"id": topic.id, "name": topic.name, "closed": topic.is_closed} for topic in self.topics
            ],
            "started": self.is_started,
            "blocked": self.is_blocked,
            "commands": list(self.commands),
            "last_message": self.last.body if self.last else None,
        }


class Views:
    """Shows the state of Telegram to people."""

    def __init__(self, telegram: Telegram) -> None:
        self._telegram = telegram
        self._directory = telegram.directory

    def chats(self, person: Person) -> list[ChatView]:
        """A person's conversations, that with the newest message first; a bot is always there to be started."""
        groups = [
            Room(0, group.id) for group in self._directory.groups.values() if self._belongs(person, group)
        ]
        private = [Room(bot.id, person.id) for bot in self._directory.bots]
        views = [self.chat(person, room) for room in (*private, *groups)]
        return sorted(views, key=lambda view: -(view.last.body["date"] if view.last else 0))

    def chat(self, person: Person, room: Room) -> ChatView:
        """One conversation of a person."""
        latest = self.messages(person, room, limit=1)
        last, commands = (latest[0] if latest else None), self._menu(person, room)
        if room.is_private:
            bot = self._directory.bots_in(room)[0]
            started, blocked = self._directory.contact(*room)
            title = bot.profile.first_name
            return ChatView(
                bot.id, room, title, "private", commands, last, is_started=started, is_blocked=blocked
            )
        group = self._directory.groups[room.chat_id]
        topics = [GENERAL, *self._directory.topics.of(group)] if group.is_forum else ()
        return ChatView(group.id, room, group.title, group.type, commands, last, topics=topics)

    def messages(
        self, person: Person | None, room: Room, *, thread_id: int | None = None, limit: int = 100
    ) -> list[MessageView]:
        """The newest messages of a conversation, oldest first; topic 1 is General."""
        stored_thread = 0 if thread_id == 1 else thread_id
        found = self._telegram.messages.latest(room, thread_id=stored_thread, limit=limit)
        names = self._topic_names(room)
        reactions = self._telegram.messages.reactions(room, [message.message_id for message in found])
        return [
            self._message(
                person,
                message,
                topic=names.get(message.body.get("message_thread_id", 0), ""),
                reactions=reactions.get(message.message_id, ()),
            )
            for message in found
        ]

    def log(self) -> Json:
        """What bots did so far: calls by method and status, what met limits, what was sent twice."""
        bots = [bot.id for bot in self._directory.bots]
        repeated = self._telegram.messages.repetitions(bots)
        return {
            "calls": self._telegram.telemetry.calls(),
            "rejected_429": self._telegram.telemetry.rejected(),
            "rejected_429_by_chat": self._telegram.telemetry.refused_by_chat(),
            "bot_messages": self._telegram.messages.count_by(bots),
            "duplicates": [
                {"chat": item.chat_id, "text": item.text, "message_ids": list(item.message_ids)}
                for item in repeated
            ],
            "duplicates_by_chat": _copies_by_chat(repeated),
            "pending_updates": {str(bot): self._telegram.updates.count(bot) for bot in bots},
        }

    def _belongs(self, person: Person, group: Group) -> bool:
        return group.migrated_to is None and self._directory.status(group, person.id) != "left"

    def _menu(self, person: Person, room: Room) -> list[Json]:
        bots = self._directory.bots_in(room)
        return [
            {**command, "bot": bot.profile.username if len(bots) > 1 else ""}
            for bot in bots
            for command in self._menu_of(bot, person, room)
        ]

    def _menu_of(self, bot: Bot, person: Person, room: Room) -> list[Json]:
        group = self._directory.groups.get(room.chat_id)
        is_admin = group is not None and self._directory.status(group, person.id) in {
            "creator",
            "administrator",
        }
        return self._telegram.commands.menu_for(
            bot.id,
            chat_id=room.chat_id,
            user_id=person.id,
            is_admin=is_admin,
            language=person.language_code or "",
        )

    def _message(
        self, person: Person | None, message: StoredMessage, *, topic: str, reactions: Sequence[str]
    ) -> MessageView:
        body = message.body
        text: str = body.get("text") or body.get("caption") or ""
        entities: Sequence[Json] = body.get("entities") or body.get("caption_entities") or ()
        return MessageView(
            body=body,
            author=body["from"]["first_name"],
            author_id=message.author_id,
            is_mine=person is not None and message.author_id == person.id,
            is_edited=message.is_text_edited,
            is_silent=message.is_silent,
            html=to_html(text, entities),
            time=datetime.fromtimestamp(body["date"], UTC).astimezone().strftime("%H:%M"),
            topic=topic,
            keyboard=body.get("reply_markup", {}).get("inline_keyboard", ()),
            service=_service(body),
            reactions=reactions,
        )

    def _topic_names(self, room: Room) -> dict[int, str]:
        group = self._directory.groups.get(room.chat_id)
        return {topic.id: topic.name for topic in self._directory.topics.of(group)} if group else {}


def _copies_by_chat(repeated: Sequence[Repetition]) -> Json:
    """How many messages of each chat had been there before."""
    copies: Counter[int] = Counter()
    for item in repeated:
        copies[item.chat_id] += len(item.message_ids) - 1
    return {str(chat_id): count for chat_id, count in sorted(copies.items())}


def _service(body: Json) -> str:
    """What a service message says, in the words of the application; "" for any other message."""
    name = next((body[kind].get("name", "") for kind in _NAMED if kind in body), "")
    return next((words.format(name=name) for kind, words in _SERVICE.items() if kind in body), "")
