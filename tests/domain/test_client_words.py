"""What a client reads: plain words, in the client's language, on the client's clock."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.client_words import ClientNews, Occasion, PromiseLine, in_plain_words

AT = datetime(2026, 12, 12, 9, 30, tzinfo=UTC)


def told(occasion: Occasion, **changes: Any) -> str:
    news = ClientNews(occasion=occasion, title="Autumn sale", time_zone="Europe/Moscow", at=AT)
    return in_plain_words(news.model_copy(update=changes))


def test_the_opening_says_until_when_it_is_watched_and_the_limits() -> None:
    text = told(Occasion.OPENED, closes=AT + timedelta(days=2), limits="in four batches")

    assert text.splitlines() == [
        "Autumn sale has begun. We are watching everything that your customers do until 14.12. 12:30.",
        "We go with limits: in four batches",
    ]


def test_an_update_says_how_each_promise_stands() -> None:
    promises = [
        PromiseLine(promise="Orders within 5 s", left_percent=81.4),
        PromiseLine(promise="Tickets within 5 s", left_percent=-3),
        PromiseLine(promise="Answers within 1 min"),
    ]
    text = told(Occasion.UPDATE, promises=promises, next_at=AT + timedelta(hours=2))

    assert text.splitlines() == [
        "Autumn sale: all is well (12:30).",
        "✅ Orders within 5 s: kept, 81 % of the allowance for errors is left.",
        "❌ Tickets within 5 s: not kept, the allowance for errors is used up.",
        "▫️ Answers within 1 min: too few customers so far to say.",
        "You will hear from us again at 14:30 at the latest, sooner if something changes.",
    ]
    assert told(Occasion.UPDATE, disturbed=True) == "Autumn sale: there is a disturbance (12:30)."


def counted(percent: float, *, kept: bool) -> PromiseLine:
    line = PromiseLine(promise="Orders within 5 s", left_percent=71.7)
    return line.model_copy(update={"sli_percent": percent, "objective_percent": 99.9, "kept": kept})


@pytest.mark.parametrize(
    ("occasion", "percent", "kept", "said"),
    [
        (Occasion.UPDATE, 99.957, True, "✅ Orders within 5 s: kept so far, 99.95 %."),
        (Occasion.UPDATE, 82.6, False, "❌ Orders within 5 s: not kept so far, 82.6 %."),
        (Occasion.CLOSED, 100.0, True, "✅ Orders within 5 s: kept, 100 %."),
        (Occasion.CLOSED, 99.896, False, "❌ Orders within 5 s: not kept, 99.89 %."),
    ],
)
def test_a_promise_is_told_by_what_was_counted_since_the_opening(
    *, occasion: Occasion, percent: float, kept: bool, said: str
) -> None:
    assert told(occasion, promises=[counted(percent, kept=kept)]).splitlines()[-1] == said


def test_a_count_that_stopped_before_the_end_says_until_when() -> None:
    line = counted(99.957, kept=True).model_copy(update={"counted_until": AT - timedelta(hours=10)})

    assert told(Occasion.CLOSED, promises=[line]).splitlines()[-1] == (
        "✅ Orders within 5 s: kept, 99.95 %. Counted until 02:30."
    )


@pytest.mark.parametrize("left", [80.0, -3.0, None])
def test_a_closing_without_a_count_judges_nothing_by_the_period(left: float | None) -> None:
    line = PromiseLine(promise="Orders within 5 s", left_percent=left)

    assert told(Occasion.CLOSED, promises=[line]).splitlines()[-1] == (
        "▫️ Orders within 5 s: not counted. The report says what is known of it."
    )


def test_a_breach_names_what_customers_cannot_do_and_never_our_parts() -> None:
    text = told(Occasion.BREACH, context="crm-pool", journey="submit a ticket", since=AT - timedelta(minutes=5))

    assert text.splitlines() == [
        "⚠️ Autumn sale: since 12:25 some of your customers cannot submit a ticket as quickly as promised.",
        "Our people have been called and are at work on it.",
    ]
    assert "crm-pool" not in text


def test_without_a_journey_the_contexts_title_is_named() -> None:
    assert "since 12:30 Checkout is slower or less reliable than promised" in told(
        Occasion.BREACH, context="Checkout", since=AT
    )


def test_the_end_of_a_breach_says_how_long_it_lasted() -> None:
    text = told(Occasion.OVER, journey="submit a ticket", minutes=17)

    assert text == (
        "✅ Autumn sale: since 12:30 your customers can submit a ticket again as promised. It lasted 17 min."
    )


def test_not_knowing_is_told_as_such() -> None:
    assert "we cannot measure how your customers fare (12:30)" in told(Occasion.BLIND)


def test_the_closing_counts_the_disturbances() -> None:
    assert "Disturbances: 3." in told(Occasion.CLOSED, breaches=3)


@pytest.mark.parametrize("occasion", Occasion)
def test_every_occasion_is_told_in_russian(occasion: Occasion) -> None:
    text = told(
        occasion,
        language="ru",
        closes=AT,
        limits="частями",
        journey="оформить заказ",
        since=AT,
        next_at=AT,
        promises=[
            PromiseLine(promise="Заказы за 5 с", left_percent=50),
            PromiseLine(promise="Заказы за 5 с", sli_percent=99, objective_percent=95, kept=True),
            PromiseLine(promise="Заказы за 5 с", sli_percent=90, objective_percent=95, counted_until=AT),
        ],
    )

    assert "Autumn sale" in text
    assert not set("abcdefghijklmnopqrstuvwxyz") & set(text.replace("Autumn sale", "").lower())


@given(
    occasion=st.sampled_from(Occasion),
    title=st.text(min_size=1, max_size=120),
    journey=st.text(max_size=80),
    limits=st.text(max_size=500),
    language=st.sampled_from(["en", "ru"]),
)
def test_whatever_the_file_says_it_is_told(
    occasion: Occasion, title: str, journey: str, limits: str, language: str
) -> None:
    text = told(occasion, title=title, journey=journey, limits=limits, language=language)

    assert title in text
    if occasion is Occasion.OPENED and limits:
        assert limits in text
