from datetime import UTC, datetime, timedelta

import pytest

from holdfast.domain.duty import Roster
from holdfast.ports.duty import Cover
from holdfast.runbook.library import RunbookLibrary
from tests.bot.conftest import World
from tests.bot.fakes import INCIDENT, PEOPLE, an_incident
from tests.bot.incident_files import write_incident_files
from tests.telegram.standin import LENA, OLGA, PAVEL

# A Wednesday; turns change on Monday at 10:00 in Berlin.
NOW = datetime(2026, 11, 18, 2, 12, tzinfo=UTC)
HAND_OVER = "🤝 Hand over"


@pytest.fixture
def rota(world: World) -> World:
    write_incident_files(world)
    world.services["now"] = world.runs.now = lambda: NOW
    return world


def on_duty(world: World, at: datetime) -> str:
    covers = list(world.duty.there.values())
    shift = Roster(RunbookLibrary([world.runbooks]).duty(), covers=covers, people=PEOPLE).on_duty("first", at)
    assert shift
    return shift.person


async def test_oncall_says_who_is_on_duty_and_who_is_next_on_the_readers_clock(rota: World) -> None:
    now = on_duty(rota, NOW)
    after = on_duty(rota, NOW + timedelta(days=7))
    titles = {p.name: p.title for p in PEOPLE.people}
    async with rota.bot():
        await rota.say(OLGA, "/oncall")
        await rota.said(1)
        await rota.say(LENA, "/oncall")
        olga, lena = await rota.said(2)
    assert olga.splitlines()[:4] == [
        "📟 On duty",
        "",
        "First line",
        f"Now: {titles[now]}, until Mon 23 Nov 2026, 10:00 CET",
    ]
    assert f"Next: {titles[after]}, until Mon 30 Nov 2026, 10:00 CET" in olga
    assert "until Mon 23 Nov 2026, 09:00 UTC" in lena


async def test_a_cover_is_marked_with_whose_turn_it_is(rota: World) -> None:
    now = on_duty(rota, NOW)
    cover = Cover(
        id="c",
        rota="first",
        person="lena",
        since=NOW - timedelta(hours=1),
        until=NOW + timedelta(hours=4),
        by="olga",
        at=NOW,
    )
    await rota.duty.put(cover)
    async with rota.bot():
        await rota.say(LENA, "/oncall")
        [text] = await rota.said()
    title = {p.name: p.title for p in PEOPLE.people}[now]
    assert f"Now: Lena (guest), until Wed 18 Nov 2026, 06:12 UTC (for {title})" in text


async def test_without_a_rota_it_is_said_where_one_is_written(world: World) -> None:
    async with world.bot():
        await world.say(LENA, "/oncall")
        [text] = await world.said()
    assert text == "There is no rota. escalation/duty.yaml says who is on duty when."


@pytest.fixture
def mine(rota: World) -> World:
    """A week in which olga is on duty and has one incident, while pavel has another one."""
    rota.write_file(
        "escalation/duty.yaml",
        "rotas: {first: {title: First line, members: [olga, pavel], turn: 7d, begins: 2026-11-16T10:00,"
        " time_zone: Europe/Berlin}}\n",
    )
    for run, owner in ((INCIDENT, "olga"), ("incident-other234", "pavel")):
        view = an_incident(run_id=run)
        assert view.incident
        view.incident.owner = owner
        rota.runs.add(view)
    return rota


async def test_a_turn_of_duty_goes_over_with_ones_incidents_and_the_other_is_told(mine: World) -> None:
    async with mine.bot():
        await mine.say(OLGA, "/handover pavel back on Monday")
        asked = await mine.newest()
        assert mine.duty.there == {}
        await mine.telegram.press(OLGA, asked, HAND_OVER)
        closed = await mine.reads(asked, "hands the turn over to Pavel (on call).")
        told = await mine.told(PAVEL, "You are on duty now: First line")
    assert asked["text"].startswith("🤝 Hand your turn of duty over to Pavel (on call)?")
    assert "📟 First line: Pavel (on call) is on duty until Mon 23 Nov 2026, 10:00 CET" in asked["text"]
    assert f"Goes along: Checkout is down ({INCIDENT})" in asked["text"]
    assert "incident-other234" not in asked["text"]
    [cover] = mine.duty.there.values()
    assert (cover.rota, cover.person, cover.by, cover.since) == ("first", "pavel", "olga", NOW)
    assert cover.until == datetime(2026, 11, 23, 9, tzinfo=UTC)
    assert cover.note == "back on Monday"
    assert [(run, w.act, w.to) for run, w in mine.runs.words] == [(INCIDENT, "hand_over", "pavel")]
    assert f"{INCIDENT}: Recorded." in closed["text"]
    assert "until Mon 23 Nov 2026, 09:00 UTC: back on Monday" in told["text"]
    assert [e.kind for e in mine.audit.entries.values()] == ["delegation"]


@pytest.mark.parametrize(
    ("typed", "until"),
    [
        ("+4h", NOW + timedelta(hours=4)),
        ("08:30 lunch", datetime(2026, 11, 18, 7, 30, tzinfo=UTC)),
        ("02:00", datetime(2026, 11, 19, 1, 0, tzinfo=UTC)),
        ("2026-11-20 18:00", datetime(2026, 11, 20, 17, 0, tzinfo=UTC)),
        ("завтра 18:00", datetime(2026, 11, 19, 17, 0, tzinfo=UTC)),
        ("20.11.2026 18:00 ужин", datetime(2026, 11, 20, 17, 0, tzinfo=UTC)),
        ("2026-12-24", datetime(2026, 11, 23, 9, 0, tzinfo=UTC)),
    ],
)
async def test_a_part_of_a_turn_ends_as_said_and_never_after_the_turn(
    mine: World, typed: str, until: datetime
) -> None:
    async with mine.bot():
        await mine.say(OLGA, f"/handover pavel {typed}")
        await mine.telegram.press(OLGA, await mine.newest(), HAND_OVER)
    assert [cover.until for cover in mine.duty.there.values()] == [until]


async def test_a_repeated_tap_hands_over_once(mine: World) -> None:
    async with mine.bot():
        await mine.say(OLGA, "/handover pavel")
        asked = await mine.newest()
        await mine.telegram.faults(bad_gateway=1, method="editMessageText")  # so that the buttons stay
        await mine.telegram.press(OLGA, asked, HAND_OVER)
        again = await mine.telegram.press(OLGA, asked, HAND_OVER)
    assert again["text"] == "Handed over to Pavel (on call)."
    assert len(mine.duty.there) == 1
    assert len(mine.runs.words) == 1


@pytest.mark.parametrize(
    ("user", "typed", "refusal"),
    [
        (PAVEL, "/handover olga", "⛔ You are not on duty now"),
        (OLGA, "/handover olga", "⛔ name: 'olga' is you; name somebody else"),
        (OLGA, "/handover pavel 2026-11-17", "⛔ until: Tue 17 Nov 2026, 23:59 CET is over already"),
    ],
)
async def test_a_turn_that_cannot_go_over_stays(mine: World, user: int, typed: str, refusal: str) -> None:
    async with mine.bot():
        await mine.say(user, typed)
        [text] = await mine.said()
    assert text.startswith(refusal)
    assert mine.duty.there == {}


async def test_while_the_runs_do_not_answer_the_turn_goes_over_and_the_incidents_are_named(mine: World) -> None:
    async with mine.bot():
        await mine.say(OLGA, "/handover pavel")
        asked = await mine.newest()
        mine.runs.down = True
        await mine.telegram.press(OLGA, asked, HAND_OVER)
        await mine.reads(asked, "⚠️ I cannot read the incidents now")
    assert len(mine.duty.there) == 1
    assert mine.runs.words == []
