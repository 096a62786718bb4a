"""One database and its scripts: what is read, tried out and written, in one thread."""

import threading
from collections import OrderedDict
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from alembic.runtime.migration import RevisionStep
from alembic.script import Script
from sqlalchemy import URL, Connection

from holdfast.adapters.alembic.copies import copy_of
from holdfast.adapters.alembic.database import Database, Handle
from holdfast.adapters.alembic.migrating import alone_in_this_process, migrate, revision_of, stamp
from holdfast.adapters.alembic.records import is_done, record
from holdfast.adapters.alembic.schema import Schema, read_schema
from holdfast.adapters.alembic.scripts import Scripts, irreversible, read_scripts
from holdfast.domain.errors import ChangeConflict, ChangeFailed, InvalidInput, Unavailable
from holdfast.domain.journal import Effect, TargetState, Write

_REMEMBERED: Final = 32
_ONE_WAY: Final = "cannot be taken back: 'downgrade' does nothing or only raises"


class Seen:
    """The newest schemas that were seen, by fingerprint: what a fingerprint cannot tell, they can."""

    def __init__(self) -> None:
        self._schemas: OrderedDict[str, Schema] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, schema: Schema) -> str:
        """Remember the schema and return its fingerprint."""
        with self._lock:
            self._schemas[schema.fingerprint] = schema
            self._schemas.move_to_end(schema.fingerprint)
            while len(self._schemas) > _REMEMBERED:
                self._schemas.popitem(last=False)
        return schema.fingerprint

    def differences(self, found: Schema, expected: str) -> str:
        """Name what differs from the schema with the expected fingerprint, if it was seen."""
        with self._lock:
            schema = self._schemas.get(expected)
        if schema is None:
            return f"its fingerprint is {found.fingerprint} instead of {expected}"
        return found.differences(schema)


@dataclass
class Target:
    """A system of kind `alembic` for the time of one call.

    Attributes:
        field_name: where it is described, `systems.yaml: systems.shop-db`.
    """

    field_name: str
    database: Database
    scripts_path: Path
    version_table: str
    dry_run_url: URL | None = field(repr=False)
    seen: Seen = field(repr=False)
    handle: Handle = field(default_factory=Handle, repr=False)

    def read(self) -> TargetState:
        """Return the revision and the schema's fingerprint."""
        with _refusals(), self.database.transaction(self.handle) as connection:
            return self._state(connection)

    def foresee(self, effect: Effect, state: TargetState) -> dict[str, Any]:
        """Return the state after the effect, tried out on a copy of the schema."""
        with _refusals():
            return self._foresee(effect, state)

    def write(self, write: Write) -> TargetState:
        """Migrate from the source's revision to the goal's, in one transaction."""
        scripts = self._scripts()
        with (
            alone_in_this_process(self.database, self.handle),
            self.database.transaction(self.handle, writes=True) as connection,
        ):
            if is_done(connection, write.key):
                return self._state(connection)
            self._check_source(connection, write.source)
            steps = self._steps(scripts, write)
            self._migrate(connection, self.database, scripts, steps)
            state = self._check_goal(connection, write.goal)
            record(connection, write.key, _revision(write.source), _revision(write.goal))
            return state

    def _foresee(self, effect: Effect, state: TargetState) -> dict[str, Any]:
        low, goal = str(state.values.get("revision", "")), _revision(effect.values)
        scripts = self._scripts()
        between = scripts.between(low, goal)
        one_way = [] if effect.lasting else irreversible(between)
        if one_way:
            raise InvalidInput(
                f"{self.database.name}: {_revisions(one_way)} {_ONE_WAY}. Write it, or make the change a "
                "'point_of_no_return'"
            )
        if not between:
            return dict(state.values)
        with alone_in_this_process(self.database, self.handle):
            schema = self._rehearse(scripts, between, low, state, lasting=effect.lasting)
        return {"revision": goal, "fingerprint": self.seen.keep(schema)}

    def _scripts(self) -> Scripts:
        return read_scripts(f"{self.field_name}.scripts", self.scripts_path)

    def _state(self, connection: Connection) -> TargetState:
        revision = revision_of(connection, self.version_table, self.database.name)
        fingerprint = self.seen.keep(read_schema(connection, self.version_table))
        return TargetState(values={"revision": revision, "fingerprint": fingerprint})

    def _check_source(self, connection: Connection, source: dict[str, Any]) -> None:
        revision, expected = revision_of(connection, self.version_table, self.database.name), _revision(source)
        if revision != expected:
            raise ChangeConflict(
                f"{self.database.name} is at revision {_shown(revision)} and not at {_shown(expected)}: "
                "somebody else migrated it; nothing was changed"
            )
        fingerprint = source.get("fingerprint")
        schema = read_schema(connection, self.version_table)
        if fingerprint and schema.fingerprint != fingerprint:
            raise ChangeConflict(
                f"{self.database.name} is at revision {_shown(revision)}, but somebody changed its schema: "
                f"{self.seen.differences(schema, fingerprint)}; nothing was changed"
            )

    def _steps(self, scripts: Scripts, write: Write) -> list[RevisionStep]:
        source, goal = _revision(write.source), _revision(write.goal)
        if not write.undo:
            return scripts.up(scripts.between(source, goal))
        between = scripts.between(goal, source)
        one_way = irreversible(between)
        if one_way:
            raise ChangeFailed(f"{self.database.name}: {_revisions(one_way)} {_ONE_WAY}; nothing was changed")
        return scripts.down(between)

    def _check_goal(self, connection: Connection, goal: dict[str, Any]) -> TargetState:
        state = self._state(connection)
        if state.values["revision"] != _revision(goal):
            there, wanted = _shown(state.values["revision"]), _shown(_revision(goal))
            raise ChangeFailed(
                f"{self.database.name}: the scripts led to revision {there} instead of {wanted}; rolled back"
            )
        expected = goal.get("fingerprint")
        if expected and state.values["fingerprint"] != expected:
            found = read_schema(connection, self.version_table)
            raise ChangeFailed(
                f"{self.database.name}: the schema did not become what was foreseen: "
                f"{self.seen.differences(found, expected)}; rolled back"
            )
        return state

    def _migrate(
        self, connection: Connection, database: Database, scripts: Scripts, steps: Sequence[RevisionStep]
    ) -> None:
        if steps:
            migrate(connection, database, scripts, steps, version_table=self.version_table, handle=self.handle)

    def _rehearse(
        self, scripts: Scripts, between: list[Script], low: str, state: TargetState, *, lasting: bool
    ) -> Schema:
        dry_run_field = f"{self.field_name}.dry_run_url"
        with copy_of(
            self.database, dry_run_url=self.dry_run_url, dry_run_field=dry_run_field, handle=self.handle
        ) as copy:
            before = self._copied(copy, scripts, low, state)
            try:
                return self._there_and_back(copy, scripts, between, before, lasting=lasting)
            except ChangeFailed as error:
                raise InvalidInput(f"{error} (in a dry run; the database itself was not touched)") from None

    def _copied(self, copy: Database, scripts: Scripts, low: str, state: TargetState) -> Schema:
        """Return the copy's schema once it is proven to be that of the state."""
        with self.database.transaction(self.handle) as connection:
            real = read_schema(connection, self.version_table)
        expected = state.values.get("fingerprint")
        if expected and real.fingerprint != expected:
            raise Unavailable(
                f"the schema of {self.database.name} changed since it was read: "
                f"{self.seen.differences(real, expected)}"
            )
        with copy.transaction(self.handle, writes=True) as connection:
            copied = read_schema(connection, self.version_table)
            if copied != real:
                raise InvalidInput(
                    f"{copy.name} is not like the real one, so a dry run would prove nothing: "
                    f"{copied.differences(real)}; for PostgreSQL, 'pg_dump' of the server's version has to be "
                    "on the worker's PATH"
                )
            stamp(connection, scripts, self.version_table, low)
        return copied

    def _there_and_back(
        self, copy: Database, scripts: Scripts, between: list[Script], before: Schema, *, lasting: bool
    ) -> Schema:
        """Migrate the copy up, down and up again."""
        first = self._tried(copy, scripts, scripts.up(between))
        if lasting:
            return first
        way = _revisions([script.revision for script in between])
        back = self._tried(copy, scripts, scripts.down(between))
        if back != before:
            raise InvalidInput(
                f"{self.database.name}: the downgrade of {way} does not bring back the schema that was there: "
                f"{back.differences(before)}"
            )
        second = self._tried(copy, scripts, scripts.up(between))
        if second != first:
            raise InvalidInput(
                f"{self.database.name}: the upgrade of {way} makes another schema the second time: "
                f"{second.differences(first)}"
            )
        return first

    def _tried(self, copy: Database, scripts: Scripts, steps: Sequence[RevisionStep]) -> Schema:
        with copy.transaction(self.handle, writes=True) as connection:
            self._migrate(connection, copy, scripts, steps)
            return read_schema(connection, self.version_table)


@contextmanager
def _refusals() -> Generator[None]:
    """Nothing was changed where we only look, so nothing can have failed: it is refused."""
    try:
        yield
    except ChangeFailed as error:
        raise InvalidInput(str(error)) from None


def _revision(values: dict[str, Any]) -> str:
    revision = values.get("revision")
    if not isinstance(revision, str):
        raise InvalidInput(f"a change of kind alembic says which 'revision', as text; got {values}")
    return revision


def _shown(revision: str) -> str:
    return f"'{revision}'" if revision else "'' (no revision yet)"


def _revisions(names: Sequence[str]) -> str:
    word = "revision" if len(names) == 1 else "revisions"
    return f"{word} {', '.join(repr(name) for name in names)}"
