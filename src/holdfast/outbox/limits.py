"""What one bot may send now: its own rate, each chat's, and the pauses that the chat asked for."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final

from holdfast.outbox.gcra import LONG_AGO, Gcra, nanoseconds
from holdfast.runbook import priorities as policy

BOT: Final = ""
"""Where pauses are kept by chat: the whole bot."""
_MARGIN: Final = nanoseconds(timedelta(milliseconds=250))
# Ordinary waits are 2 to 5 s. Telegram has asked for 10,072 s, too, and nobody knows whether a wait is the
# chat's or the bot's: one chat alone must not silence everybody for hours.
_LONG: Final = nanoseconds(timedelta(seconds=10))
_ON_ONE_WORD: Final = nanoseconds(timedelta(seconds=60))
_SHORTEST_WAIT_SECONDS: Final = 1.0
_LONGEST_WAIT_SECONDS: Final = 86_400.0  # what asks for more is no answer of Telegram
_GATHERING: Final = nanoseconds(timedelta(milliseconds=10))
_TIDY: Final = nanoseconds(timedelta(seconds=1))
_MEMORY: Final = timedelta(minutes=1)


def is_group(chat: str) -> bool:
    """Whether a chat id is that of a group or channel: negative, or an @name."""
    return chat.startswith(("-", "@"))


class Limits:
    """The buckets and pauses of one bot. All moments are nanoseconds of one monotonic clock.

    Memory: a bucket for each chat that was written to within the time that it takes to fill, and a pause for
    each chat that was refused.

    Args:
        spec: of the policy.
        reserve: tokens of the bot's bucket that only answers may take; left out: a quarter of the burst, at
            least one where the burst allows it. The rest keep the full rate in the long run, since the
            reserve is what stays in the bucket, not what is taken out of the rate.
    """

    def __init__(self, spec: policy.Limits, *, reserve: int | None = None) -> None:
        self._spec = spec
        self._bot = Gcra.of(spec.bot)
        # A flood of other messages then never delays an answer (docs/outbox.md, Which message goes first).
        wanted = max(1, spec.bot.burst // 4) if reserve is None else reserve
        self._reserve = min(wanted, spec.bot.burst - 1)
        self._chats: dict[str, Gcra] = {}
        self._paused: dict[str, int] = {}
        self._refused: dict[str, int] = {}
        # Few of the chats are empty or pause: looked at often, so kept apart.
        self._blocked: dict[str, int] = {}
        self._tidy_at = LONG_AGO

    @property
    def spec(self) -> policy.Limits:
        """The policy that it keeps to."""
        return self._spec

    @property
    def memory(self) -> timedelta:
        """How far back what was sent still counts: the longest time in which a bucket fills."""
        rates = (self._spec.bot, self._spec.private, self._spec.group)
        return max(_MEMORY, *(rate.interval * rate.burst for rate in rates))

    @property
    def gathering(self) -> int:
        """How long tokens may gather, so that one claim takes many rows, without any being lost."""
        return min(_GATHERING, self._bot.interval * (self._spec.bot.burst // 4))

    def adopted(self, spec: policy.Limits, now: int) -> "Limits":
        """Return limits of another policy that remember the pauses and what was sent."""
        limits = Limits(spec)
        limits._bot = self._bot.at_rate(spec.bot)
        limits._chats = {chat: bucket.at_rate(limits._rate(chat)) for chat, bucket in self._chats.items()}
        limits._paused = dict(self._paused)
        limits._refused = dict(self._refused)
        for chat in {*limits._chats, *limits._paused} - {BOT}:
            if delay := limits.chat_delay(chat, now):
                limits._block(chat, now + delay)
        return limits

    def tokens(self, now: int) -> int:
        """Return how many messages the bot may send at this moment, the reserve included."""
        return 0 if self._paused.get(BOT, now) > now else self._bot.tokens(now)

    def tokens_for_all(self, now: int) -> int:
        """Return how many messages that are no answers the bot may send at this moment."""
        return max(0, self.tokens(now) - self._reserve)

    def delay(self, now: int, *, answer: bool = False) -> int:
        """Return the nanoseconds until the bot may send one."""
        bucket = self._bot.delay(now, keep=0 if answer else self._reserve)
        return max(bucket, self._paused.get(BOT, now) - now)

    def chat_delay(self, chat: str, now: int) -> int:
        """Return the nanoseconds until a chat may be written to, as far as it is concerned."""
        bucket = self._chats.get(chat)
        return max(bucket.delay(now) if bucket else 0, self._paused.get(chat, now) - now)

    def blocked(self, now: int) -> dict[str, int]:
        """Return the chats that may not be written to, and until when; forget what is over."""
        if now >= self._tidy_at:
            self._tidy_at = now + _TIDY
            self._paused = {chat: until for chat, until in self._paused.items() if until > now}
            self._chats = {chat: bucket for chat, bucket in self._chats.items() if bucket.full_again_in(now)}
        self._blocked = {chat: until for chat, until in self._blocked.items() if until > now}
        return self._blocked

    def take(self, chat: str, now: int) -> None:
        """Count a message to a chat."""
        self._bot.take(now)
        if chat not in self._chats:
            self._chats[chat] = Gcra.of(self._rate(chat))
        self._chats[chat].take(now)
        if delay := self._chats[chat].delay(now):
            self._block(chat, now + delay)

    def replay(self, recent: Iterable[tuple[str, int]]) -> None:
        """Count what an earlier sender sent, oldest first."""
        for chat, moment in recent:
            self.take(chat, moment)

    def pause(self, chat: str, until: int) -> None:
        """Do not write to a chat before, or with `BOT` to anybody."""
        self._paused[chat] = max(self._paused.get(chat, until), until)
        if chat != BOT:
            self._block(chat, until)

    def refused(self, chat: str, retry_after: float, now: int) -> Mapping[str, int]:
        """Keep the pauses that follow from a 429, and return them: until when, by chat.

        The chat waits as long as it asked, and a little. The whole bot waits as well when another chat's wait
        has not passed yet, since two chats at once point at the bot's own limit; or when the wait is long
        though the chat's own bucket was full. On the word of one chat alone the bot waits a minute at most:
        then another chat is tried, and if that is refused the bot waits as long as it is told.

        Args:
            chat: that refused.
            retry_after: seconds.
            now: the present moment.
        """
        seconds = min(max(retry_after, _SHORTEST_WAIT_SECONDS), _LONGEST_WAIT_SECONDS)
        wait = round(seconds * 1_000_000_000)
        pauses = {chat: now + wait + _MARGIN}
        # To pause the whole bot at every refusal, as python-telegram-bot's limiter does, is "stricter than
        # necessary" by that one's own documentation.
        self._refused = {other: end for other, end in self._refused.items() if end > now}
        if self._refused.keys() - {chat}:
            pauses[BOT] = now + wait + _MARGIN
        elif wait > _LONG and self._is_inside_its_budget(chat, now):
            pauses[BOT] = min(now + wait + _MARGIN, now + _ON_ONE_WORD)
        self._refused[chat] = now + wait
        for paused, until in pauses.items():
            self.pause(paused, until)
        return pauses

    def _block(self, chat: str, until: int) -> None:
        self._blocked[chat] = max(self._blocked.get(chat, until), until)

    def _rate(self, chat: str) -> policy.Rate:
        return self._spec.group if is_group(chat) else self._spec.private

    def _is_inside_its_budget(self, chat: str, now: int) -> bool:
        """Whether the chat's bucket was full before the message that was refused."""
        bucket = self._chats.get(chat)
        return bucket is None or bucket.full_again_in(now) <= bucket.interval
