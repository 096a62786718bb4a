"""Tells people in the chat; Telegram's troubles end here, never in a run."""

from collections.abc import Callable

from pydantic import BaseModel
from temporalio import activity

from activities.failures import as_failures
from holdfast.domain.view import MessageRef, RunView
from holdfast.ports.chat import Chat


class CardRequest(BaseModel):
    """The newest view of a run, and where its message is if there is one already."""

    view: RunView
    message: MessageRef | None = None


class PingRequest(BaseModel):
    """A short call for attention below the run's message."""

    text: str
    message: MessageRef


class ThreadRequest(BaseModel):
    """A run that is to have a topic of its own."""

    run_id: str
    title: str


class TellingActivities:
    """Publishes the run's one message."""

    def __init__(self, chat: Chat | None, *, run_url: Callable[[str], str]) -> None:
        """Use this chat; None where no chat is set up, then runs are followed in the UI and the CLI.

        Args:
            chat: where to publish.
            run_url: gives the address of a run's page, for the link in its message.
        """
        self._chat = chat
        self._run_url = run_url

    @activity.defn
    async def publish_card(self, request: CardRequest) -> MessageRef:
        """Send or edit the run's message and return where it is."""
        if self._chat is None:
            return MessageRef(chat="", message_id="")
        with as_failures():
            view = request.view.model_copy(update={"ui_url": self._run_url(request.view.run_id)})
            return await self._chat.publish(view, message=request.message)

    @activity.defn
    async def ping_people(self, request: PingRequest) -> None:
        """Send a short answer to the run's message, so that phones ring."""
        if self._chat is not None and request.message.message_id:
            with as_failures():
                info = activity.info()
                key = f"ping/{info.workflow_run_id}/{info.activity_id}"
                await self._chat.ping(request.text, reply_to=request.message, key=key)

    @activity.defn
    async def open_thread(self, request: ThreadRequest) -> MessageRef:
        """Open a topic for a run, once, and return where its message is to go."""
        if self._chat is None:
            return MessageRef(chat="", message_id="")
        with as_failures():
            return await self._chat.open_thread(request.title, key=request.run_id)
