"""The people file: who exists, who is in which group."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

UserId = Annotated[int, Field(gt=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Person(_Strict):
    """A user; `started` and `blocked` are how private chats with every bot begin."""

    id: UserId
    first_name: str
    last_name: str | None = None
    username: str | None = None
    language_code: str | None = None
    started: bool = False
    blocked: bool = False


class Topic(_Strict):
    """A forum topic; its id is the `message_thread_id` of its messages. General (id 1) always exists."""

    id: Annotated[int, Field(gt=1)]
    name: Annotated[str, Field(min_length=1, max_length=128)]


class Group(_Strict):
    """A group or supergroup.

    Attributes:
        bots: its members among the bots; left out: every bot.
        admins: people and bots.
        forum: whether topics can be opened; a group that begins with topics is one anyway.
        topic_managers: the admins with the right `can_manage_topics`; left out: all.
    """

    id: Annotated[int, Field(lt=0)]
    type: Literal["group", "supergroup"]
    title: str
    username: str | None = None
    members: list[UserId]
    owner: UserId | None = None
    admins: list[UserId] = []
    bots: list[UserId] | None = None
    forum: bool = False
    topics: list[Topic] = []
    topic_managers: list[UserId] | None = None
    migrated_to: Annotated[int, Field(lt=0)] | None = None

    @property
    def is_forum(self) -> bool:
        """Whether messages can go to topics."""
        return self.forum or bool(self.topics)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.is_forum and self.type != "supergroup":
            raise ValueError("topics: only a supergroup can have topics; make it `type: supergroup`")
        return self


class BotProfile(_Strict):
    """How a bot presents itself; a bot without a profile gets a name made of its id."""

    id: UserId
    first_name: str
    username: str
    privacy: bool = True


class People(_Strict):
    """The whole file."""

    users: list[Person]
    chats: list[Group] = []
    bots: list[BotProfile] = []

    @model_validator(mode="after")
    def _check(self) -> Self:
        everyone = [
            *(user.id for user in self.users),
            *(chat.id for chat in self.chats),
            *(bot.id for bot in self.bots),
        ]
        doubled = {number for number, count in Counter(everyone).items() if count > 1}
        if doubled:
            raise ValueError(f"id: used more than once: {_listed(doubled)}")
        known = {person.id for person in self.users}
        for group in self.chats:
            missing = {*group.members, *([group.owner] if group.owner else [])} - known
            if missing:
                raise ValueError(f"chats {group.id} members: not among users: {_listed(missing)}")
        return self


class PeopleFileError(Exception):
    """The people file cannot be used; the text names the field and what is wrong with it."""


def load_people(path: Path) -> People:
    """Read a JSON or YAML file.

    Raises:
        PeopleFileError: when it cannot be read or does not describe people.
    """
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise PeopleFileError(f"{path}: {error}") from error
    try:
        return People.model_validate(content)
    except ValidationError as error:
        lines = (f"{path}: {_place(item['loc'])}{item['msg']}" for item in error.errors())
        raise PeopleFileError("\n".join(lines)) from error


def _place(location: Sequence[int | str]) -> str:
    return ".".join(map(str, location)) + ": " if location else ""


def _listed(numbers: set[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))
