"""What every run takes from people and tells them, whatever it is about."""

import asyncio
from typing import Any, cast

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from workflows.board import Board
from workflows.calls import reason, tell_person
from workflows.gate import GateKeeper
from workflows.hearing import Hearing

with workflow.unsafe.imports_passed_through():
    from holdfast.domain.decisions import Answer, DecisionReply, parse
    from holdfast.domain.view import RunView
    from holdfast.domain.words import Act, Word

ASK = "Paste the JSON that the bot sent to you (ask for it with 'send_code' and gate"
"""How the description of every word begins to say where its JSON is from; the gate's name comes after it."""

LATER = "kept while no worker is up. Its fate is in the details and in your private chat."
"""How the description of every word's signal ends."""


class HeardRun:
    """Base of the workflows that hear people; they set these in `__init__`."""

    _board: Board
    _gates: GateKeeper
    _hearing: Hearing

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
            await tell_person(person, f"{self._board.view.run_id}: {text}")
        except ActivityError as error:
            workflow.logger.warning("the sender of a signal could not be told: %s", reason(error))

    # --- words: what is said besides answers to gates ---------------------------------------------------

    def _spoken(self, message: Any) -> DecisionReply:
        """Do what a word says that `Hearing.validate` has let through."""
        word = parse(Word, message)
        known = self._hearing.known(word)
        if known is not None:
            return known
        text = self._heed(word)
        return self._hearing.answered(word, DecisionReply(answer=Answer.ACCEPTED, gate=word.act, text=text))

    async def _spoken_later(self, message: Any, act: Act) -> None:
        """Do what a signalled word says, or say in the timeline why it does not count; tell the person."""
        # A signal may be there before the run knows who may say what.
        await workflow.wait_condition(lambda: self._gates.knows_people or self._board.view.state.ended)
        refused = await self._hearing.refused_signal(message, Word, signal=act)
        if refused:
            self._board.show(say=f"{sender(message)}: {refused}")
        await self._tell(message, refused or self._spoken(message).text)

    def _heed(self, word: Word) -> str:
        """Do what the word says and show it; return what its speaker is told."""
        raise NotImplementedError


def sender(message: Any) -> str:
    """Name who sent a message, as far as it says."""
    if not isinstance(message, dict):
        return "somebody"
    said = cast("dict[str, Any]", message)
    return f"{said.get('by', 'somebody')} via {said.get('channel', 'temporal-ui')}"
