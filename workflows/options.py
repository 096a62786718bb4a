"""Named presets for activities, so that no number stands at a call site."""

from datetime import timedelta
from typing import Final

from temporalio.common import RetryPolicy

CHAT_QUEUE: Final = "holdfast-chat"
WATCH_QUEUE: Final = "holdfast-watch"
RECORD_QUEUE: Final = "holdfast-records"
RUNBOOK_QUEUE: Final = "holdfast-runbooks"

# One attempt of a call to a target, a file or a metrics backend; a hung one is found after this long.
ATTEMPT: Final = timedelta(seconds=30)
# One attempt of the checks of a stage that tries its changes out on copies.
DRY_RUN: Final = timedelta(minutes=10)
# A report with its pictures, from a month of looks.
ANALYSIS: Final = timedelta(minutes=5)
# Somebody who died while watching is missed after this long.
HEARTBEAT: Final = timedelta(seconds=10)
# In a campaign's window a breach waits for whoever takes over.
WINDOW_HEARTBEAT: Final = timedelta(seconds=5)
# A guard watches for as long as a person thinks: no bound that anybody would reach.
WATCH_ATTEMPT: Final = timedelta(days=400)
# The last card may wait this long for a chat that is down; the run's work is done by then.
LAST_CARD: Final = timedelta(hours=24)

STEADY: Final = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=10))
# A chat is tried a few times, then asked again with the newest view instead of an old one.
CHAT: Final = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=10), maximum_attempts=3
)
ONCE: Final = RetryPolicy(maximum_attempts=1)
# Changes that follow each other closely make one edit, and what follows a decision goes before telling of it.
CARD_PAUSE: Final = timedelta(milliseconds=250)
RECORD_PAUSE: Final = timedelta(milliseconds=50)
CHAT_BREAK: Final = timedelta(seconds=10)
# After so many breaks each is twice as long: a chat that is gone for days must not fill the history.
CHAT_BREAKS: Final = 6
LONGEST_CHAT_BREAK: Final = timedelta(minutes=10)
# Buttons of many calls are taken off one after the other, at the pace that the chat allows.
RETIRE_ATTEMPT: Final = timedelta(minutes=5)
# When nobody has answered in any round, those who come last are called again.
CALLED_AGAIN_EVERY: Final = timedelta(minutes=30)
# Before an incident continues as new: a chat that is down must not hold up the next call.
CARD_BEFORE_NEW: Final = timedelta(minutes=1)
