"""What a campaign takes from people besides decisions: a role, a task that is done, a note, a load test."""

from typing import Any

from temporalio import workflow

from workflows.gated import GatedRun
from workflows.heard import ASK, LATER
from workflows.noted import NotedRun

with workflow.unsafe.imports_passed_through():
    from holdfast.domain.decisions import DecisionReply
    from holdfast.domain.words import Act, Word


class TaskedRun(NotedRun, GatedRun):
    """Base of the workflows that give people roles and tasks; what is said is done by their `_heed`."""

    @workflow.update(
        name="accept",
        description=f"You take a role, named in 'to'. {ASK} 'accept' and the role as 'to').",
    )
    def accept(self, message: Any = None) -> DecisionReply:
        """Give a role to somebody; refused ones never get here."""
        return self._spoken(message)

    @accept.validator
    def check_accept(self, message: Any = None) -> None:
        """Refuse what does not count, with the reason."""
        self._hearing.validate(message, Word, act=Act.ACCEPT)

    @workflow.signal(name="accept", description=f"The same as the update 'accept', {LATER}")
    async def accept_later(self, message: Any = None) -> None:
        """Give a role to somebody, or say in the timeline why not."""
        await self._spoken_later(message, Act.ACCEPT)

    @workflow.update(
        name="done",
        description=f"A task is done, named in 'to'. {ASK} 'done' and the task as 'to').",
    )
    def done(self, message: Any = None) -> DecisionReply:
        """Tick off a task; refused ones never get here."""
        return self._spoken(message)

    @done.validator
    def check_done(self, message: Any = None) -> None:
        """Refuse what does not count, with the reason."""
        self._hearing.validate(message, Word, act=Act.DONE)

    @workflow.signal(name="done", description=f"The same as the update 'done', {LATER}")
    async def done_later(self, message: Any = None) -> None:
        """Tick off a task, or say in the timeline why not."""
        await self._spoken_later(message, Act.DONE)

    @workflow.update(name="test", description=f"Run the campaign's load test at once. {ASK} 'test').")
    def test(self, message: Any = None) -> DecisionReply:
        """Begin a load test; refused ones never get here."""
        return self._spoken(message)

    @test.validator
    def check_test(self, message: Any = None) -> None:
        """Refuse what does not count, with the reason."""
        self._hearing.validate(message, Word, act=Act.TEST)

    @workflow.signal(name="test", description=f"The same as the update 'test', {LATER}")
    async def test_later(self, message: Any = None) -> None:
        """Begin a load test, or say in the timeline why not."""
        await self._spoken_later(message, Act.TEST)
