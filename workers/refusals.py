"""Writes refused decisions into the audit log."""

import asyncio
from typing import NoReturn

import structlog

from activities.guard import Guard
from holdfast.domain.errors import Unavailable
from holdfast.ports.audit import AuditEntry, AuditLog

log = structlog.get_logger()
# A killed worker loses the refusals of so long: a refused Update leaves its run nothing to keep them in
# (docs/decisions/0007).
_EVERY_SECONDS = 0.5


async def keep_refusals(guard: Guard, audit: AuditLog) -> NoReturn:
    """Write down what the guard was told, until cancelled; then once more.

    A refused decision leaves no trace in the history of its run.
    """
    waiting: list[AuditEntry] = []
    try:
        while True:
            waiting = await _written(audit, [*waiting, *guard.waiting()])
            await asyncio.sleep(_EVERY_SECONDS)
    finally:
        await _written(audit, [*waiting, *guard.waiting()])


async def _written(audit: AuditLog, entries: list[AuditEntry]) -> list[AuditEntry]:
    """Write the entries and return those that could not be written yet."""
    if not entries:
        return []
    try:
        await audit.append(entries)
    except Unavailable as error:
        log.warning("refusals are not on record yet", count=len(entries), why=str(error))
        return entries
    return []
