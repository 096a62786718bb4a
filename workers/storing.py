"""Wires the database; apart from the rest, because quick commands need not load it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import structlog

from holdfast.adapters.sql_store import SqlStore
from holdfast.domain.errors import Unavailable
from holdfast.domain.gates import Gate
from holdfast.domain.links import WebLinks
from holdfast.domain.people import Person
from holdfast.domain.proofs import Keyring
from workers.settings import Settings

log = structlog.get_logger()
_RETRY_SECONDS = 1.0


@asynccontextmanager
async def store(settings: Settings, keyring: Keyring, *, patiently: bool = False) -> AsyncGenerator[SqlStore]:
    """Lend the database of audit log, enrolments and notices, brought up to date.

    Args:
        settings: say where it is.
        keyring: encrypts what is secret in it.
        patiently: wait for a database that is not up yet.

    Raises:
        Unavailable: it does not answer, and nobody wants to wait.
    """
    opened = SqlStore(database_url(settings), keyring)
    try:
        while not await _migrated(opened, patiently=patiently):  # noqa: ASYNC110  a database signals nothing
            await asyncio.sleep(_RETRY_SECONDS)
        yield opened
    finally:
        await opened.close()


async def _migrated(opened: SqlStore, *, patiently: bool) -> bool:
    try:
        await opened.migrate()
    except Unavailable as error:
        if not patiently:
            raise
        log.warning("the database does not answer yet", why=str(error))
        return False
    return True


def database_url(settings: Settings) -> str:
    """Return the database's address; SQLite in the state directory where none is set."""
    if settings.database_url is not None and settings.database_url.get_secret_value():
        return settings.database_url.get_secret_value()
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{settings.state_dir.resolve() / 'holdfast.db'}"


def link_for(settings: Settings, keyring: Keyring) -> Callable[[str, Gate, Person], str] | None:
    """Return what makes a person's link to the web page; None where there is no web page."""
    if not settings.web_url:
        return None
    links = WebLinks(keyring, settings.web_url)
    return lambda run_id, gate, person: links.link(run_id, gate, person.name, datetime.now(UTC))
