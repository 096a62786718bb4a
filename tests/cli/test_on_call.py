import io
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App, Parameter
from rich.console import Console

from holdfast.apps.cli.on_call import OnCallDeps, add_on_call
from holdfast.apps.cli.render import run_list, whole_run
from holdfast.domain.view import IncidentView, RunState
from holdfast.ports.runs import RunLine
from holdfast.runbook.library import RunbookLibrary
from tests.cli.conftest import ROOT, MemoryDuty, MemoryRuns, Told, told_by, waiting_run

Command = Callable[..., Told]
HOUR = timedelta(hours=1)


@pytest.fixture
def on_call(book: MemoryDuty, capsys: pytest.CaptureFixture[str]) -> Command:
    @asynccontextmanager
    async def duty() -> AsyncGenerator[MemoryDuty]:
        yield book

    def command(*tokens: str, directories: Sequence[Path] = (ROOT / "runbooks",)) -> Told:
        app = App(name="holdfast", default_parameter=Parameter(negative=()), help_format="plaintext")
        add_on_call(app, OnCallDeps(library=lambda: RunbookLibrary(directories), duty=duty))
        return told_by(app, ["oncall", *tokens], capsys)

    return command


def shifts_of(told: Told, rota: str = "oncall") -> list[dict[str, Any]]:
    return next(r["shifts"] for r in told.document["rotas"] if r["name"] == rota)


def test_it_says_who_is_on_duty_and_who_is_next(on_call: Command) -> None:
    told = on_call("--json")

    first, second, *_ = shifts_of(told)
    assert {first["person"], second["person"]} == {"anna", "boris"}
    assert datetime.fromisoformat(first["since"]) <= datetime.now(UTC) < datetime.fromisoformat(first["until"])
    assert first["until"] == second["since"]
    assert first["since"].endswith("T07:00:00Z")  # ten o'clock in Moscow
    assert [r["name"] for r in told.document["rotas"]] == ["oncall", "crm"]


def test_a_table_shows_times_on_the_clock_of_the_rota(on_call: Command) -> None:
    told = on_call("--rota", "oncall")

    assert "oncall: On call (Europe/Moscow; backup: crm)" in told.out
    assert "anna – Anna (on call)" in told.out
    assert "on duty, " in told.out
    assert " 10:00 " in told.out
    assert "crm: CRM" not in told.out


def test_days_say_how_far_ahead(on_call: Command) -> None:
    assert len(shifts_of(on_call("--json", "--days", "56"))) == 9
    assert on_call("--days", "0").err == "--days: 0 is not from 1 to 366\n"


def test_a_cover_puts_somebody_else_on_duty(on_call: Command, book: MemoryDuty) -> None:
    on_duty = shifts_of(on_call("--json"))[0]["person"]

    told = on_call("cover", "oncall", "Vera", "--until", "+4h", "--as", "Anna", "--note", "dentist")

    assert told.code == 0
    assert told.out.startswith("vera is on duty in oncall from ")
    assert f"(Europe/Moscow), instead of {on_duty}.\nTell vera: this command tells nobody." in told.out
    (kept,) = book.kept
    assert (kept.rota, kept.person, kept.by, kept.note) == ("oncall", "vera", "anna", "dentist")
    assert kept.until - kept.since == 4 * HOUR
    first, second, *_ = shifts_of(on_call("--json"))
    assert (first["person"], first["cover"], second["person"]) == ("vera", on_duty, on_duty)
    assert "for " + on_duty in on_call().out
    assert "dentist" in on_call().out


def test_a_cover_is_taken_back_by_another(on_call: Command) -> None:
    on_duty = shifts_of(on_call("--json"))[0]["person"]
    on_call("cover", "oncall", "vera", "--until", "+4h", "--as", "anna")

    told = on_call("cover", "oncall", on_duty, "--until", "+5h", "--as", "anna")

    assert "instead of vera." in told.out
    assert shifts_of(on_call("--json"))[0]["person"] == on_duty


def test_who_is_on_duty_anyway_covers_for_nobody(on_call: Command) -> None:
    on_duty = shifts_of(on_call("--json"))[0]["person"]

    assert "as without this cover." in on_call("cover", "oncall", on_duty, "--until", "+1m", "--as", "anna").out


def test_times_without_an_offset_are_on_the_clock_of_the_rota(on_call: Command, book: MemoryDuty) -> None:
    year = datetime.now(UTC).year + 1

    told = on_call(
        *("cover", "crm", "vera", "--as", "vera", "--json"),
        *("--from", f"{year}-01-10T18:00", "--until", f"{year}-01-11T10:00+01:00"),
    )

    assert told.document["instead_of"]
    assert book.kept[0].since == datetime(year, 1, 10, 15, tzinfo=UTC)
    assert book.kept[0].until == datetime(year, 1, 11, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("night vera --until +4h --as anna", "unknown rota 'night'; known: crm, oncall"),
        ("oncall olga --until +4h --as anna", "unknown person 'olga'; known: anna"),
        ("oncall vera --until +4h --as olga", "unknown person 'olga'; known: anna"),
        ("oncall vera --until soon --as anna", "--until: 'soon' is no moment; write 2026"),
        ("oncall vera --until +4 --as anna", "--until: '4' is no span of time; write"),
        ("oncall vera --until 2026-01-01T10:00 --as anna", "--until: must be later than --from"),
        ("oncall vera --until +400d --as anna", "--until: is more than 366 days after --from"),
        (
            "oncall vera --from 2026-01-01T10:00 --until 2026-01-02T10:00 --as anna",
            "--until: 2026-01-02 07:00 UTC has passed already",
        ),
        (f"oncall vera --until +1h --as anna --note {'x' * 501}", "--note: is longer than 500 characters"),
    ],
)
def test_a_wrong_cover_is_refused_in_words(
    on_call: Command, book: MemoryDuty, typed: str, sentence: str
) -> None:
    told = on_call("cover", *typed.split())

    assert (told.code, told.out) == (2, "")
    assert told.err.startswith(sentence)
    assert book.kept == []


def test_who_may_not_arrange_covers_is_told_who_may(on_call: Command, book: MemoryDuty, tmp_path: Path) -> None:
    (tmp_path / "commands.yaml").write_text("commands: {cover: [sre-lead]}\n")

    told = on_call(
        *("cover", "oncall", "vera", "--until", "+4h", "--as", "anna"),
        directories=[tmp_path, ROOT / "runbooks"],
    )

    assert told.code == 1
    assert told.err == "'anna' may not arrange who is on duty; this is for sre-lead: ask one of them\n"
    assert book.kept == []


def test_a_cover_by_somebody_who_is_away_counts_and_is_pointed_out(
    on_call: Command, book: MemoryDuty, tmp_path: Path
) -> None:
    text = (ROOT / "runbooks/people.yaml").read_text()
    (tmp_path / "people.yaml").write_text(
        text.replace(
            "roles: [crm-owner]\n", "roles: [crm-owner]\n    away: [{from: 2026-01-01, until: 2200-01-01}]\n"
        )
    )

    told = on_call(
        *("cover", "oncall", "vera", "--until", "+4h", "--as", "anna"),
        directories=[tmp_path, ROOT / "runbooks"],
    )

    assert (told.code, len(book.kept)) == (0, 1)
    assert told.err.startswith("By people.yaml vera is away on some of these days")


def test_while_the_database_is_down_the_files_are_shown_all_the_same(
    on_call: Command, book: MemoryDuty
) -> None:
    book.down = True

    told, document = on_call(), on_call("--json")

    assert told.code == document.code == 3
    assert "on duty, " in told.out
    assert told.err == (
        "Who covers for whom is not known: the database does not answer. Above is what the files say.\n"
    )
    assert document.document["covers_known"] is False


def test_an_unknown_rota_lists_the_known_ones(on_call: Command) -> None:
    assert on_call("--rota", "night").err == "unknown rota 'night'; known: crm, oncall\n"


def test_without_rotas_it_says_what_to_write(on_call: Command, tmp_path: Path) -> None:
    (tmp_path / "people.yaml").write_text("people: []\n")

    told = on_call(directories=[tmp_path])

    assert (told.code, told.out) == (
        0,
        "No rota: write escalation/duty.yaml beside people.yaml; docs/on-call.md shows how.\n",
    )


def test_the_whole_command_reads_the_rotas_and_the_covers(holdfast: Command, book: MemoryDuty) -> None:
    on_duty = shifts_of(holdfast("oncall", "--json"))[0]["person"]

    told = holdfast("oncall", "cover", "oncall", "vera", "--until", "+4h", "--as", "anna")

    assert told.code == 0
    assert [cover.person for cover in book.kept] == ["vera"]
    assert f"for {on_duty}" in holdfast("oncall").out


def test_an_incident_is_opened_with_who_is_called_first(holdfast: Command, runs: MemoryRuns) -> None:
    told = holdfast(
        *("run", "incident", "customer-impact", "--title", "CRM\n is slow", "--as", "Vera", "--tier", "gold")
    )

    ((run_id, request),) = runs.opened.items()
    assert told.code == 0
    assert (request.title, request.requested_by, request.tier) == ("CRM is slow", "vera", "gold")
    assert f"Opened {run_id}: CRM is slow (runbook customer-impact, customer tier gold)" in told.out
    assert "Called first: rota:oncall (policy customer)" in told.out


@pytest.mark.parametrize(
    ("tokens", "sentence"),
    [
        (("support-surge", "--title", "x"), "unknown runbook 'support-surge'; known: customer-impact"),
        (("customer-impact", "--title", " "), "--title: say in 1 to 120 characters what is wrong"),
        (("customer-impact", "--title", "x", "--tier", "tin"), "unknown customer tier 'tin'; known:"),
    ],
)
def test_an_incident_that_cannot_be_opened_is_refused_before_anybody_is_called(
    holdfast: Command, runs: MemoryRuns, tokens: tuple[str, ...], sentence: str
) -> None:
    told = holdfast("run", "incident", *tokens, "--as", "vera")

    assert told.code == 2
    assert told.err.startswith(sentence)
    assert runs.opened == {}


def text_of(renderable: Any) -> str:
    written = io.StringIO()
    Console(width=200, file=written).print(renderable)
    return written.getvalue()


def test_an_incident_is_shown_with_who_has_it_and_who_is_next() -> None:
    now = datetime.now(UTC)
    incident = IncidentView(
        tier="gold",
        value=250_000,
        step=2,
        steps=3,
        called=["anna", "vera"],
        next_call=now + 5 * HOUR,
        next_called=["gleb"],
        may_answer=["anna", "vera"],
    )
    view = waiting_run().model_copy(
        update={"state": RunState.OPEN, "gate": None, "stages": [], "incident": incident, "kind": "incident"}
    )

    told = text_of(whole_run(view))

    assert "Customer tier gold, order of 250,000" in told
    assert "Nobody has it yet" in told
    assert "Called: anna, vera (step 2 of 3, round 1)" in told
    assert "UTC (in 4 h 59 min): gleb" in told
    assert "May acknowledge, hand over, resolve: anna, vera" in told
    assert "pace" not in told
    assert "Plan" not in told


def test_an_acknowledged_and_a_resolved_incident_say_so() -> None:
    until = datetime.now(UTC) + 2 * HOUR
    owned = IncidentView(owner="anna", acknowledged_until=until)
    solved = IncidentView(owner="anna", resolution="the pool is wider", may_answer=["anna"])
    owned_text, solved_text = (
        text_of(whole_run(waiting_run().model_copy(update={"gate": None, "incident": view})))
        for view in (owned, solved)
    )

    assert "anna has it, until " in owned_text
    assert "Resolved: the pool is wider" in solved_text
    assert "May acknowledge" not in solved_text


def test_a_list_of_runs_says_of_which_kind_they_are() -> None:
    line = RunLine(
        run_id="incident-a", runbook="customer-impact", status="open", started_at="", kind="incident"
    )

    assert "│ incident " in text_of(run_list([line]))
