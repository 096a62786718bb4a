import pytest

from holdfast.adapters.charts import verdict_chart
from holdfast.domain.view import VerdictView
from tests.charts.pictures import amount, size
from tests.telegram.views import a_measured_line, a_measured_verdict, a_view

INK, RED = (0x22, 0x22, 0x22), (0xD5, 0x5E, 0x00)
CONTINUE = (166, 221, 206)  # the band: green, thinned


def test_a_verdict_is_a_png_that_grows_with_its_metrics_and_findings() -> None:
    small = verdict_chart(a_measured_verdict(), "run")
    more = verdict_chart(a_measured_verdict(*[a_measured_line()] * 9), "run")
    edges = verdict_chart(a_measured_verdict(edges=["a"] * 4), "run")
    assert [size(picture)[0] for picture in (small, more, edges)] == [1200] * 3
    assert size(more)[1] > size(edges)[1] > size(small)[1]


def test_a_picture_does_not_grow_without_end() -> None:
    huge = a_measured_verdict(*[a_measured_line()] * 500, edges=["a"] * 500)
    assert size(verdict_chart(huge, "run"))[1] < 2000


def test_the_more_is_used_the_longer_the_bar() -> None:
    bars = [
        amount(verdict_chart(a_measured_verdict(a_measured_line(used_percent=used)), "run"), RED)
        for used in (20, 180)
    ]
    assert bars[1] > 4 * bars[0] > 0


@pytest.mark.parametrize(
    "changes",
    [
        {"risk_percent": 160, "risk": "0.60"},
        {"continue_up_to_percent": 100},
        {"pause_up_to_percent": None},
        {"model": "judge"},
        {"edges": ["another edge"]},
        {"rests_on": ""},
        {"warming": True},
        {"share_percent": 25},
    ],
)
def test_everything_that_is_known_of_a_verdict_shows(changes: dict[str, object]) -> None:
    assert verdict_chart(a_measured_verdict(**changes), "run") != verdict_chart(a_measured_verdict(), "run")


@pytest.mark.parametrize(
    "changes",
    [{"control": 0.5}, {"past": 0.5}, {"unit": "h"}, {"allowed": "up to 9 s"}, {"value": "1 s"}],
)
def test_every_number_of_a_metric_shows(changes: dict[str, object]) -> None:
    changed = a_measured_verdict(a_measured_line().model_copy(update=changes))
    assert verdict_chart(changed, "run") != verdict_chart(a_measured_verdict(), "run")


def test_bands_of_the_risk_are_only_drawn_where_they_are_known() -> None:
    unknown = a_measured_verdict(continue_up_to_percent=None)
    assert amount(verdict_chart(a_measured_verdict(), "run"), CONTINUE) > 1000
    assert amount(verdict_chart(unknown, "run"), CONTINUE) == 0


@pytest.mark.parametrize(
    "verdict",
    [
        a_view().verdict,
        a_measured_verdict().model_copy(update={"lines": []}),
        a_measured_verdict(risk="unknown", risk_percent=None),
        a_measured_verdict(risk="at least 1.20", risk_percent=None),
    ],
)
def test_a_verdict_that_lacks_something_can_be_drawn(verdict: VerdictView) -> None:
    assert amount(verdict_chart(verdict, "run"), INK) > 100


@pytest.mark.parametrize("text", ["$\\frac{1}$", "日本語 🛠️", "two\nlines", "", "x" * 500, "_^{}%&#"])
def test_any_text_can_be_drawn(text: str) -> None:
    line = a_measured_line(text, value=text, baseline=text, used=text, level=text, allowed=text, unit=text)
    verdict = a_measured_verdict(line, outcome=text, risk=text, edges=[text], rests_on=text, model=text)
    assert size(verdict_chart(verdict, text))[0] == 1200
