"""Observations as columns."""

from math import nan

import numpy as np
import pytest

from holdfast.verdict.minutes import Edge, minutes_of
from holdfast.verdict.observation import EdgeSample, NoData
from tests.verdict.shares import METRICS, MINUTE, NOON, edge, minute


def only_edge(*samples: EdgeSample | None) -> Edge:
    """Return the one edge of as many minutes; None is a minute in which nobody reported it."""
    seen = [minute(number, edges=[sample] if sample else []) for number, sample in enumerate(samples)]
    (found,) = minutes_of(seen).edges
    return found


def test_nothing_observed_gives_no_minutes() -> None:
    columns = minutes_of([])

    assert (len(columns), columns.metrics, columns.edges) == (0, {}, ())


def test_every_query_gives_a_pair_of_columns() -> None:
    seen = [
        minute(0, {"errors": [1.0, NoData.CANARY_SILENT]}, {"errors": [0.5, 0.25]}),
        minute(1, {"errors": NoData.PROVIDER_DOWN}, {"errors": [NoData.BOTH_SILENT, 0.125]}),
    ]

    first, second = minutes_of(seen).metrics["errors"]

    np.testing.assert_array_equal(first.canary, [1.0, nan])
    np.testing.assert_array_equal(first.control, [0.5, nan])
    np.testing.assert_array_equal(second.canary, [nan, nan])
    np.testing.assert_array_equal(second.control, [0.25, 0.125])


def test_a_control_that_was_not_asked_is_empty() -> None:
    seen = minute(0)

    (pair,) = minutes_of([seen.model_copy(update={"control": {}})]).metrics["latency"]

    np.testing.assert_array_equal(pair.control, [nan])


def test_times_requests_and_outages_are_columns_too() -> None:
    down = dict.fromkeys(METRICS, NoData.PROVIDER_DOWN)
    seen = [
        minute(0, canary_requests=3.0, control_requests=60.0),
        minute(1, {"cpu": NoData.PROVIDER_DOWN}, control_requests=50.0),
        minute(2, down, canary_requests=4.0),
    ]

    columns = minutes_of(seen)

    assert columns.at.tolist() == [(NOON + n * MINUTE).timestamp() for n in range(3)]
    assert columns.provider_down.tolist() == [False, True, True]
    np.testing.assert_array_equal(columns.canary_requests, [3.0, nan, 4.0])
    np.testing.assert_array_equal(columns.control_requests, [60.0, 50.0, nan])


def test_the_canary_counts_by_its_mean_and_the_control_by_its_lower_middle() -> None:
    found = only_edge(edge("bot", "shop", [10.0, 30.0, None], [0.0, 50.0, 1.0, 2.0]))

    assert found.canary_error.tolist() == [20.0]
    assert found.control_typical.tolist() == [1.0]
    assert found.control_worst.tolist() == [50.0]


def test_strictly_a_member_of_the_control_without_a_ratio_fails() -> None:
    found = only_edge(edge("bot", "shop", [None], [None, None, 1.0]))

    assert found.control_typical.tolist() == [1.0]
    assert found.control_strict.tolist() == [100.0]


def test_of_two_in_the_middle_the_lower_counts_also_strictly() -> None:
    found = only_edge(edge("bot", "shop", [None], [None, 1.0]))

    assert found.control_strict.tolist() == [1.0]


@pytest.mark.parametrize(
    ("members", "seen", "error"), [([], [False], nan), ([None], [True], nan), ([0.0], [True], 0.0)]
)
def test_a_side_that_reports_no_ratio_is_seen_all_the_same(
    members: list[float | None], seen: list[bool], error: float
) -> None:
    found = only_edge(edge("bot", "shop", members, members))

    assert (found.canary_seen.tolist(), found.control_seen.tolist()) == (seen, seen)
    np.testing.assert_array_equal(found.canary_error, [error])
    np.testing.assert_array_equal(found.control_typical, [error])


def test_an_edge_that_nobody_reports_in_a_minute_is_blank_there() -> None:
    sample = edge("bot", "shop", [1.0], [2.0], canary_calls=5.0, control_calls=90.0)

    found = only_edge(None, sample, None)

    assert found.canary_seen.tolist() == [False, True, False]
    np.testing.assert_array_equal(found.control_worst, [nan, 2.0, nan])
    np.testing.assert_array_equal(found.canary_calls, [nan, 5.0, nan])
    np.testing.assert_array_equal(found.control_calls, [nan, 90.0, nan])


def test_edges_are_told_apart_by_both_ends_and_sorted() -> None:
    seen = minute(
        0,
        edges=[edge("web", "shop", [3.0], []), edge("bot", "shop", [2.0], []), edge("shop", "crm", [1.0], [])],
    )

    found = minutes_of([seen]).edges

    assert [(e.caller, e.callee, e.inbound) for e in found] == [
        ("bot", "shop", True),
        ("shop", "crm", False),
        ("web", "shop", True),
    ]
    assert [e.canary_error.tolist() for e in found] == [[2.0], [1.0], [3.0]]
