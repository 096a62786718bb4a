"""`systems.yaml`: found, loaded with its paths placed, and what runbooks say is checked against it."""

from pathlib import Path
from typing import Any

import pytest

from holdfast.domain.errors import InvalidInput, RunbookInvalid
from holdfast.domain.people import People
from holdfast.runbook.kinds.rollout import RolloutSpec
from holdfast.runbook.library import RunbookLibrary
from holdfast.runbook.loader import load_rollout, load_systems
from holdfast.runbook.review import check_requester, review
from holdfast.runbook.systems import (
    AlembicSystem,
    CommandSystem,
    GitLabSystem,
    HttpConfigSystem,
    Secret,
    Systems,
)

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = load_rollout(Path(__file__).parent / "example.yaml").spec
KINDS = "alembic, command, github, gitlab, http_config, jenkins"
SYSTEMS = """\
systems:
  shop: {kind: http_config, url: "http://127.0.0.1:1", token: {file: token}}
  bot: {kind: gitlab, url: "https://git.example.com", project: shop/bot, token: {env: TOKEN}}
  db: {kind: alembic, url: {file: /run/secrets/url}, dry_run_url: {file: dry}, scripts: ../db}
  index: {kind: command, run: [a], revert: [b], state: [c], done: x, secrets: {PASSWORD: {file: pw}}}
"""


def written(directory: Path, text: str = SYSTEMS) -> Path:
    directory.mkdir(exist_ok=True)
    path = directory / "systems.yaml"
    path.write_text(text)
    return path


def problems_of(directory: Path, text: str) -> list[str]:
    path = written(directory, text)
    with pytest.raises(RunbookInvalid) as caught:
        load_systems(path)
    return str(caught.value).replace(f"{directory}/", "").splitlines()


def people() -> People:
    return RunbookLibrary([ROOT / "runbooks"]).people()


def with_change(*changes: dict[str, Any], listed: bool = False) -> RolloutSpec:
    facts: dict[str, Any] = EXAMPLE.model_dump()
    changed = {"change": None if listed else changes[0], "changes": changes if listed else ()}
    facts["stages"] = [{**facts["stages"][0], **changed}, *facts["stages"][1:]]
    return RolloutSpec.model_validate(facts)


def test_relative_paths_are_read_from_the_directory_of_the_file(tmp_path, monkeypatch):
    written(tmp_path / "files")
    monkeypatch.chdir(tmp_path)

    systems = load_systems(Path("files/systems.yaml")).systems

    here = tmp_path / "files"
    shop, bot, db, index = (systems[name] for name in ("shop", "bot", "db", "index"))
    assert isinstance(shop, HttpConfigSystem)
    assert shop.token == Secret(file=here / "token")
    assert isinstance(bot, GitLabSystem)
    assert bot.token == Secret(env="TOKEN")
    assert isinstance(db, AlembicSystem)
    assert db.scripts == here / "../db"
    assert db.url == Secret(file=Path("/run/secrets/url"))
    assert db.dry_run_url == Secret(file=here / "dry")
    assert isinstance(index, CommandSystem)
    assert index.directory == here
    assert index.secrets == {"PASSWORD": Secret(file=here / "pw")}


def test_the_first_directory_with_a_systems_file_counts(tmp_path):
    written(tmp_path / "second")
    (tmp_path / "first").mkdir()
    library = RunbookLibrary([tmp_path / "first", tmp_path / "second", ROOT / "runbooks"])

    assert library.systems_path() == tmp_path / "second/systems.yaml"
    assert set(library.systems().systems) == {"shop", "bot", "db", "index"}


def test_without_a_systems_file_there_are_no_systems(tmp_path):
    library = RunbookLibrary([tmp_path])

    assert library.systems_path() is None
    assert library.systems() == Systems()


def test_a_systems_file_is_no_runbook(tmp_path):
    written(tmp_path)

    assert RunbookLibrary([tmp_path]).names() == []


def test_the_shipped_example_has_one_system_of_each_kind():
    systems = RunbookLibrary([ROOT / "runbooks"]).systems().systems

    assert sorted(system.kind for system in systems.values()) == KINDS.split(", ")


@pytest.mark.parametrize(
    ("system", "problem"),
    [
        ("{kind: x}", f"kind: unknown kind 'x'; known: {KINDS}"),
        ("{}", f"kind: is missing: add it; known: {KINDS}"),
        ("5", "must be a map of fields (`name: value` lines) (got 5)"),
        (
            "{kind: http_config, url: 'http://x', tokn: {env: A}}",
            "tokn: unknown field; did you mean 'token'?",
        ),
        (
            "{kind: http_config, url: 'http://x', poll: 5s}",
            "poll: unknown field; known here: kind, token, url",
        ),
        ("{kind: http_config, url: x}", "url: must be a URL"),
        (
            "{kind: http_config, url: 'http://x', token: {}}",
            "token: a secret is in a 'file' or in a variable ('env'): give one of both",
        ),
        (
            "{kind: http_config, url: 'http://x', token: {fil: a}}",
            "token.fil: unknown field; did you mean 'file'?",
        ),
        (
            "{kind: command, command: x, run: [a], revert: [a], state: [a], done: x}",
            "command: unknown field; known here: directory, done, environment, kind, revert, run, secrets",
        ),
    ],
)
def test_a_wrong_system_is_told_by_line_and_field(tmp_path, system, problem):
    told = problems_of(tmp_path, f"systems:\n  # a comment\n  command: {system}\n")

    separator = ": " if problem.startswith("must") else "."
    assert told[0].startswith(f"systems.yaml:3: systems.command{separator}{problem}")


def test_a_name_that_no_runbook_could_use_is_told(tmp_path):
    (told,) = problems_of(tmp_path, "systems:\n  My Bot: {kind: http_config, url: 'http://x'}\n")

    assert told.startswith("systems.yaml:2: systems.My Bot: must match pattern")


@pytest.mark.parametrize(
    "system",
    [
        "{kind: http_config, url: 'http://x', token: glpat-do-not-tell}",
        "{kind: alembic, scripts: x, url: 'postgresql://a:glpat-do-not-tell@b/c'}",
        "{kind: command, run: [a], revert: [a], state: [a], done: x, secrets: {A: glpat-do-not-tell}}",
    ],
)
def test_a_secret_in_the_file_is_refused_without_being_told_again(tmp_path, system):
    (told,) = problems_of(tmp_path, f"systems:\n  bot: {system}\n")

    assert "must say where the secret is, `{file: …}` or `{env: …}`" in told
    assert "do-not-tell" not in told


BOT = {"kind": "gitlab", "system": "bot", "version": "1"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            {**BOT, "system": "bott"},
            "stages.0.change.system: there is no system 'bott' in systems.yaml; known of kind gitlab: bot",
        ),
        (
            {**BOT, "system": "db"},
            "stages.0.change.system: 'db' is of kind alembic in systems.yaml; known of kind gitlab: bot",
        ),
        (
            {**BOT, "kind": "github"},
            "stages.0.change.system: 'bot' is of kind gitlab in systems.yaml; known of kind github: none",
        ),
    ],
)
def test_a_system_that_is_not_there_or_of_another_kind_is_told(tmp_path, change, problem):
    systems = load_systems(written(tmp_path))

    with pytest.raises(RunbookInvalid) as caught:
        review(with_change(change), people(), systems=systems)

    assert str(caught.value) == f"runbook 'example': {problem}"


def test_a_change_in_a_list_is_told_by_its_place(tmp_path):
    spec = with_change(BOT, {"kind": "command", "system": "db"}, listed=True)

    with pytest.raises(RunbookInvalid, match=r"stages\.0\.changes\.1\.system: 'db' is of kind alembic"):
        review(spec, people(), systems=load_systems(written(tmp_path)))


def test_a_target_that_is_listed_as_something_else_is_told(tmp_path):
    text = SYSTEMS.replace("  shop: {kind: http_config,", "  other: {kind: http_config,").replace(
        "  bot:", "  shop:"
    )

    with pytest.raises(RunbookInvalid, match=r"target\.endpoint: 'shop' is of kind gitlab"):
        review(EXAMPLE, people(), systems=load_systems(written(tmp_path, text)))


def test_right_systems_and_a_target_of_the_settings_pass(tmp_path):
    text = SYSTEMS.replace("  shop:", "  another:")
    spec = with_change(BOT, {"kind": "command", "system": "index"}, listed=True)

    assert review(spec, people(), systems=load_systems(written(tmp_path, text))) is None


def test_without_systems_they_are_not_checked():
    assert review(with_change({**BOT, "system": "nowhere"}), people()) is None


def test_people_who_are_to_be_paged_or_to_sign_a_point_of_no_return_must_exist() -> None:
    last = {"kind": "alembic", "system": "db", "revision": "r2", "when": "after"}
    spec = with_change(
        {"kind": "http_config", "set": {"a": 1}},
        {**last, "point_of_no_return": {"approvers": ["nonesuch"]}},
        listed=True,
    )
    spec = RolloutSpec.model_validate({**spec.model_dump(), "rollback": {"page": ["nobody-at-all"]}})
    with pytest.raises(RunbookInvalid) as caught:
        review(spec, people())
    told = str(caught.value)
    assert "rollback.page.0: nobody in people.yaml has the role, group or name 'nobody-at-all'" in told
    assert "stages.0.changes.1.point_of_no_return.approvers.0: nobody in people.yaml has" in told


def test_who_starts_a_run_must_leave_somebody_to_sign_its_point_of_no_return() -> None:
    last = {"kind": "alembic", "system": "db", "revision": "r2", "when": "after"}
    spec = with_change(
        {"kind": "http_config", "set": {"a": 1}},
        {**last, "point_of_no_return": {"approvers": ["vera"]}},
        listed=True,
    )
    with pytest.raises(InvalidInput, match="if 'vera' starts this, nobody is left to approve"):
        check_requester(spec, people(), "vera")
    check_requester(spec, people(), "anna")
