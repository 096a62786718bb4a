from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, kw_only=True)
class IntakeSettings:
    """How updates are taken and handled.

    Attributes:
        long_poll: how long Telegram holds a request while there is nothing new.
        at_once: how many updates are handled at the same time; a handler that takes longer than `slot_hold`
            does not count any more.
        taps_at_once: likewise for taps.
        slot_hold: see `at_once`.
        attempts: after so many failures an update is put aside.
        retry_pause: before the second attempt; doubles from there.
        handling_limit: for one attempt.
        keep_for: for so long after it was asked, a command or tap is kept while Temporal does not answer.
        keep_pause: before a kept one is tried again where Temporal seems to be up; doubles from there.
        longest_keep_pause: the longest of these.
        longest_pause: between requests while Telegram or the store does not answer.
        conflict_pause: after another process was found polling with the same token; doubles from there.
        longest_conflict_pause: the longest of these.
        stop_within: how long handlers may still take when the bot is stopped.
        most_queued: how many updates wait for a handler in memory; the rest waits in the inbox.
        look_again: how often the inbox is looked through for what others have put there.
        remember: for so long after it was done, an update that is delivered again is recognised.
    """

    long_poll: timedelta = timedelta(seconds=25)
    at_once: int = 16
    taps_at_once: int = 32
    slot_hold: timedelta = timedelta(milliseconds=500)
    attempts: int = 3
    retry_pause: timedelta = timedelta(milliseconds=500)
    handling_limit: timedelta = timedelta(seconds=30)
    keep_for: timedelta = timedelta(minutes=15)
    keep_pause: timedelta = timedelta(seconds=1)
    longest_keep_pause: timedelta = timedelta(seconds=15)
    longest_pause: timedelta = timedelta(seconds=30)
    conflict_pause: timedelta = timedelta(seconds=5)
    longest_conflict_pause: timedelta = timedelta(seconds=60)
    stop_within: timedelta = timedelta(seconds=5)
    most_queued: int = 5000
    look_again: timedelta = timedelta(seconds=5)
    remember: timedelta = timedelta(days=2)
