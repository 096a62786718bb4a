import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from holdfast.adapters.charts.correlation import correlation_chart
from holdfast.verdict.change_points import shifts, stepped_together
from tests.charts.pictures import Colour, pixels, size

NOON = datetime(2026, 3, 8, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ROSE, FELL, INK = (0xD5, 0x5E, 0x00), (0x00, 0x72, 0xB2), (0x22, 0x22, 0x22)
Series = dict[str, list[float | None]]


def stepping(seed: int, at: int = 60, height: float = 10, back: int | None = None) -> list[float | None]:
    values = np.random.default_rng(seed).normal(size=60)
    values[at:back] += height
    return [float(v) for v in values]


def draw(series: Series, *, start: datetime = NOON, step: timedelta = MINUTE, title: str = "a, b") -> bytes:
    found = shifts(series, step=step, start=start)
    return correlation_chart(series, found, stepped_together(found, longest_lag=10 * step), start, step, title)


def amount(picture: bytes, colour: Colour) -> int:
    """How many pixels have exactly this colour, the legend left out."""
    return int((pixels(picture)[:-80] == colour).all(axis=2).sum())


@pytest.mark.parametrize(("series", "rows"), [(1, 1), (3, 3), (10, 10), (14, 10)])
def test_a_picture_is_a_png_for_a_phone_that_grows_with_the_series_it_has_room_for(
    series: int, rows: int
) -> None:
    assert size(draw({str(i): stepping(i) for i in range(series)})) == (900, 195 + 95 * rows)


def test_a_rise_and_a_fall_have_colours_of_their_own_and_a_calm_series_none() -> None:
    calm, rise, fall = (draw({"m": stepping(1, at, height)}) for at, height in ((60, 0), (30, 10), (30, -10)))

    assert min(amount(rise, ROSE), amount(fall, FELL)) > 200
    assert amount(rise, FELL) == amount(fall, ROSE) == amount(calm, ROSE) == amount(calm, FELL) == 0


def test_the_mark_stands_where_the_step_is() -> None:
    places: list[float] = []
    for at in (15, 45):
        coloured = (pixels(draw({"m": stepping(1, at)}))[150:205] == ROSE).all(axis=2)
        places.append(float(np.median(np.nonzero(coloured)[1])))

    # The axes are 846 of 900 pixels wide, and 60 minutes.
    assert places == [pytest.approx(27 + 846 * at / 60, abs=8) for at in (15, 45)]


def test_an_arrow_joins_two_steps_that_are_a_pair() -> None:
    """Both have two marks; only those within ten minutes have an arrow in ink between them."""
    near, far = (draw({"a": stepping(1, 20), "b": stepping(2, at)}) for at in (25, 45))
    between = [int((pixels(p)[195:220, 200:600] == INK).all(axis=2).sum()) for p in (near, far)]

    assert between[0] > between[1] + 20


def test_a_return_is_drawn_too() -> None:
    there, back = draw({"m": stepping(1, 20)}), draw({"m": stepping(1, 20, back=40)})

    right = [(pixels(p)[150:205, 560:620] == ROSE).all(axis=2).sum() for p in (there, back)]
    assert right[0] == 0 < right[1]


@pytest.mark.parametrize("points", [[], [None] * 60, [5.0] * 60, [math.nan, math.inf, 1.0] * 20])
def test_series_with_nothing_to_see_are_drawn_all_the_same(points: Sequence[float | None]) -> None:
    assert size(draw({"m": list(points)})) == (900, 290)


@pytest.mark.parametrize("step", [timedelta(seconds=5), MINUTE, timedelta(hours=1), timedelta(days=2)])
def test_any_length_of_time_has_an_axis_of_its_own(step: timedelta) -> None:
    picture = draw({"m": stepping(1, 30)}, step=step)

    assert size(picture) == (900, 290)
    assert amount(picture, ROSE) > 200


def test_a_strange_name_is_drawn_as_it_is() -> None:
    assert size(draw({"$\\frac{1}$" + "x" * 60: stepping(1, 30)}, title="$$ 漢" * 40)) == (900, 290)
