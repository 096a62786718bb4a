"""Shows pages; showing changes nothing, because mail scanners open links before people do."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import structlog
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from holdfast.apps.web.forms import Fields, FormSeals
from holdfast.apps.web.services import WebServices
from holdfast.apps.web.sheet import (
    Form,
    Proof,
    Said,
    Sheet,
    UndoForm,
    choices_of,
    report_of,
    sheet_of,
    what_may_be_undone,
)
from holdfast.apps.web.words import brief, clock, latency, moment, veiled
from holdfast.domain import progress
from holdfast.domain.decisions import ROLLBACK, Answer
from holdfast.domain.errors import DecisionRefused, HoldfastError
from holdfast.domain.gates import Gate, who_said
from holdfast.domain.links import LinkClaim
from holdfast.domain.people import Person
from holdfast.domain.rollback import undoing
from holdfast.domain.view import RunView
from holdfast.verdict.words import measured

_HERE: Final = Path(__file__).parent
_NO_APP: Final = (
    "This decision wants a code of an authenticator app, and you have not set one up. Do that in your private "
    "chat with the bot, or ask an admin; then open this link again."
)
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Pages:
    """Renders what a person sees."""

    def __init__(self, services: WebServices, seals: FormSeals) -> None:
        """Render with these services."""
        self._services = services
        self._seals = seals
        self._drawing = asyncio.Lock()
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def person_of(self, claim: LinkClaim) -> Person:
        """Return the person for whom a link was made.

        Raises:
            DecisionRefused: that person is not known any more.
            InvalidInput: the file of the people cannot be read.
        """
        person = self._services.people().named(claim.person)
        if person is None:
            raise DecisionRefused(
                Answer.NOT_AN_APPROVER,
                f"'{claim.person}' is not known to Holdfast any more. Ask an admin about people.yaml.",
            )
        return person

    async def view(self, claim: LinkClaim) -> RunView:
        """Return what the run shows of itself."""
        view = await self._services.runs.view(claim.run)
        return view if view.people.people else view.model_copy(update={"people": self._services.people()})

    async def gate(
        self,
        token: str,
        claim: LinkClaim,
        *,
        said: Said | None = None,
        typed: Fields | None = None,
        status: int = 200,
    ) -> HTMLResponse:
        """Render the page of a gate.

        Args:
            token: the link's.
            claim: what the link says.
            said: what became of what the person has just done.
            typed: what was typed before something was wrong or is still to come.
            status: of the response.
        """
        person = self.person_of(claim)
        view = await self.view(claim)
        chart = await self._chart(view)
        sheet = sheet_of(view, claim, person, now=self._services.now(), chart=chart)
        about_gate, about_rollback = (typed, None) if typed and not typed.about_rollback else (None, typed)
        sheet = await self._with_form(sheet, token, claim, about_gate.reason if about_gate else "")
        sheet = replace(await self._with_undo(sheet, token, about_rollback), said=said)
        sheet = replace(sheet, test=await self._test(view), report=report_of(view, token))
        return self._page("gate.html", status, sheet=sheet, zone=person.zone)

    def told(self, title: str, text: str, status: int) -> HTMLResponse:
        """Render one sentence."""
        return self._page("told.html", status, title=title, text=text)

    def ask_for_link(self, run: str, *, form: str, seal: str, asked_for: str) -> HTMLResponse:
        """Render the form for those who come to a report without a link."""
        return self._page("link.html", 200, run=run, form=form, seal=seal, asked_for=asked_for)

    async def proof_of(self, person: Person, gate: Gate | None) -> Proof:
        """Return what this person has to show besides the link; without a gate, what is sure without it."""
        if await self._services.second_factor.enrolled(person.name):
            return Proof.TOTP
        if gate is not None and gate.mfa:
            return Proof.NONE
        email = self._services.email
        return Proof.PIN if email is not None and email.reaches(person) else Proof.PASTED

    async def _with_form(self, sheet: Sheet, token: str, claim: LinkClaim, reason: str) -> Sheet:
        gate = sheet.gate
        if gate is None or not sheet.is_open or gate.execution != claim.execution:
            return sheet
        choices, why = choices_of(gate, sheet.view, sheet.person, now=sheet.now)
        if not choices:
            return replace(sheet, hint=why)
        proof = await self.proof_of(sheet.person, gate)
        if proof is Proof.NONE:
            return replace(sheet, hint=_NO_APP)
        form, seal = self._seals.new(token, gate.evidence)
        mailbox = veiled(sheet.person.email) if proof is Proof.PIN else ""
        return replace(sheet, form=Form(form, seal, gate.evidence, choices, proof, mailbox, reason))

    async def _with_undo(self, sheet: Sheet, token: str, typed: Fields | None) -> Sheet:
        choices = what_may_be_undone(sheet.view, sheet.person)
        if not choices:
            return sheet
        proof = await self.proof_of(sheet.person, None)
        form, seal = self._seals.new(token, ROLLBACK)
        undo = UndoForm(
            form=form,
            seal=seal,
            evidence=ROLLBACK,
            choices=choices,
            lasting=undoing(sheet.view).lasting,
            proof=proof,
            mailbox=veiled(sheet.person.email) if proof is Proof.PIN else "",
            reason=typed.reason if typed else "",
            unfold=typed is not None,
        )
        return replace(sheet, undo=undo)

    async def _test(self, view: RunView) -> RunView | None:
        """Return the load test that a campaign runs; one that does not answer is left out."""
        if view.campaign is None or not view.campaign.test_running:
            return None
        try:
            return await self._services.runs.view(view.campaign.test_running)
        except HoldfastError as error:
            _log.info("load test not shown", run=view.campaign.test_running, why=str(error))
            return None

    async def _chart(self, view: RunView) -> bytes | None:
        async with self._drawing:
            try:
                return await asyncio.to_thread(self._services.render_chart, view)
            except Exception:  # noqa: BLE001  whatever is wrong with a picture, the decision must be possible
                _log.exception("web chart not drawn", run=view.run_id)
                return None

    def _page(self, template: str, status: int, **shown: Any) -> HTMLResponse:
        html = self._templates.get_template(template).render(
            **shown,
            moment=moment,
            brief=brief,
            clock=clock,
            latency=latency,
            who_said=who_said,
            progress=progress,
            measured=measured,
        )
        return HTMLResponse(html, status_code=status)
