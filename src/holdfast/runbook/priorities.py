"""`escalation/priorities.yaml`: which message goes first, and how fast a bot may send."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from holdfast.domain.strict import Duration, Strict, read_duration, write_duration

Span = Annotated[
    timedelta,
    BeforeValidator(read_duration, json_schema_input_type=str),
    PlainSerializer(write_duration, return_type=str),
    Field(ge=timedelta(0)),
]
_FREE_PER_SECOND: Final = 30
_PAID_PER_SECOND: Final = 1000
ANSWERS: Final = "answers"


class Delivery(StrEnum):
    """What happens to a message that was tried and whose fate is not known."""

    AT_LEAST_ONCE = "at_least_once"  # sent again, saying that an earlier copy may have arrived
    AT_MOST_ONCE = "at_most_once"  # shown to people, who decide


class Tier(Strict):
    """A customer tier.

    Attributes:
        weight: its share of the rate while several tiers wait, against the others' weights.
        offset: how much later than at its arrival its messages are due.
    """

    weight: int = Field(ge=1, le=1000)
    offset: Span = timedelta(0)


class ValueBonus(Strict):
    """What the value of an order is worth: the larger, the earlier its message is due.

    Attributes:
        at_most: the bonus of an order of `full_at` and above; in proportion below.
        full_at: in whatever currency the values are given in.
    """

    at_most: Span = timedelta(seconds=10)
    full_at: float = Field(default=1_000_000, gt=0, allow_inf_nan=False)


class Kind(Strict):
    """A class of messages.

    Attributes:
        tier: where a message says none; `answers` for what answers a person who tapped or typed.
        offset: added to the tier's.
        delivery: what happens after a try of unknown fate.
        digest: whether many to one chat become one.
    """

    tier: str
    offset: Span = timedelta(0)
    delivery: Delivery = Delivery.AT_MOST_ONCE
    digest: bool = False


class Answers(Strict):
    """Answers to people who tapped or typed.

    Attributes:
        share_percent: of the rate, up to which answers go before everything else; beyond they compete.
        weight: with which they compete then.
    """

    share_percent: int = Field(default=20, ge=1, le=90)
    weight: int = Field(default=6, ge=1, le=1000)


class Digest(Strict):
    """When many messages to one chat become one.

    Attributes:
        more_than: so many waiting in one chat and topic are still sent singly.
        at_most: lines in one digest.
    """

    more_than: int = Field(default=5, ge=1, le=100)
    at_most: int = Field(default=25, ge=2, le=100)


class Rate(Strict):
    """How often something may be sent: `burst` at once, then `count` in each span of `per`."""

    count: float = Field(gt=0, allow_inf_nan=False)
    per: Duration = timedelta(seconds=1)
    burst: int = Field(default=1, ge=1)

    @property
    def interval(self) -> timedelta:
        """The time from one message to the next in the long run."""
        return self.per / self.count


class Limits(Strict):
    """What the sender keeps to; Telegram names about 30 a second, one a second a chat, 20 a minute a group.

    Attributes:
        bot: all messages of the bot.
        private: to one person.
        group: to one group or channel.
        paid_broadcast: pay for more than 30 a second, up to 1,000.
    """

    # Below what Telegram names, about 30 a second and 20 a minute: its exact numbers are not published, and its
    # clock is not ours. Together with the bursts that is 29 and 19 at most (docs/outbox.md).
    bot: Rate = Rate(count=25, burst=4)
    private: Rate = Rate(count=1, burst=2)
    group: Rate = Rate(count=17, per=timedelta(minutes=1), burst=2)
    paid_broadcast: bool = False

    @model_validator(mode="after")
    def _is_what_telegram_allows(self) -> Self:
        most = _PAID_PER_SECOND if self.paid_broadcast else _FREE_PER_SECOND
        # The most in any second: what the burst lets through and what the rate adds to it.
        a_second = self.bot.burst + timedelta(seconds=1) / self.bot.interval
        if a_second > most:
            remedy = "" if self.paid_broadcast else "; for more set paid_broadcast: true, which costs money"
            raise ValueError(
                f"bot: burst and rate let {a_second:g} through in a second, at most {most}{remedy}"
            )
        return self


class Priorities(Strict):
    """The whole policy.

    Attributes:
        tiers: by name, the most important first.
        default_tier: of a customer whose tier is not named here.
        kinds: of messages, by name.
    """

    tiers: dict[str, Tier] = Field(min_length=1)
    default_tier: str
    value: ValueBonus = ValueBonus()
    answers: Answers = Answers()
    digest: Digest = Digest()
    kinds: dict[str, Kind] = Field(min_length=1)
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        if ANSWERS in self.tiers:
            raise ValueError(
                f"tiers: '{ANSWERS}' is the name of the answers' own lane; name the tier otherwise"
            )
        known = ", ".join(self.tiers)
        if self.default_tier not in self.tiers:
            raise ValueError(f"default_tier: '{self.default_tier}' is no tier; known: {known}")
        for name, kind in self.kinds.items():
            if kind.tier not in self.tiers and kind.tier != ANSWERS:
                raise ValueError(f"kinds.{name}.tier: '{kind.tier}' is no tier; known: {known}, {ANSWERS}")
        missing = sorted(REQUIRED_KINDS - self.kinds.keys())
        if missing:
            raise ValueError(f"kinds: {', '.join(missing)} missing; Holdfast itself sends these")
        return self


REQUIRED_KINDS: Final = frozenset({"answer", "page", "notice", "reminder", "card", "ping", "escalation"})
"""What Holdfast itself sends; see the shipped file for what each is."""


DEFAULT_PRIORITIES: Final = Priorities(
    tiers={
        "gold": Tier(weight=6),
        "silver": Tier(weight=3, offset=timedelta(seconds=15)),
        "bronze": Tier(weight=1, offset=timedelta(seconds=45)),
    },
    default_tier="silver",
    kinds={
        "answer": Kind(tier=ANSWERS),
        "page": Kind(tier="gold", delivery=Delivery.AT_LEAST_ONCE),
        "notice": Kind(tier="gold", delivery=Delivery.AT_LEAST_ONCE),
        "reminder": Kind(tier="bronze", digest=True),
        "ping": Kind(tier="gold", digest=True),
        "card": Kind(tier="silver"),
        "escalation": Kind(tier="silver", delivery=Delivery.AT_LEAST_ONCE, digest=True),
    },
)
"""What counts without a file; the same as the shipped one says."""
