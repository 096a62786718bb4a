"""Everything Holdfast raises on purpose.

HoldfastError
├── InvalidInput            somebody typed something wrong: fix the named field; never retried
│   ├── UnknownName         the name is not in the table; the known ones are listed
│   └── RunbookInvalid      a runbook file is wrong at a line and field
├── Unavailable             a system we depend on does not answer: Temporal retries
│   ├── MetricsUnavailable  the metrics backend is down (never a reason to roll back)
│   ├── ChatUnavailable     nothing was sent: safe to send again
│   └── EngineUnavailable   the Temporal server does not answer
├── ChangeConflict          somebody else changed the target: a person must look; never retried
├── ChangeFailed            the target tried a change and failed: a person must look; never retried
├── DeliveryUncertain       a message may or may not have arrived: never silently repeated
└── DecisionRefused         a decision did not count, and why
"""

from collections.abc import Iterable


class HoldfastError(Exception):
    """Base of all errors that Holdfast raises on purpose; the text is written for a person."""


class InvalidInput(HoldfastError):
    """Input that a person has to correct. The text names the field and the remedy."""


class UnknownName(InvalidInput):
    """A name that is in no table; the text lists the names that are."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        """Say which kind of thing (`what`) was asked for by `name`, and which names exist."""
        listed = ", ".join(sorted(known)) or "none"
        super().__init__(f"unknown {what} '{name}'; known: {listed}")


class RunbookInvalid(InvalidInput):
    """A runbook file that does not validate; one problem a line, each with file, line and field."""


class Unavailable(HoldfastError):
    """A system we depend on does not answer now; the same call may work later.

    Attributes:
        retry_after_seconds: how long it asked us to wait, if it did.
    """

    def __init__(self, text: str, *, retry_after_seconds: float | None = None) -> None:
        """Keep the waiting time that was demanded beside the text."""
        super().__init__(text)
        self.retry_after_seconds = retry_after_seconds


class MetricsUnavailable(Unavailable):
    """The metrics backend does not answer: an observation without data, not bad data."""


class ChatUnavailable(Unavailable):
    """The chat did not take the message; nothing was sent."""


class EngineUnavailable(Unavailable):
    """The Temporal server does not answer, so nothing was started or recorded."""


class ChangeConflict(HoldfastError):
    """The target's state is neither what we replaced nor what we wrote: somebody else changed it."""


class ChangeFailed(HoldfastError):
    """The target tried a change, or its taking back, and did not succeed; the text is its own."""


class DeliveryUncertain(HoldfastError):
    """The connection broke after the message was handed over: it may have arrived."""


class DecisionRefused(HoldfastError):
    """A decision that did not count; the text is what the person is told."""

    def __init__(self, answer: str, text: str) -> None:
        """Keep the machine-readable answer (a `gates.Answer` value) beside the text."""
        super().__init__(text)
        self.answer = answer
