"""What every run with gates takes from people: decisions, extensions, hand-overs.

Send a decision with the Update `decide` (answered at once), or with the Signal `decide` (kept while no worker
is up).
"""

import asyncio
from collections.abc import Awaitable
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from workflows.heard import LATER, HeardRun, sender

with workflow.unsafe.imports_passed_through():
    from holdfast.domain.decisions import DecisionReply, Extension, Handover
    from holdfast.domain.view import RunState


class GatedRun(HeardRun):
    """Base of the workflows that ask people."""

    async def _shown(self, work: Awaitable[RunState], *, if_cancelled: str, failure: str) -> RunState:
        """Do the work while the run's card is kept up to date; return its ending when everybody knows it.

        Args:
            work: the run's own part.
            if_cancelled: what becomes of what is under way then, for the headline.
            failure: type of the error with which a failed run ends.

        Raises:
            asyncio.CancelledError: the run was cancelled; it has come to its end.
            ApplicationError: it failed.
        """
        publishing = asyncio.create_task(self._board.keep_publishing())
        cancelled = False
        try:
            ending = await work
        except asyncio.CancelledError:
            cancelled = True
            ending = self._cancelled(if_cancelled)
        await self._told(publishing)
        if cancelled:
            raise asyncio.CancelledError
        if ending is RunState.FAILED:
            raise ApplicationError(self._board.view.headline, type=failure, non_retryable=True)
        return ending

    def _cancelled(self, how: str) -> RunState:
        """End as cancelled, unless the run had come to an end before."""
        self._gates.supersede()
        if not self._board.view.state.ended:
            self._board.end(RunState.STOPPED, f"cancelled by request; {how}")
        return self._board.view.state

    @workflow.update(
        name="decide",
        description="Answer the open gate. Paste the JSON that the bot sent to your private chat "
        "(ask for it with 'send_code').",
    )
    def decide(self, message: Any = None) -> DecisionReply:
        """Record a decision; refused ones never get here."""
        reply = self._hearing.decide(message)
        self._board.show(say=f"{sender(message)} on {reply.gate}: {reply.text}")
        return reply

    @decide.validator
    def check_decision(self, message: Any = None) -> None:
        """Refuse a decision that does not count, with the reason."""
        self._hearing.validate(message)

    @workflow.update(
        name="extend",
        description="Move the deadline of the open gate. Paste the JSON that the bot sent to you "
        "(ask for it with 'send_code').",
    )
    def extend(self, message: Any = None) -> DecisionReply:
        """Move the deadline."""
        reply = self._hearing.extend(message)
        self._board.show(say=f"{sender(message)}: {reply.text}")
        return reply

    @extend.validator
    def check_extension(self, message: Any = None) -> None:
        """Refuse an extension that does not count, with the reason."""
        self._hearing.validate(message, Extension)

    @workflow.update(
        name="delegate",
        description="Hand the open gate over to somebody else. Paste the JSON that the bot sent to you "
        "(ask for it with 'send_code').",
    )
    def delegate(self, message: Any = None) -> DecisionReply:
        """Hand the gate over."""
        reply = self._hearing.hand_over(message)
        self._board.show(say=f"{sender(message)}: {reply.text}")
        return reply

    @delegate.validator
    def check_handover(self, message: Any = None) -> None:
        """Refuse a hand-over that does not count, with the reason."""
        self._hearing.validate(message, Handover)

    @workflow.signal(name="decide", description=f"The same as the update 'decide', {LATER}")
    async def decide_later(self, message: Any = None) -> None:
        """Record a decision, or say in the timeline why it did not count; the person is told in private."""
        if not workflow.patched("signed-signals"):
            self._board.show(say=f"{sender(message)}: {self._hearing.decide_unproven(message)}")
            return
        said = await self._hearing.decide_signalled(message)
        self._board.show(say=f"{sender(message)}: {said}")
        await self._tell(message, said)
