"""What every model said of every share.

A rollout is judged each minute, a guard for months, by several models. So of the verdicts of a share and model
only those are kept whose outcome differs from the one before. One row a share and model says when the newest
was taken and when the first stopped: comparing models reads that row alone, however long the watch was.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, Subquery, Table, and_, func, select
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from holdfast.adapters.sql_store.chain import storable
from holdfast.adapters.sql_store.database import Database, Lock
from holdfast.adapters.sql_store.tables import judged_shares as shares
from holdfast.adapters.sql_store.tables import release_labels as labels
from holdfast.adapters.sql_store.tables import verdict_changes as changes
from holdfast.domain.errors import UnknownName
from holdfast.ports.verdicts import KeptVerdict, ReleaseLabel
from holdfast.verdict.observation import Outcome
from holdfast.verdict.scores import Judged, Stop

_KEY: Final = ("run", "stage", "share_percent", "model")
_STOPS: Final = tuple(str(outcome) for outcome in Outcome if outcome.stops)
_LISTED: Final = 10  # stages in an error's text

_Row = Mapping[Any, Any]
_Columns = ReadOnlyColumnCollection[str, Any]


class SqlVerdicts:
    """Verdicts and labels in tables; see `holdfast.ports.verdicts.VerdictLog`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, verdicts: Sequence[KeptVerdict]) -> None:
        """Keep verdicts; one that is there already stays as it was, so that repeating is harmless.

        One that is older than the newest of its share and model still counts where it is an earlier first stop.
        """
        if verdicts:
            await self._database.write(lambda connection: self._keep(connection, verdicts), lock=Lock.VERDICTS)

    async def label(self, label: ReleaseLabel) -> None:
        """Say whether a stage was good or bad; the later of two labels counts, in whatever order they come."""
        key = {"run": label.run_id, "stage": label.stage}
        said = {name: storable(getattr(label, name)) for name in ("label", "fault", "why", "person")}
        insert = self._database.insert(labels).values(**key, **said, at=label.at)
        statement = insert.on_conflict_do_update(
            index_elements=["run", "stage"], set_=said | {"at": label.at}, where=labels.c.at <= label.at
        )

        def work(connection: Connection) -> None:
            _check_judged(connection, label)
            connection.execute(statement)

        await self._database.write(work)

    async def judged(
        self, *, since: datetime | None = None, runbook: str | None = None
    ) -> tuple[list[Judged], str]:
        """Return the stages whose watch began since then, newest first, and the newest deciding model."""
        query = _judged_query(since, runbook)
        return await self._database.read(lambda connection: _judged(connection.execute(query).mappings()))

    async def watched_beside(self, run_id: str, *, since: datetime) -> list[str]:
        """Return the services of other runs of which a verdict was kept since then, sorted, each once."""
        table = shares.c
        others = (table.newest_at >= since, table.run != run_id, table.service != "")
        query = select(table.service).where(*others).distinct()
        # Sorted here: databases differ in how they order text.
        return await self._database.read(lambda connection: sorted(connection.scalars(query)))

    def _keep(self, connection: Connection, verdicts: Sequence[KeptVerdict]) -> None:
        ordered = sorted(verdicts, key=lambda verdict: (*_key(verdict), verdict.at))
        for key, group in groupby(ordered, _key):
            self._keep_of_one(connection, dict(zip(_KEY, key, strict=True)), list(group))

    def _keep_of_one(
        self, connection: Connection, key: Mapping[str, Any], verdicts: Sequence[KeptVerdict]
    ) -> None:
        """Keep the verdicts of one share and model, oldest first."""
        row = connection.execute(select(shares).where(*_of(shares, key))).mappings().first()
        fields = dict(row) if row else _fresh(key, verdicts[0])
        telling = [verdict for verdict in verdicts if _tells_more(fields, verdict)]
        for verdict in telling:
            change = {"at": verdict.at, "outcome": str(verdict.outcome)}
            change |= {"risk_percent": verdict.risk_percent, "reason": storable(verdict.reason)}
            statement = self._database.insert(changes).values(**key, **change).on_conflict_do_nothing()
            connection.execute(statement)
        # From the rows and not from these verdicts: one that is there already stays as it was.
        if any(_is_first_stop(fields, verdict) for verdict in telling):
            fields["first_stop_at"] = _first(connection, key, _STOPS)
            fields["first_rollback_at"] = _first(connection, key, (str(Outcome.ROLLBACK),))
        fields["watch_started_at"] = min(fields["watch_started_at"], *(v.watch_started_at for v in verdicts))
        written = self._database.insert(shares).values(fields)
        statement = written.on_conflict_do_update(index_elements=list(_KEY), set_=_without(fields, _KEY))
        connection.execute(statement)


def _key(verdict: KeptVerdict) -> tuple[str, str, int, str]:
    return verdict.run_id, verdict.stage, verdict.share_percent, verdict.model


def _of(table: Table, key: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    return [table.c[name] == value for name, value in key.items()]


def _without(fields: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}


def _fresh(key: Mapping[str, Any], first: KeptVerdict) -> dict[str, Any]:
    about = first.model_dump(include={"runbook", "service", "deciding", "watch_started_at"})
    nothing_yet = ("newest_at", "newest_outcome", "first_stop_at", "first_rollback_at")
    return {**key, **about, **dict.fromkeys(nothing_yet)}


def _tells_more(fields: dict[str, Any], verdict: KeptVerdict) -> bool:
    """Return whether a verdict has to be kept, and note it as the newest where it is."""
    newest, before = fields["newest_at"], fields["newest_outcome"]
    if newest is None or verdict.at > newest:
        fields |= {"newest_at": verdict.at, "newest_outcome": str(verdict.outcome)}
        return bool(before != verdict.outcome)
    return verdict.at != newest and _is_first_stop(fields, verdict)


def _is_first_stop(fields: _Row, verdict: KeptVerdict) -> bool:
    """Return whether it stops, or rolls back, before any that is known."""
    if not verdict.outcome.stops:
        return False
    firsts = [fields["first_stop_at"]]
    if verdict.outcome is Outcome.ROLLBACK:
        firsts.append(fields["first_rollback_at"])
    return any(first is None or verdict.at < first for first in firsts)


def _first(connection: Connection, key: Mapping[str, Any], outcomes: Sequence[str]) -> Any:
    query = select(func.min(changes.c.at)).where(*_of(changes, key), changes.c.outcome.in_(outcomes))
    return connection.scalar(query)


def _check_judged(connection: Connection, label: ReleaseLabel) -> None:
    table = shares.c
    if connection.scalar(
        select(table.run).where(table.run == label.run_id, table.stage == label.stage).limit(1)
    ):
        return
    of_run = connection.scalars(select(table.stage).where(table.run == label.run_id).distinct()).all()
    if of_run:
        raise UnknownName(f"judged stage of run {label.run_id}", label.stage, of_run)
    newest = select(table.run, table.stage).group_by(table.run, table.stage)
    newest = newest.order_by(func.max(table.newest_at).desc()).limit(_LISTED)
    known = [f"{run}/{stage}" for run, stage in connection.execute(newest)]
    raise UnknownName("judged run and stage", f"{label.run_id}/{label.stage}", known)


def _stages(since: datetime | None, runbook: str | None) -> Subquery:
    """Select each stage, when its first watch began and when its newest verdict was taken."""
    table = shares.c
    started = func.min(table.watch_started_at)
    query = select(
        table.run, table.stage, started.label("started_at"), func.max(table.newest_at).label("ended_at")
    )
    if runbook is not None:
        query = query.where(table.runbook == runbook)
    query = query.group_by(table.run, table.stage)
    return (query if since is None else query.having(started >= since)).subquery()


def _judged_query(since: datetime | None, runbook: str | None) -> Select[Any]:
    """Select a row for each share and model, those of a stage one after another, the newest stage first."""
    stages = _stages(since, runbook)
    first_stop = and_(
        *(changes.c[name] == shares.c[name] for name in _KEY), changes.c.at == shares.c.first_stop_at
    )
    tables = shares.join(stages, _same_stage(stages.c)).outerjoin(changes, first_stop)
    columns = (shares, stages.c.started_at, stages.c.ended_at, changes.c.outcome, changes.c.reason)
    query = select(*columns, labels.c.label, labels.c.fault)
    query = query.select_from(tables.outerjoin(labels, _same_stage(labels.c)))
    return query.order_by(stages.c.started_at.desc(), shares.c.run, shares.c.stage, shares.c.share_percent)


def _same_stage(columns: _Columns) -> ColumnElement[bool]:
    return and_(columns.run == shares.c.run, columns.stage == shares.c.stage)


def _judged(rows: Iterable[_Row]) -> tuple[list[Judged], str]:
    stages: list[Judged] = []
    newest: list[tuple[datetime, str]] = []
    for _, group in groupby(rows, lambda row: (row["run"], row["stage"])):
        of_stage = list(group)
        stages.append(_stage(of_stage))
        newest += [(row["newest_at"], row["model"]) for row in of_stage if row["deciding"]]
        newest = sorted(newest)[-1:]
    return stages, newest[0][1] if newest else ""


def _stage(rows: Sequence[_Row]) -> Judged:
    first = rows[0]
    started, ended = first["started_at"], first["ended_at"]
    minutes = _minutes_since(started)
    return Judged(
        id=f"{first['run']}/{first['stage']}",
        service=first["runbook"],
        day=f"{started:%Y-%m-%d}",
        observed_minutes=minutes(ended),
        label=first["label"],
        fault=first["fault"] or "",
        stops={
            model: _stop([row for row in rows if row["model"] == model], minutes)
            for model in sorted({row["model"] for row in rows})
        },
    )


def _stop(rows: Sequence[_Row], minutes: Callable[[datetime], float]) -> Stop | None:
    """Return the first stop over the shares that a model judged."""
    stopping = [row for row in rows if row["first_stop_at"]]
    if not stopping:
        return None
    first = min(stopping, key=lambda row: row["first_stop_at"])
    rolled_back = [row["first_rollback_at"] for row in stopping if row["first_rollback_at"]]
    return Stop(
        minutes=minutes(first["first_stop_at"]),
        outcome=first["outcome"],
        reason=first["reason"],
        rolled_back_at=minutes(min(rolled_back)) if rolled_back else None,
    )


def _minutes_since(started: datetime) -> Callable[[datetime], float]:
    return lambda at: (at - started).total_seconds() / 60
