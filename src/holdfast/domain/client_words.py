"""Puts into plain words what a client is told: in the client's language, on the client's clock."""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field

from holdfast.domain import client_texts as texts
from holdfast.domain.shares import share_said
from holdfast.i18n import speaking, translate


class Occasion(StrEnum):
    """Why the client is told something."""

    OPENED = "opened"
    UPDATE = "update"
    BREACH = "breach"
    OVER = "over"
    BLIND = "blind"
    CLOSED = "closed"


class PromiseLine(BaseModel):
    """How one promise stands.

    Attributes:
        left_percent: of the error budget of its whole period; None while nobody can tell.
        sli_percent: share of good events since the window opened; None while they are not counted.
        objective_percent, kept: what is promised of them, and whether it is so.
        counted_until: when the counting stopped; None while it goes on, and where it went on to the end.
    """

    promise: str
    left_percent: float | None = None
    sli_percent: float | None = None
    objective_percent: float = 0.0
    kept: bool = False
    counted_until: datetime | None = None


class ClientNews(BaseModel):
    """Something to tell the client.

    Attributes:
        title: of the campaign.
        language, time_zone: the client's.
        at: when it was so.
        closes: when the window closes.
        limits: what "go with limits" means; empty where the campaign goes without.
        promises: how they stand.
        disturbed: whether something is broken at this moment.
        context, journey, since: of a breach.
        minutes: how long a breach lasted.
        next_at: when the client hears more.
        breaches: how many there were in all.
    """

    occasion: Occasion
    title: str
    language: str = "en"
    time_zone: str = "UTC"
    at: datetime
    closes: datetime | None = None
    limits: str = ""
    promises: list[PromiseLine] = Field(default_factory=list[PromiseLine])
    disturbed: bool = False
    context: str = ""
    journey: str = ""
    since: datetime | None = None
    minutes: int = 0
    next_at: datetime | None = None
    breaches: int = 0


def in_plain_words(news: ClientNews) -> str:
    """Return the message."""
    with speaking(news.language):
        return "\n".join(_lines(news))


def _lines(news: ClientNews) -> Iterator[str]:
    at = _clock(news.at, news)
    match news.occasion:
        case Occasion.OPENED:
            closes = _clock(news.closes or news.at, news)
            yield translate(texts.OPENED).format(title=news.title, closes=closes)
            if news.limits:
                yield translate(texts.LIMITED).format(limits=news.limits)
        case Occasion.UPDATE:
            head = texts.TROUBLED if news.disturbed else texts.ALL_WELL
            yield translate(head).format(title=news.title, at=at)
            yield from (_promise(line, news) for line in news.promises)
        case Occasion.BREACH:
            yield _breach(news, texts.BREACH, texts.BREACH_UNNAMED)
            yield translate(texts.AT_WORK)
        case Occasion.OVER:
            yield _breach(news, texts.OVER, texts.OVER_UNNAMED)
        case Occasion.BLIND:
            yield translate(texts.BLIND).format(title=news.title, at=at)
        case Occasion.CLOSED:
            yield translate(texts.CLOSED).format(title=news.title, n=news.breaches)
            yield from (_promise(line, news) for line in news.promises)
    if news.next_at is not None:
        yield translate(texts.NEXT_WORD).format(at=_clock(news.next_at, news))


def _breach(news: ClientNews, named: str, unnamed: str) -> str:
    template = translate(named if news.journey else unnamed)
    return template.format(
        title=news.title,
        since=_clock(news.since or news.at, news),
        at=_clock(news.at, news),
        journey=news.journey,
        context=news.context,
        minutes=news.minutes,
    )


def _promise(line: PromiseLine, news: ClientNews) -> str:
    """Say how a promise stands in the window; while that is not counted yet, by the budget of its period."""
    over = news.occasion is Occasion.CLOSED
    if line.sli_percent is not None:
        kept = texts.PROMISE_KEPT if over else texts.PROMISE_KEPT_SO_FAR
        missed = texts.PROMISE_MISSED if over else texts.PROMISE_MISSED_SO_FAR
        share = share_said(line.sli_percent, line.objective_percent, kept=line.kept)
        said = translate(kept if line.kept else missed).format(promise=line.promise, share=share)
        if line.counted_until is None:
            return said
        return f"{said} {translate(texts.COUNTED_UNTIL).format(at=_clock(line.counted_until, news))}"
    if over:  # what the period came to is no answer: most of it may lie before the window
        return translate(texts.PROMISE_UNCOUNTED).format(promise=line.promise)
    if line.left_percent is None:
        return translate(texts.PROMISE_UNKNOWN).format(promise=line.promise)
    template = texts.PROMISE_WELL if line.left_percent > 0 else texts.PROMISE_BROKEN
    return translate(template).format(promise=line.promise, left=f"{line.left_percent:.0f}")


def _clock(at: datetime, news: ClientNews) -> str:
    there, told = at.astimezone(ZoneInfo(news.time_zone)), news.at.astimezone(ZoneInfo(news.time_zone))
    return f"{there:%H:%M}" if there.date() == told.date() else f"{there:%d.%m. %H:%M}"
