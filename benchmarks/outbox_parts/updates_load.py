"""10,000 updates as Telegram writes them: commands of a few hundred people, and what cannot be read."""

import itertools
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from benchmarks.outbox_parts.world import FIRST_USER

UPDATES = 10_000
TAPPERS, ASKERS = 300, 100
PEOPLE = TAPPERS + ASKERS
QUESTIONS = 500
MALFORMED = 100
TWICE = 300
_WITHOUT_ID = 10
_SEED = 11
# The stand-in numbers its own updates below a thousand million.
_FIRST_ID = 2_000_000_000
_READING = ("/help", "/whoami", "/gates", "/runs", "/run rollout-aaaaaaaa")
_SHARES = (32, 32, 18, 4, 14)


class Sort(StrEnum):
    """What an update is."""

    COMMAND = "command"
    QUESTION = "question"  # a command that ends in a question with buttons
    MALFORMED = "malformed"  # to be put aside under its id
    NAMELESS = "nameless"  # malformed, and without an id under which it could be put aside


@dataclass(frozen=True)
class Posted:
    """One update that the benchmark posts itself.

    Attributes:
        update_id: 0 where it has none.
        text: of the command.
        make: returns the body that is posted; called when it is due, so that its date is right.
    """

    update_id: int
    sort: Sort
    text: str
    make: Callable[[], bytes]


_numbers = itertools.count(_FIRST_ID)


def command(user: int, text: str, sort: Sort = Sort.COMMAND) -> Posted:
    """Return a command in somebody's private chat."""
    update_id = next(_numbers)

    def make() -> bytes:
        return json.dumps({"update_id": update_id, "message": _message(update_id, user, text)}).encode()

    return Posted(update_id, sort, text, make)


def question(number: int, user: int) -> Posted:
    """Return a command that asks whether it shall start something."""
    text = "/rollout support-surge" if number % 2 else f"/incident the bot answers late, {number}"
    return command(user, text, Sort.QUESTION)


def posted() -> list[Posted]:
    """Return everything but the taps, in the order of arrival; those of one person in theirs."""
    chance = random.Random(_SEED)
    commands = [
        command(FIRST_USER + chance.randrange(PEOPLE), text)
        for text in chance.choices(_READING, _SHARES, k=UPDATES - TAPPERS - QUESTIONS - MALFORMED)
    ]
    questions = [question(n, FIRST_USER + TAPPERS + n % ASKERS) for n in range(QUESTIONS)]
    mixed = commands + questions + list(itertools.islice(_malformed(), MALFORMED))
    chance.shuffle(mixed)
    # Those without an id leave no trace but a counter, which dies with the process that is killed halfway.
    nameless = [one for one in mixed if one.sort is Sort.NAMELESS]
    rest = [one for one in mixed if one.sort is not Sort.NAMELESS]
    return rest[:-_WITHOUT_ID] + nameless + rest[-_WITHOUT_ID:]


def twice(load: Sequence[Posted]) -> list[Posted]:
    """Return what is delivered a second time: as many good ones as said, and all that are put aside."""
    chance = random.Random(_SEED)
    good = [one for one in load if one.sort in {Sort.COMMAND, Sort.QUESTION}]
    return chance.sample(good, TWICE) + [one for one in load if one.sort is Sort.MALFORMED]


def _malformed() -> Iterator[Posted]:
    for nameless in itertools.islice(itertools.cycle(_NAMELESS), _WITHOUT_ID):
        yield Posted(0, Sort.NAMELESS, "", _always(nameless))
    for shape in itertools.cycle(_SHAPES):
        update_id = next(_numbers)
        body = json.dumps({**shape(update_id), "update_id": update_id}).encode()
        yield Posted(update_id, Sort.MALFORMED, "", _always(body))


def _always(body: bytes) -> Callable[[], bytes]:
    return lambda: body


def _message(update_id: int, user: int, text: str) -> dict[str, Any]:
    return {
        "message_id": update_id,
        "from": {"id": user, "is_bot": False, "first_name": f"Person {user - FIRST_USER}"},
        "chat": {"id": user, "type": "private", "first_name": f"Person {user - FIRST_USER}"},
        "date": int(time.time()),
        "text": text,
        "entities": [{"type": "bot_command", "offset": 0, "length": len(text.split(maxsplit=1)[0])}],
    }


def _with(**changed: Any) -> Callable[[int], dict[str, Any]]:
    """Return a message in which some fields are not what they should be."""
    return lambda update_id: {"message": {**_message(update_id, FIRST_USER, "hello"), **changed}}


def _without(*names: str) -> Callable[[int], dict[str, Any]]:
    def shape(update_id: int) -> dict[str, Any]:
        message = _message(update_id, FIRST_USER, "hello")
        return {"message": {name: value for name, value in message.items() if name not in names}}

    return shape


_SHAPES: Sequence[Callable[[int], dict[str, Any]]] = (
    _with(message_id="twelve"),
    _with(date={"year": 2026}),
    _with(chat=[FIRST_USER]),
    _with(entities=[{"type": "bot_command", "offset": "0"}]),
    _without("chat"),
    _without("date", "message_id"),
    lambda _: {},
    lambda _: {"message": None},
    lambda _: {"message": "/help"},
    lambda _: {"telepathy": {"from": {"id": FIRST_USER}, "thought": "/rollout"}},
    lambda _: {"quantum_message": [1, 2, 3]},
    lambda _: {"callback_query": {"id": "1", "from": "somebody", "data": "y:1:2:yes"}},
    lambda _: {"callback_query": {"id": 17, "data": "y:1:2:yes"}},
)
_NAMELESS = (
    b'{"update_id": 2000000001, "message": {"message_id": 5, "chat": {"id": 100',  # cut off: no JSON
    b"\xff\xfe is no JSON",
    b"[]",
    b'{"message": {"message_id": 5}}',
    b'{"update_id": "12", "message": {"message_id": 5}}',
)
