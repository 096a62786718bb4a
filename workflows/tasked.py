"""What a campaign takes from people besides decisions: a role, a task that is done, a note, a load test."""

from typing import Any

from temporalio import workflow

from workflows.gated import GatedRun

with workflow.unsafe.imports_passed_through():
    from holdfast.domain.decisions import DecisionReply
    from holdfast.domain.words import Act, Word

_ASK = "Paste the JSON that the bot sent to you (ask for it with 'send_code' and gate"
_LATER = "kept while no worker is up. Its fate is in the details and in your private chat."


class TaskedRun(GatedRun):
    """Base of the workflows that give people roles and tasks; what is said is done by their `_heed`."""

    @workflow.update(
        name="accept",
        description=f"You take a role, named in 'to'. {_ASK} 'accept' and the role as 'to').",
    )
    def accept(self, message: Any = None) -> DecisionReply:
        """Give a role to somebody; refused ones never get here."""
        return self._spoken(message)

    @accept.validator
    def check_accept(self, message: Any = None) -> None:
        """Refuse what does not count, with the reason."""
        self._hearing.validate(message, Word, act=Act.ACCEPT)

    @workflow.signal(name="accept", description=f"The same as the update 'accept', {_LATER}")
    async def accept_later(self, message: Any = None) -> None:
        """Give a role to somebody, or say in the timeline why not."""
        await self._spoken_later(message, Act.ACCEPT)

    @workflow.update(
        name="done",
        description=f"A task is done, named in 'to'. {_ASK} 'done' and the task as 'to').",
    )
    def done(self, message: Any = None) -> DecisionReply:
        """Tick off a task; refused ones never get here."""
        return self._spoken(message)

    @done.validator
    def check_done(self, message: Any = None) -> None:
        """Refuse what does not count, with the reason."""
        self._hearing.validate(message, Word, act=Act.DONE)

    @workflow.signal(name="done", description=f"The same as the update 'done', {_LATER}")
    async def done_later(self, message: Any = None) -> None:
        """Tick off a task, or say in the timeline why not."""
        await self._spoken_later(message, Act.DONE)

    @workflow.update(name="note", description=f"Put a line into the timeline. {_ASK} 'note').")
    def note(self, message: Any = None) -> DecisionReply:
        """Note something; refused ones never get here."""
        return self._spoken(message)

    @note.validator
    def check_note(self, message: Any = None) -> None:
        """Refuse what does not count, with the reason."""
        self._hearing.validate(message, Word, act=Act.NOTE)

    @workflow.signal(name="note", description=f"The same as the update 'note', {_LATER}")
    async def note_later(self, message: Any = None) -> None:
        """Note something, or say in the timeline why not."""
        await self._spoken_later(message, Act.NOTE)

    @workflow.update(name="test", description=f"Run the campaign's load test at once. {_ASK} 'test').")
    def test(self, message: Any = None) -> DecisionReply:
        """Begin a load test; refused ones never get here."""
        return self._spoken(message)

    @test.validator
    def check_test(self, message: Any = None) -> None:
        """Refuse what does not count, with the reason."""
        self._hearing.validate(message, Word, act=Act.TEST)

    @workflow.signal(name="test", description=f"The same as the update 'test', {_LATER}")
    async def test_later(self, message: Any = None) -> None:
        """Begin a load test, or say in the timeline why not."""
        await self._spoken_later(message, Act.TEST)
