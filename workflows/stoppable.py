"""What a run that changes things takes from people besides decisions: a rollback, at any time."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from temporalio import workflow

from workflows.effects import ended
from workflows.gated import GatedRun
from workflows.heard import sender
from workflows.undoing import Undoing

with workflow.unsafe.imports_passed_through():
    from holdfast.domain.decisions import ROLLBACK, Answer, DecisionReply, RollBack, parse
    from holdfast.domain.undoing import goes_further, reason_of, said_of

T = TypeVar("T")


class StoppableRun(GatedRun):
    """Base of the workflows that can be told to undo what they did."""

    _wanted: RollBack | None = None

    @workflow.update(
        name="roll_back",
        description="Undo what this run did: everything, or what came after the stage named in 'to'. Paste the "
        "JSON that the bot sent to your private chat (ask for it with 'send_code' and gate 'rollback').",
    )
    def roll_back(self, message: Any = None) -> DecisionReply:
        """Begin a rollback; refused ones never get here."""
        return self._called_off(parse(RollBack, message))

    @roll_back.validator
    def check_roll_back(self, message: Any = None) -> None:
        """Refuse a rollback that does not count, with the reason."""
        self._hearing.validate(message, RollBack)

    @workflow.signal(
        name="roll_back",
        description="The same as the update 'roll_back', kept while no worker is up. Its fate is in the "
        "details and in your private chat.",
    )
    async def roll_back_later(self, message: Any = None) -> None:
        """Begin a rollback, or say in the timeline why it did not count."""
        refused = await self._hearing.refused_signal(message, RollBack, signal="roll_back")
        said = refused or self._called_off(parse(RollBack, message)).text
        self._board.show(say=f"{sender(message)}: {said}")
        await self._tell(message, said)

    async def _unless_called_off(self, work: Awaitable[T], undoing: Undoing) -> T | None:
        """Do the work; None when a rollback is asked for, after the work has undone what was under way."""
        working = asyncio.ensure_future(work)
        called = asyncio.create_task(workflow.wait_condition(lambda: self._wanted is not None))
        try:
            await workflow.wait([working, called], return_when=asyncio.FIRST_COMPLETED)
            if self._wanted is not None:
                undoing.because = reason_of(self._wanted)
            if working.done():
                return working.result()
            working.cancel()
            await ended(working)
            return None
        except asyncio.CancelledError:
            working.cancel()
            # However the work ends, the run is cancelled: it does not continue as new, either.
            await ended(working)
            raise
        finally:
            called.cancel()

    def _called_off(self, request: RollBack) -> DecisionReply:
        known = self._hearing.replies.get(request.id)
        if known is not None:
            return known
        text = said_of(request, self._board.view)
        if self._wanted is None or goes_further(request, self._wanted, self._board.view):
            self._wanted = request
        else:
            text = f"At least as much is being undone already: {reason_of(self._wanted)}"
        self._board.show(say=reason_of(request))
        return self._hearing.answered(request, DecisionReply(answer=Answer.ACCEPTED, gate=ROLLBACK, text=text))
