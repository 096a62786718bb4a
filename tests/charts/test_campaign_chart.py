import math
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.adapters.charts.campaign import campaign_chart
from holdfast.adapters.charts.lines import Band, Line, Mark, Plot, plot_svg
from holdfast.adapters.reports.analysis import analyse
from holdfast.adapters.reports.looks import Looks
from holdfast.i18n import speaking
from tests.charts.pictures import amount, size
from tests.reports.made import BROKEN, kept, look, material

GREEN, RED, BLUE = (0x00, 0x9E, 0x73), (0xD5, 0x5E, 0x00), (0x00, 0x72, 0xB2)
NOON = datetime(2026, 3, 8, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_picture_fits_a_phone_and_shows_kept_and_spent_budgets(language: str) -> None:
    with speaking(language):
        picture = campaign_chart(analyse(material()))

    assert size(picture) == (1080, 1280)
    assert min(amount(picture, colour) for colour in (GREEN, RED, BLUE)) > 500


def test_a_calm_campaign_has_nothing_red() -> None:
    looks = Looks(look(minute) for minute in range(BROKEN.start))
    calm = analyse(material(looks=looks, campaign=kept(view={}), incidents={}))

    assert amount(campaign_chart(calm), RED) == 0


def test_a_campaign_of_which_nothing_was_seen_is_drawn_all_the_same() -> None:
    nothing = analyse(material(looks=Looks(), campaign=kept(view={}, spec={}), tests=[]))

    assert size(campaign_chart(nothing)) == (1080, 1280)


def a_plot(points: list[tuple[datetime, float | None]], lasts: timedelta = HOUR) -> Plot:
    return Plot(
        "a < b",
        [Line("l", points)],
        NOON,
        NOON + lasts,
        UTC,
        [Band(NOON, NOON + HOUR / 2, "&")],
        [Mark(3, "m")],
    )


def test_a_gap_breaks_the_line() -> None:
    minutes = [(NOON + timedelta(minutes=m), None if m == 5 else float(m)) for m in range(10)]

    assert plot_svg(a_plot(minutes)).count("<polyline") == 2


values = st.none() | st.floats(-1e9, 1e9) | st.sampled_from([math.nan, math.inf])


@given(points=st.lists(st.tuples(st.integers(-60, 600), values), max_size=20), minutes=st.integers(0, 60_000))
def test_any_line_is_well_formed_and_within_its_frame(
    points: list[tuple[int, float | None]], minutes: int
) -> None:
    line = [(NOON + timedelta(minutes=m), v) for m, v in sorted(points, key=lambda p: p[0])]
    root = ET.fromstring(plot_svg(a_plot(line, timedelta(minutes=minutes))))

    for drawn in root.iter("polyline"):
        for place in drawn.attrib["points"].split():
            x, y = map(float, place.split(","))
            assert 0 <= x <= 960
            assert 0 <= y <= 300
