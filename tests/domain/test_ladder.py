from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.calendar import is_working
from holdfast.domain.decisions import Choice, Decision, Extension
from holdfast.domain.evidence import Evidence
from holdfast.domain.gates import Delegation, Gate, GateState, Question, extend, open_gate, record
from holdfast.domain.ladder import Due, Ladder, NoticeKind
from holdfast.domain.people import Away, People, Person, WorkingHours
from holdfast.domain.signoff import SignOff

FRIDAY = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
QUESTION = Question(title="t", question="q", if_approved="on", if_rejected="stop", if_nothing="wait")
ALWAYS = {"in_working_hours": False}


def person(name: str, **more: Any) -> Person:
    return Person(name=name, title=name.title(), **more)


PEOPLE = People(
    people=(
        person("anna", roles=("oncall",)),
        person("boris", roles=("lead",)),
        person("vera", roles=("lead",), deputy="dina"),
        person("gleb", roles=("client",)),
        person("dina"),
        person("egor", roles=("boss",)),
    )
)


def ask(people: People = PEOPLE, now: datetime = FRIDAY, **policy: Any) -> Gate:
    sign_off = SignOff.model_validate({"approvers": ["lead"], **policy} if "steps" not in policy else policy)
    evidence = Evidence(taken_at=now)
    return open_gate(
        "1-limit", sign_off, QUESTION, evidence, people=people, token="tok", now=now, requester="anna"
    )


def approve(gate: Gate, by: str, at: datetime) -> None:
    step = gate.step
    record(Decision(gate=gate.id, decision=Choice.APPROVE, by=by, step=step), gate, now=at)


def due(gate: Gate, name: str, *, most: int = 50, people: People = PEOPLE) -> list[Due]:
    who = people.named(name)
    assert who is not None
    return list(islice(Ladder(gate, people).schedule(who), most))


def told(gate: Gate, name: str, *, most: int = 50, people: People = PEOPLE) -> list[tuple[str, timedelta]]:
    return [(d.kind.value, d.at - gate.opened_at) for d in due(gate, name, most=most, people=people)]


def test_everybody_who_can_answer_is_asked_at_once_and_nobody_else() -> None:
    gate = ask()

    assert told(gate, "boris") == told(gate, "vera") == [("request", 0 * HOUR)]
    assert [told(gate, name) for name in ("anna", "gleb", "dina", "egor")] == [[], [], [], []]


def test_reminders_climb_and_then_come_for_ever() -> None:
    gate = ask(remind={"after": ["1h", "4h"], "then_every": "1d", **ALWAYS})

    assert told(gate, "boris", most=5) == [
        ("request", 0 * HOUR),
        ("reminder", 1 * HOUR),
        ("reminder", 4 * HOUR),
        ("reminder", 28 * HOUR),
        ("reminder", 52 * HOUR),
    ]
    assert [d.number for d in due(gate, "boris", most=4)] == [1, 1, 2, 3]


def test_the_ladder_may_end_or_begin_with_the_interval() -> None:
    assert told(ask(remind={"after": ["1h"], **ALWAYS}), "boris")[-1] == ("reminder", HOUR)
    assert told(ask(remind={"then_every": "1h", **ALWAYS}), "boris", most=3)[1:] == [
        ("reminder", HOUR),
        ("reminder", 2 * HOUR),
    ]


def test_reminders_wait_for_working_hours_and_come_once_after_the_weekend() -> None:
    gate = ask(remind={"after": ["1h", "4h", "1d", "2d"], "then_every": "4h"})

    found = [d.at for d in due(gate, "boris", most=5)]

    assert found == [FRIDAY, FRIDAY + HOUR, MONDAY, MONDAY + 2 * HOUR, MONDAY + 6 * HOUR]


hours = st.sampled_from(["09:00-18:00", "22:00-06:00", "00:00-23:59"])
zones = st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"])


@given(
    hours,
    zones,
    st.lists(st.integers(1, 200), unique=True, max_size=4).map(sorted),
    st.one_of(st.none(), st.integers(1, 100)),
    st.integers(0, 24 * 365),
)
def test_reminders_rise_are_numbered_and_lie_in_working_hours(
    worked: str, zone: str, after: list[int], every: int | None, opened: int
) -> None:
    boris = person("boris", roles=("lead",), time_zone=zone, working_hours=WorkingHours(hours=worked))
    remind = {"after": [f"{h}h" for h in after]} | ({"then_every": f"{every}h"} if every else {})
    people = People(people=(boris,))
    found = due(ask(people, FRIDAY + opened * HOUR, remind=remind), "boris", most=20, people=people)

    reminders = [d for d in found if d.kind is NoticeKind.REMINDER]
    assert all(a.at < b.at for a, b in pairwise(found))
    assert [d.number for d in reminders] == list(range(1, len(reminders) + 1))
    assert all(is_working(boris, d.at) for d in reminders)
    assert len({d.mark for d in found}) == len(found)
    assert bool(every) == (len(found) == 20)


def test_whose_step_comes_later_is_asked_when_it_begins_and_reminded_from_then_on() -> None:
    gate = ask(steps=[{"of": ["boris"]}, {"of": ["client"]}], remind={"after": ["4h"], **ALWAYS})
    assert told(gate, "gleb") == []

    approve(gate, "boris", FRIDAY + 10 * DAY)

    assert told(gate, "gleb") == [("request", 10 * DAY), ("reminder", 10 * DAY + 4 * HOUR)]
    late = [d for d in due(gate, "boris") if d.at >= FRIDAY + 10 * DAY]
    assert late == [], "whoever has answered is left in peace"


def test_a_delegate_is_asked_when_it_is_handed_over_and_until_it_ends() -> None:
    gate = ask(remind={"then_every": "1d", **ALWAYS})
    gate.delegations.append(Delegation(by="boris", to="gleb", since=FRIDAY + DAY, until=FRIDAY + 4 * DAY))

    assert told(gate, "gleb") == [
        ("request", DAY),
        ("reminder", 2 * DAY),
        ("reminder", 3 * DAY),
    ]


def test_a_deputy_is_asked_from_the_day_on_which_the_other_is_away() -> None:
    week = Away.model_validate({"from": date(2026, 11, 23), "until": date(2026, 11, 24)})
    vera = person("vera", roles=("lead",), deputy="dina", away=(week,))
    people = People(people=(vera, person("dina")))
    gate = ask(people, remind={"then_every": "1d", **ALWAYS})

    asked = MONDAY.replace(hour=0) - FRIDAY
    assert told(gate, "dina", people=people) == [("request", asked), ("reminder", asked + DAY)]


def test_tiers_are_called_in_their_time_and_again_after_the_last_one_without_an_end() -> None:
    gate = ask(
        escalate=[{"after": "2h", "to": "deputies"}, {"after": "1d", "to": ["boss"]}], escalate_every="3d"
    )

    assert told(gate, "dina", most=3) == [
        ("escalation", 2 * HOUR),
        ("escalation", 4 * DAY),
        ("escalation", 7 * DAY),
    ]
    assert told(gate, "egor", most=3) == [
        ("escalation", 1 * DAY),
        ("escalation", 4 * DAY),
        ("escalation", 7 * DAY),
    ]
    assert due(gate, "egor", most=1000)[-1].number == 1000
    assert told(gate, "boris") == [("request", 0 * HOUR)], "an approver is no tier"


def test_tiers_are_called_once_where_nothing_else_is_said() -> None:
    gate = ask(escalate=[{"after": "2h", "to": ["boss"]}], remind={"then_every": "1d"})

    assert told(gate, "egor") == [("escalation", 2 * HOUR)]


def test_an_escalation_for_an_approver_of_a_later_step_is_followed_by_the_own_request() -> None:
    steps = [{"of": ["boris"]}, {"of": ["boss", "vera"]}]
    gate = ask(steps=steps, escalate=[{"after": "2h", "to": ["boss"]}])
    assert told(gate, "egor") == [("escalation", 2 * HOUR)]

    approve(gate, "boris", FRIDAY + DAY)

    assert told(gate, "egor") == [("escalation", 2 * HOUR), ("request", DAY)]


def test_warnings_come_before_the_deadline_and_the_news_that_it_has_passed_at_it() -> None:
    gate = ask(
        deadline={"after": "10d", "warn_before": ["1d", "3d"]},
        remind={**ALWAYS, "after": ["9d"], "then_every": "2d"},
    )

    assert told(gate, "boris", most=6) == [
        ("request", 0 * HOUR),
        ("warning", 7 * DAY),
        ("reminder", 9 * DAY),
        ("warning", 9 * DAY),
        ("overdue", 10 * DAY),
        ("reminder", 11 * DAY),
    ]
    assert [d.mark for d in due(gate, "boris", most=2)] == ["request/1", "warning/1-until-20261130T150000Z"]


def test_a_deadline_that_decides_ends_the_ladder() -> None:
    gate = ask(
        deadline={"after": "2d", "then": "reject", "warn_before": ["1h"]}, remind={**ALWAYS, "then_every": "1d"}
    )

    assert told(gate, "boris") == [("request", 0 * HOUR), ("reminder", DAY), ("warning", 47 * HOUR)]


def test_a_warning_is_moved_to_the_last_working_hours_before_it() -> None:
    gate = ask(deadline={"after": "3d", "warn_before": ["1d", "12h"]})  # on Monday at 15:00

    assert told(gate, "boris") == [("request", 0 * HOUR), ("warning", 2 * HOUR), ("overdue", 3 * DAY)]
    assert due(gate, "boris")[1].at == FRIDAY.replace(hour=17)


def test_a_warning_with_no_working_hours_before_it_comes_as_it_is() -> None:
    gate = ask(now=FRIDAY.replace(hour=20), deadline={"after": "2d", "warn_before": ["1d", "12h"]})

    assert told(gate, "boris") == [
        ("request", 0 * HOUR),
        ("warning", DAY),
        ("warning", 36 * HOUR),
        ("overdue", 2 * DAY),
    ]


def test_a_later_deadline_is_warned_of_anew() -> None:
    gate = ask(deadline={"after": "10d", "warn_before": ["1d"]}, remind=ALWAYS)
    before = {d.mark for d in due(gate, "boris")}
    extend(Extension(gate=gate.id, by="boris", until=FRIDAY + 20 * DAY), gate)

    after = due(gate, "boris")
    assert told(gate, "boris")[1:] == [("warning", 19 * DAY), ("overdue", 20 * DAY)]
    assert before & {d.mark for d in after} == {"request/1"}


def test_nothing_is_due_at_a_gate_that_is_closed_or_only_to_those_who_have_answered() -> None:
    gate = ask(quorum=2, remind={"then_every": "1d", **ALWAYS})
    approve(gate, "boris", FRIDAY + HOUR)

    assert told(gate, "boris") == [("request", 0 * HOUR)]
    assert len(told(gate, "vera")) == 50
    approve(gate, "vera", FRIDAY + 2 * HOUR)
    assert gate.state is GateState.APPROVED
    assert told(gate, "vera") == []
