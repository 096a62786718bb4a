import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from holdfast.verdict.detector_settings import Fixed, Hysteresis, ZScore
from holdfast.verdict.detectors import judge_series
from holdfast.verdict.hysteresis import hold

NO_DATA = math.nan


def held_by_definition(h: Hysteresis, raw: list[bool], known: list[bool]) -> tuple[list[bool], list[bool]]:
    """Look at each minute's past anew, as the words say it."""
    on, held, begun = False, list[bool](), list[bool]()
    for minute in range(len(raw)):
        past = [m for m in range(minute + 1) if known[m]]
        if known[minute] and len(past) > 1 and minute - past[-2] > 2 * h.of:
            on = False
        recent = [m for m in past[-h.of :] if minute - m < 2 * h.of]
        begins = not on and known[minute] and raw[minute] and sum(raw[m] for m in recent) >= h.bad
        last = past[-h.clear_minutes :]
        on = (on or begins) and not (len(last) == h.clear_minutes and not any(raw[m] for m in last))
        held.append(on and known[minute])
        begun.append(begins)
    return held, begun


@st.composite
def hystereses(draw: st.DrawFn) -> Hysteresis:
    of = draw(st.integers(1, 6))
    clear_after = draw(st.none() | st.integers(of, of + 4))
    return Hysteresis(bad=draw(st.integers(1, of)), of=of, clear_after=clear_after)


MARKS = st.lists(st.sampled_from(["b", "g", "."]) | st.just("." * 6 + "b"), max_size=80).map("".join)


@given(h=hystereses(), marks=MARKS)
def test_hysteresis_is_what_its_words_say(h: Hysteresis, marks: str) -> None:
    raw, known = [m == "b" for m in marks], [m != "." for m in marks]

    breach, begins = hold(h, np.array(raw, np.bool_), np.array(known, np.bool_))

    assert (breach.tolist(), begins.tolist()) == held_by_definition(h, raw, known)


@given(h=hystereses(), marks=MARKS)
def test_hysteresis_is_the_same_minute_by_minute_and_at_once(h: Hysteresis, marks: str) -> None:
    values = [{"b": 20.0, "g": 10.0, ".": NO_DATA}[m] for m in marks]

    # Nothing worse is learned next to a constant, so the limits of both stay where they are.
    in_turn = judge_series(ZScore(hysteresis=h), "rising", values, history=[10.0] * 60)
    at_once = judge_series(Fixed(limit=10, hysteresis=h), "rising", values)

    np.testing.assert_array_equal(in_turn.breach, at_once.breach)
    np.testing.assert_array_equal(in_turn.begins, at_once.begins)


def test_two_bad_minutes_of_three_begin_a_breach_and_three_good_ones_end_it() -> None:
    marks = "gbgbgggg"

    seen = judge_series(Fixed(limit=1), "rising", [2.0 if m == "b" else 0.0 for m in marks])

    assert np.flatnonzero(seen.breach).tolist() == [3, 4, 5]
    assert np.flatnonzero(seen.begins).tolist() == [3]


def test_minutes_without_data_are_neither_bad_nor_good() -> None:
    seen = judge_series(Fixed(limit=1), "rising", [2, NO_DATA, NO_DATA, 2, NO_DATA, 0, 0, NO_DATA, 0])

    assert np.flatnonzero(seen.breach).tolist() == [3, 5, 6]


def test_bad_minutes_from_before_a_long_silence_do_not_count() -> None:
    seen = judge_series(Fixed(limit=1), "rising", [2, 2, *[NO_DATA] * 6, 2, 2])

    assert np.flatnonzero(seen.begins).tolist() == [1, 9]
