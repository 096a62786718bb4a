"""`ports.notices.PrivateChannel` by e-mail."""

import asyncio

import structlog

from holdfast.adapters.email.letters import Letter, errand_letter, notice_letter, page_letter, plain_letter
from holdfast.adapters.email.post import Post
from holdfast.domain.people import Person
from holdfast.domain.view import MessageRef
from holdfast.ports.notices import Errand, Notice, Page

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class EmailChannel:
    """Writes mails to people; implements `ports.notices.PrivateChannel`.

    Args:
        url: how mails are sent, as Apprise writes it: `mailtos://user:password@smtp.example.com?from=…`.

    Raises:
        InvalidInput: the URL cannot be read.
    """

    name = "email"

    def __init__(self, url: str) -> None:
        self._post = Post(url)

    def reaches(self, person: Person) -> bool:
        """Whether the person's address is known."""
        return bool(person.email)

    async def notify(self, person: Person, notice: Notice) -> MessageRef:
        """Write about an open gate; see `ports.notices.PrivateChannel.notify`."""
        await self._send(person, notice_letter(person, notice))
        about = f"{notice.run_id}/{notice.gate.id}/{notice.kind}/{notice.number}"
        return MessageRef(chat=person.email, message_id=about)

    async def page(self, person: Person, page: Page) -> MessageRef:
        """Call the person to an incident; see `ports.notices.PrivateChannel.page`."""
        await self._send(person, page_letter(person, page))
        return MessageRef(chat=person.email, message_id=page.key)

    async def errand(self, person: Person, errand: Errand) -> MessageRef:
        """Ask the person to take a role or to do a task; see `ports.notices.PrivateChannel.errand`."""
        await self._send(person, errand_letter(person, errand))
        return MessageRef(chat=person.email, message_id=errand.key)

    async def say(self, person: Person, text: str, *, paste: str = "") -> None:
        """Write plain text; see `ports.notices.PrivateChannel.say`."""
        await self._send(person, plain_letter(text, paste))

    async def retire(self, message: MessageRef, text: str) -> None:
        """Do nothing: a mail stays as it is, and its link tells what became of the gate."""

    async def _send(self, person: Person, letter: Letter) -> None:
        await asyncio.to_thread(self._post.send, person.email, letter.subject, letter.html)
        _log.info("mail sent", person=person.name)
