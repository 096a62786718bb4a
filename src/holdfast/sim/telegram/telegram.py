"""The whole of Telegram as this server knows it: one object that everything else works on."""

from holdfast.sim.telegram.callbacks import Callbacks
from holdfast.sim.telegram.commands import Commands
from holdfast.sim.telegram.database import Database
from holdfast.sim.telegram.directory import Bot, Directory
from holdfast.sim.telegram.errors import too_many_requests
from holdfast.sim.telegram.files import Files
from holdfast.sim.telegram.hub import Hub
from holdfast.sim.telegram.limits import Budget
from holdfast.sim.telegram.messages import Messages
from holdfast.sim.telegram.settings import Settings
from holdfast.sim.telegram.shapes import Room
from holdfast.sim.telegram.telemetry import Telemetry
from holdfast.sim.telegram.updates import Updates
from holdfast.sim.telegram.weather import Weather
from holdfast.sim.telegram.webhooks import Webhooks


class Telegram:
    """State and services of one server.

    Args:
        settings: what the server is made of.
        weather: the network between clients and this server.
    """

    def __init__(self, settings: Settings, weather: Weather) -> None:
        self.settings = settings
        self.weather = weather
        self.hub = Hub()
        self.telemetry = Telemetry()
        self.database = Database(settings.state)
        self.directory = Directory(settings.people, settings.tokens, self.database)
        self.messages = Messages(self.database)
        self.files = Files(self.database)
        self.commands = Commands(self.database)
        self.callbacks = Callbacks(self.database, settings.unix_time, settings.callback_seconds)
        self.updates = Updates(self.database, settings.unix_time)
        self.webhooks = Webhooks(self.database, self.updates, settings.unix_time)
        self._budgets = {bot.id: Budget(settings.limits, settings.monotonic_ns) for bot in self.directory.bots}
        for bot in self.directory.bots:
            self._register(bot)

    def _register(self, bot: Bot) -> None:
        self.updates.register(bot.id)
        self.telemetry.watch_pending(bot.id, lambda: self.updates.count(bot.id))

    def now(self) -> int:
        """The date that messages get."""
        return int(self.settings.unix_time())

    def spend(self, bot: Bot, room: Room) -> None:
        """Count one message of a bot against its limits.

        Raises:
            ApiError: 429 when a limit stands against it.
        """
        retry_after_seconds = self._budgets[bot.id].admit(room.chat_id)
        if retry_after_seconds:
            self.telemetry.count_refused(room.chat_id)
            raise too_many_requests(retry_after_seconds)

    async def close(self) -> None:
        """Stop what runs in the background and close the state."""
        await self.webhooks.close()
        self.database.close()
