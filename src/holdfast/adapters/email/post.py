"""Hands one mail to the mail server, through Apprise, and says why when that fails."""

import logging
import re
import warnings
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

from holdfast.domain.errors import ChatUnavailable, DeliveryUncertain, HoldfastError, InvalidInput

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message=".*imghdr", category=DeprecationWarning)
    from apprise import AppriseAsset, NotifyFormat
    from apprise.plugins.email import NotifyEmail

_EXAMPLE: Final = "mailtos://user:password@smtp.example.com?from=holdfast@example.com"
_SENDER: Final = "Holdfast"
_LONGEST_REASON: Final = 200
_REFUSED_FOR_GOOD: Final = "5"
# Who else would get a copy gets a personal link with it.
_COPIES: Final = ("cc", "bcc", "targets")
_heard: ContextVar[list[str] | None] = ContextVar("_heard", default=None)


class _Ear(logging.Handler):
    """Keeps what Apprise says about the mail that is being sent; it names the reason nowhere else."""

    def emit(self, record: logging.LogRecord) -> None:
        heard = _heard.get()
        if heard is not None:
            heard.append(record.getMessage())


_apprise_log = logging.getLogger("apprise")
_apprise_log.addHandler(_Ear())
_apprise_log.setLevel(logging.DEBUG)  # one level lower it writes passwords
_apprise_log.propagate = False  # and what it writes is for us, not for the log


class Post:
    """A mail server."""

    def __init__(self, url: str) -> None:
        """Send by this address, as Apprise writes it.

        Raises:
            InvalidInput: it is none of a mail server; the text does not repeat it, for the password in it.
        """
        parsed = _parsed(url)
        if not parsed:
            raise InvalidInput(f"HOLDFAST_EMAIL_URL cannot be read; it looks like {_EXAMPLE}")
        self._settings: Mapping[str, Any] = {k: v for k, v in parsed.items() if k not in _COPIES}
        self._mailer("holdfast@example.com")

    def send(self, address: str, subject: str, html: str) -> None:
        """Send a mail to one person; waits for the mail server.

        Raises:
            ChatUnavailable: nothing was sent; try again.
            DeliveryUncertain: the server may have taken it although it did not say so.
            InvalidInput: the server refuses this mail for good, or the address is none.
        """
        mailer = self._mailer(address)
        if [target.lower() for _, target in mailer.targets] != [address.lower()]:
            raise InvalidInput(f"'{address}' is no e-mail address that can be written to; correct people.yaml")
        heard: list[str] = []
        token = _heard.set(heard)
        try:
            sent = mailer.notify(body=html, title=subject, body_format=NotifyFormat.HTML)
        finally:
            _heard.reset(token)
        if not sent:
            raise _failure(address, heard)

    def _mailer(self, address: str) -> Any:
        try:
            asset = AppriseAsset(app_id=_SENDER)
            mailer = NotifyEmail(**self._settings, targets=[address], asset=asset)  # type: ignore[no-untyped-call]
        except TypeError:  # what Apprise raises when it does not like a setting
            raise InvalidInput(
                f"HOLDFAST_EMAIL_URL has a sender or a mode that is not understood; it looks like {_EXAMPLE}"
            ) from None
        name, sender = mailer.from_addr
        mailer.from_addr = [name or _SENDER, sender]
        return mailer


def _parsed(url: str) -> dict[str, Any] | None:
    if not url.startswith(("mailto://", "mailtos://")):
        return None
    found: dict[str, Any] | None = NotifyEmail.parse_url(url)  # type: ignore[no-untyped-call]  # pyright: ignore[reportUnknownMemberType]
    return found


def _failure(address: str, heard: list[str]) -> HoldfastError:
    reasons = [text.partition("Exception: ")[2] for text in heard if "Exception: " in text]
    reason = (reasons[-1] if reasons else "it does not say why")[:_LONGEST_REASON]
    code = re.search(r"\((\d)\d\d, b", reason)
    if not any(text.startswith("Sending email to") for text in heard):
        return ChatUnavailable(f"the mail server does not take mails: {reason}")
    if code is None:
        return DeliveryUncertain(f"the mail to {address} may or may not have arrived: {reason}")
    if code[1] == _REFUSED_FOR_GOOD:
        return InvalidInput(f"the mail server refuses the mail to {address}: {reason}; correct people.yaml")
    return ChatUnavailable(f"the mail server does not take the mail to {address} now: {reason}")
