"""Errors as they leave the server."""


class ApiError(Exception):
    """An answer with `ok: false`.

    Args:
        code: the HTTP status, which the body repeats as `error_code`.
        description: Telegram's own words, with their prefix ("Bad Request: ...").
        parameters: `retry_after` or `migrate_to_chat_id`, where Telegram sends them.
    """

    def __init__(self, code: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters


def bad_request(reason: str) -> ApiError:
    """400, with the first letter lowered as Telegram does, unless it begins a word of capitals."""
    if not (reason[1:2].isupper() or reason[1:2] == "_"):
        reason = reason[:1].lower() + reason[1:]
    return ApiError(400, f"Bad Request: {reason}")


def forbidden(reason: str) -> ApiError:
    """403: the bot may not do this in that chat."""
    return ApiError(403, f"Forbidden: {reason}")


def conflict(reason: str) -> ApiError:
    """409: polling and webhook, or two pollers, stand in each other's way."""
    return ApiError(409, f"Conflict: {reason}")


def too_many_requests(retry_after_seconds: int) -> ApiError:
    """429 with the whole seconds after which the same call passes."""
    description = f"Too Many Requests: retry after {retry_after_seconds}"
    return ApiError(429, description, retry_after=retry_after_seconds)


class HumanError(Exception):
    """What a person asked for cannot be done; `status` is the HTTP status, the text says why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
