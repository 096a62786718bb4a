"""Codes of authenticator apps (RFC 6238): each counts once, guesses are counted, secrets are encrypted.

A wrong guess is committed before it is refused, and the row is locked meanwhile, so that neither a crash nor a
second process gives anybody a guess for free, or takes one code twice.
"""

import hmac
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from pyotp import random_base32
from pyotp.totp import TOTP
from sqlalchemy import Connection, delete, select, update

from holdfast.adapters.sql_store.cipher import Cipher, Unreadable
from holdfast.adapters.sql_store.database import Database
from holdfast.adapters.sql_store.tables import second_factors
from holdfast.domain.proofs import Keyring
from holdfast.ports.identity import CodeRefused, Enrolment

_ISSUER: Final = "Holdfast"
_DIGITS: Final = 6
_STEP_SECONDS: Final = 30
_STEPS_OFF: Final = (0, -1, 1)  # for clocks that are not quite right, and slow fingers
_GUESSES: Final = 5
_FIRST_LOCK: Final = timedelta(minutes=15)
_LONGEST_LOCK: Final = timedelta(days=1)
_ENROLMENT_GOOD_FOR: Final = timedelta(minutes=10)

_NO_CODE: Final = "A code is six digits; open your authenticator app and copy the one of 'Holdfast'."
_NOT_ENROLLED: Final = (
    "You have not set up an authenticator app. Send /enrol to the bot in your private chat, "
    "or ask an admin for 'holdfast totp enrol {person}'."
)
_NOT_BEGUN: Final = "No authenticator app is being set up for {person}. Begin anew: /enrol."
_TOO_OLD: Final = "Setting up was begun more than 10 minutes ago and counts no more. Begin anew: /enrol."
_ENROLLED: Final = (
    "{person} has set up an authenticator app already. If the phone is lost, an admin has to say "
    "'holdfast totp remove {person}' first."
)
_OTHER_KEY: Final = (
    "Your authenticator app was set up under a HOLDFAST_SECRET_KEY that is not there any more. Ask an admin "
    "for 'holdfast totp remove {person}', then set it up again."
)
_LOCKED: Final = "Too many wrong codes. None counts until {until:%Y-%m-%d %H:%M:%S} UTC; try again after that."
_USED: Final = "That code was used already, and each counts once. Wait for the next one, at most 30 seconds."
_WRONG: Final = (
    "That code is wrong. Take the one that your app shows now, and check that your phone's clock is right. "
    "{left} more wrong and none counts for a while."
)


class SqlSecondFactor:
    """Authenticator apps in a table; see `holdfast.ports.identity.SecondFactor`."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._cipher = Cipher(keyring, "totp")

    async def enrolled(self, person: str) -> bool:
        """Whether the person has a confirmed secret."""
        row = await self._database.read(lambda connection: _row(connection, person))
        return row is not None and row["confirmed_at"] is not None

    async def enrol(self, person: str, *, now: datetime) -> Enrolment:
        """Begin an enrolment; an earlier unconfirmed one is forgotten, with its wrong guesses."""
        secret = random_base32()
        fresh = {"secret": self._cipher.seal(secret, person), "begun_at": now, "last_step": 0}
        fresh |= {"confirmed_at": None, "wrong": 0, "locks": 0, "locked_until": None}
        statement = self._database.insert(second_factors).values(person=person, **fresh)
        statement = statement.on_conflict_do_update(
            index_elements=["person"], set_=fresh, where=second_factors.c.confirmed_at.is_(None)
        )
        begun = statement.returning(second_factors.c.person)
        if await self._database.write(lambda connection: connection.scalar(begun)) is None:
            raise CodeRefused(_ENROLLED.format(person=person))
        uri = TOTP(secret).provisioning_uri(name=person, issuer_name=_ISSUER)
        return Enrolment(uri=uri, secret=secret)

    async def confirm(self, person: str, code: str, *, now: datetime) -> None:
        """Finish an enrolment by its first code; it cannot be used again."""
        await self._try(person, code, now, _unconfirmed)

    async def verify(self, person: str, code: str, *, now: datetime) -> None:
        """Check a code; each is good once, guesses are counted and limited."""
        await self._try(person, code, now, _confirmed)

    async def remove(self, person: str) -> bool:
        """Forget a person's secret; False when there was none."""
        statement = delete(second_factors).where(second_factors.c.person == person)
        return await self._database.write(lambda connection: connection.execute(statement).rowcount == 1)

    async def _try(self, person: str, code: str, now: datetime, check: "_Check") -> None:
        refusal = await self._database.write(
            lambda connection: self._tried(connection, person, code, now, check)
        )
        if refusal:
            raise CodeRefused(refusal)

    def _tried(self, connection: Connection, person: str, code: str, now: datetime, check: "_Check") -> str:
        """Return why the code does not count, after noting the guess; empty if it does."""
        row = _row(connection, person, lock=True)
        refusal = check(row, person, now)
        if row is None or refusal:
            return refusal
        if row["locked_until"] is not None and now < row["locked_until"]:
            return _LOCKED.format(until=row["locked_until"])
        digits = "".join(code.split())
        if not (len(digits) == _DIGITS and digits.isascii() and digits.isdigit()):
            return _NO_CODE
        return self._judged(connection, row, digits, now)

    def _judged(self, connection: Connection, row: Mapping[Any, Any], digits: str, now: datetime) -> str:
        person = row["person"]
        try:
            secret = self._cipher.open(row["secret"], person)
        except Unreadable:
            return _OTHER_KEY.format(person=person)
        step = max(_steps_of(secret, digits, now), default=None)
        if step is None:
            return _note_wrong(connection, row, now)
        if step <= row["last_step"]:
            return _USED
        # Sealed again, so that an older key can go once everybody has used a code.
        good = {"last_step": step, "wrong": 0, "locks": 0, "secret": self._cipher.seal(secret, person)}
        _set(connection, person, good | {"confirmed_at": row["confirmed_at"] or now, "locked_until": None})
        return ""


_Check = Callable[[Mapping[Any, Any] | None, str, datetime], str]


def _confirmed(row: Mapping[Any, Any] | None, person: str, now: datetime) -> str:
    _ = now
    missing = row is None or row["confirmed_at"] is None
    return _NOT_ENROLLED.format(person=person) if missing else ""


def _unconfirmed(row: Mapping[Any, Any] | None, person: str, now: datetime) -> str:
    if row is None:
        return _NOT_BEGUN.format(person=person)
    if row["confirmed_at"] is not None:
        return _ENROLLED.format(person=person)
    return _TOO_OLD if now >= row["begun_at"] + _ENROLMENT_GOOD_FOR else ""


def _row(connection: Connection, person: str, *, lock: bool = False) -> Mapping[Any, Any] | None:
    query = select(second_factors).where(second_factors.c.person == person)
    return connection.execute(query.with_for_update() if lock else query).mappings().first()


def _set(connection: Connection, person: str, values: Mapping[str, Any]) -> None:
    connection.execute(update(second_factors).where(second_factors.c.person == person).values(**values))


def _steps_of(secret: str, digits: str, now: datetime) -> list[int]:
    """Return the time steps around now whose code this is."""
    totp, current = (
        TOTP(secret, digits=_DIGITS, interval=_STEP_SECONDS),
        int(now.timestamp()) // _STEP_SECONDS,
    )
    near = (current + off for off in _STEPS_OFF)
    return [step for step in near if hmac.compare_digest(totp.generate_otp(step), digits)]


def _note_wrong(connection: Connection, row: Mapping[Any, Any], now: datetime) -> str:
    wrong = row["wrong"] + 1
    if wrong < _GUESSES:
        _set(connection, row["person"], {"wrong": wrong})
        return _WRONG.format(left=_GUESSES - wrong)
    until = now + min(_FIRST_LOCK * 2 ** min(row["locks"], 10), _LONGEST_LOCK)
    _set(connection, row["person"], {"wrong": 0, "locks": row["locks"] + 1, "locked_until": until})
    return _LOCKED.format(until=until)
