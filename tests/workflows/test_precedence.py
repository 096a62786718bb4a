"""A fix that unblocks customers goes before another team's planned work, if the owner of that agrees."""

from datetime import timedelta
from typing import Any

import pytest
import yaml

from holdfast.domain.decisions import Choice, Decision
from holdfast.domain.gates import Gate
from holdfast.domain.precedence import GiveWay, gate_before
from holdfast.domain.view import RunState
from tests.fakes import eventually
from tests.workflows.conftest import PEOPLE, House, Run, runbook
from tests.workflows.test_holds import headline
from tests.workflows.test_rollback import SLOW, watching
from tests.workflows.test_rollback_races import replays

TEN_MINUTES = timedelta(minutes=10)
JOURNEY = "customers can order again"
# One share takes long enough to say something meanwhile, and then ends by itself.
SHORT = {"default": {"settle": "0.1s", "window": "2s", "interval": "0.5s"}}


@pytest.fixture(autouse=True)
def _teams(house: House) -> None:
    """Teams for all, in place of the people without them."""
    teams = {
        "shop": {"title": "Shop", "owner": ["oncall"]},
        "crm": {"title": "CRM", "owner": ["vera"]},
    }
    (house.directory / "people.yaml").write_text(yaml.safe_dump(PEOPLE | {"teams": teams}))


async def planned(house: House, *, hold: str = "stage", paces: dict[str, Any] = SLOW, **more: Any) -> Run:
    """Start the CRM team's planned work; it watches its first canary when this returns."""
    target = {"endpoint": "NAME", "environment": "rehearsal", "hold": hold}
    run = await house.start(house.write(target=target, paces=paces, **{"team": "crm"} | more))
    await run.answer()
    await watching(run, 5)
    return run


async def fix_on(house: House, other: Run, **more: Any) -> Run:
    """Start a fix of the shop's team on the same target, with one stage."""
    target = {"endpoint": other.name, "environment": "rehearsal"}
    stage = {**runbook("NAME")["stages"][0], "name": "mend", "title": "Mend", "gate": {"approvers": ["lead"]}}
    stage["change"] = {"kind": "http_config", "set": {"keep_alive": 7}}
    file = {"title": "Orders work again", "fix": True, "team": "shop", "unblocks": JOURNEY}
    return await house.start(house.write(target=target, stages=[stage], **file | more))


async def asked_before(fix: Run, other: Run) -> Gate:
    return await fix.gate(lambda g: g.id == gate_before(other.handle.id))


async def said(run: Run, words: str) -> str:
    """Wait for a line of the timeline with these words."""

    async def there() -> str:
        return next((line.text for line in (await run.view()).log if words in line.text), "")

    return str(await eventually(there))


async def test_the_owner_agrees_and_the_planned_work_ends_its_stage_waits_for_the_fix_and_goes_on(
    house: House,
) -> None:
    other = await planned(house, paces=SHORT)
    fix = await fix_on(house, other)

    gate = await asked_before(fix, other)
    assert gate.question == f"Let Orders work again go before A test of two stages? It unblocks: {JOURNEY}."
    assert gate.approvers == ("vera",)
    assert gate.deadline is None
    assert (gate.remind.after, gate.remind.then_every) == ((TEN_MINUTES,), TEN_MINUTES)
    assert f"{other.handle.id} ends the stage that is under way" in gate.if_approved
    await fix.answer(by="vera", gate=gate)

    told = await said(other, "gives way")
    assert told.startswith(f"gives way to {fix.handle.id} (Orders work again), as vera has agreed")
    assert JOURNEY in told
    own = await fix.gate(lambda g: g.id == "1-mend")  # it holds the system: the stage is ended, not cut off
    view = await other.view()
    assert [stage.state for stage in view.stages][:1] == ["promoted"]
    waiting = await headline(other, "waits")
    assert f"{other.name} is left to {fix.handle.id}, which goes first until it has ended" in waiting.headline
    assert waiting.stages[1].state == "current"
    assert waiting.gate is None

    await fix.answer(gate=own)
    assert (await fix.result())["outcome"] == "promoted"
    await other.answer("reject", gate=await other.gate(lambda g: g.id == "2-pool"))
    assert (await other.result())["outcome"] == "stopped"
    for run in (fix, other):
        await replays(run)


async def test_the_owner_refuses_and_the_fix_waits_its_turn(house: House) -> None:
    other = await planned(house)
    fix = await fix_on(house, other)
    await fix.answer("reject", by="vera", gate=await asked_before(fix, other), reason="half done")

    waiting = await headline(fix, "waits")
    assert f"{other.name} is held by {other.handle.id}" in waiting.headline
    assert waiting.state is RunState.CHECKING
    assert not any("gives way to" in line.text for line in (await other.view()).log)

    await other.roll_back()
    await other.result()
    await fix.answer("reject", gate=await fix.gate(lambda g: g.id == "1-mend"))
    await fix.result()
    for run in (fix, other):
        await replays(run)


async def test_a_question_is_closed_when_the_system_is_free_before_anybody_answers(house: House) -> None:
    other = await planned(house)
    fix = await fix_on(house, other)
    asked = await asked_before(fix, other)
    await other.handle.terminate("out of the way")
    gate = await fix.gate(lambda g: g.id != asked.id)
    closed = (await fix.view()).closed_gates[0]
    assert (closed.id, closed.state, closed.note) == (asked.id, "superseded", f"{other.name} is free")
    await fix.answer("reject", gate=gate)
    await fix.result()
    await replays(fix)


async def test_a_run_that_holds_to_its_end_lets_go_at_its_sign_off_and_asks_anew_after_the_fix(
    house: House,
) -> None:
    quick = {"default": {"settle": "0.1s", "window": "0.2s", "interval": "0.1s"}}
    target = {"endpoint": "NAME", "environment": "rehearsal", "hold": "run"}
    other = await house.start(house.write(target=target, paces=quick, team="crm"))
    first = await other.answer()
    second = await other.gate(lambda g: g.id != first.id)
    fix = await fix_on(house, other)
    await fix.answer(by="vera", gate=await asked_before(fix, other))

    own = await fix.gate(lambda g: g.id == "1-mend")
    assert (await other.view()).gate == second, "its sign-off stays open"
    await other.answer(gate=second)
    await headline(other, "is left to")
    await fix.answer(gate=own)
    assert (await fix.result())["outcome"] == "promoted"
    again = await other.gate(lambda g: g.id != second.id)
    assert "keep_alive" in again.again_because
    await other.answer("reject", gate=again)
    assert (await other.result())["outcome"] == "stopped"
    for run in (fix, other):
        await replays(run)


async def test_a_run_goes_on_when_the_fix_that_goes_first_is_killed(house: House) -> None:
    other = await planned(house, paces=SHORT)
    fix = await fix_on(house, other)
    await fix.answer(by="vera", gate=await asked_before(fix, other))
    await headline(other, "is left to")
    await fix.handle.terminate("gone")
    gate = await other.gate(lambda g: g.id == "2-pool")
    await other.answer("reject", gate=gate)
    await other.result()


async def test_a_run_that_gives_way_is_still_rolled_back_at_once(house: House) -> None:
    other = await planned(house, paces=SHORT)
    fix = await fix_on(house, other)
    await fix.answer(by="vera", gate=await asked_before(fix, other))
    await headline(other, "is left to")
    own = await fix.gate(lambda g: g.id == "1-mend")
    await other.roll_back()
    report = await other.result()
    assert report["outcome"] == "rolled back"
    await fix.answer("reject", gate=own)
    await fix.result()
    await replays(other)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"team": ""}, "the runbook of RUN names no team"),
        ({"team": "crm"}, "people.yaml has no team 'crm', whose work RUN is"),
    ],
)
async def test_without_anybody_to_ask_the_fix_waits_and_says_why(
    house: House, changes: dict[str, Any], why: str
) -> None:
    other = await planned(house, **changes)
    if changes["team"]:
        teams = {"shop": {"title": "Shop", "owner": ["oncall"]}}
        (house.directory / "people.yaml").write_text(yaml.safe_dump(PEOPLE | {"teams": teams}))
    fix = await fix_on(house, other)
    line = await said(fix, "nobody is asked whether the fix may go first")
    assert line.endswith(why.replace("RUN", other.handle.id))
    assert (await headline(fix, "is held by")).gate is None
    for run in (other, fix):
        await run.handle.terminate()


@pytest.mark.parametrize("changes", [{"unblocks": ""}, {"fix": False, "unblocks": ""}])
async def test_whatever_unblocks_nobody_waits_without_asking(house: House, changes: dict[str, Any]) -> None:
    other = await planned(house)
    fix = await fix_on(house, other, **changes)
    view = await headline(fix, "is held by")
    assert view.gate is None
    assert not any("nobody is asked" in line.text for line in view.log)
    for run in (other, fix):
        await run.handle.terminate()


async def test_a_fix_is_not_asked_to_give_way_to_another_fix(house: House) -> None:
    other = await planned(house, fix=True)
    fix = await fix_on(house, other)
    assert (await headline(fix, "is held by")).gate is None
    for run in (other, fix):
        await run.handle.terminate()


async def test_signals_to_give_way_that_do_not_count_change_nothing(house: House) -> None:
    other = await house.start(house.write(team="crm"))
    gate = await other.gate()
    forged = GiveWay(
        run="rollout-forged",
        title="Me first",
        unblocks="nothing",
        gate=gate_before(other.handle.id),
        decision=Decision(gate="x", by="vera", decision=Choice.APPROVE),
    )
    refused = forged.decision.model_copy(update={"decision": Choice.REJECT})
    await other.handle.signal("give_way", "what?")
    await other.handle.signal("give_way", forged.model_copy(update={"gate": "before-somebody"}))
    await other.handle.signal("give_way", forged.model_copy(update={"decision": refused}))
    await said(other, "could not be read")
    await said(other, "rollout-forged to give way did not count: it is not about this run")
    await said(other, "rollout-forged to give way did not count: it carries no approval")

    # Well-formed, from a run that is there and has asked nobody: it is looked up, and nothing is waited for.
    idle = await house.start(house.write())
    await idle.gate()
    await other.handle.signal("give_way", forged.model_copy(update={"run": idle.handle.id}))
    await said(other, f"gives way to {idle.handle.id}")
    await other.answer(gate=gate)
    second = await other.gate(lambda g: g.id != gate.id)
    assert (await other.view()).stages[0].state == "promoted"
    await other.answer("reject", gate=second)
    await other.result()
    await idle.handle.terminate()
    await replays(other)
