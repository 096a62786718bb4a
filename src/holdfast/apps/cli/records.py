import asyncio
import csv
import getpass
import io
import json
import os
import re
import secrets
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TextIO

from cyclopts import App, Group, Parameter

from holdfast.apps.cli.exits import Exit
from holdfast.apps.cli.output import Output, complain
from holdfast.apps.cli.parameters import AsJson
from holdfast.domain.errors import InvalidInput, UnknownName
from holdfast.domain.people import People
from holdfast.ports.audit import AuditEntry, AuditKind, AuditLog, ChainedEntry, ChainReport
from holdfast.ports.identity import CodeRefused, Enrolment, SecondFactor

_AUDIT_EXAMPLES = """\
Examples:
  holdfast audit verify
  holdfast audit verify --expect-head 9b1c…    what an earlier check printed
  holdfast audit export --run rollout-4f7qk2mz
  holdfast audit export --format csv --output audit.csv

Every entry carries the hash of the one before, so nothing can be changed, removed or put in between unnoticed.
Only entries at the end can go without a trace: keep the head that 'verify' prints somewhere else."""

_EXPORT_EXAMPLES = """\
Examples:
  holdfast audit export --output audit.jsonl
  holdfast audit export --gate 1-bot-rate-limit | jq -r .text
  holdfast audit export --run rollout-4f7qk2mz --format csv --output decisions.csv

The hash of an entry is the SHA-256 of its JSONL line without 'hash', with sorted keys, no spaces, ASCII only.
In CSV, a cell that a spreadsheet would take for a formula begins with an apostrophe."""

_TOTP_EXAMPLES = """\
Examples:
  holdfast totp enrol boris     boris looks on with the phone in hand
  holdfast totp remove boris    the phone is lost; boris can then set up a new one

In a private chat with the bot, /enrol does the same without an admin."""

_TRIES: Final = 3
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_COLUMNS: Final = tuple(ChainedEntry.model_fields)
# What makes a spreadsheet calculate, also behind spaces and in the wide forms that some take for the same.
_FORMULA: Final = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")

Name = Annotated[str, Parameter(help="Short name in people.yaml.")]


@dataclass(frozen=True)
class RecordDeps:
    """What these commands work with.

    Attributes:
        audit, second_factor: lend the records; entered once a step.
        people: who is known on this machine.
    """

    audit: Callable[[], AbstractAsyncContextManager[AuditLog]]
    second_factor: Callable[[], AbstractAsyncContextManager[SecondFactor]]
    people: Callable[[], People]


def add_records(app: App, commands: "RecordCommands") -> None:
    """Add `audit` and `totp` to the command line."""
    group = Group("Records", sort_key=3)
    audit = App(name="audit", help="Check and export the record.", group=group, help_epilogue=_AUDIT_EXAMPLES)
    audit.command(commands.verify, help_epilogue=_AUDIT_EXAMPLES)
    audit.command(commands.export, help_epilogue=_EXPORT_EXAMPLES)
    totp = App(name="totp", help="Look after authenticator apps.", group=group, help_epilogue=_TOTP_EXAMPLES)
    totp.command(commands.enrol, help_epilogue=_TOTP_EXAMPLES)
    totp.command(commands.remove, help_epilogue=_TOTP_EXAMPLES)
    app.command(audit)
    app.command(totp)


class RecordCommands:
    """The record of what was decided, and the authenticator apps of those who decide."""

    def __init__(self, deps: RecordDeps) -> None:
        self._deps = deps

    async def verify(
        self,
        *,
        expect_head: Annotated[
            str,
            Parameter(help="Hash that an earlier check printed; it must still be there.", show_default=False),
        ] = "",
        as_json: AsJson = False,
    ) -> Exit:
        """Check that the record is whole, entry by entry, or name the first that is not as it was written."""
        out, head = Output(as_json=as_json), expect_head.strip().lower()
        if head and not _HASH.fullmatch(head):
            raise InvalidInput("--expect-head: a hash has 64 characters, 0-9 and a-f")
        async with self._deps.audit() as audit:
            report = await audit.verify(expected_head=head)
        out.document(report.model_dump())
        if not as_json:
            _tell(report, out)
        return Exit.DONE if report.broken_at is None else Exit.OTHERWISE

    async def export(
        self,
        *,
        form: Annotated[
            Literal["jsonl", "csv"], Parameter(name="--format", help="One JSON object a line, or a table.")
        ] = "jsonl",
        run: Annotated[str, Parameter(help="Only of this run.", show_default=False)] = "",
        gate: Annotated[str, Parameter(help="Only of this gate.", show_default=False)] = "",
        output: Annotated[Path | None, Parameter(help="Where to; without it to stdout.")] = None,
    ) -> Exit:
        """Write the record out, oldest entry first, for an auditor or a spreadsheet."""
        lines = {"jsonl": _jsonl, "csv": _csv}[form]
        written = 0
        async with self._deps.audit() as audit:
            with _target(output) as file:
                for line in lines(audit.read(run=run, gate=gate)):
                    file.write(line)
                    written += 1
        if output is not None:
            Output().say(f"Wrote {written - (form == 'csv')} entries to {output}.")
        return Exit.DONE

    def enrol(self, name: Name, /) -> Exit:
        """Set up an authenticator app for a person who looks on, and confirm it by its first code."""
        people, out = self._deps.people(), Output()
        person = people.named(name)
        if person is None:
            raise UnknownName("person", name, (p.name for p in people.people))
        _show(asyncio.run(self._begun(person.name)), person.name, out)
        # Asked outside of the event loop, where Ctrl-C ends the reading at once.
        for _ in range(_TRIES):
            refusal = asyncio.run(self._confirmed(person.name, _asked(f"First code of {person.name}: ")))
            if not refusal:
                out.say(f"Done: {person.name} decides with codes of this app from now on.")
                return Exit.DONE
            complain(refusal)
        complain(
            f"Nothing was set up for {person.name}. Say 'holdfast totp enrol {person.name}' to begin anew."
        )
        return Exit.OTHERWISE

    async def remove(self, name: Name, /) -> Exit:
        """Forget a person's authenticator app, e.g. after a lost phone; they can set up another one then."""
        person, out = name.strip().lower(), Output()
        async with self._deps.second_factor() as factor:
            enrolled = await factor.enrolled(person)
            if enrolled:  # recorded before it is done: none may vanish without a record
                await self._record(person, f"The authenticator app of {person} is removed at the command line.")
            removed = await factor.remove(person)
        if enrolled and removed:
            out.say(
                f"Removed. {person} cannot approve where a code is asked until a new app is set up: /enrol."
            )
            return Exit.DONE
        complain(f"'{person}' has no authenticator app, so there is nothing to remove.")
        return Exit.OTHERWISE

    async def _begun(self, person: str) -> Enrolment:
        async with self._deps.second_factor() as factor:
            return await factor.enrol(person, now=datetime.now(UTC))

    async def _confirmed(self, person: str, code: str) -> str:
        """Return why the code does not count; empty when it does, which is on record then."""
        async with self._deps.second_factor() as factor:
            try:
                await factor.confirm(person, code, now=datetime.now(UTC))
            except CodeRefused as refused:
                return str(refused)
        await self._record(person, f"{person} set up an authenticator app at the command line.")
        return ""

    async def _record(self, person: str, text: str) -> None:
        entry = AuditEntry(
            key=f"enrolment/{person}/{secrets.token_hex(8)}",
            at=datetime.now(UTC),
            kind=AuditKind.ENROLMENT,
            person=person,
            channel="cli",
            text=text,
            data={"account": getpass.getuser()},  # of this machine: whoever types is nobody whom Holdfast knows
        )
        async with self._deps.audit() as audit:
            await audit.append([entry])


def _tell(report: ChainReport, out: Output) -> None:
    if report.broken_at is not None:
        complain(
            f"The record is BROKEN at entry {report.broken_at}: {report.problem}.\n"
            "What stands before that entry is as it was written. Leave the database as it is, and compare it "
            "with a backup and with an earlier export."
        )
        return
    out.say(f"The record is whole: {report.entries} entries.")
    if report.head:
        out.say(f"Head: {report.head}")
        out.say(f"Keep it elsewhere; next time: holdfast audit verify --expect-head {report.head}")


def _jsonl(entries: Iterable[ChainedEntry]) -> Iterator[str]:
    for entry in entries:
        yield json.dumps(_document(entry), ensure_ascii=False) + "\n"


def _csv(entries: Iterable[ChainedEntry]) -> Iterator[str]:
    yield _row(_COLUMNS)
    for entry in entries:
        document = _document(entry)
        document["data"] = json.dumps(document["data"], ensure_ascii=False)
        yield _row(_harmless(str(document[column])) for column in _COLUMNS)


def _row(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow(cells)
    return line.getvalue()


def _document(entry: ChainedEntry) -> dict[str, Any]:
    return entry.model_dump(mode="json") | {"at": entry.at.isoformat(timespec="microseconds")}


def _harmless(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell


@contextmanager
def _target(output: Path | None) -> Generator[TextIO]:
    if output is None:
        with _until_nobody_reads():
            yield sys.stdout
        return
    try:
        with output.open("w", encoding="utf-8", newline="") as file:
            yield file
    except OSError as error:
        raise InvalidInput(f"--output: {output} cannot be written: {error.strerror}") from None


@contextmanager
def _until_nobody_reads() -> Generator[None]:
    """Take it for the end when the reader of a pipe has seen enough, as `head` does."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show(enrolment: Enrolment, person: str, out: Output) -> None:
    picture = io.StringIO()
    import segno  # noqa: PLC0415  every other command starts sooner without it

    segno.make(enrolment.uri, error="m").terminal(out=picture, compact=True)
    out.say(picture.getvalue())
    secret = " ".join(enrolment.secret[i : i + 4] for i in range(0, len(enrolment.secret), 4))
    out.say(f"{person}: scan this with your authenticator app, or type the secret: {secret}")
    out.say("Then type the code that the app shows. Nobody else may see this; clear the screen afterwards.")


def _asked(prompt: str) -> str:
    """Read a code without showing it; from a pipe as it comes."""
    if sys.stdin is not None and sys.stdin.isatty():
        return getpass.getpass(prompt)
    line = "" if sys.stdin is None else sys.stdin.readline()
    if not line:
        raise InvalidInput("no code was given, so nothing was set up; type it when you are asked for it")
    return line
