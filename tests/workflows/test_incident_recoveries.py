"""What a watch says to the incident that it has opened."""

import pytest

from holdfast.domain.view import RunState
from tests.fakes import eventually
from tests.workflows.conftest import House
from tests.workflows.incident_house import opened, state

NOTE = "The watch of campaign-1 sees it well again: Support is well again since 10:00 UTC, after 5 min"


async def test_an_incident_that_nobody_has_taken_is_over_when_the_watch_sees_it_well(house: House) -> None:
    incident = await opened(house, skipping=False, by_run="campaign-1")
    await incident.called(1)

    await incident.handle.signal("recovered", NOTE)

    view = await state(incident, RunState.RESOLVED)
    assert view.incident is not None
    assert view.incident.resolution == NOTE
    assert view.headline == f"campaign-1: {NOTE}"
    await eventually(lambda: ("closing", NOTE) in incident.recorded())


async def test_whoever_has_an_incident_is_told_and_decides_when_it_is_over(house: House) -> None:
    incident = await opened(house, skipping=False, by_run="campaign-1")
    await incident.called(1)
    await incident.say("acknowledge")

    await incident.handle.signal("recovered", NOTE)

    view = await incident.until(lambda view: any(line.text == NOTE for line in view.log))
    assert view.state is RunState.ACKNOWLEDGED
    await incident.say("resolve", reason="the CRM was restarted")
    await state(incident, RunState.RESOLVED)


@pytest.mark.parametrize(("by_run", "message"), [("", NOTE), ("campaign-1", None)])
async def test_what_no_watch_has_said_ends_no_incident(house: House, by_run: str, message: object) -> None:
    incident = await opened(house, skipping=False, by_run=by_run)
    await incident.called(1)

    await incident.handle.signal("recovered", message)
    await incident.say("acknowledge")

    view = await state(incident, RunState.ACKNOWLEDGED)
    assert view.incident is not None
    assert not view.incident.resolution
    await incident.say("resolve", reason="the CRM was restarted")
