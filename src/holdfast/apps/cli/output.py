import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console, RenderableType

from holdfast.domain.errors import InvalidInput

_PIPE_WIDTH = 160


class Output:
    """Where a command speaks: to a person on stdout; where one JSON document goes there, on stderr.

    Attributes:
        console: writes there, for what changes on a terminal.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        """Choose between the two for the whole command."""
        self.as_json = as_json
        self.console = _console(sys.stderr if as_json else sys.stdout)

    def say(self, text: str = "") -> None:
        """Write text as it is, without breaking its lines."""
        self.console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def show(self, renderable: RenderableType) -> None:
        """Write a table or another thing with a layout."""
        self.console.print(renderable)

    def document(self, data: Any) -> None:
        """Write the one JSON document of this command; nothing where JSON is not wanted."""
        if self.as_json:
            sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")

    def object(self, data: Any) -> None:
        """Write one JSON object on a line of its own, at once; nothing where JSON is not wanted."""
        if self.as_json:
            sys.stdout.write(json.dumps(data, ensure_ascii=False) + "\n")
            sys.stdout.flush()


def complain(text: str) -> None:
    """Write to stderr."""
    sys.stderr.write(f"{text}\n")


def warn(texts: Iterable[str]) -> None:
    """Write warnings to stderr; empty ones are none."""
    for text in filter(None, texts):
        complain(f"warning: {text}")


def check_png(plot: Path | None) -> None:
    """Refuse another ending than a picture's.

    Raises:
        InvalidInput: the file that --plot names does not end with `.png`.
    """
    if plot is not None and plot.suffix.lower() != ".png":
        raise InvalidInput(f"--plot: the picture is a PNG; name it like {plot.with_suffix('.png')}")


def write_picture(plot: Path, picture: bytes) -> None:
    """Write the file that --plot names.

    Raises:
        InvalidInput: it cannot be written.
    """
    try:
        plot.write_bytes(picture)
    except OSError as error:
        raise InvalidInput(f"--plot: {plot} cannot be written: {error.strerror}") from None


def _console(file: TextIO) -> Console:
    console = Console(file=file, highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH  # nobody's window is known: do not break lines early
    return console
