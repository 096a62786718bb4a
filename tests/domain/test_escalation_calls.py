from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.duty import Shift
from holdfast.domain.escalation import FIRST_CALL, Call, EscalationPolicy, Step, called, next_call, step_of
from holdfast.domain.people import Away, People, Person

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
AWAY = (Away.model_validate({"from": date(2026, 3, 3), "until": date(2026, 3, 3)}),)
PEOPLE = People(
    people=(
        Person(name="anna", title="Anna", roles=("oncall",)),
        Person(name="boris", title="Boris", roles=("sre-lead",), away=AWAY, deputy="vera"),
        Person(name="vera", title="Vera", groups=("crm",)),
        Person(name="gleb", title="Gleb", groups=("crm",)),
    )
)


def on_duty(rota: str) -> Shift | None:
    return Shift(person="gleb", since=NOON, until=NOON) if rota == "second" else None


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (("rota:second",), ("gleb",)),
        (("oncall", "rota:second", "gleb"), ("anna", "gleb")),
        (("crm", "sre-lead"), ("vera", "gleb", "boris")),
        (("rota:nothing", "anna"), ("anna",)),
        (("nobody",), ()),
    ],
    ids=["a rota", "everybody once", "in the order of the file", "an unknown rota calls nobody", "nobody"],
)
def test_a_step_calls_rotas_roles_groups_and_names(page: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert called(Step(page=page), PEOPLE, on_duty) == expected


def test_the_deputy_is_called_for_who_is_away() -> None:
    step = Step(page=("sre-lead",))

    assert called(step, PEOPLE, on_duty, at=NOON) == ("vera",)
    assert called(step, PEOPLE, on_duty) == ("boris",)


policies = st.builds(
    lambda steps, rounds: EscalationPolicy(
        title="p", steps=tuple(Step(page=(f"p{n}",)) for n in range(steps)), rounds=rounds
    ),
    st.integers(1, 5),
    st.integers(1, 6),
)


@given(policies)
def test_all_steps_are_called_in_every_round_and_then_nobody(policy: EscalationPolicy) -> None:
    calls: list[Call] = []
    call: Call | None = FIRST_CALL
    while call is not None:
        calls.append(call)
        call = next_call(policy, call)

    assert [step_of(policy, c) for c in calls] == list(policy.steps) * policy.rounds
    assert calls[-1] == Call(len(policy.steps), policy.rounds)
