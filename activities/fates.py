"""What became of a message to one person, channel by channel."""

import asyncio
from collections.abc import Awaitable, Iterator, Mapping
from datetime import timedelta
from typing import Final

from pydantic import BaseModel

from holdfast.domain import run_phrases
from holdfast.domain.errors import ChatUnavailable, DeliveryUncertain, HoldfastError
from holdfast.domain.view import MessageRef

KEPT_ON_RECORD: Final = {
    "sent": "was sent to",
    "uncertain": "may have reached",
    "failed": "could not be sent to",
}
"""How the record says each state; of `unsent`, which is tried again, it says nothing."""


class Fate(BaseModel):
    """What became of a message by one channel; kept in heartbeats for the next attempt.

    Attributes:
        state: `sent`; `uncertain`, which is not sent again; `unsent`, which may be; `failed`, for good.
        why: why it is not `sent`.
        message: where it stands, if it was sent.
    """

    state: str
    why: str = ""
    message: MessageRef | None = None


async def fate_of(sending: Awaitable[MessageRef | None], channel: str, patience: timedelta) -> Fate:
    """Wait for a message that is being sent, and return what became of it; raises nothing of ours.

    Args:
        sending: the call of the channel.
        channel: its name.
        patience: how long is waited; a chat that is flooded has the message in its queue by then, and the next
            try finds it by its key.
    """
    try:
        async with asyncio.timeout(patience.total_seconds()):
            return Fate(state="sent", message=await sending)
    except TimeoutError:
        return Fate(state="unsent", why=run_phrases.NOT_TAKEN.format(channel=channel, n=patience.seconds))
    except ChatUnavailable as error:
        return Fate(state="unsent", why=str(error))
    except DeliveryUncertain as error:
        return Fate(state="uncertain", why=str(error))
    except HoldfastError as error:
        return Fate(state="failed", why=str(error))


def reached(fates: Mapping[str, Fate]) -> bool:
    """Whether a person has it by one of the channels, or may have it."""
    return any(fate.state in {"sent", "uncertain"} for fate in fates.values())


def troubles_of(name: str, fates: Mapping[str, Fate]) -> Iterator[str]:
    """Yield the sentence for somebody whom no channel reached, with each reason once."""
    if not reached(fates):
        why = "; ".join(dict.fromkeys(fate.why for fate in fates.values()))[:200]
        yield run_phrases.NOT_REACHED.format(name=name, why=why)
