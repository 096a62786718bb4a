"""`holdfast verdict compare` and `label` over a real database file and the real chart."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App, Parameter

from holdfast.adapters.charts.comparison import comparison_chart
from holdfast.adapters.sql_store import SqlStore
from holdfast.apps.cli.verdict_compare import CompareCommands, CompareDeps, add_comparison
from holdfast.domain.people import People, Person
from holdfast.domain.proofs import Keyring
from holdfast.ports.verdicts import KeptVerdict, VerdictLog
from holdfast.verdict.observation import Outcome
from tests.cli.conftest import Told, told_by

NOW = datetime.now(UTC)
PEOPLE = People(people=(Person(name="anna", title="Anna"), Person(name="boris", title="Boris")))


@dataclass
class Kept:
    """A database, opened anew for each command."""

    path: Path

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[VerdictLog]:
        store = SqlStore(f"sqlite:///{self.path}", Keyring(["a secret key for tests"]))
        await store.migrate()
        yield store.verdicts
        await store.close()

    def release(self, run: str, *stopping: str, days_ago: float = 1, runbook: str = "support-surge") -> None:
        """Keep a minute of two models, of which these stop."""

        async def keep(log: VerdictLog) -> None:
            at = NOW - timedelta(days=days_ago)
            await log.keep(
                [
                    KeptVerdict(
                        run_id=run,
                        runbook=runbook,
                        stage="crm-pool",
                        share_percent=5,
                        model=model,
                        deciding=model == "weighted",
                        at=at + timedelta(minutes=3),
                        watch_started_at=at,
                        outcome=Outcome.PAUSE if model in stopping else Outcome.CONTINUE,
                        risk_percent=0,
                    )
                    for model in ("weighted", "attributed")
                ]
            )

        self._do(keep)

    def labels(self) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.path) as connection:
            query = "SELECT run, stage, label, fault, why, person FROM release_labels ORDER BY run"
            rows = connection.execute(query).fetchall()
        connection.close()
        return rows

    def _do(self, what: Callable[[VerdictLog], Awaitable[None]]) -> None:
        async def do() -> None:
            async with self.opened() as log:
                await what(log)

        asyncio.run(do())


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "holdfast.db")


@pytest.fixture
def holdfast(kept: Kept, capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    """Run one command; return how it ended and what it wrote."""

    def command(*tokens: str) -> Told:
        app = App(name="holdfast", default_parameter=Parameter(negative=()), help_format="plaintext")
        verdict = App(name="verdict")
        deps = CompareDeps(log=kept.opened, draw=comparison_chart, people=lambda: PEOPLE)
        add_comparison(verdict, CompareCommands(deps))
        app.command(verdict)
        return told_by(app, ["verdict", *tokens], capsys)

    return command


Holdfast = Callable[..., Told]


def test_a_comparison_shows_scores_agreement_and_what_to_do(holdfast: Holdfast, kept: Kept) -> None:
    kept.release("run-1", "attributed")
    kept.release("run-2")
    assert holdfast("label", "run-1", "crm-pool", "bad", "--as", "anna").code == 0
    told = holdfast("compare")

    assert (told.code, told.err) == (0, "")
    assert "2 releases, 1 labelled, 1 of them bad" in told.out
    rows = [" ".join(line.replace("│", " ").split()) for line in told.out.splitlines()]
    assert "weighted (decides) 1 – 0.00 0.00 – 0" in rows
    assert "attributed 1 1.00 1.00 1.00 3 0" in rows
    assert "attributed 50 % 0 0 1 1 1 of 1 1" in rows
    assert "19 more are needed, at least 4 of them bad" in told.out


def test_releases_on_which_the_models_differ_are_listed_ready_to_be_labelled(
    holdfast: Holdfast, kept: Kept
) -> None:
    for number in range(6):
        kept.release(f"run-{number}", *(["weighted"] if number == 4 else []))
    told = holdfast("compare")

    assert "Not labelled yet: 6; those on which the models differ come first:\n  run-4 crm-pool\n" in told.out


def test_a_comparison_in_json_is_the_whole_of_it(holdfast: Holdfast, kept: Kept) -> None:
    kept.release("run-1", "weighted")
    document = json.loads(holdfast("compare", "--json").out)

    assert (document["champion"], document["releases"]) == ("weighted", 1)
    assert document["recommendation"]["decision"] == "wait"
    assert document["challenges"][0]["agreement"]["only_champion"] == 1


@pytest.mark.parametrize(
    ("tokens", "count"),
    [
        ((), 3),
        (("--runbook", "support-surge"), 2),
        (("--runbook", "unheard-of"), 0),
        (("--since", "5d"), 1),
        (("--since", f"{NOW - timedelta(days=15):%Y-%m-%d}"), 2),
        (("--since", (NOW - timedelta(days=40)).isoformat()), 3),
        (("--since", "20d", "--runbook", "support-surge"), 1),
    ],
)
def test_releases_can_be_chosen(holdfast: Holdfast, kept: Kept, tokens: tuple[str, ...], count: int) -> None:
    kept.release("run-1", days_ago=1)
    kept.release("run-2", days_ago=10, runbook="other")
    kept.release("run-3", days_ago=30)

    assert json.loads(holdfast("compare", "--json", *tokens).out)["releases"] == count


def test_without_any_release_that_is_said(holdfast: Holdfast) -> None:
    told = holdfast("compare")

    assert (told.code, told.out.strip()) == (0, "No release was judged yet: nothing to compare.")


def test_a_picture_is_drawn_beside_the_words(holdfast: Holdfast, kept: Kept, tmp_path: Path) -> None:
    kept.release("run-1", "weighted")
    told = holdfast("compare", "--plot", str(tmp_path / "models.png"), "--json")

    assert json.loads(told.out)["releases"] == 1
    assert "Drawn:" in told.err
    assert (tmp_path / "models.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (("compare", "--since", "yesterday"), "--since: 'yesterday' is no moment; write 2026-03-01"),
        (("compare", "--since", "xd"), "--since: 'xd' is no moment"),
        (("compare", "--since", "20"), "--since: '20' is no moment"),
        (("compare", "--since", "999999999d"), "is no moment"),
        (("compare", "--plot", "models.pdf"), "--plot: the picture is a PNG; name it like models.png"),
        (("compare", "--plot", "/nowhere/models.png"), "cannot be written: No such file"),
        (("label", "run-1", "pool", "bad", "--as", "anna"), "run-1 'pool'; known: crm-pool"),
        (("label", "run-9", "crm-pool", "bad", "--as", "anna"), "'run-9/crm-pool'; known: run-1/crm-pool"),
        (("label", "run-1", "crm-pool", "bad", "--as", "zoe"), "unknown person 'zoe'; known: anna, boris"),
        (("label", "run-1", "crm-pool", "good", "--fault", "x", "--as", "anna"), "a good release has no fault"),
    ],
)
def test_wrong_input_is_refused_in_words_and_changes_nothing(
    holdfast: Holdfast, kept: Kept, tokens: tuple[str, ...], words: str
) -> None:
    kept.release("run-1")
    told = holdfast(*tokens)

    assert told.code == 2
    assert words in told.err
    assert kept.labels() == []


def test_a_label_is_kept_with_who_said_it_and_why(holdfast: Holdfast, kept: Kept) -> None:
    kept.release("run-1")
    words = ("--fault", "pool exhausted", "--why", "tickets rose")
    told = holdfast("label", "run-1", "crm-pool", "bad", *words, "--as", "Anna")

    assert told.code == 0
    assert told.out == "Labelled: stage crm-pool of run run-1 was bad (pool exhausted), says anna.\n"
    assert kept.labels() == [("run-1", "crm-pool", "bad", "pool exhausted", "tickets rose", "anna")]
    holdfast("label", "run-1", "crm-pool", "good", "--as", "boris")
    assert kept.labels() == [("run-1", "crm-pool", "good", "", "", "boris")]


@pytest.mark.parametrize(("command", "word"), [("compare", "harmonic"), ("label", "by mistake was good")])
def test_the_help_teaches_with_examples(holdfast: Holdfast, command: str, word: str) -> None:
    told = holdfast(command, "--help")

    assert told.code == 0
    assert f"holdfast verdict {command}" in told.out
    assert word in told.out
