"""What a status says, in English and in Russian."""

import re
from datetime import timedelta

import pytest

from holdfast.i18n import speaking, understood
from holdfast.slo.sentences import (
    budget_said,
    burns_said,
    figure,
    holds_said,
    no_data_said,
    no_part_said,
    span,
    too_few_said,
)
from holdfast.slo.status import BurnReading
from tests.slo.slo_builders import DAY, HOUR, MINUTE, alert

READING = BurnReading(long="1h", short="5m", factor=14.4, severity="page", long_burn=18.24, short_burn=20)
BURNS = burns_said(READING, alert(HOUR, 5 * MINUTE, 2), 61.2)


@pytest.mark.parametrize(
    ("english", "russian"),
    [
        (
            BURNS,
            (
                "запас ошибок сгорает в 18.2 раза быстрее допустимого за 1 ч и за 5 мин (порог 14.4); "
                "остаток запаса: 61.2 %"
            ),
        ),
        (holds_said(99.975, 30 * DAY, 75), "99.975 % успешных за 30 д; остаток запаса: 75 %"),
        (holds_said(None, 30 * DAY, None), "ни один порог не превышен; остаток запаса неизвестен"),
        (budget_said(-30), "запас перерасходован на 30 %"),
        (no_data_said(5 * MINUTE), "нет данных за 5 мин, судить не о чем"),
        (too_few_said(3, 5 * MINUTE, 10), "слишком мало событий для оценки: 3 за 5 мин, нужно 10"),
    ],
)
def test_a_sentence_is_understood_in_russian(english: str, russian: str) -> None:
    with speaking("ru"):
        assert understood(english) == russian


@pytest.mark.parametrize("part", ["good", "bad"])
def test_what_to_do_about_a_missing_number_is_understood_in_russian(part) -> None:
    with speaking("ru"):
        said = understood(no_part_said(5 * MINUTE, part=part))

    left = re.sub(rf"«{part}»|«or vector\(0\)»", "", said)
    assert re.findall(r"[a-z]+", left) == []


@pytest.mark.parametrize(
    ("duration", "said"),
    [
        (timedelta(seconds=51.84), "51.8 s"),
        (43 * MINUTE + timedelta(seconds=12), "43 min 12 s"),
        (90 * MINUTE, "1 h 30 min"),
        (30 * DAY, "30 d"),
        (timedelta(0), "0 s"),
    ],
)
def test_durations_are_written_in_full(duration, said) -> None:
    assert span(duration) == said


@pytest.mark.parametrize(("value", "said"), [(18.24, "18.2"), (0.01234, "0.0123"), (3040.4, "3040"), (0, "0")])
def test_figures_have_three_digits(value, said) -> None:
    assert figure(value) == said
