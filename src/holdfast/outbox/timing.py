"""How long and how much: the settings of a sender."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Timing:
    """The times and sizes of a sender; the defaults are for production.

    Attributes:
        lease: after which another process takes over from one that is gone without a word.
        renew: how often the lease is renewed.
        poll: after so long at the latest it sees what other processes put.
        try_for: a try that takes longer is of unknown fate; above the transport's own limits.
        drain: how long a sender that ends waits for the tries under way.
        measure: how often the gauges are read from the store.
        tidy: how often settled rows are forgotten.
        keep: for how long settled rows are kept.
        at_once: tries under way at the same time.
        per_lane: chats of a lane that are looked at.
    """

    # A killed sender is followed within about 8 s: this and one renewal of a standby (docs/outbox.md).
    lease: timedelta = timedelta(seconds=6)
    renew: timedelta = timedelta(seconds=1.5)
    poll: timedelta = timedelta(milliseconds=100)
    try_for: timedelta = timedelta(seconds=90)
    drain: timedelta = timedelta(seconds=20)
    measure: timedelta = timedelta(seconds=5)
    tidy: timedelta = timedelta(hours=1)
    keep: timedelta = timedelta(days=7)
    at_once: int = 64
    per_lane: int = 32
