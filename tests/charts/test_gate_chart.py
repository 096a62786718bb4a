import threading

import pytest

from holdfast.adapters.charts import gate_chart
from holdfast.domain.evidence import Evidence
from holdfast.domain.view import MetricLine, RunView
from tests.charts.pictures import amount, pixels, size
from tests.telegram.views import NOW, a_measured_line, a_measured_verdict, a_view, an_open_gate

RED, YELLOW, GREEN = (0xD5, 0x5E, 0x00), (0xE6, 0x9F, 0x00), (0x00, 0x9E, 0x73)


def a_line(level: str, *, used: str = "67 %", **changes: object) -> MetricLine:
    line = MetricLine(metric="latency_p95", value="2.91", baseline="1.20", used=used, level=level)
    return line.model_copy(update=changes)


def with_lines(*lines: MetricLine, **changes: object) -> RunView:
    view = a_view(**changes)
    assert view.verdict
    return view.model_copy(update={"verdict": view.verdict.model_copy(update={"lines": list(lines)})})


def test_a_picture_is_a_png_for_a_phone() -> None:
    assert size(gate_chart(a_view())) == (900, 500)


@pytest.mark.parametrize("changes", [{"gate": None}, {"verdict": None}])
def test_without_a_gate_or_a_verdict_there_is_no_picture(changes: dict[str, None]) -> None:
    assert gate_chart(a_view(**changes)) is None


def test_a_verdict_without_metrics_has_no_picture() -> None:
    assert gate_chart(with_lines()) is None


@pytest.mark.parametrize(("level", "colour"), [("red", RED), ("yellow", YELLOW), ("green", GREEN)])
def test_the_more_is_used_the_longer_the_bar(level: str, colour: tuple[int, int, int]) -> None:
    little, much = (amount(gate_chart(with_lines(a_line(level, used_percent=p))), colour) for p in (20, 180))
    assert much > 4 * little > 0


def test_the_words_are_read_where_a_kept_verdict_has_no_numbers() -> None:
    assert gate_chart(with_lines(a_line("yellow"))) == gate_chart(with_lines(a_line("yellow", used_percent=67)))


def test_what_is_not_allowed_at_all_fills_its_bar() -> None:
    full = amount(gate_chart(with_lines(a_line("red", used="over 999 %", used_percent=5000))), RED)
    assert abs(amount(gate_chart(with_lines(a_line("red", used="none allowed"))), RED) - full) <= 5


def test_a_metric_that_is_not_measured_against_an_allowance_has_no_bar_but_its_level() -> None:
    judged = a_line("red", used="–")
    assert amount(gate_chart(with_lines(judged)), RED) < 1000
    assert gate_chart(with_lines(judged)) != gate_chart(with_lines(a_line("red", used="none allowed")))


def test_a_metric_without_a_level_has_no_bar_but_a_sign() -> None:
    silent = gate_chart(with_lines(a_line("canary silent", used="–", used_percent=90.0)))
    assert [amount(silent, colour) for colour in (RED, YELLOW, GREEN)] == [0, 0, 0]
    assert 0 < amount(silent, (0xBB, 0xBB, 0xBB)) < 1000


def test_the_worst_metrics_are_shown_where_not_all_fit() -> None:
    many = with_lines(*[a_line("green", used_percent=50)] * 12, a_line("red", used_percent=150))
    assert amount(gate_chart(many), RED) > amount(gate_chart(with_lines(a_line("green"))), RED) == 0


def test_thresholds_are_told_where_the_evidence_holds_them() -> None:
    risk = {"continue_up_to_percent": 50, "pause_up_to_percent": 150}
    gate = an_open_gate(basis=Evidence(risk=risk, taken_at=NOW))
    assert gate_chart(a_view(gate=gate)) != gate_chart(a_view())
    strange = an_open_gate(basis=Evidence(risk=risk | {"pause_up_to_percent": "x"}, taken_at=NOW))
    assert gate_chart(a_view(gate=strange)) == gate_chart(a_view())


@pytest.mark.parametrize("text", ["$\\frac{1}$", "日本語 🛠️", "two\nlines", "", "x" * 500, "_^{}%&#"])
def test_any_text_can_be_drawn(text: str) -> None:
    view = with_lines(
        a_line(text, metric=text, used=text, value=text, baseline=text),
        title=text,
        gate=an_open_gate(title=text),
    )
    assert pixels(gate_chart(view)).shape == (500, 900, 3)


def test_two_threads_draw_without_disturbing_each_other() -> None:
    alone, drawn = gate_chart(a_view()), list[bytes | None]()
    threads = [threading.Thread(target=lambda: drawn.append(gate_chart(a_view()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert drawn == [alone] * 4


def test_what_the_numbers_rest_on_and_are_compared_with_is_told() -> None:
    pictures = [
        gate_chart(a_view(verdict=verdict))
        for verdict in (
            a_measured_verdict(),
            a_measured_verdict(rests_on=""),
            a_measured_verdict(edges=[]),
            a_measured_verdict(warming=True),
            a_measured_verdict(continue_up_to_percent=None),
            a_measured_verdict(a_measured_line(compared_with="baseline")),
        )
    ]
    assert len(set(pictures)) == len(pictures)


def test_the_worst_metric_stays_where_findings_take_its_room() -> None:
    lines = [a_measured_line(level="green", used_percent=0)] * 9
    crowded = a_measured_verdict(*lines, a_measured_line())
    assert amount(gate_chart(a_view(verdict=crowded)), RED) > 1000
