"""Freezes systems: while a campaign's window is open only fixes are rolled out."""

from datetime import datetime

from temporalio import workflow

from workflows.calls import call
from workflows.effects import even_if_cancelled

with workflow.unsafe.imports_passed_through():
    from activities.holding import ClaimReport, ClaimRequest, HoldActivities, ReleaseRequest
    from holdfast.ports.holds import EVERYTHING, Holder, freeze_name


class Freezing:
    """What one run has frozen, until it thaws it or ends, however it ends. Several runs may freeze one system.

    Attributes:
        frozen: names of systems, `*` for all; a run that continues as new hands it to its next part.
    """

    def __init__(self, frozen: tuple[str, ...] = ()) -> None:
        """Go on with what an earlier part of the run has frozen."""
        self.frozen = frozen

    async def freeze(self, systems: tuple[str, ...], why: str, *, until: datetime | None = None) -> None:
        """Refuse these systems to rollouts that are no fixes; a rollout that is under way may end its stage.

        Args:
            systems: as rollouts name them; none means all.
            why: what the refused read beside the run's id, e.g. the campaign's title.
            until: when it is going to end, for the refused to read; it does not end by itself then.
        """
        wanted = systems or (EVERYTHING,)
        self.frozen = tuple(dict.fromkeys((*self.frozen, *wanted)))  # before the claim: it may be cancelled
        me = workflow.info().workflow_id
        holder = Holder(run=me, since=workflow.now(), title=why, shares=True, until=until)
        freezing = call(
            HoldActivities.claim_systems,
            ClaimRequest(systems=[freeze_name(system) for system in wanted], holder=holder),
            returns=ClaimReport,
            summary=f"freeze {', '.join(wanted)}"[:200],
        )
        await even_if_cancelled(freezing)

    async def thaw(self) -> None:
        """Let rollouts have everything again that this run has frozen; nothing is done where it has not."""
        if not self.frozen:
            return
        names, frozen = [freeze_name(system) for system in self.frozen], self.frozen
        thawing = call(
            HoldActivities.release_systems,
            ReleaseRequest(systems=names, run=workflow.info().workflow_id),
            returns=type(None),
            summary=f"thaw {', '.join(frozen)}"[:200],
        )
        await even_if_cancelled(thawing)
        self.frozen = ()
