"""What a run that goes forward in steps takes from people besides rollbacks: a pause, and its end."""

from typing import Any

from temporalio import workflow

from workflows.heard import LATER
from workflows.stoppable import StoppableRun

with workflow.unsafe.imports_passed_through():
    from holdfast.domain import run_phrases
    from holdfast.domain.decisions import DecisionReply
    from holdfast.domain.words import Act, Word


class PausableRun(StoppableRun):
    """Base of the workflows that can be told to take no step forward; each waits where its steps begin."""

    @workflow.update(
        name="pause",
        description="Take no step forward until somebody resumes the run; what is out is watched and may be "
        "rolled back. Paste the JSON that the bot sent to you (ask for it with 'send_code' and gate 'pause').",
    )
    def pause(self, message: Any = None) -> DecisionReply:
        """Pause; refused ones never get here."""
        return self._spoken(message)

    @pause.validator
    def check_pause(self, message: Any = None) -> None:
        """Refuse a pause that does not count, with the reason."""
        self._hearing.validate(message, Word, act=Act.PAUSE)

    @workflow.signal(name="pause", description=f"The same as the update 'pause', {LATER}")
    async def pause_later(self, message: Any = None) -> None:
        """Pause, or say in the timeline why not."""
        await self._spoken_later(message, Act.PAUSE)

    @workflow.update(
        name="resume",
        description="Let a paused run go on. Paste the JSON that the bot sent to you (ask for it with "
        "'send_code' and gate 'resume').",
    )
    def resume(self, message: Any = None) -> DecisionReply:
        """Go on; refused ones never get here."""
        return self._spoken(message)

    @resume.validator
    def check_resume(self, message: Any = None) -> None:
        """Refuse to go on where that does not count, with the reason."""
        self._hearing.validate(message, Word, act=Act.RESUME)

    @workflow.signal(name="resume", description=f"The same as the update 'resume', {LATER}")
    async def resume_later(self, message: Any = None) -> None:
        """Go on, or say in the timeline why not."""
        await self._spoken_later(message, Act.RESUME)

    def _heed(self, word: Word) -> str:
        if word.act is Act.PAUSE:
            self._board.pause(word.by, word.reason.strip())
            return run_phrases.SAID_PAUSED
        self._board.resume(word.by)
        return run_phrases.SAID_RESUMED
