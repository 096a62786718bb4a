"""/runs and /run: what is going on."""

import asyncio
from contextlib import suppress
from datetime import datetime

from aiogram import F, Router
from aiogram.exceptions import TelegramBadRequest
from aiogram.filters import Command, CommandObject
from aiogram.types import BufferedInputFile, CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message

from holdfast.apps.bot import texts
from holdfast.apps.bot.decisions import tapped
from holdfast.apps.bot.picking import Listed, Picker
from holdfast.apps.bot.replies import reply
from holdfast.apps.bot.services import Services
from holdfast.apps.bot.taps import TapAnswer, Taps
from holdfast.apps.bot.texts import fill, say
from holdfast.domain.people import Person
from holdfast.domain.view import RunView
from holdfast.i18n import translate, understood
from holdfast.i18n.times import moment

_LISTED = 15
_LABEL = 40
_CALLBACK_BYTES = 64


class Runs:
    """The handlers that read runs."""

    def __init__(self, services: Services, taps: Taps) -> None:
        self._services = services
        self._taps = taps
        self._picker = Picker(services)

    def commands(self) -> Router:
        """Route the commands; the handlers need a known `person`."""
        router = Router(name="runs")
        router.message.register(self.list_runs, Command("runs"))
        router.message.register(self.show_run, Command("run"))
        return router

    def buttons(self) -> Router:
        """Route `o:<run id>`."""
        router = Router(name="run-buttons")
        router.callback_query.register(self.open_tapped, F.data.startswith("o:"))
        return router

    async def list_runs(self, message: Message, person: Person) -> None:
        """Show the newest runs, newest first, with a button each."""
        runs = await self._picker.listed(await self._services.runs.recent(limit=_LISTED))
        if not runs:
            await reply(message, fill(texts.NO_RUNS))
            return
        rows = [[button] for run in runs if (button := _opening(run))]
        html = texts.first_lines([_line(run, person) for run in runs], separator="\n\n")
        await reply(message, html, InlineKeyboardMarkup(inline_keyboard=rows) if rows else None)

    async def show_run(self, message: Message, command: CommandObject, person: Person) -> None:
        """Show the named run, or the newest, as its own message shows it, and the picture of its numbers."""
        run_id = (command.args or "").strip().lower() or await self._newest()
        if not run_id:
            await reply(message, fill(texts.NO_RUNS))
            return
        await self._show(message, await self._services.runs.view(run_id), person)

    async def open_tapped(self, query: CallbackQuery, received_at: float) -> None:
        """Show the run of a button, below the list."""
        run_id = str(query.data).removeprefix("o:")

        async def act(person: Person) -> TapAnswer:
            view, message = await self._services.runs.view(run_id), tapped(query)
            if message is not None:
                await self._show(message, view, person)
            return TapAnswer("run_shown", say(texts.RUN_SHOWN_TAP), alert=False)

        await self._taps.settle(query, received_at, act)

    async def _show(self, message: Message, view: RunView, person: Person) -> None:
        chart = await asyncio.to_thread(self._services.render_chart, view)
        if chart:
            await _show_chart(message, chart)
        at = f"{self._services.now().astimezone(person.zone):%H:%M:%S %Z}"
        await reply(message, *self._services.render_view(view, say(texts.RUN_COPY, at=at), person.zone))

    async def _newest(self) -> str:
        return next((line.run_id for line in await self._services.runs.recent(limit=1)), "")


async def _show_chart(message: Message, chart: bytes) -> None:
    """Send the picture; where Telegram does not take it, the words still come."""
    with suppress(TelegramBadRequest):
        await message.answer_photo(BufferedInputFile(chart, "numbers.png"))


def _line(run: Listed, reader: Person) -> str:
    head = fill(
        texts.RUN_LINE,
        run_id=run.line.run_id,
        title=run.title or run.line.runbook,
        kind=translate(run.line.kind),
        status=translate(run.state),
        started_at=_started(run, reader),
    )
    headline = run.view.headline if run.view else ""
    return f"{head}\n{fill('{text}', text=understood(headline))}" if headline else head


def _started(run: Listed, reader: Person) -> str:
    try:
        return moment(datetime.fromisoformat(run.line.started_at.replace(" UTC", "+00:00")), reader.zone)
    except ValueError:
        return run.line.started_at


def _opening(run: Listed) -> InlineKeyboardButton | None:
    data = f"o:{run.line.run_id}"
    if len(data.encode()) > _CALLBACK_BYTES:
        return None
    return InlineKeyboardButton(text=(run.title or run.line.run_id)[:_LABEL], callback_data=data)
