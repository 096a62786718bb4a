import json
import re
from pathlib import Path

import pytest


def test_valid_files_are_told_with_their_digests(holdfast, library):
    told = holdfast("validate", "--all")

    assert told.code == 0
    assert told.err == ""
    assert re.search(r"people\.yaml: ok, 4 people\n", told.out)
    assert re.search(r"systems\.yaml: ok, 6 systems\n", told.out)
    assert re.search(r"escalation/duty\.yaml: ok, 2 rotas\n", told.out)
    assert re.search(r"escalation/policies\.yaml: ok, 2 escalation policies\n", told.out)
    assert re.search(r"escalation/priorities\.yaml: ok, 3 customer tiers\n", told.out)
    assert re.search(r"commands\.yaml: ok, rules for 5 commands\n", told.out)
    assert f"customer-impact.yaml: ok, digest {library.incident('customer-impact').digest}\n" in told.out
    assert f"support-surge.yaml: ok, digest {library.rollout('support-surge').digest}\n" in told.out
    assert f"autumn-sale.yaml: ok, digest {library.campaign('autumn-sale').digest}\n" in told.out
    assert f"customer-journeys.yaml: ok, digest {library.load_test('customer-journeys').digest}\n" in told.out


@pytest.fixture
def broken(library, tmp_path):
    """A directory of two broken runbooks and the real people."""
    text = library.path("support-surge").read_text()
    (tmp_path / "first.yaml").write_text(
        text.replace("name: support-surge", "name: first").replace("kind: http", "kind: hdtp")
    )
    (tmp_path / "second.yaml").write_text(
        text.replace("name: support-surge", "name: second").replace("[crm-owner]", "[nobody]")
    )
    (tmp_path / "people.yaml").write_text(library.people_path().read_text())
    return tmp_path


def test_every_problem_of_every_file_is_one_line_on_stderr(holdfast, broken):
    told = holdfast("validate", "--all", directories=[broken])

    assert told.code == 2
    assert told.out == f"{broken}/people.yaml: ok, 4 people\n"
    lines = told.err.splitlines()
    assert len(lines) == 4
    assert all(re.match(rf"{broken}/(first|second)\.yaml:\d+: stages\.\d\.", line) for line in lines)
    assert lines[0].endswith(
        "stages.0.change.kind: unknown kind 'hdtp_config'; "
        "known: alembic, command, github, gitlab, http_config, jenkins"
    )
    assert "nobody in people.yaml has the role, group or name 'nobody'" in lines[3]


def test_files_are_checked_by_path_from_anywhere(holdfast, broken, library):
    told = holdfast(
        "validate", str(library.path("support-surge")), str(broken / "second.yaml"), str(broken / "x.yaml")
    )

    assert told.code == 2
    assert "ok, digest" in told.out
    assert f"{broken}/x.yaml:1: cannot be read" in told.err


def test_a_runbook_is_checked_against_the_systems_beside_it(holdfast, broken):
    text = (broken / "second.yaml").read_text().replace("[nobody]", "[crm-owner]")
    change = "kind: http_config\n      set:\n        bot_rate_limit_per_s: 25\n"
    pipeline = "{kind: gitlab, system: bot, version: '1'}\n"
    assert change in text
    (broken / "second.yaml").write_text(text.replace(change, pipeline))
    (broken / "systems.yaml").write_text("systems: {shop: {kind: http_config, url: 'http://127.0.0.1'}}\n")

    told = holdfast("validate", str(broken / "systems.yaml"), str(broken / "second.yaml"), directories=[broken])

    assert (told.code, told.out) == (2, f"{broken}/systems.yaml: ok, 1 system\n")
    assert (
        "stages.0.change.system: there is no system 'bot' in systems.yaml; known of kind gitlab: none"
        in told.err
    )


def test_a_wrong_systems_file_is_told_line_by_line(holdfast, broken):
    (broken / "systems.yaml").write_text("systems:\n  bot: {kind: gitlap}\n")

    told = holdfast("validate", str(broken / "systems.yaml"))

    assert told.code == 2
    assert told.err.startswith(
        f"{broken}/systems.yaml:2: systems.bot.kind: unknown kind 'gitlap'; known: alembic,"
    )


def test_the_files_of_on_call_are_checked_against_each_other(holdfast, broken, library):
    text = library.path("customer-impact").read_text()
    (broken / "escalation").mkdir()
    (broken / "incident").mkdir()
    (broken / "incident/duty.yaml").write_text(
        text.replace("name: customer-impact", "name: duty").replace("escalation: customer", "escalation: quick")
    )
    (broken / "escalation/duty.yaml").write_text(
        "rotas: {crm: {title: CRM, members: [vera, olga], turn: 7d, begins: 2026-11-16T10:00}}\n"
    )
    (broken / "escalation/policies.yaml").write_text(
        'policies: {default: {title: x, steps: [{page: ["rota:cmr", oncal]}]}}\n'
    )
    (broken / "commands.yaml").write_text("commands:\n  pause: [nobody]\n")
    for name in ("first", "second"):
        (broken / f"{name}.yaml").unlink()

    told = holdfast("validate", "--all", directories=[broken])

    assert (told.code, told.out) == (2, f"{broken}/people.yaml: ok, 4 people\n")
    lines = [line.removeprefix(f"{broken}/") for line in told.err.splitlines()]
    assert lines[0].startswith("commands.yaml:2: commands.pause.0: nobody in people.yaml has the role")
    assert lines[1].endswith(
        "rotas.crm.members.1: nobody in people.yaml has the name 'olga'; known: anna, boris, vera, gleb"
    )
    assert lines[2].endswith("steps.0.page.0: there is no rota 'cmr' in escalation/duty.yaml; known: crm")
    assert (
        "policies.default.steps.0.page.1: nobody in people.yaml has the role, group or name 'oncal'" in lines[3]
    )
    assert lines[1].startswith("escalation/duty.yaml:1: ")
    assert lines[4].endswith(
        "escalation: there is no policy 'quick' in escalation/policies.yaml; known: default"
    )
    assert len(lines) == 5


@pytest.fixture
def campaign(library, tmp_path):
    """Write the shipped campaign and its load test with other words in them, beside the shipped files."""

    def write(*changes: tuple[str, str]) -> list[Path]:
        for kind, name in (("campaign", "autumn-sale"), ("load", "customer-journeys")):
            text = library.path(name).read_text()
            for old, new in changes:
                text = text.replace(old, new)
            (tmp_path / kind).mkdir()
            (tmp_path / kind / f"{name}.yaml").write_text(text)
        return [tmp_path, *library.directories]

    return write


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "owner: sre-lead",
            "owner: sre-laed",
            "owner: nobody in people.yaml has the role, group or name 'sre-laed'",
        ),
        (
            "runbook: customer-journeys",
            "runbook: journeys",
            "load_test.runbook: there is no runbook 'journeys' of kind load; known: customer-journeys",
        ),
        (
            "incident: customer-impact",
            "incident: outage",
            "response.incident: there is no runbook 'outage' of kind incident; known: customer-impact",
        ),
        (
            '"rota:crm"',
            '"rota:cmr"',
            "response.roles.operations.candidates.1: there is no rota 'cmr' in duty.yaml; known: crm, oncall",
        ),
        (
            'cron: "30 2 * * *"',
            'cron: "30 25 * * *"',
            "load_test.schedule.cron: '25' is no hour",
        ),
        (
            "expected_peak: 40",
            "expected_peak: 400",
            "load_test.peak: reaches 600 sessions a second, and 'customer-journeys' allows 200 (ceilings.rate)",
        ),
        (
            "each: 3m",
            "each: 30m",
            "load_test.peak: lasts 2:00:00, and 'customer-journeys' allows 1:00:00 (ceilings.for)",
        ),
    ],
)
def test_a_campaign_is_checked_against_the_files_that_it_names(holdfast, campaign, old, new, problem):
    directories = campaign((old, new))
    path = directories[0] / "campaign/autumn-sale.yaml"

    told = holdfast("validate", str(path), directories=directories)

    assert (told.code, told.out) == (2, "")
    assert re.match(rf"{path}:\d+: ", told.err)
    assert problem in told.err


def test_a_context_that_only_the_load_test_has_is_a_warning(holdfast, campaign):
    directories = campaign(("\n  checkout:\n", "\n  basket:\n"))
    files = [directories[0] / part for part in ("campaign/autumn-sale.yaml", "load/customer-journeys.yaml")]

    for file in files:
        told = holdfast("validate", str(file), directories=directories)
        assert told.code == 0
        assert told.out.startswith(f"{file}: ok, ")
        assert told.err.startswith("warning: campaign 'autumn-sale' has no context 'checkout', which ")


def test_a_load_test_is_checked_against_the_people(holdfast, campaign):
    directories = campaign(("starters: [oncall, sre-lead]\n", "starters: [oncal]\n"))
    path = directories[0] / "load/customer-journeys.yaml"

    told = holdfast("validate", str(path), directories=directories)

    assert (told.code, told.out) == (2, "")
    assert "starters.0: nobody in people.yaml has the role, group or name 'oncal'" in told.err


def test_nothing_to_validate_is_bad_input(holdfast):
    told = holdfast("validate")

    assert (told.code, told.err) == (2, "name the files to check, or say --all\n")


def test_runbooks_are_listed_with_who_may_start_them(holdfast):
    told = holdfast("runbooks", "--json")

    line, second, incident, campaign, load = told.document
    assert (line["name"], second["name"], line["kind"]) == ("support-surge", "ticket-tiers", "rollout")
    assert (incident["name"], incident["kind"], incident["escalation"]) == (
        "customer-impact",
        "incident",
        "customer",
    )
    assert incident["starters"] == ["anna", "boris", "vera", "gleb"]
    assert line["stages"] == ["bot-rate-limit", "crm-pool", "escalation-order"]
    assert line["starters"] == ["anna", "boris"]
    assert (campaign["name"], campaign["kind"], campaign["load_test"]) == (
        *("autumn-sale", "campaign"),
        load["name"],
    )
    assert (campaign["opens"], campaign["starters"]) == ("2026-12-11T10:00:00+03:00", ["anna", "boris", "gleb"])
    assert campaign["contexts"] == ["support", "account", "notification", "checkout"]
    assert (load["kind"], load["highest_rate"], load["seconds"]) == ("load", 20, 270)
    assert load["starters"] == ["anna", "boris"]
    shown = holdfast("runbooks").out
    assert all(line["title"] in shown for line in told.document)


def test_a_broken_runbook_is_listed_as_such(holdfast, broken):
    told = holdfast("runbooks", directories=[broken])

    assert told.code == 2
    assert "INVALID, see: holdfast validate" in told.out


def test_an_empty_directory_is_named(holdfast, tmp_path):
    assert f"No runbook in {tmp_path}." in holdfast("runbooks", directories=[tmp_path]).out


def test_people_are_listed(holdfast):
    assert [p["name"] for p in holdfast("people", "--json").document] == ["anna", "boris", "vera", "gleb"]
    assert re.search(r"boris\W+Boris \(SRE lead\)\W+sre-lead\W+1002", holdfast("people").out)


def test_the_schema_is_printed_or_written_beside_the_runbooks(holdfast, tmp_path):
    printed = holdfast("schema")
    written = holdfast("schema", "--write", directories=[tmp_path])

    assert json.loads(printed.out)["title"] == "RolloutSpec"
    assert (tmp_path / "schemas/rollout.json").read_text() == printed.out
    assert f"wrote {tmp_path}/schemas/people.json" in written.out
    assert (
        holdfast("schema", "campain").err == "unknown kind of file 'campain'; "
        "known: campaign, commands, duty, incident, load, people, policies, priorities, rollout, systems\n"
    )
