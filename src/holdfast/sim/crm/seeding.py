"""The contacts, companies and deals that are there from the start."""

import random

from holdfast.sim.crm.fields import COMPANY, CONTACT, DEAL
from holdfast.sim.crm.store import Store
from holdfast.sim.tiers import tier_of, usual_order_value

_NAMES = ("Anna", "Boris", "Clara", "Dmitri", "Elena", "Farid", "Greta", "Hugo", "Irina", "Jonas")
_LAST_NAMES = ("Arndt", "Belov", "Costa", "Duval", "Ek", "Fischer", "Gruber", "Horvat", "Ito", "Jansen")
_STAGES = ("NEW", "PREPARATION", "EXECUTING", "WON", "LOSE")
_CONTACTS_PER_COMPANY = 20


def seed(store: Store, *, contacts: int, seed: int) -> None:
    """Fill the store with contacts numbered from 1, each with one to three deals."""
    rng = random.Random(seed)
    companies = store.table(COMPANY)
    for number in range(1, contacts // _CONTACTS_PER_COMPANY + 2):
        companies.add({"title": f"Company {number}", "revenue": float(rng.randint(1, 900) * 1000)})
    for number in range(1, contacts + 1):
        tier, company = tier_of(number), number // _CONTACTS_PER_COMPANY + 1
        store.table(CONTACT).add(
            {
                "name": rng.choice(_NAMES),
                "lastName": rng.choice(_LAST_NAMES),
                "companyId": company,
                "ufCrmTier": tier,
            }
        )
        for deal in range(rng.randint(1, 3)):
            store.table(DEAL).add(
                {
                    "title": f"Order {number}-{deal + 1}",
                    "contactId": number,
                    "companyId": company,
                    "stageId": rng.choice(_STAGES),
                    "opportunity": round(usual_order_value(number) * rng.uniform(0.6, 1.4), 2),
                    "currencyId": "EUR",
                    "ufCrmTier": tier,
                }
            )
