"""What a campaign's window came to is kept exactly, and looks without it are read as before."""

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from holdfast.adapters.sql_store.moment_rows import joined, split
from holdfast.slo.status import Moment, SloStatus, WindowCount

AT = datetime(2026, 12, 11, 10, tzinfo=UTC)


def look(count: WindowCount | None) -> Moment:
    status = SloStatus(context="shop", slo="orders", promise="p", objective_percent=99.9, window=count)
    return Moment(at=AT, slos=[status])


def kept(moment: Moment) -> Moment:
    shape, numbers = split(moment)
    return joined(moment.at, json.loads(shape), numbers)


@given(st.integers(1, 10**12).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_a_count_comes_back_to_the_last_event(numbers: tuple[int, int]) -> None:
    moment = look(WindowCount.of(*numbers, 99.9, at=AT))

    assert kept(moment) == moment


def test_a_look_that_counted_nothing_comes_back_as_such() -> None:
    assert kept(look(None)) == look(None)


def test_rows_that_end_with_the_burn_rates_are_read() -> None:
    shape, numbers = split(look(None))
    slos, kpis, silent = json.loads(numbers)
    older = json.dumps([[slo[:-1] for slo in slos], kpis, silent])

    assert joined(AT, json.loads(shape), older) == look(None)
