"""/runs and /run: what is going on."""

from datetime import UTC, datetime

from aiogram import Router
from aiogram.filters import Command, CommandObject
from aiogram.types import Message

from holdfast.apps.bot import texts
from holdfast.apps.bot.replies import reply
from holdfast.apps.bot.services import Services


class Runs:
    """The handlers that read runs."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def commands(self) -> Router:
        """Route the commands."""
        router = Router(name="runs")
        router.message.register(self.list_runs, Command("runs"))
        router.message.register(self.show_run, Command("run"))
        return router

    async def list_runs(self, message: Message) -> None:
        """Show the newest runs, newest first."""
        lines = [texts.fill(texts.RUN_LINE, **line.model_dump()) for line in await self._services.runs.recent()]
        await reply(message, texts.first_lines(lines) or texts.NO_RUNS)

    async def show_run(self, message: Message, command: CommandObject) -> None:
        """Show the named run, or the newest, as its own message shows it."""
        run_id = (command.args or "").strip().lower() or await self._newest()
        if not run_id:
            await reply(message, texts.NO_RUNS)
            return
        view = await self._services.runs.view(run_id)
        await reply(message, *self._services.render_view(view, texts.RUN_COPY.format(at=datetime.now(UTC))))

    async def _newest(self) -> str:
        return next((line.run_id for line in await self._services.runs.recent(limit=1)), "")
