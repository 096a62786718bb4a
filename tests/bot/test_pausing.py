import pytest

from holdfast.domain.view import RunState
from tests.bot.conftest import World
from tests.bot.fakes import RUN, a_view
from tests.telegram.standin import LENA, OLGA, PAVEL, STRANGER

PAUSE, RESUME = "⏸ Pause", "▶️ Go on"


@pytest.fixture
def watching(world: World) -> World:
    world.runs.add(a_view(state=RunState.WATCHING, gate=None, may_pause=["olga", "pavel"]))
    return world


async def test_a_pause_says_what_it_means_and_is_passed_on_once_confirmed(watching: World) -> None:
    async with watching.bot():
        await watching.say(OLGA, f"/pause {RUN} the CRM is slow")
        asked = await watching.newest()
        assert watching.runs.words == []
        answer = await watching.telegram.press(OLGA, asked, PAUSE)
        closed = await watching.reads(asked, "Olga (SRE lead) pauses it.")
    assert asked["text"].startswith(
        f"⏸ Pause “Relieve a support surge”?\n{RUN} · watching\n\nNothing goes forward;"
    )
    assert "rollbacks still happen" in asked["text"]
    assert "Reason: the CRM is slow" in asked["text"]
    [(run, word)] = watching.runs.words
    assert (run, word.act, word.by, word.reason) == (RUN, "pause", "olga", "the CRM is slow")
    assert answer["text"] == "Recorded."
    assert closed["text"].splitlines()[-1] == f"/resume {RUN} lets it go on."


async def test_a_paused_run_goes_on_by_resume_without_naming_it(watching: World) -> None:
    view = watching.runs.views[RUN]
    view.state, view.paused_by = RunState.PAUSED, "pavel"
    async with watching.bot():
        await watching.say(PAVEL, "/resume")
        await watching.telegram.press(PAVEL, await watching.newest(), RESUME)
    assert [w.act for _, w in watching.runs.words] == ["resume"]


async def test_with_several_runs_it_is_asked_which_and_then_whether(watching: World) -> None:
    other = a_view(run_id="rollout-other", title="Another one", gate=None, may_pause=["olga"])
    watching.runs.add(other)
    async with watching.bot():
        await watching.say(OLGA, "/pause")
        asked = await watching.newest()
        await watching.telegram.press(OLGA, asked, "Another one")
        confirmed = await watching.reads(asked, "Pause “Another one”?")
        await watching.telegram.press(OLGA, confirmed, PAUSE)
    assert [run for run, _ in watching.runs.words] == ["rollout-other"]


@pytest.mark.parametrize(
    ("user", "typed", "refusal"),
    [
        (LENA, f"/pause {RUN}", f"⛔ Sorry, Lena (guest): run {RUN} may be paused and resumed by olga, pavel."),
        (OLGA, f"/resume {RUN}", f"⛔ Run {RUN} is not paused."),
        (OLGA, "/pause rollout-nope", f"⛔ unknown run 'rollout-nope'; known: {RUN}"),
        (OLGA, f"/pause {RUN} {'x' * 1001}", "⛔ reason: at most 1000 characters; yours has 1001"),
        (LENA, "/pause", "Nothing is under way that you could pause."),
        (STRANGER, f"/pause {RUN}", "You are not known to Holdfast"),
    ],
)
async def test_what_cannot_be_is_refused_in_words(watching: World, user: int, typed: str, refusal: str) -> None:
    async with watching.bot():
        await watching.say(user, typed)
        [text] = await watching.said()
    assert text.startswith(refusal)
    assert watching.runs.words == []


async def test_a_run_that_has_ended_is_not_paused(watching: World) -> None:
    watching.runs.views[RUN].state = RunState.PROMOTED
    async with watching.bot():
        await watching.say(OLGA, f"/pause {RUN}")
        [text] = await watching.said()
    assert text == f"⛔ Run {RUN} has ended (promoted); there is nothing to hold or to let go on."


async def test_a_refusal_by_the_run_closes_the_question_with_its_words(watching: World) -> None:
    async with watching.bot():
        await watching.say(OLGA, f"/pause {RUN}")
        asked = await watching.newest()
        watching.runs.views[RUN].may_pause = ["pavel"]
        answer = await watching.telegram.press(OLGA, asked, PAUSE)
        await watching.reads(asked, "⛔ 'olga' may not say that to this run.")
    assert answer["text"] == "'olga' may not say that to this run."


async def test_without_a_worker_it_is_asked_unseen_stored_and_said_so(watching: World) -> None:
    watching.runs.no_worker = True
    async with watching.bot():
        await watching.say(OLGA, f"/pause {RUN}")
        asked = await watching.newest()
        answer = await watching.telegram.press(OLGA, asked, PAUSE)
    assert "a run that does not answer" in asked["text"]
    assert answer["text"] == "Stored."
