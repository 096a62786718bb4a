"""What an incident takes from people: I have it, take it over, a note, it is over."""

from typing import Any

from temporalio import workflow

from workflows.heard import ASK, LATER
from workflows.noted import NotedRun

with workflow.unsafe.imports_passed_through():
    from holdfast.domain.decisions import DecisionReply
    from holdfast.domain.words import Act, Word


class AnswerableRun(NotedRun):
    """Base of the workflows that call people and want an answer."""

    @workflow.update(
        name="acknowledge",
        description=f"You have it: nobody else is called for a while. {ASK} 'acknowledge').",
    )
    def acknowledge(self, message: Any = None) -> DecisionReply:
        """Make somebody the owner; refused ones never get here."""
        return self._spoken(message)

    @acknowledge.validator
    def check_acknowledge(self, message: Any = None) -> None:
        """Refuse what does not count, with the reason."""
        self._hearing.validate(message, Word, act=Act.ACKNOWLEDGE)

    @workflow.signal(name="acknowledge", description=f"The same as the update 'acknowledge', {LATER}")
    async def acknowledge_later(self, message: Any = None) -> None:
        """Make somebody the owner, or say in the timeline why not."""
        await self._spoken_later(message, Act.ACKNOWLEDGE)

    @workflow.update(
        name="hand_over",
        description=f"Somebody else takes it, named in 'to'; your own name takes it over. {ASK} 'hand_over').",
    )
    def hand_over(self, message: Any = None) -> DecisionReply:
        """Call somebody to take it over; refused ones never get here."""
        return self._spoken(message)

    @hand_over.validator
    def check_hand_over(self, message: Any = None) -> None:
        """Refuse what does not count, with the reason."""
        self._hearing.validate(message, Word, act=Act.HAND_OVER)

    @workflow.signal(name="hand_over", description=f"The same as the update 'hand_over', {LATER}")
    async def hand_over_later(self, message: Any = None) -> None:
        """Call somebody to take it over, or say in the timeline why not."""
        await self._spoken_later(message, Act.HAND_OVER)

    @workflow.update(
        name="resolve", description=f"It is over; say what was wrong and what ended it. {ASK} 'resolve')."
    )
    def resolve(self, message: Any = None) -> DecisionReply:
        """End the incident; refused ones never get here."""
        return self._spoken(message)

    @resolve.validator
    def check_resolve(self, message: Any = None) -> None:
        """Refuse what does not count, with the reason."""
        self._hearing.validate(message, Word, act=Act.RESOLVE)

    @workflow.signal(name="resolve", description=f"The same as the update 'resolve', {LATER}")
    async def resolve_later(self, message: Any = None) -> None:
        """End the incident, or say in the timeline why not."""
        await self._spoken_later(message, Act.RESOLVE)
