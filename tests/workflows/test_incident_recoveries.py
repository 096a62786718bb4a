"""What a watch says to the incident that it has opened."""

from holdfast.domain.view import RunState
from tests.workflows.conftest import House
from tests.workflows.incident_house import opened, state

NOTE = "The watch of campaign-1 sees it well again: Support is well again since 10:00 UTC, after 5 min"


async def test_an_incident_that_nobody_has_taken_is_over_when_the_watch_sees_it_well(house: House) -> None:
    incident = await opened(house, skipping=False)
    await incident.called(1)

    await incident.handle.signal("recovered", NOTE)

    view = await state(incident, RunState.RESOLVED)
    assert view.incident is not None
    assert view.incident.resolution == NOTE


async def test_whoever_has_an_incident_is_told_and_decides_when_it_is_over(house: House) -> None:
    incident = await opened(house, skipping=False)
    await incident.called(1)
    await incident.say("acknowledge")

    await incident.handle.signal("recovered", NOTE)

    view = await incident.until(lambda view: any(line.text == NOTE for line in view.log))
    assert view.state is RunState.ACKNOWLEDGED
    await incident.say("resolve", reason="the CRM was restarted")
    await state(incident, RunState.RESOLVED)
