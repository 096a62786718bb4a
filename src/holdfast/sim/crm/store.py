"""The portal's contents, in memory."""

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

from holdfast.sim.crm.errors import RestError, not_found
from holdfast.sim.crm.fields import FIELDS, fields_of

Item = dict[str, Any]
Comment = dict[str, Any]

_DEFAULTS: Item = {"opened": "Y", "assignedById": 1, "createdBy": 1, "updatedBy": 1}


def now_text() -> str:
    """Say the time as the portal does, with its offset and without fractions."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Table:
    """The items of one type, with an index by contact, which is what most look-ups ask for."""

    def __init__(self, entity_type: int) -> None:
        self.entity_type = entity_type
        self.items: dict[int, Item] = {}
        self._ids_by_contact: dict[int, set[int]] = defaultdict(set)
        self._last_id = 0

    def add(self, values: Item) -> Item:
        """Store a new item made of values of the right types; the caller gets the stored item itself."""
        self._last_id += 1
        now = now_text()
        item: Item = dict.fromkeys(FIELDS[self.entity_type])
        item |= _DEFAULTS | values | {"id": self._last_id, "createdTime": now, "updatedTime": now}
        if "title" in item and not item["title"]:
            item["title"] = f"#{self._last_id}"
        self.items[self._last_id] = item
        self._index(item)
        return item

    def get(self, item_id: int) -> Item:
        """Return one item.

        Raises:
            RestError: there is none of that number.
        """
        if item_id not in self.items:
            raise not_found()
        return self.items[item_id]

    def update(self, item_id: int, values: Item) -> Item:
        """Overwrite some fields of an item; errors as for `get`."""
        item = self.get(item_id)
        self._unindex(item)
        item |= values | {"updatedTime": now_text()}
        self._index(item)
        return item

    def delete(self, item_id: int) -> None:
        """Remove an item; errors as for `get`."""
        self._unindex(self.get(item_id))
        del self.items[item_id]

    def of_contact(self, contact_id: int) -> list[Item]:
        """Return the items that belong to a contact, oldest first."""
        return [self.items[number] for number in sorted(self._ids_by_contact.get(contact_id, ()))]

    def _index(self, item: Item) -> None:
        if item.get("contactId") is not None:
            self._ids_by_contact[item["contactId"]].add(item["id"])

    def _unindex(self, item: Item) -> None:
        if item.get("contactId") is not None:
            self._ids_by_contact[item["contactId"]].discard(item["id"])


class Store:
    """All tables and the comments in timelines."""

    def __init__(self) -> None:
        self._tables = {entity_type: Table(entity_type) for entity_type in FIELDS}
        self._comments: dict[tuple[str, int], list[Comment]] = defaultdict(list)
        self._last_comment_id = 0

    def table(self, entity_type: int) -> Table:
        """Return the table of a type of item; raises RestError for an unknown type."""
        fields_of(entity_type)
        return self._tables[entity_type]

    def add_comment(self, owner_type: str, owner_id: int, text: str) -> int:
        """Store a comment and return its number."""
        if not text:
            raise RestError(400, "INVALID_ARG_VALUE", "Comment is empty")
        self._last_comment_id += 1
        comment: Comment = {
            "ID": str(self._last_comment_id),
            "ENTITY_ID": str(owner_id),
            "ENTITY_TYPE": owner_type,
            "CREATED": now_text(),
            "COMMENT": text,
            "AUTHOR_ID": "1",
            "FILES": {},
        }
        self._comments[owner_type, owner_id].append(comment)
        return self._last_comment_id

    def comments(self, owner_type: str, owner_id: int) -> list[Comment]:
        """Return the comments of one item, oldest first."""
        return self._comments.get((owner_type, owner_id), [])
