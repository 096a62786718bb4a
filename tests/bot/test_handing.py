from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from holdfast.domain.people import People
from holdfast.ports.audit import AuditKind
from tests.bot.conftest import World
from tests.bot.fakes import PEOPLE, RUN, a_view, an_open_gate, in_days
from tests.telegram.standin import LENA, OLGA

GATE = "2-crm-pool-pause-1"
BERLIN = ZoneInfo("Europe/Berlin")
NEXT_YEAR = datetime.now(UTC).year + 1


DEADLINE = in_days(3)


def in_russian(world: World) -> None:
    people = tuple(p.model_copy(update={"language": "ru"}) for p in PEOPLE.people)
    world.services["people"] = lambda: People(people=people)


@pytest.fixture
def waiting(world: World) -> World:
    world.runs.add(a_view(gate=an_open_gate(deadline=DEADLINE)))
    return world


async def test_extend_moves_the_deadline_from_where_it_is(waiting: World) -> None:
    async with waiting.bot():
        await waiting.ask(OLGA, f"/extend {GATE} +7d the board meets on Monday", "is open until")
    [extension] = waiting.runs.extensions
    assert extension.until == DEADLINE + timedelta(days=7)
    assert (extension.by, extension.reason) == ("olga", "the board meets on Monday")
    assert extension.evidence == "5d41402abc4b"


@pytest.mark.parametrize(
    ("typed", "clock"), [(f"{NEXT_YEAR}-12-31", (23, 59)), (f"{NEXT_YEAR}-12-31 8:30", (8, 30))]
)
async def test_extend_takes_dates_of_the_persons_time_zone(
    waiting: World, typed: str, clock: tuple[int, int]
) -> None:
    async with waiting.bot():
        await waiting.ask(OLGA, f"/extend {RUN} {typed}", "is open until")
    [extension] = waiting.runs.extensions
    assert extension.until == datetime(NEXT_YEAR, 12, 31, *clock, tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("/extend", "/extend GATE UNTIL [reason] moves the deadline"),
        (f"/extend {GATE}", "until: is missing"),
        (f"/extend {GATE} soon", "until: 'soon' is no date, write it like 2026-12-31"),
        (f"/extend {GATE} 2020-01-01", "is not later than the deadline"),
        ("/extend nope +7d", "unknown gate or run 'nope'"),
        ("/delegate", "/delegate 2-crm-pool vera"),
        (f"/delegate {GATE}", "name: is missing"),
        (f"/delegate {GATE} nobody", "unknown name 'nobody'; known: lena, pavel"),
        (f"/delegate {GATE} olga", "name: 'olga' is you"),
        (f"/delegate {GATE} lena maybe", "until: 'maybe' is no date"),
        (f"/delegate {GATE} lena tomorrow please", "'please' is one too many"),
        ("/delegate all lena", "from and until: both are needed"),
        (f"/delegate all lena {NEXT_YEAR}-02-01 {NEXT_YEAR}-01-01", "until: must be after from"),
        ("/delegate off", "You have no standing delegation."),
    ],
)
async def test_what_is_missing_or_wrong_is_named(waiting: World, typed: str, words: str) -> None:
    async with waiting.bot():
        await waiting.ask(OLGA, typed, words)
    assert waiting.runs.extensions == []
    assert waiting.runs.handovers == []
    assert waiting.delegations.there == {}


async def test_delegate_hands_one_gate_over(waiting: World) -> None:
    async with waiting.bot():
        await waiting.say(OLGA, f"/delegate {GATE} Lena")
        [text] = await waiting.said(1)
    assert text == f"lena may answer gate '{GATE}' for olga."
    assert [(h.by, h.to, h.until) for h in waiting.runs.handovers] == [("olga", "lena", None)]


async def test_more_time_is_asked_for_and_granted_in_russian(waiting: World) -> None:
    in_russian(waiting)
    async with waiting.bot():
        await waiting.ask(OLGA, "/extend", "сдвинуть срок вопроса")
        await waiting.ask(OLGA, f"/extend {GATE} скоро", "срок: «скоро» — не дата")
        await waiting.ask(OLGA, f"/extend {GATE} +7д ждём совет", f"Вопрос «{GATE}» открыт до")
        await waiting.ask(OLGA, f"/delegate {GATE} olga", "«olga» — это вы")
        await waiting.ask(OLGA, "/delegate выкл", "У вас нет постоянных передач.")
    [extension] = waiting.runs.extensions
    assert extension.until == DEADLINE + timedelta(days=7)
    assert extension.reason == "ждём совет"


async def test_at_a_gate_with_second_factor_both_need_a_code(world: World) -> None:
    world.runs.add(a_view(gate=an_open_gate(mfa=True, deadline=in_days(3))))
    world.factor.apps["olga"] = 1
    async with world.bot():
        await world.ask(OLGA, f"/extend {GATE} +1d", f"keep gate {GATE} open until")
        await world.ask(OLGA, "100001", "is open until")
        await world.say(OLGA, f"/delegate {GATE} lena")
        [in_group] = await world.said(1)
        await world.told(OLGA, f"hand gate {GATE} over to lena")
        await world.ask(OLGA, "100002", "lena may answer gate")
    assert in_group.startswith(f"Gate '{GATE}' needs your authenticator code")
    proofs = ("telegram", "totp")
    assert [s.proofs for s in (*world.runs.extensions, *world.runs.handovers)] == [proofs] * 2


async def test_delegate_all_stands_from_day_to_day_and_hands_over_what_is_open(waiting: World) -> None:
    async with waiting.bot():
        message = await waiting.ask(OLGA, f"/delegate all lena today {NEXT_YEAR}-01-06", "Remembered: lena")
        await waiting.ask(OLGA, "/delegate off", "Taken back: one standing delegation.")
    assert f"✅ {GATE} ({RUN}): lena may answer gate" in message["text"]
    [handover] = waiting.runs.handovers
    assert handover.until == datetime(NEXT_YEAR, 1, 6, 23, 59, tzinfo=BERLIN)
    assert waiting.delegations.there == {}
    assert [e.kind for e in waiting.audit.entries.values()] == [AuditKind.DELEGATION] * 2


async def test_delegate_all_for_later_leaves_what_is_open_and_says_so(waiting: World) -> None:
    async with waiting.bot():
        message = await waiting.ask(
            OLGA, f"/delegate all lena {NEXT_YEAR}-01-02 {NEXT_YEAR}-01-06", "Remembered: lena"
        )
    assert "The gate that waits for you now stays yours" in message["text"]
    [delegation] = waiting.delegations.there.values()
    assert delegation.since == datetime(NEXT_YEAR, 1, 2, tzinfo=BERLIN)
    assert waiting.runs.handovers == []


async def test_whoever_has_an_app_confirms_a_standing_delegation_by_a_code(waiting: World) -> None:
    waiting.factor.apps["olga"] = 1
    async with waiting.bot():
        await waiting.ask(OLGA, "/delegate all lena today +7d", "hand all your gates over to lena")
        assert waiting.delegations.there == {}
        await waiting.ask(OLGA, "100001", "Remembered: lena")
    assert len(waiting.delegations.there) == 1


async def test_without_a_worker_a_standing_delegation_is_remembered_all_the_same(waiting: World) -> None:
    waiting.runs.no_worker = True
    async with waiting.bot():
        message = await waiting.ask(OLGA, "/delegate all lena today +7d", "Remembered: lena")
        await waiting.ask(LENA, f"/delegate {GATE} olga", "Temporal does not answer")
    assert "gates that wait now stay yours" in message["text"]
    assert len(waiting.delegations.there) == 1
