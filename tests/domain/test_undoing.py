from datetime import UTC, datetime

import pytest

from holdfast.domain.decisions import Answer, RollBack
from holdfast.domain.errors import DecisionRefused
from holdfast.domain.journal import Effect, EntryStatus, JournalEntry, origins, to_undo
from holdfast.domain.undoing import (
    check_roll_back,
    check_wish,
    goes_further,
    reason_of,
    said_of,
    would_be_undone,
)
from holdfast.domain.view import RunState, RunView, StageState, StageView

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
NAMES = ("one", "two", "three")


def made(
    stage: str, part: str = "stable", *, limit: int = 8, status: EntryStatus = EntryStatus.APPLIED
) -> JournalEntry:
    effect = Effect(
        key=f"r/{stage}/{part}-{limit}",
        stage=stage,
        kind="k",
        endpoint="shop",
        part=part,
        values={},
        title=stage,
    )
    before, after = {"limit": limit}, {"limit": limit + 1}
    return JournalEntry(effect=effect, before=before, after=after, recorded_at=NOON, status=status)


def run(*journal: JournalEntry, promoted: tuple[str, ...] = (), state: RunState = RunState.WATCHING) -> RunView:
    stages = [
        StageView(
            name=name,
            title=name.title(),
            change="",
            state=StageState.PROMOTED if name in promoted else StageState.AHEAD,
        )
        for name in NAMES
    ]
    return RunView(
        run_id="r",
        runbook="b",
        title="t",
        requested_by="anna",
        started_at=NOON,
        state=state,
        stages=stages,
        journal=list(journal),
        may_roll_back=["anna"],
    )


@pytest.mark.parametrize(
    ("status", "stands"),
    [
        (EntryStatus.PLANNED, True),  # nobody knows whether it has reached the target
        (EntryStatus.APPLIED, True),
        (EntryStatus.REVERTED, False),
        (EntryStatus.DRIFTED, False),
        (EntryStatus.LEFT, False),
    ],
)
def test_what_may_stand_would_be_undone(status: EntryStatus, stands: bool) -> None:  # noqa: FBT001  pytest's
    one = made("one", status=status)
    assert [stage.name for stage in would_be_undone(run(one))] == (["one"] if stands else [])
    assert to_undo([one], "one") == ([one] if stands else [])


def test_stages_are_undone_newest_first_and_those_up_to_the_named_one_stay() -> None:
    view = run(*map(made, NAMES))
    assert [stage.name for stage in would_be_undone(view)] == ["three", "two", "one"]
    assert [stage.name for stage in would_be_undone(view, "one")] == ["three", "two"]
    assert would_be_undone(view, "three") == []


def test_effects_of_one_stage_are_undone_newest_first_to_where_each_part_was_at_first() -> None:
    journal = [made("one"), made("two", limit=20), made("one", "share"), made("one", limit=9)]
    assert to_undo(journal, "one") == [journal[3], journal[2], journal[0]]
    assert origins(journal, "one") == [journal[0], journal[2]]


@pytest.mark.parametrize(
    ("to", "other", "further"),
    [
        ("", "one", True),
        ("one", "two", True),
        ("one", "", False),
        ("two", "one", False),
        ("", "", False),
        ("one", "one", False),
    ],
)
def test_a_rollback_goes_further_if_less_of_the_run_stays(to: str, other: str, further: bool) -> None:  # noqa: FBT001  pytest's
    assert goes_further(RollBack(by="anna", to=to), RollBack(by="boris", to=other), run()) is further


def test_a_stage_that_is_not_promoted_cannot_stay() -> None:
    view = run(made("one"), made("two"), promoted=("one",))
    check_wish(RollBack(by="anna", to="one"), view)
    for to in ("two", "nonsense"):
        with pytest.raises(DecisionRefused, match="Promoted: one") as refusal:
            check_wish(RollBack(by="anna", to=to), view)
        assert refusal.value.answer is Answer.UNREADABLE


@pytest.mark.parametrize("state", list(RunState))
def test_only_a_run_that_has_not_ended_undoes_itself(state: RunState) -> None:
    view, wish = run(made("one"), state=state), RollBack(by="anna")
    check_wish(wish, view)
    if not state.ended:
        check_roll_back(wish, view)
        return
    with pytest.raises(DecisionRefused, match="holdfast rollback r --as anna") as refusal:
        check_roll_back(wish, view)
    assert refusal.value.answer is Answer.ALREADY_DECIDED


def test_somebody_who_may_not_is_told_who_may_and_somebody_too_early_what_to_do_instead() -> None:
    with pytest.raises(DecisionRefused, match="'gleb' may not roll this run back; anna may"):
        check_wish(RollBack(by="gleb"), run(made("one")))
    with pytest.raises(DecisionRefused, match="nothing to undo") as refusal:
        check_wish(RollBack(by="anna"), run())
    assert refusal.value.answer is Answer.NOTHING_TO_UNDO


def test_people_read_what_is_undone_what_stays_and_why() -> None:
    view = run(*map(made, NAMES), promoted=("one",))
    assert said_of(RollBack(by="anna"), view) == "Rolling back: Three, Two, One."
    partly = said_of(RollBack(by="anna", to="one"), view)
    assert partly == "Rolling back: Three, Two. Stage 'one' and those before it stay."
    assert reason_of(RollBack(by="anna", reason="it hurts")) == "anna asked for a rollback: it hurts."
    assert reason_of(RollBack(by="anna")) == "anna asked for a rollback."
