"""What a client reads in the own channel: plain words, none of our parts by name."""

from typing import Final

OPENED: Final = "{title} has begun. We are watching everything that your customers do until {closes}."
LIMITED: Final = "We go with limits: {limits}"
ALL_WELL: Final = "{title}: all is well ({at})."
TROUBLED: Final = "{title}: there is a disturbance ({at})."
PROMISE_KEPT_SO_FAR: Final = "✅ {promise}: kept so far, {share} %."
PROMISE_MISSED_SO_FAR: Final = "❌ {promise}: not kept so far, {share} %."
PROMISE_KEPT: Final = "✅ {promise}: kept, {share} %."
PROMISE_MISSED: Final = "❌ {promise}: not kept, {share} %."
PROMISE_UNCOUNTED: Final = "▫️ {promise}: not counted. The report says what is known of it."
COUNTED_UNTIL: Final = "Counted until {at}."
# While the campaign's own events are not counted yet: by the budget of the whole period.
PROMISE_WELL: Final = "✅ {promise}: kept, {left} % of the allowance for errors is left."
PROMISE_BROKEN: Final = "❌ {promise}: not kept, the allowance for errors is used up."
PROMISE_UNKNOWN: Final = "▫️ {promise}: too few customers so far to say."
BREACH: Final = "⚠️ {title}: since {since} some of your customers cannot {journey} as quickly as promised."
BREACH_UNNAMED: Final = "⚠️ {title}: since {since} {context} is slower or less reliable than promised."
AT_WORK: Final = "Our people have been called and are at work on it."
NEXT_WORD: Final = "You will hear from us again at {at} at the latest, sooner if something changes."
OVER: Final = "✅ {title}: since {at} your customers can {journey} again as promised. It lasted {minutes} min."
OVER_UNNAMED: Final = "✅ {title}: since {at} {context} is again as promised. It lasted {minutes} min."
CLOSED: Final = "{title} is over. Thank you. Disturbances: {n}. The report follows."
BLIND: Final = (
    "{title}: at this moment we cannot measure how your customers fare ({at}). We are looking into it."
)
