"""`holdfast inventory`: which messages the contexts of a campaign exchange, how many, how large, how fast."""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, Parameter

from holdfast.apps.cli.moments import past_moment, span_typed
from holdfast.apps.cli.output import Output
from holdfast.apps.cli.parameters import AsJson
from holdfast.apps.cli.tables import table
from holdfast.domain.errors import InvalidInput
from holdfast.ports.inventory import Inventory, InventoryLine, InventoryTaking
from holdfast.runbook.library import RunbookLibrary
from holdfast.verdict.words import measured_or_dash

_EXAMPLES: Final = """\
Examples:
  holdfast inventory autumn-sale                         the last hour, from the metrics
  holdfast inventory autumn-sale --last 15m --logs shop.jsonl --logs bot.jsonl.gz
  holdfast inventory autumn-sale --since 2026-12-11T07:00Z --until 2026-12-14T07:00Z --json

The messages are those of the campaign's file, under `messages`; what only the logs know comes behind them.
docs/reports.md says how a line of a log looks and where each number comes from."""

_LAST: Final = "1h"


@dataclass(frozen=True)
class InventoryDeps:
    """What the command works with; called only when needed.

    Attributes:
        library: the reviewed runbooks.
        taking: lends what takes inventories; entered once a command.
    """

    library: Callable[[], RunbookLibrary]
    taking: Callable[[], AbstractAsyncContextManager[InventoryTaking]]


def add_inventory(app: App, deps: InventoryDeps) -> None:
    """Add `holdfast inventory`."""
    command = InventoryCommands(deps).inventory
    app.command(command, group="Campaigns", help_epilogue=_EXAMPLES)


class InventoryCommands:
    """Looking at messages."""

    def __init__(self, deps: InventoryDeps) -> None:
        """Work with these."""
        self._deps = deps

    async def inventory(
        self,
        campaign: Annotated[str, Parameter(help="Whose messages: name of the campaign's file.")],
        /,
        *,
        last: Annotated[
            str, Parameter(help=f"The newest stretch; {_LAST} unless told.", show_default=False)
        ] = "",
        since: Annotated[
            str, Parameter(help="Or from here on, e.g. 2026-12-11T07:00Z.", show_default=False)
        ] = "",
        until: Annotated[str, Parameter(help="Up to here; now unless told.", show_default=False)] = "",
        logs: Annotated[
            tuple[Path, ...],
            Parameter(
                help="Structured logs, JSON lines, also gzip; once for each. Unless told those of "
                "HOLDFAST_MESSAGE_LOGS.",
                show_default=False,
            ),
        ] = (),
        as_json: AsJson = False,
    ) -> None:
        """List the messages that contexts exchange: rate, size, latency percentiles, error share."""
        begins, ends = _stretch(last, since, until)
        spec = self._deps.library().campaign(campaign.removeprefix("campaign/")).spec
        async with self._deps.taking() as taking:
            taken = await taking.take(spec.messages, since=begins, until=ends, logs=logs or None)
        out = Output(as_json=as_json)
        out.document(taken.model_dump(mode="json"))
        if as_json:
            return
        if taken.lines:
            head = ("message", "from → to", "rate", "size", "p50", "p95", "p99", "errors", "source")
            out.show(table(head, map(_row, taken.lines)))
        else:
            out.say(f"No messages: {campaign} lists none under `messages`, and no log has any.")
        for line in _notes(taken):
            out.say(line)


def _stretch(last: str, since: str, until: str) -> tuple[datetime, datetime]:
    if last and (since or until):
        raise InvalidInput("--last: give it, or --since and --until, not both")
    if until and not since:
        raise InvalidInput("--since: is needed with --until")
    ends = past_moment("--until", until) if until else datetime.now(UTC)
    begins = past_moment("--since", since) if since else ends - span_typed("--last", last or _LAST)
    if begins >= ends:
        raise InvalidInput(f"--since: {begins:%Y-%m-%d %H:%M %Z} is not before {ends:%Y-%m-%d %H:%M %Z}")
    return begins, ends


def _row(line: InventoryLine) -> tuple[str, ...]:
    sources = (line.rate_from, line.bytes_from, line.latency_from, line.errors_from)
    errors = None if line.errors_percent is None else f"{line.errors_percent:.2f} %"
    return (
        line.title or line.name,
        f"{line.sender} → {line.receiver}",
        measured_or_dash(line.rate, "/s"),
        measured_or_dash(line.bytes_mean, "B"),
        *(measured_or_dash(value, "s") for value in (line.p50, line.p95, line.p99)),
        errors or "–",
        " + ".join(dict.fromkeys(source for source in sources if source)) or "not measured",
    )


def _notes(taken: Inventory) -> Iterator[str]:
    yield f"From {taken.since:%Y-%m-%d %H:%M} to {taken.until:%Y-%m-%d %H:%M %Z}."
    unlisted = [line.name for line in taken.lines if not line.listed]
    if unlisted:
        yield f"Only in the logs, not in the campaign's file: {', '.join(unlisted)}."
    for line in taken.lines:
        yield from (f"{line.name}: {problem}" for problem in line.problems)
    logs = taken.logs
    if logs is None:
        return
    yield f"Logs: {logs.lines} lines in {logs.files} files, {logs.outside} of another time."
    if logs.malformed:
        yield f"{logs.malformed} lines are no messages and were left out; the first: {logs.first_malformed}"
