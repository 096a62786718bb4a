"""Which fields the items of each type have."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from holdfast.sim.crm.errors import RestError, not_found

LEAD, DEAL, CONTACT, COMPANY = 1, 2, 3, 4
OWNER_TYPES: Mapping[str, int] = MappingProxyType(
    {"lead": LEAD, "deal": DEAL, "contact": CONTACT, "company": COMPANY}
)


@dataclass(frozen=True, kw_only=True)
class CrmField:
    """One field; `upper` is its name in older methods."""

    type: str
    title: str
    upper: str
    read_only: bool = False

    def describe(self) -> dict[str, Any]:
        """What `crm.item.fields` says of it."""
        return {
            "type": self.type,
            "isRequired": False,
            "isReadOnly": self.read_only,
            "isImmutable": False,
            "isMultiple": False,
            "isDynamic": self.upper.startswith("UF_"),
            "title": self.title,
            "upperName": self.upper,
        }

    def read(self, name: str, value: Any) -> Any:
        """Turn what a client sent, often a string, into the field's own type.

        Raises:
            RestError: the value does not fit.
        """
        if value is None or value == "":
            return None
        try:
            return _READERS.get(self.type, str)(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise RestError(
                400, "CRM_FIELD_ERROR_VALUE_NOT_VALID", f'Invalid value for field "{name}"'
            ) from error


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("JSON has no such number")
    return number


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "integer": int,
    "user": int,
    "crm_contact": int,
    "crm_company": int,
    "double": _finite,
}


def _field(kind: str, title: str, upper: str, *, read_only: bool = False) -> CrmField:
    return CrmField(type=kind, title=title, upper=upper, read_only=read_only)


_COMMON = {
    "id": _field("integer", "ID", "ID", read_only=True),
    "createdTime": _field("datetime", "Created at", "CREATED_TIME", read_only=True),
    "updatedTime": _field("datetime", "Updated at", "UPDATED_TIME", read_only=True),
    "createdBy": _field("user", "Created by", "CREATED_BY", read_only=True),
    "updatedBy": _field("user", "Updated by", "UPDATED_BY", read_only=True),
    "assignedById": _field("user", "Assigned to", "ASSIGNED_BY_ID"),
    "opened": _field("boolean", "Publicly available", "OPENED"),
    "comments": _field("text", "Comment", "COMMENTS"),
    "sourceId": _field("crm_status", "Source", "SOURCE_ID"),
    "originatorId": _field("string", "External source", "ORIGINATOR_ID"),
    "originId": _field("string", "Item ID in the external source", "ORIGIN_ID"),
    "companyId": _field("crm_company", "Company", "COMPANY_ID"),
    "ufCrmTier": _field("string", "Customer tier", "UF_CRM_TIER"),
}
_PERSON = {
    "name": _field("string", "First name", "NAME"),
    "lastName": _field("string", "Last name", "LAST_NAME"),
}
_TITLE = {"title": _field("string", "Name", "TITLE")}
_MONEY = {
    "stageId": _field("crm_status", "Stage", "STAGE_ID"),
    "opportunity": _field("double", "Amount", "OPPORTUNITY"),
    "currencyId": _field("crm_currency", "Currency", "CURRENCY_ID"),
    "contactId": _field("crm_contact", "Contact", "CONTACT_ID"),
}
FIELDS: Mapping[int, Mapping[str, CrmField]] = MappingProxyType(
    {
        LEAD: _COMMON | _TITLE | _PERSON | _MONEY,
        DEAL: _COMMON | _TITLE | _MONEY,
        CONTACT: _COMMON | _PERSON,
        COMPANY: _COMMON | _TITLE | {"revenue": _field("double", "Annual turnover", "REVENUE")},
    }
)


def fields_of(entity_type: int) -> Mapping[str, CrmField]:
    """Return the fields of a type of item.

    Raises:
        RestError: there is no such type.
    """
    if entity_type not in FIELDS:
        raise not_found("Smart process")
    return FIELDS[entity_type]
