from datetime import UTC, datetime
from typing import Any

import pytest

from holdfast.adapters.charts.load import load_chart
from holdfast.domain.campaign import TestVerdict as Verdict  # by its own name pytest would collect it
from holdfast.loadgen.result import Capacity, LoadResult, Point, Saturation, Series
from tests.charts.pictures import Colour, pixels, size

DUE, ENDED, FAILED = (0x99, 0x99, 0x99), (0x00, 0x9E, 0x73), (0xD5, 0x5E, 0x00)
P50, P95 = (0x56, 0xB4, 0xE9), (0x00, 0x72, 0xB2)


def result(points: list[Point | None], **other: Any) -> LoadResult:
    basic: dict[str, Any] = {
        "runbook": "sale",
        "title": "Autumn sale",
        "started_at": datetime(2026, 3, 1, tzinfo=UTC),
        "lasts": float(len(points)),
        "verdict": Verdict.PASSED,
        "series": [Series(name="*", points=points)],
    }
    return LoadResult.model_validate(basic | other)


def rising(seconds: int) -> list[Point | None]:
    return [
        Point(due=n, sent=n, good=n, ended=n, p50=0.02 + n / 1000, p95=0.05 + n / 500, p99=0.1 + n / 300)
        for n in range(1, seconds)
    ]


def amount(picture: bytes, colour: Colour) -> int:
    """How many pixels have exactly this colour, head and legend left out."""
    return int((pixels(picture)[130:-80] == colour).all(axis=2).sum())


@pytest.mark.parametrize("points", [[], rising(2), rising(90), [None, *rising(5)]])
def test_a_picture_is_a_png_for_a_phone(points: list[Point | None]) -> None:
    assert size(load_chart(result(points))) == (900, 720)


def test_latencies_and_rates_are_drawn() -> None:
    picture = load_chart(result(rising(90)))
    assert min(amount(picture, colour) for colour in (P50, P95, ENDED)) > 100


def test_requests_that_were_not_answered_leave_the_line_of_what_was_due_bare() -> None:
    half = [point.model_copy(update={"ended": point.ended // 2}) for point in rising(90) if point]
    assert amount(load_chart(result(list(half))), DUE) > 2 * amount(load_chart(result(rising(90))), DUE) + 100


def test_where_a_context_saturates_there_is_a_mark() -> None:
    found = Capacity(saturation=Saturation(context="orders", rate=40, at=40, sign="latency"))
    plain, marked = result(rising(90)), result(rising(90), capacity=found, verdict=Verdict.FAILED)
    assert amount(load_chart(marked), FAILED) > amount(load_chart(plain), FAILED) + 100


def test_a_test_without_a_request_says_so() -> None:
    assert amount(load_chart(result([])), ENDED) == 0
