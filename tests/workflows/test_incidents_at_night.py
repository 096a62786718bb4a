"""Incidents against those who would rather not be woken, be woken twice, or be somebody else."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from holdfast.adapters.telegram.incident_cards import render_incident
from holdfast.domain.decisions import Answer
from holdfast.domain.errors import DecisionRefused
from holdfast.domain.view import RunState
from holdfast.ports.runs import IncidentRequest
from tests import signing
from tests.fakes import eventually
from tests.server import start_server
from tests.workflows.conftest import PEOPLE, House, open_house
from tests.workflows.incident_house import Incident, opened, state
from tests.workflows.test_rollback_races import replays


def rewrite(path: Path, **changes: object) -> None:
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes, sort_keys=False))


async def open_as_it_is(house: House, name: str) -> Incident:
    """Open the incident whose files were written before."""
    request = IncidentRequest(runbook=name, requested_by="anna", title="The bot is slow")
    await house.runs().open_incident(request, run_id=f"run-{name}")
    return Incident(house, name, house.client.get_workflow_handle(f"run-{name}"))


async def test_what_to_look_at_first_stands_on_the_card_and_in_the_temporal_ui(house: House) -> None:
    name = house.write_incident()
    rewrite(house.directory / "incident" / f"{name}.yaml", checklist=["Does the bot answer?", "Is the CRM up?"])
    incident = await open_as_it_is(house, name)
    await incident.called(1)
    view = await incident.view()
    assert view.incident is not None
    card = render_incident(view, view.incident).plain
    assert "▫️ Does the bot answer?\n▫️ Is the CRM up?" in card
    shown = str(await incident.handle.query("__temporal_workflow_metadata"))
    assert "What to look at first" in shown
    assert "- Is the CRM up?" in shown
    await incident.handle.cancel()


async def test_a_call_says_when_the_next_ones_are_called_if_nobody_answers(house: House) -> None:
    incident = await opened(house)
    await incident.called(1)
    await incident.pass_(minutes=5, seconds=1)
    await incident.called(3)
    due = (await incident.incident()).next_call
    pages = [page for _, page in house.private.pages if page.view.run_id == incident.handle.id]
    waits = [
        page.view.incident.next_call for page in pages if page.view.incident and page.view.incident.next_call
    ]
    assert len(waits) == 3
    assert due is not None
    # The server's clock runs on by itself while others keep the machine busy, so later is not wrong.
    assert waits[1] - waits[0] >= timedelta(minutes=10)
    assert waits[0] + timedelta(minutes=10) <= waits[2] <= due, "a moment that is still to come"
    await incident.handle.cancel()


async def test_a_hand_over_tells_the_reason_and_is_no_step_of_the_ladder(house: House) -> None:
    incident = await opened(house, skipping=False)
    await incident.called(1)
    await incident.say("acknowledge")
    await incident.say("hand_over", to="vera", reason="I am on a train")
    await incident.called(2)
    page = [page for name, page in house.private.pages if name == "vera"][-1]
    assert page.because == "anna hands it over to you: I am on a train"
    view = await incident.view()
    assert view.incident is not None
    assert (view.incident.step, view.incident.next_called) == (1, ["vera", "anna"])
    assert "anna hands it over to vera: I am on a train" in [line.text for line in view.log]
    await incident.handle.cancel()


async def test_two_hand_overs_call_the_second_person_and_the_first_may_still_take_it(house: House) -> None:
    incident = await opened(house)
    await incident.called(1)
    await incident.say("hand_over", to="vera")
    assert (await incident.called(2))[1:] == ["vera"]
    await incident.say("hand_over", by="vera", to="gleb")
    assert (await incident.called(3))[2:] == ["gleb"]
    await incident.say("acknowledge", by="vera")
    await incident.pass_(minutes=20)
    assert incident.calls() == ["anna", "vera", "gleb"]
    await incident.handle.cancel()


async def test_nobody_hands_over_to_somebody_who_cannot_be_called(house: House) -> None:
    incident = await opened(house, skipping=False)
    await incident.called(1)
    await incident.say("acknowledge")
    with pytest.raises(DecisionRefused, match="hermit cannot be called: neither telegram_id nor email"):
        await incident.say("hand_over", to="hermit")
    assert (await incident.incident()).owner == "anna"
    await incident.handle.cancel()


async def test_a_code_that_was_read_in_the_history_takes_no_incident_a_second_time(house: House) -> None:
    incident = await opened(house, acknowledged_for="1m")
    await incident.called(1)
    run = incident.handle.id
    said = signing.pasted(signing.word(run, "acknowledge", "anna"))
    await incident.handle.execute_update("acknowledge", said)
    await incident.pass_(minutes=1, seconds=1)
    await incident.called(2)
    for again in (said, said | {"id": "telegram:1"}):
        with pytest.raises(Exception, match="Workflow update failed") as refused:
            await incident.handle.execute_update("acknowledge", again)
        assert "This approval code was used already" in str(refused.value.__cause__)
    await incident.handle.signal("acknowledge", said)
    await eventually(lambda: any(run in s.text and "used already" in s.text for s in house.private.said))
    assert (await incident.incident()).owner == ""
    await incident.say("resolve", reason="it went away")
    await incident.result()
    await replays(incident)


async def test_two_taps_of_one_second_count_once_and_two_notes_of_one_second_both(house: House) -> None:
    incident = await opened(house, skipping=False)
    await incident.called(1)
    run = incident.handle.id
    taps = [signing.word(run, "acknowledge", "anna", channel="telegram", id=f"telegram:{n}") for n in (1, 2)]
    taps[1] = taps[1].model_copy(update={"expires_at": taps[0].expires_at, "code": taps[0].code})
    replies = [await house.runs().say(run, tap) for tap in taps]
    assert replies[0] == replies[1]
    first = signing.word(run, "note", "anna", channel="telegram", id="telegram:3", reason="503")
    second = first.model_copy(update={"id": "telegram:4", "reason": "429"})
    for note in (first, second):
        assert (await house.runs().say(run, note)).answer is Answer.ACCEPTED
    log = [line.text for line in (await incident.view()).log]
    assert log.count("anna has it") == 1
    assert {"noted by anna: 503", "noted by anna: 429"} < set(log)
    await incident.handle.cancel()


async def test_rotas_that_cannot_be_read_keep_nobody_from_opening_an_incident(tmp_path: Path) -> None:
    (tmp_path / "rollout").mkdir()
    (tmp_path / "people.yaml").write_text(yaml.safe_dump(PEOPLE))
    async with await start_server() as server, open_house(server.client, tmp_path) as house:
        name = house.write_incident()
        (tmp_path / "escalation" / "duty.yaml").write_text("rotas: [")
        (tmp_path / "escalation" / "priorities.yaml").write_text("tiers: [")
        incident = await open_as_it_is(house, name)
        assert await incident.called(2) == ["boris", "vera"], "those who are called by role"
        texts = [line.text for line in (await incident.view()).log]
        assert any(text.startswith("the rotas cannot be read") for text in texts)
        await incident.say("resolve", by="boris", reason="done")
        assert (await incident.result())["outcome"] == "resolved"


async def test_who_takes_it_before_any_worker_has_read_the_runbook_has_it_when_one_has(tmp_path: Path) -> None:
    (tmp_path / "rollout").mkdir()
    (tmp_path / "people.yaml").write_text(yaml.safe_dump(PEOPLE))
    async with await start_server() as server:
        name = House(server.client, tmp_path).write_incident()
        incident = await open_as_it_is(House(server.client, tmp_path), name)
        said = signing.word(incident.handle.id, "acknowledge", "anna", channel="telegram", id="telegram:1")
        assert (await incident.house.runs().say(incident.handle.id, said)).answer is Answer.STORED
        async with open_house(server.client, tmp_path) as house:
            incident = Incident(house, name, incident.handle)
            view = await state(incident, RunState.ACKNOWLEDGED)
            assert view.incident is not None
            assert view.incident.owner == "anna"
            await replays(incident)


async def test_an_answer_at_the_moment_when_the_next_step_is_due_is_not_lost(house: House) -> None:
    steps = [{"page": ["anna"], "wait": "1s"}, {"page": ["lead"], "wait": "10m"}]
    incident = await opened(house, skipping=False, steps=steps)
    await incident.called(1)
    said = signing.word(incident.handle.id, "acknowledge", "anna")
    due = (await incident.incident()).next_call
    assert due is not None
    await asyncio.sleep((due - datetime.now(UTC)).total_seconds() - 0.005)
    await house.runs().say(incident.handle.id, said)
    assert (await state(incident, RunState.ACKNOWLEDGED)).headline == "anna has it"
    assert incident.calls() in (["anna"], ["anna", "boris", "vera"])
    await incident.say("resolve", reason="done")
    await incident.result()
    await replays(incident)


@pytest.mark.parametrize("acknowledged", [False, True])
async def test_a_day_of_an_incident_takes_little_of_its_history(house: House, *, acknowledged: bool) -> None:
    incident = await opened(house, rounds=1, acknowledged_for="7d" if acknowledged else "30m")
    await incident.called(1)
    if acknowledged:
        await incident.say("acknowledge")
        await state(incident, RunState.ACKNOWLEDGED)
        await incident.pass_(minutes=1)  # what an acknowledgement itself makes: cards, the record
    else:
        await incident.pass_(minutes=5, seconds=1)
        await incident.called(3)
        await incident.pass_(minutes=10, seconds=1)
        await incident.until(lambda v: "nobody has answered" in v.headline)
    before = (await incident.handle.describe()).history_length
    calls = len(incident.calls())
    if acknowledged:
        await incident.pass_(days=1)
    else:
        for number in range(4):
            await incident.pass_(minutes=30, seconds=1)
            await incident.called(calls + 2 * (number + 1))
    grown = (await incident.handle.describe()).history_length - before
    assert grown * (1 if acknowledged else 12) < (20 if acknowledged else 3000)
    await incident.handle.cancel()
