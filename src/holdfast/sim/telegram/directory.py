"""Who and what a bot can reach: users, groups, topics, and the rights in them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from holdfast.sim.telegram.database import Database
from holdfast.sim.telegram.errors import ApiError, bad_request, forbidden
from holdfast.sim.telegram.people import BotProfile, Group, People, Person
from holdfast.sim.telegram.shapes import Json, Room
from holdfast.sim.telegram.topics import GENERAL_TOPIC, Topics


@dataclass(frozen=True)
class Bot:
    """A bot that has a token here."""

    token: str
    profile: BotProfile

    @property
    def id(self) -> int:
        """The number before the colon of the token."""
        return self.profile.id

    @property
    def user(self) -> Json:
        """The bot as a `User` inside other objects."""
        profile = self.profile
        return {
            "id": profile.id,
            "is_bot": True,
            "first_name": profile.first_name,
            "username": profile.username,
        }


class Directory:
    """Looks up whoever a bot names, with Telegram's errors for whoever it cannot reach."""

    def __init__(self, people: People, tokens: Sequence[str], database: Database) -> None:
        profiles = {profile.id: profile for profile in people.bots}
        self.bots = [_bot(token, profiles) for token in tokens]
        self.people = {person.id: person for person in people.users}
        self.groups = {group.id: group for group in people.chats}
        self._names = {name: item for item in self._everyone() for name in _names(item)}
        self._database = database
        self.topics = Topics(database)
        for row in database.rows("SELECT old_id, new_id FROM upgrades"):
            self._upgrade(row["old_id"], row["new_id"])

    def bot_with(self, token: str) -> Bot | None:
        """The bot of a token."""
        return next((bot for bot in self.bots if bot.token == token), None)

    def bot(self, bot_id: int) -> Bot | None:
        """The bot with an id."""
        return next((bot for bot in self.bots if bot.id == bot_id), None)

    def user_json(self, user_id: int) -> Json | None:
        """A person or bot as a `User`, None for nobody."""
        person, bot = self.people.get(user_id), self.bot(user_id)
        if person:
            names = person.model_dump(exclude={"started", "blocked"}, exclude_none=True)
            return {**names, "is_bot": False}
        return bot.user if bot else None

    def chat_json(self, room: Room) -> Json:
        """A conversation as a `Chat`."""
        if room.is_private:
            fields = {"id", "first_name", "last_name", "username"}
            return {
                "type": "private",
                **self.people[room.chat_id].model_dump(include=fields, exclude_none=True),
            }
        group = self.groups[room.chat_id]
        forum = {"is_forum": True} if group.is_forum else {}
        return {**group.model_dump(include={"id", "type", "title", "username"}, exclude_none=True), **forum}

    def room(self, bot: Bot, chat: str) -> Room:
        """The conversation that a bot names by id or @username.

        Raises:
            ApiError: 400 when there is none, or the group moved to another id.
        """
        if not chat:
            raise bad_request("chat_id is empty")
        found = self._find(chat)
        if isinstance(found, Person):
            return Room(bot.id, found.id)
        if found is None:
            raise bad_request("chat not found")
        if found.migrated_to is not None:
            description = "Bad Request: group chat was upgraded to a supergroup chat"
            raise ApiError(400, description, migrate_to_chat_id=found.migrated_to)
        return Room(0, found.id)

    def check_reachable(self, bot: Bot, room: Room) -> None:
        """Make sure that a bot may write to a conversation.

        Raises:
            ApiError: 403 when the user has not started or has blocked the bot, or the bot is not in the group.
        """
        if room.is_private:
            started, blocked = self.contact(bot.id, room.chat_id)
            if blocked:
                raise forbidden("bot was blocked by the user")
            if not started:
                raise forbidden("bot can't initiate conversation with a user")
        elif bot not in self.bots_in(room):
            group = self.groups[room.chat_id]
            raise forbidden(f"bot is not a member of the {group.type} chat")

    def check_topic(self, room: Room, thread_id: int) -> None:
        """Make sure that a topic exists; General has no id that messages can name.

        Raises:
            ApiError: 400 when it does not.
        """
        group = None if room.is_private else self.groups[room.chat_id]
        if thread_id == GENERAL_TOPIC or group is None or self.topics.find(group, thread_id) is None:
            raise bad_request("message thread not found")

    def check_topic_open(self, room: Room, thread_id: int, user_id: int) -> None:
        """Make sure that somebody may write to a topic that exists.

        Raises:
            ApiError: 400 when it is closed, which only those who manage topics may ignore.
        """
        group = self.groups[room.chat_id]
        topic = self.topics.find(group, thread_id)
        if topic and topic.is_closed and not self.manages_topics(group, user_id):
            raise bad_request("TOPIC_CLOSED")

    def manages_topics(self, group: Group, user_id: int) -> bool:
        """Whether somebody has the right `can_manage_topics`."""
        status = self.status(group, user_id)
        is_manager = group.topic_managers is None or user_id in group.topic_managers
        return status == "creator" or (status == "administrator" and is_manager)

    def upgrade(self, group: Group) -> Group:
        """Make a group a supergroup with an id of its own; the old id only leads there from then on."""
        new_id = -1_000_000_000_000 + group.id
        while new_id in self.groups:
            new_id -= 1
        self._database.execute("INSERT INTO upgrades VALUES (?, ?)", group.id, new_id)
        return self._upgrade(group.id, new_id)

    def _upgrade(self, old_id: int, new_id: int) -> Group:
        old = self.groups[old_id]
        new = old.model_copy(update={"id": new_id, "type": "supergroup"})
        self.groups |= {new_id: new, old_id: old.model_copy(update={"migrated_to": new_id, "username": None})}
        self._names = {name: item for item in self._everyone() for name in _names(item)}
        return new

    def bots_in(self, room: Room) -> list[Bot]:
        """The bots that take part in a conversation."""
        if room.is_private:
            return [bot for bot in self.bots if bot.id == room.bot_id]
        members = self.groups[room.chat_id].bots
        return [bot for bot in self.bots if members is None or bot.id in members]

    def status(self, group: Group, user_id: int) -> str:
        """A person's or bot's `ChatMember.status` in a group."""
        if user_id == group.owner:
            return "creator"
        if user_id in group.admins:
            return "administrator"
        bots = {bot.id for bot in self.bots_in(Room(0, group.id))}
        return "member" if user_id in group.members or user_id in bots else "left"

    def contact(self, bot_id: int, user_id: int) -> tuple[bool, bool]:
        """Whether a user has started a bot, and whether the user has blocked it."""
        row = self._database.row("SELECT * FROM contacts WHERE bot_id = ? AND user_id = ?", bot_id, user_id)
        if row:
            return bool(row["started"]), bool(row["blocked"])
        person = self.people[user_id]
        return person.started, person.blocked

    def set_contact(self, bot_id: int, user_id: int, *, blocked: bool) -> None:
        """Remember that a user opened the chat with a bot, or blocked it."""
        started = not blocked or self.contact(bot_id, user_id)[0]
        self._database.execute(
            "INSERT OR REPLACE INTO contacts VALUES (?, ?, ?, ?)", bot_id, user_id, started, blocked
        )

    def find_person(self, name: str) -> Person | None:
        """A person by id or @username."""
        found = self._find(name)
        return found if isinstance(found, Person) else None

    def find_group(self, name: str) -> Group | None:
        """A group by id or @username."""
        found = self._find(name)
        return found if isinstance(found, Group) else None

    def _find(self, name: str) -> Person | Group | None:
        return self._names.get(name.lower())

    def _everyone(self) -> Iterator[Person | Group]:
        yield from self.people.values()
        yield from self.groups.values()


def _names(item: Person | Group) -> list[str]:
    return [str(item.id), *([f"@{item.username.lower()}"] if item.username else [])]


def _bot(token: str, profiles: dict[int, BotProfile]) -> Bot:
    bot_id = int(token.partition(":")[0])
    unnamed = BotProfile(id=bot_id, first_name=f"Bot {bot_id}", username=f"bot{bot_id}_bot")
    return Bot(token, profiles.get(bot_id, unnamed))
