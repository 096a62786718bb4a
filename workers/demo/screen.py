"""The demo's view in the terminal: who does what, the numbers meanwhile, and where to look for more."""

import time
from collections import deque
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from workers.demo.facts import Facts

_LINES = 16
_COLOURS = {
    "demo": "bold white",
    "customers": "magenta",
    "metrics": "blue",
    "holdfast": "bold green",
    "mallory": "red",
}
_LABELS = {
    "requests_per_s": ("customers", "{:.0f}/s"),
    "latency_p95_s": ("latency p95", "{:.2f} s"),
    "errors_percent": ("errors", "{:.1f} %"),
    "abandoned_per_s": ("checkouts abandoned", "{:.1f}/s"),
    "bot_429_per_s": ("bot answered 429", "{:.1f}/s"),
    "delivered_per_s": ("messages delivered", "{:.1f}/s"),
    "gold_wait_s": ("gold escalation waits", "{:.1f} s"),
    "escalations_waiting": ("escalations waiting", "{:.0f}"),
    "crm_p95_s": ("CRM call p95", "{:.2f} s"),
}


def read_out(numbers: dict[str, float | None], *names: str) -> str:
    """Write some of the demo's numbers as one line."""
    return ", ".join(f"{_LABELS[name][0]} {readable(name, numbers.get(name))}" for name in names)


def readable(name: str, value: float | None) -> str:
    """Write one of the demo's numbers with its unit."""
    return "–" if value is None else _LABELS[name][1].format(value)


class Screen:
    """Shows the demo; a live view on a terminal, plain lines anywhere else."""

    def __init__(self, console: Console | None = None) -> None:
        """Write to this console, or to standard output."""
        self.console = console or Console(highlight=False)
        self.phase = "starting"
        self.links: dict[str, str] = {}
        self.numbers: dict[str, float | None] = {}
        self._began = time.monotonic()
        self._lines: deque[Text] = deque(maxlen=_LINES)
        self._live = (
            Live(get_renderable=self._render, console=self.console, refresh_per_second=4)
            if self.console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        """Begin the live view."""
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the live view; what it showed last stays."""
        if self._live:
            self._live.stop()

    def enter(self, phase: str) -> None:
        """Begin a chapter of the story."""
        self.phase = phase
        self.say("demo", phase)

    def say(self, who: str, what: str) -> None:
        """Show that somebody did or saw something."""
        line = Text(f"{self._clock()}  ", no_wrap=True, overflow="ellipsis")
        line.append(f"{who:<10}", style=_COLOURS.get(who, "cyan"))
        line.append(what)
        if self._live:
            self._lines.append(line)
        else:
            self.console.print(line, soft_wrap=True)

    def print_out(self, text: str) -> None:
        """Print what a command printed, as it is; on a terminal it goes above the live view and stays."""
        self.console.print(Text(text.rstrip()), soft_wrap=True)

    def show(self, numbers: dict[str, float | None]) -> None:
        """Show the newest numbers; without a terminal they are part of the lines that need them."""
        self.numbers = numbers

    def summary(self, facts: Facts) -> None:
        """Print what was claimed and whether it held."""
        table = Table(title="What happened", show_lines=False, expand=False)
        table.add_column("")
        table.add_column("fact")
        table.add_column("seen", overflow="fold")
        for fact in facts.checked:
            mark = Text("yes", style="green") if fact.holds else Text("NO", style="bold red")
            table.add_row(mark, fact.claim, fact.seen)
        self.console.print(table)

    def _clock(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        return f"{minutes:d}:{seconds:02d}"

    def _render(self) -> RenderableType:
        links = Text("   ").join(
            Text.assemble((f"{name} ", "bold"), (url, f"link {url} underline"))
            for name, url in self.links.items()
        )
        numbers = Table.grid(padding=(0, 2))
        cells = [
            Text.assemble((f"{label} ", "dim"), (readable(name, self.numbers.get(name)), "bold"))
            for name, (label, _) in _LABELS.items()
        ]
        for row in range(0, len(cells), 3):
            numbers.add_row(*cells[row : row + 3])
        return Group(
            Panel(numbers, title=f"{self._clock()}  {self.phase}", title_align="left"),
            Panel(Group(*self._lines), title="who does what", title_align="left", height=_LINES + 2),
            links,
        )
