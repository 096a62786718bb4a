import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.verdict.observation import Outcome
from holdfast.verdict.scores import Judged, ModelScore, Stop, score


def stop(minutes: float, *, rolled_back_at: float | None = None) -> Stop:
    return Stop(minutes=minutes, outcome=Outcome.PAUSE, rolled_back_at=rolled_back_at)


def judged(name: str, label: str | None, stopped: Stop | None, fault: str = "") -> Judged:
    return Judged.model_validate({"id": name, "label": label, "fault": fault, "stops": {"judge": stopped}})


RELEASES = [
    judged("caught-early", "bad", stop(2), "cpu"),
    judged("caught-late", "bad", stop(10, rolled_back_at=12), "cpu"),
    judged("caught", "bad", stop(4), "wrong value"),
    judged("missed", "bad", None, "wrong value"),
    judged("cried-wolf", "good", stop(3)),
    judged("rolled-back", "good", stop(3, rolled_back_at=30)),
    *(judged(f"fine-{n}", "good", None) for n in range(6)),
    judged("nobody-knows", None, stop(1)),
]


def test_a_stop_is_a_positive_and_a_bad_release_is_what_it_should_find() -> None:
    result = score(RELEASES, "judge")

    counts = (result.true_positives, result.false_positives, result.false_negatives, result.true_negatives)
    assert counts == (3, 2, 1, 6)
    assert result.precision == pytest.approx(3 / 5)
    assert result.recall == pytest.approx(3 / 4)
    assert result.f1 == pytest.approx(2 / 3)


def test_minutes_are_the_median_of_the_bad_releases_that_were_stopped() -> None:
    assert score(RELEASES, "judge").median_minutes == 4


def test_automatic_rollbacks_count_at_any_minute_of_a_good_release() -> None:
    result = score(RELEASES, "judge")

    assert result.auto_rollbacks_of_good == 1
    assert result.auto_rollbacks_of_good_percent == pytest.approx(100 / 8)


def test_faults_are_told_apart() -> None:
    faults = score(RELEASES, "judge").faults

    assert [(f.fault, f.caught, f.total, f.median_minutes) for f in faults] == [
        ("cpu", 2, 2, 6),
        ("wrong value", 1, 2, 4),
    ]


def test_what_it_got_wrong_is_named() -> None:
    result = score(RELEASES, "judge")

    assert (result.missed, result.false_stops) == (["missed"], ["cried-wolf", "rolled-back"])


def test_what_divides_by_nothing_is_not_known() -> None:
    unknown = {"precision", "recall", "f1", "median_minutes", "auto_rollbacks_of_good_percent"}

    assert set(score([], "judge").model_dump(include=unknown).values()) == {None}
    quiet = score([judged("missed", "bad", None)], "judge")
    assert (quiet.precision, quiet.recall, quiet.f1) == (None, 0, 0)


def test_a_model_is_scored_only_on_what_it_judged() -> None:
    other = Judged(id="x", label="bad", stops={"weighted": None})

    assert score([*RELEASES, other], "judge") == score(RELEASES, "judge")
    assert score([*RELEASES, other], "weighted", deciding=True) == ModelScore.model_validate(
        score([other], "weighted").model_dump() | {"deciding": True}
    )


stops = st.none() | st.floats(0, 1000).map(stop)


@given(st.lists(st.tuples(st.sampled_from(["good", "bad"]), stops)))
def test_scores_are_what_their_definitions_say(drawn: list[tuple[str, Stop | None]]) -> None:
    result = score([judged(str(n), label, stopped) for n, (label, stopped) in enumerate(drawn)], "judge")

    caught = [stopped.minutes for label, stopped in drawn if label == "bad" and stopped]
    assert result.true_positives + result.false_negatives == sum(label == "bad" for label, _ in drawn)
    assert result.false_positives + result.true_negatives == sum(label == "good" for label, _ in drawn)
    assert result.median_minutes == (statistics.median(caught) if caught else None)
    assert len(result.missed) + len(result.false_stops) == result.false_negatives + result.false_positives
    if result.precision and result.recall:
        assert result.f1 is not None
        assert math.isclose(result.f1, statistics.harmonic_mean([result.precision, result.recall]))
