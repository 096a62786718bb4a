"""What a person may choose of a rollback, and how a channel that recognises people asks for one."""

from dataclasses import dataclass
from datetime import datetime

from holdfast.domain.decisions import ROLLBACK, RollBack
from holdfast.domain.errors import UnknownName
from holdfast.domain.journal import to_undo
from holdfast.domain.proofs import CODE_GOOD_FOR, Keyring
from holdfast.domain.undoing import would_be_undone
from holdfast.domain.view import RunView, StageState, StageView


@dataclass(frozen=True)
class Undoing:
    """What a rollback would do, as far as the run shows.

    Attributes:
        undone: stages whose changes are taken back, the newest first.
        stays: stages whose changes stay, in the order of the plan.
        lasting: effects of the undone stages that cannot be taken back, by title, the newest first.
    """

    undone: tuple[StageView, ...]
    stays: tuple[StageView, ...]
    lasting: tuple[str, ...]


def undoing(view: RunView, to: str = "") -> Undoing:
    """Return what is undone when the stage named `to` is the last that stays; empty: nothing stays.

    Raises:
        UnknownName: the run has no such stage.
    """
    names = [stage.name for stage in view.stages]
    if to and to not in names:
        raise UnknownName("stage", to, names)
    undone = would_be_undone(view, to)
    return Undoing(
        undone=tuple(undone),
        stays=tuple(stage for stage in reversed(would_be_undone(view)) if stage not in undone),
        lasting=tuple(
            entry.effect.title
            for stage in undone
            for entry in to_undo(view.journal, stage.name)
            if entry.effect.lasting
        ),
    )


def may_be_undone(view: RunView) -> bool:
    """Whether somebody may ask this run for a rollback that would undo something."""
    return not view.state.ended and bool(view.may_roll_back) and bool(would_be_undone(view))


def may_stay(view: RunView) -> list[StageView]:
    """Return the stages that may stay while something after them is undone, the newest first."""
    promoted = [stage for stage in view.stages if stage.state is StageState.PROMOTED]
    return [stage for stage in reversed(promoted) if would_be_undone(view, stage.name)]


def asked_in_person(keyring: Keyring, run_id: str, said: RollBack, *, now: datetime) -> RollBack:
    """Sign the request of somebody whom the channel has recognised; good for `CODE_GOOD_FOR`.

    It is for whichever execution the run is in: a channel knows an execution only from an open gate, and a
    rollback has to be possible without one, also while no worker is up to be asked.
    """
    until = (now + CODE_GOOD_FOR).replace(microsecond=0)
    dated = said.model_copy(update={"gate": "", "token": ROLLBACK, "expires_at": until})
    code = keyring.signed(dated, run=run_id, execution="").code
    return dated.model_copy(update={"code": code})
