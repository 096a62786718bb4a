import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast.domain.duty import Roster
from holdfast.domain.errors import RunbookInvalid, UnknownName
from holdfast.domain.escalation import called
from holdfast.domain.people import People, Person
from holdfast.runbook.commands import CommandRules
from holdfast.runbook.library import RunbookLibrary
from holdfast.runbook.loader import load_commands, load_duty, load_policies, load_priorities
from holdfast.runbook.on_call_review import review_commands, review_duty, review_incident, review_policies
from holdfast.runbook.priorities import DEFAULT_PRIORITIES

SHIPPED = Path(__file__).resolve().parents[2] / "runbooks"
ANNA = Person(name="anna", title="Anna", telegram_id=1001, roles=("oncall",))
MUTE = Person(name="mute", title="Mute", roles=("quiet",))
LONG_AGO = 1_700_000_000
PEOPLE = People(people=(ANNA, MUTE))


@pytest.fixture
def shipped() -> RunbookLibrary:
    return RunbookLibrary([SHIPPED])


def test_the_shipped_files_pass_their_review(shipped: RunbookLibrary) -> None:
    people, rotas, policies = shipped.people(), shipped.duty(), shipped.policies()

    review_duty(rotas, people)
    review_policies(policies, people, rotas)
    review_commands(shipped.commands(), people)
    for name in shipped.names("incident"):
        loaded = shipped.incident(name)
        review_incident(loaded.spec, people, policies, source=loaded.source)
    assert set(rotas) == {"oncall", "crm"}
    assert set(policies) == {"default", "customer"}


def test_the_customer_policy_is_quicker_than_the_default(shipped: RunbookLibrary) -> None:
    default, customer = (shipped.policies()[name] for name in ("default", "customer"))

    assert all(c.wait < d.wait for c, d in zip(customer.steps, default.steps, strict=True))


def test_every_step_of_every_shipped_policy_calls_somebody(shipped: RunbookLibrary) -> None:
    roster, at = Roster(shipped.duty(), people=shipped.people()), datetime(2026, 11, 20, tzinfo=UTC)
    steps = [step for policy in shipped.policies().values() for step in policy.steps]

    names = [called(step, shipped.people(), lambda rota: roster.on_duty(rota, at)) for step in steps]

    assert names == [("anna",), ("boris", "vera"), ("gleb",)] * 2


def test_without_files_there_are_defaults(tmp_path: Path) -> None:
    library = RunbookLibrary([tmp_path])

    assert library.duty() == {}
    assert library.policies() == {}
    assert library.priorities() == DEFAULT_PRIORITIES
    assert library.commands() == CommandRules()
    assert library.names("incident") == []


def test_the_default_priorities_are_those_of_the_shipped_file(shipped: RunbookLibrary) -> None:
    assert shipped.priorities() == DEFAULT_PRIORITIES
    assert list(shipped.priorities().tiers) == list(DEFAULT_PRIORITIES.tiers)


def test_the_first_directory_that_has_a_file_counts(tmp_path: Path, shipped: RunbookLibrary) -> None:
    (tmp_path / "commands.yaml").write_text("commands: {run: [oncall]}\n")
    library = RunbookLibrary([tmp_path, SHIPPED])

    assert set(library.commands().commands) == {"run"}
    assert library.duty() == shipped.duty()


def test_an_edited_file_counts_at_the_next_call(tmp_path: Path) -> None:
    path, library = tmp_path / "commands.yaml", RunbookLibrary([tmp_path])
    path.write_text("commands: {run: [oncall]}\n")
    before = library.commands()
    path.write_text("commands: {runs: [oncall]}\n")

    assert set(before.commands) == {"run"}
    assert set(library.commands().commands) == {"runs"}


def test_a_file_that_does_not_change_is_not_read_again(tmp_path: Path) -> None:
    path, library = tmp_path / "commands.yaml", RunbookLibrary([tmp_path])
    path.write_text("commands: {run: [oncall]}\n")
    os.utime(path, (LONG_AGO, LONG_AGO))
    first = library.commands()
    path.write_text("commands: {ran: [oncall]}\n")  # of the same size, and wrong if it were read
    os.utime(path, (LONG_AGO, LONG_AGO))

    assert library.commands() is first


def test_an_edit_right_after_another_is_never_missed(tmp_path: Path) -> None:
    path, library = tmp_path / "commands.yaml", RunbookLibrary([tmp_path])
    for name in ("run", "ack") * 20:
        path.write_text(f"commands: {{{name}: [oncall]}}\n")
        assert set(library.commands().commands) == {name}


def test_a_wrong_file_is_told_at_every_call_until_it_is_right(tmp_path: Path) -> None:
    path, library = tmp_path / "commands.yaml", RunbookLibrary([tmp_path])
    path.write_text("commands: {rolout: [oncall]}\n")
    for _ in range(2):
        with pytest.raises(RunbookInvalid, match=r"commands\.rolout: is no command"):
            library.commands()
    path.write_text("commands: {rollout: [oncall]}\n")

    assert library.commands().holders("rollout") == ("oncall",)


def test_a_command_that_is_not_named_is_everybodys() -> None:
    rules = CommandRules(commands={"pause": ("oncall",), "run": ("mute",)})

    assert rules.may(ANNA, "pause")
    assert not rules.may(MUTE, "pause")
    assert rules.may(MUTE, "run")
    assert rules.may(MUTE, "gates")
    assert (rules.holders("pause"), rules.holders("gates")) == (("oncall",), ())


ROTA = "title: x, members: [anna], turn: 7d, begins: 2026-11-16T10:00"


@pytest.mark.parametrize(
    ("load", "text", "problem"),
    [
        (load_duty, f"rotas: {{Day: {{{ROTA}}}}}", "rotas.Day: must match pattern"),
        (load_duty, f"rotas: {{a: {{{ROTA.replace('7d', '36h')}}}}}", "rotas.a.turn: must be whole days"),
        (load_duty, f"rotas: {{a: {{{ROTA.replace('T10:00', '')}}}}}", "begins: write a date and a time"),
        (load_duty, f"rotas: {{a: {{{ROTA}, time_zone: Mars}}}}", "rotas.a.time_zone: 'Mars' is no time zone"),
        (load_duty, f"rotas: {{a: {{{ROTA}, memers: [x]}}}}", "unknown field; did you mean 'members'?"),
        (load_policies, "policies: {a: {title: x, steps: []}}", "policies.a.steps: must have at least 1 item"),
        (load_policies, "policies: {a: {title: x, steps: [{page: [anna], wait: 5}]}}", "wait: write the unit"),
        (load_commands, "commands: {run: []}", "commands.run: is nobody's: list who may use it"),
        (load_commands, "commands: {run: anna}", "commands.run: must be a list"),
        (load_commands, "commands: {help: [anna]}", "commands.help: is no command that can be kept to some"),
        (load_priorities, "tiers: {gold: {weight: 0}}", "tiers.gold.weight: must be greater than"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_told_by_line_and_field(
    load: Callable[[Path], object], text: str, problem: str, tmp_path: Path
) -> None:
    (path := tmp_path / "file.yaml").write_text(f"# first line\n{text}\n")

    with pytest.raises(RunbookInvalid) as caught:
        load(path)

    assert any(line.startswith(f"{path}:2: ") and problem in line for line in str(caught.value).splitlines())


@pytest.mark.parametrize(
    ("rota", "problem"),
    [
        (
            {"members": ["anna", "olga"]},
            "rotas.a.members.1: nobody in people.yaml has the name 'olga'; known: anna",
        ),
        ({"members": ["oncall"]}, "rotas.a.members.0: nobody in people.yaml has the name 'oncall'"),
        (
            {"members": ["mute"]},
            "rotas.a.members.0: nobody can be called by 'mute': give one of them a telegram_id",
        ),
        ({"backup": "b"}, "rotas.a.backup: 'b' is no other rota; known: none"),
        ({"backup": "a"}, "rotas.a.backup: 'a' is no other rota; known: none"),
    ],
)
def test_the_review_of_rotas_finds_whom_it_could_not_call(
    rota: dict[str, object], problem: str, tmp_path: Path
) -> None:
    (path := tmp_path / "duty.yaml").write_text(f"rotas: {{a: {{{ROTA}}}}}\n")
    found = load_duty(path).rotas["a"].model_copy(update=rota)

    with pytest.raises(RunbookInvalid) as caught:
        review_duty({"a": found}, PEOPLE)

    assert str(caught.value).startswith(f"escalation/duty.yaml: {problem}")


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        ("rota:b", "there is no rota 'b' in escalation/duty.yaml; known: a"),
        ("quiet", "nobody can be called by 'quiet': give one of them a telegram_id or an email in people.yaml"),
        ("boss", "nobody in people.yaml has the role, group or name 'boss'; known: anna, mute, oncall, quiet"),
    ],
)
def test_the_review_of_policies_finds_steps_that_call_nobody(page: str, problem: str, tmp_path: Path) -> None:
    (duty := tmp_path / "duty.yaml").write_text(f"rotas: {{a: {{{ROTA}}}}}\n")
    (path := tmp_path / "policies.yaml").write_text(
        f'policies: {{p: {{title: x, steps: [{{page: ["rota:a", anna, "{page}"]}}]}}}}\n'
    )

    with pytest.raises(RunbookInvalid) as caught:
        review_policies(load_policies(path).policies, PEOPLE, load_duty(duty).rotas)

    assert str(caught.value) == f"escalation/policies.yaml: policies.p.steps.0.page.2: {problem}"


def test_a_role_of_which_one_can_be_called_is_enough(tmp_path: Path) -> None:
    people = People(people=(ANNA, MUTE.model_copy(update={"roles": ("oncall",)})))
    (path := tmp_path / "policies.yaml").write_text("policies: {p: {title: x, steps: [{page: [oncall]}]}}\n")

    policies = load_policies(path).policies
    review_policies(policies, people, {})

    assert called(policies["p"].steps[0], people, lambda _: None) == ("anna", "mute")


def test_a_file_that_does_not_say_its_kind_is_listed_for_every_kind(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("kind: campain\n")
    (tmp_path / "mine.yaml").write_text((SHIPPED / "incident/customer-impact.yaml").read_text())
    library = RunbookLibrary([tmp_path])

    assert (library.names("rollout"), library.names("incident")) == (["broken"], ["broken", "mine"])


def test_an_unknown_incident_lists_the_known_ones(shipped: RunbookLibrary) -> None:
    with pytest.raises(UnknownName) as caught:
        shipped.incident("support-surge")

    assert str(caught.value) == "unknown runbook 'support-surge'; known: customer-impact"


def test_a_file_of_another_kind_than_its_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "incident").mkdir()
    (tmp_path / "incident/support-surge.yaml").write_text((SHIPPED / "rollout/support-surge.yaml").read_text())

    with pytest.raises(
        RunbookInvalid, match="kind: an incident is asked for here, but this is of kind 'rollout'"
    ):
        RunbookLibrary([tmp_path]).incident("support-surge")
