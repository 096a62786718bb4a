import numpy as np
import pytest

from holdfast.adapters.charts.backtest import backtest_chart
from holdfast.verdict.observation import Outcome
from holdfast.verdict.scores import Judged, Label, Stop, score
from tests.charts.pictures import amount, pixels

BLUE, ORANGE = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)


def judged(name: str, label: Label | None, fault: str = "", **minutes: float | None) -> Judged:
    stops = {
        model: None if at is None else Stop(minutes=at, outcome=Outcome.PAUSE) for model, at in minutes.items()
    }
    return Judged(id=name, label=label, fault=fault, observed_minutes=20, stops=stops)


def drawn(*releases: Judged) -> bytes | None:
    models = list(releases[0].stops)
    return backtest_chart(releases, [score(releases, model, deciding=model == models[0]) for model in models])


def test_a_picture_is_a_png_wide_enough_for_two_panels() -> None:
    picture = pixels(drawn(judged("a", "bad", "crash", ours=3), judged("b", "good", ours=None)))
    assert picture.shape == (640, 1300, 3)


@pytest.mark.parametrize("releases", [[judged("a", None, ours=3)], [judged("a", "good", ours=3)]])
def test_without_a_bad_release_there_is_nothing_to_draw(releases: list[Judged]) -> None:
    assert drawn(*releases) is None


def test_without_a_model_there_is_nothing_to_draw() -> None:
    assert backtest_chart([judged("a", "bad", ours=3)], []) is None


def test_a_fault_that_is_caught_more_often_has_a_longer_bar() -> None:
    def caught(count: int) -> bytes | None:
        return drawn(*(judged(str(n), "bad", "crash", ours=3 if n < count else None) for n in range(8)))

    assert amount(caught(8), BLUE) > 2 * amount(caught(2), BLUE)


def test_a_good_release_that_is_stopped_leaves_a_mark_below_the_curve() -> None:
    def picture(stopped: float | None) -> bytes | None:
        return drawn(judged("a", "bad", "crash", ours=3), judged("b", "good", ours=stopped))

    without, marked = pixels(picture(None)), pixels(picture(12))
    rows = np.nonzero((without[:, :630] != marked[:, :630]).any(axis=(1, 2)))[0]
    blue = (marked == BLUE).all(axis=2) & ~(without == BLUE).all(axis=2)
    assert blue.sum() > 20
    assert rows.max() > 500


def test_every_model_has_its_own_colour() -> None:
    both = drawn(judged("a", "bad", "crash", ours=3, theirs=5), judged("b", "good", ours=None, theirs=None))
    assert amount(both, BLUE) > 1000
    assert amount(both, ORANGE) > 1000


def test_many_kinds_of_fault_make_the_picture_higher_and_odd_names_are_drawn_as_they_are() -> None:
    names = ["", "$x^", "a very long name of a fault that nobody could read", *map(str, range(20))]
    picture = pixels(drawn(*(judged(name, "bad", name, ours=3) for name in names)))
    assert picture.shape[0] > 1000
