"""Who comes, what for, and how long they wait."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from holdfast.sim.tiers import CUSTOMERS, tier_of, usual_order_value

Kind = Literal["faq", "ticket", "profile", "checkout"]
MIX: Mapping[Kind, float] = MappingProxyType({"faq": 0.2, "ticket": 0.16, "profile": 0.44, "checkout": 0.2})

_QUESTIONS = (
    "Where is my order, the tracking page shows nothing since Monday?",
    "How do I change the delivery address of an order that has not left yet?",
    "My card was declined although it is valid, can I pay by bank transfer?",
    "We would like to extend our framework contract and talk about a volume discount.",
    "The device arrived damaged, how do I claim the warranty for a company?",
    "I want to reset the password of a colleague and add another one to the account.",
)
_MISTAKEN_PART = 0.03
_PATIENCE_SHAPE = 12.0  # of a gamma spread: a coefficient of variation of 0.29, hardly anybody below a second


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One customer's request.

    Attributes:
        patience_seconds: after that the customer closes the connection.
        method, path, body: what is sent to the shop.
    """

    kind: Kind
    patience_seconds: float
    method: str
    path: str
    body: dict[str, Any] | None


class People:
    """Draws visits; a few in a hundred make a mistake, mostly a number that is nobody's.

    Args:
        patience_seconds: mean patience.
        rng: the chance.
    """

    def __init__(self, patience_seconds: float, rng: random.Random) -> None:
        self._patience_seconds = patience_seconds
        self._rng = rng

    def next_visit(self) -> Visit:
        """Draw who comes next."""
        kind = self._rng.choices(tuple(MIX), weights=tuple(MIX.values()))[0]
        mistaken = self._rng.random() < _MISTAKEN_PART
        known, unknown = (1, CUSTOMERS), (CUSTOMERS + 1, 9 * CUSTOMERS)
        customer = self._rng.randint(*(unknown if mistaken else known))
        patience = self._rng.gammavariate(_PATIENCE_SHAPE, self._patience_seconds / _PATIENCE_SHAPE)
        method, path, body = self._request(kind, customer, mistaken=mistaken)
        return Visit(
            kind=kind,
            patience_seconds=patience,
            method=method,
            path=path,
            body=body,
        )

    def _request(self, kind: Kind, customer: int, *, mistaken: bool) -> tuple[str, str, dict[str, Any] | None]:
        value = round(usual_order_value(customer) * self._rng.uniform(0.6, 1.4), 2)
        client = {"customer": customer, "tier": tier_of(customer), "order_value": value}
        if kind == "faq":
            # Help pages are shown to everybody, whatever the number: here the mistake is to ask nothing.
            question = {"customer": customer, "question": "" if mistaken else self._rng.choice(_QUESTIONS)}
            return "POST", "/support/faq", question
        if kind == "ticket":
            return "POST", "/support/tickets", {**client, "text": self._rng.choice(_QUESTIONS)}
        if kind == "profile":
            return "GET", f"/account/profile?customer={customer}", None
        return "POST", "/checkout", client
