"""What a person may choose of a rollback, and how a channel that recognises people asks for one."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from holdfast.domain.decisions import ROLLBACK, RollBack
from holdfast.domain.errors import UnknownName
from holdfast.domain.journal import JournalEntry, to_undo
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
        ways: what goes back from what to what, part by part, the newest first.
        schemas: names of the databases whose schema goes back.
    """

    undone: tuple[StageView, ...]
    stays: tuple[StageView, ...]
    lasting: tuple[str, ...]
    ways: tuple[str, ...] = ()
    schemas: tuple[str, ...] = ()


def undoing(view: RunView, to: str = "") -> Undoing:
    """Return what is undone when the stage named `to` is the last that stays; empty: nothing stays.

    Raises:
        UnknownName: the run has no such stage.
    """
    names = [stage.name for stage in view.stages]
    if to and to not in names:
        raise UnknownName("stage", to, names)
    undone = would_be_undone(view, to)
    steps = [entry for stage in undone for entry in to_undo(view.journal, stage.name)]
    made = [entry for entry in steps if not entry.effect.lasting]
    return Undoing(
        undone=tuple(undone),
        stays=tuple(stage for stage in reversed(would_be_undone(view)) if stage not in undone),
        lasting=tuple(entry.effect.title for entry in steps if entry.effect.lasting),
        ways=tuple(_ways(made)),
        schemas=tuple(dict.fromkeys(e.effect.endpoint for e in made if e.effect.kind == "alembic")),
    )


def _ways(steps: list[JournalEntry]) -> Iterator[str]:
    """Yield the whole way back of each part, however many steps it takes."""
    parts: dict[tuple[str, str], list[JournalEntry]] = {}
    for entry in steps:
        parts.setdefault((entry.effect.endpoint, entry.effect.part), []).append(entry)
    for newest, *_, oldest in ([*entries, entries[-1]] for entries in parts.values()):
        whole = newest.model_copy(update={"before": oldest.before})
        if whole.differs:
            yield whole.back


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
