"""`holdfast audit` and `holdfast totp` over a real database file."""

import asyncio
import csv
import hashlib
import io
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cyclopts import App, Parameter
from pyotp.totp import TOTP

from holdfast.adapters.sql_store import SqlStore
from holdfast.apps.cli.exits import sentences
from holdfast.apps.cli.records import RecordCommands, RecordDeps, add_records
from holdfast.domain.people import People, Person
from holdfast.domain.proofs import Keyring
from holdfast.ports.audit import AuditEntry, AuditKind

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PEOPLE = People(people=(Person(name="boris", title="Boris"), Person(name="vera", title="Vera")))


class Records:
    """A database, opened anew for each step as the commands do, and from the outside."""

    def __init__(self, path) -> None:
        self.path = path

    @asynccontextmanager
    async def opened(self):
        store = SqlStore(f"sqlite:///{self.path}", Keyring(["a secret key for tests"]))
        await store.migrate()
        yield store
        await store.close()

    @asynccontextmanager
    async def audit(self):
        async with self.opened() as store:
            yield store.audit

    @asynccontextmanager
    async def second_factor(self):
        async with self.opened() as store:
            yield store.second_factor

    def append(self, *entries: AuditEntry) -> None:
        async def append() -> None:
            async with self.audit() as audit:
                await audit.append(entries)

        asyncio.run(append())

    def enrolled(self, person: str) -> bool:
        async def enrolled() -> bool:
            async with self.second_factor() as factor:
                return await factor.enrolled(person)

        return asyncio.run(enrolled())

    def tamper(self, statement: str) -> None:
        connection = sqlite3.connect(self.path)
        connection.executescript(f"DROP TRIGGER audit_no_update; DROP TRIGGER audit_no_delete; {statement};")
        connection.close()


class Phone(io.StringIO):
    """Standard input of a person who reads the secret from the screen and types what the app shows."""

    def __init__(self, capsys, *, wrong: int = 0) -> None:
        super().__init__()
        self._capsys, self._wrong = capsys, wrong
        self.screen = self.complaints = ""

    def readline(self, *_):
        written = self._capsys.readouterr()
        self.screen, self.complaints = self.screen + written.out, self.complaints + written.err
        secret = self.screen.split("type the secret: ")[1].split("\n")[0].replace(" ", "")
        code = TOTP(secret).now()
        if self._wrong:
            self._wrong -= 1
            return f"{(int(code) + 1) % 10**6:06d}\n"
        return f"{code[:3]} {code[3:]}\n"


def entry(number: int, **changes) -> AuditEntry:
    fields = {"key": f"k{number}", "at": NOW, "kind": AuditKind.DECISION, "run": "rollout-a", "gate": "1-limit"}
    return AuditEntry.model_validate(fields | {"text": f"number {number}", "person": "boris"} | changes)


def run_app(records: Records, *tokens: str) -> None:
    app = App(name="holdfast", default_parameter=Parameter(negative=()), help_format="plaintext")
    deps = RecordDeps(audit=records.audit, second_factor=records.second_factor, people=lambda: PEOPLE)
    add_records(app, RecordCommands(deps))
    with sentences():
        app(list(tokens))


@pytest.fixture
def records(tmp_path) -> Records:
    return Records(tmp_path / "holdfast.db")


@pytest.fixture
def holdfast(records, capsys, monkeypatch):
    """Run a command; return its exit code and what it wrote to both streams."""

    def command(*tokens: str, stdin: io.StringIO | None = None) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", stdin or io.StringIO(""))
        with pytest.raises(SystemExit) as ended:
            run_app(records, *tokens)
        written = capsys.readouterr()
        return int(ended.value.code or 0), written.out, written.err

    return command


def test_a_whole_record_is_told_with_its_head(holdfast, records):
    records.append(entry(1), entry(2))

    code, out, err = holdfast("audit", "verify")
    assert (code, err) == (0, "")
    assert out.startswith("The record is whole: 2 entries.\nHead: ")
    head = out.split("Head: ")[1].split("\n")[0]
    assert holdfast("audit", "verify", "--expect-head", head.upper())[0] == 0


def test_an_empty_record_is_whole(holdfast):
    assert holdfast("audit", "verify") == (0, "The record is whole: 0 entries.\n", "")


def test_a_broken_record_is_told_on_stderr_and_exits_1(holdfast, records):
    records.append(entry(1), entry(2), entry(3))
    records.tamper("UPDATE audit SET person = 'vera' WHERE number = 2")

    code, out, err = holdfast("audit", "verify")
    assert (code, out) == (1, "")
    assert "BROKEN at entry 2: its content is not what it was" in err

    code, out, _ = holdfast("audit", "verify", "--json")
    document = json.loads(out)
    assert (code, document["entries"], document["broken_at"]) == (1, 2, 2)


def test_a_cut_off_end_is_told_where_the_head_was_kept(holdfast, records):
    records.append(entry(1), entry(2))
    head = json.loads(holdfast("audit", "verify", "--json")[1])["head"]
    records.tamper("DELETE FROM audit WHERE number = 2")

    assert holdfast("audit", "verify")[0] == 0
    code, _, err = holdfast("audit", "verify", "--expect-head", head)
    assert code == 1
    assert f"BROKEN at entry 2: no entry has the hash {head}" in err


def test_a_head_that_is_no_hash_is_bad_input(holdfast):
    assert holdfast("audit", "verify", "--expect-head", "9b1c")[::2] == (
        2,
        "--expect-head: a hash has 64 characters, 0-9 and a-f\n",
    )


def test_an_export_can_be_checked_by_anybody(holdfast, records):
    records.append(entry(1, text='Нет — "never"\nagain', data={"б": ["ü", 1.5]}), entry(2))

    code, out, err = holdfast("audit", "export")
    assert (code, err) == (0, "")
    previous = ""
    for line in out.splitlines():
        fields = json.loads(line)
        told = fields.pop("hash")
        plain = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(plain.encode()).hexdigest() == told
        assert fields["previous"] == previous
        previous = told
    assert json.loads(out.splitlines()[0])["text"] == 'Нет — "never"\nagain'


def test_a_run_or_a_gate_is_exported_alone(holdfast, records):
    records.append(entry(1), entry(2, gate="2-pool"), entry(3, run="rollout-b"))

    def numbers(*options: str) -> list[int]:
        return [json.loads(line)["number"] for line in holdfast("audit", "export", *options)[1].splitlines()]

    assert numbers("--run", "rollout-a") == [1, 2]
    assert numbers("--gate", "1-limit") == [1, 3]
    assert numbers("--run", "rollout-a", "--gate", "1-limit") == [1]
    assert numbers("--run", "rollout-c") == []


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =1+1", "\r=1", "\n=1", "＝1+1", "=cmd|'/c calc'!A1"]
)
def test_no_cell_of_a_csv_export_is_a_formula(holdfast, records, text):
    records.append(entry(1, text=text, person=text))

    _, out, _ = holdfast("audit", "export", "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(out, newline=""))
    assert (row["text"], row["person"]) == (f"'{text}", f"'{text}")


def test_a_csv_export_holds_every_field(holdfast, records):
    records.append(entry(1, text='say "no", 1-2', data={"proofs": ["totp"], "of": "ü"}))

    _, out, _ = holdfast("audit", "export", "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(out, newline=""))
    assert set(row) == {
        *("number", "key", "at", "kind", "run", "gate", "person", "channel", "text", "data", "previous", "hash")
    }
    assert row["at"] == "2026-03-01T12:00:00.000000+00:00"
    assert row["text"] == 'say "no", 1-2'
    assert json.loads(row["data"]) == {"proofs": ["totp"], "of": "ü"}


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_export_goes_to_a_file(holdfast, records, tmp_path, form):
    records.append(entry(1), entry(2))
    file = tmp_path / "export"

    code, out, _ = holdfast("audit", "export", "--format", form, "--output", str(file))
    assert (code, out) == (0, f"Wrote 2 entries to {file}.\n")
    with file.open(encoding="utf-8", newline="") as written:
        assert written.read() == holdfast("audit", "export", "--format", form)[1]


def test_a_file_that_cannot_be_written_is_bad_input(holdfast, records, tmp_path):
    records.append(entry(1))
    code, _, err = holdfast("audit", "export", "--output", str(tmp_path / "no" / "where"))

    assert (code, err) == (2, f"--output: {tmp_path}/no/where cannot be written: No such file or directory\n")


def test_an_authenticator_app_is_set_up_at_the_terminal(holdfast, records, capsys):
    phone = Phone(capsys, wrong=1)
    code, out, _ = holdfast("totp", "enrol", "Boris", stdin=phone)

    assert code == 0
    assert "█▀" in phone.screen
    assert "Done: boris decides with codes of this app" in out
    assert "That code is wrong" in phone.complaints
    assert records.enrolled("boris")
    (line,) = holdfast("audit", "export")[1].splitlines()
    recorded = json.loads(line)
    assert (recorded["kind"], recorded["person"], recorded["channel"]) == ("enrolment", "boris", "cli")


def test_three_wrong_codes_set_up_nothing(holdfast, records, capsys):
    code, _, err = holdfast("totp", "enrol", "boris", stdin=Phone(capsys, wrong=3))

    assert code == 1
    assert "Nothing was set up for boris" in err
    assert not records.enrolled("boris")
    assert holdfast("audit", "export")[1] == ""


def test_no_code_sets_up_nothing(holdfast, records):
    code, _, err = holdfast("totp", "enrol", "boris")

    assert (code, err) == (2, "no code was given, so nothing was set up; type it when you are asked for it\n")
    assert not records.enrolled("boris")


def test_only_known_people_are_enrolled_and_only_once(holdfast, capsys):
    assert holdfast("totp", "enrol", "zoe")[::2] == (2, "unknown person 'zoe'; known: boris, vera\n")

    holdfast("totp", "enrol", "boris", stdin=Phone(capsys))
    code, out, err = holdfast("totp", "enrol", "boris")
    assert (code, out) == (2, "")
    assert "holdfast totp remove boris" in err


def test_removing_an_app_is_on_record(holdfast, records, capsys):
    holdfast("totp", "enrol", "boris", stdin=Phone(capsys))

    code, out, _ = holdfast("totp", "remove", "Boris")
    assert code == 0
    assert out.startswith("Removed. boris cannot approve")
    assert not records.enrolled("boris")
    assert "is removed at the command line" in holdfast("audit", "export")[1].splitlines()[-1]

    code, _, err = holdfast("totp", "remove", "boris")
    assert (code, err) == (1, "'boris' has no authenticator app, so there is nothing to remove.\n")


def process(records, *tokens: str, **streams) -> subprocess.Popen:
    """The same command in a process of its own, away from any terminal that is not given."""
    imports = "import sys; from tests.cli.test_records import Records, run_app"
    script = f"{imports}; run_app(Records(sys.argv[1]), *sys.argv[2:])"
    command = [sys.executable, "-c", script, str(records.path), *tokens]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, start_new_session=True, **streams)


def test_a_reader_that_has_seen_enough_is_no_error(holdfast, records):
    records.append(*(entry(number, text="x" * 500) for number in range(1000)))

    with process(records, "audit", "export", stdout=subprocess.PIPE) as exporting:
        assert json.loads(exporting.stdout.readline())["number"] == 1
        exporting.stdout.close()
        assert exporting.stderr.read() == b""
    assert exporting.returncode == 0


def test_a_code_that_is_typed_is_not_shown(holdfast, records):
    keyboard, terminal = os.openpty()
    with process(records, "totp", "enrol", "boris", stdin=terminal, stdout=terminal) as enrolling:
        os.close(terminal)
        screen = ""
        while "clear the screen" not in screen:
            screen += os.read(keyboard, 65536).decode(errors="replace")
        asked = b""
        while not asked.endswith(b"First code of boris: "):
            asked += enrolling.stderr.read1()
        secret = screen.split("type the secret: ")[1].split("\r\n")[0].replace(" ", "")
        code = TOTP(secret).now()
        os.write(keyboard, f"{code}\n".encode())
        while "Done" not in screen:
            screen += os.read(keyboard, 65536).decode(errors="replace")
        assert code not in screen + enrolling.stderr.read().decode()
    os.close(keyboard)
    assert enrolling.returncode == 0
    assert records.enrolled("boris")


@pytest.mark.parametrize("command", [["audit"], ["audit", "verify"], ["audit", "export"], ["totp", "enrol"]])
def test_help_teaches_by_examples(holdfast, command):
    code, out, _ = holdfast(*command, "--help")

    assert code == 0
    assert f"Examples:\n  holdfast {command[0]} " in out
