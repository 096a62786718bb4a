"""`ports.announcer.Announcer` on Telegram: a client's chat or channel."""

from typing import Final

from aiogram.methods import SendMessage, SendPhoto
from aiogram.types import BufferedInputFile, LinkPreviewOptions

from holdfast.adapters.telegram.sending import Label, Sending
from holdfast.adapters.telegram.wording import MESSAGE_LIMIT, clip, shorten

_CAPTION_LIMIT: Final = 1024
_LINE_UNITS: Final = 300


class TelegramAnnouncer:
    """Writes into any chat that the bot may write to.

    Args:
        sending: how messages get there.
    """

    def __init__(self, sending: Sending) -> None:
        self._sending = sending

    async def announce(self, chat: int, text: str, *, key: str, picture: bytes = b"") -> None:
        """Write into a chat; see `ports.announcer.Announcer.announce`."""
        label = Label("notice", key, line=clip(text, _LINE_UNITS))
        if picture:
            photo = BufferedInputFile(picture, "campaign.png")
            caption = shorten(text, _CAPTION_LIMIT)
            method = SendPhoto(chat_id=chat, photo=photo, caption=caption, parse_mode=None)
            await self._sending.send(method, label, plain=text)
            return
        words = shorten(text, MESSAGE_LIMIT)
        preview = LinkPreviewOptions(is_disabled=True)
        message = SendMessage(chat_id=chat, text=words, parse_mode=None, link_preview_options=preview)
        await self._sending.send(message, label, plain=words)
