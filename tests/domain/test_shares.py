"""Shares of good events as they are read: never on the other side of the promise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.shares import share_said


@pytest.mark.parametrize(
    ("percent", "objective", "kept", "said"),
    [
        (99.896, 99.9, False, "99.89"),
        (99.8999999999, 99.9, False, "99.89"),
        (99.90000000001, 99.9, False, "99.89"),
        (99.89999999999, 99.9, True, "99.9"),
        (99.957, 99.9, True, "99.95"),
        (99.9995, 99.9995, True, "99.9995"),
        (99.99949, 99.9995, False, "99.9994"),
        (82.6, 95, False, "82.6"),
        (99.9999, 95, True, "99.99"),
        (100.0, 95, True, "100"),
        (0.0, 95, False, "0"),
    ],
)
def test_it_is_rounded_to_the_side_of_the_judgement(
    *, percent: float, objective: float, kept: bool, said: str
) -> None:
    assert share_said(percent, objective, kept=kept) == said


@given(
    objective=st.integers(1, 99_999).map(lambda n: n / 1_000),
    percent=st.floats(0, 100),
)
def test_the_digits_always_say_what_the_judgement_says(objective: float, percent: float) -> None:
    enough = percent >= objective

    said = float(share_said(percent, objective, kept=enough))

    assert (said >= objective) is enough
    assert said < 100 or percent == 100
