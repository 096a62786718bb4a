"""The page of a report: shown to those who come by a link of their own, which is sent to those who ask."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import structlog
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from holdfast.apps.web.forms import FormSeals
from holdfast.apps.web.pages import Pages
from holdfast.apps.web.services import WebServices
from holdfast.domain.decisions import Answer
from holdfast.domain.errors import ChatUnavailable, DeliveryUncertain, InvalidInput
from holdfast.domain.links import LinkRefused
from holdfast.domain.people import Person
from holdfast.domain.view import RunView
from holdfast.ports.campaigns import KeptCampaign
from holdfast.ports.identity import Intent

# The report is one file that brings its own style and its pictures, and nothing that runs.
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; sandbox"
)
_PAUSE: Final = timedelta(minutes=2)
_KIND: Final = "report-link"
_TEXT: Final = "The report on {title}:\n{link}\nThe link is yours alone, and good for a day."
_OTHER_RUN: Final = "This link is for another run. Open it, whole, from the message that you got."
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Reporting:
    """Shows reports by `GET /reports/{run}?link=…`; without a link, asks to whom one is to be sent."""

    def __init__(self, services: WebServices, pages: Pages, seals: FormSeals) -> None:
        """Show with these services."""
        self._services, self._pages, self._seals = services, pages, seals

    async def show(self, request: Request) -> Response:
        """Show the report, or the form for those who have no link."""
        run, token = request.path_params["run"], request.query_params.get("link", "")
        if not token:
            return self._form(run)
        claim = self._services.links.read(token, self._services.now())
        if claim.run != run:
            raise LinkRefused(Answer.NOT_PROVEN, _OTHER_RUN)
        person = self._pages.person_of(claim)
        report = await self._services.reports.build(run, language=person.language or "en")
        return HTMLResponse(report.html, headers={"Content-Security-Policy": _POLICY})

    async def send(self, request: Request) -> Response:
        """Send somebody a link, if they may read the report; tells nobody whether they may."""
        run = request.path_params["run"]
        fields = await self._seals.read(request, _place(run))
        person = self._services.people().named(fields.person)
        if person is not None:
            await self._send(run, person)
        return self._form(run, asked_for=fields.person)

    def _form(self, run: str, *, asked_for: str = "") -> Response:
        form, seal = self._seals.new(_place(run), "")
        return self._pages.ask_for_link(run, form=form, seal=seal, asked_for=asked_for)

    async def _send(self, run: str, person: Person) -> None:
        services, now = self._services, self._services.now()
        kept = await services.campaigns.campaign(run)
        channel = next((each for each in services.channels if each.reaches(person)), None)
        if kept is None or channel is None or person.name not in set(_readers(kept)):
            _log.info("no link to a report", run=run, person=person.name, kept=kept is not None)
            return
        place = f"report:{run}"
        if await services.intents.peek(person.name, place, now=now) is not None:
            return  # whoever presses again gets no second message
        await services.intents.put(
            Intent(person=person.name, chat=place, kind=_KIND, data={}, expires_at=now + _PAUSE)
        )
        link = services.links.report(run, person.name, now)
        try:
            await channel.say(person, _TEXT.format(title=_title(kept), link=link))
        except (ChatUnavailable, DeliveryUncertain, InvalidInput) as error:
            _log.warning("link to a report not sent", run=run, person=person.name, why=str(error))


def _readers(kept: KeptCampaign) -> Iterator[str]:
    """Yield the short names of those who have to do with a campaign."""
    view = _view(kept)
    if view is None or view.campaign is None:
        return
    yield view.requested_by
    yield from view.campaign.may_answer
    for role in view.campaign.roles:
        yield from (role.person, *role.asked)
    for gate in (*view.closed_gates, *([view.gate] if view.gate else [])):
        yield from (*gate.approvers, *(decision.by for decision in gate.decisions))


def _view(kept: KeptCampaign) -> RunView | None:
    try:
        return RunView.model_validate(kept.view)
    except ValidationError:
        _log.warning("the kept view of a campaign cannot be read", run=kept.run)
        return None


def _title(kept: KeptCampaign) -> str:
    view = _view(kept)
    return view.title if view else kept.campaign


def _place(run: str) -> str:
    return f"report/{run}"
