"""What each REST method does; `batch` is in a module of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from holdfast.sim.crm.errors import RestError, missing_argument
from holdfast.sim.crm.fields import OWNER_TYPES, CrmField, fields_of
from holdfast.sim.crm.php import Params, as_object
from holdfast.sim.crm.query import matching, ordered, page, selected, start_of
from holdfast.sim.crm.store import Item, Store, Table

_COUNTING_WEIGHT = 5.0


@dataclass(frozen=True)
class Reply:
    """What a method answers, with `total` and `next` where it is a list."""

    result: Any
    counts: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True)
class Method:
    """A method and how heavy a call is: 1 is a look-up by number."""

    handle: Callable[[Store, Params], Reply]
    weight: Callable[[Params], float]


def _integer(params: Params, name: str) -> int:
    if params.get(name) in (None, ""):
        raise missing_argument(name)
    try:
        return int(params[name])
    except (TypeError, ValueError, OverflowError) as error:
        raise RestError(
            400, "100", f"Invalid value {{{params[name]}}} to match with parameter {{{name}}}"
        ) from error


def _table(store: Store, params: Params) -> Table:
    return store.table(_integer(params, "entityTypeId"))


def _values(table: Table, params: Params) -> Item:
    fields = fields_of(table.entity_type)
    given = as_object(params.get("fields"))
    return {
        name: fields[name].read(name, value)
        for name, value in given.items()
        if name in fields and not fields[name].read_only
    }


def _get(store: Store, params: Params) -> Reply:
    return Reply({"item": _table(store, params).get(_integer(params, "id"))})


def _add(store: Store, params: Params) -> Reply:
    if "fields" not in params:
        raise missing_argument("fields")
    table = _table(store, params)
    return Reply({"item": table.add(_values(table, params))})


def _update(store: Store, params: Params) -> Reply:
    table = _table(store, params)
    return Reply({"item": table.update(_integer(params, "id"), _values(table, params))})


def _delete(store: Store, params: Params) -> Reply:
    _table(store, params).delete(_integer(params, "id"))
    return Reply([])


def _fields(store: Store, params: Params) -> Reply:
    described = fields_of(_table(store, params).entity_type)
    return Reply({"fields": {name: one.describe() for name, one in described.items()}})


def _list(store: Store, params: Params) -> Reply:
    table = _table(store, params)
    fields = fields_of(table.entity_type)
    conditions = as_object(params.get("filter"))
    test = matching(fields, conditions)
    found = ordered(fields, filter(test, _candidates(table, fields, conditions)), params.get("order"))
    items, counts = page(found, start_of(params))
    return Reply({"items": [selected(item, params.get("select")) for item in items]}, counts)


def _candidates(table: Table, fields: Mapping[str, CrmField], conditions: Params) -> list[Item]:
    contact = conditions.get("contactId", conditions.get("=contactId"))
    if contact is None or isinstance(contact, list | dict) or "logic" in conditions:
        return list(table.items.values())
    return table.of_contact(fields["contactId"].read("contactId", contact))


def _owner(given: Params) -> tuple[str, int]:
    kind = str(given.get("ENTITY_TYPE", "")).lower()
    if not kind or given.get("ENTITY_ID") in (None, ""):
        raise missing_argument("ENTITY_TYPE" if not kind else "ENTITY_ID")
    if kind not in OWNER_TYPES:
        raise RestError(400, "ENTITY_TYPE_NOT_SUPPORTED", "Working with this type of objects is not supported")
    return kind, _integer(given, "ENTITY_ID")


def _add_comment(store: Store, params: Params) -> Reply:
    given = as_object(params.get("fields"))
    kind, number = _owner(given)
    if number not in store.table(OWNER_TYPES[kind]).items:
        raise RestError(400, "OWNER_NOT_FOUND", "Owner was not found")
    return Reply(store.add_comment(kind, number, str(given.get("COMMENT") or "")))


def _list_comments(store: Store, params: Params) -> Reply:
    kind, number = _owner(as_object(params.get("filter")))
    found = list(store.comments(kind, number))
    if str(as_object(params.get("order")).get("ID", "ASC")).upper() == "DESC":
        found.reverse()
    comments, counts = page(found, start_of(params))
    return Reply([selected(comment, params.get("select")) for comment in comments], counts)


def _weighs(weight: float) -> Callable[[Params], float]:
    return lambda _: weight


def _list_weight(params: Params) -> float:
    """Counting all matches is what makes a list slow; `start=-1` leaves it out."""
    return 1.0 if start_of(params) < 0 else _COUNTING_WEIGHT


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "crm.item.get": Method(_get, _weighs(1.0)),
        "crm.item.add": Method(_add, _weighs(1.2)),
        "crm.item.update": Method(_update, _weighs(1.1)),
        "crm.item.delete": Method(_delete, _weighs(1.1)),
        "crm.item.fields": Method(_fields, _weighs(0.5)),
        "crm.item.list": Method(_list, _list_weight),
        "crm.timeline.comment.add": Method(_add_comment, _weighs(0.8)),
        "crm.timeline.comment.list": Method(_list_comments, _weighs(1.0)),
    }
)
