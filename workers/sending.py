"""Wires the outbox: who puts messages in line, and who sends them."""

from collections.abc import Callable
from datetime import timedelta

from holdfast.domain.errors import InvalidInput
from holdfast.domain.people import People
from holdfast.outbox.bell import Bell
from holdfast.outbox.metrics import OutboxMetrics
from holdfast.outbox.outbox import Outbox
from holdfast.outbox.steady import LastGood
from holdfast.outbox.store import OutboxStore
from workers import wiring
from workers.settings import Settings

# Below the time that one attempt of an activity has; what waits longer is found again by its key.
PATIENCE = timedelta(seconds=20)


def bot_id(settings: Settings) -> str:
    """Return whose messages are meant: the number before the colon of the token.

    Raises:
        InvalidInput: no token is set.
    """
    if settings.telegram_token is None:
        raise InvalidInput("HOLDFAST_TELEGRAM_TOKEN is not set; create a bot with @BotFather and set its token")
    return settings.telegram_token.get_secret_value().partition(":")[0]


def outbox(
    settings: Settings,
    store: OutboxStore,
    *,
    bell: Bell | None = None,
    metrics: OutboxMetrics | None = None,
) -> Outbox:
    """Return where messages are put; the bell and the metrics are those of a sender in the same process."""
    return Outbox(store, wiring.library(settings).priorities, bot=bot_id(settings), bell=bell, metrics=metrics)


def language_of_chat(settings: Settings) -> Callable[[str], str]:
    """Return what tells the language of a chat: the person's own, else the group's."""
    people = LastGood(wiring.library(settings).people, People(), what="people")

    def language(chat: str) -> str:
        person = people().on_telegram(int(chat)) if chat.isdecimal() else None
        return (person.language if person else "") or settings.language

    return language
