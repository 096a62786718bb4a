"""Named presets of load tests, so that no number stands at a call site."""

from datetime import timedelta
from typing import Final

LOAD_QUEUE: Final = "holdfast-load"

# A load worker that is killed is missed after this long, and a bit: the server looks at such short times only
# as often as `history.timerProcessorMaxTimeShift` says.
LOAD_HEARTBEAT: Final = timedelta(milliseconds=700)
# How often a generator's heartbeat reaches the server; a stop comes back the same way.
LOAD_BEAT: Final = timedelta(milliseconds=200)
# A worker that does not take up its own question within this is dead, and still on the server's list.
READY_WITHIN: Final = timedelta(seconds=2)
READY_ATTEMPT: Final = timedelta(seconds=15)
# Clocks that differ by more begin their shares apart, and make twice what they take over from each other.
MOST_CLOCK_SECONDS: Final = 2.0
# Until here load workers are looked for when there are none.
FIND_WORKERS: Final = timedelta(minutes=2)
# Generators are started and connected before the agreed start.
LEAD: Final = timedelta(seconds=3)
# After the last session has begun: answers that come late, and a store that is down.
LOAD_SPARE: Final = timedelta(hours=12)
# A share that loses its worker again and again is given up: something kills them.
MOST_ATTEMPTS: Final = 10
# The newest figures are shown this often, and never more often than so many times a test. A look is six events
# of the history, a card eleven: an hour's test makes some 2,400, and the server ends no run below 51,200.
LOOK_EVERY: Final = timedelta(seconds=1)
MOST_LOOKS: Final = 300
# The same for the card: a chat takes an edit every few seconds, not each second.
CARD_EVERY: Final = timedelta(seconds=3)
MOST_CARDS: Final = 50
# A store that is down must not hold a look up for ever.
CONCLUDE_ATTEMPT: Final = timedelta(minutes=10)
TELL_CAMPAIGN: Final = timedelta(minutes=10)
OVERTAKE: Final = timedelta(minutes=10)


def own_queue(worker: str) -> str:
    """Return the task queue that only this load worker serves."""
    return f"{LOAD_QUEUE}@{worker}"
