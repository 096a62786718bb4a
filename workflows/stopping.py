"""What a load test takes from people besides decisions: a stop, at any time."""

from typing import Any

from temporalio import workflow

from workflows.gated import GatedRun
from workflows.heard import LATER

with workflow.unsafe.imports_passed_through():
    from holdfast.domain.decisions import DecisionReply
    from holdfast.domain.words import Act, Word


class StoppingRun(GatedRun):
    """Base of the workflows that can be told to stop what they do."""

    @workflow.update(
        name="stop",
        description="Stop the load, within a second. Paste the JSON that the bot sent to you (ask for it with "
        "'send_code' and gate 'stop').",
    )
    def stop(self, message: Any = None) -> DecisionReply:
        """Stop; refused ones never get here."""
        return self._spoken(message)

    @stop.validator
    def check_stop(self, message: Any = None) -> None:
        """Refuse a stop that does not count, with the reason."""
        self._hearing.validate(message, Word, act=Act.STOP)

    @workflow.signal(name="stop", description=f"The same as the update 'stop', {LATER}")
    async def stop_later(self, message: Any = None) -> None:
        """Stop, or say in the timeline why not."""
        await self._spoken_later(message, Act.STOP)
