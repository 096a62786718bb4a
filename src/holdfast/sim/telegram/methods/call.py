"""What a method gets to work with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, cast

from holdfast.sim.telegram.directory import Bot
from holdfast.sim.telegram.entities import format_text
from holdfast.sim.telegram.errors import bad_request
from holdfast.sim.telegram.params import Params
from holdfast.sim.telegram.shapes import Json, Room
from holdfast.sim.telegram.telegram import Telegram


class Described(NamedTuple):
    """A result that comes with words, as those of webhooks do."""

    result: object
    description: str


@dataclass(frozen=True)
class Call:
    """One call of one bot."""

    telegram: Telegram
    bot: Bot
    params: Params

    def room(self) -> Room:
        """The conversation that `chat_id` names."""
        return self.telegram.directory.room(self.bot, self.params.text("chat_id"))

    def formatted(self, name: str, entities_name: str) -> tuple[str, list[Json]]:
        """A text parameter without its marks, and its entities.

        Raises:
            ApiError: 400 when the marks do not parse or mention nobody.
        """
        explicit = self.params.json_list(entities_name) or []
        if not all(isinstance(entity, dict) for entity in explicit):
            raise bad_request("can't parse MessageEntity: Expected an Object")
        text, entities = format_text(
            self.params.text(name), self.params.text("parse_mode"), cast("list[Json]", explicit)
        )
        complete = [self._with_user(entity, is_explicit=bool(explicit)) for entity in entities]
        return text, [entity for entity in complete if entity]

    def _with_user(self, entity: Json, *, is_explicit: bool) -> Json | None:
        if entity["type"] != "text_mention":
            return entity
        given: object = entity["user"]
        user_id = cast("Json", given).get("id") if isinstance(given, dict) else None
        user = self.telegram.directory.user_json(user_id) if isinstance(user_id, int) else None
        if user is None and is_explicit:
            raise bad_request("user not found")
        return {**entity, "user": user} if user else None


Handler = Callable[[Call], Awaitable[object]]
