"""Incidents: people are called step by step until one of them has it, and again when that one is silent."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from temporalio.client import WorkflowFailureError

from holdfast.domain.decisions import Answer
from holdfast.domain.errors import ChatUnavailable, DecisionRefused
from holdfast.domain.view import RunState
from holdfast.ports.duty import Cover
from holdfast.ports.runs import IncidentRequest
from tests import signing
from tests.fakes import eventually
from tests.server import start_server
from tests.workflows.conftest import PEOPLE, House, open_house
from tests.workflows.incident_house import Incident, opened, state
from tests.workflows.test_rollback_races import replays


async def test_people_are_called_step_by_step_and_round_by_round_until_nobody_is_left_to_call(
    house: House,
) -> None:
    incident = await opened(house, rounds=2)
    assert await incident.called(1) == ["anna"]
    view = await incident.view()
    assert view.state is RunState.OPEN
    assert view.headline == "called anna; step 1 of 2, round 1"
    assert (await incident.incident()).next_called == ["boris", "vera"]

    await incident.pass_(minutes=5, seconds=1)
    assert await incident.called(3) == ["anna", "boris", "vera"]
    await incident.pass_(minutes=10, seconds=1)
    assert (await incident.called(4))[3:] == ["anna"]
    await incident.pass_(minutes=5, seconds=1)
    assert (await incident.called(6))[4:] == ["boris", "vera"]
    assert (await incident.incident()).round == 2

    await incident.pass_(minutes=10, seconds=1)
    await incident.until(lambda v: "nobody has answered" in v.headline)
    assert len(incident.calls()) == 6
    await incident.pass_(minutes=30, seconds=1)
    assert (await incident.called(8))[6:] == ["boris", "vera"]
    await incident.pass_(minutes=30, seconds=1)
    assert (await incident.called(10))[8:] == ["boris", "vera"]
    assert len([p for p in house.chat.pings[incident.handle.id] if "nobody has answered" in p]) == 1
    await incident.say("resolve", by="boris", reason="it went away")
    await incident.result()
    await replays(incident)


async def test_a_call_says_why_this_person_is_called_and_carries_a_button_of_that_person(house: House) -> None:
    incident = await opened(house)
    await incident.called(1)
    await incident.pass_(minutes=5, seconds=1)
    await incident.called(3)
    pages = {name: page for name, page in house.private.pages if page.view.run_id == incident.handle.id}
    run = incident.handle.id
    assert pages["anna"].because == "You are on duty (Support)."
    assert pages["boris"].because == "You are called as lead."
    assert pages["boris"].button == signing.KEYS.button(run, "incident", "", "boris")
    assert pages["boris"].key == f"page/{run}/boris/1"
    assert pages["anna"].view.ui_url == f"http://ui/{run}"
    assert pages["anna"].view.incident is not None
    assert (pages["anna"].view.incident.tier, pages["anna"].view.incident.value) == ("gold", 9e5)
    assert pages["anna"].view.people.people == ()
    await incident.handle.cancel()


async def test_an_acknowledgement_stops_the_calls_and_its_end_begins_them_anew(house: House) -> None:
    incident = await opened(house, acknowledged_for="20m")
    await incident.called(1)
    reply = await incident.say("acknowledge")
    assert reply.answer is Answer.ACCEPTED
    assert reply.text.startswith("It is yours until ")
    view = await state(incident, RunState.ACKNOWLEDGED)
    assert (view.headline, view.incident and view.incident.owner) == ("anna has it", "anna")
    assert view.incident is not None
    assert view.incident.next_call is None

    await incident.pass_(minutes=15)
    await incident.say("acknowledge")  # more time
    await incident.pass_(minutes=15)
    assert incident.calls() == ["anna"]
    assert (await incident.view()).state is RunState.ACKNOWLEDGED

    await incident.pass_(minutes=5, seconds=1)
    assert await incident.called(2) == ["anna", "anna"]
    view = await incident.view()
    assert view.state is RunState.OPEN
    said = "the acknowledgement of anna has run out; people are called again"
    assert said in [line.text for line in view.log]
    assert said in house.chat.pings[incident.handle.id]
    await incident.pass_(minutes=5, seconds=1)
    assert (await incident.called(4))[2:] == ["boris", "vera"]
    await incident.say("resolve", by="vera", reason="restarted")
    await incident.result()
    assert ("expiry", said) in incident.recorded()
    await replays(incident)


async def test_only_the_newest_call_of_a_person_has_buttons_and_none_has_when_it_is_over(house: House) -> None:
    incident = await opened(house, acknowledged_for="1m")
    await incident.called(1)
    await incident.say("acknowledge")
    await incident.pass_(minutes=1, seconds=1)
    await incident.called(2)
    refs = [
        ref.message_id
        for (name, key), ref in house.private.sent.items()
        if name == "anna" and incident.handle.id in key
    ]
    assert [house.private.retired.get(ref) for ref in refs] == ["There is a newer call below.", None]
    await incident.say("resolve", reason="the pool was too small")
    report = await incident.result()
    assert house.private.retired[refs[1]] == "Resolved: anna: the pool was too small"
    assert (report["outcome"], report["view"]["incident"]["resolution"]) == (
        "resolved",
        "the pool was too small",
    )
    card = house.chat.cards[incident.handle.id]
    assert (card.state, card.kind) == (RunState.RESOLVED, "incident")
    assert house.chat.pings[incident.handle.id][-1] == "Resolved: anna: the pool was too small"


async def test_of_two_who_acknowledge_at_once_the_first_has_it_and_the_other_is_told_who(house: House) -> None:
    incident = await opened(house, skipping=False)
    await incident.called(1)
    said = [asyncio.create_task(incident.say("acknowledge", by=by)) for by in ("anna", "gleb")]
    answers = await asyncio.gather(*said, return_exceptions=True)
    refused = [a for a in answers if isinstance(a, DecisionRefused)]
    owner = (await incident.incident()).owner
    other = "gleb" if owner == "anna" else "anna"
    assert len(refused) == 1
    assert str(refused[0]) == f"{owner} has it. To take it over: /handover {incident.handle.id} {other}"

    await incident.say("hand_over", by=other, to=other)
    assert (await incident.incident()).owner == other
    assert incident.calls() == ["anna"], "who takes it over is not called"
    taken = f"{other} has taken it over from {owner}"
    await eventually(lambda: taken in house.chat.pings[incident.handle.id])
    await incident.handle.cancel()


async def test_a_hand_over_calls_the_other_person_who_then_has_it(house: House) -> None:
    incident = await opened(house)
    await incident.called(1)
    await incident.say("acknowledge")
    reply = await incident.say("hand_over", to="vera", reason="I am on a train")
    assert reply.text == "vera is called; without an answer people are called again from the first step."
    assert await incident.called(2) == ["anna", "vera"]
    view = await incident.view()
    assert (view.state, view.headline) == (RunState.OPEN, "called vera, to whom anna hands it over")
    page = [page for name, page in house.private.pages if name == "vera"][-1]
    assert page.because == "anna hands it over to you: I am on a train"
    await incident.say("acknowledge", by="vera")
    await incident.pass_(minutes=20)
    assert incident.calls() == ["anna", "vera"]
    assert (await incident.incident()).owner == "vera"
    await incident.handle.cancel()


async def test_who_does_not_take_over_in_time_is_called_first_and_the_ladder_begins_anew(house: House) -> None:
    incident = await opened(house)
    await incident.called(1)
    await incident.pass_(minutes=5, seconds=1)
    await incident.called(3)
    await incident.say("hand_over", by="boris", to="gleb")
    assert (await incident.called(4))[3:] == ["gleb"]
    await incident.pass_(minutes=5, seconds=1)
    assert sorted((await incident.called(6))[4:]) == ["anna", "gleb"]
    await incident.until(lambda v: v.headline == "called gleb, anna; step 1 of 2, round 1")
    await incident.pass_(minutes=5, seconds=1)
    assert (await incident.called(8))[6:] == ["boris", "vera"]
    await incident.handle.cancel()


async def test_a_step_in_which_nobody_can_be_reached_is_passed_over_at_once(house: House) -> None:
    steps = [{"page": ["hermit"], "wait": "5m"}, {"page": ["lead"], "wait": "10m"}]
    incident = await opened(house, steps=steps)
    assert await incident.called(2) == ["boris", "vera"]
    texts = [line.text for line in (await incident.view()).log]
    assert "step 1 of 2, round 1: nobody was reached" in texts
    assert "hermit was not reached: neither telegram_id nor email is set in people.yaml" in texts
    failed = [text for _, text in incident.recorded() if "hermit" in text]
    assert failed == ["a call could not be sent to hermit: neither telegram_id nor email is set in people.yaml"]
    await incident.handle.cancel()


async def test_where_nobody_at_all_can_be_reached_it_is_tried_again_every_half_hour_and_not_faster(
    house: House,
) -> None:
    incident = await opened(house, steps=[{"page": ["hermit"], "wait": "5m"}], rounds=100)
    await incident.until(lambda v: "nobody has answered" in v.headline)
    await incident.pass_(minutes=29)
    assert (await incident.handle.describe()).history_length < 100

    def tried() -> int:
        return sum("could not be sent to hermit" in text for _, text in incident.recorded())

    assert tried() == 1
    await incident.pass_(minutes=1, seconds=1)
    await eventually(lambda: tried() == 2)
    await incident.handle.cancel()


async def test_a_call_whose_chat_is_down_is_sent_as_soon_as_it_is_up_and_only_once(house: House) -> None:
    house.private.troubles["anna"].extend([ChatUnavailable("down"), ChatUnavailable("down")])
    incident = await opened(house, skipping=False)
    assert await incident.called(1) == ["anna"]
    assert (await incident.view()).headline == "called anna; step 1 of 2, round 1"
    sent = [text for _, text in incident.recorded() if text.startswith("a call")]
    assert sent == ["a call was sent to anna by telegram"]
    await incident.handle.cancel()


async def test_who_is_on_duty_is_looked_up_at_the_moment_of_the_call(house: House) -> None:
    incident = await opened(house, acknowledged_for="10m")
    await incident.called(1)
    await incident.say("acknowledge")
    opened_at = (await incident.view()).started_at
    house.duty.items.append(
        Cover(
            id=f"cover-{incident.name}",
            rota=incident.name,
            person="gleb",
            since=opened_at,
            until=opened_at + timedelta(days=1),
            by="anna",
            at=opened_at,
        )
    )
    await incident.pass_(minutes=10, seconds=1)
    assert await incident.called(2) == ["anna", "gleb"]
    await incident.handle.cancel()


async def test_rotas_and_covers_that_cannot_be_read_are_said_and_the_calls_go_out(house: House) -> None:
    house.duty.down = True
    try:
        incident = await opened(house, skipping=False)
        assert await incident.called(1) == ["anna"]
        texts = [line.text for line in (await incident.view()).log]
        assert "who covers for whom is not known: the database does not answer" in texts
    finally:
        house.duty.down = False
    await incident.handle.cancel()


async def test_words_that_do_not_count_are_refused_in_words_and_put_on_record(house: House) -> None:
    incident = await opened(house, skipping=False)
    await incident.called(1)
    run = incident.handle.id
    for act, by, more, why in (
        (
            "acknowledge",
            "stranger",
            {},
            "'stranger' may not say 'acknowledge' to this run; gleb, anna, boris, vera may",
        ),
        ("resolve", "anna", {}, "reason: say what was wrong"),
        ("note", "anna", {}, "reason: write what is to be noted"),
        ("hand_over", "anna", {}, "to: name the person"),
        ("hand_over", "anna", {"to": "nemo"}, "to: 'nemo' is nobody in people.yaml"),
        ("pause", "anna", {}, "takes no such thing"),
    ):
        with pytest.raises(DecisionRefused) as refused:
            await incident.say(act, by=by, **more)
        assert why in str(refused.value)
    unsigned: dict[str, Any] = {"act": "acknowledge", "by": "anna"}
    with pytest.raises(DecisionRefused, match="needs your own approval code"):
        await house.runs().say(
            run, signing.word(run, "acknowledge", "anna").model_copy(update={"expires_at": None})
        )
    with pytest.raises(Exception, match="Workflow update failed"):
        await incident.handle.execute_update("acknowledge", unsigned)
    assert (await incident.incident()).owner == ""
    await eventually(
        lambda: any(kind == "refusal" and "stranger" in text for kind, text in incident.recorded())
    )
    await incident.handle.cancel()


async def test_the_record_tells_who_was_called_and_who_said_what(house: House) -> None:
    incident = await opened(house, skipping=False)
    await incident.called(1)
    await incident.say("acknowledge", id="telegram:7")
    await incident.say("acknowledge", id="telegram:7")
    await incident.say("note", by="gleb", reason="the portal answers 503")
    await incident.say("hand_over", to="boris")
    await incident.called(2)
    await incident.say("acknowledge", by="boris")
    await incident.say("resolve", by="boris", reason="keep-alive was too long")
    report = await incident.result()
    kinds = [kind for kind, _ in incident.recorded()]
    texts = [text for _, text in incident.recorded()]
    assert kinds.count("decision") == 3
    assert ("request", "opened by anna: The bot is slow") in incident.recorded()
    assert "a call was sent to anna by telegram" in texts
    assert "gleb: Noted: the portal answers 503" in texts
    assert "anna: boris is called; without an answer people are called again from the first step." in texts
    assert texts[-1] == "boris: Resolved: keep-alive was too long"
    log = [line["text"] for line in report["view"]["log"]]
    assert "noted by gleb: the portal answers 503" in log
    assert log.count("anna has it") == 1
    assert (await house.audit.verify()).broken_at is None
    await replays(incident)


async def test_the_card_goes_into_a_topic_of_its_own_that_is_opened_once(house: House) -> None:
    incident = await opened(house, skipping=False)
    await incident.called(1)
    await eventually(lambda: incident.handle.id in house.chat.cards)
    assert house.chat.threads[incident.handle.id] == "The bot is slow"
    await incident.say("resolve", reason="done")
    await incident.result()
    assert house.chat.messages_sent[incident.handle.id] == 1


async def test_a_group_chat_that_is_down_keeps_nobody_from_being_called(house: House) -> None:
    incident_name = house.write_incident()
    house.chat.down.add(f"run-{incident_name}")
    request = IncidentRequest(runbook=incident_name, requested_by="anna", title="The chat is down")
    runs = house.runs()
    assert await runs.open_incident(request, run_id=f"run-{incident_name}")
    assert not await runs.open_incident(request, run_id=f"run-{incident_name}")
    incident = Incident(house, incident_name, house.client.get_workflow_handle(f"run-{incident_name}"))
    assert await incident.called(1) == ["anna"]
    await incident.handle.cancel()
    house.chat.down.clear()


async def test_signals_count_with_their_code_and_everything_else_is_told_to_the_sender(house: House) -> None:
    incident = await opened(house, skipping=False)
    await incident.called(1)
    run = incident.handle.id
    await incident.handle.signal("acknowledge", {"act": "acknowledge", "by": "gleb"})
    await eventually(
        lambda: any(
            s.person == "gleb" and run in s.text and "did not count" in s.text for s in house.private.said
        )
    )
    assert (await incident.incident()).owner == ""
    await incident.handle.signal("acknowledge", signing.pasted(signing.word(run, "acknowledge", "gleb")))
    await incident.until(lambda v: bool(v.incident and v.incident.owner == "gleb"))
    await incident.handle.signal("note", signing.pasted(signing.word(run, "note", "anna", reason="seen")))
    await incident.until(lambda v: any(line.text == "noted by anna: seen" for line in v.log))
    over = signing.pasted(signing.word(run, "hand_over", "gleb", to="boris"))
    await incident.handle.signal("hand_over", over)
    await incident.called(2)
    await incident.handle.signal("resolve", signing.pasted(signing.word(run, "resolve", "boris", reason="ok")))
    assert (await incident.result())["outcome"] == "resolved"
    await replays(incident)


async def test_a_code_is_sent_to_the_private_chat_and_opens_the_update_of_the_temporal_ui(house: House) -> None:
    incident = await opened(house, skipping=False)
    await incident.called(1)
    await incident.handle.execute_update("send_code", {"by": "anna"})
    paste = json.loads(next(s.paste for s in reversed(house.private.said) if s.person == "anna" and s.paste))
    assert (paste["act"], "gate" in paste) == ("acknowledge", False)
    await incident.handle.execute_update("acknowledge", paste)
    assert (await incident.incident()).owner == "anna"
    shown = str(await incident.handle.query("__temporal_workflow_metadata"))
    assert "**Has it**: anna" in shown
    assert "for a while" in shown
    await incident.handle.cancel()


async def test_a_cancelled_incident_says_so_and_leaves_no_buttons(house: House) -> None:
    incident = await opened(house, skipping=False)
    await incident.called(1)
    await incident.handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await incident.result()
    view = await incident.view()
    assert (view.state, view.headline) == (
        RunState.STOPPED,
        "cancelled by request; nobody is called any more",
    )
    refs = [ref.message_id for (_, key), ref in house.private.sent.items() if incident.handle.id in key]
    assert refs
    assert all("cancelled by request" in house.private.retired[ref] for ref in refs)
    await replays(incident)


async def test_an_incident_that_nobody_may_open_fails_and_says_who_may(house: House) -> None:
    name = house.write_incident()
    request = IncidentRequest(runbook=name, requested_by="boris", title="x")
    await house.runs().open_incident(request, run_id=f"run-{name}")
    incident = Incident(house, name, house.client.get_workflow_handle(f"run-{name}"))
    with pytest.raises(WorkflowFailureError):
        await incident.result()
    assert "'boris' may not open" in (await incident.view()).headline
    assert incident.calls() == []
    assert f"run-{name}" not in house.chat.threads


async def test_the_run_list_has_incidents_and_rollouts_with_their_kind_and_state(house: House) -> None:
    incident = await opened(house, skipping=False)
    await incident.called(1)

    async def listed() -> bool:
        lines = {line.run_id: line for line in await house.runs().recent(limit=50)}
        line = lines.get(incident.handle.id)
        return line is not None and (line.kind, line.status, line.runbook) == (
            "incident",
            "open",
            incident.name,
        )

    await eventually(listed)
    await incident.handle.cancel()


async def test_an_incident_of_weeks_continues_as_new_and_forgets_nothing(tmp_path: Path) -> None:
    (tmp_path / "rollout").mkdir()
    (tmp_path / "people.yaml").write_text(yaml.safe_dump(PEOPLE))
    async with (
        await start_server({"limit.historyCount.suggestContinueAsNew": "60"}) as server,
        open_house(server.client, tmp_path) as house,
    ):
        incident = await opened(house, skipping=False)
        await incident.called(1)
        for number in range(12):
            await incident.say("acknowledge", id=f"telegram:{number}")
            await incident.say("note", by="gleb", reason=f"note {number}")
        await incident.say("hand_over", to="vera")
        assert (await incident.called(2))[-1] == "vera"

        async def continued() -> bool:
            query = f'WorkflowId = "{incident.handle.id}"'
            return len([w async for w in server.client.list_workflows(query)]) > 1

        await eventually(continued)
        view = await incident.view()
        assert view.incident is not None
        assert view.incident.called == ["anna", "vera"]
        assert "It is yours" in (await incident.say("acknowledge", by="vera")).text
        await incident.say("resolve", by="vera", reason="done")
        await server.client.get_workflow_handle(incident.handle.id).result()
        assert house.chat.messages_sent[incident.handle.id] == 1
        assert set(house.private.retired.values()) >= {"Resolved: vera: done"}
        assert len([e for e in house.audit.entries if e.text.startswith("gleb: Noted: note")]) == 12


async def test_a_word_is_kept_while_no_worker_is_up_and_counts_when_one_is(tmp_path: Path) -> None:
    (tmp_path / "rollout").mkdir()
    (tmp_path / "people.yaml").write_text(yaml.safe_dump(PEOPLE))
    async with await start_server() as server:
        async with open_house(server.client, tmp_path) as house:
            incident = await opened(house, skipping=False)
            await incident.called(1)
        reply = await incident.say("acknowledge", channel="telegram", id="telegram:9")
        assert reply.answer is Answer.STORED
        async with open_house(server.client, tmp_path) as house:
            again = Incident(house, incident.name, incident.handle)
            view = await again.until(lambda v: v.state is RunState.ACKNOWLEDGED)
            assert view.incident is not None
            assert view.incident.owner == "anna"
            assert again.calls() == [], "nobody is called a second time by the second worker"
            await replays(again)
