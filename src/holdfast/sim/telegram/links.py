"""Which links Telegram accepts."""

from urllib.parse import urlsplit, urlunsplit

_ALLOWED_SCHEMES = ("http", "https", "tg", "ton", "tonsite")


def checked_link(url: str) -> str:
    """The link as Telegram stores it: with a scheme, a lower-case host and at least "/" as path.

    Raises:
        ValueError: with Telegram's words for what is wrong.
    """
    url = url.strip()
    if "://" not in url:
        url = f"http://{url}"
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValueError("Wrong HTTP URL") from error
    scheme = parts.scheme.lower()
    if scheme not in _ALLOWED_SCHEMES:
        raise ValueError("Unsupported URL protocol")
    if not parts.netloc:
        raise ValueError("URL host is empty")
    if scheme in {"http", "https"} and not _is_public_host(parts.hostname or ""):
        raise ValueError("Wrong HTTP URL")
    return urlunsplit((scheme, parts.netloc.lower(), parts.path or "/", parts.query, parts.fragment))


def _is_public_host(host: str) -> bool:
    # Telegram refuses names without a dot, so "localhost" is no link but 127.0.0.1 is one.
    return "." in host.strip(".") or ":" in host


def mentioned_user_id(url: str) -> int | None:
    """The user a `tg://user?id=...` link mentions, None for any other link."""
    prefix = "tg://user?id="
    number = url.removeprefix(prefix)
    return int(number) if url.startswith(prefix) and number.isascii() and number.isdigit() else None
