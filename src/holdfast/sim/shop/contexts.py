"""What each bounded context does with a request: Support, Account, Checkout; Notification is in the pod."""

import asyncio
import random
import time
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from holdfast.sim.shop.crm_client import CrmSession
from holdfast.sim.shop.escalations import Escalation
from holdfast.sim.shop.faq import best_pages
from holdfast.sim.shop.leads import Filing, LeadLedger
from holdfast.sim.shop.pod import Pod
from holdfast.sim.shop.workload import Workload
from holdfast.sim.tiers import Tier

_LEAD, _DEAL, _CONTACT = 1, 2, 3
_SHAPE = 16.0  # of the gamma spread of work: a coefficient of variation of 0.25


class Question(BaseModel):
    """The body of `/support/faq`."""

    model_config = ConfigDict(extra="forbid")

    customer: int = Field(ge=1)
    question: str = Field(min_length=1, max_length=4000)


class Ticket(BaseModel):
    """The body of `/support/tickets`."""

    model_config = ConfigDict(extra="forbid")

    customer: int = Field(ge=1)
    tier: Tier
    order_value: float = Field(ge=0)
    text: str = Field(min_length=1, max_length=4000)


class ProfileQuery(BaseModel):
    """The query of `/account/profile`."""

    customer: int = Field(ge=1)


class Order(BaseModel):
    """The body of `/checkout`."""

    model_config = ConfigDict(extra="forbid")

    customer: int = Field(ge=1)
    tier: Tier
    order_value: float = Field(ge=0)


class Contexts:
    """The contexts' work on a given pod; errors are those of `Pod.crm` and `CrmSession.call`."""

    def __init__(self, workload: Workload, leads: LeadLedger, rng: random.Random) -> None:
        self._workload = workload
        self._leads = leads
        self._rng = rng

    async def answer(self, pod: Pod, question: Question) -> dict[str, Any]:
        """Support: find help pages; needs no CRM."""
        with pod.metrics.computing():
            return {"answers": best_pages(question.question)}

    async def take_ticket(self, pod: Pod, ticket: Ticket) -> dict[str, Any]:
        """Support: file a ticket in the CRM, reply by bot, hand some to a person."""
        side, is_lead, filing = pod.side, pod.settings.crm_write_leads, self._leads.filing()
        async with pod.crm() as crm:
            await crm.call("crm.item.get", {"entityTypeId": _CONTACT, "id": ticket.customer})
            await self._work(self._workload.ticket_scan_seconds)
            number = await self._file(crm, ticket, filing) if is_lead else filing.own_number
        self._leads.expect(side, filing)
        with pod.metrics.computing():
            answers = best_pages(ticket.text)
        pod.notify_later("\n".join((f"Your ticket has the number {number}.", *answers)))
        escalated = self._escalate(pod, ticket, number, is_lead=is_lead)
        return {"ticket": number, "answers": answers, "escalated": escalated}

    async def show_profile(self, pod: Pod, customer: int) -> dict[str, Any]:
        """Account: show what the CRM knows of a customer."""
        async with pod.crm() as crm:
            contact = await crm.call("crm.item.get", {"entityTypeId": _CONTACT, "id": customer})
            await self._work(self._workload.profile_render_seconds)
        item = contact["item"]
        return {"customer": customer, "name": f"{item['name']} {item['lastName']}", "tier": item["ufCrmTier"]}

    async def check_out(self, pod: Pod, order: Order) -> dict[str, Any]:
        """Checkout: look the customer up, store the deal, take the payment, close the deal."""
        fields = {"title": "Web order", "contactId": order.customer, "opportunity": order.order_value}
        async with pod.crm() as crm:
            await crm.call("crm.item.get", {"entityTypeId": _CONTACT, "id": order.customer})
            deal = (await crm.call("crm.item.add", {"entityTypeId": _DEAL, "fields": fields}))["item"]
            await self._work(self._workload.payment_seconds)
            paid = {"entityTypeId": _DEAL, "id": deal["id"], "fields": {"stageId": "WON"}}
            await crm.call("crm.item.update", paid)
        return {"order": deal["id"]}

    async def _file(self, crm: CrmSession, ticket: Ticket, filing: Filing) -> int:
        fields = {"title": ticket.text[:60], "contactId": ticket.customer, "opportunity": ticket.order_value}
        lead = await crm.call("crm.item.add", {"entityTypeId": _LEAD, "fields": fields | filing.fields})
        return int(lead["item"]["id"])

    def _escalate(self, pod: Pod, ticket: Ticket, number: int, *, is_lead: bool) -> bool:
        if not pod.desk.is_for_a_person():
            return False
        escalation = Escalation(
            number=number,
            customer=ticket.customer,
            tier=ticket.tier,
            order_value=ticket.order_value,
            since=time.monotonic(),
            text=ticket.text,
            is_lead=is_lead,
        )
        return pod.desk.add(escalation)

    async def _work(self, mean_seconds: float) -> None:
        await asyncio.sleep(mean_seconds * self._rng.gammavariate(_SHAPE, 1 / _SHAPE))
