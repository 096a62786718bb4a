"""Reports of load tests while they run, and what the tests came to."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection, delete, func, select, update

from holdfast.adapters.sql_store.chain import storable
from holdfast.adapters.sql_store.database import Database
from holdfast.adapters.sql_store.tables import load_reports as reports
from holdfast.adapters.sql_store.tables import load_tests as tests
from holdfast.domain.campaign import Go, TestLine
from holdfast.domain.errors import UnknownName
from holdfast.loadgen.report import Report
from holdfast.ports.load import KeptReport, KeptTest

_LOCK_FAMILY: Final = 0x4C6F6164  # "Load": keeps these advisory locks apart from all others
_SINGLE_REPORTS_FOR: Final = timedelta(days=1)
_PLAIN: Final = ("run", "campaign", "runbook", "at")
_LISTED: Final = 10  # tests in an error's text


class SqlLoadLog:
    """Load tests in tables; see `holdfast.ports.load.LoadLog`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, reports: Sequence[KeptReport]) -> None:
        """Keep reports; one that is there already stays as it was, so that repeating is harmless."""
        if reports:
            rows = [_report_row(each) for each in reports]
            await self._database.write(lambda connection: self._add(connection, rows))

    async def reports(self, run: str, *, after: int = 0) -> tuple[list[KeptReport], int]:
        """Return the run's reports that came after a mark, and the mark after them; 0 is the beginning."""
        query = select(reports).where(reports.c.run == run, reports.c.mark > after).order_by(reports.c.mark)
        rows = await self._database.read(lambda connection: connection.execute(query).mappings().all())
        return [_report(row) for row in rows], rows[-1]["mark"] if rows else after

    async def newest_attempt(self, run: str, shard: int) -> int:
        """Return the newest attempt of which there is a report; 0 where there is none."""
        query = select(func.max(reports.c.attempt)).where(reports.c.run == run, reports.c.shard == shard)
        return await self._database.read(lambda connection: connection.scalar(query)) or 0

    async def finish(self, test: KeptTest) -> None:
        """Keep a result, once; what is kept again replaces it, but not what people decided meanwhile.

        The single reports stay for a day, so that a step that is repeated after a crash finds them.
        """
        row = _test_row(test)
        others = {name: value for name, value in row.items() if name != "run"}
        if test.line.go is None:
            others = {name: value for name, value in others.items() if name not in {"go", "decided_by"}}
        written = self._database.insert(tests).values(row)
        statement = written.on_conflict_do_update(index_elements=["run"], set_=others)
        over = select(tests.c.run).where(tests.c.at < test.at - _SINGLE_REPORTS_FOR)

        def work(connection: Connection) -> None:
            connection.execute(statement)
            connection.execute(delete(reports).where(reports.c.run.in_(over)))

        await self._database.write(work)

    async def decided(self, run: str, go: Go, by: str) -> None:
        """Put down what people decided after a failed test.

        Raises:
            UnknownName: no result of such a run is kept; the newest ones are listed.
        """
        statement = update(tests).where(tests.c.run == run).values(go=str(go), decided_by=storable(by))

        def work(connection: Connection) -> None:
            if connection.execute(statement).rowcount:
                return
            newest = select(tests.c.run).order_by(tests.c.at.desc()).limit(_LISTED)
            raise UnknownName("finished load test", run, connection.scalars(newest))

        await self._database.write(work)

    async def tests(self, campaign: str, *, limit: int = 50) -> list[KeptTest]:
        """Return the tests of a campaign, newest first, without `result`."""
        columns = [column for column in tests.c if column.name != "result"]
        query = select(*columns).where(tests.c.campaign == campaign)
        query = query.order_by(tests.c.at.desc(), tests.c.run.desc()).limit(limit)
        return await self._database.read(
            lambda connection: [_test(row) for row in connection.execute(query).mappings()]
        )

    async def test(self, run: str) -> KeptTest | None:
        """Return one test, whole; None where none is kept."""
        query = select(tests).where(tests.c.run == run)
        found = await self._database.read(lambda connection: connection.execute(query).mappings().first())
        return _test(found) if found else None

    def _add(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        if not self._database.is_sqlite:
            # Marks are given out before they are committed: of two shards that write at once the later mark
            # could be seen first, and who follows would miss the other. So a run has one writer at a time.
            for run in sorted({row["run"] for row in rows}):
                connection.execute(select(func.pg_advisory_xact_lock(_LOCK_FAMILY, func.hashtext(run))))
        connection.execute(self._database.insert(reports).on_conflict_do_nothing(), rows)


def _report_row(kept: KeptReport) -> dict[str, Any]:
    place = kept.model_dump(include={"run", "shard", "attempt", "number"})
    return place | {"report": storable(kept.report.model_dump_json(exclude_defaults=True))}


def _report(row: Mapping[Any, Any]) -> KeptReport:
    place = {name: row[name] for name in ("run", "shard", "attempt", "number")}
    return KeptReport(**place, report=Report.model_validate_json(row["report"]))


def _test_row(test: KeptTest) -> dict[str, Any]:
    result = test.model_dump(mode="json", include={"result"})["result"]
    return {name: getattr(test, name) for name in _PLAIN} | {
        "line": storable(test.line.model_dump_json(exclude={"go", "decided_by"})),
        "go": str(test.line.go) if test.line.go else None,
        "decided_by": storable(test.line.decided_by),
        "result": storable(json.dumps(result, ensure_ascii=False, separators=(",", ":"))),
    }


def _test(row: Mapping[Any, Any]) -> KeptTest:
    decided = {"go": row["go"], "decided_by": row["decided_by"]}
    line = TestLine.model_validate(json.loads(row["line"]) | decided)
    result: dict[str, Any] = json.loads(row["result"]) if "result" in row else {}
    return KeptTest(**{name: row[name] for name in _PLAIN}, line=line, result=result)
