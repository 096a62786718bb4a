from typing import Protocol


class Announcer(Protocol):
    """Writes into chats that are not the team's: a client's channel."""

    async def announce(self, chat: int, text: str, *, key: str, picture: bytes = b"") -> None:
        """Write plain text, under a picture (PNG) where one is given; once for each key.

        Raises:
            ChatUnavailable: nothing was sent; try again.
            DeliveryUncertain: it may have arrived although no answer came.
            InvalidInput: the chat refuses it for good; the text says why.
        """
        ...
