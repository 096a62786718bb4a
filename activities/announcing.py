"""Tells clients how their campaign goes, in their own chat."""

from pydantic import BaseModel
from temporalio import activity

from activities.failures import as_failures
from holdfast.domain.client_words import ClientNews, in_plain_words
from holdfast.ports.announcer import Announcer


class AnnounceRequest(BaseModel):
    """What to tell in which chat; told once for each key."""

    chat: int
    news: ClientNews
    key: str


class AnnouncingActivities:
    """Writes into clients' chats."""

    def __init__(self, announcer: Announcer | None) -> None:
        """Use this way; None where no chat is set up, then nobody is told."""
        self._announcer = announcer

    @activity.defn
    async def tell_client(self, request: AnnounceRequest) -> None:
        """Tell a client something, in plain words and in the client's language."""
        if self._announcer is not None:
            with as_failures():
                text = in_plain_words(request.news)
                await self._announcer.announce(request.chat, text, key=request.key)
