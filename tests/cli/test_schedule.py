"""`holdfast schedule`: what it says, whom it lets, what it asks of the server."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App

from holdfast.apps.cli.exits import Exit, sentences
from holdfast.apps.cli.schedule import ScheduleDeps, add_schedule
from holdfast.domain.errors import EngineUnavailable, UnknownName
from holdfast.ports.schedules import LoadSchedule, ScheduledRun, ScheduleLine
from holdfast.runbook.library import RunbookLibrary
from tests.temporal.campaign_files import campaign, library


@dataclass
class MemorySchedules:
    """`ports.schedules.Schedules` in memory."""

    kept: dict[str, LoadSchedule] = field(default_factory=dict[str, LoadSchedule])
    notes: dict[str, tuple[bool, str]] = field(default_factory=dict[str, tuple[bool, str]])
    begun: list[str] = field(default_factory=list[str])
    down: bool = False

    async def apply(self, wanted: LoadSchedule) -> bool:
        self._look()
        new = wanted.campaign not in self.kept
        self.kept[wanted.campaign] = wanted
        return new

    async def pause(self, campaign: str, note: str) -> None:
        self.notes[self._known(campaign)] = True, note

    async def resume(self, campaign: str, note: str) -> None:
        self.notes[self._known(campaign)] = False, note

    async def remove(self, campaign: str) -> None:
        del self.kept[self._known(campaign)]

    async def trigger(self, campaign: str) -> None:
        self.begun.append(self._known(campaign))

    async def all(self) -> list[ScheduleLine]:
        self._look()
        return [self._line(name, wanted) for name, wanted in sorted(self.kept.items())]

    def _line(self, name: str, wanted: LoadSchedule) -> ScheduleLine:
        paused, note = self.notes.get(name, (False, ""))
        night = datetime.now(UTC) + timedelta(hours=5)
        run = ScheduledRun(run=f"load-{name}-1", at=night - timedelta(days=1), state="not passed")
        return ScheduleLine(
            id=f"holdfast-load-{name}",
            campaign=name,
            digest=wanted.digest,
            paused=paused,
            note=note,
            next_at=[] if paused else [night],
            skipped=1,
            runs=[run],
        )

    def _known(self, campaign: str) -> str:
        self._look()
        if campaign not in self.kept:
            raise UnknownName("schedule of campaign", campaign, self.kept)
        return campaign

    def _look(self) -> None:
        if self.down:
            raise EngineUnavailable("the Temporal server at here does not answer")


@dataclass
class Desk:
    """The command, its files and its server."""

    directory: Path
    schedules: MemorySchedules = field(default_factory=MemorySchedules)

    def run(self, *tokens: str) -> int:
        """Run it; return its exit code."""
        app = App(name="holdfast", result_action="return_value")
        add_schedule(app, ScheduleDeps(library=self._library, schedules=self._lent))
        try:
            with sentences():
                return int(app(["schedule", *tokens], exit_on_error=False) or Exit.DONE)
        except SystemExit as leaving:
            return int(str(leaving.code))

    def write(self, **schedule: Any) -> None:
        library(self.directory, campaign("sale", **schedule))

    def _library(self) -> RunbookLibrary:
        return RunbookLibrary([self.directory])

    @asynccontextmanager
    async def _lent(self) -> AsyncIterator[MemorySchedules]:
        yield self.schedules


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.write()
    return desk


def test_a_schedule_is_made_and_then_changed(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.run("apply", "sale", "--as", "anna") == Exit.DONE
    assert capsys.readouterr().out.startswith("Made. The first test: ")
    wanted = desk.schedules.kept["sale"]
    assert (wanted.cron, wanted.time_zone, wanted.runbook) == ("30 2 * * *", "Europe/Moscow", "journeys")
    assert wanted.ends - wanted.begins == timedelta(days=13)
    assert wanted.catch_up == timedelta(minutes=10)
    assert desk.run("apply", "sale", "--as", "boris") == Exit.DONE
    assert capsys.readouterr().out.startswith("Changed. ")


def test_only_starters_and_the_owner_may_schedule(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    for act in ("apply", "pause", "resume", "remove", "trigger"):
        assert desk.run(act, "sale", "--as", "gleb") == Exit.OTHERWISE
        said = capsys.readouterr().err
        assert said == "'gleb' may not schedule tests of 'sale'; anna, boris may.\n"
    assert desk.schedules.kept == {}


def test_a_pause_says_who_and_why_and_the_list_shows_it(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.run("apply", "sale", "--as", "anna")
    assert desk.run("pause", "sale", "--as", "anna", "--note", "the CRM is moved") == Exit.DONE
    assert desk.schedules.notes["sale"] == (True, "paused by anna: the CRM is moved")
    capsys.readouterr()
    assert desk.run("list", "--json") == Exit.DONE
    [line] = json.loads(capsys.readouterr().out)["schedules"]
    assert (line["paused"], line["note"], line["next_at"]) == (True, "paused by anna: the CRM is moved", [])
    assert desk.run("resume", "sale", "--as", "anna") == Exit.DONE
    assert desk.schedules.notes["sale"] == (False, "resumed by anna")


def test_the_list_shows_results_and_that_the_file_was_changed_since(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.run("apply", "sale", "--as", "anna")
    capsys.readouterr()
    assert desk.run("list") == Exit.DONE
    shown = capsys.readouterr().out
    assert "as in the file" in shown
    assert "not passed" in shown
    assert "1 skipped: the test before ran" in shown
    desk.write(cron="0 3 * * *")
    desk.run("list")
    assert "the file was changed since: apply it" in capsys.readouterr().out
    (desk.directory / "campaign" / "sale.yaml").unlink()
    desk.run("list")
    assert "the file is gone" in capsys.readouterr().out


def test_a_preview_says_when_and_why_not_and_asks_no_server(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.schedules.down = True
    desk.write(blackouts=[{"begins": "02:00", "ends": "04:00", "days": ["sun"], "why": "backup"}])
    assert desk.run("preview", "sale", "--json") == Exit.DONE
    times = json.loads(capsys.readouterr().out)["times"]
    left_out = [each["left_out"] for each in times if each["left_out"]]
    assert set(left_out) == {"it is in the blackout 02:00–04:00 (backup)"}
    assert len(left_out) in {1, 2}
    assert desk.run("preview", "sale", "--count", "3") == Exit.DONE
    assert "at (Europe/Moscow)" in capsys.readouterr().out


def test_a_test_is_not_triggered_into_a_blackout(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.run("apply", "sale", "--as", "anna")
    assert desk.run("trigger", "sale", "--as", "anna") == Exit.DONE
    desk.write(blackouts=[{"begins": "00:00", "ends": "00:00"}])
    capsys.readouterr()
    assert desk.run("trigger", "sale", "--as", "anna") == Exit.BAD_INPUT
    assert (
        "it is in the blackout 00:00–00:00. To test all the same: holdfast run load" in capsys.readouterr().err
    )
    assert desk.schedules.begun == ["sale"]


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ({"cron": "61 2 * * *"}, "cron: '61' is no minute: write numbers from 0 to 59, *, 1-5, */2 or 1,3"),
        (
            {"blackouts": [{"begins": "00:00", "ends": "00:00"}]},
            "campaign 'sale': no test would begin any more.",
        ),
    ],
)
def test_a_schedule_that_starts_nothing_is_refused(
    desk: Desk, capsys: pytest.CaptureFixture[str], schedule: dict[str, Any], said: str
) -> None:
    desk.write(**schedule)
    assert desk.run("apply", "sale", "--as", "anna") == Exit.BAD_INPUT
    assert capsys.readouterr().err.startswith(said)
    assert desk.schedules.kept == {}


def test_names_that_are_not_there_and_a_server_that_is_down_are_told(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert desk.run("pause", "sale", "--as", "anna") == Exit.BAD_INPUT
    assert capsys.readouterr().err == "unknown schedule of campaign 'sale'; known: none\n"
    assert desk.run("apply", "summer", "--as", "anna") == Exit.BAD_INPUT
    assert "unknown runbook 'summer'; known: sale" in capsys.readouterr().err
    desk.schedules.down = True
    assert desk.run("list") == Exit.NO_ANSWER
    assert capsys.readouterr().err == "the Temporal server at here does not answer\n"


@pytest.mark.parametrize("broken", ["gone", "unreadable"])
def test_a_schedule_without_a_file_can_be_paused_and_removed_by_anybody_known(
    desk: Desk, capsys: pytest.CaptureFixture[str], broken: str
) -> None:
    desk.run("apply", "sale", "--as", "anna")
    file = desk.directory / "campaign" / "sale.yaml"
    file.unlink() if broken == "gone" else file.write_text("kind: campaign")
    assert desk.run("pause", "sale", "--as", "gleb") == Exit.DONE
    assert desk.schedules.notes["sale"] == (True, "paused by gleb")
    capsys.readouterr()
    assert desk.run("remove", "sale", "--as", "nobody") == Exit.BAD_INPUT
    assert "unknown person 'nobody'" in capsys.readouterr().err
    assert desk.run("resume", "sale", "--as", "gleb") == Exit.BAD_INPUT
    assert desk.run("remove", "sale", "--as", "gleb") == Exit.DONE
    assert desk.schedules.kept == {}
