"""`holdfast report` over an in-memory store and a maker of reports that remembers what it was asked."""

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from cyclopts import App

from holdfast.apps.cli.exits import sentences
from holdfast.apps.cli.report import ReportDeps, add_report
from holdfast.ports.campaigns import KeptCampaign
from holdfast.ports.reports import CampaignReport

OPENS = datetime(2026, 12, 11, 7, 0, tzinfo=UTC)


def kept(run: str, day: int = 0, name: str = "autumn-sale") -> KeptCampaign:
    opens = OPENS + timedelta(days=day)
    return KeptCampaign(run=run, campaign=name, client="Example", opens=opens, closes=opens + timedelta(days=3))


@dataclass
class House:
    held: list[KeptCampaign] = field(default_factory=lambda: [kept("campaign-a"), kept("campaign-b", day=30)])
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def campaign(self, run):
        return next((each for each in self.held if each.run == run), None)

    async def campaigns(self, campaign="", *, limit=20):
        fitting = [each for each in self.held if campaign in {"", each.campaign}]
        return sorted(fitting, key=lambda each: each.opens, reverse=True)[:limit]

    async def build(self, run, *, language="en"):
        self.asked.append((run, language))
        return CampaignReport(
            run=run,
            campaign="autumn-sale",
            title="Autumn sale",
            language=language,
            summary=["All promises were kept."],
            html="<!doctype html>é",
            png=b"\x89PNG",
            analysis={"slos": []},
        )

    def run(self, *tokens: str) -> int:
        @asynccontextmanager
        async def lent():
            yield self

        app = App(name="holdfast")
        add_report(app, ReportDeps(campaigns=lent, reports=lent))
        with pytest.raises(SystemExit) as left, sentences():
            app(list(tokens))
        return int(left.value.code or 0)


@pytest.fixture
def house() -> House:
    return House()


def test_without_a_name_the_kept_campaigns_are_listed(house, capsys):
    assert house.run("report") == 0

    out = capsys.readouterr().out
    assert out.index("campaign-b") < out.index("campaign-a")
    assert "2026-12-11 07:00 – 2026-12-14 07:00 UTC" in out


def test_with_nothing_kept_it_says_so(house, capsys):
    house.held.clear()

    assert house.run("report") == 0
    assert "No campaign is kept" in capsys.readouterr().out


@pytest.mark.parametrize(("which", "run"), [("autumn-sale", "campaign-b"), ("campaign-a", "campaign-a")])
def test_a_name_means_its_newest_run_and_an_id_that_run(house, which, run, capsys):
    assert house.run("report", which, "--language", "ru") == 0

    assert house.asked == [(run, "ru")]
    assert "All promises were kept." in capsys.readouterr().out


def test_files_are_written_and_named(house, tmp_path, capsys):
    html, png = tmp_path / "r.html", tmp_path / "r.png"
    assert house.run("report", "autumn-sale", "--html", str(html), "--png", str(png)) == 0

    assert (html.read_text(encoding="utf-8"), png.read_bytes()) == ("<!doctype html>é", b"\x89PNG")
    assert f"Written: {html}" in capsys.readouterr().out


def test_json_is_one_document_without_files(house, capsys):
    assert house.run("report", "autumn-sale", "--json") == 0

    document = json.loads(capsys.readouterr().out)
    assert (document["run"], document["analysis"]) == ("campaign-b", {"slos": []})
    assert "html" not in document


def test_the_list_as_json_leaves_out_what_is_large(house, capsys):
    assert house.run("report", "--json") == 0

    listed = json.loads(capsys.readouterr().out)["campaigns"]
    assert [set(each) for each in listed] == [{"run", "campaign", "client", "opens", "closes"}] * 2


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (
            ("winter-sale",),
            "unknown kept campaign or run 'winter-sale'; known: autumn-sale, campaign-a, campaign-b",
        ),
        (("--html", "r.html"), "campaign-or-run: say which"),
        (("autumn-sale", "--html", "r.txt"), "--html: name the file like r.html"),
        (("autumn-sale", "--png", "r"), "--png: name the file like r.png"),
        (("autumn-sale", "--png", "/nowhere/at/all/r.png"), "--png: /nowhere/at/all/r.png cannot be written"),
    ],
)
def test_wrong_input_is_named_and_is_exit_2(house, tokens, said, capsys):
    assert house.run("report", *tokens) == 2
    assert said in capsys.readouterr().err
