import subprocess
import sys
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from holdfast.apps.bot.times import Words
from holdfast.domain.errors import InvalidInput
from holdfast.i18n import plural, speaking, translate
from holdfast.i18n.times import moment, on_clock, span

MOSCOW = ZoneInfo("Europe/Moscow")
NIGHT = datetime(2026, 11, 21, 0, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("code", "words"), [("en", "Sat 21 Nov 2026, 03:12 MSK"), ("ru", "сб 21 ноя 2026, 03:12 MSK")]
)
def test_a_moment_is_told_on_the_readers_clock_and_in_the_readers_language(code: str, words: str) -> None:
    with speaking(code):
        assert moment(NIGHT, MOSCOW) == words


@pytest.mark.parametrize(
    ("duration", "english", "russian"),
    [
        (timedelta(seconds=-5), "0 seconds", "0 секунд"),
        (timedelta(seconds=1), "1 second", "1 секунда"),
        (timedelta(seconds=59), "59 seconds", "59 секунд"),
        (timedelta(minutes=1), "1 minute", "1 минута"),
        (timedelta(minutes=2), "2 minutes", "2 минуты"),
        (timedelta(minutes=5), "5 minutes", "5 минут"),
        (timedelta(minutes=11), "11 minutes", "11 минут"),
        (timedelta(minutes=21), "21 minutes", "21 минута"),
        (timedelta(hours=2), "2 hours", "2 часа"),
        (timedelta(hours=47), "47 hours", "47 часов"),
        (timedelta(days=2), "2 days", "2 дня"),
        (timedelta(days=101), "101 days", "101 день"),
    ],
)
def test_a_span_has_the_plural_of_its_language(duration: timedelta, english: str, russian: str) -> None:
    assert span(duration) == english
    with speaking("ru"):
        assert span(duration) == russian


def test_the_language_is_spoken_within_the_block_only() -> None:
    with speaking("ru-RU"):
        assert plural("{n} hour", "{n} hours", 3) == "{n} часа"
        with speaking("en"):
            assert plural("{n} hour", "{n} hours", 3) == "{n} hours"
        assert translate("Nothing waits for you.") == "Вас ничего не ждёт."
    assert translate("Nothing waits for you.") == "Nothing waits for you."


def test_a_text_without_a_translation_stays_as_it_is_and_nothing_stays_nothing() -> None:
    with speaking("ru"):
        assert translate("no such text {at} all") == "no such text {at} all"
        assert translate("") == ""


@pytest.mark.parametrize(
    ("typed", "then"),
    [
        ("+7d", NIGHT + timedelta(days=7)),
        ("+7д", NIGHT + timedelta(days=7)),
        ("+2Ч", NIGHT + timedelta(hours=2)),
        ("+30м", NIGHT + timedelta(minutes=30)),
        ("+1н", NIGHT + timedelta(weeks=1)),
        ("tomorrow", datetime(2026, 11, 22, 23, 59, tzinfo=MOSCOW)),
        ("завтра", datetime(2026, 11, 22, 23, 59, tzinfo=MOSCOW)),
        ("Сегодня 18:00", datetime(2026, 11, 21, 18, 0, tzinfo=MOSCOW)),
        ("послезавтра 8:30", datetime(2026, 11, 23, 8, 30, tzinfo=MOSCOW)),
        ("2026-12-31", datetime(2026, 12, 31, 23, 59, tzinfo=MOSCOW)),
        ("31.12.2026 18:00", datetime(2026, 12, 31, 18, 0, tzinfo=MOSCOW)),
        ("21.11", datetime(2026, 11, 21, 23, 59, tzinfo=MOSCOW)),
        ("01.02", datetime(2027, 2, 1, 23, 59, tzinfo=MOSCOW)),
    ],
)
def test_dates_are_understood_as_people_type_them_in_either_language(typed: str, then: datetime) -> None:
    assert Words(typed).moment("until", zone=MOSCOW, now=NIGHT) == then


@pytest.mark.parametrize("typed", ["31.13.2026", "30.02", "+7x", "потом", "31.12.26"])
def test_what_is_no_date_is_named_in_the_persons_language(typed: str) -> None:
    with speaking("ru"), pytest.raises(InvalidInput, match="не дата"):
        Words(typed).moment("срок", zone=MOSCOW, now=NIGHT)


def test_english_reads_no_catalogue() -> None:
    code = (
        "import sys; from datetime import timedelta; from holdfast.i18n import plural, translate, understood;"
        "from holdfast.i18n.times import span; translate('x'); plural('a', 'b', 2); understood('x');"
        "span(timedelta(1)); sys.exit('babel' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("until 2026-11-21 20:39 UTC; then", "until 2026-11-21 23:39 MSK; then"),
        ("at 2026-12-31 22:15:07 UTC.", "at 2027-01-01 01:15:07 MSK."),
        ("2026-02-30 20:39 UTC is no day", "2026-02-30 20:39 UTC is no day"),
        ("9999-12-31 23:59 UTC has no day after it", "9999-12-31 23:59 UTC has no day after it"),
        ("no moment here", "no moment here"),
    ],
)
def test_moments_in_what_a_run_says_are_put_on_the_readers_clock(text: str, told: str) -> None:
    assert on_clock(text, MOSCOW) == told
    assert on_clock(text, UTC) == text
