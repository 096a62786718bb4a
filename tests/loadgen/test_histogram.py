import base64
import math
import struct
import zlib
from array import array
from fractions import Fraction
from functools import reduce

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.errors import InvalidInput
from holdfast.loadgen.histogram import HIGHEST_US, Histogram

PERCENTS = (0, 1, 25, 50, 90, 95, 99, 99.9, 99.99, 100)
LATENCIES = st.lists(
    st.one_of(
        st.floats(min_value=0, max_value=HIGHEST_US),
        st.integers(0, 32).flatmap(lambda bits: st.sampled_from([2.0**bits - 1, 2.0**bits, 2.0**bits + 1])),
    ),
    max_size=60,
)


def histogram(values: list[float]) -> Histogram:
    return Histogram.of(array("d", values))


def reference(values: list[float]) -> HdrHistogram:
    other = HdrHistogram(1, HIGHEST_US, 3)
    for value in values:
        other.record_value(min(int(np.rint(value)), HIGHEST_US))
    return other


@given(LATENCIES)
def test_every_figure_is_that_of_the_reference_implementation(values: list[float]) -> None:
    ours, other = histogram(values), reference(values)
    assert ours.count == other.get_total_count() == len(values)
    # The Python package rounds a rank to the nearest, Java's rounds it up; so it is asked for the rank itself.
    ranks = [math.ceil(Fraction(str(p)) * len(values) / 100) for p in PERCENTS[1:]]
    asked = [0.0, *(100 * rank / len(values) if values else 0.0 for rank in ranks)]
    assert ours.percentiles(PERCENTS) == [other.get_value_at_percentile(p) for p in asked]
    if values:
        assert ours.maximum == other.get_max_value()
        assert ours.minimum == other.get_min_value()
    assert ours.mean == pytest.approx(other.get_mean_value())


@given(LATENCIES)
def test_the_reference_reads_what_is_encoded_here(values: list[float]) -> None:
    read = HdrHistogram.decode(histogram(values).encoded())
    other = reference(values)
    assert read.get_total_count() == len(values)
    assert [read.get_value_at_percentile(p) for p in PERCENTS] == [
        other.get_value_at_percentile(p) for p in PERCENTS
    ]


@given(LATENCIES)
def test_what_the_reference_encodes_is_read_here(values: list[float]) -> None:
    assert Histogram.decoded(reference(values).encode().decode()) == histogram(values)


@given(LATENCIES)
def test_what_is_encoded_reads_back_as_the_same(values: list[float]) -> None:
    ours = histogram(values)
    back = Histogram.decoded(ours.encoded())
    assert back == ours
    assert hash(back) == hash(ours)


@given(st.lists(LATENCIES, max_size=6), st.randoms(use_true_random=False))
def test_parts_add_up_to_the_whole_exactly_in_any_order(parts: list[list[float]], random) -> None:
    whole = histogram([value for part in parts for value in part])
    histograms = [histogram(part) for part in parts]
    random.shuffle(histograms)
    one_by_one = reduce(Histogram.add, histograms, Histogram.empty())
    assert one_by_one == Histogram.sum_of(histograms) == whole
    assert one_by_one.encoded() == whole.encoded()


@given(LATENCIES, LATENCIES, LATENCIES)
def test_adding_is_associative_and_commutative(a: list[float], b: list[float], c: list[float]) -> None:
    one, two, three = histogram(a), histogram(b), histogram(c)
    assert one.add(two).add(three) == one.add(two.add(three))
    assert one.add(two) == two.add(one)


@given(st.floats(min_value=1, max_value=HIGHEST_US))
def test_a_latency_keeps_three_digits_and_is_never_flattered(value: float) -> None:
    p50 = histogram([value]).percentile(50)
    assert np.rint(value) <= p50 <= max(value * 1.001, value + 1)


def test_a_latency_beyond_the_range_is_counted_in_the_last_bucket() -> None:
    ours = histogram([5.0, HIGHEST_US * 3.0, float("inf"), -7.0])
    assert ours.count == 4
    assert ours.maximum >= HIGHEST_US
    assert ours.minimum == 0


def test_what_is_no_number_is_left_out() -> None:
    assert histogram([float("nan"), 20.0]) == histogram([20.0])


def test_an_array_of_numpy_gives_the_same() -> None:
    assert Histogram.of(np.array([1.0, 2.5, 4000.0])) == histogram([1.0, 2.5, 4000.0])


def test_an_empty_histogram_says_zero_and_encodes() -> None:
    empty = Histogram.empty()
    assert (empty.count, empty.percentile(99), empty.maximum, empty.minimum, empty.mean) == (0, 0, 0, 0, 0)
    assert Histogram.decoded(empty.encoded()) == empty == Histogram.decoded("")
    assert empty != "empty"


def test_counts_of_many_millions_survive_the_encoding() -> None:
    many = reduce(lambda total, _: total.add(total), range(40), histogram([250.0]))
    assert many.count == 2**40
    assert Histogram.decoded(many.encoded()) == many
    assert HdrHistogram.decode(many.encoded()).get_total_count() == 2**40


def test_a_histogram_with_few_latencies_is_short() -> None:
    assert len(histogram([18_000.0 + 37 * n for n in range(50)]).encoded()) < 250


def test_latencies_above_a_bound_are_counted() -> None:
    ours = histogram([100.0, 200.0, 300.0, 300.0])
    assert [ours.count_above(bound) for bound in (50, 100, 250, 300)] == [4, 3, 2, 0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not base64!", "V2 encoding"),
        ("AAAA", "V2 encoding"),
        ("", None),
        (HdrHistogram(1, 10_000, 2).encode().decode(), "its range is 1 to 10000 with 2 digits"),
    ],
)
def test_a_foreign_text_is_refused_in_words(text: str, said: str | None) -> None:
    if said is None:
        assert Histogram.decoded(text).count == 0
        return
    with pytest.raises(InvalidInput, match=said):
        Histogram.decoded(text)


def test_a_cut_text_is_refused() -> None:
    whole = histogram([1.0, 70.0, 9000.0]).encoded()
    for end in range(4, len(whole), 4):
        with pytest.raises(InvalidInput, match="V2 encoding"):
            Histogram.decoded(whole[:end])


@pytest.mark.parametrize("percent", [-0.1, 100.1])
def test_a_percentile_beyond_its_scale_is_refused(percent: float) -> None:
    with pytest.raises(InvalidInput, match="between 0 and 100"):
        histogram([1.0]).percentile(percent)


@given(st.floats(0, HIGHEST_US), st.integers(0, 1000))
def test_one_latency_many_times_is_as_if_each_was_recorded(value: float, times: int) -> None:
    assert Histogram.repeated(value, times) == histogram([value] * times)


@given(LATENCIES, st.integers(0, 100))
def test_whatever_begins_in_a_second_ends_once_and_not_before_it(values: list[float], begin: int) -> None:
    ends = histogram(values).seconds_after(begin)
    assert sum(ends.values()) == len(values)
    assert all(count > 0 for count in ends.values())
    assert all(begin <= second <= begin + 1 + HIGHEST_US * 1.001 / 1e6 for second in ends)


def test_requests_that_begin_evenly_end_in_the_shares_that_their_latency_says() -> None:
    assert histogram([1_300_000.0] * 10).seconds_after(5) == {6: 7, 7: 3}
    ends = histogram([200_000.0 + 1000 * n for n in range(100)]).seconds_after(0)
    assert ends == {0: 75, 1: 25}


@given(st.integers(1, 2000), st.sampled_from([50, 90, 95, 99, 99.9]))
def test_no_more_than_the_rest_is_above_a_percentile(count: int, percent: float) -> None:
    ranked = Histogram(np.arange(count), np.ones(count, dtype=np.int64))  # one a microsecond
    exact = math.ceil(Fraction(str(percent)) * count / 100)
    assert ranked.percentile(percent) == exact - 1


def test_two_slow_ones_of_160_are_seen_in_the_99th_percentile() -> None:
    assert histogram([1000.0] * 158 + [5e6] * 2).percentile(99) == pytest.approx(5e6, rel=1e-3)


def test_gaps_that_no_histogram_has_are_refused_before_they_overflow() -> None:
    gap = bytes([0xFF] * 7 + [0x7F])  # skips 2^55 buckets
    payload = gap * 1024 + bytes([2])
    inner = struct.pack(">IIIIQQd", 0x1C849313, len(payload), 0, 3, 1, HIGHEST_US, 1.0) + payload
    packed = zlib.compress(inner)
    text = base64.b64encode(struct.pack(">II", 0x1C849314, len(packed)) + packed).decode()
    with pytest.raises(InvalidInput, match="beyond its last bucket"):
        Histogram.decoded(text)
