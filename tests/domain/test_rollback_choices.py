"""What a rollback would undo, and how a channel that recognises people asks for one."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.decisions import RollBack, parse
from holdfast.domain.errors import DecisionRefused, UnknownName
from holdfast.domain.journal import Effect, EntryStatus, JournalEntry
from holdfast.domain.proofs import CODE_GOOD_FOR, Keyring
from holdfast.domain.rollback import asked_in_person, may_be_undone, may_stay, undoing
from holdfast.domain.view import RunState, RunView, StageState, StageView

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
KEYS = Keyring(["a secret for tests only"])
STAGES = ("rate", "pool", "queue")


def entry(
    stage: str,
    status: EntryStatus = EntryStatus.APPLIED,
    *,
    lasting: bool = False,
    title: str = "t",
) -> JournalEntry:
    effect = Effect(
        key="k", stage=stage, kind="c", endpoint="e", part="p", values={}, title=title, lasting=lasting
    )
    return JournalEntry(effect=effect, before={"x": 1}, after={"x": 2}, status=status, recorded_at=NOW)


def view(*journal: JournalEntry, state: RunState = RunState.WATCHING) -> RunView:
    return RunView(
        run_id="run-1",
        runbook="r",
        title="t",
        requested_by="anna",
        started_at=NOW,
        state=state,
        stages=[StageView(name=n, title=n, change="") for n in STAGES],
        journal=list(journal),
        may_roll_back=["anna"],
    )


def names(stages: tuple[StageView, ...] | list[StageView]) -> list[str]:
    return [stage.name for stage in stages]


def test_everything_is_undone_newest_first_unless_a_stage_stays() -> None:
    run = view(entry("rate"), entry("pool"), entry("queue"))

    assert names(undoing(run).undone) == ["queue", "pool", "rate"]
    assert names(undoing(run, "rate").undone) == ["queue", "pool"]
    assert names(undoing(run, "rate").stays) == ["rate"]
    assert undoing(run, "queue").undone == ()


def test_a_stage_that_the_run_does_not_have_is_told_with_those_it_has() -> None:
    with pytest.raises(UnknownName, match="unknown stage 'pol'; known: pool, queue, rate"):
        undoing(view(), "pol")


@pytest.mark.parametrize("status", [EntryStatus.REVERTED, EntryStatus.DRIFTED, EntryStatus.LEFT])
def test_what_does_not_stand_any_more_is_not_undone_again(status: EntryStatus) -> None:
    assert undoing(view(entry("rate", status))).undone == ()
    assert not may_be_undone(view(entry("rate", status)))


def test_what_cannot_be_undone_of_a_stage_is_named() -> None:
    run = view(
        entry("rate", lasting=True, title="kept"), entry("pool"), entry("queue", lasting=True, title="out")
    )

    assert undoing(run).lasting == ("out", "kept")
    assert undoing(run, "rate").lasting == ("out",)


@pytest.mark.parametrize(
    ("standing", "promoted", "stay"),
    [
        ((), (), []),
        (("pool",), ("pool",), []),
        (("rate", "pool"), ("rate",), ["rate"]),
        (("rate", "pool", "queue"), ("rate", "pool"), ["pool", "rate"]),
        (("rate", "pool"), (), []),
        (("queue",), ("rate", "pool"), ["pool", "rate"]),
    ],
)
def test_promoted_stages_may_stay_where_something_after_them_is_undone(
    standing: tuple[str, ...], promoted: tuple[str, ...], stay: list[str]
) -> None:
    run = view(*map(entry, standing))
    for stage in run.stages:
        stage.state = StageState.PROMOTED if stage.name in promoted else StageState.CURRENT

    assert names(may_stay(run)) == stay


@given(st.lists(st.sampled_from(STAGES)), st.sampled_from(["", *STAGES]))
def test_each_standing_stage_is_either_undone_or_stays(stages: list[str], to: str) -> None:
    run = view(*map(entry, stages))
    would_be = undoing(run, to)

    assert sorted(names([*would_be.undone, *would_be.stays])) == sorted(set(stages))
    assert all(STAGES.index(n) > (STAGES.index(to) if to else -1) for n in names(would_be.undone))


@pytest.mark.parametrize("state", RunState)
def test_only_a_run_that_has_not_ended_may_be_undone(state: RunState) -> None:
    assert may_be_undone(view(entry("rate"), state=state)) is not state.ended


def test_what_is_asked_in_person_is_good_for_this_run_in_any_execution_and_for_what_it_names() -> None:
    said = RollBack(by="anna", to="rate", channel="telegram", id="one", proofs=("telegram",))
    sent = asked_in_person(KEYS, "run-1", said, now=NOW).model_dump(mode="json")

    read = parse(RollBack, sent)

    assert (read.by, read.to, read.id, read.action) == ("anna", "rate", "one", "rollback rate")
    for execution in ("e1", "e2"):
        KEYS.check(read, run="run-1", execution=execution, now=NOW)
    for changed in ({"to": ""}, {"by": "boris"}, {"channel": "cli"}, {"gate": "rollback"}):
        with pytest.raises(DecisionRefused):
            KEYS.check(read.model_copy(update=changed), run="run-1", execution="e1", now=NOW)
    for run, now in (("run-2", NOW), ("run-1", NOW + CODE_GOOD_FOR)):
        with pytest.raises(DecisionRefused):
            KEYS.check(read, run=run, execution="e1", now=now)
