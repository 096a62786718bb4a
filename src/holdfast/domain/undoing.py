"""Who may ask a run to roll back, to where, and what would be undone."""

from holdfast.domain.decisions import Answer, RollBack
from holdfast.domain.errors import DecisionRefused
from holdfast.domain.view import RunView, StageState, StageView


def would_be_undone(view: RunView, stays: str = "") -> list[StageView]:
    """Return the stages that a rollback would undo, the newest first; those after `stays`, or all."""
    names = [stage.name for stage in view.stages]
    after = view.stages[names.index(stays) + 1 :] if stays in names else view.stages
    standing = {entry.effect.stage for entry in view.journal if entry.stands}
    return [stage for stage in reversed(after) if stage.name in standing]


def check_roll_back(request: RollBack, view: RunView) -> None:
    """Check that this person may have that undone by the run itself.

    Raises:
        DecisionRefused: why not; the text is what the person reads.
    """
    # Time has passed, and others may build on what it did: that is no longer the safe direction, so a run of
    # its own asks for an approval first (docs/decisions/0011).
    if view.state.ended:
        raise DecisionRefused(
            Answer.ALREADY_DECIDED,
            f"The run has ended ({view.state}), so another run has to undo it: "
            f"'holdfast rollback {view.run_id} --as {request.by}' starts one.",
        )
    check_wish(request, view)


def check_wish(request: RollBack, view: RunView) -> None:
    """Check the same whether or not the run has ended; errors as for `check_roll_back`."""
    # One person is enough, whoever started the run included, and no second factor is asked for: one that fails
    # at 3 a.m. for want of a telephone costs an outage, one too many costs a repetition (docs/decisions/0011).
    if request.by not in view.may_roll_back:
        raise DecisionRefused(
            Answer.NOT_AN_APPROVER,
            f"'{request.by}' may not roll this run back; {', '.join(view.may_roll_back) or 'nobody'} may.",
        )
    promoted = [stage.name for stage in view.stages if stage.state is StageState.PROMOTED]
    if request.to and request.to not in promoted:
        raise DecisionRefused(
            Answer.UNREADABLE,
            f"to: '{request.to}' is no promoted stage of this run, so it cannot stay. "
            f"Promoted: {', '.join(promoted) or 'none'}. Leave 'to' out to undo everything.",
        )
    if not would_be_undone(view, request.to):
        stays = f" after stage '{request.to}'" if request.to else ""
        raise DecisionRefused(
            Answer.NOTHING_TO_UNDO, f"Nothing{stays} is changed by this run, so there is nothing to undo."
        )


def goes_further(request: RollBack, other: RollBack, view: RunView) -> bool:
    """Whether a request would undo more than another one does."""
    names = [stage.name for stage in view.stages]
    stays, others = (names.index(to) if to in names else -1 for to in (request.to, other.to))
    return stays < others


def said_of(request: RollBack, view: RunView) -> str:
    """Return what a person is told whose request counts."""
    undone = ", ".join(stage.title for stage in would_be_undone(view, request.to))
    stays = f" Stage '{request.to}' and those before it stay." if request.to else ""
    return f"Rolling back: {undone}.{stays}"


def reason_of(request: RollBack) -> str:
    """Say whose wish the rollback is, for the run's headline."""
    why = f": {request.reason}" if request.reason else ""
    return f"{request.by} asked for a rollback{why}."
