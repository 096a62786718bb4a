"""What every run takes from people that can be told something: a note."""

from typing import Any

from temporalio import workflow

from workflows.heard import ASK, LATER, HeardRun

with workflow.unsafe.imports_passed_through():
    from holdfast.domain.decisions import DecisionReply
    from holdfast.domain.words import Act, Word


class NotedRun(HeardRun):
    """Base of the workflows that have a timeline for people to write in."""

    @workflow.update(name="note", description=f"Put a line into the timeline. {ASK} 'note').")
    def note(self, message: Any = None) -> DecisionReply:
        """Note something; refused ones never get here."""
        return self._spoken(message)

    @note.validator
    def check_note(self, message: Any = None) -> None:
        """Refuse what does not count, with the reason."""
        self._hearing.validate(message, Word, act=Act.NOTE)

    @workflow.signal(name="note", description=f"The same as the update 'note', {LATER}")
    async def note_later(self, message: Any = None) -> None:
        """Note something, or say in the timeline why not."""
        await self._spoken_later(message, Act.NOTE)
