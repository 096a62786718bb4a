"""Changes of kind `alembic`: a database's schema, by its revision scripts. See `ports.changes`."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from holdfast.adapters.alembic.database import Database, read_url
from holdfast.adapters.alembic.target import Seen, Target
from holdfast.adapters.alembic.waiting import to_its_end
from holdfast.domain.errors import UnknownName
from holdfast.domain.journal import Effect, TargetState, Write
from holdfast.ports.changes import Progress
from holdfast.runbook.systems import AlembicSystem, Secret

_PART: Final = "all"


class AlembicProvider:
    """Part `all`, values `{"revision": "0006", "fingerprint": "ab12cd34ef56"}`; "" is before the first.

    A write runs everything between two revisions in one transaction together with its own record in the table
    `holdfast_changes`, so that it is there whole, or not at all, and never twice.
    """

    def __init__(self, systems: Mapping[str, AlembicSystem], reveal: Callable[[Secret], str]) -> None:
        """Know these databases, by endpoint name; `reveal` reads a secret and is called at each use."""
        self._systems = systems
        self._reveal = reveal
        self._seen = Seen()

    async def read(self, endpoint: str, part: str) -> TargetState:
        """Return the database's revision and the fingerprint of its schema.

        Raises:
            UnknownName: no such endpoint or part.
            InvalidInput: the address is wrong, or the database is at several revisions at once.
            Unavailable: it does not answer.
        """
        target = self._target(endpoint, part)
        return await to_its_end(target.read, stop=target.handle.stop, unwanted=_always)

    async def foresee(self, effect: Effect, state: TargetState) -> dict[str, Any]:
        """Try the effect out on a copy of the schema without data: up, down and up again.

        Raises:
            InvalidInput: the revision cannot be reached, a script failed, or cannot be taken back, or the
                downgrade leaves something; nothing of the last two is asked of lasting effects.
            Unavailable: the database does not answer, or its schema changed since `state` was read.
        """
        target = self._target(effect.endpoint, effect.part)
        work = partial(target.foresee, effect, state)
        return await to_its_end(work, stop=target.handle.stop, unwanted=_always)

    async def write(self, write: Write, progress: Progress) -> TargetState:
        """Migrate up, or down where it is an undo.

        Raises:
            ChangeConflict: the database is at another revision, or its schema was changed by hand.
            ChangeFailed: a script failed, or the schema became another than foreseen; it was rolled back.
            InvalidInput: the scripts or the address are wrong.
            Unavailable: the database does not answer, or others hold its tables.
        """
        target = self._target(write.effect.endpoint, write.effect.part)
        work = partial(target.write, write)
        return await to_its_end(work, stop=target.handle.stop, unwanted=lambda: progress.called_off)

    def _target(self, endpoint: str, part: str) -> Target:
        if endpoint not in self._systems:
            raise UnknownName("endpoint of alembic", endpoint, self._systems)
        if part != _PART:
            raise UnknownName("part of alembic", part, [_PART])
        system = self._systems[endpoint]
        where = f"systems.yaml: systems.{endpoint}"
        url = read_url(f"{where}.url", self._reveal(system.url))
        dry_run = system.dry_run_url
        return Target(
            field_name=where,
            database=Database(f"database '{endpoint}'", url, system.lock_timeout),
            scripts_path=system.scripts,
            version_table=system.version_table,
            dry_run_url=read_url(f"{where}.dry_run_url", self._reveal(dry_run)) if dry_run else None,
            seen=self._seen,
        )


def _always() -> bool:
    return True
