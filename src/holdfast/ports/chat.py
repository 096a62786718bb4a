from typing import Protocol

from holdfast.domain.view import MessageRef, RunView


class Chat(Protocol):
    """Where a run shows itself to people: one message a run, edited as it goes."""

    async def publish(self, view: RunView, *, message: MessageRef | None) -> MessageRef:
        """Send the run's message, or edit the one that is there; return where it is.

        A message that vanished is sent anew; an edit that changes nothing is a success.

        Raises:
            ChatUnavailable: nothing was sent; try again (after `retry_after_seconds`, if given).
            DeliveryUncertain: a new message may have arrived although no answer came.
            InvalidInput: the chat refuses the message for good; the text says why.
        """
        ...

    async def ping(self, text: str, *, reply_to: MessageRef, key: str) -> None:
        """Call people's attention to the run's message by a short answer to it; errors as above.

        What is said again under the same `key` is sent once.
        """
        ...

    async def open_thread(self, title: str, *, key: str) -> MessageRef:
        """Open a topic of its own for a run; return where its message is to go, errors as above.

        Where the chat has no topics, or the bot may not open any, it is the chat itself: answers to the run's
        message are its thread. What is opened again under the same `key` is opened once.
        """
        ...
