"""A mail server that runs in the test's own loop and keeps what it takes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class Mailboxes:
    """Mails, as they arrived.

    Attributes:
        url: how to send here, as Apprise writes it.
        answers: what the server says to RCPT and DATA, instead of taking the mail, by address.
        hangs_up: the connection ends in the middle of a mail.
    """

    def __init__(self) -> None:
        self.url = ""
        self.answers: dict[str, str] = {}
        self.hangs_up = False
        self.mails: list[tuple[list[str], EmailMessage]] = []

    async def handle_RCPT(  # noqa: N802  aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.answers:
            return self.answers[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.hangs_up:
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
            return "250 OK"
        message: Any = message_from_bytes(bytes(envelope.original_content or b""), policy=policy.default)
        self.mails.append((envelope.rcpt_tos, message))
        return "250 OK"

    def newest(self) -> EmailMessage:
        return self.mails[-1][1]

    def text(self, kind: str = "plain") -> str:
        """The newest mail as people read it."""
        body = self.newest().get_body((kind,))
        assert body is not None
        return str(body.get_content()).replace("\r\n", "\n")


def _authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=data == LoginPassword(b"robot", b"hunter2"), handled=False)


@asynccontextmanager
async def mail_server(*, login: bool = False) -> AsyncIterator[Mailboxes]:
    boxes = Mailboxes()
    loop = asyncio.get_running_loop()

    def serve() -> SMTP:
        return SMTP(
            boxes,
            hostname="mail.test",
            loop=loop,
            auth_require_tls=False,
            authenticator=_authenticate if login else None,
        )

    server = await loop.create_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    boxes.url = f"mailto://127.0.0.1:{port}?from=holdfast@example.com&mode=insecure"
    try:
        yield boxes
    finally:
        server.close()
        await server.wait_closed()
