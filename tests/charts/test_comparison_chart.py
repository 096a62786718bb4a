import threading

import pytest

from holdfast.adapters.charts.comparison import comparison_chart
from holdfast.verdict.comparison import Comparison, compare
from holdfast.verdict.observation import Outcome
from holdfast.verdict.scores import Judged, Label, Stop
from tests.charts.pictures import amount, size

PRECISION, RECALL, F1 = (0x00, 0x72, 0xB2), (0xE6, 0x9F, 0x00), (0x00, 0x9E, 0x73)


def release(label: Label | None, **minutes: float | None) -> Judged:
    """Return a release that each model stopped after so many minutes, or not."""
    stops = {
        model: None if m is None else Stop(minutes=m, outcome=Outcome.PAUSE) for model, m in minutes.items()
    }
    return Judged(id="r", label=label, stops=stops)


def a_comparison(caught: int = 8) -> Comparison:
    """Return one of 24 releases of which 10 are bad; the challenger caught some that the champion did not."""
    good = [release("good", weighted=None, attributed=None)] * 12
    good += [release("good", weighted=4, attributed=None), release("good", weighted=None, attributed=9)]
    bad = [release("bad", weighted=None, attributed=3)] * caught
    bad += [release("bad", weighted=12, attributed=4)] * (10 - caught)
    return compare([*good, *bad], "weighted")


def test_a_picture_is_a_png_for_a_phone_that_grows_with_the_models() -> None:
    assert size(comparison_chart(a_comparison())) == (900, 535)
    alone = compare([release("bad", weighted=3)], "weighted")
    assert size(comparison_chart(alone)) == (900, 390)


def test_no_more_models_are_drawn_than_fit() -> None:
    many = compare([release("bad", weighted=3, **{f"model-{n}": 3.0 for n in range(9)})], "weighted")

    assert size(comparison_chart(many)) == (900, 245 + 6 * 145)


@pytest.mark.parametrize("colour", [PRECISION, RECALL, F1])
def test_the_better_a_model_the_longer_its_bars(colour: tuple[int, int, int]) -> None:
    perfect = [release("bad", weighted=3)] * 5
    poor = [*perfect[:1], *[release("good", weighted=3)] * 4, *[release("bad", weighted=None)] * 4]
    # Every picture's legend has some of the colour too.
    legend = amount(comparison_chart(compare([], "weighted")), colour)
    long, short = (amount(comparison_chart(compare(j, "weighted")), colour) - legend for j in (perfect, poor))

    assert long > 3 * short > 0


def test_what_is_not_known_has_no_bar() -> None:
    nobody_knows = compare([release(None, weighted=3, attributed=None)], "weighted")
    without = compare([], "weighted")

    for colour in (PRECISION, RECALL, F1):
        drawn, legend = (amount(comparison_chart(c), colour) for c in (nobody_knows, without))
        assert abs(drawn - legend) < 20


@pytest.mark.parametrize(
    "judged",
    [
        [],
        [release("bad", weighted=3)],
        [release(None, weighted=3, attributed=None)],
        [release("bad", weighted=3, attributed=3), release("good", weighted=None, attributed=None)] * 20,
    ],
)
def test_every_recommendation_has_a_picture_of_its_own(judged: list[Judged]) -> None:
    picture = comparison_chart(compare(judged, "weighted"))

    assert picture != comparison_chart(a_comparison())
    assert amount(picture, (0x22, 0x22, 0x22)) > 500, "the headline is written"


def test_a_strange_name_is_drawn_as_it_is() -> None:
    strange = compare([release("bad", weighted=3, **{"$\\frac{1}$" + "x" * 60: 2.0})], "weighted")

    assert size(comparison_chart(strange)) == (900, 535)


def test_two_threads_draw_without_disturbing_each_other() -> None:
    alone, drawn = comparison_chart(a_comparison()), list[bytes]()
    threads = [
        threading.Thread(target=lambda: drawn.append(comparison_chart(a_comparison()))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert drawn == [alone] * 3
