"""What is to be sent, and the row that it is until it was."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from holdfast.runbook.priorities import Delivery

__all__ = ["ANSWERS", "Attachment", "Delivery", "Message", "Ranked", "Request", "Row", "RowState"]

ANSWERS: Final = "answers"
"""The lane of answers to people who tapped or typed; beside the customer tiers, with tokens kept for it."""


class RowState(StrEnum):
    """Where a message stands."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    UNCERTAIN = "uncertain"
    DEAD = "dead"

    @property
    def settled(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return self in {RowState.SENT, RowState.UNCERTAIN, RowState.DEAD}


class Attachment(BaseModel):
    """A file that goes along; kept as base64 in the row."""

    model_config = ConfigDict(frozen=True, ser_json_bytes="base64", val_json_bytes="base64")

    name: str
    content: bytes


class Request(BaseModel):
    """One call of the chat's API.

    Attributes:
        method: its name there, e.g. `sendMessage`, `editMessageText`, `sendPhoto`, `createForumTopic`.
        params: its parameters as JSON, without `chat_id`, which is the row's.
        plain: the same words without marks, for a chat that refuses the marks; at most 4096 UTF-16 units.
        files: by the name of the parameter that they stand for.
    """

    model_config = ConfigDict(frozen=True)

    method: str
    params: dict[str, Any] = Field(default_factory=dict[str, Any])
    plain: str = ""
    files: dict[str, Attachment] = Field(default_factory=dict[str, Attachment])


class Message(BaseModel):
    """What somebody wants to be sent.

    Attributes:
        key: names it once and for all: what is put twice under one key is sent once.
        chat: id of the chat, as text.
        kind: one of `kinds` in `priorities.yaml`; decides tier, delivery and digest where these are left out.
        request: what is sent.
        tier: of the customer it is about; empty: the kind's.
        value: of the order it is about, in the currency of `priorities.yaml`.
        replaces: messages of one chat with the same text here are versions of one: while one waits, a newer one
            takes its place in the queue. Empty: never.
        line: what it becomes in a digest, plain; empty: it is never merged.
        thread: id of the topic it belongs to; empty: none.
    """

    model_config = ConfigDict(frozen=True)

    key: str = Field(min_length=1, max_length=300)
    chat: str = Field(pattern=r"^-?\d+$|^@\w+$")
    kind: str
    request: Request
    tier: str = ""
    value: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    replaces: str = ""
    line: str = ""
    thread: str = ""


class Ranked(BaseModel):
    """A message with its place in the order, as the policy gave it.

    Attributes:
        tier: the lane it waits in: a tier, or `ANSWERS`.
        queued_at: its arrival.
        due: its deadline key: arrival + offsets − value bonus. The smallest of a lane goes first.
        delivery: what happens after a try of unknown fate.
    """

    model_config = ConfigDict(frozen=True)

    message: Message
    tier: str
    queued_at: datetime
    due: datetime
    delivery: Delivery


class Row(BaseModel):
    """A message in the store.

    Attributes:
        id: grows with arrival.
        repeated: an earlier copy may have arrived; the next one says so.
        attempts: how often it was tried.
        not_before: it is not tried earlier.
        message_id: of the message in the chat once it is sent; of a created topic its id.
        why: what became of it, where that needs words; the chat's own description for a dead one.
        code: the chat's error code of a dead one; 0 where there is none.
    """

    model_config = ConfigDict(frozen=True)

    id: int
    bot: str
    key: str
    chat: str
    kind: str
    tier: str
    value: float
    delivery: Delivery
    state: RowState
    request: Request
    replaces: str = ""
    line: str = ""
    thread: str = ""
    queued_at: datetime
    due: datetime
    not_before: datetime | None = None
    sent_at: datetime | None = None
    message_id: str = ""
    attempts: int = 0
    repeated: bool = False
    why: str = ""
    code: int = 0
