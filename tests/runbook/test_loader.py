from pathlib import Path

import pytest

from holdfast.domain.errors import RunbookInvalid
from holdfast.domain.ids import digest_of
from holdfast.runbook.loader import load_people, load_rollout

KINDS = "alembic, command, github, gitlab, http_config, jenkins"
VALID = (Path(__file__).parent / "example.yaml").read_text()


def written(directory: Path, text: str, name: str = "example.yaml") -> Path:
    path = directory / name
    path.write_text(text)
    return path


def problems_of(directory: Path, old: str, new: str) -> list[str]:
    """Load the valid file with one place changed; return the lines of the error, without the directory."""
    assert old in VALID
    path = written(directory, VALID.replace(old, new, 1))
    with pytest.raises(RunbookInvalid) as caught:
        load_rollout(path)
    return str(caught.value).replace(f"{directory}/", "").splitlines()


def line_of(text: str) -> int:
    return VALID[: VALID.index(text)].count("\n") + 1


def test_a_valid_file_gives_its_spec_and_the_digest_of_its_text(tmp_path):
    loaded = load_rollout(written(tmp_path, VALID))

    assert [s.name for s in loaded.spec.stages] == ["bot-rate-limit", "crm-pool", "escalation-order"]
    assert loaded.digest == digest_of(VALID)
    assert loaded.path == tmp_path / "example.yaml"


def test_the_digest_does_not_depend_on_line_endings_but_on_every_other_character(tmp_path):
    original = load_rollout(written(tmp_path, VALID)).digest
    windows = tmp_path / "example.yaml"
    windows.write_bytes(VALID.replace("\n", "\r\n").encode("utf-8-sig"))

    assert load_rollout(windows).digest == original
    assert load_rollout(written(tmp_path, VALID + "# a comment\n")).digest != original


@pytest.mark.parametrize(
    ("old", "new", "field", "message"),
    [
        ("apply_for: 2m", "aply_for: 2m", "aply_for", "unknown field; did you mean 'apply_for'?"),
        ("apply_for: 2m", "zzz: 2m", "zzz", "unknown field; known here: apply_for, fix, kind, name, paces"),
        (
            "weight_percent: 30",
            "weight: 30",
            "scoring.metrics.latency_p95.weight",
            "did you mean 'weight_percent'?",
        ),
        ("apply_for: 2m", "apply_for: 120", "apply_for", "write the unit: 90s, 10m, 2h or 7d (got 120)"),
        (
            "apply_for: 2m",
            "apply_for: 2 min",
            "apply_for",
            'must be a duration such as 90s, 10m, 2h or 7d (got "2 min")',
        ),
        ("apply_for: 2m", "apply_for: 0s", "apply_for", 'above 0 (got "0s")'),
        (
            "weight_percent: 30",
            "weight_percent: '30'",
            "scoring.metrics.latency_p95.weight_percent",
            "must be a whole number",
        ),
        ("[5, 25, 100]", "[5, 25]", "stages.0.shares_percent", "must rise and end with 100"),
        (
            "[5, 25, 100]",
            "[5, 2500]",
            "stages.0.shares_percent.1",
            "must be less than or equal to 100 (got 2500)",
        ),
        (
            "[sre-lead]\n    shares",
            "sre-lead\n    shares",
            "stages.0.gate.approvers",
            'must be a list (got "sre-lead")',
        ),
        (
            "bad_when: falling",
            "bad_when: sinking",
            "scoring.metrics.message_volume.bad_when",
            "must be rising or falling",
        ),
        ("name: bot-rate-limit", "name: Bot", "stages.0.name", "must match pattern"),
        ("name: example", "name: other", "name", "must be 'example', like the file's name"),
        (
            "kind: rollout",
            "kind: rolout",
            "kind",
            "unknown kind 'rolout'; known: campaign, incident, load, rollout",
        ),
        (
            "kind: http_config",
            "kind: http",
            "stages.0.change.kind",
            f"unknown kind 'http'; known: {KINDS}",
        ),
        (
            "kind: http_config",
            "kind: 5",
            "stages.0.change.kind",
            "unknown kind 5; known: alembic, command, github",
        ),
        ("{points: 0.05}", "{}", "scoring.metrics.error_rate.threshold", "give at least one of"),
        ("interval: 1m}", "interval: 1h}", "paces.default.interval", "must not be longer than window"),
        (
            "kind: http_config\n",
            "kind: http_config\n      when: now\n",
            "stages.0.change.when",
            "unknown field; known here: kind, set",
        ),
    ],
)
def test_a_wrong_field_is_told_by_line_name_and_remedy(tmp_path, old, new, field, message):
    problem = problems_of(tmp_path, old, new)[-1]

    changed = VALID.replace(old, new, 1)
    last = field.rpartition(".")[2]
    key = last if not last.isdigit() else field.split(".")[-2]
    number = int(problem.split(":")[1])
    assert key in changed.splitlines()[number - 1]
    assert problem.startswith(f"example.yaml:{number}: {field}: ")
    assert message in problem


def test_every_problem_has_its_own_line_in_the_order_of_the_file(tmp_path):
    text = (
        VALID.replace("apply_for: 2m", "apply_for: 2")
        .replace("bot_rate_limit_per_s: 25", "")
        .replace("why: S", "who: S")
    )
    path = written(tmp_path, text)

    with pytest.raises(RunbookInvalid) as caught:
        load_rollout(path)

    fields = [line.split(": ")[1] for line in str(caught.value).splitlines()]
    assert fields == ["apply_for", "stages.0.change.set", "stages.1.why", "stages.1.who"]


def test_a_wrong_query_in_a_list_is_told_once_and_by_its_own_line(tmp_path):
    place = "      query:\n        # failed requests\n"

    (problem,) = problems_of(tmp_path, place, place + "        - 5\n")

    assert problem == (
        f"example.yaml:{line_of(place) + 2}: scoring.metrics.error_rate.query.0: must be a string (got 5)"
    )


def test_a_missing_field_is_told_where_it_belongs(tmp_path):
    (problem,) = problems_of(tmp_path, "    gate:\n      approvers: [sre-lead]\n", "")

    number = line_of("  - name: bot-rate-limit")
    assert problem == f"example.yaml:{number}: stages.0.gate: is missing: add it"


def test_a_stage_name_given_twice_is_told(tmp_path):
    (problem,) = problems_of(tmp_path, "name: bot-rate-limit", "name: crm-pool")

    assert (
        problem
        == f"example.yaml:{line_of('stages:')}: stages: must have different names; 'crm-pool' is there twice"
    )


def test_weights_that_do_not_add_up_are_told_at_the_metrics(tmp_path):
    (problem,) = problems_of(tmp_path, "weight_percent: 30", "weight_percent: 31")

    number = line_of("  metrics:")
    assert problem == (
        f"example.yaml:{number}: scoring.metrics: the weight_percent of all metrics must add up to 100, not 101"
    )


CHANGE = """kind: http_config
      set:
        bot_rate_limit_per_s: 25
"""


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("system: bot", f"kind: is missing: add it; known: {KINDS}"),
        ("{kind: command, command: x, system: bot}", "command: unknown field; known here: kind, system, when"),
        ("{kind: command, command: x}", "system: is missing: add it"),
        ("{kind: gitlab, system: bot, version: 1}", "version: must be a string (got 1)"),
        ("{kind: gitlab, system: bot, versoin: '1'}", "versoin: unknown field; did you mean 'version'?"),
        (
            "{kind: jenkins, system: bot, version: '1', zzz: x}",
            "zzz: unknown field; known here: apply_for, kind, parameters, sides, system, version, when",
        ),
        ("{kind: alembic, system: db, revision: head-1}", "revision: must match pattern"),
        (
            "{kind: alembic, system: db, revision: a1, point_of_no_return: {approver: [x]}}",
            "point_of_no_return.approver: unknown field; did you mean 'approvers'?",
        ),
        ("5", ""),
    ],
)
def test_a_wrong_change_is_told_by_the_fields_of_its_own_kind(tmp_path, change, problem):
    told = problems_of(tmp_path, CHANGE, change + "\n")

    wanted = f"stages.0.change.{problem}" if problem else "stages.0.change: must be a map of fields"
    assert any(wanted in line for line in told), told
    assert all(line.startswith("example.yaml:") for line in told)


def test_a_wrong_change_in_a_list_is_told_by_its_place(tmp_path):
    text = VALID.replace("    change:\n      " + CHANGE, "    changes:\n      - {kind: gitlab, system: bot}\n")
    path = written(tmp_path, text)

    with pytest.raises(RunbookInvalid) as caught:
        load_rollout(path)

    number = text[: text.index("- {kind: gitlab")].count("\n") + 1
    assert str(caught.value) == f"{path}:{number}: stages.0.changes.0.version: is missing: add it"


STARTERS = "starters: [oncall, sre-lead]"


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (f"{STARTERS}\nstarters: [mallory]", "starters: is given twice, first on line 13: keep one"),
        ("starters: &s [oncall]\nx: *s", "x: an alias (*name) stands here"),
        ("starters: &s [*s]", "starters.0: an alias (*name) stands here"),
        ("starters:\n\t- oncall", "a tab: YAML is indented with spaces only"),
        (
            "starters: !!python/object/apply:os.system [ls]",
            "the tag !!python/object/apply:os.system is not allowed",
        ),
        ("starters: [" + "[" * 5000, "is nested far too deep"),
        ("starters: " + "[" * 30 + "]" * 30, "is nested deeper than 20 levels"),
        ("5: [oncall]", "a field's name is text, not 5"),
        ("starters: [oncall", "while parsing a flow sequence that begins on line 13"),
        ("starters: [oncall]\n---\nkind: rollout", "a second document (---) begins here"),
        ("starters: ['\x07']", "a character that YAML does not allow"),
        ('starters: ["\\ud800"]', "starters.0: holds half of a character"),
        ("starters: [1e999]", "starters.0: is no number that can be used: 1e999"),
        (f"starters: [{'9' * 5000}]", "starters.0: is no number that can be used: 99999999999999999999"),
    ],
)
def test_what_is_no_plain_yaml_is_refused_with_its_line(tmp_path, new, message):
    problem = problems_of(tmp_path, STARTERS, new)[0]

    assert int(problem.split(":")[1]) >= line_of(STARTERS)
    assert message in problem


def test_a_duration_beyond_all_bounds_is_refused(tmp_path):
    (problem,) = problems_of(tmp_path, "apply_for: 2m", f"apply_for: {'9' * 400}d")

    assert problem.split(":")[1] == str(line_of("apply_for: 2m"))
    assert "apply_for: longer than anything can be" in problem


def test_words_that_older_yaml_turns_into_booleans_stay_text(tmp_path):
    text = VALID.replace("escalation_order: tier_value", "escalation_order: on")

    setting = load_rollout(written(tmp_path, text)).spec.stages[2].change.set["escalation_order"]

    assert setting == "on"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "the file must hold a map of fields"),
        (b"- a\n- b\n", "the file must hold a map of fields"),
        (b"title: \xff\n", "1: is not UTF-8 text"),
        (b"kind: rollout\ntitle: \xff\n", "2: is not UTF-8 text"),
        (b"# " + b"x" * 300_000, "larger than 256 KiB"),
    ],
)
def test_a_file_that_cannot_be_a_runbook_is_refused(tmp_path, raw, message):
    path = tmp_path / "x.yaml"
    path.write_bytes(raw)

    with pytest.raises(RunbookInvalid, match=message):
        load_rollout(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RunbookInvalid, match=r"nothing\.yaml:1: cannot be read: No such file"):
        load_rollout(tmp_path / "nothing.yaml")


PEOPLE = """\
people:
  - {name: anna, title: Anna, telegram_id: 1, roles: [oncall]}
  - {name: boris, title: Boris, roles: [sre-lead]}
"""


def test_people_without_telegram_are_people_too(tmp_path):
    people = load_people(written(tmp_path, PEOPLE, "people.yaml"))

    assert [p.telegram_id for p in people.people] == [1, None]


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("{name: anna, title: Other}", "4: people.2.name: 'anna' is somebody else's name already"),
        ("{name: olga, title: Olga, telegram_id: 1}", "4: people.2.telegram_id: 1 is anna's already"),
        (
            "{name: olga, title: Olga, roles: [boris]}",
            "4: people.2.roles: the role 'boris' has the name of a person",
        ),
        ("{name: olga, title: Olga, role: x}", "4: people.2.role: unknown field; did you mean 'roles'?"),
        ("{name: Olga, title: Olga}", "4: people.2.name: must match pattern"),
        ("{name: olga, title: Olga, telegram_id: '7'}", "4: people.2.telegram_id: must be a whole number"),
    ],
)
def test_ambiguous_or_wrong_people_are_refused_with_their_line(tmp_path, extra, message):
    path = written(tmp_path, f"{PEOPLE}  - {extra}\n", "people.yaml")

    with pytest.raises(RunbookInvalid) as caught:
        load_people(path)

    assert message in str(caught.value)
