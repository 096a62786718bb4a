"""What every run with gates takes from people: decisions, extensions, hand-overs, requests for codes.

Send a decision with the Update `decide` (answered at once), or with the Signal `decide` (kept while no worker
is up).
"""

import asyncio
from typing import Any, cast

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from workflows import options
from workflows.board import Board
from workflows.calls import call, reason
from workflows.gate import GateKeeper
from workflows.hearing import Hearing

with workflow.unsafe.imports_passed_through():
    from activities.calling import CallingActivities, TellRequest
    from holdfast.domain.decisions import DecisionReply, Extension, Handover
    from holdfast.domain.view import RunView


class GatedRun:
    """Base of the workflows that ask people; they set these in `__init__`."""

    _board: Board
    _gates: GateKeeper
    _hearing: Hearing

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

    @workflow.update(
        name="send_code",
        description='Get your approval code: {"by": "your-name"}. The bot sends ready-to-paste JSON to your '
        "private chat.",
    )
    async def send_code(self, message: Any = None) -> DecisionReply:
        """Send a code to the private chat of the person it is for."""
        try:
            return await self._hearing.send_code(message)
        except ActivityError as error:
            raise ApplicationError(
                f"The code could not be sent: {reason(error)}", type="CodeNotSent", non_retryable=True
            ) from None

    @send_code.validator
    def check_code_request(self, message: Any = None) -> None:
        """Refuse to send codes to people who are not asked."""
        self._hearing.check_code_request(message)

    @workflow.signal(
        name="decide",
        description="The same as the update 'decide', kept while no worker is up. Its fate is in the details "
        "and in your private chat.",
    )
    async def decide_later(self, message: Any = None) -> None:
        """Record a decision, or say in the timeline why it did not count; the person is told in private."""
        if not workflow.patched("signed-signals"):
            self._board.show(say=f"{sender(message)}: {self._hearing.decide_unproven(message)}")
            return
        said = await self._hearing.decide_signalled(message)
        self._board.show(say=f"{sender(message)}: {said}")
        await self._tell(message, said)

    @workflow.query(description="Everything the run shows of itself.")
    def view(self) -> RunView:
        """Return the current view."""
        return self._board.view

    async def _told(self, publishing: asyncio.Task[None]) -> None:
        """Wait until everybody knows how the run ended, and nobody is answered any more."""
        await self._gates.settled()
        await self._board.published()
        publishing.cancel()
        await workflow.wait_condition(workflow.all_handlers_finished)

    async def _tell(self, message: Any, text: str) -> None:
        """Tell the person who is named, whoever sent the signal: a forger is found out so."""
        named = cast("dict[str, Any]", message).get("by") if isinstance(message, dict) else None
        person = self._board.view.people.named(str(named or ""))
        if person is None:
            return
        try:
            await call(
                CallingActivities.tell_person,
                TellRequest(person=person, text=f"{self._board.view.run_id}: {text}"),
                returns=type(None),
                task_queue=options.CHAT_QUEUE,
                retry_policy=options.CHAT,
            )
        except ActivityError as error:
            workflow.logger.warning("the sender of a signal could not be told: %s", reason(error))


def sender(message: Any) -> str:
    """Name who sent a message, as far as it says."""
    if not isinstance(message, dict):
        return "somebody"
    said = cast("dict[str, Any]", message)
    return f"{said.get('by', 'somebody')} via {said.get('channel', 'temporal-ui')}"
